"""Student's t against SciPy: tails and quantiles, from one degree of freedom to ten thousand."""

from __future__ import annotations

import pytest
from scipy import stats

from harness import student

FREEDOMS = (1, 2, 3, 4, 5, 9, 30, 199, 9999)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_tails(freedom: int) -> None:
    for t in (0.0, 1e-6, 0.3, 1.0, 2.5, 4.303, 12.706, 80.0):
        wanted = 2 * stats.t.sf(t, freedom)
        assert student.tails(t, freedom) == pytest.approx(wanted, rel=1e-9)
        assert student.below(-t, freedom) == pytest.approx(stats.t.cdf(-t, freedom), rel=1e-9)
        assert student.below(t, freedom) == pytest.approx(stats.t.cdf(t, freedom), rel=1e-9)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_quantiles(freedom: int) -> None:
    for beyond in (0.5, 0.05, 0.01, 0.05 / 30, 1e-6):
        wanted = stats.t.isf(beyond / 2, freedom)
        assert student.quantile(freedom, beyond) == pytest.approx(wanted, rel=1e-9)
