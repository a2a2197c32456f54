"""``NAME.onnx``: input `images`, output `scores`, both with a batch of any size; opset 18, float32."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor

from baselines.network import Network
from baselines.parts.poisson import Poisson
from harness.errors import UserError
from harness.export.network import Unrolled, axis, few


def write(network: Network, images: Tensor, path: Path, *, spikes: bool = False) -> Path:
    """Raises UserError where a package is missing, and for an input that ONNX cannot draw."""
    try:
        import onnxscript  # noqa: F401  torch's exporter is written in it
    except ImportError:
        raise missing("onnxscript") from None
    if isinstance(network.method.encoder, Poisson):
        what = "cannot be written in ONNX: it draws Poisson spikes by whole numbers of 64 bits"
        raise UserError(what, "layer encoder", "take --to torch")
    module = Unrolled(network, spikes=spikes).eval()
    path = path.with_suffix(".onnx")
    names = ["scores", *(network.spiking_layers() if spikes else ())]
    with warnings.catch_warnings():  # the exporter's own
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (few(images, 2),),
            path,
            input_names=["images"],
            output_names=names,
            dynamic_shapes=({axis(images): torch.export.Dim("batch", min=1)},),
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return path


def run(path: Path, names: list[str], images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores and spikes by onnxruntime, of a model written with `spikes`. Raises UserError where it is missing."""
    try:
        import onnxruntime
    except ImportError:
        raise missing("onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    scores, *spikes = map(torch.from_numpy, session.run(None, {"images": images.contiguous().numpy()}))
    return scores, dict(zip(names, spikes, strict=True))


def missing(package: str) -> UserError:
    advice = "install what exports need: pip install -e '.[export]', or pip install onnx onnxscript onnxruntime nir"
    return UserError(f"the Python package {package} is missing", "export", advice)
