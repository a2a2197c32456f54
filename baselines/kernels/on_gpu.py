"""The GPU back end, in Triton. Float32; without MPBN one kernel a pass, with it one kernel a step.

The statistics of a step are summed over the whole grid: every tile writes its own part, and a second kernel adds the
parts in one fixed order, so that the same input gives the same bits. No atomic additions. Places in tensors are counted
in 64 bits: those of all timesteps together may be more than 2^31.
"""

# What Triton compiles is no Python that a type checker knows, and where torch comes without CUDA there is no Triton.
# pyright: reportArgumentType=false, reportCallIssue=false, reportPossiblyUnboundVariable=false, reportOperatorIssue=false
# pyright: reportMissingImports=false

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from baselines.kernels.recurrence import Recurrence, Rule

NAME = "Triton kernel"
TILE = 4096
"""Entries of one program's tile."""
PARTS = 128
"""Parts that are added at once."""
AS_WRITTEN = {"enable_fp_fusion": False}
"""Every rounding stays its own, whatever Triton's default is: z is three of them, as folding takes it to be."""


@triton.jit
def _slope(z, v_th, k, scale, STRAIGHT: tl.constexpr):
    """ds/dz: 1 - tanh(y)² = 4 e / (1 + e)² with e = exp(-2 |y|)."""
    inside = ((z >= v_th - 0.5) & (z <= v_th + 0.5)).to(tl.float32)
    if STRAIGHT:
        return inside
    e = tl.exp(-2 * k * tl.abs(z - v_th))
    return inside * (scale * 4) * e / ((1 + e) * (1 + e))


@triton.jit
def _forward(x, u, s, b, n, tau, v_th, T: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    carried = tl.zeros((BLOCK,), tl.float32)
    at = i
    for _ in range(T):
        u_t = tl.load(x + at, mask) + tau * carried
        fires = u_t > v_th
        tl.store(u + at, u_t, mask)
        tl.store(s + at, fires.to(tl.float32), mask)
        tl.store(b + at, fires.to(tl.uint8), mask)
        carried = tl.where(fires, 0.0, u_t)
        at += n


@triton.jit
def _backward(
    gs, u, b, gx, n, tau, v_th, k, scale, T: tl.constexpr, DETACH: tl.constexpr, STRAIGHT: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    after = tl.zeros((BLOCK,), tl.float32)
    at = i + (T - 1) * tl.cast(n, tl.int64)
    for _ in range(T):
        u_t, g = tl.load(u + at, mask, 0.0), tl.load(gs + at, mask, 0.0)
        gv = tau * after
        if not DETACH:
            g -= gv * u_t
        after = g * _slope(u_t, v_th, k, scale, STRAIGHT) + tl.where(tl.load(b + at, mask, 1) != 0, 0.0, gv)
        tl.store(gx + at, after, mask)
        at -= n


@triton.jit(do_not_specialize=["t"])
def _step(
    x, u, s, b, slope, shift, part_mean, part_squares, t, R, W, tau, v_th,
    FIRST: tl.constexpr, LAST: tl.constexpr, NORMALISED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Fire at step t-1, charge for step t, and the tile's part of the statistics of u(t)."""
    r = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    here = r[:, None] * W + c[None, :]
    mask = (r < R)[:, None] & (c < W)[None, :]
    n = R.to(tl.int64) * W
    carried = tl.zeros((ROWS, COLUMNS), tl.float32)
    if not FIRST:
        before = (t - 1) * n + here
        up = tl.load(u + before, mask, 0.0)
        z = tl.load(slope + (t - 1) * W + c, c < W)[None, :] * up + tl.load(shift + (t - 1) * W + c, c < W)[None, :]
        fires = z > v_th
        tl.store(s + before, fires.to(tl.float32), mask)
        tl.store(b + before, fires.to(tl.uint8), mask)
        carried = tl.where(fires, 0.0, z if NORMALISED else up)
    if not LAST:
        u_t = tl.load(x + t * n + here, mask, 0.0) + tau * carried
        tl.store(u + t * n + here, u_t, mask)
        held = tl.minimum(R - tl.program_id(0) * ROWS, ROWS).to(tl.float32)
        mean = tl.sum(tl.where(mask, u_t, 0.0), 0) / held
        centred = tl.where(mask, u_t - mean[None, :], 0.0)
        tl.store(part_mean + tl.program_id(0) * W + c, mean, c < W)
        tl.store(part_squares + tl.program_id(0) * W + c, tl.sum(centred * centred, 0), c < W)


@triton.jit(do_not_specialize=["t"])
def _settle(
    part_mean, part_squares, lam, beta, mean, var, slope, shift, t, R, W, eps, parts,
    ROWS: tl.constexpr, PARTS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Mean and variance of u(t) from the parts (Chan et al. 1979), and with them z = slope · u + shift."""
    c = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros((COLUMNS,), tl.float32)
    centre = tl.zeros((COLUMNS,), tl.float32)
    squares = tl.zeros((COLUMNS,), tl.float32)
    for first in range(0, parts, PARTS):
        p = first + tl.arange(0, PARTS)
        mask = (p < parts)[:, None] & (c < W)[None, :]
        held = tl.maximum(tl.minimum(R - p * ROWS, ROWS), 0).to(tl.float32)
        m = tl.load(part_mean + p[:, None] * W + c[None, :], mask, 0.0)
        q = tl.load(part_squares + p[:, None] * W + c[None, :], mask, 0.0)
        count = tl.sum(held, 0)
        local = tl.sum(m * held[:, None], 0) / count
        away = tl.where(mask, m - local[None, :], 0.0)
        q = tl.sum(q, 0) + tl.sum(away * away * held[:, None], 0)
        step = local - centre
        squares += q + step * step * (total * count / (total + count))
        centre += step * (count / (total + count))
        total += count
    at = t * W + c
    v = squares / R
    a = tl.load(lam + c, c < W, 0.0) / tl.sqrt(v + eps)
    tl.store(mean + at, centre, c < W)
    tl.store(var + at, v, c < W)
    tl.store(slope + at, a, c < W)
    tl.store(shift + at, tl.load(beta + c, c < W, 0.0) - centre * a, c < W)


@triton.jit(do_not_specialize=["t"])
def _step_back(
    gs, u, b, lam, beta, mean, var, gx, sums, products, part_sum, part_product, t, R, W, tau, v_th, k, scale, eps,
    T: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr, LAST: tl.constexpr, DETACH: tl.constexpr,
    NORMALISED: tl.constexpr, STRAIGHT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Gradient of u(t+1) from that of z(t+1), then that of z(t), and the tile's part of its sums; time runs back."""
    r = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    here = r[:, None] * W + c[None, :]
    inside = c < W
    mask = (r < R)[:, None] & inside[None, :]
    n = R.to(tl.int64) * W
    scales, bias = tl.load(lam + c, inside, 0.0)[None, :], tl.load(beta + c, inside, 0.0)[None, :]
    gv = tl.zeros((ROWS, COLUMNS), tl.float32)
    if not FIRST:
        at = (t + 1) * W + c
        invstd = 1 / tl.sqrt(tl.load(var + at, inside, 1.0) + eps)[None, :]
        h = (tl.load(u + (t + 1) * n + here, mask, 0.0) - tl.load(mean + at, inside, 0.0)[None, :]) * invstd
        straight, slanted = (
            tl.load(sums + at, inside, 0.0)[None, :] / R,
            tl.load(products + at, inside, 0.0)[None, :] / R,
        )
        g = scales * invstd * (tl.load(gx + (t + 1) * n + here, mask, 0.0) - straight - h * slanted)
        if not SECOND and not NORMALISED:
            fired = tl.load(b + (t + 1) * n + here, mask, 1) != 0
            g += tl.where(fired, 0.0, tau * tl.load(gx + (t + 2) * n + here, mask, 0.0))
        tl.store(gx + (t + 1) * n + here, g, mask)
        gv = tau * g
    if not LAST:
        at = t * W + c
        invstd = 1 / tl.sqrt(tl.load(var + at, inside, 1.0) + eps)[None, :]
        u_t = tl.load(u + t * n + here, mask, 0.0)
        h = (u_t - tl.load(mean + at, inside, 0.0)[None, :]) * invstd
        z = scales * h + bias
        g = tl.load(gs + t * n + here, mask, 0.0)
        if not DETACH:
            g -= gv * (z if NORMALISED else u_t)
        g *= _slope(z, v_th, k, scale, STRAIGHT)
        if NORMALISED:
            g += tl.where(tl.load(b + t * n + here, mask, 1) != 0, 0.0, gv)
        g = tl.where(mask, g, 0.0)
        tl.store(gx + t * n + here, g, mask)
        tl.store(part_sum + tl.program_id(0) * W + c, tl.sum(g, 0), inside)
        tl.store(part_product + tl.program_id(0) * W + c, tl.sum(g * h, 0), inside)


@triton.jit(do_not_specialize=["t"])
def _add(part_sum, part_product, sums, products, t, W, parts, PARTS: tl.constexpr, COLUMNS: tl.constexpr):
    """The parts, added in their order."""
    c = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros((COLUMNS,), tl.float32)
    product = tl.zeros((COLUMNS,), tl.float32)
    for first in range(0, parts, PARTS):
        p = first + tl.arange(0, PARTS)
        mask = (p < parts)[:, None] & (c < W)[None, :]
        total += tl.sum(tl.load(part_sum + p[:, None] * W + c[None, :], mask, 0.0), 0)
        product += tl.sum(tl.load(part_product + p[:, None] * W + c[None, :], mask, 0.0), 0)
    tl.store(sums + t * W + c, total, c < W)
    tl.store(products + t * W + c, product, c < W)


@triton.jit
def _infer(
    x, s, threshold, slope, mean, shift, n, W, tau, T: tl.constexpr, AFFINE: tl.constexpr, NORMALISED: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    c = i % W
    limit = tl.load(threshold + c, mask, 0.0)
    if AFFINE > 0:
        a = tl.load(slope + c, mask, 0.0)
    if AFFINE == 2:
        m, d = tl.load(mean + c, mask, 0.0), tl.load(shift + c, mask, 0.0)
    carried = tl.zeros((BLOCK,), tl.float32)
    at = i
    for _ in range(T):
        u = tl.load(x + at, mask, 0.0) + tau * carried
        z = u
        if AFFINE == 1:
            z = a * u
        if AFFINE == 2:
            z = (u - m) * a + d
        fires = (z > limit).to(tl.float32)
        tl.store(s + at, fires, mask)
        carried = (z if NORMALISED else u) * (1 - fires)
        at += n


def forward(
    recurrence: Recurrence, x: Tensor, lam: Tensor | None, beta: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    (steps, R, W), r = x.shape, recurrence
    u, s, b = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x, dtype=torch.uint8)
    mean, var = x.new_empty(2, steps, 0 if lam is None else W).unbind()
    if lam is None:
        _forward[(triton.cdiv(R * W, 1024),)](x, u, s, b, R * W, r.tau, r.v_th, T=steps, BLOCK=1024, **AS_WRITTEN)
        return s, u, b, mean, var
    rows, columns, parts, grid, across = _tiling(R, W)
    slope, shift = torch.empty_like(mean), torch.empty_like(mean)
    part_mean, part_squares = x.new_empty(2, parts, W).unbind()
    for t in range(steps + 1):
        _step[grid](
            x, u, s, b, slope, shift, part_mean, part_squares, t, R, W, r.tau, r.v_th,
            FIRST=t == 0, LAST=t == steps, NORMALISED=r.normalised, ROWS=rows, COLUMNS=columns, **AS_WRITTEN,
        )  # fmt: skip
        if t < steps:
            _settle[across](
                part_mean, part_squares, lam, beta, mean, var, slope, shift, t, R, W, r.eps, parts,
                ROWS=rows, PARTS=PARTS, COLUMNS=columns, **AS_WRITTEN,
            )  # fmt: skip
    return s, u, b, mean, var


def backward(
    recurrence: Recurrence,
    gs: Tensor,
    u: Tensor,
    b: Tensor | None,
    lam: Tensor | None,
    beta: Tensor | None,
    mean: Tensor,
    var: Tensor,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    (steps, R, W), r = u.shape, recurrence
    gx = torch.empty_like(u)
    straight = r.k == 0
    scale = 1.0 if straight else r.k / (2 * math.tanh(r.k / 2))
    if lam is None:
        _backward[(triton.cdiv(R * W, 1024),)](
            gs, u, b, gx, R * W, r.tau, r.v_th, r.k, scale,
            T=steps, DETACH=r.detach, STRAIGHT=straight, BLOCK=1024, **AS_WRITTEN,
        )  # fmt: skip
        return gx, None, None
    rows, columns, parts, grid, across = _tiling(R, W)
    sums, products = torch.empty_like(mean), torch.empty_like(mean)
    part_sum, part_product = u.new_empty(2, parts, W).unbind()
    for t in range(steps - 1, -2, -1):
        _step_back[grid](
            gs, u, b, lam, beta, mean, var, gx, sums, products, part_sum, part_product, t, R, W,
            r.tau, r.v_th, r.k, scale, r.eps,
            T=steps, FIRST=t == steps - 1, SECOND=t == steps - 2, LAST=t < 0, DETACH=r.detach, NORMALISED=r.normalised,
            STRAIGHT=straight, ROWS=rows, COLUMNS=columns, **AS_WRITTEN,
        )  # fmt: skip
        if t >= 0:
            _add[across](
                part_sum, part_product, sums, products, t, W, parts, PARTS=PARTS, COLUMNS=columns, **AS_WRITTEN
            )
    return gx, products.sum(0), sums.sum(0)


def infer(recurrence: Recurrence, x: Tensor, rule: Rule) -> Tensor:
    (steps, R, W), s = x.shape, torch.empty_like(x)
    threshold = rule.threshold if isinstance(rule.threshold, Tensor) else x.new_full((W,), rule.threshold)
    affine = 0 if rule.slope is None else 1 if rule.mean is None else 2
    unused = threshold
    _infer[(triton.cdiv(R * W, 1024),)](
        x, s, threshold, *(unused if p is None else p for p in (rule.slope, rule.mean, rule.shift)), R * W, W,
        recurrence.tau, T=steps, AFFINE=affine, NORMALISED=recurrence.normalised, BLOCK=1024,
        **AS_WRITTEN,
    )  # fmt: skip
    return s


def _tiling(R: int, W: int) -> tuple[int, int, int, tuple[int, int], tuple[int]]:
    """Rows and columns of a tile (powers of two), parts a column, the grid of the tiles, the grid of the columns."""
    columns = min(64, triton.next_power_of_2(W))
    rows = min(TILE // columns, triton.next_power_of_2(R))
    parts, across = triton.cdiv(R, rows), triton.cdiv(W, columns)
    return rows, columns, parts, (parts, across), (across,)
