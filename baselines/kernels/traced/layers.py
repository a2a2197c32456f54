"""Which layers run as kernels made from their own recording, and from when on.

A recording takes a tenth of a second, a kernel a second or two of a compiler, once a machine. What they compute is what
the loop computes, to the bit, so it does not matter when they take over: it is when the loop has taken as long as they
will (never more than twice the least possible, whatever is still to come). A kernel is believed once it gave, on this
machine and with this torch, the very bits of the loop.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from baselines.kernels import compiled
from baselines.kernels.traced.alike import Unknown, told
from baselines.kernels.traced.program import Program, Recurred
from baselines.kernels.traced.recorded import Unrecordable, record, tensors_of
from baselines.parts import moments

if TYPE_CHECKING:
    from baselines.parts.neurons import SpikingNeuron

RECORDING, COMPILING = 0.2, 2.0
"""Seconds that they take, about; measured: docs/kernels.md."""
LONGEST = 16
"""Timesteps of one kernel, which has each of them written out."""


@dataclass
class Served:
    """What is known of all layers that are alike, at one shape."""

    spent: float = 0.0
    """Seconds in the loop."""
    program: Program | None = None
    refused: str = ""
    """Why it stays in the loop."""
    others: dict[tuple[bool, ...], Program] = field(default_factory=dict)
    """Programs for gradients of some outputs only."""


_known: dict[Any, Served] = {}
_spent: dict[str, float] = {}
"""Seconds in the loop of all layers whose kernels have this text."""
_at_once: ContextVar[bool] = ContextVar("at_once", default=False)


@contextmanager
def at_once() -> Iterator[None]:
    """Within, kernels are made at the first call: for measurements and tests."""
    token = _at_once.set(True)
    try:
        yield
    finally:
        _at_once.reset(token)


def forget() -> None:
    _known.clear()
    _spent.clear()


def run(layer: SpikingNeuron, x: Tensor) -> Tensor:
    """What `layer.loop(x)` computes, to the bit."""
    served = serve(layer, x)
    if served is None or served.refused:
        return layer.loop(x)
    if served.program is None or served.program.library is None:
        begun = time.perf_counter()
        s = layer.loop(x)
        _count(served, time.perf_counter() - begun)
        return s
    return _run(served, layer, x)


def serve(layer: SpikingNeuron, x: Tensor) -> Served | None:
    """What computes `layer` of `x`, made if it is time to; None for what is not even thought of."""
    if x.dim() != 4 or x.dtype != torch.float32 or x.device.type != "cpu" or not 0 < x.numel() or not compiled.wanted():
        return None
    if layer.timesteps > LONGEST or not x.is_contiguous(memory_format=torch.channels_last):
        return None
    try:
        key = (told(layer), x.shape, x.stride(), x.requires_grad, torch.is_grad_enabled(), moments.wanted())
    except Unknown:
        return None
    served = _known.setdefault(key, Served())
    if not served.refused and (served.program is None or served.program.library is None):
        _make(served, layer, x)
    return served


def _make(served: Served, layer: SpikingNeuron, x: Tensor) -> None:
    try:
        if served.program is None and (_at_once.get() or served.spent >= RECORDING):
            served.program = _recorded(layer, x, None)
        if (program := served.program) is None:
            return
        there = compiled.is_there(program.text)
        if there or _at_once.get() or _spent.get(program.text, 0) >= COMPILING:
            _link(program, layer, x)
    except (Unrecordable, compiled.Failed) as error:
        served.program, served.refused = None, str(error)


def _count(served: Served, seconds: float) -> None:
    served.spent += seconds
    if served.program is not None:
        _spent[served.program.text] = _spent.get(served.program.text, 0) + seconds


def _recorded(layer: SpikingNeuron, x: Tensor, wanted: Sequence[bool] | None) -> Program:
    outputs = 1 + layer.shows_potential + 2 * moments.wanted()
    differentiable = torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in layer.parameters()))
    back = (wanted or [True] * outputs) if differentiable else None
    return Program(record(layer, x, back), layer.timesteps)


def _link(program: Program, layer: SpikingNeuron, x: Tensor) -> None:
    """Raises compiled.Failed, and Unrecordable for a kernel that gives other bits than the loop."""
    program.library = compiled.linked(program.text)
    if not compiled.believed(program.text):
        differing = _differs(program, layer, x)
        if differing:
            program.library = None
            raise Unrecordable(f"other bits than the loop's: {differing}")
        compiled.believe(program.text)


def _differs(program: Program, layer: SpikingNeuron, x: Tensor) -> str:
    """What is not the same to the bit, forward and back, of the kernels and of the loop on the same numbers."""
    with torch.random.fork_rng([]):
        state = torch.get_rng_state()
        found = []
        for way in (lambda layer, x: layer.loop(x), lambda layer, x: _run(Served(program=program), layer, x)):
            torch.set_rng_state(state)
            found.append(_outcome(way, copy.deepcopy(layer), x, program))
    for name in found[0]:
        ours, theirs = found[1][name], found[0][name]
        if ours is None or theirs is None:
            if ours is not theirs:
                return name
        elif not torch.equal(_bits(ours), _bits(theirs)):
            return name
    return ""


def _outcome(way: Callable[[Any, Tensor], Tensor], layer: Any, x: Tensor, program: Program) -> dict[str, Tensor | None]:
    """Outputs, buffers and gradients, by name."""
    x = x.detach().requires_grad_(x.requires_grad)
    tape: list[moments.Moments] = []
    if moments.wanted():
        with moments.written_to(tape):
            s = way(layer, x)
    else:
        s = way(layer, x)
    outputs = [s, *([s.potential] if layer.shows_potential else []), *(t for each in tape for t in (each.mean, each.var))]
    found: dict[str, Tensor | None] = {f"output {i}": y.detach() for i, y in enumerate(outputs)}
    if any(program.recording.tangents):
        reached = [y for y in outputs if y.requires_grad]
        torch.manual_seed(0)
        tangents = [torch.randn(y.shape).to(memory_format=_format(y)) for y in reached]
        asked = {name: t for name, t in {"x": x, **tensors_of(layer)}.items() if t.requires_grad}
        gradients = torch.autograd.grad(reached, list(asked.values()), tangents, allow_unused=True)
        found |= {f"gradient of {name}": g for name, g in zip(asked, gradients, strict=True)}
    return found | {name: buffer for name, buffer in layer.named_buffers()}


def _format(y: Tensor) -> torch.memory_format:
    return torch.channels_last if y.dim() == 4 else torch.contiguous_format


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int32) if tensor.dtype == torch.float32 else tensor


def _run(served: Served, layer: SpikingNeuron, x: Tensor) -> Tensor:
    program = served.program
    assert program is not None
    given = (x, *tensors_of(layer).values())

    def back(wanted: list[bool]) -> Program:
        """The program for gradients of those outputs."""
        asked = tuple(wanted)
        if all(number is not None or not w for number, w in zip(program.recording.tangents, asked, strict=True)) and all(
            w or number is None for number, w in zip(program.recording.tangents, asked, strict=True)
        ):
            return program
        if asked not in served.others:
            with torch.enable_grad(), _listening(program, layer):
                made = _recorded(layer, x.detach().requires_grad_(x.requires_grad), wanted)
            made.library = compiled.linked(made.text)
            served.others[asked] = made
        return served.others[asked]

    *outputs, packed = Recurred.apply(program, back, *given)  # type: ignore[misc]
    s, *rest = outputs
    if packed is not None:
        s.as_bytes = packed
    if layer.shows_potential:
        s.potential, *rest = rest
    if rest:
        moments.pass_on(moments.Moments(*rest, place=layer.place))
    return s


@contextmanager
def _listening(program: Program, layer: SpikingNeuron) -> Iterator[None]:
    if len(program.recording.outputs) - 1 - layer.shows_potential:
        with moments.written_to([]):
            yield
    else:
        yield
