"""Random numbers that are counted, not taken from a stream: the same in whatever order they are asked for."""

from __future__ import annotations

import torch
from torch import Tensor

MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
"""Shift and factor of the two rounds of splitmix64; a shift by 31 ends it."""
GOLDEN = 0x9E3779B97F4A7C15


def uniform(counter: Tensor) -> Tensor:
    """In [0, 1), float32, of 24 bits; one for each whole number of 64 bits."""
    return (_shifted(mixed(counter), 40)).to(torch.float32) * 2.0**-24


def mixed(x: Tensor) -> Tensor:
    """Whole numbers of 64 bits, each into another, without a pattern."""
    for shift, factor in MIX:
        x = (x ^ _shifted(x, shift)) * signed(factor)
    return x ^ _shifted(x, 31)


def signed(number: int) -> int:
    """The 64 bits of `number` as torch's whole numbers have them."""
    return (number + 2**63) % 2**64 - 2**63


def _shifted(x: Tensor, by: int) -> Tensor:
    """To the right, zeros coming in: torch's own brings in the sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)
