"""What an objective may see of the potentials: of every layer, mean and variance of z - V a channel, never the tensor.

A layer of neurons tells them where somebody listens (`written_to`). They are those of the whole batch, whatever number
of processes trains on it, and gradients flow back through them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor

from baselines.parts import synchronised


@dataclass(frozen=True)
class Moments:
    """Of one layer over T, B, H, W: (C,) each. `place` is where it stands (`neurons.Place`)."""

    mean: Tensor
    """Of z(t) - V: how far the potentials lie above the threshold."""
    var: Tensor
    place: str


_tape: ContextVar[list[Moments] | None] = ContextVar("moments", default=None)


@contextmanager
def written_to(tape: list[Moments]) -> Iterator[None]:
    """Every layer of neurons adds its moments to `tape`, in the order in which they are computed."""
    token = _tape.set(tape)
    try:
        yield
    finally:
        _tape.reset(token)


def wanted() -> bool:
    return _tape.get() is not None


def tell(z: Tensor, v_th: float | Tensor, place: str) -> None:
    """`z` (T·B, C, H, W), of a layer with threshold `v_th`."""
    mean, var = synchronised.mean_var(z - v_th)
    pass_on(Moments(mean, var, place))


def pass_on(moments: Moments) -> None:
    """To who listens."""
    if (tape := _tape.get()) is not None:
        tape.append(moments)
