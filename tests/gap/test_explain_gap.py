"""A stranger's log beside a row: three whose cause is known, and what is said where nothing can be told.

AutoAugment forgotten: a run of ours of the row without it, of which the evidence keeps no copy. Best and last swapped:
a run of ours on the digits. The third is the event file that PLIF's authors published, cut to its scalars' epochs.
"""

from __future__ import annotations

import csv
import math
import shutil
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from outcomes import result

from harness import tables
from harness.cli import main
from harness.errors import UserError
from harness.gap.measured import measured
from harness.gap.reading import read
from harness.plan import plan
from harness.store import Store
from harness.store.result import Curve, Result
from harness.verbs.session import context_of

EVIDENCE = Path(__file__).parents[2] / "results" / "cpu"
PLIF = Path(__file__).with_name("plif.csv")
"""Epoch and test accuracy of the event file at the commit that `tables/protocols/own/plif.toml` names:
logs/A/CIFAR10/CIFAR10_init_tau_2.0_use_plif_True_use_max_pool_True_T_8_detach_reset_True, both parts."""


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """What `explain-gap` prints, in one line."""

    def ask(log: Path, *words: str, store: Path | None = None) -> str:
        place = ("--store", str(store or tmp_path / "none"))
        assert main(["explain-gap", str(log), *place, *words]) == 0
        return " ".join(capsys.readouterr().out.split())

    return ask


def written(path: Path, found: Result | Curve) -> Path:
    """As a stranger would write it down."""
    curve = found.curve if isinstance(found, Result) else found
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Epoch", "Train Acc", "Test Acc", "LR"])
        rows = zip(curve.train_accuracy, curve.test_accuracy, curve.learning_rate, strict=True)
        writer.writerows(
            [epoch, f"{a / 100:.4f}", f"{b / 100:.4f}", rate] for epoch, (a, b, rate) in enumerate(rows, 1)
        )
    return path


def left_out(tmp_path: Path, row: int, seed: int) -> tuple[Result, Path]:
    """A run of a row of the evidence, and the evidence without it."""
    found = next(each for each in measured(EVIDENCE).rows if each.number == row)
    run = next(each for each in found.results if each.cell.seed == seed)
    copy = tmp_path / "evidence"
    shutil.copytree(EVIDENCE, copy, ignore=shutil.ignore_patterns(run.cell.key, "*.pt", "*.md"))
    return run, copy


ROW = "ambiguities:5 (MPBN, autoaugment after flip)"
FIFTH = ("--row", "ambiguities:5", "--preset", "cpu", "--measured")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_autoaugment_forgotten(seed: int, asked, tmp_path: Path) -> None:
    run, evidence = left_out(tmp_path, 1, seed)
    text = asked(written(tmp_path / "log.csv", run), *FIFTH, str(evidence))
    assert f"First guess: it was trained as ambiguities:1 (MPBN), not as {ROW}." in text
    assert "surrogate tanh" not in text.partition("Check")[0], "what is far from the log is not named"


def test_what_was_not_forgotten_is_not_guessed(asked, tmp_path: Path) -> None:
    run, evidence = left_out(tmp_path, 5, 1)
    text = asked(written(tmp_path / "log.csv", run), *FIFTH, str(evidence))
    assert "Cannot tell" in text and "First guess" not in text


CURVE = Curve(
    train_accuracy=(30.0, 55.0, 65.0, 70.0, 75.0, 78.0, 80.0, 81.0),
    test_accuracy=(35.28, 55.83, 66.94, 70.28, 77.5, 81.67, 80.28, 79.17),
    learning_rate=tuple(0.05 * (1 + math.cos(math.pi * epoch / 8)) for epoch in range(8)),
)
"""Of MPBN on the digits, T = 1."""


def test_best_and_last_swapped(asked, tmp_path: Path) -> None:
    row = next(n for n, row in enumerate(tables.load_table("table1").row, 1) if row.method == "mpbn")
    context = context_of(tables.load_protocol("paper"), tables.load_preset("smoke"), (0, 1, 2), ())
    store = Store(tmp_path / "store")
    for cell, best in zip(
        plan(tables.load_table("table1"), context).lines[row - 1].cells, (81.4, 81.7, 82.0), strict=True
    ):
        with store.claim(cell) as claim:  # type: ignore[union-attr]
            store.write_result(result(cell, best), claim)
    said = ("--row", f"table1:{row}", "--preset", "smoke", "--claimed", "79.17")
    text = asked(written(tmp_path / "log.csv", CURVE), *said, store=tmp_path / "store")
    assert "First guess: the epoch. The last of this log, 79.17, is held against 81.70, which is the best" in text
    assert "+2.50 of +2.53 points, by its own numbers" in text and "reported is last" in text
    other = asked(written(tmp_path / "log.csv", CURVE), *said[:-1], "81.67", store=tmp_path / "store")
    assert "Cannot tell" in other and "reported is best" in other


def test_the_published_run_of_plif(asked) -> None:
    text = asked(PLIF, "--row", "table2:6")
    assert "First guess: the epoch. The last of this log, 92.40, is held against 93.50, which is the best" in text
    assert "the best of this log is 93.50. That is +1.10 of +1.10 points" in text
    assert "epochs 1024 1024 400 as own" in text and "best 93.50 (epoch 951), last 92.40" in text
    assert "92.58: epoch chosen by a validation set" in text


def record(step: int, scalars: Mapping[str, float]) -> bytes:
    """Of an event file, as TensorBoard writes it; checksums are not looked at."""
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    event = event_pb2.Event(wall_time=1.0, step=step)
    for tag, value in scalars.items():
        event.summary.value.add(tag=tag, simple_value=value)
    return framed(event.SerializeToString())


def framed(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + b"\0" * 4 + content + b"\0" * 4


def events(path: Path, records: Iterable[bytes]) -> Path:
    event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
    first = event_pb2.Event(wall_time=1.0, file_version="brain.Event:2").SerializeToString()
    path.write_bytes(framed(first) + b"".join(records))
    return path


def test_events_with_rates_and_steps(asked, tmp_path: Path) -> None:
    records = []
    for epoch in range(20):
        rate = 0.5 * 1e-3 * (1 + math.cos(math.pi * epoch / 300))
        records += [record(epoch * 98 + step, {"train_loss": 1.0}) for step in range(0, 98, 7)]
        records.append(record(epoch, {"test/acc": 0.5 + epoch / 100, "lr": rate, "max_test_acc": 0.9}))
    file = events(tmp_path / "run_T_2_events.out.tfevents.1", records)
    log = read(file)
    assert (log.epochs, log.best, log.timesteps, log.batches) == (20, pytest.approx(69.0), 2, 98)
    text = asked(file, "--row", "table2:20")
    assert "learning rate 0.001 to" in text and "as theirs" in text and "as own" in text
    assert "98 an epoch, so about 510 512 128 as own" in text and "timesteps 2 2 as the row" in text


def test_a_folder_of_event_files_is_one_log(tmp_path: Path) -> None:
    parts = [[record(epoch, {"test_acc": 10.0 + epoch}) for epoch in each] for each in (range(6), range(5, 9))]
    for number, part in enumerate(parts):
        events(tmp_path / f"events.out.tfevents.{number}", part)
    assert read(tmp_path).accuracy == tuple(10.0 + epoch for epoch in range(9))
    late = read(tmp_path / "events.out.tfevents.1")
    assert (late.begins, late.epochs, late.best_epoch) == (5, 4, 9)


def test_an_event_file_that_is_still_written_is_read_so_far(tmp_path: Path) -> None:
    file = events(tmp_path / "events.out.tfevents.1", [record(epoch, {"test_acc": 50.0}) for epoch in range(3)])
    file.write_bytes(file.read_bytes()[:-7])
    assert read(file).epochs == 2


TEXTS: Sequence[tuple[str, tuple[float, ...]]] = (
    ("Epoch 1/3 train acc=30.0\nEpoch 1/3 test acc=41.5\nBest Test acc=41.5\nEpoch 2/3 test acc=40.0\n", (41.5, 40.0)),
    ("2026 epoch 1/2: 76.11 %, 78 images/s\n2026 epoch 2/2: 78.06 %, 80 images/s\n", (76.11, 78.06)),
    ("epoch=0, train_acc=0.2, test_acc=0.31, max=0.31\nepoch=1, test_acc=0.4, max_test_acc=0.4\n", (31.0, 40.0)),
)


@pytest.mark.parametrize(("content", "accuracy"), TEXTS)
def test_texts_as_people_print_them(content: str, accuracy: tuple[float, ...], tmp_path: Path) -> None:
    file = tmp_path / "train.log"
    file.write_text(content)
    assert read(file).accuracy == pytest.approx(accuracy)


def test_a_pattern_of_ones_own(asked, tmp_path: Path) -> None:
    file = tmp_path / "train.log"
    file.write_text("".join(f"[{n}] lr 0.1 top1 of eval is {50 + n}.25\n" for n in range(4)))
    assert read(file, r"^\[(?P<epoch>\d+)\].*eval is (?P<accuracy>[\d.]+)").accuracy == (50.25, 51.25, 52.25, 53.25)
    text = asked(file, "--row", "table2:20", "--pattern", r"eval is (?P<accuracy>[\d.]+)")
    assert "learning rate 0.1 to 0.1" in text and "Cannot tell" in text and "differs" in text


def test_the_best_so_far_is_no_curve(asked, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("epoch,acc\n" + "".join(f"{n},{60 + n}\n" for n in range(30)))
    text = asked(file, "--row", "table2:20")
    assert "it never falls: the best so far was logged" in text and "First guess" not in text


def test_no_cause_is_named_that_nobody_measured(asked) -> None:
    text = asked(PLIF, "--row", "table2:4")
    assert "Cannot tell" in text and "was not measured here" in text
    settings = text.partition("by what was measured")[2]
    assert settings.index("not measured") > settings.index("augmentation"), "what was measured comes first"


BAD = [
    ("log.csv", "", [], "has no column of accuracies"),
    ("log.csv", "epoch,loss\n1,2\n", [], "has no column of accuracies; name it test_accuracy"),
    ("log.csv", "epoch,acc\n1,high\n", [], "line 2: `acc` is 'high'; write a number"),
    ("log.csv", "epoch,acc\n1,nan\n", [], "`acc` is 'nan'"),
    ("log.csv", "epoch,acc\n1,140\n", [], "has an accuracy of 140"),
    ("log.csv", "epoch,acc\n1,-3\n", [], "has an accuracy of -3"),
    ("log.csv", "epoch,acc\n", [], "has no column of accuracies"),
    ("log.txt", "nothing\n", [], "no line says a test accuracy"),
    ("log.txt", "acc 5\n", ["--pattern", "("], "--pattern: is no regular expression"),
    ("log.txt", "acc 5\n", ["--pattern", r"acc (\d)"], "--pattern: has no group called accuracy"),
    ("log.txt", "acc five\n", ["--pattern", "acc (?P<accuracy>.*)"], "finds 'five' for a number"),
    ("log.txt", "acc 5\n", ["--row", "table2"], "`table2` is no row; type TABLE:NUMBER"),
    ("log.txt", "acc 5\n", ["--row", "table2:99"], "table2 has no row 99; its rows are 1 to"),
    ("log.txt", "acc 5\n", ["--row", "table9:1"], "unknown table `table9`"),
    ("log.txt", "acc 5\n", ["--claimed", "900"], "900 is no accuracy"),
    ("log.txt", "acc 5\n", ["--preset", "smok"], "unknown preset `smok`; did you mean `smoke`"),
    ("log.bin", b"\xff\xfe\x00\x01", [], "is no text, and no TensorBoard event file"),
    ("log.bin", b"\0" * 12 + b"\x1a\x0dbrain.Event:2" + b"\0" * 40, [], "has no tag of test accuracies"),
]


@pytest.mark.parametrize(("name", "content", "words", "said"), BAD, ids=[each[3][:40] for each in BAD])
def test_bad_input_is_one_line(
    name: str, content: str | bytes, words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    row = [] if "--row" in words else ["--row", "table2:20"]
    assert main(["explain-gap", str(file), *row, *words]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_what_is_no_file_is_said(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "none.csv" if what == "missing" else tmp_path
    assert main(["explain-gap", str(place), "--row", "table2:20"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_tensorboard_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = events(tmp_path / "events.out.tfevents.1", [record(0, {"test_acc": 50.0})])
    monkeypatch.setitem(__import__("sys").modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(UserError, match=r"needs tensorboard.*pip install tensorboard"):
        read(file)
