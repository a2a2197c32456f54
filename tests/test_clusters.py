"""Cluster profiles: found, decoded strictly, and turned into what sbatch is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import clusters, slurm
from harness.clusters import Profile
from harness.errors import UserError


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_the_shipped_profiles_are_sound() -> None:
    for path in clusters.shipped().glob("*.toml"):
        profile = clusters.load(str(path), Path("results/runs"))
        assert profile.name == path.stem and profile.description


def test_the_example_names_every_key() -> None:
    text = (clusters.shipped() / "example.toml").read_text()
    words = {line.lstrip("# ").partition("=")[0].strip() for line in text.splitlines() if "=" in line}
    assert set(Profile.__struct_fields__) - {"name"} <= words


def test_the_commented_lines_of_the_example_can_be_taken_in(tmp_path: Path) -> None:
    lines = (clusters.shipped() / "example.toml").read_text().splitlines()
    keys = set(Profile.__struct_fields__) - {"pack"}  # it excludes `processes`
    live = [line for line in lines if line.lstrip("# ").partition("=")[0].strip() in keys and "=" in line]
    profile = clusters.load(str(write(tmp_path, "mine", "\n".join(line.removeprefix("# ") for line in live))), tmp_path)
    assert profile.nodes == 2 and profile.extra["mail-type"] == "FAIL" and profile.setup == ("module load cuda",)


def test_a_profile_is_found_beside_the_store_then_at_home_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    store, home = tmp_path / "results/runs", tmp_path / "config/snn-harness/clusters"
    assert clusters.load("cpu", store).description.startswith("CPUs")
    write(home, "cpu", 'description = "of the user"')
    write(home, "mine", "gpus = 2")
    assert clusters.load("cpu", store).description == "of the user"
    write(tmp_path / "results/clusters", "cpu", 'description = "beside the store"')
    assert clusters.load("cpu", store).description == "beside the store"
    assert clusters.load("mine", store).gpus == 2
    assert dict(clusters.entries(store))["cpu"] == "beside the store"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parition = 'a'", "unknown key `parition`; did you mean `partition`?"),
        ("time = 'soon'", "`time` is 'soon'; type minutes"),
        ("time = 'UNLIMITED'", "`time` is 'UNLIMITED'"),
        ("memory = 'much'", "`memory` is 'much'"),
        ("gpus = -1", "`gpus` is -1; type a number of 0 or more"),
        ("gpus = '1'", "`gpus`: expected `int`, got `str`"),
        ("pack = 0", "`pack` is 0"),
        ("margin = 0.5", "`margin` is 0.5"),
        ("processes = 3\nnodes = 2", "3 processes do not spread evenly over 2 nodes"),
        ("processes = 2\npack = 2", "a cell shares a GPU or spans several"),
        ("extra = { signal = 'TERM' }", "`extra` sets `signal`"),
        ("name = 'other'", "`name` is 'other'; leave it out"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        clusters.load(str(write(tmp_path, "mine", text)), tmp_path)
    assert said in str(caught.value) and str(caught.value).startswith("mine.toml")


def test_a_profile_that_is_wrong_is_listed_as_such(tmp_path: Path) -> None:
    write(tmp_path / "clusters", "mine", "gpu = 1")
    assert dict(clusters.entries(tmp_path / "runs"))["mine"].startswith("cannot be used: mine.toml: unknown key `gpu`")


def test_an_unknown_name_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean `local`"):
        clusters.load("locla", tmp_path)
    with pytest.raises(UserError, match="no profile"):
        clusters.load(str(tmp_path / "none.toml"), tmp_path)


@pytest.mark.parametrize(("text", "mib"), [("16G", 16384), ("1.5GB", 1536), ("4000", 4000), ("1TiB", 2**20)])
def test_amounts_of_memory(text: str, mib: int) -> None:
    assert clusters.mib(text) == mib


@pytest.mark.parametrize(  # the forms that sbatch(1) lists under --time
    ("text", "minutes"),
    [("90", 90), ("90:30", 91), ("2:30:00", 150), ("1-12", 2160), ("1-12:30", 2190), ("7-00:00:00", 10080)],
)
def test_time_limits(text: str, minutes: int) -> None:
    assert slurm.minutes(text) == minutes


def test_no_time_limit() -> None:
    assert slurm.minutes("UNLIMITED") is None
    with pytest.raises(ValueError):
        slurm.minutes("1:2:3:4")
