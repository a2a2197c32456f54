"""The input side: images a second on one core beside torchvision's pipeline on PIL, and recordings beside tonic's.

``make bench ARGS="-k input"`` prints both speeds, their ratio, and how many cores an H100 would need.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data import events
from harness.measure import inputs

BOUND = 4
"""Times as many images as torchvision's pipeline on PIL, AutoAugment on."""


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Smooth pictures with some noise, as photographs are."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2048, 3, 4, 4, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear") * 200
    return (fine + 40 * torch.rand(fine.shape, generator=generator)).byte()


def test_input_in_memory_against_pil(images: torch.Tensor, capsys: pytest.CaptureFixture[str], benchmark) -> None:
    speed = benchmark.pedantic(lambda: inputs.in_memory(images, rounds=10), rounds=1)
    with capsys.disabled():
        print(f"\n{speed}")
    assert speed.ratio.low >= BOUND


def test_input_from_files_against_pil(tmp_path: Path, capsys: pytest.CaptureFixture[str], benchmark) -> None:
    random = np.random.default_rng(0)
    for number in range(16):
        coarse = Image.fromarray(random.integers(0, 256, (47, 62, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(tmp_path / f"{number}.JPEG", quality=90)
    files = [path.name for path in sorted(tmp_path.iterdir())]
    speed = benchmark.pedantic(lambda: inputs.from_files(tmp_path, files, rounds=10), rounds=1)
    with capsys.disabled():
        print(f"\n{speed}")
    assert speed.ratio.low > 1


def recording() -> events.Recording:
    """As many events as an ordinary recording of CIFAR10-DVS has."""
    random, count = np.random.default_rng(0), 200_000
    made = np.empty(count, events.EVENT)
    made["t"] = np.sort(random.integers(0, 1_300_000, count))
    made["x"], made["y"] = random.integers(0, 128, (2, count))
    made["p"] = random.integers(0, 2, count)
    return events.Recording(False, 0, made, "")


@pytest.mark.parametrize("bins", ["count", "time"])
def test_input_binning_against_tonic(bins: events.Bins, capsys: pytest.CaptureFixture[str], benchmark) -> None:
    speed = benchmark.pedantic(lambda: inputs.binning(recording(), bins=bins), rounds=1)
    with capsys.disabled():
        print(f"\n{speed}")
    assert speed.ratio.low > BOUND
