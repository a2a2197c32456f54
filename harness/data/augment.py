"""Augmentations of training images, as a recipe names them.

Each draws for every image apart, on the CPU, before it touches a pixel: what is drawn can be cut to a share of the
batch, or thrown away where a resumed run skips the batch. It changes bytes (B, K, H, W) - K channels, or frames ×
channels, all alike. All come before normalisation: what a crop or a hole leaves empty is black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.data import autoaugment as policy
from harness.errors import UserError, did_you_mean

Size = tuple[int, int]
"""Height and width."""
Draws = tuple[Tensor, ...]
"""What was drawn for a batch, on the CPU; the images count along the first axis of each."""


@dataclass(frozen=True)
class Augmentation:
    """`draw` for that many images of that size, then `apply`: a call does both."""

    draw: Callable[[int, Size, torch.Generator], Draws]
    apply: Callable[[Tensor, Draws], Tensor]

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        height, width = images.shape[-2:]
        return self.apply(images, self.draw(len(images), (height, width), generator))


PADDING = 4
"""Pixels of black around an image before `crop`."""
HOLE = 16
"""Side of the `cutout` square at 32 pixels; half the image at other sizes."""
ROLL = 5
"""Largest shift of `roll`, in pixels."""
AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of `resized-crop`: share of the image, width over height."""
TRIES = 10
JITTER = (0.2, 0.2, 0.2, 0.1)
"""Brightness, contrast, saturation, hue: the released ImageNet loader's."""


def _draw_crop(count: int, _: Size, generator: torch.Generator) -> Draws:
    return tuple(_integers(0, 2 * PADDING, (2, count), generator))


def _crop(images: Tensor, draws: Draws) -> Tensor:
    """Pad by 4, cut the old size out at a random place."""
    channels, height, width = images.shape[1:]
    padded = F.pad(images, (PADDING,) * 4)
    top, left = (place.to(images.device) for place in draws)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    pixels = rows[:, :, None] * padded.shape[-1] + columns[:, None, :]
    picked = padded.flatten(2).gather(2, pixels.flatten(1)[:, None].expand(-1, channels, -1))
    return picked.view_as(images)


def _draw_flip(count: int, _: Size, generator: torch.Generator) -> Draws:
    return (torch.rand(count, generator=generator) < 0.5,)


def _flip(images: Tensor, draws: Draws) -> Tensor:
    """Mirror left and right with probability ½."""
    (mirrored,) = draws
    if len(set(mirrored.tolist())) < 2:  # a single image, most often
        return images.flip(-1) if mirrored.any() else images.clone()
    channels, height, width = images.shape[1:]
    columns = torch.arange(width)
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns).to(images.device)
    return images.gather(3, columns[:, None, None].expand(-1, channels, height, -1))


def _draw_cutout(count: int, size: Size, generator: torch.Generator) -> Draws:
    return tuple(_integers(0, length - 1, (count,), generator) for length in size)


def _cutout(images: Tensor, draws: Draws) -> Tensor:
    """One black square a side of half the image, its centre anywhere, clipped at the borders (DeVries & Taylor)."""
    inside = []
    for length, drawn in zip(images.shape[-2:], draws, strict=True):
        half = length * HOLE // 64
        centre = drawn.to(images.device)[:, None]
        place = torch.arange(length, device=images.device)
        inside.append((place >= centre - half) & (place < centre + half))
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return images * ~hole[:, None]


def _draw_roll(count: int, _: Size, generator: torch.Generator) -> Draws:
    return tuple(_integers(-ROLL, ROLL, (2, count), generator))


def _roll(images: Tensor, draws: Draws) -> Tensor:
    """Shift by up to ±5 pixels along each axis, what leaves on one side enters on the other; all frames alike."""
    channels, height, width = images.shape[1:]
    down, right = (shift.to(images.device) for shift in draws)
    rows = (torch.arange(height, device=images.device) - down[:, None]) % height
    columns = (torch.arange(width, device=images.device) - right[:, None]) % width
    pixels = rows[:, :, None] * width + columns[:, None, :]
    return images.flatten(2).gather(2, pixels.flatten(1)[:, None].expand(-1, channels, -1)).view_as(images)


def _draw_seeds(count: int, _: Size, generator: torch.Generator) -> Draws:
    return (torch.randint(2**62, (count,), generator=generator),)


def _draw_autoaugment(count: int, _: Size, generator: torch.Generator) -> Draws:
    return (policy.draw(count, generator),)


def _autoaugment(images: Tensor, draws: Draws) -> Tensor:
    """AutoAugment's CIFAR-10 policy, see `harness/data/autoaugment.py`."""
    return policy.apply(images, *draws)


def _color_jitter(images: Tensor, draws: Draws) -> Tensor:
    """Brightness, contrast and saturation within ±20 %, hue within ±0.1."""
    from torchvision.transforms import v2  # slow to import, as below

    return _image_by_image(v2.ColorJitter(*JITTER), images, draws)


def _autoaugment_imagenet(images: Tensor, draws: Draws) -> Tensor:
    """AutoAugment's policy for ImageNet, as torchvision has it."""
    from torchvision.transforms import v2  # slow to import, as below

    return _image_by_image(v2.AutoAugment(), images, draws)


def _draw_resized_crop(count: int, _: Size, generator: torch.Generator) -> Draws:
    """Uniform in [0, 1): area, aspect, row and column of `TRIES` boxes for each image."""
    return (torch.rand(count, TRIES, 4, dtype=torch.float64, generator=generator),)


def _resized_crop(images: Tensor, draws: Draws) -> Tensor:
    """A random part (8-100 % of the area, aspect ¾ to 4/3), brought back to the size of the image."""
    height, width = images.shape[-2:]
    pairs = zip(images, draws[0], strict=True)
    changed = [cropped_at(image, numbers, (height, width)) for image, numbers in pairs]
    return torch.stack(changed) if changed else images


def cropped_at(image: Tensor, numbers: Tensor, size: Size) -> Tensor:
    """The box of (C, H, W) that `numbers` (`TRIES`, 4) stand for, brought to `size`, bilinear, antialiased."""
    from torchvision.transforms.v2 import functional as TF  # slow to import, and needed for large images alone

    height, width = image.shape[-2:]
    return TF.resized_crop(image, *box(numbers.tolist(), height, width), size=list(size), antialias=True)


def box(numbers: Iterable[Iterable[float]], height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height, width of the first box that fits, else the largest one in the middle, as torchvision does."""
    low, high = ASPECT
    for area, aspect, down, right in numbers:
        pixels = height * width * (AREA[0] + area * (AREA[1] - AREA[0]))
        ratio = low * (high / low) ** aspect
        wide, tall = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            return int(down * (height - tall + 1)), int(right * (width - wide + 1)), tall, wide
    wide, tall = min(width, round(height * high)), min(height, round(width / low))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


crop = Augmentation(_draw_crop, _crop)
flip = Augmentation(_draw_flip, _flip)
cutout = Augmentation(_draw_cutout, _cutout)
roll = Augmentation(_draw_roll, _roll)
autoaugment = Augmentation(_draw_autoaugment, _autoaugment)
color_jitter = Augmentation(_draw_seeds, _color_jitter)
autoaugment_imagenet = Augmentation(_draw_seeds, _autoaugment_imagenet)
resized_crop = Augmentation(_draw_resized_crop, _resized_crop)


AUGMENTATIONS: dict[str, Augmentation] = {
    "crop": crop,
    "flip": flip,
    "autoaugment": autoaugment,
    "autoaugment-imagenet": autoaugment_imagenet,
    "cutout": cutout,
    "resized-crop": resized_crop,
    "color-jitter": color_jitter,
    "roll": roll,
}
FOR_COLOUR = frozenset({"autoaugment", "autoaugment-imagenet", "color-jitter"})
"""Those that mean nothing for frames of events."""


def chosen(names: Iterable[str], *, events: bool = False) -> tuple[Augmentation, ...]:
    """The augmentations called `names`, in that order. Raises UserError for an unknown or unfit one."""
    picked = []
    for name in names:
        if name not in AUGMENTATIONS:
            raise UserError(f"unknown augmentation `{name}`", to_type=did_you_mean(name, AUGMENTATIONS))
        if events and name in FOR_COLOUR:
            allowed = ", ".join(sorted(AUGMENTATIONS.keys() - FOR_COLOUR))
            raise UserError(f"augmentation `{name}` does not apply to events", to_type=f"use {allowed}")
        picked.append(AUGMENTATIONS[name])
    return tuple(picked)


def _integers(low: int, high: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform in [low, high]."""
    return torch.randint(low, high + 1, shape, generator=generator)


def _image_by_image(transform: Callable[[Tensor], Tensor], images: Tensor, draws: Draws) -> Tensor:
    """torchvision draws from the global generator: lend it the seed of each image, and give it back untouched."""
    (seeds,) = draws
    if not len(images):
        return images
    with torch.random.fork_rng(devices=[]):
        changed = []
        for image, seed in zip(images, seeds.tolist(), strict=True):
            torch.manual_seed(seed)
            changed.append(transform(image))
    return torch.stack(changed)
