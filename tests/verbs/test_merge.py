"""`merge`: stores are united, nothing is overwritten, what contradicts is refused, and twice is once."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from stand_in import make_cell, make_failure, make_result
from test_status import claimed

from harness.cli import main
from harness.process import HOST, PLACE, born
from harness.spec import Cell
from harness.store import Store
from harness.store.holder import Holder
from harness.store.result import Progress, Result
from harness.verbs.merge import LATER, PROVENANCE, differences


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "ours")
    made.prepare()
    return made


@pytest.fixture
def other(tmp_path: Path) -> Store:
    made = Store(tmp_path / "theirs")
    made.prepare()
    return made


def merge(store: Store, other: Store | Path, *options: str) -> int:
    return main(["merge", str(other.root if isinstance(other, Store) else other), "--store", str(store.root), *options])


def files(store: Store) -> dict[str, tuple[bytes, int]]:
    """All of a store: path -> content and time."""
    found = (path for path in store.root.rglob("*") if path.is_file())
    return {str(path.relative_to(store.root)): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def trained(store: Store, cell: Cell, accuracy: float = 90.0) -> Result:
    """A finished cell as a worker leaves it."""
    made = make_result(cell, accuracy, proofs=1)
    store.write_result(made)
    store.log(cell).write_text("log\n")
    (store.folder(cell) / "weights.pt").write_bytes(b"weights")
    return made


def checkpointed(store: Store, cell: Cell, content: bytes = b"state") -> None:
    store.announce([cell])
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (store.folder(cell) / name).write_bytes(content)
    said = Progress(epoch=2, epochs=3, accuracy=1.0, images_per_second=1.0, seconds_left=1.0, host="h", pid=1)
    store.write_progress(cell, said)


def test_two_stores_become_one_and_twice_is_once(store: Store, other: Store, capsys: pytest.CaptureFixture) -> None:
    trained(store, make_cell(0)), trained(store, make_cell(1))
    trained(other, make_cell(1)), trained(other, make_cell(2))
    other.write_failure(make_failure(make_cell(3)))
    other.log(make_cell(3)).write_text("it failed\n")
    ours, theirs = files(store), files(other)
    assert merge(store, other) == 0
    assert "merged: 1 already here, 1 failure, 1 result" in _sorted_counts(capsys.readouterr().out)
    assert sorted(result.cell.seed for result in store.results()) == [0, 1, 2]
    assert store.failure(make_cell(3)) == make_failure(make_cell(3))
    assert not store.problems
    for name in ("log.txt", "weights.pt", "result.json", "cell.json"):
        assert (store.folder(make_cell(2)) / name).read_bytes() == (other.folder(make_cell(2)) / name).read_bytes()
    once = files(store)
    assert ours.items() <= once.items() and files(other) == theirs
    assert not [path for path in once if "claim" in path or path.endswith(".tmp")]
    assert merge(store, other) == 0
    assert files(store) == once


def _sorted_counts(out: str) -> str:
    head, _, counts = out.splitlines()[-1].partition(": ")
    return f"{head}: {', '.join(sorted(counts.split(', ')))}"


def test_what_contradicts_is_refused_with_both_numbers_and_the_rest_is_merged(
    store: Store, other: Store, capsys
) -> None:
    trained(store, make_cell(0), 90.0), trained(other, make_cell(0), 91.25)
    trained(other, make_cell(1))
    before = files(store)
    assert merge(store, other) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "1 left alone, see below" in said.out
    for part in (make_cell(0).key, make_cell(0).label, "best 90.00 %", "best 91.25 %", "differ in best_accuracy"):
        assert part in said.err
    assert before.items() <= files(store).items()
    assert store.result(make_cell(1)) is not None


def test_a_conflict_is_what_repeats_to_the_bit_and_nothing_else() -> None:
    """Field by field, so that one added to a result is decided about."""
    one = make_result(make_cell(), proofs=1)
    changed = {
        "cell": make_cell(1),
        "curve": msgspec.structs.replace(one.curve, train_loss=(1.0, 2.0, 3.0000000001)),
        "best_accuracy": 90.0000000001,
        "best_epoch": 2,
        "last_accuracy": 1.0,
        "parameters": 2,
        "proofs": (msgspec.structs.replace(one.proofs[0], passed=False),),
        "samples": {"train": {"fingerprint": "x"}},
        "version": 0,
        "environment": {"cpu": "another"},
        "started": "then",
        "finished": "later",
        "seconds": 5.0,
        "resumed": 7,
        "attempts": ({"commit": "another"},),
        "remains": ("something",),
        "weights": "another",
        "begun": "another",
        "rates": {"layer": (0.5,)},
        "pixels": 0.5,
    }
    assert sorted(changed) == sorted(Result.__struct_fields__), "say whether a new field is provenance"
    for name, value in changed.items():
        found = differences(one, msgspec.structs.replace(one, **{name: value}))
        assert bool(found) != (name in PROVENANCE + LATER), name
        assert all(place.startswith(name) for place in found)
    slower = msgspec.structs.replace(one, curve=msgspec.structs.replace(one.curve, seconds=(9.0, 9.0, 9.0)))
    assert differences(one, slower) == []
    nan = msgspec.structs.replace(one, best_accuracy=float("nan"))
    assert differences(nan, nan) == []
    place = differences(one, msgspec.structs.replace(one, curve=changed["curve"]))
    assert place == ["curve.train_loss[0]", "curve.train_loss[1]", "curve.train_loss[2]"]


def test_dry_run_says_the_same_and_does_nothing(store: Store, other: Store, tmp_path: Path, capsys) -> None:
    trained(other, make_cell(1)), trained(store, make_cell(0), 1.0), trained(other, make_cell(0), 2.0)
    before = files(store)
    assert merge(store, other, "--dry-run") == 1
    said = capsys.readouterr()
    assert "would merge: 1 result" in said.out and make_cell(1).label in said.out and "conflict" in said.err
    assert files(store) == before
    fresh = tmp_path / "fresh"
    assert main(["merge", str(other.root), "--store", str(fresh), "--dry-run"]) == 0
    assert not fresh.exists()


def test_damaged_files_there_are_named_and_left_out(store: Store, other: Store, capsys) -> None:
    for seed in range(3):
        trained(other, make_cell(seed))
    (other.folder(make_cell(0)) / "result.json").write_bytes(b'{"cell":')
    shutil.copy(other.folder(make_cell(2)) / "result.json", other.folder(make_cell(1)) / "result.json")
    assert merge(store, other) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and {"is damaged" in line for line in said} == {True, False}
    assert all("result.json" in line and line.endswith("; left out") for line in said)
    assert [result.cell.seed for result in store.results()] == [2]


def test_a_damaged_result_here_is_replaced_and_kept(store: Store, other: Store) -> None:
    trained(store, make_cell()), trained(other, make_cell())
    (store.folder(make_cell()) / "result.json").write_bytes(b"{")
    assert merge(store, other) == 0
    assert Store(store.root).result(make_cell()) == other.result(make_cell())
    assert (store.folder(make_cell()) / "result.json.corrupt-1").read_bytes() == b"{"


@pytest.mark.parametrize("name", ["weights.pt", "log.txt", "result.json", "."])
@pytest.mark.parametrize("side", ["theirs", "ours"])
def test_no_link_is_followed(name: str, side: str, store: Store, other: Store, tmp_path: Path, capsys) -> None:
    """A private file is not copied out, none of ours is written over."""
    trained(other, make_cell())
    store.announce([make_cell()])
    path = (other if side == "theirs" else store).folder(make_cell()) / name
    private = tmp_path / "private"
    if name == ".":
        path.rename(private)
    else:
        private.write_text("private")
        path.unlink(missing_ok=True)
    path.symlink_to(private)
    before = files(Store(private.parent))
    assert merge(store, other) == 1
    said = capsys.readouterr().err.splitlines()
    assert said and all("link" in line for line in said)
    kept = files(Store(private.parent))
    assert {place: kept.get(place) for place in before} == before
    plain = [path for path in store.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not any(b"private" in path.read_bytes() for path in plain)


def test_a_failure_comes_only_where_nothing_is_known(store: Store, other: Store) -> None:
    trained(store, make_cell(0))
    mine = msgspec.structs.replace(make_failure(make_cell(1)), reason="ours")
    store.write_failure(mine)
    for seed in range(2):
        other.write_failure(make_failure(make_cell(seed)))
    assert merge(store, other) == 0
    assert store.failure(make_cell(0)) is None and store.failure(make_cell(1)) == mine


def test_a_result_comes_over_a_failure_and_both_logs_are_kept(store: Store, other: Store) -> None:
    store.write_failure(make_failure(make_cell()))
    store.log(make_cell()).write_text("failed here\n")
    trained(other, make_cell())
    assert merge(store, other) == 0
    assert store.outcome(make_cell()) == other.result(make_cell())
    log = store.log(make_cell()).read_text()
    assert log.startswith("failed here\n") and log.endswith("log\n")


def test_weights_are_added_to_an_equal_result(store: Store, other: Store) -> None:
    trained(store, make_cell()), trained(other, make_cell())
    weights = store.folder(make_cell()) / "weights.pt"
    weights.unlink()
    assert merge(store, other) == 0
    assert weights.read_bytes() == b"weights"


def test_checkpoints_come_only_when_asked_for_and_never_over_ours(store: Store, other: Store) -> None:
    for seed in range(2):
        checkpointed(other, make_cell(seed))
    checkpointed(store, make_cell(1), b"ours")
    assert merge(store, other) == 0
    assert not store.folder(make_cell(0)).exists()
    assert merge(store, other, "--checkpoints") == 0
    newest, previous = (store.folder(make_cell(0)) / f"checkpoint{part}.pt" for part in ("", ".previous"))
    assert newest.read_bytes() == previous.read_bytes() == b"state"
    said = store.progress(make_cell(0))
    assert said is not None and said.epoch == 2
    assert (store.folder(make_cell(1)) / "checkpoint.pt").read_bytes() == b"ours"


def test_nothing_is_put_under_a_trainer_s_feet(store: Store, other: Store, capsys) -> None:
    checkpointed(other, make_cell(0)), trained(other, make_cell(1)), checkpointed(other, make_cell(2))
    claimed(store, make_cell(0)), claimed(store, make_cell(1))
    claimed(other, make_cell(2))
    assert merge(store, other, "--checkpoints") == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and sum("process 5 on node7 has it here" in line for line in said) == 2
    assert sum("trains it there" in line for line in said) == 1
    assert not list(store.root.glob("*/checkpoint*")) and not list(store.results())


def test_a_claim_of_ours_that_is_dead_is_no_hindrance(store: Store, other: Store) -> None:
    trained(other, make_cell())
    store.announce([make_cell()])
    held = Holder(host=HOST, place=PLACE, pid=1, born=f"{born(1)}0", since=0.0, token="7" * 16)
    (store.folder(make_cell()) / "claim").write_bytes(msgspec.json.encode(held))
    assert merge(store, other) == 0
    assert store.result(make_cell()) is not None and not list(store.root.glob("*/claim*"))


@pytest.mark.parametrize("what", ["missing", "empty", "file", "itself", "link"])
def test_what_is_no_other_store_is_one_line_and_2(what: str, store: Store, tmp_path: Path, capsys) -> None:
    trained(store, make_cell())
    place = tmp_path / what
    if what == "empty":
        place.mkdir()
    elif what == "file":
        place.write_text("")
    elif what == "link":
        place.symlink_to(store.root)
    before = files(store)
    assert merge(store, store.root if what == "itself" else place) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(store.root if what == "itself" else place) in said
    assert files(store) == before
