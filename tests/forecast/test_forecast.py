"""What a dry run tells of memory: counted, shared, and with what to type where it will not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_slurm import FakeSlurm
from stand_in import make_cell

from harness.cli import main
from harness.forecast.memory import GIB, Device, fits, memory
from harness.forecast.time import clock
from harness.spec import Cell

SHARE = {"nothing": 1.0, "neurons": 0.5, "everything": 0.125}
CELLS = [make_cell(seed, batch=64) for seed in range(3)]


def measure(cell: Cell, batch: int, way: str) -> int | None:
    """An eighth of a GiB an image."""
    return None if cell.method == "odd" else int(batch / 8 * SHARE[way] * GIB)


def test_a_line_for_each_shape() -> None:
    head, line = memory([*CELLS, make_cell(0, method="odd")], measure, Device(), "nothing")[:2]
    assert head == "memory of a GPU, counted from the shapes of a step:"
    first, second = (" ".join(each.split()) for each in line.splitlines())
    assert first == ("3 x vanilla/resnet20/digits/T2 about 8.0 GiB at batch 64 with --recompute everything 1.0 GiB")
    assert second == "1 x odd/resnet20/digits/T2 unknown"


def test_it_counts_what_was_asked_for() -> None:
    (_, line) = memory(CELLS, measure, Device(), "neurons")
    assert "about 4.0 GiB at batch 64" in line and "recompute neurons, with --recompute everything 1.0 GiB" in line
    (_, line) = memory(CELLS, measure, Device(), "everything")
    assert "about 1.0 GiB at batch 64" in line and line.endswith("recompute everything")


def test_processes_share_the_batch_and_cells_the_device() -> None:
    assert "about 2.0 GiB at batch 16" in memory(CELLS, measure, Device(processes=4), "nothing")[1]
    head, line = memory(CELLS, measure, Device(cells=3), "nothing")
    assert "shared by 3 cells" in head and "about 24.0 GiB at batch 64" in line


@pytest.mark.parametrize(
    ("device", "advice"),
    [
        (Device(gib=9.0), None),
        (Device(gib=8.5), "type --recompute neurons (4.0 GiB)"),
        (Device(gib=2.0), "type --recompute everything (1.0 GiB)"),
        (Device(gib=0.5), "it wants a GPU with more"),
        (Device(gib=2.5, more="mine.toml"), "everything (1.0 GiB), or processes = 4 in mine.toml (2.0 GiB each)"),
        (Device(gib=9.0, cells=2, fewer="pack = 1 in mine.toml"), "neurons (8.0 GiB), or pack = 1 in mine.toml"),
    ],
)
def test_what_does_not_fit_is_said_with_what_to_type(device: Device, advice: str | None) -> None:
    said = memory(CELLS, measure, device, "nothing")[2:]
    assert len(said) == (advice is not None)
    for line in said:
        assert "vanilla/resnet20/digits/T2 will not fit" in line and line.endswith(advice or "")


def test_room_is_left_for_the_driver() -> None:
    assert fits(9 * GIB, 10.0) and not fits(9 * GIB + 1, 10.0) and fits(None, 1.0) and fits(1 << 50, None)


def test_nothing_to_train_needs_nothing() -> None:
    assert memory([], measure, Device(), "nothing") == []


def test_a_time_as_scripts_write_it() -> None:
    assert (clock(30), clock(1440), clock(4321)) == ("00:30:00", "24:00:00", "72:01:00")


IMAGENET = """
name = "large"
title = "the largest of the paper"
[[row]]
method = "mpbn"
architecture = "resnet34"
dataset = "imagenet"
timesteps = 4
"""


@pytest.fixture
def large(tmp_path: Path) -> list[str]:
    (tmp_path / "large.toml").write_text(IMAGENET)
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/mine.toml").write_text("gpus = 1\ngpu_memory = 12\n")
    (tmp_path / "clusters/short.toml").write_text('partition = "short"\n')
    nothing_here = ["--data", str(tmp_path), "--store", str(tmp_path / "runs")]
    return ["run", str(tmp_path / "large.toml"), *nothing_here, "--dry-run"]


def test_imagenet_at_full_size_on_a_cluster(
    fake: FakeSlurm, large: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe's batch, 224 pixels, no sample at hand: 130.4 MiB an image, measured by a real pass of two images."""
    assert main([*large, "--on", str(tmp_path / "clusters/mine.toml")]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "at batch 128" in line]
    gib = float(line.partition("about ")[2].split()[0])
    assert gib == pytest.approx(128 * 130.4 / 1024, rel=0.15)


def test_imagenet_here(large: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(large) == 0
    said = capsys.readouterr()
    assert "3 x  mpbn/resnet34/imagenet/T4  about 16" in said.out and "no ImageNet" in said.err


def test_a_dry_run_asks_for_what_the_script_asks_for(
    fake: FakeSlurm, large: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The partition's half hour, not the profile's day."""
    from harness.clusters import Profile
    from harness.forecast.time import on_a_cluster

    lines = on_a_cluster(CELLS, {}, Profile(name="short"), 30)
    assert "asks for 00:30:00" in lines[1] and lines[2].endswith("each job asks for 00:30:00")
    assert "asks for 24:00:00" in on_a_cluster(CELLS, {}, Profile(name="short"))[1]
