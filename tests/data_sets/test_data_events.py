"""Events: binning against plain loops, simulated digits, real aedat4 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_sets import all_of, random_events, write_recording

import harness.data
from harness.data import events
from harness.data.sets import cifar10dvs, digits_events
from harness.data.sets.cifar10 import CLASSES
from harness.errors import UserError
from harness.spec import Recipe

PLAIN = Recipe(epochs=1)


def load(name: str, root: Path | None, timesteps: int, recipe: Recipe = PLAIN) -> harness.data.Data:
    return harness.data.load(name, root, recipe, timesteps, device="cpu")


def plain_frames(recorded: np.ndarray, timesteps: int, sensor: int, bins: str) -> np.ndarray:
    """Event by event: frame t holds the t-th part of the time (or of the events), what is left over is dropped."""
    frames = np.zeros((timesteps, 2, sensor, sensor), np.int64)
    first, last = int(recorded["t"][0]), int(recorded["t"][-1])
    for number, (t, x, y, p) in enumerate(recorded.tolist()):
        share = (last - first) // timesteps if bins == "time" else len(recorded) // timesteps
        frame = ((t - first) if bins == "time" else number) // share
        if frame < timesteps:
            frames[frame, p, y, x] += 1
    return frames


@pytest.mark.parametrize("bins", ["time", "count"])
@pytest.mark.parametrize("timesteps", [1, 4, 10])
def test_frames_are_plain_counts(bins: str, timesteps: int) -> None:
    recorded = random_events(3003, seed=timesteps)
    got = events.to_frames(events.Recording("train", 0, recorded, "here"), 128, timesteps, bins)  # type: ignore[arg-type]
    assert np.array_equal(got, plain_frames(recorded, timesteps, 128, bins))


def test_nearest_is_torchs() -> None:
    import torch

    frames = np.random.default_rng(0).integers(0, 9, (3, 2, 128, 128))
    expected = torch.nn.functional.interpolate(torch.from_numpy(frames).float(), (48, 48), mode="nearest")
    assert np.array_equal(events.nearest(frames, 48), expected)


def test_simulated_events_follow_the_brightness() -> None:
    """One pixel, step by step: it fires whenever the brightness is a threshold away from its last event's."""
    image = np.random.default_rng(0).integers(0, 17, (1, 8, 8))
    (recorded,) = digits_events.simulate(image)
    assert (np.diff(recorded["t"]) >= 0).all() and recorded["t"].max() < 300_000
    scene = np.pad(digits_events._doubled(image.astype(float)), ((0, 0), (3, 3), (3, 3)))
    y, x = 9, 6
    views = [digits_events._at(scene, *place)[0, y, x] for place in ((-2, -2), *digits_events._path())]
    expected, seen = [], views[0]
    for step, view in enumerate(views[1:]):
        while abs(view - seen) >= digits_events.THRESHOLD:
            expected.append((step, view > seen))
            seen += np.sign(view - seen) * digits_events.THRESHOLD
    here = recorded[(recorded["x"] == x) & (recorded["y"] == y)]
    assert [(t // digits_events.STEP_TIME, bool(p)) for t, p in zip(here["t"], here["p"], strict=True)] == expected
    assert expected


def test_shift_and_doubling_are_bilinear() -> None:
    import torch

    image = np.random.default_rng(1).integers(0, 17, (2, 8, 8)).astype(float)
    doubled = torch.nn.functional.interpolate(torch.from_numpy(image)[:, None], (16, 16), mode="bilinear")[:, 0]
    assert np.array_equal(digits_events._doubled(image), doubled)
    scene = np.pad(doubled.numpy(), ((0, 0), (3, 3), (3, 3)))
    assert np.array_equal(digits_events._at(scene, 0, 0), doubled)
    assert np.array_equal(digits_events._at(scene, 2, -1)[:, 2:, :15], doubled[:, :14, 1:])
    half = digits_events._at(scene, 0.5, 0)
    assert np.array_equal(half[:, 1:], (doubled[:, 1:] + doubled[:, :-1]) / 2)


def test_digits_events_are_official_and_time_leads() -> None:
    data = load("digits-events", None, 4, Recipe(epochs=1, train_samples=50, test_samples=20))
    assert (data.name, data.identity, data.shape, data.classes) == ("digits-events", "official", (2, 16, 16), 10)
    frames, labels = all_of(data.train)
    assert frames.shape == (4, 50, 2, 16, 16) and frames.dtype == np.float32 and labels.dtype == np.int64
    assert np.array_equal(frames, np.rint(frames)) and frames.sum((0, 2, 3, 4)).min() > 300
    larger = load("digits-events", None, 4, Recipe(epochs=1, size=32, test_samples=20))
    assert larger.shape == (2, 32, 32)
    assert np.array_equal(next(all_of(larger.test))[..., ::2, ::2], next(all_of(data.test)))


def test_events_are_augmented_with_one_draw_a_recording() -> None:
    recipe = Recipe(epochs=1, augmentation=("flip", "roll"), train_samples=30, test_samples=10)
    data = load("digits-events", None, 2, recipe)
    first, again = (next(all_of(data.train, epoch=(0, 0))) for _ in range(2))
    assert np.array_equal(first, again) and not np.array_equal(first, next(all_of(data.train, epoch=(0, 1))))
    assert first.sum() == next(all_of(data.train)).sum()  # rolled and mirrored, nothing lost
    with pytest.raises(UserError, match="does not apply to events"):
        load("digits-events", None, 2, Recipe(epochs=1, augmentation=("color-jitter",)))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Ten classes of three recordings, numbered 2, 9, 10: the last in numerical order tests."""
    for label, name in enumerate(CLASSES):
        for number in (2, 9, 10):
            file = tmp_path / "CIFAR10DVS" / name / f"cifar10_{name}_{number}.aedat4"
            write_recording(file, random_events(500 + number, seed=100 * label + number))
    return tmp_path


def test_aedat4_is_read_to_the_event(recordings: Path) -> None:
    file = recordings / "CIFAR10DVS" / "frog" / "cifar10_frog_9.aedat4"
    assert np.array_equal(cifar10dvs.read_events(file), random_events(509, seed=609))


def test_cifar10dvs_split_frames_and_identity(recordings: Path) -> None:
    data = load("cifar10dvs", recordings, 10)
    assert (data.train.samples, data.test.samples, data.shape, data.classes) == (20, 10, (2, 48, 48), 10)
    assert data.identity == harness.data.identify("cifar10dvs", recordings)
    assert data.identity.startswith("variant-")
    frames, labels = all_of(data.test)
    assert sorted(labels) == list(range(10))
    frog = random_events(510, seed=610)  # number 10 is the last, though "10" sorts before "2"
    expected = events.nearest(plain_frames(frog, 10, 128, "count"), 48)
    assert np.array_equal(frames[:, list(labels).index(6)], expected)


def test_binned_once_for_each_setting(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("cifar10dvs", recordings, 4)
    monkeypatch.setattr(cifar10dvs, "read_events", lambda _: pytest.fail("read again"))
    assert np.array_equal(next(all_of(load("cifar10dvs", recordings, 4).train)), next(all_of(first.train)))


def test_split_rule() -> None:
    assert [cifar10dvs.split_of(index, 1000) for index in (0, 899, 900, 999)] == ["train", "train", "test", "test"]
    names = [Path(f"cifar10_cat_{number}.aedat4") for number in (10, 9, 100, 0)]
    assert [file.stem[12:] for file in cifar10dvs.numerically(names)] == ["0", "9", "10", "100"]


def test_bad_recordings_are_named(recordings: Path) -> None:
    folder = recordings / "CIFAR10DVS" / "ship"
    empty = folder / "cifar10_ship_11.aedat4"
    write_recording(empty, random_events(0, seed=0))
    with pytest.raises(UserError, match=r"cifar10_ship_11\.aedat4: .*without events"):
        harness.data.identify("cifar10dvs", recordings)
    empty.unlink()
    write_recording(empty, random_events(3, seed=0))
    with pytest.raises(UserError, match=r"cifar10_ship_11\.aedat4: recording of 3 events, 10 frames wanted"):
        load("cifar10dvs", recordings, 10)
    for content in (b"#!AER-DAT4.0\r\nrubbish", (folder / "cifar10_ship_9.aedat4").read_bytes()[:700], b""):
        empty.write_bytes(content)
        with pytest.raises(UserError, match=r"cifar10_ship_11\.aedat4"):
            harness.data.identify("cifar10dvs", recordings)
    empty.rename(folder / "cifar10_ship_11.aedat")
    with pytest.raises(UserError, match=r"cifar10_ship_11\.aedat: .*older"):
        harness.data.locate("cifar10dvs", recordings)
