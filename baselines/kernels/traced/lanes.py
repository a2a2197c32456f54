"""Tensors of a recording as lanes: what is computed value by value, as expressions of one value.

A tensor of the size of the layer's frames has a lane a timestep; what has one value a channel, or one at all, has one
lane. Operations that only move lanes - views, a choice of steps, a concatenation of them - leave no expression.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from baselines.kernels.traced.arithmetic import CONSTANT, INTEGER, LOGICAL, RULES, SAME, aten
from baselines.kernels.traced.recorded import Form, Node, Recording, Value

UNIT, CHANNEL, FRAME = 0, 1, 2
"""What an expression has one value of: the whole layer, a channel, an element of the frames of one step."""


class Expression(NamedTuple):
    """`name` is an operation of `arithmetic.C` on other expressions, or one of these, on what `of` says:

    load (value, step), small (value, step or None: along a frame), number (itself, and as text: -0.0 is not 0.0)
    """

    name: str
    operands: tuple[int, ...] = ()
    of: tuple[Any, ...] = ()


class Lanes:
    """Expressions are known by their numbers; equal ones are one."""

    def __init__(self, recording: Recording, timesteps: int) -> None:
        self.recording, self.forms, self.timesteps = recording, recording.forms, timesteps
        total, *frame = self.forms[recording.given[0]].shape
        self.frame = (total // timesteps, *frame)
        self.expressions: list[Expression] = []
        self.domains: list[int] = []
        """Of each expression."""
        self.lanes: dict[int, tuple[int, ...]] = {}
        self._numbers: dict[Expression, int] = {}
        self._first: dict[tuple[tuple[int, ...], Form], int] = {}
        """Lanes -> the value that first had them."""
        self.same: dict[int, int] = {}
        """Value without lanes -> the one that was computed from the same before."""

    def broadcast(self, phase: int, number: int) -> None:
        """A kernel over frames is to read `number`."""
        raise NotImplementedError

    # --- expressions

    def make(self, name: str, *operands: Any) -> int:
        """Of numbers of expressions (int) and numbers (float)."""
        return self._intern(Expression(name, tuple(o if isinstance(o, int) else self.number(o) for o in operands)))

    def number(self, value: float) -> int:
        return self._intern(Expression("number", of=(float(value), str(float(value)))))

    def load(self, number: int, step: int) -> int:
        return self._intern(Expression("load", of=(number, step)))

    def _intern(self, expression: Expression) -> int:
        if expression not in self._numbers:
            self._numbers[expression] = len(self.expressions)
            self.expressions.append(expression)
            self.domains.append(self._domain(expression))
        return self._numbers[expression]

    def _domain(self, expression: Expression) -> int:
        if expression.name == "load":
            domain = self.domain_of(expression.of[0])
            assert domain is not None, "only what has lanes is loaded"
            return domain
        below = (self.domains[operand] for operand in expression.operands)
        return FRAME if expression.name == "small" else max(below, default=UNIT)

    def logical(self, number: int) -> bool:
        """Whether it is a truth value."""
        expression = self.expressions[number]
        return self.logical(expression.operands[1]) if expression.name == "where" else expression.name in LOGICAL

    def binary(self, number: int) -> bool:
        """Whether a float is 0 or 1: a truth value as one, or that very number."""
        name, operands, of = self.expressions[number]
        return (name == "float" and self.logical(operands[0])) or (name == "number" and of[0] in (0.0, 1.0))

    def integer(self, number: int) -> bool:
        return self.expressions[number].name in INTEGER

    # --- tensors

    def steps_of(self, number: int | None) -> int | None:
        """Lanes of a tensor of frames; None for another."""
        if number is None:
            return None
        shape = self.forms[number].shape
        if shape == self.frame:
            return 1
        whole = (self.timesteps * self.frame[0], *self.frame[1:])
        return self.timesteps if shape in (whole, (self.timesteps, *self.frame)) else None

    def domain_of(self, number: int | None) -> int | None:
        """None for what cannot have lanes."""
        if number is None or self.steps_of(number) is not None:
            return None if number is None else FRAME
        form = self.forms[number]
        if math.prod(form.shape) == 1:
            return UNIT
        channel = form.shape[-3:] == (self.frame[1], 1, 1) and math.prod(form.shape) == self.frame[1]
        return CHANNEL if channel and form.stride[-3] == 1 else None

    def let(self, number: int, lanes: tuple[int, ...]) -> None:
        self.lanes[number] = lanes
        self._first.setdefault((lanes, self.forms[number]), number)

    def root(self, number: int) -> int:
        """The first value that is the same."""
        if number in self.lanes:
            return self._first[self.lanes[number], self.forms[number]]
        while number in self.same:
            number = self.same[number]
        return number

    # --- operations

    def lowered(self, phase: int, node: Node) -> list[tuple[int, ...]] | None:
        """Lanes of the results of `node`; None where torch is to compute it."""
        found = self._structure(phase, node)
        return self._arithmetic(phase, node) if found is None else found

    def _structure(self, phase: int, node: Node) -> list[tuple[int, ...]] | None:
        """Of an operation that computes nothing."""
        name, args, out = node.operation, node.args, node.outputs[0]
        if name in CONSTANT and (steps := self.steps_of(out)) is not None:
            return [(self.number(CONSTANT[name]),) * steps]
        if name in (aten.cat.default, aten.stack.default):
            return self._joined(node)
        given = args[0] if args else None
        if name is aten.expand.default and (not isinstance(given, Value) or self._kind(given) != FRAME):
            return self._expanded(phase, node)
        if not isinstance(given, Value) or given.number not in self.lanes:
            return None
        lanes, kind = self.lanes[given.number], self.domain_of(given.number)
        if name in SAME and kind == self.domain_of(out) and len(lanes) == (self.steps_of(out) or 1):
            return [lanes]
        if name in (aten._to_copy.default, aten.view.dtype) and out is not None:
            return self._converted(name is aten.view.dtype, lanes, self.forms[out].dtype)
        return self._chosen(node, given.number, lanes) if kind == FRAME else None

    def _converted(self, by_bits: bool, lanes: tuple[int, ...], dtype: torch.dtype) -> list[tuple[int, ...]] | None:
        """From one type to another."""
        integer, logical = self.integer(lanes[0]), self.logical(lanes[0])
        if dtype == torch.float32:
            name = "of bits" if by_bits and integer else "float" if integer or logical else ""
        elif dtype == torch.int32 and not integer and not logical:
            name = "bits" if by_bits else "int"
        else:
            return None
        return [tuple(self.make(name, lane) if name else lane for lane in lanes)]

    def _kind(self, value: Value) -> int | None:
        return self.domain_of(value.number) if value.number in self.lanes else None

    def _chosen(self, node: Node, given: int, lanes: tuple[int, ...]) -> list[tuple[int, ...]] | None:
        """Some of the steps."""
        name, args, shape = node.operation, node.args, self.forms[given].shape
        along = args[1] if len(args) > 1 else 0
        if along != 0:
            return None
        if name is aten.slice.Tensor and len(args) == 4:
            every = 1 if len(shape) == 5 else self.frame[0]
            first, last = args[-2], min(args[-1], every * len(lanes))
            part = lanes[first // every : last // every]
            whole = first % every == last % every == 0 and self.steps_of(node.outputs[0]) == len(part)
            return [part] if whole else None
        if shape != (self.timesteps, *self.frame):
            return None
        if name is aten.select.int:
            return [(lanes[node.args[2]],)]
        return [(lane,) for lane in lanes] if name is aten.unbind.int else None

    def _joined(self, node: Node) -> list[tuple[int, ...]] | None:
        parts = [part.number for part in node.args[0]]
        along = node.args[1] if len(node.args) > 1 else 0
        if along != 0 or not all(part in self.lanes and self.domain_of(part) == FRAME for part in parts):
            return None
        lanes = tuple(lane for part in parts for lane in self.lanes[part])
        return [lanes] if self.steps_of(node.outputs[0]) == len(lanes) else None

    def _expanded(self, phase: int, node: Node) -> list[tuple[int, ...]] | None:
        """What is broadcast to frames."""
        steps = self.steps_of(node.outputs[0])
        small = [self._operand(phase, node.args[0], t) for t in range(steps or 0)]
        return [tuple(small)] if small and None not in small else None

    def _arithmetic(self, phase: int, node: Node) -> list[tuple[int, ...]] | None:
        rule, out = RULES.get(node.operation), node.outputs[0]
        known = any(isinstance(part, Value) and part.number in self.lanes for part in node.args)
        if rule is None or out is None or not known:
            return None
        domain = self.domain_of(out)
        if domain is None or self.forms[out].dtype not in (torch.float32, torch.bool):
            return None
        lanes = list[int]()
        for t in range(self.steps_of(out) or 1):
            small = domain != FRAME
            operands = [self._small(part) if small else self._operand(phase, part, t) for part in node.args]
            if any(o is None and part is not None for o, part in zip(operands, node.args, strict=True)):
                return None
            if any(isinstance(o, int) and self.integer(o) for o in operands):
                return None
            lane = rule(self.make, *operands, **node.kwargs)
            if lane is None:
                return None
            lanes.append(lane)
        return [tuple(lanes)]

    def _small(self, part: Any) -> Any:
        """An argument among what is broadcast: its expression, or a number; None for what is neither."""
        if isinstance(part, bool | int | float):
            return float(part)
        return self.lanes[part.number][0] if isinstance(part, Value) and part.number in self.lanes else None

    def _operand(self, phase: int, part: Any, step: int) -> Any:
        """The same of a step's frames."""
        if isinstance(part, bool | int | float):
            return float(part)
        if not isinstance(part, Value):
            return None
        if self._kind(part) == FRAME:
            lanes = self.lanes[part.number]
            return lanes[step if len(lanes) > 1 else 0]
        if part.number in self.lanes and self.expressions[lane := self.lanes[part.number][0]].name == "number":
            return lane
        along = self._along(self.forms[part.number], step)
        if along is False:
            return None
        self.broadcast(phase, part.number)
        return self._intern(Expression("small", of=(self.root(part.number), along)))

    def _along(self, form: Form, step: int) -> int | bool | None:
        """Which part of a tensor of this form is broadcast along the frames of `step`: None is all, False none."""
        leading, spread = form.shape[:-3], form.shape[-3:]
        fits = all(n in (1, m) for n, m in zip(spread[::-1], self.frame[:0:-1], strict=False))
        if not fits or form.dtype != torch.float32:
            return False
        if math.prod(leading) == 1:
            return None
        return step if len(leading) == 2 and leading == (self.timesteps, 1) else False
