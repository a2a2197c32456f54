"""What turns the bytes of an image file into pixels, by name.

`libjpeg` decodes in the worker processes: torchvision's decoder where it can, PIL for the rest; both are libjpeg-turbo,
and agree to the bit. `nvjpeg` decodes and crops whole batches on the GPU: its pixels differ by a level or so, which is
why a recipe names it. What is not installed is not offered.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from harness.data import pictures
from harness.data.pictures import Damaged
from harness.errors import UserError, did_you_mean

ON_WORKERS, ON_DEVICE = "libjpeg", "nvjpeg"
NAMES = (ON_WORKERS, ON_DEVICE)


def chosen(name: str | None, device: torch.device) -> str:
    """Raises UserError for an unknown decoder, or one that this device lacks."""
    if name is None:
        return ON_WORKERS
    if name not in NAMES:
        raise UserError(f"unknown decoder `{name}`", to_type=did_you_mean(name, NAMES))
    if name == ON_DEVICE and device.type != "cuda":
        raise UserError(f"decoder `{name}` needs a CUDA device", to_type=f"take `{ON_WORKERS}`")
    return name


def decoded(content: bytes) -> Tensor:
    """uint8 (3, H, W) at the image's own size; grey ones become colour. Raises Damaged."""
    if content[:2] == b"\xff\xd8":
        with contextlib.suppress(ImportError, RuntimeError):  # PIL knows more kinds, and says better what is wrong
            return _jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    return TF.pil_to_tensor(pictures.decoded(content, "RGB"))


def decoded_on(device: torch.device, contents: list[bytes]) -> list[Tensor | Damaged]:
    """All of a batch, on `device`; what its decoder does not take is decoded by the processor."""
    raw = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in contents if content]
    try:
        if len(raw) == len(contents):
            return list(_jpeg(raw, device=device))
    except (ImportError, RuntimeError):
        pass  # it does not say which
    images: list[Tensor | Damaged] = []
    for content in contents:
        try:
            images.append(decoded(content).to(device))
        except Damaged as problem:
            images.append(problem)
    return images


def _jpeg(content: Any, **options: Any) -> Any:
    """One tensor, or a list for a list. Raises ImportError where torchvision has given its decoder up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the whole module, from 0.29 on
        from torchvision.io import ImageReadMode, decode_jpeg

        return decode_jpeg(content, mode=ImageReadMode.RGB, **options)
