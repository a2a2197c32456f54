"""From a recording to kernels: what is computed value by value is put together, what is not stays torch's, in between.

A tensor of the size of the layer's frames is a list of lanes, one a timestep; a lane is an expression over the lanes of
others. Nothing is stored but what torch's own operations take or the layer gives out: the way back computes all else
again, in registers, from what it loads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.utils._pytree import tree_flatten, tree_map

from baselines.kernels.traced.arithmetic import CONSTANT, LOGICAL, RULES, SAME, aten
from baselines.kernels.traced.recorded import Form, Node, Recording, Unrecordable, Value

FORWARD, BACKWARD = 0, 1
UNIT, CHANNEL, FRAME = 0, 1, 2
"""What an expression has one value of: all that is computed, each channel, each element of the frames of one step."""


class Expression(NamedTuple):
    """`name` is an operation of `arithmetic.C` on other expressions, or one of these, on what `of` says:

    load (value, step), small (value, step or None), number (float)
    """

    name: str
    operands: tuple[int, ...] = ()
    of: tuple[Any, ...] = ()


class Place(NamedTuple):
    """A lane in memory."""

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
    calls: list[Call] = field(default_factory=list)
    stores: dict[int, list[Place]] = field(default_factory=dict)
    buffers: dict[int, None] = field(default_factory=dict)
    """Values that kernels write."""
    available: dict[int, int] = field(default_factory=dict)
    """Value -> the level from which on it is there."""
    kernels: list[Kernel] = field(default_factory=list)
    written: dict[int, int] = field(default_factory=dict)
    """Value -> the level of the kernel that writes it."""
    effects: int = 0
    """The level of the last operation that draws or keeps statistics: none may overtake another."""


class Lowering:
    """Raises Unrecordable for what has no place in it."""

    def __init__(self, recording: Recording, timesteps: int) -> None:
        self.recording, self.timesteps = recording, timesteps
        self.forms = recording.forms
        total, *frame = self.forms[recording.given[0]].shape
        self.frame = (total // timesteps, *frame)
        self.expressions: list[Expression] = []
        self.numbers: dict[Expression, int] = {}
        self.domains: list[int] = []
        """Of each expression."""
        self.lanes: dict[int, tuple[int, ...]] = {}
        self.first: dict[Any, int] = {}
        """Lanes -> the value that first had them."""
        self.same: dict[int, int] = {}
        self.seen: dict[Any, tuple[int | None, ...]] = {}
        self.stops: tuple[dict[int, Place], dict[int, Place]] = ({}, {})
        self.phases = (Phase(), Phase())
        for number in recording.given:
            self.phases[FORWARD].available[number] = 0
            self._full(FORWARD, number, number == recording.given[0])
        self._lower(FORWARD, recording.nodes[: recording.turn], recording.outputs)
        self.phases[BACKWARD].available = dict.fromkeys(self.phases[FORWARD].available, 0)
        for tangent in recording.tangents:
            if tangent is not None:
                self.phases[BACKWARD].available[tangent] = 0
                self._full(BACKWARD, tangent)
        self._lower(BACKWARD, recording.nodes[recording.turn :], [g for g in recording.gradients if g is not None])

    # --- expressions

    def _make(self, name: str, *operands: Any) -> int:
        numbers = tuple(o if isinstance(o, int) else self._intern(Expression("number", of=(float(o), str(float(o))))) for o in operands)
        return self._intern(Expression(name, numbers))

    def _intern(self, expression: Expression) -> int:
        if expression not in self.numbers:
            self.numbers[expression] = len(self.expressions)
            self.expressions.append(expression)
            own = {"load": lambda: self.domain_of(expression.of[0]), "small": lambda: FRAME, "number": lambda: UNIT}
            below = (self.domains[operand] for operand in expression.operands)
            self.domains.append(own[expression.name]() if expression.name in own else max(below, default=UNIT))  # type: ignore[arg-type]
        return self.numbers[expression]

    def logical(self, number: int) -> bool:
        expression = self.expressions[number]
        if expression.name == "where":
            return self.logical(expression.operands[1])
        return expression.name in LOGICAL

    # --- tensors

    def steps_of(self, number: int) -> int | None:
        """How many lanes a tensor of this form has; None for one that is no frame."""
        shape = self.forms[number].shape
        if shape == self.frame:
            return 1
        whole = (self.timesteps * self.frame[0], *self.frame[1:])
        return self.timesteps if shape in (whole, (self.timesteps, *self.frame)) else None

    def domain_of(self, number: int) -> int | None:
        """Of a value that has lanes; None for one that has none."""
        form = self.forms[number]
        if self.steps_of(number) is not None:
            return FRAME
        if math.prod(form.shape) == 1:
            return UNIT
        channel = form.shape[-3:] == (self.frame[1], 1, 1) and math.prod(form.shape) == self.frame[1]
        return CHANNEL if channel and form.stride[-3] == 1 else None

    def _full(self, phase: int, number: int, frames: bool = True) -> None:
        """It is in memory, and its lanes are loaded; only `frames` may be what a step or all of them have."""
        form, steps, domain = self.forms[number], self.steps_of(number), self.domain_of(number)
        if domain is None or form.dtype != torch.float32 or (domain == FRAME and not frames):
            return
        if domain != FRAME:
            self._let(number, (self._intern(Expression("load", of=(number, 0))),))
            return
        there = number if lies_as_channels_last(form) else self._relaid(phase, number, form)
        self._let(number, tuple(self._intern(Expression("load", of=(there, t))) for t in range(steps or 0)))

    def _let(self, number: int, lanes: tuple[int, ...]) -> None:
        self.lanes[number] = lanes
        form = self.forms[number]
        self.first.setdefault((lanes, form), number)

    def _relaid(self, phase: int, source: int, form: Form) -> int:
        """A new value, `source` in channels-last order."""
        here, made = self.phases[phase], len(self.forms)
        self.forms.append(Form(form.shape, channels_last(form.shape), form.dtype))
        here.available[made] = here.available[source]
        self._copy(phase, source, made)
        return made

    def _copy(self, phase: int, source: int, target: int) -> None:
        stride = self.forms[target].stride
        node = Node(relay, (Value(source), stride), {}, (target,), True)
        self.phases[phase].calls.append(Call(node, self.phases[phase].available[target], {source: None}))

    def _lower(self, phase: int, nodes: Sequence[Node], outputs: Sequence[int]) -> None:
        for node in nodes:
            lanes = self._structure(phase, node) or self._arithmetic(phase, node)
            if lanes is None:
                self._call(phase, node)
            elif isinstance(lanes, list):
                for number, each in zip(node.outputs, lanes, strict=True):
                    self._let(number, each)  # type: ignore[arg-type]
        for number in outputs:
            self._materialise(phase, self._root(number), keep=False)
        kinds = sorted({(self._level(phase, e), max(self.domains[e], d)) for e, places in self.phases[phase].stores.items() for d in {self.domain_of(p.value) or 0 for p in places}})  # fmt: skip
        self.phases[phase].kernels = [self._kernel(phase, *kind) for kind in kinds]

    def _root(self, number: int) -> int:
        if number in self.lanes:
            return self.first[self.lanes[number], self.forms[number]]
        while number in self.same:
            number = self.same[number]
        return number

    def _structure(self, phase: int, node: Node) -> list[tuple[int, ...]] | bool | None:
        """Lanes of the results of an operation that computes nothing; None for another."""
        name, args = node.operation, node.args
        given = args[0] if args else None
        if name in CONSTANT and (steps := self.steps_of(node.outputs[0])) is not None:  # type: ignore[arg-type]
            zero = self._intern(Expression("number", of=(CONSTANT[name], str(CONSTANT[name]))))
            return [(zero,) * steps]
        if name is aten.cat.default or name is aten.stack.default:
            return self._joined(node)
        if not isinstance(given, Value) or given.number not in self.lanes:
            return self._expanded(phase, node)
        lanes, out = self.lanes[given.number], node.outputs[0]
        if name is aten.expand.default and self.domain_of(given.number) != FRAME:
            return self._expanded(phase, node)
        if name in SAME and self.domain_of(given.number) == self.domain_of(out) and (self.steps_of(out) or 1) == len(lanes):  # type: ignore[arg-type]
            return [lanes]
        if name is aten._to_copy.default and self.forms[out].dtype == torch.float32:  # type: ignore[index]
            return [tuple(self._make("float", e) if self.logical(e) else e for e in lanes)]
        if name is aten.select.int and self._over_steps(given.number, args[1]):
            return [(lanes[args[2]],)]
        if name is aten.unbind.int and self._over_steps(given.number, args[1] if len(args) > 1 else 0):
            return [(lane,) for lane in lanes]
        if name is aten.slice.Tensor and len(args) <= 4 and args[1] == 0 and self.steps_of(given.number):
            every = 1 if len(self.forms[given.number].shape) == 5 else self.frame[0]
            bounds = (args[2], min(args[3], every * len(lanes)))
            if any(bound % every for bound in bounds):
                return None
            part = lanes[bounds[0] // every : bounds[1] // every]
            return [part] if self.steps_of(out) == len(part) else None  # type: ignore[arg-type]
        return None

    def _over_steps(self, number: int, dim: int) -> bool:
        return dim == 0 and self.forms[number].shape == (self.timesteps, *self.frame)

    def _joined(self, node: Node) -> list[tuple[int, ...]] | None:
        parts = [part.number for part in node.args[0]]
        along = node.args[1] if len(node.args) > 1 else 0
        if along != 0 or not all(part in self.lanes for part in parts):
            return None
        lanes = tuple(lane for part in parts for lane in self.lanes[part])
        return [lanes] if self.steps_of(node.outputs[0]) == len(lanes) else None  # type: ignore[arg-type]

    def _expanded(self, phase: int, node: Node) -> list[tuple[int, ...]] | None:
        """What is broadcast to a frame."""
        if node.operation is not aten.expand.default or self.steps_of(node.outputs[0]) is None:  # type: ignore[arg-type]
            return None
        small = [self._operand(phase, node.args[0], t) for t in range(self.steps_of(node.outputs[0]))]  # type: ignore[arg-type]
        return None if None in small else [tuple(small)]  # type: ignore[arg-type]

    def _arithmetic(self, phase: int, node: Node) -> list[tuple[int, ...]] | None:
        rule, out = RULES.get(node.operation), node.outputs[0]
        told = [*node.args, *node.kwargs.values()]
        if rule is None or not any(isinstance(part, Value) and part.number in self.lanes for part in told):
            return None
        domain, lanes = self.domain_of(out), list[int]()  # type: ignore[arg-type]
        if domain is None or self.forms[out].dtype not in (torch.float32, torch.bool):  # type: ignore[index]
            return None
        for t in range(self.steps_of(out) or 1):  # type: ignore[arg-type]
            if domain == FRAME:
                operands = [self._operand(phase, part, t) for part in node.args]
            else:
                operands = [self._small(part) for part in node.args]
            if any(o is None and part is not None for o, part in zip(operands, node.args, strict=True)):
                return None
            lane = rule(self._make, *operands, **node.kwargs)
            if lane is None:
                return None
            lanes.append(lane)
        return [tuple(lanes)]

    def _small(self, part: Any) -> Any:
        """The same among what is broadcast."""
        if isinstance(part, bool | int | float):
            return float(part)
        return self.lanes[part.number][0] if isinstance(part, Value) and part.number in self.lanes else None

    def _operand(self, phase: int, part: Any, step: int) -> Any:
        """An expression for lane `step` of an argument, or a number; None for what is neither."""
        if isinstance(part, bool | int | float):
            return float(part)
        if not isinstance(part, Value):
            return None
        if part.number in self.lanes and self.domain_of(part.number) == FRAME:
            lanes = self.lanes[part.number]
            return lanes[step if len(lanes) > 1 else 0]
        form = self.forms[part.number]
        if form.dtype != torch.float32:
            return None
        if part.number in self.lanes:
            lane = self.lanes[part.number][0]
            if self.expressions[lane].name == "number":
                return lane
            self._materialise(phase, self._root(part.number), keep=True)
        leading, spread = form.shape[:-3], form.shape[-3:]
        whole = self.frame[1:]
        if any(n not in (1, m) for n, m in zip(spread[::-1], whole[::-1], strict=False)):
            return None
        many = [n for n in leading if n != 1]
        if not many:
            return self._intern(Expression("small", of=(self._root(part.number), None)))
        if leading[0] == self.timesteps and len(many) == 1 and len(leading) == 2:
            return self._intern(Expression("small", of=(self._root(part.number), step)))
        return None

    # --- torch's own operations

    def _call(self, phase: int, node: Node) -> None:
        taken = [part.number for part in tree_flatten((node.args, node.kwargs))[0] if isinstance(part, Value)]
        full = [number for number in taken if number in self.lanes]
        special = torch.Tag.nondeterministic_seeded in node.operation.tags or "batch_norm" in str(node.operation)
        if not any(self.domain_of(number) == FRAME for number in full) and not special and self._known(node):
            return
        here = self.phases[phase]
        level = max((self._materialise(phase, self._root(number), keep=True) + 1 for number in full), default=0)
        level = max([level, *(here.available[self._root(number)] for number in taken if number not in self.lanes)])
        if special:
            level = here.effects = max(level, here.effects)
        renamed = tree_map(lambda part: Value(self._root(part.number)) if isinstance(part, Value) else part, (node.args, node.kwargs))  # fmt: skip
        node = Node(node.operation, *renamed, node.outputs, node.single)
        here.calls.append(Call(node, level, dict.fromkeys(self._root(number) for number in taken)))
        for number in node.outputs:
            if number is not None:
                here.available[number] = level
                self._full(phase, number)

    def _known(self, node: Node) -> bool:
        """Whether the same was computed already: then its results are these."""
        renamed = tree_map(lambda part: Value(self._root(part.number)) if isinstance(part, Value) else part, (node.args, node.kwargs))  # fmt: skip
        key = repr((node.operation, renamed))
        before = self.seen.setdefault(key, node.outputs)
        if before is node.outputs:
            return False
        for number, twin in zip(node.outputs, before, strict=True):
            if number is not None and twin is not None:
                self.same[number] = twin
                if twin in self.lanes:
                    self._let(number, self.lanes[twin])
        return True

    def _materialise(self, phase: int, number: int, keep: bool) -> int:
        """The level of the kernel after which `number` is in memory, -1 if it is there from the start; `keep` for other
        kernels too."""
        here = self.phases[phase]
        if number in here.written:
            return here.written[number]
        if number not in self.lanes or number in here.available:
            return here.available[self._root(number)] - 1
        form = self.forms[number]
        if form.dtype != torch.float32:
            raise Unrecordable(f"{form.dtype} between two kernels")
        lanes, place, frames = self.lanes[number], number, self.domain_of(number) == FRAME
        if frames and not lies_as_channels_last(form):
            place = len(self.forms)
            self.forms.append(Form(form.shape, channels_last(form.shape), form.dtype))
        last = max(self._level(phase, lane) for lane in lanes)
        for t, lane in enumerate(lanes):
            here.stores.setdefault(lane, []).append(Place(place, t))
            if keep and self.expressions[lane].name not in ("load", "small", "number"):
                self.stops[phase].setdefault(lane, Place(place, t))
        here.buffers[place] = None
        here.available[place] = here.available[number] = last + frames
        here.written[place] = here.written[number] = last
        if place != number:
            self._copy(phase, place, number)
        return last

    def _level(self, phase: int, number: int) -> int:
        known = self.__dict__.setdefault(f"_levels_{phase}", {})
        if number in known:
            return known[number]
        name, operands, of = self.expressions[number]
        available = self.phases[phase].available
        if name in ("load", "small"):
            level = available[of[0]]
        elif phase == BACKWARD and number in self.stops[FORWARD]:
            level = 0
        else:
            level = max((self._level(phase, operand) for operand in operands), default=0)
        known[number] = level
        return level

    # --- kernels

    def _kernel(self, phase: int, level: int, domain: int) -> Kernel:
        stores = {
            e: there
            for e, places in self.phases[phase].stores.items()
            if self._level(phase, e) == level
            and (there := [p for p in places if max(self.domains[e], self.domain_of(p.value) or 0) == domain])
        }
        kernel, needed = Kernel(level, domain, stores), set[int]()
        pending = list(stores)
        while pending:
            number = pending.pop()
            if number in needed or number in kernel.loads:
                continue
            place = self._in_memory(phase, level, number)
            if place is not None:
                kernel.loads[number] = place
                continue
            needed.add(number)
            pending.extend(self.expressions[number].operands)
        kernel.order = sorted(needed)
        return kernel

    def _in_memory(self, phase: int, level: int, number: int) -> Place | None:
        expression = self.expressions[number]
        if expression.name == "load":
            return Place(*expression.of)
        if phase == BACKWARD and number in self.stops[FORWARD]:
            return self.stops[FORWARD][number]
        place = self.stops[phase].get(number)
        return place if place is not None and self._level(phase, number) < level else None

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
                taken |= dict.fromkeys(place.value for place in step.loads.values())
                smalls = (self.expressions[e] for e in step.order)
                taken |= dict.fromkeys(e.of[0] for e in smalls if e.name == "small")
        taken |= dict.fromkeys(self._root(g) for g in self.recording.gradients if g is not None)
        return [number for number in taken if number in self.phases[FORWARD].available]


def channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of frames (…, C, H, W) whose channels lie side by side."""
    channels, height, width = shape[-3:]
    strides = [1, width * channels, channels]
    step = channels * height * width
    for n in reversed(shape[:-3]):
        strides.insert(0, step)
        step *= n
    return tuple(strides)


def lies_as_channels_last(form: Form) -> bool:
    wanted = channels_last(form.shape)
    return all(n == 1 or have == want for n, have, want in zip(form.shape, form.stride, wanted, strict=True))


def relay(tensor: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """The same numbers in another order of memory."""
    return torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype).copy_(tensor)
