"""Roots and exponentials of basic operations: as near to the exact ones as is said, and in float64 torch's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from baselines.parts import elementary
from baselines.parts.spike_time import UNDERFLOWS, SpikeTimed

LARGEST = torch.finfo(torch.float32).max
UNIT = 2.0**-24
"""Relative: half of the distance of 1 to the next float."""


def spread(low: float, high: float, several: int = 1 << 17) -> Tensor:
    return torch.linspace(low, high, several, dtype=torch.float64)


CASES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Tensor, float]] = {
    "inverse cube root": (elementary.inverse_cube_root, lambda x: x ** (-1 / 3), spread(0, 88.7).exp(), 2),
    "near 1": (elementary.inverse_cube_root, lambda x: x ** (-1 / 3), spread(1, 9), 2),
    "tanh": (elementary.short_tanh, torch.tanh, spread(-1.5, 1.5), 5),
    "tanh near 0": (elementary.short_tanh, torch.tanh, -spread(-80, 0).exp(), 5),
    "exponential": (elementary.exponential, torch.exp, spread(elementary.SMALLEST, 87), 4),
}


@pytest.mark.parametrize("case", CASES)
def test_as_near_as_is_said(case: str) -> None:
    ours, exact, x, units = CASES[case]
    x = x.float()
    found, expected = ours(x).double(), exact(x.double())
    assert float(((found - expected) / expected).abs().max()) <= units * UNIT
    assert torch.equal(ours(x.double()), expected)


def test_at_the_ends() -> None:
    assert elementary.inverse_cube_root(torch.tensor([1.0, LARGEST])).isfinite().all()
    assert elementary.short_tanh(torch.zeros(1)) == 0 and elementary.exponential(torch.zeros(1)) == 1
    assert elementary.exponential(torch.tensor([-88.0, -1e30, -torch.inf])).tolist() == [0, 0, 0]
    for function in (elementary.inverse_cube_root, elementary.short_tanh, elementary.exponential):
        assert function(torch.tensor([torch.nan])).isnan().all()


def test_a_gradient_fades_as_in_the_cited_code() -> None:
    """exp(-Δt) taken first: coarse where it is no normal number, gone from Δt = 104 on, and before the first spike."""
    own = SpikeTimed(0.3, 0.01, 1.0, 1)
    steps = torch.arange(120.0)
    found, cited = own._faded(steps).double(), own._faded(steps.double()).double()
    assert torch.equal(found > 0, cited > 0) and cited[UNDERFLOWS] == found[UNDERFLOWS] == found[0] == 0
    assert torch.allclose(found, cited, rtol=3e-6, atol=0)
    exact = 0.3 * torch.exp(-0.01 * steps.double())
    assert not torch.allclose(found[:UNDERFLOWS], exact[:UNDERFLOWS], rtol=1e-4, atol=0)
