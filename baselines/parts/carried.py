"""Time walked a few steps at a call: what a layer remembers of one call for the next, so that no memory grows with T.

Outside a walk a layer is shown all steps at once, and remembers nothing. Whatever has a state or a step of its own asks
here, and says `carries = True`; a layer that has `timesteps` and does not cannot be walked (`Network.walk` says so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Walk:
    """How far it is, and what was remembered."""

    first: int = 0
    """The step that this call begins with, from 0."""
    steps: int = 1
    """That this call shows."""
    detach: bool = False
    """Whether what is remembered is a constant to back-propagation."""
    memory: dict[nn.Module, Any] = field(default_factory=dict)
    notes: dict[nn.Module, Any] = field(default_factory=dict)
    """What is the same at every step, and need not be computed again."""


_walk: ContextVar[Walk | None] = ContextVar("walk", default=None)


@contextmanager
def on(walk: Walk | None) -> Iterator[None]:
    """Calls within are the next steps of `walk`, or of none."""
    token = _walk.set(walk)
    try:
        yield
    finally:
        _walk.reset(token)


def walking() -> bool:
    return _walk.get() is not None


def seen_by(layer: nn.Module) -> Walk | None:
    """The walk, with what `layer` and its parts remember alone: what they remember next is not the walk's."""
    walk = _walk.get()
    if walk is None:
        return None
    return replace(walk, memory={part: walk.memory[part] for part in layer.modules() if part in walk.memory})


def handed(walk: Walk | None, layer: nn.Module, to: nn.Module, alter: Callable[[Tensor], Tensor]) -> Walk | None:
    """What `layer` sees of a walk, as its copy `to` would; each remembered tensor altered."""
    if walk is None:
        return None
    known = ((there, walk.memory.get(here)) for here, there in zip(layer.modules(), to.modules(), strict=True))
    return replace(walk, memory={there: tuple(map(alter, state)) for there, state in known if state is not None})


def apart() -> bool:
    """Whether no gradient flows from this call into another, so that what learns adds up its gradients call by call."""
    walk = _walk.get()
    return walk is None or walk.detach or not torch.is_grad_enabled()


def steps(timesteps: int) -> int:
    """That are in a batch (T·B, …) of this call: `timesteps` outside a walk."""
    walk = _walk.get()
    return timesteps if walk is None else walk.steps


def recall(layer: nn.Module, otherwise: Any = None) -> Any:
    """What `layer` remembered last; `otherwise` at the first step and outside a walk."""
    walk = _walk.get()
    return otherwise if walk is None else walk.memory.get(layer, otherwise)


def noted(layer: nn.Module, state: Any, make: Callable[[], Any]) -> Any:
    """What `make` makes, once for all calls of a walk that have the same `state`. Outside a walk each time."""
    if (walk := _walk.get()) is None:
        return make()
    if layer not in walk.notes or walk.notes[layer][0] != state:
        walk.notes[layer] = (state, make())
    return walk.notes[layer][1]


def remember(layer: nn.Module, *state: Tensor) -> None:
    """For `recall`, as a tuple. Outside a walk nothing is kept."""
    if (walk := _walk.get()) is not None:
        walk.memory[layer] = tuple(part.detach() if walk.detach else part for part in state)
