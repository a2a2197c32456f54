"""Triton's kernels compiled for GPUs that are not here, as they would be launched there; and what asks for a GPU too
early. A script of its own: whether Triton interprets is chosen by the process.

    python tests/gpu/ahead.py 80 90      for these capabilities; prints what was compiled
    python tests/gpu/ahead.py asked      what has asked for a GPU before `make test-gpu` forks its first section
"""

from __future__ import annotations

import sys

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from baselines import METHODS
from baselines.kernels import dispatch, on_gpu
from baselines.parts.surrogates import SURROGATES

SHAPE, TIMESTEPS, BATCH = (16, 4, 4), 2, 9
CASES = (("vanilla", "ste"), ("mpbn", "tanh"))


class Elsewhere:
    """What Triton asks of a GPU before it compiles."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        return self.capability

    def get_current_stream(self, device: int | None = None) -> int:
        return 0


def compiled(capability: int) -> list[str]:
    """Names of the kernels, each as often as it was compiled; nothing is launched. Raises Triton's own errors."""
    driver.set_active(Elsewhere(capability))
    run, made = JITFunction.run, dict[str, str]()

    def compile_only(self: JITFunction, *arguments: object, grid: object, warmup: bool, **given: object) -> object:
        kernel = run(self, *arguments, grid=grid, warmup=True, **given)
        made[kernel.hash] = self.__name__
        assert kernel.asm["cubin"]
        return kernel

    JITFunction.run = compile_only  # type: ignore[method-assign]
    try:
        for method, surrogate in CASES:
            layer = METHODS.get(method).neuron.build(SHAPE, TIMESTEPS, SURROGATES[surrogate])
            x = torch.randn(TIMESTEPS * BATCH, *SHAPE).contiguous(memory_format=torch.channels_last).requires_grad_()
            dispatch.train(on_gpu, layer, x).sum().backward()  # type: ignore[arg-type]
            with torch.no_grad():
                dispatch.infer(on_gpu, layer.eval(), x)  # type: ignore[arg-type]
    finally:
        JITFunction.run = run  # type: ignore[method-assign]
    return sorted(made.values())


def asked() -> list[str]:
    """Of the driver, by all that is imported before the first section: what is forked after that cannot use it."""
    heard: list[str] = []
    for name in ("_cuda_init", "_cuda_getDeviceCount"):
        if hasattr(torch._C, name):
            setattr(torch._C, name, lambda *_, name=name: heard.append(name) or 0)
    from gpu import book, sections

    assert book and sections
    return heard


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        done = asked() if argument == "asked" else compiled(int(argument))
        sys.stdout.write(f"{argument}: {', '.join(done)}\n")
