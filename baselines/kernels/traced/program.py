"""A lowered recording, ready to run: kernels on the memory of tensors, and torch's own operations between them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from baselines.kernels.traced.lanes import FRAME
from baselines.kernels.traced.lowered import BACKWARD, FORWARD, SUM, Call, Lowering, Place, relaid
from baselines.kernels.traced.recorded import Recording, Value
from baselines.kernels.traced.written import HEAD, Written, written

Values = dict[int, Tensor]


@dataclass(frozen=True)
class Step:
    """A kernel, by the name of its function."""

    written: Written
    name: str


class Program:
    """One layer, at one shape, forward and (where it was recorded) back."""

    def __init__(self, recording: Recording, timesteps: int) -> None:
        self.own = len(recording.forms)
        """From this number on values are the lowering's own, first those of the way forward, whatever is wanted."""
        lowering = Lowering(recording, timesteps)
        self.recording, self.timesteps, self.frame = recording, timesteps, lowering.frame
        self.root = lowering.root
        spikes = recording.outputs[0]
        self.bytes: int | None = None
        steps = lowering.steps_of(spikes) or 0
        self.binary = lowering.writes(spikes) and all(map(lowering.binary, lowering.lanes[spikes]))
        wanted = frozenset(Place(spikes, t) for t in range(steps)) if self.binary else frozenset()
        self.phases: list[list[Call | Step]] = []
        texts: dict[str, str] = {}
        for phase in (FORWARD, BACKWARD):
            scheduled: list[Call | Step] = []
            for each in lowering.schedule(phase):
                if isinstance(each, Call):
                    scheduled.append(each)
                    continue
                made = written(lowering, each, wanted if phase == FORWARD else frozenset())
                scheduled.append(Step(made, texts.setdefault(made.text, f"kernel{len(texts)}")))
            self.phases.append(scheduled)
        self.buffers = [list(each.buffers) for each in lowering.phases]
        self.kept = lowering.kept()
        self.text = HEAD + "".join(text.replace("NAME", name, 1) for text, name in texts.items())
        self.rounded = any(isinstance(each, Call) and _is_a_product(each) for phase in self.phases for each in phase)
        """Whether autocast would round something in it."""
        self.library: ctypes.CDLL | None = None

    def forward(self, values: Values) -> Tensor | None:
        """The spikes as bytes, where they are binary."""
        packed = None
        if self.binary:
            form = self.recording.forms[self.recording.outputs[0]]
            packed = torch.empty_strided(form.shape, form.stride, dtype=torch.uint8)
        self._run(FORWARD, values, packed)
        return packed

    def backward(self, values: Values) -> list[Tensor | None]:
        """One gradient a given tensor."""
        self._run(BACKWARD, values, None)
        return [None if g is None else values[g if g in values else self.root(g)] for g in self.recording.gradients]

    def outputs(self, values: Values) -> list[Tensor]:
        return [values[number if number in values else self.root(number)] for number in self.recording.outputs]

    def _run(self, phase: int, values: Values, packed: Tensor | None) -> None:
        forms = self.recording.forms
        for number in self.buffers[phase]:
            values[number] = torch.empty_strided(forms[number].shape, forms[number].stride)
        for step in self.phases[phase]:
            if isinstance(step, Call):
                self._call(step, values)
            else:
                self._kernel(step, values, packed)

    def _call(self, call: Call, values: Values) -> None:
        def real(part: Any) -> Any:
            if isinstance(part, Value):
                return values[part.number]
            return torch.device("cpu") if isinstance(part, torch.device) else part

        args, kwargs = tree_map(real, (call.node.args, call.node.kwargs))
        found = call.node.operation(*args, **kwargs)
        for number, tensor in zip(call.node.outputs, (found,) if call.node.single else found, strict=True):
            if number is not None:
                values[number] = _lying(tensor, self.recording.forms[number].stride)

    def _kernel(self, step: Step, values: Values, packed: Tensor | None) -> None:
        made = step.written
        batch, channels, height, width = self.frame
        if made.domain != FRAME:
            rows, columns = 1, (1, channels)[made.domain]
        else:
            rows, columns = (batch, channels * height * width) if made.wide else (batch * height * width, channels)
        size = rows * columns
        alive: list[Tensor] = []

        def at(place: Place, tensor: Tensor) -> int:
            return tensor.data_ptr() + (0 if place.step == SUM else place.step * size * tensor.element_size())

        def small(place: Place) -> int:
            tensor = values[place.value]
            if place.step >= 0 and tensor.dim() > 3:
                tensor = tensor[place.step if tensor.shape[0] > 1 else 0]
            if tensor.numel() > 1:
                tensor = _columns(tensor, self.frame[1:]) if made.wide else tensor.reshape(-1)
            alive.append(tensor.contiguous())
            return alive[-1].data_ptr()

        _function(self.library, step.name)(
            rows,
            columns,
            torch.get_num_threads(),
            _pointers(at(place, values[place.value]) for place in made.loads),
            _pointers(small(place) for place in made.scalars),
            _pointers(small(place) for place in made.columns),
            (ctypes.c_float * len(made.numbers))(*made.numbers),
            _pointers(at(place, values[place.value]) for place in made.stores),
            _pointers(at(place, packed) for place in made.bytes),  # type: ignore[arg-type]
        )


def _lying(tensor: Tensor, stride: tuple[int, ...]) -> Tensor:
    """As the recording says: torch's operations may lay numbers otherwise than tensors without."""
    return tensor if tensor.stride() == stride else relaid(tensor, stride)


def _is_a_product(call: Call) -> bool:
    name = getattr(call.node.operation, "_schema", None)
    return name is not None and any(word in name.name for word in ("mm", "mv", "dot", "linear", "conv", "prelu"))


def _columns(tensor: Tensor, frame: Sequence[int]) -> Tensor:
    """What is broadcast along frames, written out, in the order of memory."""
    while tensor.dim() > 3:
        tensor = tensor[0]
    return tensor.expand(*frame).permute(1, 2, 0).reshape(-1)


def _pointers(addresses: Any) -> Any:
    found = list(addresses)
    return (ctypes.c_void_p * len(found))(*found)


def _function(library: Any, name: str) -> Callable[..., None]:
    function = getattr(library, name)
    if function.argtypes is None:
        function.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_int, *(ctypes.c_void_p,) * 6)
        function.restype = None
    return function


class Recurred(torch.autograd.Function):
    """(program, the programs of other gradients, given tensors...) -> outputs, and the spikes as bytes (or None)."""

    @staticmethod
    def forward(ctx, program, back, *given):  # type: ignore[override]
        values = dict(zip(program.recording.given, given, strict=True))
        packed = program.forward(values)
        ctx.program, ctx.back = program, back
        ctx.save_for_backward(*(values[number] for number in program.kept))
        ctx.set_materialize_grads(False)
        outputs, tangents = program.outputs(values), program.recording.tangents
        constant = [y for y, tangent in zip(outputs, tangents, strict=False) if tangent is None]
        ctx.mark_non_differentiable(*constant, *([] if packed is None else [packed]))
        return *outputs, packed

    @staticmethod
    def backward(ctx, *grads):  # type: ignore[override]
        *grads, _ = grads
        if all(grad is None for grad in grads):
            return None, None, *(None for _ in ctx.program.recording.given)
        program = ctx.back([None if grad is None else grad.stride() for grad in grads])
        numbers = (n if n < ctx.program.own else n - ctx.program.own + program.own for n in ctx.program.kept)
        values = dict(zip(numbers, ctx.saved_tensors, strict=True))
        for number, grad in zip(program.recording.tangents, grads, strict=True):
            if number is not None:
                values[number] = grad
        return None, None, *program.backward(values)
