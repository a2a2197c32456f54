"""What PIL does to one image, done to batches of bytes (N, C, H, W), each image with settings of its own.

Every function gives to the bit what PIL gives (Pillow 13 on x86), on the CPU as on a GPU: integers wherever PIL's
answer is one, float32 in PIL's order of operations where it blends, float64 where it scales.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256
GREY_WEIGHTS = (19595, 38470, 7471)
"""Of red, green and blue (ITU-R 601-2), in 65536ths."""
FIXED = 1 << 16
"""PIL moves its nearest pixels in fixed point."""

Matrix = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): output pixel (x, y) shows input pixel (a·x + b·y + c, d·x + e·y + f)."""


def sources(matrix: Matrix, height: int, width: int) -> Tensor:
    """int64 (H·W,): which pixel each output pixel shows, nearest neighbour; H·W where it lies outside."""
    a, b, c, d, e, f = matrix
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")

    def coordinate(along_x: float, along_y: float, shift: float) -> Tensor:
        start = _fixed(shift + along_x * 0.5 + along_y * 0.5)  # from the middle of the first pixel
        return (start + _fixed(along_x) * x + _fixed(along_y) * y) // FIXED

    column, row = coordinate(a, b, c), coordinate(d, e, f)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return torch.where(inside, row * width + column, height * width).flatten()


def _fixed(value: float) -> int:
    return math.floor(value * FIXED + 0.5)


def shear_x(amount: float) -> Matrix:
    return (1.0, amount, 0.0, 0.0, 1.0, 0.0)


def shear_y(amount: float) -> Matrix:
    return (1.0, 0.0, 0.0, amount, 1.0, 0.0)


def translate_x(pixels: int) -> Matrix:
    return (1.0, 0.0, float(-pixels), 0.0, 1.0, 0.0)


def translate_y(pixels: int) -> Matrix:
    return (1.0, 0.0, 0.0, 0.0, 1.0, float(-pixels))


def rotate(degrees: float, height: int, width: int) -> Matrix:
    """Counter-clockwise around the middle."""
    cosine, sine = (round(part(-math.radians(degrees % 360)), 15) for part in (math.cos, math.sin))
    x, y = width / 2, height / 2
    return (cosine, sine, -cosine * x - sine * y + x, -sine, cosine, sine * x - cosine * y + y)


def moved(images: Tensor, source: Tensor, fill: int) -> Tensor:
    """`source` (N, H·W) as `sources` gives it; what lies outside becomes `fill`."""
    filled = F.pad(images.flatten(2), (0, 1), value=fill)  # pixel H·W
    return filled.gather(2, source[:, None].expand(-1, images.shape[1], -1)).view_as(images)


def looked_up(images: Tensor, tables: Tensor) -> Tensor:
    """Each byte replaced by what `tables` (N, C, 256) of its image and channel says."""
    return tables.gather(2, images.flatten(2).long()).view_as(images)


def posterize_table(bits: int) -> Tensor:
    """uint8 (256,): keeps the upper `bits`."""
    return torch.arange(LEVELS, dtype=torch.uint8) & (LEVELS - (1 << (8 - bits)))


def solarize_table(threshold: float) -> Tensor:
    """uint8 (256,): inverts from `threshold` on."""
    levels = torch.arange(LEVELS, dtype=torch.uint8)
    return torch.where(levels.double() < threshold, levels, LEVELS - 1 - levels)


def contrast_tables(factor: float) -> Tensor:
    """uint8 (256, 256): row m for an image whose mean grey is m."""
    levels = torch.arange(LEVELS)
    return blend(levels[:, None], levels[None], torch.tensor(factor, dtype=torch.float32))


def autocontrast_tables(images: Tensor) -> Tensor:
    """(N, C, 256): stretch what a channel holds to 0 … 255; a channel of one level is left alone."""
    rows = images.flatten(2)
    low, high = rows.amin(2, keepdim=True).double(), rows.amax(2, keepdim=True).double()
    levels = torch.arange(LEVELS, dtype=torch.float64, device=images.device)
    scale = 255.0 / (high - low).clamp_(min=1)
    stretched = (levels * scale).add_(-low * scale).trunc_().clamp_(0, 255)
    return torch.where(high > low, stretched, levels).to(torch.uint8)


def equalize_tables(images: Tensor) -> Tensor:
    """(N, C, 256): a level becomes the pixels below it, in steps of (pixels − those of the last level) // 255."""
    counts = histograms(images)
    levels = torch.arange(LEVELS, device=images.device)
    last = torch.where(counts > 0, levels, 0).amax(2, keepdim=True)
    step = (images.shape[-2] * images.shape[-1] - counts.gather(2, last)) // 255
    below = counts.cumsum(2).sub_(counts)
    spread = below.add_(step // 2).double().div_(step.clamp(min=1)).clamp_(max=255)  # cut off to a byte: floored
    return torch.where(step > 0, spread, levels).to(torch.uint8)


def histograms(images: Tensor) -> Tensor:
    """int64 (N, C, 256): pixels of each level."""
    count, channels = images.shape[:2]
    rows = images.reshape(count * channels, -1)
    if images.is_cuda:
        return sorted_counts(rows).view(count, channels, LEVELS)
    first = torch.arange(len(rows), dtype=torch.int32).mul_(LEVELS).view(-1, 1)
    counts = torch.bincount(rows.int().add_(first).flatten(), minlength=len(rows) * LEVELS)
    return counts.view(count, channels, LEVELS)


def sorted_counts(rows: Tensor) -> Tensor:
    """int64 (R, 256) of bytes (R, P): without bins to count into, for which a GPU would wait."""
    levels = torch.arange(LEVELS, dtype=torch.int16, device=rows.device).expand(len(rows), -1).contiguous()
    upto = torch.searchsorted(rows.sort(dim=1).values.to(torch.int16), levels, right=True)
    return upto.diff(dim=1, prepend=upto.new_zeros(len(rows), 1))


def grey(images: Tensor) -> Tensor:
    """int32 (N, 1, H, W), 0 … 255, of colour images."""
    red, green, blue = images.int().unbind(1)
    weights = GREY_WEIGHTS
    return (red * weights[0] + green * weights[1] + blue * weights[2] + FIXED // 2).bitwise_right_shift_(16)[:, None]


def mean_grey(images: Tensor) -> Tensor:
    """int64 (N,), rounded."""
    pixels = images.shape[-2] * images.shape[-1]
    return (2 * grey(images).flatten(1).sum(1) + pixels) // (2 * pixels)


def smoothed(images: Tensor) -> Tensor:
    """float32 (N, C, H, W), 0 … 255: 3×3 means in which the middle weighs five times; the border is kept."""
    wide = images.float()
    across = wide[..., :-2] + wide[..., 1:-1] + wide[..., 2:]
    total = across[..., :-2, :] + across[..., 1:-1, :] + across[..., 2:, :]
    total.add_(wide[..., 1:-1, 1:-1], alpha=4)  # integers, all exact
    wide[..., 1:-1, 1:-1] = total.mul_(1 / 13).add_(0.5).floor_()  # a 13th is never near a half
    return wide


def blend(start: Tensor, end: Tensor, factor: Tensor) -> Tensor:
    """``start + factor · (end − start)`` in float32, cut off to a byte; beyond 1 it goes past `end`."""
    step = (end - start).float().mul_(factor)
    return step.add_(start).clamp_(0, 255).to(torch.uint8)
