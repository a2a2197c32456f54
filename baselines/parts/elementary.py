"""Roots and exponentials that a kernel computes to the bit, in registers (`kernels/traced/`).

In float32 they are sums, products, quotients and choices alone, each rounded once, so that the loop and what is made of
its recording cannot differ; torch's own, which no kernel repeats, would have to stand between two of them. In float64
they are torch's own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

GUESS = 1419967116.0
"""Less a third of the bits of x: the bits of x^(-1/3), to 5 %."""
LONG_LN2, SHORT_LN2 = 0.693359375, math.log(2) - 0.693359375
"""Their sum is ln 2; a multiple of the first is exact."""
SMALLEST = -87.0
"""e^x below is no normal number."""


def inverse_cube_root(x: Tensor) -> Tensor:
    """x^(-1/3) of finite x >= 1, within 2 · 2^-24 of it: a guess by its exponent, then x r³ drawn to 1, cubically."""
    if x.dtype != torch.float32:
        return x ** (-1 / 3)
    r = _from_bits(_bits(x) * (-1 / 3) + GUESS)
    for _ in range(2):
        h = 1 - x * r * r * r
        r = r + r * h * (1 / 3 + h * (2 / 9))
    return r


def short_tanh(x: Tensor) -> Tensor:
    """tanh x of |x| <= 3/2, within 5 · 2^-24 of it: Lambert's continued fraction, cut."""
    if x.dtype != torch.float32:
        return torch.tanh(x)
    q = x * x
    return x * (10395 + q * (1260 + q * 21)) / (10395 + q * (4725 + q * (210 + q)))


def exponential(x: Tensor) -> Tensor:
    """e^x of x <= 87, within 4 · 2^-24 of it; 0 where it would be no normal number: 2^n times Taylor's polynomial."""
    if x.dtype != torch.float32:
        return torch.exp(x)
    near = x.clamp(min=SMALLEST)
    n = torch.round(near * (1 / math.log(2)))
    f = near - n * LONG_LN2 - n * SHORT_LN2
    p = 1 + f * (1 / 7)
    for k in range(6, 0, -1):
        p = 1 + f * (1 / k) * p
    return torch.where(x < SMALLEST, torch.zeros_like(x), p * _from_bits((n + 127) * 2.0**23))


def _bits(x: Tensor) -> Tensor:
    """As a number, to 24 of them."""
    return x.view(torch.int32).to(torch.float32)


def _from_bits(number: Tensor) -> Tensor:
    return number.to(torch.int32).view(torch.float32)
