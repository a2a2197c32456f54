"""Lines of CSV that were written before: taken again only of results whose files are as they were."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from stand_in import make_cell, make_result

from harness import durable
from harness.cli import main
from harness.export import lines
from harness.store import Store, frame, index, tidy


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three finished cells; every store has lines kept, of files however new."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(index, "WORTH", 1)
    monkeypatch.setattr(index, "SETTLED", -(10**18))
    store = Store(tmp_path / "runs")
    for seed in range(3):
        store.write_result(make_result(make_cell(seed), 80.0 + seed, proofs=1))
    return store.root


def exported(root: Path) -> list[str]:
    out = root.parent / "out"
    assert main(["export", "--store", str(root), "--out", str(out)]) == 0
    return [path.read_text() for path in sorted(out.iterdir())]


def test_a_result_is_read_for_it_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, read = [], durable.read

    def noting(path: Path | str, *rest: int) -> bytes:
        seen.append(Path(path).name)
        return read(path, *rest)

    monkeypatch.setattr(durable, "read", noting)
    first = exported(root)
    assert seen.count("result.json") == 3
    assert exported(root) == first and seen.count("result.json") == 3


def test_what_is_new_is_kept_with_what_was(root: Path) -> None:
    exported(root)
    Store(root).write_result(make_result(make_cell(3), 60.0))
    found = exported(root)
    assert found[0].count("done") == 4 and found == exported(root)
    with lines.Kept(root) as kept:
        assert all(kept.lines(cell.key, seen) for cell, seen in Store(root).signs(map(make_cell, range(4))))


def edited(root: Path) -> None:
    path = root / make_cell(0).key / "result.json"
    before = path.stat()
    path.write_bytes(msgspec.json.encode(make_result(make_cell(0), 70.0, proofs=1)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def changed(at: int) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = index.place(root, "lines")
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.write_bytes(content)

    return change


def left(count: int) -> Callable[[Path], None]:
    return lambda root: os.truncate(index.place(root, "lines"), count)


def in_the_way(root: Path) -> None:
    index.place(root, "lines").unlink()
    index.place(root, "lines").mkdir()


CHANGES = {
    "a result": edited,
    "a line": changed(10),
    "what says where they lie": changed(-20),
    "how long that is": changed(-8),
    "cut off": left(100),
    "nearly empty": left(3),
    "empty": left(0),
    "a folder in its place": in_the_way,
}


@pytest.mark.parametrize("what", CHANGES)
def test_lines_that_are_wrong_are_not_taken(root: Path, what: str, capsys: pytest.CaptureFixture) -> None:
    first = exported(root)
    CHANGES[what](root)
    found = exported(root)
    assert found == exported(root) and (found == first) == (what != "a result")
    assert found[0].count("70.0") == (3 if what == "a result" else 0)  # accuracy: told, best, last
    assert not capsys.readouterr().err and not list(index.place(root, "lines").parent.glob(".*"))


def test_lines_are_those_that_pandas_writes(root: Path) -> None:
    """Where every cell is done; of others pandas makes whole numbers decimal."""
    results = [result for cell in Store(root).cells() if (result := Store(root).result(cell)) is not None]
    frames = [frame.cells([(r.cell, r) for r in results]), frame.epochs(results)]
    found = [data.to_csv(index=False, lineterminator="\n") for data in frames]
    assert [sorted(text.splitlines()) for text in exported(root)] == [sorted(text.splitlines()) for text in found]


@pytest.mark.parametrize("value", ["plain", "a,b", 'say "so"', " =1+1", "two\nlines", "", "-3.5", "+cmd"])
def test_a_text_is_had_back(value: str) -> None:
    (row,) = csv.reader(io.StringIO(tidy.line([value, 1, None, True, 0.1])))
    assert row[1:] == ["1", "", "True", "0.1"]
    assert row[0] == {" =1+1": "' =1+1", "two\nlines": "two lines", "+cmd": "'+cmd"}.get(value, value)
