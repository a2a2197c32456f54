"""Operations of torch that a kernel computes to the bit: each is one rounding of IEEE arithmetic, or none.

What rounds in a way of its own - a tanh, a power, a sum - is not here: torch computes it, between two kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

aten = torch.ops.aten

C = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "fma": "FMA({0}, {1}, {2})",
    "neg": "-{0}",
    "abs": "fabsf({0})",
    "sqrt": "sqrtf({0})",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "xor": "{0} ^ {1}",
    "not": "!{0}",
    "where": "{0} ? {1} : {2}",
    "float": "(float){0}",
    "int": "(int){0}",
    "round": "rintf({0})",
    "bits": "bits_of({0})",
    "of bits": "float_of({0})",
}
"""An expression of each, in C; {0} is the first operand."""
LOGICAL = {"gt", "ge", "lt", "le", "eq", "ne", "and", "or", "xor", "not"}
"""Of truth values."""
INTEGER = {"int", "bits"}
"""Of 32 bits, of which nothing is computed: they become floats again."""

Make = Callable[..., Any]
"""(name, operands...) -> the operand that is the result; a number is an operand too."""
Rule = Callable[..., Any]
"""(make, the arguments that torch was given) -> the result, or None where the case is not known."""


def _plain(name: str) -> Rule:
    def rule(make: Make, *operands: Any) -> Any:
        return make(name, *operands)

    return rule


def _add(make: Make, a: Any, b: Any, alpha: float = 1) -> Any:
    return make("add", a, b) if alpha == 1 else make("fma", float(alpha), b, a)


def _sub(make: Make, a: Any, b: Any, alpha: float = 1) -> Any:
    return make("sub", a, b) if alpha == 1 else make("fma", -float(alpha), b, a)


def _reversed(make: Make, a: Any, b: Any, alpha: float = 1) -> Any:
    return _sub(make, b, a, alpha)


def _power(make: Make, a: Any, exponent: float) -> Any:
    return make("mul", a, a) if exponent == 2 else None


def _clamp(make: Make, a: Any, low: float | None = None, high: float | None = None) -> Any:
    """NaN stays."""
    if low is not None:
        a = make("where", make("lt", a, low), low, a)
    return a if high is None else make("where", make("gt", a, high), high, a)


def _at_least(make: Make, a: Any, low: float) -> Any:
    return _clamp(make, a, low)


def _at_most(make: Make, a: Any, high: float) -> Any:
    return _clamp(make, a, None, high)


def _relu(make: Make, a: Any) -> Any:
    return _clamp(make, a, 0.0)


def _filled(make: Make, a: Any, mask: Any, value: float) -> Any:
    return make("where", mask, value, a)


def _sigmoid_back(make: Make, gradient: Any, y: Any) -> Any:
    return make("mul", make("mul", gradient, make("sub", 1.0, y)), y)


RULES: dict[Any, Rule] = {
    aten.add.Tensor: _add,
    aten.add.Scalar: _add,
    aten.sub.Tensor: _sub,
    aten.sub.Scalar: _sub,
    aten.rsub.Scalar: _reversed,
    aten.rsub.Tensor: _reversed,
    aten.mul.Tensor: _plain("mul"),
    aten.mul.Scalar: _plain("mul"),
    aten.div.Tensor: _plain("div"),
    aten.div.Scalar: _plain("div"),
    aten.neg.default: _plain("neg"),
    aten.abs.default: _plain("abs"),
    aten.sqrt.default: _plain("sqrt"),
    aten.round.default: _plain("round"),
    aten.pow.Tensor_Scalar: _power,
    aten.clamp.default: _clamp,
    aten.clamp_min.default: _at_least,
    aten.clamp_max.default: _at_most,
    aten.relu.default: _relu,
    aten.sigmoid_backward.default: _sigmoid_back,
    aten.where.self: _plain("where"),
    aten.masked_fill.Scalar: _filled,
    aten.logical_not.default: _plain("not"),
    aten.bitwise_not.default: _plain("not"),
}
for _name in ("gt", "ge", "lt", "le", "eq", "ne"):
    RULES |= {getattr(getattr(aten, _name), kind): _plain(_name) for kind in ("Scalar", "Tensor")}
for _name in ("and", "or", "xor"):
    RULES[getattr(aten, f"logical_{_name}").default] = _plain(_name)
    RULES[getattr(aten, f"bitwise_{_name}").Tensor] = _plain(_name)
"""Their operands: full tensors, what is broadcast along them, numbers."""
SAME = {
    aten.squeeze.dims,
    aten.detach.default,
    aten.alias.default,
    aten.view.default,
    aten._unsafe_view.default,
    aten.clone.default,
    aten.unsqueeze.default,
    aten.squeeze.dim,
}
"""Whose result has the numbers of its first argument, in their order."""
CONSTANT = {
    aten.zeros_like.default: 0.0,
    aten.ones_like.default: 1.0,
    aten.new_zeros.default: 0.0,
    aten.new_ones.default: 1.0,
    aten.zeros.default: 0.0,
    aten.ones.default: 1.0,
}
