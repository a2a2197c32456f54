"""Student's t: the chance of its tails and their quantiles, without SciPy, whose import takes longer than a table.

The tails are the regularised incomplete beta function, by its continued fraction (Numerical Recipes, 6.4): to 1e-10 of
their value, however small.
"""

from __future__ import annotations

import math
from statistics import NormalDist

TINY = 1e-300
STEPS = 10_000


def below(t: float, freedom: int) -> float:
    """P(T < t)."""
    half = tails(abs(t), freedom) / 2
    return half if t < 0 else 1 - half


def tails(t: float, freedom: int) -> float:
    """P(|T| > t), for t >= 0."""
    return _beta(freedom / 2, 0.5, freedom / (freedom + t * t), t * t / (freedom + t * t))


def quantile(freedom: int, beyond: float) -> float:
    """The t with P(|T| > t) = `beyond`.

    By Newton's steps from the normal quantile, which lies below: the tails are convex, so no step leads too far.
    """
    t = NormalDist().inv_cdf(1 - beyond / 2)
    for _ in range(STEPS):
        step = (tails(t, freedom) - beyond) / (2 * _density(t, freedom))
        t += step
        if abs(step) < 1e-14 * t:
            break
    return t


def _density(t: float, freedom: int) -> float:
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    return math.exp(scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))


def _beta(a: float, b: float, x: float, y: float) -> float:
    """I_x(a, b), y = 1 - x without its rounding; where the fraction converges slowly, by that of y."""
    if x <= 0 or y <= 0:
        return float(y <= 0)
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * _log(x, y) + b * math.log(y))
    if x > (a + 1) / (a + b + 2):
        return 1 - scale * _fraction(b, a, y) / b
    return scale * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction, by Lentz's rule."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            d, c = 1 / _away(1 + part * d), _away(1 + part / c)
            value *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return value


def _away(value: float) -> float:
    """From zero, by which Lentz's rule would divide."""
    return value if abs(value) > TINY else TINY


def _log(x: float, y: float) -> float:
    """Of x = 1 - y, by the smaller of the two, which is not rounded."""
    return math.log(x) if x < y else math.log1p(-y)
