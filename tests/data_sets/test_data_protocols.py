"""The training pictures of each protocol, made again one by one with torchvision and PIL in the documented order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from test_data_augment import cut
from test_data_autoaugment import in_pil
from tiny_sets import TinyCifar, write_batches
from torchvision.transforms import functional as reference

import harness.data
from harness.data import autoaugment
from harness.data.fingerprint import sorted_samples
from harness.data.memory import seeded
from harness.tables import load_protocol

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
ORDER = {"paper": ("crop", "flip", "cutout"), "released": ("crop", "flip", "autoaugment", "cutout")}


@pytest.mark.parametrize("protocol", ORDER)
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifars_order_is_the_documented_one(protocol: str, name: str) -> None:
    assert load_protocol(protocol).recipe[name].augmentation == ORDER[protocol]


@pytest.mark.parametrize("protocol", ORDER)
def test_every_training_picture_is_the_references(protocol: str, tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    """crop -> flip -> AutoAugment -> Cutout -> normalise: a hole is black, so -mean/std afterwards."""
    recipe = load_protocol(protocol).recipe["cifar10"]
    data = harness.data.load("cifar10", write_batches(tmp_path, tiny_cifar), recipe, 1, device="cpu")
    samples, _ = sorted_samples(tiny_cifar["train"])
    generator = seeded(1, 2)
    order = torch.randperm(40, generator=generator)
    touched = 0
    for chosen, (got, labels) in zip(order.split(16), data.train.epoch(1, 2, 16), strict=True):
        count = len(chosen)
        top, left = torch.randint(0, 9, (2, count), generator=generator).tolist()
        mirrored = (torch.rand(count, generator=generator) < 0.5).tolist()
        policy = torch.zeros(count, 2, dtype=torch.int64)
        if protocol == "released":
            policy = autoaugment.draw(count, generator)
        rows, columns = (torch.randint(0, 32, (count,), generator=generator).tolist() for _ in range(2))
        for place, sample in enumerate(chosen.tolist()):
            image = torch.from_numpy(samples.images[sample].copy())
            image = reference.crop(reference.pad(image, [4]), top[place], left[place], 32, 32)
            image = reference.hflip(image) if mirrored[place] else image
            for variant in policy[place].tolist():
                image = in_pil(image, variant)
                touched += variant > 0
            holed = torch.from_numpy(cut(image.numpy(), rows[place], columns[place], 16))
            expected = reference.normalize(holed.float() / 255, list(MEAN), list(STD))
            np.testing.assert_allclose(got[place], expected, atol=1e-6)
            assert labels[place] == samples.labels[sample]
    assert (touched > 20) == (protocol == "released")


def test_tests_see_the_pictures_as_they_are(tmp_path: Path, tiny_cifar: TinyCifar) -> None:
    recipe = load_protocol("released").recipe["cifar10"]
    data = harness.data.load("cifar10", write_batches(tmp_path, tiny_cifar), recipe, 1, device="cpu")
    samples, _ = sorted_samples(tiny_cifar["test"])
    images = torch.cat([images for images, _ in data.test.batches(8)])
    expected = reference.normalize(torch.from_numpy(samples.images).float() / 255, list(MEAN), list(STD))
    np.testing.assert_allclose(images, expected, atol=1e-6)
