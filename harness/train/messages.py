"""What processes say to each other, as bytes that only say and never do: msgpack, a tensor as it lies in memory."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import torch
from torch import Tensor

TENSOR = 1
"""Code of a tensor among msgpack's extensions."""
DTYPES = {str(kind).removeprefix("torch."): kind for kind in vars(torch).values() if isinstance(kind, torch.dtype)}


def encode(what: Any) -> bytes:
    """Plain values, structs and dataclasses; tensors of any type and shape, to the bit."""
    return msgspec.msgpack.encode(what, enc_hook=_extended)


def decode(said: bytes, kind: Any) -> Any:
    """What `encode` was given, tensors on the CPU. Raises msgspec.ValidationError where it is no `kind`."""
    return msgspec.msgpack.decode(said, type=kind, ext_hook=_tensor)


def _extended(what: Any) -> msgspec.msgpack.Ext:
    if not isinstance(what, Tensor):
        raise NotImplementedError(f"a {type(what).__name__} cannot be told to another process")
    flat = what.detach().cpu().contiguous().reshape(-1)
    head = msgspec.msgpack.encode((str(what.dtype).removeprefix("torch."), tuple(what.shape)))
    return msgspec.msgpack.Ext(TENSOR, struct.pack("<I", len(head)) + head + flat.view(torch.uint8).numpy().tobytes())


def _tensor(code: int, data: memoryview) -> Tensor:
    (length,) = struct.unpack_from("<I", data)
    name, shape = msgspec.msgpack.decode(data[4 : 4 + length], type=tuple[str, tuple[int, ...]])
    content, kind = bytearray(data[4 + length :]), DTYPES.get(name)
    if code != TENSOR or kind is None:
        raise ValueError(f"extension {code} of type {name}")
    return torch.frombuffer(content, dtype=kind).view(shape) if content else torch.empty(shape, dtype=kind)
