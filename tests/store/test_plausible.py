"""A result that cannot be true is refused by name, is in no mean, and stays where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from outcomes import proof
from stand_in import make_cell, make_result

from harness.store import Store, plausible
from harness.store.probes import QUANTILES, Landscape, LayerStep, LayerThresholds, LossCurve, Potentials, Spread
from harness.store.result import LayerCheck, Result

ROOT = Path(__file__).parents[2]
EPOCHS = 3
Change = Callable[[dict[str, Any]], object]


def layer(result: dict[str, Any]) -> dict[str, Any]:
    return result["proofs"][0]["layers"][0]


IMPOSSIBLE: dict[str, Change] = {
    r"<= 100.*best_accuracy": lambda r: r.update(best_accuracy=250),
    r">= 0.*best_accuracy": lambda r: r.update(best_accuracy=-5),
    "its best accuracy is 95, that of its curve 90": lambda r: r.update(best_accuracy=95),
    "its last accuracy is 10, that of its curve 90": lambda r: r.update(last_accuracy=10),
    "its best epoch is 99 of 3": lambda r: r.update(best_epoch=99),
    "its best epoch is 0 of 3": lambda r: r.update(best_epoch=0),
    "its best epoch is 1, where its curve is at 88": lambda r: r.update(best_epoch=1),
    "its curve has 2 values of test_accuracy for 3": lambda r: r["curve"]["test_accuracy"].pop(0),
    "its curve has 0 values of test_accuracy for 3": lambda r: r["curve"].update(test_accuracy=[]),
    "its curve has 4 values of train_loss for 3": lambda r: r["curve"]["train_loss"].append(1),
    "its curve has 4 values of by_timesteps for 3": lambda r: r["curve"].update(by_timesteps=[[1.0]] * 4),
    "its curve has 2 values of seconds for 3": lambda r: r["curve"].update(seconds=[1.0] * 2),
    r"train_accuracy.*": lambda r: r["curve"].update(train_accuracy=[1, 2, 101]),
    r"test_loss.*": lambda r: r["curve"].update(test_loss=[1, 2, 1e308]),
    r">= 0.*\.seconds": lambda r: r.update(seconds=-1),
    r"curve\.seconds": lambda r: r["curve"].update(seconds=[-1, 1, 1]),
    r"<= 1.*\.seconds": lambda r: r.update(seconds=1e308),
    r">= 0.*parameters": lambda r: r.update(parameters=-1),
    r">= 0.*mismatches": lambda r: layer(r).update(mismatches=-1),
    "more spikes than there can be": lambda r: layer(r).update(spikes=10**7),
    "said to have passed, though 3 of .* spikes differ": lambda r: layer(r).update(mismatches=3),
    "said to have passed, though layer .* never fires": lambda r: layer(r).update(spikes=0),
    r"accuracy_before": lambda r: r["proofs"][0].update(accuracy_before=101),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.write_result(make_result(make_cell(epochs=EPOCHS), proofs=1))
    return made


def file(store: Store) -> Path:
    return store.folder(make_cell(epochs=EPOCHS)) / "result.json"


def refused(store: Store) -> str:
    """Why the result is; asked of all that reads one."""
    cell, content = make_cell(epochs=EPOCHS), file(store).read_bytes()
    assert store.result(cell) is None and store.outcome(cell) is None and not list(store.results())
    assert store.refused(cell) is not None and not store.set_aside(cell)
    assert file(store).read_bytes() == content
    (problem,) = store.problems
    assert str(problem).startswith(f"{file(store)}: ") and "counted as missing; `run` leaves it" in str(problem)
    return problem.what


@pytest.mark.parametrize("told", IMPOSSIBLE)
def test_impossible(store: Store, told: str) -> None:
    said = json.loads(file(store).read_bytes())
    IMPOSSIBLE[told](said)
    file(store).write_text(json.dumps(said))
    assert re.search(told, refused(store))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("best_accuracy", "90.0"),
        ("proofs", "[]"),
        ("best_epoch", "3"),
        ("version", "1"),
        ("seconds", "1.0"),
        ("best\\u005faccuracy", "25"),
    ],
)
def test_what_is_said_twice(store: Store, name: str, first: str) -> None:
    """Others would read the first of the two."""
    content = file(store).read_text()
    file(store).write_text(f'{{"{name}":{first},{content[1:]}')
    spelt = name.replace("\\u005f", "_")
    assert refused(store) == f"cannot be true: says `{spelt}` twice"


def test_a_field_of_another_version_that_is_no_text_is_damage(store: Store) -> None:
    content = file(store).read_bytes()
    file(store).write_bytes(b'{"of another version":"\x80",' + content[1:])
    assert store.result(make_cell(epochs=EPOCHS)) is None
    assert "is damaged (" in str(store.problems[0])


def test_a_training_that_an_older_harness_began_has_the_later_series_of_its_last_epochs(store: Store) -> None:
    said = json.loads(file(store).read_bytes())
    said["curve"].update(by_timesteps=[[40.0, 90.0]] * 2)
    file(store).write_text(json.dumps(said))
    result = store.result(make_cell(epochs=EPOCHS))
    assert result is not None and len(result.curve.by_timesteps) == 2 and not store.problems


def test_a_text_that_looks_like_a_name_is_no_second_one(store: Store) -> None:
    cell = make_cell(1, epochs=EPOCHS)
    told = {"command": 'python "best_epoch" \\ "proofs"', "best_epoch": "_accuracy"}
    assert store.write_result(msgspec.structs.replace(make_result(cell, proofs=1), environment=told))
    assert store.result(cell) is not None and not store.problems


def test_a_record_of_an_older_version_is_not_parsed_in_python(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is most of what reading it would take."""
    told = json.loads(file(store).read_bytes())
    del told["pixels"]
    file(store).write_bytes(msgspec.json.encode(told))
    monkeypatch.setattr(plausible.json, "loads", None)
    assert store.result(make_cell(epochs=EPOCHS)) is not None


def test_a_proof_that_did_not_pass_may_say_why(store: Store) -> None:
    lost = LayerCheck(name="lif", neurons=10, spikes=5, mismatches=5)
    failed = proof(passed=False, why="5 of 10 spikes differ", layers=(lost,))
    cell = make_cell(1, epochs=EPOCHS)
    store.write_result(msgspec.structs.replace(make_result(cell), proofs=(failed,)))
    assert store.result(cell) is not None


def test_committed_results_can_be_true() -> None:
    for root in (ROOT / "results").iterdir():
        store = Store(root)
        found: list[Result] = list(store.results())
        for result in found:
            store.probes(result.cell)
        assert not store.problems and len(found) == len(list(root.glob("*/result.json")))


# Probes

SPREAD = Spread(mean=0.0, std=1.0, above=0.5, counts=(1, 2, 1))
STEP = LayerStep(layer="1", step=1, before=SPREAD, after=None)
HEAD: dict[str, Any] = {"weights": "", "data": "", "split": "train", "samples": 9}
POTENTIALS = Potentials(**HEAD, threshold=0.5, low=-1.0, high=1.0, steps=(STEP,), thresholds=())
CURVE = LossCurve(direction=0, statistics="running", loss=(1.0, 0.0, 1.0), accuracy=(1.0, 2.0, 1.0))
LANDSCAPE = Landscape(**HEAD, alphas=(-1.0, 0.0, 1.0), moved=(), curves=(CURVE,))


def _change(struct: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(struct, **changes)


def _other(**changes: Any) -> Potentials:
    """With a second step."""
    step = _change(STEP, step=2)
    return _change(POTENTIALS, steps=(STEP, _change(step, before=_change(SPREAD, **changes))))


@pytest.mark.parametrize(
    ("name", "probe", "told"),
    [
        ("landscape", _change(LANDSCAPE, alphas=(0.0,)), "3 losses for 1|not in order"),
        ("landscape", _change(LANDSCAPE, alphas=(0.0, 0.0, 1.0)), "not in order"),
        ("landscape", _change(LANDSCAPE, curves=(_change(CURVE, loss=(1.0,)),)), "1 losses for 3 points"),
        ("landscape", _change(LANDSCAPE, curves=(_change(CURVE, accuracy=(1.0,)),)), "for 3 points"),
        ("landscape", _change(LANDSCAPE, curves=(_change(CURVE, accuracy=(1.0, 2.0, 101.0)),)), "<= 100"),
        ("potentials", _other(counts=(1, 2)), "different lengths"),
        ("potentials", _other(counts=(0, 0, 0)), "is empty"),
        ("potentials", _other(above=1.5), "<= 1"),
        ("potentials", _change(POTENTIALS, steps=()), "different lengths"),
        ("potentials", _change(POTENTIALS, steps=(STEP, STEP)), "twice"),
        ("potentials", _change(POTENTIALS, low=1.0), "no width"),
        (
            "potentials",
            _change(
                POTENTIALS,
                thresholds=(LayerThresholds(layer="1", count=1, quantiles=(1.0,), negative=0.0, infinite=0.0),),
            ),
            f"not {len(QUANTILES)} quantiles",
        ),
    ],
)
def test_an_impossible_probe_is_none(store: Store, name: str, probe: Any, told: str) -> None:
    cell = make_cell(epochs=EPOCHS)
    for possible in (LANDSCAPE, POTENTIALS):
        store.write_probe(cell, type(possible).__name__.lower(), possible)
    assert getattr(store.probes(cell), name) is not None
    (store.folder(cell) / f"{name}.json").write_bytes(msgspec.json.encode(probe))
    assert getattr(store.probes(cell), name) is None
    (problem,) = store.problems
    assert re.search(told, str(problem)) and f"{name}.json" in str(problem)
