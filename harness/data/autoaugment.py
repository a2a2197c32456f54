"""AutoAugment's policy for CIFAR-10 (Cubuk et al. 2019, Table 7), on batches of bytes.

For every image one of 25 sub-policies is drawn, then, of its two operations, each with its own probability and a sign
where it has one. A *variant* is an operation with its magnitude and sign; what is drawn is two variants an image. The
magnitudes are torchvision's: shear to 0.3, translation to 150/331 of the side, rotation to 30°, enhancement by 1 ± 0.9,
nearest pixels, uncovered ones grey 128.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from harness.data import pixels

FILL = 128
BINS = 10
"""Magnitudes of an operation, from the weakest to the strongest."""

POLICY = """
invert .1, contrast 6 .2      | rotate 2 .7, translate-x 9 .3      | sharpness 1 .8, sharpness 3 .9
shear-y 8 .5, translate-y 9 .7 | autocontrast .5, equalize .9       | shear-y 7 .2, posterize 7 .3
color 3 .4, brightness 7 .6   | sharpness 9 .3, brightness 9 .7    | equalize .6, equalize .5
contrast 7 .6, sharpness 5 .6 | color 7 .7, translate-x 8 .5       | equalize .3, autocontrast .4
translate-y 3 .4, sharpness 6 .2 | brightness 6 .9, color 8 .2     | solarize 2 .5, invert .0
equalize .2, autocontrast .6  | equalize .2, equalize .6           | color 9 .9, equalize .6
autocontrast .8, solarize 8 .2 | brightness 3 .1, color 0 .7       | solarize 5 .4, autocontrast .9
translate-y 9 .9, translate-y 9 .7 | autocontrast .9, solarize 3 .8 | equalize .8, invert .1
translate-y 9 .7, autocontrast .9
"""
"""Operation, magnitude (of `BINS`, where it has one), probability."""


class Step(NamedTuple):
    operation: str
    magnitude: int | None
    probability: float


class Variant(NamedTuple):
    operation: str
    magnitude: int | None
    sign: int


def _policy() -> tuple[tuple[Step, Step], ...]:
    def step(text: str) -> Step:
        operation, *magnitude, probability = text.split()
        return Step(operation, int(magnitude[0]) if magnitude else None, float(probability))

    pairs = (pair.split(",") for line in POLICY.strip().splitlines() for pair in line.split("|"))
    return tuple((step(first), step(second)) for first, second in pairs)


SUB_POLICIES = _policy()
MOVES = ("shear-x", "shear-y", "translate-x", "translate-y", "rotate")
TABLES = ("invert", "posterize", "solarize", "brightness", "contrast", "autocontrast", "equalize")
BLENDS = ("color", "sharpness")
SIGNED = frozenset({*MOVES, *BLENDS, "brightness", "contrast"})


def _variants() -> tuple[Variant, ...]:
    found = {
        Variant(step.operation, step.magnitude, sign)
        for pair in SUB_POLICIES
        for step in pair
        for sign in ((1, -1) if step.operation in SIGNED else (1,))
    }
    return (Variant("nothing", None, 1), *sorted(found, key=str))


VARIANTS = _variants()
"""All that can be drawn; the first leaves the image alone."""


def draw(count: int, generator: torch.Generator) -> Tensor:
    """int64 (count, 2): for every image the indices in `VARIANTS` of what is done to it, first and second."""
    probability, variants = _choices()
    chosen = torch.randint(len(SUB_POLICIES), (count,), generator=generator)
    chance = torch.rand(count, 2, generator=generator)
    sign = torch.randint(2, (count, 2), generator=generator)
    picked = variants[chosen].gather(2, sign[..., None])[..., 0]
    return torch.where(chance < probability[chosen], picked, 0)


@functools.cache
def _choices() -> tuple[Tensor, Tensor]:
    """Of each sub-policy and step: its probability (25, 2), and its variant for either sign (25, 2, 2)."""

    def of(step: Step, sign: int) -> int:
        return VARIANTS.index(Variant(step.operation, step.magnitude, sign if step.operation in SIGNED else 1))

    probability = [[step.probability for step in pair] for pair in SUB_POLICIES]
    variants = [[[of(step, sign) for sign in (1, -1)] for step in pair] for pair in SUB_POLICIES]
    return torch.tensor(probability), torch.tensor(variants)


def amounts(operation: str, height: int, width: int) -> Tensor:
    """The `BINS` magnitudes of `operation`: slopes, pixels, degrees, bits, levels or shares of 1."""
    if operation in ("shear-x", "shear-y"):
        return torch.linspace(0, 0.3, BINS)
    if operation in ("translate-x", "translate-y"):
        return torch.linspace(0, 150 / 331 * (width if operation == "translate-x" else height), BINS)
    if operation == "rotate":
        return torch.linspace(0, 30, BINS)
    if operation == "posterize":
        return torch.linspace(8, 4, BINS).round()
    if operation == "solarize":
        return torch.linspace(1, 0, BINS)
    return torch.linspace(0, 0.9, BINS)


class Constants(NamedTuple):
    """What the variants need, on one device, for one size of image; each tensor counts all of `VARIANTS`."""

    sources: Tensor
    """int64 (V, H·W), see `pixels.sources`."""
    tables: Tensor
    """uint8 (V, 256)."""
    contrast: Tensor
    """uint8 (V, 256, 256): by the mean grey of the image."""
    factor: Tensor
    """float32 (V, 1, 1, 1)."""


@functools.lru_cache(maxsize=8)
def _constants(height: int, width: int, device: torch.device) -> Constants:
    sources = torch.arange(height * width).repeat(len(VARIANTS), 1)
    tables = torch.arange(pixels.LEVELS, dtype=torch.uint8).repeat(len(VARIANTS), 1)
    contrast = torch.zeros(len(VARIANTS), pixels.LEVELS, pixels.LEVELS, dtype=torch.uint8)
    factor = torch.ones(len(VARIANTS), 1, 1, 1)
    for index, (operation, magnitude, sign) in enumerate(VARIANTS):
        amount = 0.0 if magnitude is None else sign * float(amounts(operation, height, width)[magnitude])
        match operation:
            case "shear-x":
                sources[index] = pixels.sources(pixels.shear_x(amount), height, width)
            case "shear-y":
                sources[index] = pixels.sources(pixels.shear_y(amount), height, width)
            case "translate-x":
                sources[index] = pixels.sources(pixels.translate_x(int(amount)), height, width)
            case "translate-y":
                sources[index] = pixels.sources(pixels.translate_y(int(amount)), height, width)
            case "rotate":
                sources[index] = pixels.sources(pixels.rotate(amount, height, width), height, width)
            case "invert":
                tables[index] = pixels.solarize_table(0)
            case "posterize":
                tables[index] = pixels.posterize_table(int(amount))
            case "solarize":
                tables[index] = pixels.solarize_table(255 * amount)
            case "brightness":
                tables[index] = pixels.contrast_tables(1 + amount)[0]  # towards black
            case "contrast":
                contrast[index] = pixels.contrast_tables(1 + amount)
            case "color" | "sharpness":
                factor[index] = 1 + amount
    return Constants(*(part.to(device) for part in (sources, tables, contrast, factor)))


def apply(images: Tensor, variants: Tensor) -> Tensor:
    """Bytes (N, 3, H, W), changed as `variants` (N, 2) from `draw` says; (N, 1, H, W) as three equal channels."""
    if images.shape[1] == 1:
        return apply(images.expand(-1, 3, -1, -1), variants)[:, :1]
    changed = images.clone()
    constants = _constants(*images.shape[-2:], images.device)
    for step in variants.unbind(1):
        for operations, change in ((MOVES, _move), (TABLES, _look_up), (BLENDS, _blend)):
            which = torch.nonzero(_is(operations)[step]).flatten()
            if len(which):
                there = which.to(images.device)
                changed.index_copy_(0, there, change(changed[there], step[which], constants))
    return changed


@functools.cache
def _is(operations: tuple[str, ...]) -> Tensor:
    """bool (V,)."""
    return torch.tensor([variant.operation in operations for variant in VARIANTS])


def _move(images: Tensor, variants: Tensor, constants: Constants) -> Tensor:
    return pixels.moved(images, constants.sources[variants.to(images.device)], FILL)


def _look_up(images: Tensor, variants: Tensor, constants: Constants) -> Tensor:
    """All that turns a level into another, whatever its place; three of the tables depend on the image."""
    entries = variants.to(images.device)
    tables = constants.tables[entries][:, None].repeat(1, 3, 1)
    for operation, make in (
        ("contrast", lambda part, entry: constants.contrast[entry, pixels.mean_grey(part)][:, None]),
        ("autocontrast", lambda part, _: pixels.autocontrast_tables(part)),
        ("equalize", lambda part, _: pixels.equalize_tables(part)),
    ):
        which = torch.nonzero(_is((operation,))[variants]).flatten()
        if len(which):
            there = which.to(images.device)
            made = make(images[there], entries[there])
            tables.index_copy_(0, there, made.expand(-1, 3, -1))
    return pixels.looked_up(images, tables)


def _blend(images: Tensor, variants: Tensor, constants: Constants) -> Tensor:
    """Away from, or towards, the grey image (color) or the smoothed one (sharpness)."""
    entries = variants.to(images.device)
    colour = _is(("color",))[variants].to(images.device)[:, None, None, None]
    start = torch.where(colour, pixels.grey(images), pixels.smoothed(images))
    return pixels.blend(start, images, constants.factor[entries])
