"""The loop over time and the way back through it, written down as the operations of torch that they are.

The layer runs its own `loop` on tensors without numbers (of the meta device), so whatever is plugged into it is
recorded as it stands, autograd's formulas and the order of its sums too: there is no second definition of a neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from baselines.parts import carried, moments

if TYPE_CHECKING:
    from baselines.parts.after import Followed
    from baselines.parts.neurons import SpikingNeuron


class Unrecordable(Exception):
    """A layer that does what no recording can hold, such as asking for a number."""


@dataclass(frozen=True)
class Value:
    """A tensor of the recording, by its place in `Recording.shapes`."""

    number: int


aten = torch.ops.aten
BROADCASTING = {aten.add, aten.sub, aten.rsub, aten.mul, aten.div, aten.gt, aten.ge, aten.lt, aten.le, aten.eq, aten.ne}
"""Operations to which a number is another operand, of another shape."""
Wanted: TypeAlias = Sequence[tuple[int, ...] | None]
"""Strides of the gradient that comes in for each output; None: none does. What goes out lies as these make it."""


class Form(NamedTuple):
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Node:
    """An operation on values: `args` and `kwargs` hold a `Value` where a tensor stood."""

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[int | None, ...]
    single: bool
    """It returned one tensor, not several."""


@dataclass
class Recording:
    forms: list[Form] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    """x, then parameters and buffers, in the order of `tensors_of`, then what is remembered of the steps before."""
    frames: list[int] = field(default_factory=list)
    """Those of them that are of the batch: x, and what is remembered."""
    outputs: list[int] = field(default_factory=list)
    """Spikes; the potential where it is shown; mean and variance where they are wanted; what is to be remembered."""
    remembered: list[tuple[int, int]] = field(default_factory=list)
    """Of how many tensors that is, by the part's place in `layer.modules()`."""
    turn: int = 0
    """Nodes before the way back."""
    tangents: list[int | None] = field(default_factory=list)
    """One an output; None for an output without a gradient."""
    gradients: list[int | None] = field(default_factory=list)
    """One a given tensor; None where there is none."""


class _Recorder(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Or torch would load its compiler."""
        return True

    def __init__(self) -> None:
        super().__init__()
        self.recording = Recording()
        self.known: dict[int, int] = {}
        self.alive: list[Tensor] = []
        self.storages: dict[int, int] = {}

    def name(self, tensor: Tensor) -> int:
        """A new value that `tensor` is from now on."""
        if tensor.device.type != "meta":
            raise Unrecordable("a tensor that is made on its own")
        number = len(self.recording.forms)
        self.recording.forms.append(Form(tuple(tensor.shape), tensor.stride(), tensor.dtype))
        if id(tensor) not in self.known:
            self.alive.append(tensor)
            storage = tensor.untyped_storage()._cdata
            self.storages[storage] = self.storages.get(storage, 0) + 1
        self.known[id(tensor)] = number
        return number

    def value(self, tensor: Tensor) -> Value:
        if id(tensor) not in self.known:
            raise Unrecordable("a tensor from elsewhere")
        return Value(self.known[id(tensor)])

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        told: Any = tree_map(lambda part: self.value(part) if isinstance(part, Tensor) else part, (tuple(args), kwargs))
        if func._schema.is_mutable:
            return self._in_place(func, args, kwargs, told)
        found = _laid(func, args, func(*args, **kwargs))
        outputs = found if isinstance(found, tuple | list) else (found,)
        if not all(part is None or isinstance(part, Tensor) for part in outputs):
            raise Unrecordable(f"{func} is no tensor")
        names = tuple(None if part is None else self.name(part) for part in outputs)
        self.recording.nodes.append(Node(func, told[0], told[1], names, not isinstance(found, tuple | list)))
        return found

    def _in_place(self, func: Any, args: Any, kwargs: Any, told: Any) -> Tensor:
        """The same operation with a result of its own, which the changed tensor is from now on."""
        changed, name = args[0], func._schema.name.removeprefix("aten::")
        shared = self.storages[changed.untyped_storage()._cdata] > 1
        if not name.endswith("_") or shared or self.known[id(changed)] in self.recording.given:
            raise Unrecordable(f"{name} changes a tensor in place that others see")
        pure = getattr(getattr(torch.ops.aten, name[:-1]), func._overloadname)
        pure(*args, **kwargs)
        self.recording.nodes.append(Node(pure, told[0], told[1], (self.name(changed),), True))
        return changed


def _laid(operation: Any, args: Any, found: Any) -> Any:
    """As what is found lies in memory where there are numbers, which is not always as it does without them."""
    if operation is aten.native_batch_norm_backward.default:
        return (torch.empty_like(args[1]), *found[1:])
    if torch.Tag.pointwise not in operation.tags or _takes_a_number(operation, args):
        return found
    if all(t.shape == found.shape and t.is_contiguous() for t in args if isinstance(t, Tensor)):
        return torch.empty(found.shape, dtype=found.dtype, device="meta")  # of maps of one place, both orders are one
    return found


def _takes_a_number(operation: Any, args: Any) -> bool:
    return operation.overloadpacket in BROADCASTING and not isinstance(args[1], Tensor)


def tensors_of(layer: nn.Module) -> dict[str, Tensor]:
    """Name -> parameter or buffer, each once."""
    return {**dict(layer.named_parameters()), **dict(layer.named_buffers())}


def neurons_of(layer: SpikingNeuron | Followed) -> SpikingNeuron:
    return getattr(layer, "neuron", layer)  # type: ignore[return-value]


def shows(layer: SpikingNeuron | Followed) -> bool:
    """Whether the potential goes out of it; to what follows the neurons it may go within."""
    return getattr(layer, "shows_potential", False)


def outputs_of(layer: SpikingNeuron | Followed, s: Tensor, tape: Sequence[moments.Moments]) -> list[Tensor]:
    """All that goes out of a layer besides: see `Recording.outputs`."""
    potential = [s.potential] if shows(layer) else []  # type: ignore[attr-defined]
    return [s, *potential, *(tensor for each in tape for tensor in (each.mean, each.var))]


def state_of(layer: nn.Module, walk: carried.Walk | None) -> list[Tensor]:
    """What the parts of `layer` remember, in their order."""
    return [] if walk is None else [tensor for part in layer.modules() for tensor in walk.memory.get(part, ())]


def parts_of(layer: nn.Module, walk: carried.Walk | None) -> list[tuple[int, int]]:
    """See `Recording.remembered`."""
    if walk is None:
        return []
    return [(place, len(walk.memory[part])) for place, part in enumerate(layer.modules()) if part in walk.memory]


class _Loop(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer.loop(x)  # type: ignore[operator]


def record(layer: SpikingNeuron | Followed, x: Tensor, walk: carried.Walk | None, wanted: Wanted | None) -> Recording:
    """What `layer` does to `x`, and on the way back from the `wanted` of its outputs; from all, as they lie, for ().

    `walk` is as the layer sees it, and stays as it is. Raises Unrecordable.
    """
    differentiable = wanted is not None
    metas = {f"layer.{name}": _meta(tensor, differentiable) for name, tensor in tensors_of(layer).items()}
    before = carried.handed(walk, layer, layer, lambda tensor: _meta(tensor, differentiable))
    memory = state_of(layer, before)
    given = (_meta(x, differentiable), *metas.values(), *memory)
    recorder, tape = _Recorder(), list[moments.Moments]()
    recording = recorder.recording
    recording.given = [recorder.name(tensor) for tensor in given]
    recording.frames = [recording.given[0], *recording.given[len(given) - len(memory) :]]
    listening = moments.written_to(tape) if moments.wanted() else nullcontext()
    try:
        with recorder, listening, carried.on(before), torch.set_grad_enabled(differentiable):
            outputs = outputs_of(layer, torch.func.functional_call(_Loop(layer), metas, given[:1]), tape)
            recording.remembered = parts_of(layer, before)
            outputs += state_of(layer, before)
            recording.outputs = [recorder.value(tensor).number for tensor in outputs]
            recording.turn = len(recording.nodes)
            if wanted is not None:
                _back(recorder, outputs, wanted or [y.stride() for y in outputs], given)
    except Unrecordable:
        raise
    except Exception as error:  # whatever a neuron of a user's own does to a tensor without numbers
        raise Unrecordable(f"{type(error).__name__}: {error}") from error
    return recording


def _back(recorder: _Recorder, outputs: Sequence[Tensor], wanted: Wanted, given: Sequence[Tensor]) -> None:
    recording = recorder.recording
    tangents = [
        None
        if stride is None or not y.requires_grad
        else torch.empty_strided(y.shape, stride, dtype=y.dtype, device="meta")
        for y, stride in zip(outputs, wanted, strict=True)
    ]
    del recording.nodes[recording.turn :]  # the making of the tangents
    recording.tangents = [None if tangent is None else recorder.name(tangent) for tangent in tangents]
    recording.gradients = [None] * len(given)
    reached = [(y, tangent) for y, tangent in zip(outputs, tangents, strict=True) if tangent is not None]
    asked = [tensor for tensor in given if tensor.requires_grad]
    if reached:
        found = torch.autograd.grad([y for y, _ in reached], asked, [g for _, g in reached], allow_unused=True)
        gradients = dict(zip(map(id, asked), found, strict=True))
        of = (gradients.get(id(tensor)) for tensor in given)
        recording.gradients = [None if gradient is None else recorder.value(gradient).number for gradient in of]


def _meta(tensor: Tensor, differentiable: bool) -> Tensor:
    made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return made.requires_grad_(differentiable and tensor.requires_grad)
