"""Where an epoch starts and how a batch is shared: to the bit what one whole epoch shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import harness.data
from harness.data import memory
from harness.data.augment import AUGMENTATIONS, FOR_COLOUR
from harness.data.base import Share, Split
from harness.spec import Recipe

Batches = list[tuple[torch.Tensor, torch.Tensor]]


def colours() -> Split:
    """Thirty coloured pictures in memory, changed by every augmentation there is."""
    from harness.data.augment import chosen
    from harness.data.memory import MemorySplit, normalisation

    generator = torch.Generator().manual_seed(1)
    return MemorySplit(
        images=torch.randint(0, 256, (30, 3, 32, 32), dtype=torch.uint8, generator=generator),
        labels=torch.arange(30),
        fingerprint="",
        augmentations=chosen(AUGMENTATIONS),
        **normalisation((0.5,) * 3, (0.25,) * 3, torch.device("cpu")),
    )


def recordings() -> Split:
    """Thirty recordings of three frames."""
    from harness.data.augment import chosen
    from harness.data.memory import MemorySplit

    generator = torch.Generator().manual_seed(2)
    return MemorySplit(
        images=torch.randint(0, 9, (30, 3, 2, 16, 16), dtype=torch.uint8, generator=generator),
        labels=torch.arange(30),
        fingerprint="",
        augmentations=chosen(sorted(AUGMENTATIONS.keys() - FOR_COLOUR), events=True),
        scale=torch.ones(1, 1, 1),
        shift=torch.zeros(1, 1, 1),
    )


def files(root: Path) -> Split:
    random = np.random.default_rng(2)
    for number in range(30):
        for split in ("train", "val"):
            folder = root / "imagenet" / split / f"n0000000{number % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.JPEG")
    recipe = Recipe(epochs=1, size=24, augmentation=("resized-crop", "flip", "color-jitter"))
    return harness.data.load("imagenet", root, recipe, 1, device="cpu").train


@pytest.fixture(params=["colours", "recordings", "files"])
def split(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    monkeypatch.setenv("HARNESS_WORKERS", "0")
    return {"colours": colours, "recordings": recordings, "files": lambda: files(tmp_path)}[request.param]()


def equal(left: Batches, right: Batches) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a, b)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(parts(one), parts(other), strict=True)
    )


def parts(batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    images, labels = batch
    return images, labels, images.showings  # type: ignore[attr-defined]


def together(shares: list[Batches]) -> Batches:
    """The batches put together from what each process saw; a recording's batch lies behind its time."""
    whole = []
    for batches in zip(*shares, strict=True):
        images, labels, showings = zip(*map(parts, batches), strict=True)
        joined = torch.cat(images, dim=1 if images[0].dim() == 5 else 0)
        joined.showings = torch.cat(showings)  # type: ignore[attr-defined]
        whole.append((joined, torch.cat(labels)))
    return whole


@pytest.mark.parametrize("start", [0, 1, 2, 4])
def test_an_epoch_goes_on_where_it_stopped(split: Split, start: int) -> None:
    whole = list(split.epoch(5, 3, 8))
    assert [len(labels) for _, labels in whole] == [8, 8, 8, 6]
    assert equal(list(split.epoch(5, 3, 8, start=start)), whole[start:])


@pytest.mark.parametrize("of", [2, 3, 7])
def test_processes_together_see_what_one_would(split: Split, of: int) -> None:
    def each(passes: str) -> Iterator[Batches]:
        for rank in range(of):
            share = Share(rank, of)
            if passes == "epoch":
                yield list(split.epoch(5, 3, 8, start=1, share=share))
            else:
                yield list(split.batches(8, share=share))

    assert equal(together(list(each("epoch"))), list(split.epoch(5, 3, 8))[1:])
    assert equal(together(list(each("batches"))), list(split.batches(8)))


def test_a_showing_has_one_number_whatever_the_batch(split: Split) -> None:
    """The sample's place in every epoch and, in order, in what is not trained on: no two alike."""

    def showings(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        return torch.cat([images.showings for images, _ in batches])  # type: ignore[attr-defined]

    passes = [split.batches(8), split.epoch(5, 0, 8), split.epoch(5, 1, 8)]
    numbers = [showings(each) for each in passes]
    assert torch.equal(numbers[0], torch.arange(30) - 30)
    assert len(torch.cat(numbers).unique()) == 90
    assert torch.equal(numbers[2], showings(split.epoch(5, 1, 7)))
    images, labels = next(iter(split.epoch(5, 1, 30)))
    in_order = [label for _, part in split.batches(30) for label in part.tolist()]
    assert labels.tolist() == [in_order[number % 30] for number in images.showings.tolist()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("bound", [1, 3072 * 20])
def test_how_many_are_changed_at_once_changes_nothing(bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list(colours().epoch(5, 3, 8))
    monkeypatch.setattr(memory, "TOGETHER", bound)
    assert equal(list(colours().epoch(5, 3, 8)), expected)


def test_the_committed_results_can_be_had_again() -> None:
    """Hashes of epochs as the code drew them that trained the results of this repository."""

    def seen(name: str, *augmentation: str) -> str:
        recipe = Recipe(epochs=1, augmentation=augmentation, train_samples=230)
        split = harness.data.load(name, None, recipe, 4, device="cpu").train
        parts = (part for batch in split.epoch(3, 2, 32) for part in batch)
        return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()[:16]

    assert seen("digits", "crop", "flip", "cutout", "roll") == "cc399e29da44aa1c"
    assert seen("digits-events", "roll", "flip") == "f474e7279a328ccf"


@pytest.mark.parametrize("count", [0, 1, 5, 6, 128])
@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_shares_are_torchs(count: int, of: int) -> None:
    whole = torch.arange(count)
    for rank, part in enumerate(whole.tensor_split(of)):
        assert torch.equal(whole[Share(rank, of).within(count)], part)
