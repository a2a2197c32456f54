"""Which layers run as kernels made from their own recording, and from when on.

What those compute is what the loop computes, to the bit, so it does not matter when they take over: they do when the
loop has taken as long as making them will. That is never more than twice the least possible, whatever is still to come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from baselines.kernels import compiled
from baselines.kernels.traced.alike import Unknown, told
from baselines.kernels.traced.program import Program, Recurred
from baselines.kernels.traced.proved import differing
from baselines.kernels.traced.recorded import Unrecordable, Wanted, neurons_of, record, shows, state_of, tensors_of
from baselines.parts import carried, moments, synchronised

if TYPE_CHECKING:
    from baselines.parts.after import Followed
    from baselines.parts.neurons import SpikingNeuron

RECORDING, COMPILING = 0.1, 1.0
"""Seconds that they take, about; the second is paid once a machine. Measured: docs/kernels.md."""
LONGEST = 16
"""Timesteps of one kernel, which has each of them written out."""


@dataclass
class Served:
    """What is known of all layers that are alike, at one shape."""

    spent: float = 0.0
    """Seconds in the loop."""
    program: Program | None = None
    refused: str = ""
    """Why they stay in the loop."""
    others: dict[tuple[tuple[int, ...] | None, ...], Program] = field(default_factory=dict)
    """Programs for gradients of some outputs only, or in another order of memory."""

    @property
    def ready(self) -> bool:
        return self.program is not None and self.program.library is not None


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


def run(layer: SpikingNeuron | Followed, x: Tensor, loop: Callable[[Tensor], Tensor]) -> Tensor:
    """What `loop(x)` computes, which is `layer.loop(x)`, to the bit."""
    served = serve(layer, x)
    if served is None or served.refused:
        return loop(x)
    if served.ready:
        return _computed(served, layer, x)
    begun = time.perf_counter()
    s = loop(x)
    _count(served, time.perf_counter() - begun)
    return s


def serve(layer: SpikingNeuron | Followed, x: Tensor) -> Served | None:
    """What computes `layer` of `x`, made if it is time to; None for what is not even thought of."""
    if x.dim() != 4 or x.dtype != torch.float32 or x.device.type != "cpu" or x.numel() == 0 or not compiled.wanted():
        return None
    if carried.steps(neurons_of(layer).timesteps) > LONGEST or not x.is_contiguous(memory_format=torch.channels_last):
        return None
    if synchronised.needed() and (moments.wanted() or any(True for _ in layer.buffers())):
        return None  # statistics may be those of several processes
    if watched(x) or not carried.apart():
        return None
    try:
        state = (torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), moments.wanted())
        key = (told(layer, root=True), x.shape, x.stride(), x.requires_grad, *state, _told(layer))
    except Unknown:
        return None
    served = _known.setdefault(key, Served())
    if not served.refused and not served.ready:
        _make(served, layer, x)
    return served


def _told(layer: SpikingNeuron | Followed) -> Any:
    """What of the walk makes another kernel."""
    walk = carried.seen_by(layer)
    if walk is None:
        return None
    memory = tuple((place, walk.memory.get(part)) for place, part in enumerate(layer.modules()))
    return (walk.steps, walk.detach, told(memory))


def watched(x: Tensor) -> bool:
    """Whether torch's operations themselves are wanted: somebody traces, exports, compiles or counts them."""
    modes = torch._C._len_torch_dispatch_stack()
    return (
        type(x) is not Tensor or modes > 0 or torch._C._get_tracing_state() is not None or torch.compiler.is_compiling()
    )


def _make(served: Served, layer: SpikingNeuron | Followed, x: Tensor) -> None:
    """As much as it is time for."""
    try:
        if served.program is None and (_at_once.get() or served.spent >= RECORDING):
            served.program = _recorded(layer, x, carried.seen_by(layer), ())
        if (program := served.program) is None:
            return
        if program.rounded and torch.is_autocast_enabled("cpu"):
            raise Unrecordable("a product of matrices under autocast")
        if _at_once.get() or compiled.is_there(program.text) or _spent.get(program.text, 0) >= COMPILING:
            _link(served, layer, x)
    except (Unrecordable, compiled.Failed) as error:
        served.program, served.refused = None, str(error)


def _count(served: Served, seconds: float) -> None:
    served.spent += seconds
    if served.program is not None:
        _spent[served.program.text] = _spent.get(served.program.text, 0) + seconds


def _recorded(layer: SpikingNeuron | Followed, x: Tensor, walk: carried.Walk | None, wanted: Wanted) -> Program:
    learns = any(tensor.requires_grad for tensor in (x, *layer.parameters()))
    back = wanted if learns and torch.is_grad_enabled() else None
    with carried.on(walk):
        return Program(record(layer, x, walk, back), carried.steps(neurons_of(layer).timesteps))


def _link(served: Served, layer: SpikingNeuron | Followed, x: Tensor) -> None:
    """Raises compiled.Failed, and Unrecordable for a kernel that gives other bits than the loop."""
    program = served.program
    assert program is not None
    program.library = compiled.linked(program.text)
    if compiled.believed(program.text):
        return
    others = differing(layer, x, lambda layer, x: _computed(served, layer, x), bool(program.recording.gradients))
    if others:
        raise Unrecordable(f"other bits than the loop's: {others}")
    compiled.believe(program.text)


def _computed(served: Served, layer: SpikingNeuron | Followed, x: Tensor) -> Tensor:
    program, walk = served.program, carried.seen_by(layer)
    assert program is not None

    def back(wanted: Wanted) -> Program:
        return _for_gradients(served, program, layer, x, walk, tuple(wanted))

    given = (x, *tensors_of(layer).values(), *state_of(layer, walk))
    *outputs, packed = Recurred.apply(program, back, *given)  # type: ignore[misc]
    s, *rest = outputs
    if packed is not None:
        s.as_bytes = packed
    if shows(layer):
        s.potential, *rest = rest
    parts = list(layer.modules()) if program.recording.remembered else []
    for place, count in reversed(program.recording.remembered):
        carried.remember(parts[place], *rest[len(rest) - count :])
        del rest[len(rest) - count :]
    if rest:
        moments.pass_on(moments.Moments(*rest, place=neurons_of(layer).place))
    return s


def _for_gradients(
    served: Served,
    program: Program,
    layer: SpikingNeuron | Followed,
    x: Tensor,
    walk: carried.Walk | None,
    wanted: tuple[tuple[int, ...] | None, ...],
) -> Program:
    """The program whose way back takes gradients of the `wanted` outputs."""
    recording = program.recording
    if wanted == tuple(None if n is None else recording.forms[n].stride for n in recording.tangents):
        return program
    if wanted not in served.others:
        listens = len(wanted) - sum(count for _, count in program.recording.remembered) > 1 + shows(layer)
        with torch.enable_grad(), moments.written_to([]) if listens else nullcontext():
            made = _recorded(layer, x.detach().requires_grad_(x.requires_grad), walk, wanted)
        made.library = compiled.linked(made.text)
        served.others[wanted] = made
    return served.others[wanted]
