"""Augmentations of training images, as a recipe names them.

Each takes bytes (B, K, H, W) - K channels, or frames × channels, all changed alike - and a generator on the CPU, and
draws for every image apart. They come before normalisation: what a crop or a hole leaves empty is black.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from harness.errors import UserError, did_you_mean

Augmentation = Callable[[Tensor, torch.Generator], Tensor]

PADDING = 4
"""Pixels of black around an image before `crop`."""
HOLE = 16
"""Side of the `cutout` square at 32 pixels; half the image at other sizes."""
ROLL = 5
"""Largest shift of `roll`, in pixels."""
JITTER = (0.2, 0.2, 0.2, 0.1)
"""Brightness, contrast, saturation, hue: the released ImageNet loader's."""


def crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pad by 4, cut the old size out at a random place."""
    count, channels, height, width = images.shape
    padded = F.pad(images, (PADDING,) * 4)
    top, left = _integers(0, 2 * PADDING, (2, count), generator, images.device)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    pixels = rows[:, :, None] * padded.shape[-1] + columns[:, None, :]
    picked = padded.flatten(2).gather(2, pixels.view(count, 1, -1).expand(-1, channels, -1))
    return picked.view_as(images)


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror left and right with probability ½."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(_each(mirrored.to(images.device)), images.flip(-1), images)


def cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    """One black square a side of half the image, its centre anywhere, clipped at the borders (DeVries & Taylor)."""
    inside = []
    for length in images.shape[-2:]:
        half = length * HOLE // 64
        centre = _integers(0, length - 1, (len(images),), generator, images.device)
        place = torch.arange(length, device=images.device)
        inside.append((place >= centre[:, None] - half) & (place < centre[:, None] + half))
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return images.masked_fill(hole[:, None], 0)


def roll(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift by up to ±5 pixels along each axis, what leaves on one side enters on the other; all frames alike."""
    count, channels, height, width = images.shape
    down, right = _integers(-ROLL, ROLL, (2, count), generator, images.device)
    rows = (torch.arange(height, device=images.device) - down[:, None]) % height
    columns = (torch.arange(width, device=images.device) - right[:, None]) % width
    pixels = rows[:, :, None] * width + columns[:, None, :]
    return images.flatten(2).gather(2, pixels.view(count, 1, -1).expand(-1, channels, -1)).view_as(images)


def autoaugment(images: Tensor, generator: torch.Generator) -> Tensor:
    """AutoAugment's CIFAR-10 policy (25 sub-policies), uncovered pixels grey 128 as in the released code."""
    policy = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, fill=128)
    return _image_by_image(policy, images, generator)


def color_jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, contrast and saturation within ±20 %, hue within ±0.1."""
    return _image_by_image(v2.ColorJitter(*JITTER), images, generator)


def resized_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random part (8-100 % of the area, aspect ¾ to 4/3), brought back to the size of the image."""
    return _image_by_image(random_resized_crop(images.shape[-2:]), images, generator)


def random_resized_crop(size: Iterable[int]) -> v2.RandomResizedCrop:
    """torchvision's RandomResizedCrop to `size` (H, W); also for images larger than `size`."""
    return v2.RandomResizedCrop(tuple(size), antialias=True)


AUGMENTATIONS: dict[str, Augmentation] = {
    "crop": crop,
    "flip": flip,
    "autoaugment": autoaugment,
    "cutout": cutout,
    "resized-crop": resized_crop,
    "color-jitter": color_jitter,
    "roll": roll,
}
FOR_COLOUR = frozenset({"autoaugment", "color-jitter"})
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


def _integers(low: int, high: int, shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Uniform in [low, high]; drawn on the CPU, so that every device sees the same."""
    return torch.randint(low, high + 1, shape, generator=generator).to(device)


def _each(mask: Tensor) -> Tensor:
    return mask.view(-1, 1, 1, 1)


def _image_by_image(transform: Callable[[Tensor], Tensor], images: Tensor, generator: torch.Generator) -> Tensor:
    """torchvision draws from the global generator: lend it one seeded from ours, and give it back untouched."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.stack([transform(image) for image in images])
