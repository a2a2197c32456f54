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


def test_a_profile_is_found_at_home_then_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    store, home = tmp_path / "results/runs", tmp_path / "config/snn-harness/clusters"
    assert clusters.load("cpu", store).description.startswith("CPUs")
    own = write(home, "cpu", 'description = "of the user"')
    write(home, "mine", "gpus = 2")
    assert clusters.load("cpu", store).description == "of the user"
    assert clusters.load("mine", store).gpus == 2
    assert dict(clusters.entries())["cpu"] == f"of the user ({own})"


def test_one_that_came_with_a_store_is_used_by_its_path_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines run as the user's own, and a store may come from anywhere."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    store, setup = tmp_path / "results/runs", 'setup = ["touch stolen"]'
    write(tmp_path / "config/snn-harness/clusters", "mine", "gpus = 2")
    beside = [write(tmp_path / "results/clusters", name, setup) for name in ("mine", "cpu", "theirs")]
    assert not clusters.load("mine", store).setup and not clusters.load("cpu", store).setup
    assert "theirs" not in dict(clusters.entries())
    with pytest.raises(UserError, match=f"unknown place `theirs`; .*--on {beside[2]}"):
        clusters.load("theirs", store)
    assert clusters.load(str(beside[2]), store).setup == ("touch stolen",)


def test_without_a_home_the_shipped_ones_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert clusters.folders() == [clusters.shipped()] and "cpu" in dict(clusters.entries())


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
        ("data = '~nobody1/x'", "`data` is '~nobody1/x', and there is no such home"),
        ('data = "a\\u0000b"', "`data` has the control sign"),
        ("processes = 9223372036854775808", "`processes` is too large a number"),
        ("processes = 9000000000000000", "`processes` is 9000000000000000"),
        ("partition = '''a\nreboot'''", "`partition` is of several lines"),
        ("extra = { nice = '''1\nreboot''' }", "`nice` is of several lines"),
        ("extra = { 'a b' = 1 }", "`a b` is no option of sbatch"),
        ("environment = { 'A=1;reboot;B' = 'x' }", "`A=1;reboot;B` names no variable"),
        ("environment = { '' = 'x' }", "`` names no variable"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        clusters.load(str(write(tmp_path, "mine", text)), tmp_path)
    assert said in str(caught.value) and str(caught.value).startswith("mine.toml")


def test_a_profile_that_is_wrong_is_listed_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    write(tmp_path / "snn-harness/clusters", "mine", "gpu = 1")
    assert dict(clusters.entries())["mine"].startswith("cannot be used: mine.toml: unknown key `gpu`")


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


# What SLURM's commands, and the scripts that sites put before them, complain of


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "sbatch: error: Memory specification can not be satisfied\n"
            "sbatch: error: Batch job submission failed: Requested node configuration is not available\n",
            "Memory specification can not be satisfied; Requested node configuration is not available",
        ),
        (
            'Traceback (most recent call last):\n  File "/opt/site/bin/scontrol", line 8, in <module>\n'
            "    state = json.loads(text)\nValueError: Extra data\n\n",
            "ValueError: Extra data",
        ),
        ("", ""),
    ],
)
def test_a_complaint_in_one_line(said: str, told: str) -> None:
    assert slurm.complaint(said) == told


def test_a_complaint_of_a_page_is_shortened() -> None:
    told = slurm.complaint("\n".join(f"line {n} of a long usage" for n in range(100)))
    assert told.startswith("line 0 of a long usage; ") and told.endswith("usage") and len(told) == 300
