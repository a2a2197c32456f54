"""AutoAugment in batches against torchvision's on PIL images: the policy, every operation's pixels, what is drawn."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision.transforms import v2

from harness.data import augment, autoaugment, pixels

THEIRS = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10, fill=autoaugment.FILL)
THEIR_NAMES = {
    "shear-x": "ShearX",
    "shear-y": "ShearY",
    "translate-x": "TranslateX",
    "translate-y": "TranslateY",
    "autocontrast": "AutoContrast",
}
ALIGNED = [(name, index) for index, (name, _, _) in enumerate(autoaugment.VARIANTS) if name != "nothing"]


def theirs(operation: str) -> str:
    return THEIR_NAMES.get(operation, operation.capitalize())


def pictures(height: int = 32, width: int = 32) -> torch.Tensor:
    """Twenty: noise, narrow ranges, smooth ones, and channels of one or two levels, where tables have their corners."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randint(0, 256, (20, 3, height, width), dtype=torch.uint8, generator=generator)
    noise[4:8] = noise[4:8] // 4 + 60
    noise[8:12] = (torch.linspace(0, 200, height * width).view(height, width) + noise[8:12] / 32).byte()
    noise[12], noise[13], noise[14], noise[15, 1] = 0, 255, 77, 3
    noise[16, 0], noise[16, 0, : height // 2] = 9, 200
    return noise


def in_pil(image: torch.Tensor, variant: int) -> torch.Tensor:
    """What torchvision does to a PIL image for one of our variants."""
    operation, magnitude, sign = autoaugment.VARIANTS[variant]
    if operation == "nothing":
        return image
    values, _ = THEIRS._AUGMENTATION_SPACE[theirs(operation)]
    given = values(10, *image.shape[1:])
    amount = 0.0 if given is None else sign * float(given[magnitude])
    changed = THEIRS._apply_image_or_video_transform(
        Image.fromarray(image.permute(1, 2, 0).numpy()),
        theirs(operation),
        amount,
        interpolation=THEIRS.interpolation,
        fill=THEIRS._fill,
    )
    return torch.from_numpy(np.array(changed)).permute(2, 0, 1)


def test_policy_is_torchvisions() -> None:
    ours = [
        tuple((theirs(step.operation), step.probability, step.magnitude) for step in pair)
        for pair in autoaugment.SUB_POLICIES
    ]
    assert ours == list(THEIRS._policies)
    for step in (step for pair in autoaugment.SUB_POLICIES for step in pair):
        values, signed = THEIRS._AUGMENTATION_SPACE[theirs(step.operation)]
        assert signed == (step.operation in autoaugment.SIGNED)
        assert (values(10, 32, 32) is None) == (step.magnitude is None)


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
@pytest.mark.parametrize("operation", sorted({name for name, _ in ALIGNED}))
def test_every_operation_gives_pils_pixels(operation: str, size: tuple[int, int]) -> None:
    images = pictures(*size)
    for variant in [index for name, index in ALIGNED if name == operation]:
        got = autoaugment.apply(images, torch.tensor([[variant, 0]]).expand(len(images), -1))
        for image, ours in zip(images, got, strict=True):
            assert torch.equal(ours, in_pil(image, variant)), autoaugment.VARIANTS[variant]


def test_both_operations_in_turn_each_image_its_own() -> None:
    images = pictures().repeat(10, 1, 1, 1)
    variants = autoaugment.draw(len(images), torch.Generator().manual_seed(4))
    assert (variants[:, 1] > 0).sum() > 50
    got = autoaugment.apply(images, variants)
    for image, (first, second), ours in zip(images, variants.tolist(), got, strict=True):
        assert torch.equal(ours, in_pil(in_pil(image, first), second))


def named(variants: torch.Tensor) -> list[tuple[str, ...]]:
    """What an image goes through, in order, by torchvision's names; a variant that does nothing is left out."""

    def name(variant: int) -> str:
        operation, magnitude, sign = autoaugment.VARIANTS[variant]
        values, _ = THEIRS._AUGMENTATION_SPACE[theirs(operation)]
        given = values(10, 32, 32)
        return theirs(operation) if given is None else f"{theirs(operation)} {sign * float(given[magnitude]):.4f}"

    return [tuple(name(each) for each in pair if each) for pair in variants.tolist()]


def probabilities() -> dict[tuple[str, ...], float]:
    """Of every outcome of torchvision's policy, by enumeration of its own tables."""
    total: dict[tuple[str, ...], float] = defaultdict(float)
    for pair in THEIRS._policies:
        outcomes: dict[tuple[str, ...], float] = {(): 1 / len(THEIRS._policies)}
        for name, probability, magnitude in pair:
            values, signed = THEIRS._AUGMENTATION_SPACE[name]
            given = values(10, 32, 32)
            amount = 0.0 if given is None else float(given[magnitude])
            forms = [f"{name} {sign * amount:.4f}" for sign in ((1, -1) if signed else (1,))]
            forms = [name] if given is None else forms
            grown: dict[tuple[str, ...], float] = defaultdict(float)
            for done, weight in outcomes.items():
                grown[done] += weight * (1 - probability)
                for form in forms:
                    grown[(*done, form)] += weight * probability / len(forms)
            outcomes = grown
        for outcome, weight in outcomes.items():
            total[outcome] += weight
    return {outcome: weight for outcome, weight in total.items() if weight > 0}


def drawn_by_torchvision(count: int, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Its own forward, with the pixel work taken out and written down instead."""
    steps: list[str] = []

    def write_down(image: torch.Tensor, name: str, magnitude: float, **_: object) -> torch.Tensor:
        steps.append(f"{name} {magnitude:.4f}" if THEIRS._AUGMENTATION_SPACE[name][0](10, 32, 32) is not None else name)
        return image

    monkeypatch.setattr(THEIRS, "_apply_image_or_video_transform", write_down)
    image, outcomes = torch.zeros(3, 32, 32, dtype=torch.uint8), []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        for _ in range(count):
            steps.clear()
            THEIRS(image)
            outcomes.append(tuple(steps))
    return outcomes


def goodness(outcomes: list[tuple[str, ...]]) -> float:
    """p of the chi-square test against `probabilities`; rare outcomes count together."""
    expected = probabilities()
    assert abs(sum(expected.values()) - 1) < 1e-9
    seen = Counter(outcomes)
    assert seen.keys() <= expected.keys()  # nothing that cannot happen
    pairs = [(seen[outcome], weight * len(outcomes)) for outcome, weight in expected.items()]
    common = [pair for pair in pairs if pair[1] >= 10]
    rare = [pair for pair in pairs if pair[1] < 10]
    observed, theory = np.array([*common, np.sum(rare, axis=0)] if rare else common).T
    return float(stats.chisquare(observed, theory).pvalue)


def test_what_is_drawn_has_the_policys_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pair of operations with its magnitudes and signs; fixed seeds, so a pass is a pass for good."""
    ours = named(autoaugment.draw(100_000, torch.Generator().manual_seed(6)))
    assert goodness(ours) > 0.01
    assert goodness(drawn_by_torchvision(5_000, monkeypatch)) > 0.01  # the yardstick itself


def test_the_distribution_test_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    probability, variants = autoaugment._choices()
    monkeypatch.setattr(autoaugment, "_choices", lambda: (probability * 0.97, variants))
    assert goodness(named(autoaugment.draw(100_000, torch.Generator().manual_seed(6)))) < 1e-6


def test_sub_policies_and_signs_are_equally_likely() -> None:
    probability, variants = autoaugment._choices()
    assert probability.shape == (25, 2) and variants.shape == (25, 2, 2)
    pairs = Counter(named(autoaugment.draw(100_000, torch.Generator().manual_seed(7))))
    left, right = (sum(n for outcome, n in pairs.items() if f"Rotate {s}6.6667" in outcome) for s in ("", "-"))
    assert stats.binomtest(left, left + right).pvalue > 0.01
    assert stats.binomtest(left + right, 100_000, 0.7 / 25).pvalue > 0.01


def test_both_ways_of_counting_levels_agree() -> None:
    """On a GPU the levels are counted by sorting; the same rule on the CPU."""
    images = pictures()
    rows = images.flatten(0, 1).flatten(1)
    assert torch.equal(pixels.sorted_counts(rows), pixels.histograms(images).flatten(0, 1))
    assert pixels.histograms(images)[3, 1].tolist() == [int((images[3, 1] == level).sum()) for level in range(256)]


def test_it_is_what_recipes_call_autoaugment() -> None:
    images = pictures()
    (operation,) = augment.chosen(["autoaugment"])
    variants = autoaugment.draw(len(images), torch.Generator().manual_seed(8))
    assert torch.equal(operation(images, torch.Generator().manual_seed(8)), autoaugment.apply(images, variants))
