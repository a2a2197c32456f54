"""Keys: pinned, so that no change of code makes strangers of stored results; sensitive to all that changes a number."""

from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import pytest

from harness.plan import Context, plan
from harness.spec import SELDOM, Cell, Group, Overlay, Recipe, canonical, notable
from harness.store.result import Result
from harness.tables import load_preset, load_protocol, load_table

GOLDEN = {
    # (table, preset, protocol, row): key of its seed 0. A change here makes every stored result a stranger.
    ("table1", None, "paper", 1): "1d446a021950c99f",
    ("table1", None, "released", 2): "87334eba314c6055",
    ("table1", "cpu", "paper", 3): "b2b8ebe200b7c688",
    ("table1", "smoke", "paper", 2): "644143cad746fb9d",
    ("table5", None, "paper", 8): "f7d9483200228eda",
    ("ambiguities", "cpu", "paper", 2): "5d2e059f43765efd",
    ("ambiguities", "cpu", "paper", 5): "ababf043d9977eaf",
}
COMMITTED = sorted((Path(__file__).parents[1] / "results" / "cpu").glob("*/result.json"))


def key(table: str, preset: str | None, protocol: str, row: int) -> str:
    import baselines
    from harness import data

    context = Context(
        protocol=load_protocol(protocol),
        preset=load_preset(preset) if preset else None,
        seeds=(0,),
        methods=baselines.METHODS,
        architectures=baselines.ARCHITECTURES,
        datasets=data.names(),
    )
    return plan(load_table(table), context).lines[row - 1].cells[0].key


@pytest.mark.parametrize(("place", "expected"), GOLDEN.items(), ids=str)
def test_golden_keys(place: tuple[str, str | None, str, int], expected: str) -> None:
    assert key(*place) == expected


CELL = Cell(method="mpbn", architecture="resnet20", dataset="cifar10", timesteps=2, seed=0, recipe=Recipe(epochs=8))


@pytest.mark.parametrize("field", ["method", "architecture", "dataset", "timesteps", "seed", "data", "source"])
def test_every_field_of_a_cell_enters_its_key(field: str) -> None:
    value = getattr(CELL, field)
    changed = msgspec.structs.replace(CELL, **{field: value + 1 if isinstance(value, int) else f"{value}x"})
    assert changed.key != CELL.key


@pytest.mark.parametrize("field", Recipe.__struct_fields__)
def test_every_field_of_a_recipe_enters_the_key(field: str) -> None:
    other = {
        "optimiser": "adam",
        "decayed": "all",
        "schedule": "constant",
        "augmentation": ("crop",),
        "surrogate": "tanh",
        "precision": "float64",
        "report": "last",
        "size": 16,
        "train_samples": 10,
        "test_samples": 10,
        "bins": "time",
        "split": "first-tenth:0123456789ab",
        "decoder": "nvjpeg",
        "period": 4,
        "ahead": 1,
        "milestones": (0.5,),
        "groups": (Group(of=("w",)),),
        "smoothing": 0.1,
        "initialisation": "torch",
        "dropout": (0.1, 0.2),
        "norm_scale": 0.5,
        "residual_scale": 0.5,
        "shuffled": False,
        "partial_batch": False,
        "among": 5,
        "search": (32, 100),
        "mean": (0.5,),
        "deviation": (0.5,),
        "one_pass": True,
    }
    value = other[field] if field in other else getattr(CELL.recipe, field) * 2
    recipe = msgspec.structs.replace(CELL.recipe, **{field: value})
    assert msgspec.structs.replace(CELL, recipe=recipe).key != CELL.key


def test_a_group_says_what_it_differs_in() -> None:
    """Its own defaults are left out of a key too, and what is not of it enters."""
    one, two = (msgspec.structs.replace(CELL.recipe, groups=(Group(of=("w",), decay=decay),)) for decay in (0.0, 0.1))
    assert b'"groups":[{"of":["w"]}]' in canonical(msgspec.structs.replace(CELL, recipe=one))
    assert msgspec.structs.replace(CELL, recipe=one).key != msgspec.structs.replace(CELL, recipe=two).key


def test_seldom_fields_are_told_where_they_are_changed() -> None:
    assert not set(notable(CELL.recipe)) & set(SELDOM) and "epochs" in notable(CELL.recipe)
    assert notable(msgspec.structs.replace(CELL.recipe, ahead=1))["ahead"] == 1


def test_an_overlay_can_replace_every_field_of_a_recipe() -> None:
    assert Overlay.__struct_fields__ == Recipe.__struct_fields__
    assert Overlay().onto(CELL.recipe) == CELL.recipe


def test_a_default_spelled_out_is_a_default_still() -> None:
    """From TOML, from JSON, from a pickle and from code: one key."""
    spelled = Recipe(**{name: getattr(CELL.recipe, name) for name in Recipe.__struct_fields__})
    again = [
        msgspec.structs.replace(CELL, recipe=spelled),
        msgspec.json.decode(msgspec.json.encode(CELL), type=Cell),
        pickle.loads(pickle.dumps(CELL)),
    ]
    assert {cell.key for cell in again} == {CELL.key}
    assert canonical(CELL).startswith(b'v1:{"architecture":"resnet20","dataset":"cifar10"')


def test_there_are_committed_results_that_load() -> None:
    """Results written by an earlier version of this code stay readable, under the key of their folder."""
    assert COMMITTED
    for path in COMMITTED:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
        assert result.cell.key == path.parent.name
        assert result.accuracy == max(result.curve.test_accuracy)
        assert result.proofs and all(proof.passed for proof in result.proofs)
