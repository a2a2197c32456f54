"""Probes in the store: beside their result, of its weights, once, and tolerant of damage; and taken over by merge."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from outcomes import result

from harness.errors import UserError
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.store.probes import Landscape, LayerStep, LossCurve, Potentials, Probes, Spread, fingerprint
from harness.verbs.merge import merge

CELL = Cell(method="m", architecture="a", dataset="d", timesteps=2, seed=0, recipe=Recipe(epochs=3))
WEIGHTS = b"weights of the last epoch"


def landscape(weights: bytes = WEIGHTS) -> Landscape:
    curve = LossCurve(direction=0, statistics="running", loss=(2.0, 1.0, None), accuracy=(10.0, 50.0, 9.0))
    return Landscape(
        weights=fingerprint(weights), data="d", split="train", samples=3, alphas=(-1.0, 0.0, 1.0), moved=("w",),
        curves=(curve,), seconds=1.5,
    )  # fmt: skip


def potentials(weights: bytes = WEIGHTS) -> Potentials:
    spread = Spread(mean=0.25, std=1.0, above=0.4, counts=(1, 2, 3))
    step = LayerStep(layer="1", step=1, before=spread, after=None)
    return Potentials(
        weights=fingerprint(weights), data="d", split="test", samples=2, threshold=0.5, low=-1.0, high=1.0,
        steps=(step,), thresholds=(),
    )  # fmt: skip


def filled(root: Path) -> Store:
    """One finished cell, with weights and both probes."""
    store = Store(root)
    store.write_result(result(CELL, 90.0))
    (store.folder(CELL) / "weights.pt").write_bytes(WEIGHTS)
    assert store.write_probe(CELL, "landscape", landscape())
    assert store.write_probe(CELL, "potentials", potentials())
    return store


def test_what_was_written_is_read(tmp_path: Path) -> None:
    store = filled(tmp_path)
    found = store.probes(CELL)
    assert found.landscape == landscape() and found.potentials == potentials()
    assert Store(tmp_path).probes(CELL.key) == found and not store.problems
    assert not [path.name for path in store.folder(CELL).iterdir() if "tmp" in path.name]


def test_one_that_is_there_is_left_alone(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = store.folder(CELL) / "landscape.json"
    before = path.stat().st_ino
    assert not store.write_probe(CELL, "landscape", msgspec.structs.replace(landscape(), samples=99))
    assert path.stat().st_ino == before and store.probes(CELL).landscape == landscape()


def test_without_a_result_there_is_none_and_none_can_be_written(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (store.folder(CELL) / "result.json").unlink()
    assert store.probes(CELL) == Probes()
    with pytest.raises(UserError, match="has no result"):
        store.write_probe(CELL, "potentials", potentials())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 99}', b"\xff\xfe"])
def test_a_damaged_one_is_told_and_makes_room(tmp_path: Path, content: bytes) -> None:
    store = filled(tmp_path)
    path = store.folder(CELL) / "landscape.json"
    path.write_bytes(content)
    found = store.probes(CELL)
    assert found.landscape is None and found.potentials == potentials()
    assert [problem.where for problem in store.problems] == [str(path)]
    assert store.write_probe(CELL, "landscape", landscape()) and not store.problems
    assert store.probes(CELL).landscape == landscape()


def test_one_of_a_newer_format_is_told(tmp_path: Path) -> None:
    store = filled(tmp_path)
    newer = msgspec.structs.replace(landscape(), version=99)
    (store.folder(CELL) / "landscape.json").write_bytes(msgspec.json.encode(newer))
    assert store.probes(CELL).landscape is None
    assert "newer version" in store.problems[0].what


def test_one_of_other_weights_is_not_believed(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (store.folder(CELL) / "weights.pt").write_bytes(b"others")
    assert store.probes(CELL) == Probes()
    assert {problem.what for problem in store.problems} == {"was computed from other weights than these"}
    assert store.write_probe(CELL, "landscape", landscape(b"others"))
    assert store.probes(CELL).landscape == landscape(b"others")


def test_a_store_may_be_kept_without_weights(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (store.folder(CELL) / "weights.pt").unlink()
    assert store.probes(CELL).landscape == landscape() and not store.problems


def test_merge_takes_probes_with_a_result_and_to_one(tmp_path: Path) -> None:
    filled(tmp_path / "there")
    for here in ("nothing", "result"):
        store = Store(tmp_path / here)
        if here == "result":
            store.write_result(result(CELL, 90.0))
        assert not merge(tmp_path / "there", store.root).problems
        assert store.probes(CELL) == Store(tmp_path / "there").probes(CELL) != Probes()
        assert (store.folder(CELL) / "weights.pt").read_bytes() == WEIGHTS


def test_merge_leaves_damaged_probes_behind_and_ours_alone(tmp_path: Path) -> None:
    there, here = filled(tmp_path / "there"), filled(tmp_path / "here")
    (there.folder(CELL) / "landscape.json").write_bytes(b"{")
    (here.folder(CELL) / "landscape.json").unlink()
    mine = (here.folder(CELL) / "potentials.json").read_bytes()
    merge(there.root, here.root)
    assert not (here.folder(CELL) / "landscape.json").exists()
    assert (here.folder(CELL) / "potentials.json").read_bytes() == mine
