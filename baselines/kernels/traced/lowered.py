"""From a recording to kernels: what is computed value by value is put together, what is not stays torch's, in between.

Nothing of the size of the frames is stored but what torch's own operations take, and what the layer gives out: the way
back computes all else again, in registers, from what it loads. Kernels and operations have levels: those of one level
need only what those below have left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from baselines.kernels.traced.lanes import FRAME, UNIT, Lanes
from baselines.kernels.traced.recorded import Form, Node, Recording, Unrecordable, Value
from baselines.parts.spread import partial_sums

FORWARD, BACKWARD = 0, 1


SUM = -2


class Place(NamedTuple):
    """A lane in memory; of what is broadcast, a step or -1; `SUM`: of a lane, only its sums over blocks of rows."""

    value: int
    step: int


@dataclass
class Call:
    """An operation of torch's own."""

    node: Node
    level: int
    given: dict[int, None]
    """Values that it takes."""


@dataclass
class Kernel:
    """Expressions that are computed in one pass over memory, and where they go."""

    level: int
    domain: int
    stores: dict[int, list[Place]]
    loads: dict[int, Place] = field(default_factory=dict)
    """Expressions that stand in memory."""
    order: list[int] = field(default_factory=list)
    """What is computed, in order."""


@dataclass
class Phase:
    """The way forward, or back."""

    calls: list[Call] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)
    stores: dict[int, list[Place]] = field(default_factory=dict)
    stops: dict[int, Place] = field(default_factory=dict)
    """Expressions that later kernels load."""
    buffers: dict[int, None] = field(default_factory=dict)
    """Values that kernels write."""
    available: dict[int, int] = field(default_factory=dict)
    """Value -> the level from which on it is there."""
    written: dict[int, int] = field(default_factory=dict)
    """Value -> the level of the kernel that writes it."""
    levels: dict[int, int] = field(default_factory=dict)
    """Expression -> its level."""
    effects: int = 0
    """The level of the last operation that draws or keeps statistics: none may overtake another."""


class Lowering(Lanes):
    """Raises Unrecordable for what has no place in it."""

    def __init__(self, recording: Recording, timesteps: int) -> None:
        super().__init__(recording, timesteps)
        self.phases = forward, backward = Phase(), Phase()
        self._seen: dict[str, tuple[int | None, ...]] = {}
        for number in recording.given:
            forward.available[number] = 0
            if number in recording.frames or self.domain_of(number) != FRAME:
                self._there(FORWARD, number)
        self._lower(FORWARD, recording.nodes[: recording.turn], recording.outputs)
        backward.available = dict.fromkeys(forward.available, 0)
        for tangent in recording.tangents:
            if tangent is not None:
                backward.available[tangent] = 0
                self._there(BACKWARD, tangent)
        self._lower(BACKWARD, recording.nodes[recording.turn :], [g for g in recording.gradients if g is not None])

    def _lower(self, phase: int, nodes: Sequence[Node], outputs: Sequence[int]) -> None:
        here = self.phases[phase]
        for node in nodes:
            lanes = self.lowered(phase, node)
            if lanes is None:
                if not self._added_up(phase, node):
                    self._call(phase, node)
                continue
            for number, each in zip(node.outputs, lanes, strict=True):
                self.let(number, each)  # type: ignore[arg-type]
        for number in outputs:
            self._materialise(phase, self.root(number), keep=False)
        kinds = {(self._level(phase, e), self._domain_at(e, p)) for e, places in here.stores.items() for p in places}
        here.kernels = [self._kernel(phase, *kind) for kind in sorted(kinds)]

    def broadcast(self, phase: int, number: int) -> None:
        if number in self.lanes:
            self._materialise(phase, self.root(number), keep=True)

    def _there(self, phase: int, number: int) -> None:
        """It is in memory: lanes are loaded from there."""
        form, domain = self.forms[number], self.domain_of(number)
        if domain is None or form.dtype != torch.float32:
            return
        if domain != FRAME or lies_as_channels_last(form):
            self.let(number, tuple(self.load(number, t) for t in range(self.steps_of(number) or 1)))
            return
        ordered = self._another(form)
        self._relay(phase, number, ordered, self.phases[phase].available[number])
        self.let(number, tuple(self.load(ordered, t) for t in range(self.steps_of(number) or 1)))

    def _another(self, form: Form) -> int:
        """A new value of this form, channels-last."""
        self.forms.append(Form(form.shape, channels_last(form.shape), form.dtype))
        return len(self.forms) - 1

    def _relay(self, phase: int, source: int, target: int, level: int) -> None:
        node = Node(relaid, (Value(source), self.forms[target].stride), {}, (target,), True)
        self.phases[phase].calls.append(Call(node, level, {source: None}))
        self.phases[phase].available[target] = level

    def _added_up(self, phase: int, node: Node) -> bool:
        """Sums over rows of what a kernel computes, which it adds up as it goes; False for another operation."""
        lanes = self.lanes.get(node.args[0].number, ()) if node.operation is partial_sums else ()
        if len(lanes) != 1 or self.domains[lanes[0]] != FRAME:
            return False
        here, (number,), level = self.phases[phase], node.outputs, self._level(phase, lanes[0])
        assert number is not None
        here.stores.setdefault(lanes[0], []).append(Place(number, SUM))
        here.buffers[number] = None
        here.available[number], here.written[number] = level + 1, level
        return True

    # --- torch's own operations

    def _call(self, phase: int, node: Node) -> None:
        here = self.phases[phase]
        taken = [part.number for part in tree_flatten((node.args, node.kwargs))[0] if isinstance(part, Value)]
        effect = torch.Tag.nondeterministic_seeded in node.operation.tags or "batch_norm" in str(node.operation)
        named: Any = tree_map(self._named, (node.args, node.kwargs))
        frames = any(number in self.lanes and self.domain_of(number) == FRAME for number in taken)
        if not effect and not frames and self._known(node, repr((node.operation, named))):
            return
        level = max((self._ready(phase, number) for number in taken), default=0)
        if effect:
            level = here.effects = max(level, here.effects)
        called = Node(node.operation, named[0], named[1], node.outputs, node.single)
        here.calls.append(Call(called, level, dict.fromkeys(self.root(number) for number in taken)))
        for number in node.outputs:
            if number is not None:
                here.available[number] = level
                self._there(phase, number)

    def _named(self, part: object) -> object:
        return Value(self.root(part.number)) if isinstance(part, Value) else part

    def _ready(self, phase: int, number: int) -> int:
        """The level of an operation that takes `number`."""
        if number in self.lanes:
            return self._materialise(phase, self.root(number), keep=True) + 1
        return self.phases[phase].available[self.root(number)]

    def _known(self, node: Node, told: str) -> bool:
        """Whether the same was computed already: then its results are these."""
        before = self._seen.setdefault(told, node.outputs)
        if before is node.outputs:
            return False
        for number, twin in zip(node.outputs, before, strict=True):
            if number is not None and twin is not None:
                self.same[number] = twin
                if twin in self.lanes:
                    self.let(number, self.lanes[twin])
        return True

    # --- memory

    def _materialise(self, phase: int, number: int, keep: bool) -> int:
        """The level of the kernel after which `number` is in memory, -1 if it is there from the start; `keep` for other
        kernels too."""
        here = self.phases[phase]
        if number in here.written:
            return here.written[number]
        if number not in self.lanes or number in here.available:
            return here.available[number] - 1
        form, lanes, frames = self.forms[number], self.lanes[number], self.domain_of(number) == FRAME
        if form.dtype != torch.float32:
            raise Unrecordable(f"{form.dtype} between two kernels")
        place = number if not frames or lies_as_channels_last(form) else self._another(form)
        last = max(self._level(phase, lane) for lane in lanes)
        for t, lane in enumerate(lanes):
            here.stores.setdefault(lane, []).append(Place(place, t))
            if keep and self.expressions[lane].name not in ("load", "small", "number"):
                here.stops.setdefault(lane, Place(place, t))
        here.buffers[place] = None
        for each in (place, number):
            here.available[each], here.written[each] = last + frames, last
        if place != number:
            self._relay(phase, place, number, last + 1)
        return last

    def _level(self, phase: int, number: int) -> int:
        here = self.phases[phase]
        if number not in here.levels:
            name, operands, of = self.expressions[number]
            if name in ("load", "small"):
                level = here.available[of[0]]
            elif phase == BACKWARD and number in self.phases[FORWARD].stops:
                level = 0
            else:
                level = max((self._level(phase, operand) for operand in operands), default=0)
            here.levels[number] = level
        return here.levels[number]

    def writes(self, number: int) -> bool:
        """Whether kernels of the way forward write this very value of frames, where it is to lie."""
        written = self.root(number) == number and number in self.phases[FORWARD].written
        return written and lies_as_channels_last(self.forms[number])

    # --- kernels

    def _domain_at(self, number: int, place: Place) -> int:
        """Of the kernel that stores an expression there."""
        return max(self.domains[number], self.domain_of(place.value) or UNIT)

    def _kernel(self, phase: int, level: int, domain: int) -> Kernel:
        stores = {
            e: there
            for e, places in self.phases[phase].stores.items()
            if self._level(phase, e) == level and (there := [p for p in places if self._domain_at(e, p) == domain])
        }
        kernel, needed, pending = Kernel(level, domain, stores), set[int](), list(stores)
        while pending:
            number = pending.pop()
            if number in needed or number in kernel.loads:
                continue
            if (place := self._in_memory(phase, level, number)) is not None:
                kernel.loads[number] = place
                continue
            needed.add(number)
            pending.extend(self.expressions[number].operands)
        kernel.order = sorted(needed)
        return kernel

    def _in_memory(self, phase: int, level: int, number: int) -> Place | None:
        expression, here = self.expressions[number], self.phases[phase]
        if expression.name == "load":
            return Place(*expression.of)
        if phase == BACKWARD and number in self.phases[FORWARD].stops:
            return self.phases[FORWARD].stops[number]
        return here.stops.get(number) if self._level(phase, number) < level else None

    def schedule(self, phase: int) -> Iterator[Call | Kernel]:
        """In the order of computing."""
        here = self.phases[phase]
        for level in range(max([0, *(each.level for each in (*here.kernels, *here.calls))]) + 1):
            yield from (call for call in here.calls if call.level == level)
            yield from (kernel for kernel in here.kernels if kernel.level == level)

    def kept(self) -> list[int]:
        """Values of the way forward that the way back takes."""
        taken = dict[int, None]()
        for step in self.schedule(BACKWARD):
            if isinstance(step, Call):
                taken |= step.given
            else:
                smalls = (self.expressions[e] for e in step.order)
                taken |= dict.fromkeys(place.value for place in step.loads.values())
                taken |= dict.fromkeys(e.of[0] for e in smalls if e.name == "small")
        taken |= dict.fromkeys(self.root(g) for g in self.recording.gradients if g is not None)
        return [number for number in taken if number in self.phases[FORWARD].available]


def channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of frames (…, C, H, W) whose channels lie side by side."""
    channels, height, width = shape[-3:]
    strides, step = [1, width * channels, channels], channels * height * width
    for n in reversed(shape[:-3]):
        strides.insert(0, step)
        step *= n
    return tuple(strides)


def lies_as_channels_last(form: Form) -> bool:
    wanted = channels_last(form.shape)
    return all(n == 1 or have == want for n, have, want in zip(form.shape, form.stride, wanted, strict=True))


def relaid(tensor: Tensor, stride: tuple[int, ...]) -> Tensor:
    """The same numbers in another order of memory."""
    return torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype).copy_(tensor)
