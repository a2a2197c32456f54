"""Augmentations, image by image, against torchvision, PIL and the definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as reference

from harness.data import augment
from harness.errors import UserError

SEED = 11


def pictures(count: int = 200, channels: int = 3, side: int = 32) -> torch.Tensor:
    """No two pixels of a channel are the same by much, and none is black."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(1, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)


def drawn() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def test_crop_is_one_of_torchvisions_crops() -> None:
    images = pictures()
    top, left = torch.randint(0, 9, (2, len(images)), generator=drawn())
    for image, got, y, x in zip(images, augment.crop(images, drawn()), top.tolist(), left.tolist(), strict=True):
        assert torch.equal(got, reference.crop(reference.pad(image, [4]), y, x, 32, 32))
    assert set(top.tolist()) == set(left.tolist()) == set(range(9))


def test_flip_is_pils_mirror_for_half_of_the_images() -> None:
    images = pictures()
    got = augment.flip(images, drawn())
    kept = mirrored = 0
    for before, after in zip(images, got, strict=True):
        mirror = Image.fromarray(before.permute(1, 2, 0).numpy()).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        kept += torch.equal(after, before)
        mirrored += np.array_equal(after.permute(1, 2, 0), np.asarray(mirror))
    assert kept + mirrored == len(images) and 70 < kept < 130


def cut(image: np.ndarray, y: int, x: int, length: int) -> np.ndarray:
    """The published Cutout, per image: a square of `length` around (y, x), clipped."""
    height, width = image.shape[1:]
    rows = slice(np.clip(y - length // 2, 0, height), np.clip(y + length // 2, 0, height))
    columns = slice(np.clip(x - length // 2, 0, width), np.clip(x + length // 2, 0, width))
    holed = image.copy()
    holed[:, rows, columns] = 0
    return holed


@pytest.mark.parametrize(("side", "length"), [(32, 16), (16, 8), (48, 24)])
def test_cutout_is_the_published_one(side: int, length: int) -> None:
    images, generator = pictures(side=side), drawn()
    y, x = (torch.randint(0, side, (len(images),), generator=generator) for _ in range(2))
    for image, got, row, column in zip(images, augment.cutout(images, drawn()), y, x, strict=True):
        assert np.array_equal(got, cut(image.numpy(), int(row), int(column), length))
    area = (augment.cutout(images, drawn()) == 0).all(1).sum((1, 2))
    assert area.max() == length**2 and area.min() < length**2  # clipped at the borders


def test_roll_is_torchs_and_bounded() -> None:
    images = pictures(count=300)
    down, right = torch.randint(-5, 6, (2, len(images)), generator=drawn())
    for image, got, y, x in zip(images, augment.roll(images, drawn()), down.tolist(), right.tolist(), strict=True):
        assert torch.equal(got, image.roll((y, x), dims=(-2, -1)))
    assert (down.min(), down.max()) == (-5, 5)


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_every_augmentation_keeps_the_form_and_repeats(name: str) -> None:
    images = pictures(count=12)
    before = images.clone()
    (operation,) = augment.chosen([name])
    state = torch.random.get_rng_state()
    first, again = operation(images, drawn()), operation(images, drawn())
    assert torch.equal(first, again)
    assert first.shape == images.shape and first.dtype == torch.uint8
    assert not torch.equal(first, images) and torch.equal(images, before)
    assert torch.equal(torch.random.get_rng_state(), state)  # the global generator is left alone
    other = operation(images, torch.Generator().manual_seed(SEED + 1))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", sorted(augment.AUGMENTATIONS.keys() - augment.FOR_COLOUR))
def test_all_frames_of_a_recording_are_changed_alike(name: str) -> None:
    frame = pictures(count=10, channels=2)
    (operation,) = augment.chosen([name], events=True)
    frames = operation(frame.repeat(1, 3, 1, 1), drawn())  # three times the same frame
    assert torch.equal(frames[:, :2], frames[:, 2:4]) and torch.equal(frames[:, :2], frames[:, 4:])


def test_order_is_the_recipes() -> None:
    assert augment.chosen(["flip", "crop"]) == (augment.flip, augment.crop)


def test_colour_means_nothing_to_events() -> None:
    with pytest.raises(UserError, match="`autoaugment` does not apply to events"):
        augment.chosen(["autoaugment"], events=True)


def test_random_boxes_are_torchvisions() -> None:
    """Area, aspect and place of the boxes, ours against its own, on images wide, narrow and square."""
    from scipy import stats
    from torchvision.transforms import v2

    theirs, count = v2.RandomResizedCrop(224), 1500
    (numbers,) = augment.resized_crop.draw(count, (224, 224), drawn())
    for height, width in ((375, 500), (500, 140), (64, 64)):
        ours = np.array([augment.box(each, height, width) for each in numbers.tolist()])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            made = [theirs.make_params([torch.empty(1, height, width)]) for _ in range(count)]
        reference_boxes = np.array([[each[name] for name in ("top", "left", "height", "width")] for each in made])
        for box in range(4):
            compared = stats.ks_2samp(ours[:, box], reference_boxes[:, box])
            assert compared.pvalue > 0.001  # pyright: ignore[reportAttributeAccessIssue]
        assert (ours[:, :2] + ours[:, 2:] <= (height, width)).all() and ours.min() >= 0


@pytest.mark.parametrize(("size", "expected"), [((20, 300), (0, 136, 20, 27)), ((300, 20), (136, 0, 27, 20))])
def test_the_middle_where_no_box_fits(size: tuple[int, int], expected: tuple[int, int, int, int]) -> None:
    from torchvision.transforms import v2

    never = [[0.999, 0.5, 0.5, 0.5]] * augment.TRIES
    assert augment.box(never, *size) == expected
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = [v2.RandomResizedCrop(9, scale=(0.99, 1)).make_params([torch.empty(1, *size)]) for _ in range(3)]
    assert {tuple(each[name] for name in ("top", "left", "height", "width")) for each in made} == {expected}


def test_resized_crop_is_torchvisions_resize_of_the_box() -> None:
    images = pictures(count=5, side=48)
    (numbers,) = augment.resized_crop.draw(5, (48, 48), drawn())
    for image, each, got in zip(images, numbers, augment.resized_crop(images, drawn()), strict=True):
        expected = reference.resized_crop(image.float(), *augment.box(each.tolist(), 48, 48), [48, 48], antialias=True)
        assert (got - expected).abs().max() <= 1.5  # weights of 16 bits, and a rounding along each axis
