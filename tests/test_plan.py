"""From a table to cells: names, overlays, filters, plugins, data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from stand_in import make_cell, make_failure, make_result

from harness.errors import UserError
from harness.forecast.time import forecast
from harness.plan import Context, Plan, parse_only, plan, plan_cells, state, stored_data
from harness.spec import OFFICIAL, Cell, Change, Origin, Overlay, Preset, Protocol, Recipe, Row, Table, canonical
from harness.store import Store


def row(method: str, dataset: str = "cifar10", timesteps: int = 2, architecture: str = "resnet20") -> Row:
    return Row(method=method, architecture=architecture, dataset=dataset, timesteps=timesteps, accuracy=90.0)


TABLE = Table(
    name="tiny",
    title="Tiny",
    row=(row("vanilla"), row("mpbn"), row("glif"), row("mpbn", "cifar100", 4), row("mpbn", architecture="alexnet")),
)
CONTEXT = Context(
    protocol=Protocol(
        name="paper",
        description="",
        recipe={"cifar10": Recipe(epochs=400), "cifar100": Recipe(epochs=300, lr=0.2)},
    ),
    preset=None,
    seeds=(0, 1, 2),
    methods={"vanilla", "mpbn"},
    architectures={"resnet20"},
    datasets={"cifar10", "cifar100", "digits"},
)
SMOKE = Preset(
    name="smoke",
    description="",
    datasets={"cifar10": "digits", "cifar100": "digits"},
    recipe=Overlay(epochs=10, width=0.25, lr=0.3),
    architecture={"resnet20": Overlay(epochs=5, size=16)},
    dataset={"cifar100": Overlay(epochs=3)},
)


def blanks(planned: Plan) -> list[str]:
    return [line.blank for line in planned.lines]


def test_rows_become_a_cell_a_seed_or_say_why_not() -> None:
    planned = plan(TABLE, CONTEXT)
    assert blanks(planned) == ["", "", "no method yet", "", "no architecture yet"]
    assert [len(line.cells) for line in planned.lines] == [3, 3, 0, 3, 0]
    assert [line.number for line in planned.lines] == [1, 2, 3, 4, 5]
    assert planned.lines[0].cells[1] == Cell(
        method="vanilla", architecture="resnet20", dataset="cifar10", timesteps=2, seed=1, recipe=Recipe(epochs=400)
    )


def test_a_data_set_or_a_recipe_that_does_not_exist_is_a_blank() -> None:
    table = msgspec.structs.replace(TABLE, row=(row("mpbn", "mnist"), row("mpbn", "digits")))
    assert blanks(plan(table, CONTEXT)) == ["no data set yet", "no recipe in protocol paper"]


def test_overlays_go_preset_then_architecture_then_data_set() -> None:
    planned = plan(TABLE, replace(CONTEXT, preset=SMOKE))
    assert planned.lines[0].cells[0].recipe == Recipe(epochs=5, width=0.25, lr=0.3, size=16)
    assert planned.lines[3].cells[0].recipe == Recipe(epochs=3, width=0.25, lr=0.3, size=16)
    assert {cell.dataset for cell in planned.cells} == {"digits"}


def changed(**fields: object) -> Table:
    one = msgspec.structs.replace(row("mpbn"), change=Change(**fields))  # type: ignore[arg-type]
    return msgspec.structs.replace(TABLE, row=(row("mpbn"), one))


def test_a_rows_own_change_goes_over_the_preset() -> None:
    plain, other = plan(changed(epochs=7, surrogate="tanh"), replace(CONTEXT, preset=SMOKE)).lines
    assert plain.cells[0].recipe == Recipe(epochs=5, width=0.25, lr=0.3, size=16)
    assert other.cells[0].recipe == Recipe(epochs=7, width=0.25, lr=0.3, size=16, surrogate="tanh")
    assert other.row.change.text == "epochs 7, surrogate tanh"


@pytest.mark.parametrize(
    ("has", "becomes"),
    [
        (("crop", "flip", "cutout"), ("crop", "flip", "autoaugment", "cutout")),
        (("crop", "flip"), ("crop", "flip", "autoaugment")),
        ((), ("autoaugment",)),
    ],
)
def test_an_augmentation_is_added_to_whatever_there_is(has: tuple[str, ...], becomes: tuple[str, ...]) -> None:
    protocol = Protocol(name="p", description="", recipe={"cifar10": Recipe(epochs=1, augmentation=has)})
    _, line = plan(changed(insert_after={"flip": "autoaugment"}), replace(CONTEXT, protocol=protocol)).lines
    assert line.cells[0].recipe.augmentation == becomes
    assert line.row.change.text == "autoaugment after flip"


def test_a_change_that_changes_nothing_is_a_blank() -> None:
    """Else the row would be its own base, and a difference of 0 would be printed for a question that was not asked."""
    recipe = Recipe(epochs=1, augmentation=("flip", "autoaugment"), surrogate="tanh")
    context = replace(CONTEXT, protocol=Protocol(name="released", description="", recipe={"cifar10": recipe}))
    for table in (changed(surrogate="tanh"), changed(insert_after={"flip": "autoaugment"})):
        assert blanks(plan(table, context)) == ["", "as released has it"]
    assert blanks(plan(changed(surrogate="ste"), context)) == ["", ""]


def test_rows_outside_a_preset_are_shown_and_not_trained() -> None:
    preset = Preset(name="cpu", description="", only={"dataset": ("cifar10",)})
    assert blanks(plan(TABLE, replace(CONTEXT, preset=preset)))[3] == "not in preset cpu"


def test_equal_cells_are_trained_once() -> None:
    table = msgspec.structs.replace(TABLE, row=(row("mpbn", "cifar10"), row("mpbn", "cifar100")))
    stand_ins = Preset(name="p", description="", datasets=SMOKE.datasets, recipe=Overlay(epochs=10))
    assert len(plan(table, replace(CONTEXT, preset=stand_ins)).cells) == 6  # the two recipes still differ in `lr`
    stand_ins = msgspec.structs.replace(stand_ins, recipe=Overlay(epochs=10, lr=0.1))
    assert len(plan(table, replace(CONTEXT, preset=stand_ins)).cells) == 3


@pytest.mark.parametrize(
    ("only", "rows", "seeds"),
    [
        (["method=mpbn"], [2, 4, 5], {0, 1, 2}),
        (["method=mpbn|vanilla,timesteps=2"], [1, 2, 5], {0, 1, 2}),
        (["method=mpbn", "method=vanilla"], [1, 2, 4, 5], {0, 1, 2}),
        (["seed=1,dataset=cifar100"], [4], {1}),
    ],
)
def test_only_selects_rows_and_seeds(only: list[str], rows: list[int], seeds: set[int]) -> None:
    planned = plan(TABLE, CONTEXT, only=parse_only(only))
    assert [line.number for line in planned.lines] == rows
    assert {cell.seed for cell in planned.cells} == seeds


def test_only_knows_a_data_set_by_both_its_names() -> None:
    smoke = replace(CONTEXT, preset=SMOKE)
    assert len(plan(TABLE, smoke, only={"dataset": ("digits",)}).lines) == 5
    assert len(plan(TABLE, smoke, only={"dataset": ("cifar100",)}).lines) == 1


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("method=mpnb", "--only: no row has method `mpnb`; did you mean `mpbn`?"),
        ("metod=mpbn", "--only: unknown key `metod`; did you mean `method`?"),
        ("method", "--only: `method` has no value; type method=VALUE, or method=VALUE|VALUE"),
        ("timesteps=3", "--only: no row has timesteps `3`; known: 2, 4"),
        ("seed=7", "--only: no row has seed `7`; known: 0, 1, 2"),
        (
            "method=vanilla,timesteps=4",
            "tiny: --only: no row is left; the rows ask for other combinations; ask for less",
        ),
    ],
)
def test_a_typo_in_only_names_the_nearest(only: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        plan(TABLE, CONTEXT, only=parse_only([only]))
    assert str(raised.value) == message


def stamp(cell: Cell) -> Cell:
    return msgspec.structs.replace(cell, source="abc" if cell.method in ("mine", "glif") else "not abc")


def test_a_users_method_is_added_in_every_setting_that_can_be_trained() -> None:
    mine = replace(CONTEXT, methods={"vanilla", "mpbn", "mine"}, plugins=("mine",), stamp=stamp)
    planned = plan(TABLE, mine)
    added = [line for line in planned.lines if line.added]
    assert [(line.number, line.row.dataset, line.row.timesteps, line.row.accuracy) for line in added] == [
        (6, "cifar10", 2, None),
        (7, "cifar100", 4, None),
    ]
    assert {cell.source for line in added for cell in line.cells} == {"abc"}
    assert {cell.source for line in planned.lines[:5] for cell in line.cells} == {"not abc"}
    assert [line.row.method for line in plan(TABLE, mine, only={"method": ("mine",)}).lines] == ["mine", "mine"]


def test_a_users_method_that_the_paper_names_fills_its_rows() -> None:
    planned = plan(TABLE, replace(CONTEXT, methods={"mpbn", "glif"}, plugins=("glif",), stamp=stamp))
    assert not any(line.added for line in planned.lines)
    assert [cell.source for cell in planned.lines[2].cells] == ["abc"] * 3


def test_data_is_one_sample_set_for_each_data_set(tmp_path: Path) -> None:
    store, cells = Store(tmp_path), plan(TABLE, CONTEXT).cells
    identify = stored_data(store)
    assert identify(cells) == {}
    for cell in cells[:4]:
        store.write_result(make_result(msgspec.structs.replace(cell, data="variant-1")))
    assert identify(cells) == {"cifar10": "variant-1"}
    planned = plan(TABLE, CONTEXT, identify=identify)
    assert {(cell.dataset, cell.data) for cell in planned.cells} == {("cifar10", "variant-1"), ("cifar100", OFFICIAL)}
    store.write_result(make_result(msgspec.structs.replace(cells[0], data="variant-2")))
    with pytest.raises(UserError, match=r"cifar10: the store has results of several sample sets.*--data"):
        identify(cells)
    store.write_result(make_result(cells[5]))
    assert identify(cells) == {"cifar10": OFFICIAL}


def test_state_sorts_cells_by_what_the_store_knows(tmp_path: Path) -> None:
    store = Store(tmp_path)
    done, running, failed, missing = cells = [make_cell(seed) for seed in range(4)]
    store.write_result(make_result(done))
    store.write_failure(make_failure(failed))
    with store.claim(running) or pytest.fail("not claimed"):
        found = state(plan_cells(cells), store)
    assert (found.done, found.running, found.failed, found.missing) == ((done,), (running,), (failed,), (missing,))
    assert set(found.outcomes) == {cell.key for cell in (done, running, failed)}


def test_forecast_times_each_shape_once() -> None:
    timed = []

    def measure(cell: Cell) -> float:
        timed.append(cell)
        return 2.0 * cell.timesteps

    cells = [make_cell(seed, timesteps=steps, epochs=5) for steps in (1, 2) for seed in range(3)]
    expected = forecast(cells, measure, jobs=2)
    assert len(timed) == 2
    assert expected.seconds == 3 * 5 * 2.0 + 3 * 5 * 4.0
    assert expected.wall_seconds == expected.seconds / 2
    assert forecast(cells[:1], measure, jobs=8).wall_seconds == 10.0
    assert forecast([], measure, jobs=2).wall_seconds == 0.0


# Cells that begin from cells

ORIGINS = {
    "mpbn": Origin(method="vanilla", timesteps=1, recipe=Overlay(lr=0.01), own=Overlay(optimiser="adam"), share=0.1),
    "tuned": Origin(method="mpbn"),
}
CHAINED = replace(CONTEXT, methods={"vanilla", "mpbn", "tuned"}, origins=ORIGINS)


def chained(*methods: str, context: Context = CHAINED) -> Plan:
    return plan(Table(name="chain", title="Chain", row=tuple(map(row, methods))), context)


def test_a_cell_is_planned_behind_what_it_begins_from() -> None:
    planned = chained("tuned", "mpbn")
    tuned = planned.lines[0].cells[0]
    assert [c.method for c in tuned.lineage] == ["vanilla", "mpbn", "tuned"]
    assert [c.timesteps for c in tuned.lineage] == [1, 2, 2]
    assert {c.seed for c in planned.lines[0].cells[2].lineage} == {2}
    assert planned.lines[1].cells[0] == tuned.origin, "two rows share what they begin from"
    assert [(c.method, c.seed) for c in planned.cells[:4]] == [
        ("vanilla", 0),
        ("mpbn", 0),
        ("tuned", 0),
        ("vanilla", 1),
    ]
    assert len(planned.cells) == len(set(planned.cells)) == 9


def test_recipes_of_a_cell_and_of_what_it_begins_from() -> None:
    _, origin, cell = chained("tuned").lines[0].cells[0].lineage
    assert origin.recipe == Recipe(epochs=40, optimiser="adam")
    assert origin.origin is not None and origin.origin.recipe == Recipe(epochs=400, lr=0.01)
    assert cell.recipe == Recipe(epochs=400)
    none = replace(CHAINED, origins={"mpbn": Origin(method="vanilla", share=0)})
    assert chained("mpbn", context=none).lines[0].cells[0].recipe.epochs == 1


def test_a_preset_shrinks_the_cells_of_a_method_and_not_what_they_begin_from() -> None:
    smaller = msgspec.structs.replace(SMOKE, method={"tuned": Overlay(train_samples=320, epochs=2)})
    plain, shrunk = (
        chained("tuned", context=replace(CHAINED, preset=preset)).lines[0].cells[0] for preset in (SMOKE, smaller)
    )
    assert shrunk.origin == plain.origin
    assert shrunk.recipe == msgspec.structs.replace(plain.recipe, train_samples=320, epochs=2)


def test_the_key_holds_the_key_of_the_origin() -> None:
    cell = chained("mpbn").lines[0].cells[0]
    assert cell.origin is not None and cell.origin.key.encode() in canonical(cell)
    assert cell.key != msgspec.structs.replace(cell, origin=None).key
    other = cell.throughout(data="variant-1")
    third = cell.throughout(seed=3)
    assert {one.seed for one in third.lineage} == {3} and third.seedless == cell
    assert other.origin is not None and (other.data, other.origin.data) == ("variant-1", "variant-1")
    assert other.key != msgspec.structs.replace(cell, data="variant-1").key


def test_samples_are_decided_for_the_whole_lineage() -> None:
    planned = plan(
        Table(name="c", title="", row=(row("mpbn"),)), CHAINED, identify=lambda cells: {"cifar10": "variant-7"}
    )
    assert {c.data for c in planned.cells} == {"variant-7"}


def test_seeds_of_one_row_stay_together_when_asked_for_by_key() -> None:
    assert len(plan_cells(chained("mpbn").lines[0].cells).lines) == 1


def test_a_row_that_nothing_can_train_says_why() -> None:
    table = Table(name="c", title="", row=(msgspec.structs.replace(row("rollout"), blank="not specified in public"),))
    assert blanks(plan(table, CONTEXT)) == ["not specified in public"]
