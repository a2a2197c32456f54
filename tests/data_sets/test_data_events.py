"""Events: binning against plain loops, simulated digits, real aedat4 files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_sets import all_of, random_events, write_recording

import harness.data
from harness.data import events, splits
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


def recorded_as(recorded: np.ndarray, where: str = "here") -> events.Recording:
    return events.Recording(False, 0, recorded, where)


@pytest.mark.parametrize("bins", ["time", "count"])
@pytest.mark.parametrize("timesteps", [1, 4, 10])
def test_frames_are_plain_counts_and_tonics(bins: events.Bins, timesteps: int) -> None:
    from tonic.transforms import ToFrame

    recorded = random_events(3003, seed=timesteps)
    got = events.to_frames(recorded_as(recorded), 128, timesteps, bins)
    assert np.array_equal(got, plain_frames(recorded, timesteps, 128, bins))
    wanted = ToFrame(
        sensor_size=(128, 128, 2),
        n_time_bins=timesteps if bins == "time" else None,
        n_event_bins=timesteps if bins == "count" else None,
    )
    assert np.array_equal(got, wanted(recorded))


@pytest.mark.parametrize("bins", ["time", "count"])
def test_events_out_of_order_are_put_in_order(bins: events.Bins) -> None:
    recorded = random_events(500, seed=1)
    shuffled = recorded[np.random.default_rng(0).permutation(500)]
    recorded = np.sort(shuffled, order="t", kind="stable")
    if bins == "time":  # among events of one moment, the order is the file's
        assert np.array_equal(
            events.to_frames(recorded_as(shuffled), 128, 5, bins), events.to_frames(recorded_as(recorded), 128, 5, bins)
        )
    assert events.to_frames(recorded_as(shuffled), 128, 5, bins).sum() >= 495


def test_many_events_in_one_pixel_are_all_counted() -> None:
    recorded = random_events(70_000, seed=1)
    recorded["x"] = recorded["y"] = recorded["p"] = 0
    frames = events.to_frames(recorded_as(recorded), 128, 2, "count")
    assert frames[:, 0, 0, 0].tolist() == [35_000, 35_000]
    kept = events._compact(frames)
    assert np.array_equal(kept, frames) and events._compact(frames // 1000).dtype == np.uint8


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


def test_time_or_count_as_the_recipe_says(recordings: Path) -> None:
    kinds = (None, "count", "time")
    own, count, time = (load("cifar10dvs", recordings, 5, Recipe(epochs=1, bins=bins)) for bins in kinds)
    assert np.array_equal(next(all_of(own.test)), next(all_of(count.test)))
    frog, place = random_events(510, seed=610), list(all_of(time.test))[1].tolist().index(6)
    expected = events.nearest(plain_frames(frog, 5, 128, "time"), 48)
    assert np.array_equal(next(all_of(time.test))[:, place], expected)


def written(name: str) -> str:
    """A rule with its hash, as a recipe wants it."""
    published = cifar10dvs.DATASET.published
    assert published is not None
    return f"{name}:{splits.hashed(splits.listed(name, published))}"


HASHES = {
    "last-tenth": "07582ec28e18",
    "first-tenth": "64a9bbfebd17",
    "last-tenth-by-name": "6d8fd438c247",
    "last-fifth": "f6b3f74136a0",
    "last-three-tenths": "273e5ac69015",
    "random-0": "8da363fe7a72",
    "random-1": "45d33511721e",
    "random-2": "289b7835d014",
}


@pytest.mark.parametrize("name", HASHES)
def test_splits_are_the_lists_they_were(name: str) -> None:
    assert written(name) == f"{name}:{HASHES[name]}"


def numbers(name: str, label: int = 3) -> list[int]:
    published = cifar10dvs.DATASET.published
    assert published is not None
    return np.flatnonzero(splits.listed(name, published)[label]).tolist()


def test_what_each_rule_takes_to_test() -> None:
    assert numbers("last-tenth") == list(range(900, 1000))
    assert numbers("first-tenth") == list(range(100))
    assert numbers("last-fifth") == list(range(800, 1000))
    assert numbers("last-three-tenths") == list(range(700, 1000))
    as_text = sorted(range(1000), key=str)
    assert numbers("last-tenth-by-name") == sorted(as_text[900:]) != numbers("last-tenth")
    drawn = [numbers(f"random-{seed}", label) for seed in (0, 1) for label in (0, 1)]
    assert all(len(set(each)) == 100 for each in drawn)
    assert len({tuple(each) for each in drawn}) == 4  # every class and seed its own
    assert splits.numerically("cat_9") < splits.numerically("cat_10") < splits.numerically("cat_100")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR10-DVS as if it had been published with three recordings a class."""
    published = [[f"cifar10_{name}_{number}" for number in (2, 9, 10)] for name in CLASSES]
    monkeypatch.setitem(harness.data._SETS, "cifar10dvs", replace(cifar10dvs.DATASET, published=published))


def written_small(name: str) -> str:
    published = harness.data._get("cifar10dvs").published  # type: ignore[attr-defined]
    return f"{name}:{splits.hashed(splits.listed(name, published))}"


@pytest.mark.usefixtures("small")
def test_a_split_is_chosen_by_rule_and_hash(recordings: Path) -> None:
    own = load("cifar10dvs", recordings, 4)
    spelled = load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=written_small("last-tenth")))
    first = load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=written_small("first-tenth")))
    assert spelled.test.fingerprint == own.test.fingerprint != first.test.fingerprint
    frog = events.nearest(plain_frames(random_events(502, seed=602), 4, 128, "count"), 48)
    frames, labels = all_of(first.test)
    assert np.array_equal(frames[:, list(labels).index(6)], frog) and first.train.samples == 20
    assert own.identity == first.identity
    by_name = load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=written_small("last-tenth-by-name")))
    frog = events.nearest(plain_frames(random_events(509, seed=609), 4, 128, "count"), 48)
    frames, labels = all_of(by_name.test)
    assert np.array_equal(frames[:, list(labels).index(6)], frog)  # as text, "9" comes after "10"


@pytest.mark.usefixtures("small")
def test_a_split_goes_by_name_and_wants_all_of_its_list(recordings: Path) -> None:
    folder, split = recordings / "CIFAR10DVS" / "cat", written_small("last-tenth")
    (folder / "cifar10_cat_2.aedat4").unlink()
    with pytest.raises(UserError, match=r"1 missing of 3, `cifar10_cat_2` first.*:incomplete for what is there"):
        load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=split))
    asked = load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=f"{split}:incomplete"))
    assert (asked.train.samples, asked.test.samples) == (19, 10)
    with pytest.raises(UserError, match="ends in `some`; write"):
        load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=f"{split}:some"))
    (folder / "cifar10_cat_9.aedat4").rename(folder / "cifar10_cat_11.aedat4")
    with pytest.raises(UserError, match="`cifar10_cat_11` is not on the list"):
        load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=f"{split}:incomplete"))


@pytest.mark.parametrize("name", [*HASHES, "random-7"])
def test_one_missing_file_moves_no_other(name: str) -> None:
    """The case that was reported: of 99 test recordings 5 were on the list, and 95 of the list trained."""
    published = cifar10dvs.DATASET.published
    assert published is not None
    there = [[file for file in names if not file.endswith("_cat_57")] for names in published]
    tests = splits.of_files(f"{written(name)}:incomplete", published, there, "here")
    for all_names, names, decided, found in zip(published, there, splits.listed(name, published), tests, strict=True):
        on_the_list = {file for file, test in zip(all_names, decided, strict=True) if test}
        assert {file for file, test in zip(names, found, strict=True) if test} == on_the_list - {"cifar10_cat_57"}
    with pytest.raises(UserError, match="1 missing of 1,000, `cifar10_cat_57` first"):
        splits.of_files(written(name), published, there, "here")


def test_a_list_that_nothing_is_there_of_is_refused(recordings: Path) -> None:
    with pytest.raises(UserError, match="leaves nothing to train or nothing to test on"):
        load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=f"{written('last-tenth')}:incomplete"))


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ("first-tenth", r"lacks its hash; write first-tenth:[0-9a-f]{12}$"),
        ("first-tenth:000000000000", r"not the hash of its list; write first-tenth:[0-9a-f]{12}$"),
        ("first-tent:0", "unknown split `first-tent`; did you mean `first-tenth`"),
    ],
)
def test_a_split_without_its_hash_is_refused(recordings: Path, split: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        load("cifar10dvs", recordings, 4, Recipe(epochs=1, split=split))


def test_settings_that_mean_nothing_are_refused() -> None:
    timed, split = Recipe(epochs=1, bins="time"), Recipe(epochs=1, split="x")
    for name, recipe in (("digits", timed), ("digits", split), ("digits-events", split)):
        with pytest.raises(UserError, match=f"means nothing for {name}"):
            load(name, None, 2, recipe)


def write_nmnist(root: Path, *, each: int = 2) -> Path:
    """N-MNIST's published form: five bytes an event, time stamps that overflow marked by y = 240."""
    for folder in ("Train", "Test"):
        for label in range(10):
            for number in range(each):
                file = root / "NMNIST" / folder / str(label) / f"{number:05}.bin"
                file.parent.mkdir(parents=True, exist_ok=True)
                rows = [(*divmod(number + place, 34)[::-1], place % 2, 1000 * place) for place in range(60)]
                packed = (bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for x, y, p, t in rows)
                file.write_bytes(b"".join(packed))
    return root


def test_nmnist_is_read_in_its_own_form(tmp_path: Path) -> None:
    data = load("nmnist", write_nmnist(tmp_path), 3)
    assert (data.train.samples, data.test.samples, data.shape, data.classes) == (20, 20, (2, 34, 34), 10)
    frames, labels = all_of(data.test)
    assert sorted(labels) == sorted([*range(10)] * 2) and data.identity.startswith("variant-")
    first = frames[:, 0]
    assert first.sum(axis=(1, 2, 3)).tolist() == [20, 20, 19]  # 59 ms in three parts: the last event is left over
    assert first[:, 0].sum() + first[:, 1].sum() == 59


def test_bad_nmnist_recordings_are_named(tmp_path: Path) -> None:
    file = write_nmnist(tmp_path) / "NMNIST" / "Test" / "7" / "00001.bin"
    for content, told in ((b"", "without events"), (file.read_bytes()[:-2], "damaged recording")):
        file.write_bytes(content)
        with pytest.raises(UserError, match=rf"Test/7/00001\.bin: .*{told}"):
            harness.data.identify("nmnist", tmp_path)
    file.write_bytes(bytes((40, 3, 0, 0, 1)) * 9)
    with pytest.raises(UserError, match=r"00001\.bin: an event lies outside the sensor of 34×34"):
        load("nmnist", tmp_path, 3)
    file.write_bytes(bytes((4, 3, 0, 0, 1)) * 9)
    with pytest.raises(UserError, match=r"00001\.bin: recording too short for 3 frames"):
        load("nmnist", tmp_path, 3)


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
