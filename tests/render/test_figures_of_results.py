"""Figures that need results alone, from stores whose numbers are known: firing rates, inflation, energy."""

from __future__ import annotations

import io
import math
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from framed import framed
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.text import Text
from outcomes import proof, result

import baselines
from harness import data, tables
from harness.cli import main
from harness.measure.operations import operations
from harness.plan import Plan, plan
from harness.render import figures
from harness.requests import Asked
from harness.spec import Cell
from harness.stats import Outcome
from harness.store import Store
from harness.store.probes import Operations, Probes
from harness.store.result import Curve, LayerCheck, Result
from harness.train.tally import doubled
from harness.verbs import session

pytestmark = pytest.mark.usefixtures("cifar10_alone")

SHOWN = 6
"""Rows of preset `cpu`: two methods at three numbers of timesteps, CIFAR-10."""
LAYERS = ("first", "second", "third")


def planned(name: str) -> Plan:
    preset = None if name == "latency-accuracy" else "cpu"  # which has Table 1 alone
    return plan(tables.load_figure(name), session.context_for(Asked(preset=preset)))


def layers(cell: Cell, precision_flips: int = 0) -> tuple[LayerCheck, ...]:
    """Rates that differ by layer, method, timesteps and seed."""
    base = 10 * cell.timesteps + len(cell.method) + 100 * cell.seed + precision_flips
    return tuple(
        LayerCheck(name=name, neurons=1000 * (1 + n), spikes=base * (1 + n) + n, mismatches=0)
        for n, name in enumerate(LAYERS)
    )


def finished(cell: Cell) -> Result:
    """It loses `seed` tenths of a point after its best epoch; its double-precision proof comes first."""
    accuracy = 60.0 + cell.timesteps + len(cell.method) / 7
    last = accuracy - cell.seed / 10
    curve = Curve(test_accuracy=(*[accuracy] * (cell.recipe.epochs - 1), last))
    proofs = (
        proof(precision="float64", layers=layers(cell, precision_flips=1)),
        proof(layers=layers(cell)),
        proof(fold="norm-conv", exact=False, layers=layers(cell)),
    )
    return result(cell, accuracy, last_accuracy=last, best_epoch=1, curve=curve, proofs=proofs)


def outcomes(plan: Plan) -> dict[str, Outcome]:
    return {cell.key: finished(cell) for cell in plan.cells}


def counted(held: dict[str, Outcome]) -> dict[str, Probes]:
    """As many operations as the seed and the timesteps say."""
    return {
        key: Probes(operations=Operations(macs=1e6, acs=1e6 * one.cell.timesteps * (1 + one.cell.seed)))
        for key, one in held.items()
        if isinstance(one, Result)
    }


def drawn(name: str, held: dict[str, Outcome]) -> tuple[list[Axes], pd.DataFrame]:
    figure, numbers = figures.draw(planned(name), held, counted(held))
    return figure.axes, framed(numbers)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def words(axes: Axes) -> str:
    """As one line, however it is broken."""
    return " ".join(" ".join(texts(axes)).split())


# --- rates ------------------------------------------------------------------------------------------------------------


def test_rates_are_those_of_the_float32_proof_layer_by_layer() -> None:
    held = outcomes(planned("rates"))
    _, numbers = drawn("rates", held)
    assert len(numbers) == SHOWN * 3 * len(LAYERS)
    for key, rows in numbers.groupby("key"):
        one = held[str(key)]
        assert isinstance(one, Result) and list(rows["layer"]) == [1, 2, 3] and list(rows["name"]) == list(LAYERS)
        expected = [100 * layer.spikes / layer.neurons for layer in layers(one.cell)]
        assert list(rows["rate"]) == pytest.approx(expected, rel=1e-12)


def test_the_bold_line_is_the_mean_of_the_rates_and_panels_share_their_scale() -> None:
    held = outcomes(planned("rates"))
    axes, numbers = drawn("rates", held)
    shown = [one for one in axes if one.get_lines()]
    assert len(shown) == 3 and len({one.get_ylim() for one in shown}) == 1
    for one, steps in zip(shown, (1, 2, 4), strict=True):
        bold = {str(line.get_label()): line for line in one.get_lines() if line.get_linewidth() > 1}
        assert list(bold) == ["without MPBN (n = 3)", "with MPBN (n = 3)"] and len(one.get_lines()) == 2 + 6
        for method, line in zip(("vanilla", "mpbn"), bold.values(), strict=True):
            rows = numbers[(numbers["method"] == method) & (numbers["timesteps"] == steps)]
            assert list(line.get_ydata()) == pytest.approx([rows[rows["layer"] == n]["rate"].mean() for n in (1, 2, 3)])


def test_a_result_without_a_proof_has_no_rates_and_is_not_counted() -> None:
    held = outcomes(planned("rates"))
    first = planned("rates").lines[0].cells[0]
    held[first.key] = msgspec.structs.replace(finished(first), proofs=())
    axes, numbers = drawn("rates", held)
    assert first.key not in set(numbers["key"])
    assert "without MPBN (n = 2 of 3)" in [line.get_label() for line in axes[0].get_lines()]
    for cell in (cell for line in planned("rates").lines[:2] for cell in line.cells):
        held[cell.key] = msgspec.structs.replace(finished(cell), proofs=())
    assert "no result has a fold proof" in words(drawn("rates", held)[0][0])


# --- inflation --------------------------------------------------------------------------------------------------------


def test_inflation_is_best_minus_last_a_point_a_seed_and_their_mean() -> None:
    axes, numbers = drawn("inflation", outcomes(planned("inflation")))
    assert list(numbers["inflation"]) == pytest.approx([0.0, 0.1, 0.2] * SHOWN)
    (shown,) = [one for one in axes if one.get_lines()]
    dots = [line for line in shown.get_lines() if line.get_linestyle() == "None"]
    bars = [line for line in shown.get_lines() if line.get_linestyle() != "None"]
    assert [list(line.get_xdata()) for line in dots] == [pytest.approx([0.0, 0.1, 0.2])] * SHOWN
    assert [list(line.get_xdata()) for line in bars] == [pytest.approx([0.1, 0.1])] * SHOWN
    assert texts(shown) == ["0.10 (n = 3)"] * SHOWN
    names = [label.get_text() for label in shown.get_yticklabels()]
    assert names[:2] == ["without MPBN · T = 1", "with MPBN · T = 1"] and len(names) == SHOWN


def test_a_missing_seed_and_one_that_is_no_number_leave_n_of_3() -> None:
    lines, held = planned("inflation").lines, outcomes(planned("inflation"))
    del held[lines[0].cells[2].key]
    lost = lines[1].cells[2]
    held[lost.key] = msgspec.structs.replace(finished(lost), last_accuracy=math.nan)
    for cell in lines[2].cells:
        del held[cell.key]
    axes, numbers = drawn("inflation", held)
    assert texts(axes[0])[:4] == ["0.05 (n = 2 of 3)", "0.05 (n = 2 of 3)", "n = 0 of 3", "0.10 (n = 3)"]
    assert lost.key not in set(numbers["key"])


def test_differences_of_almost_nothing_do_not_fill_the_axis() -> None:
    plan = planned("inflation")
    held = {c.key: msgspec.structs.replace(r := finished(c), last_accuracy=r.best_accuracy) for c in plan.cells}
    some = plan.cells[0]
    held[some.key] = msgspec.structs.replace(held[some.key], last_accuracy=held[some.key].best_accuracy - 0.01)
    axes, _ = drawn("inflation", held)
    assert axes[0].get_xlim()[1] >= 0.2


def test_differences_of_nothing_are_a_sentence() -> None:
    plan = planned("inflation")
    held = {c.key: msgspec.structs.replace(r := finished(c), last_accuracy=r.best_accuracy) for c in plan.cells}
    picture, numbers = figures.draw(plan, held)
    assert not picture.axes and len(numbers.rows) == 18
    said = " ".join(text.get_text() for text in picture.texts)
    assert "added nothing: in all 18 runs the last epoch was the best" in said


# --- energy -----------------------------------------------------------------------------------------------------------


def test_energy_is_priced_as_horowitz_says_and_stands_against_the_accuracy() -> None:
    held = outcomes(planned("energy"))
    axes, numbers = drawn("energy", held)
    row = numbers[(numbers["timesteps"] == 4) & (numbers["seed"] == 2) & (numbers["method"] == "mpbn")].iloc[0]
    assert (row["macs"], row["acs"]) == (1e6, 12e6) and row["microjoules"] == pytest.approx(4.6 + 0.9 * 12)
    for one, column in zip(axes[:2], ("acs", "microjoules"), strict=True):
        means = [line for line in one.get_lines() if line.get_linestyle() != "None"]
        assert [line.get_label() for line in means] == ["without MPBN (n = 3)", "with MPBN (n = 3)"]
        for method, line in zip(("vanilla", "mpbn"), means, strict=True):
            by_steps = numbers[numbers["method"] == method].groupby("timesteps")
            spent = by_steps[column].mean() if column == "microjoules" else 1 + by_steps["acs"].mean() / 1e6
            assert list(line.get_xdata()) == pytest.approx(list(spent))
            assert list(line.get_ydata()) == pytest.approx(list(by_steps["accuracy"].mean()))
        assert texts(one).count("T = 4") == 2


def test_without_counted_operations_it_says_what_to_type() -> None:
    figure, numbers = figures.draw(planned("energy"), outcomes(planned("energy")), {})
    assert not numbers.rows and "python -m harness figure" in words(figure.axes[0])


def test_operations_are_counted_once_from_the_result_alone_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No weights and no data are there; the second time nothing is counted."""
    line = planned("energy").lines[0]
    cell, store = line.cells[0], Store(tmp_path / "runs")
    shape, classes = (3, 32, 32), 10
    assert data.frame(cell.dataset, cell.recipe) == (shape, classes)
    network = baselines.build(
        cell.method, cell.architecture, shape=shape, classes=classes, timesteps=cell.timesteps, width=cell.recipe.width
    )
    checks = tuple(
        LayerCheck(name=name, neurons=100, spikes=10 + n, mismatches=0)
        for n, name in enumerate(network.spiking_layers())
    )
    held = msgspec.structs.replace(finished(cell), proofs=(proof(layers=checks),))
    store.write_result(held)
    typed = ["figure", "energy", "--preset", "cpu", "--only", "method=vanilla,timesteps=1", "--seeds", "0"]
    typed += ["--store", str(tmp_path / "runs"), "--out", str(tmp_path)]
    assert main(typed) == 0
    assert "computing the operations" in capsys.readouterr().err
    row = pd.read_csv(tmp_path / "energy-paper-cpu.csv").iloc[0]
    expected = operations(network, shape, held.firing_rates)
    assert (row["macs"], row["acs"], row["accuracy"]) == (expected.macs, expected.acs, held.accuracy)
    assert main(typed) == 0 and "computing" not in capsys.readouterr().err
    kept = store.probes(cell).operations
    assert kept is not None and kept.acs == expected.acs


def test_operations_of_another_result_are_not_believed(tmp_path: Path) -> None:
    cell, store = planned("energy").lines[0].cells[0], Store(tmp_path)
    store.write_result(finished(cell))
    store.write_probe(cell, "operations", Operations(macs=1.0, acs=2.0, rates=finished(cell).firing_rates))
    assert store.probes(cell).operations is not None
    other = msgspec.structs.replace(finished(cell), proofs=(proof(),))
    (store.folder(cell) / "result.json").write_bytes(msgspec.json.encode(other))
    assert store.probes(cell).operations is None


def test_a_proof_of_other_layers_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell, store = planned("energy").lines[0].cells[0], Store(tmp_path / "runs")
    store.write_result(finished(cell))
    typed = ["figure", "energy", "--preset", "cpu", "--only", "method=vanilla,timesteps=1", "--seeds", "0"]
    assert main([*typed, "--store", str(tmp_path / "runs"), "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "has a fold proof of other layers than its network's" in told and "Traceback" not in told


# --- all --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rates", "inflation", "energy"])
def test_no_words_lie_over_others(name: str) -> None:
    """Every text within the picture, and no two on each other: labels, titles, notes."""
    held = outcomes(planned(name))
    figure, _ = figures.draw(planned(name), held, counted(held))
    figure.savefig(io.BytesIO(), format="png")  # lays it out
    found = [text for axes in figure.axes for text in axes.texts] + figure.texts
    found += [axes._left_title for axes in figure.axes]  # type: ignore[attr-defined]
    found += [text for axes in figure.axes if axes.axison for axis in (axes.xaxis, axes.yaxis) for text in ticks(axis)]
    boxes = [(text.get_text(), text.get_window_extent()) for text in found if text.get_text().strip()]
    assert len(boxes) > 10
    width, height = figure.canvas.get_width_height()
    for place, (text, box) in enumerate(boxes):
        assert min(box.x0, box.y0) >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, text
        for other, beside in boxes[:place]:
            assert not box.shrunk(0.9, 0.9).overlaps(beside.shrunk(0.9, 0.9)), f"{text!r} on {other!r}"


def ticks(axis: Axis) -> list[Text]:
    """What is said of an axis: its label, and the numbers in sight."""
    low, high = sorted(axis.get_view_interval())
    shown = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [*shown, axis.label]


# --- latency ----------------------------------------------------------------------------------------------------------


def stepwise(cell: Cell) -> Result:
    """As accurate as the number of the doubling, times ten."""
    count = len(doubled(cell.timesteps))
    told = tuple(10.0 * (1 + i) / 2 + cell.seed for i in range(count))
    curve = Curve(test_accuracy=(told[-1],) * cell.recipe.epochs, by_timesteps=(told,) * cell.recipe.epochs)
    return result(cell, told[-1], curve=curve)


def test_accuracy_is_drawn_against_the_timesteps_that_were_shown() -> None:
    held = {cell.key: stepwise(cell) for cell in planned("latency-accuracy").cells}
    axes, numbers = drawn("latency-accuracy", held)
    for key, rows in numbers.groupby("key"):
        one = held[str(key)]
        assert list(rows["after"]) == doubled(one.cell.timesteps)
        assert list(rows["accuracy"]) == list(one.curve.by_timesteps[-1])
    labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert [label.partition(" ")[0].rstrip(",") for label in labels] == ["ANN", "SpikeNorm", "RMP"]
    level = [line for line in axes[0].get_lines() if list(line.get_xdata()) == [0, 1]]
    assert [list(line.get_ydata()) for line in level] == [[6.0, 6.0]], "the mean of 5, 6, 7: no time, a level line"
    assert "operations are not counted yet" in words(axes[1])


def test_accuracy_is_drawn_against_the_operations_up_to_then() -> None:
    """A million and as many as the timesteps; of the second seed twice as many."""
    plan = planned("latency-accuracy")
    held = {cell.key: stepwise(cell) for cell in plan.cells}
    counted = {cell.key: Probes(operations=spent(cell)) for cell in plan.cells}
    figure, drawn = figures.draw(plan, held, counted)
    numbers = framed(drawn)
    rmp = numbers[(numbers["method"] == "rmp") & (numbers["seed"] == 0)]
    assert list(rmp["acs"]) == [1e6 * t for t in doubled(2048)] and set(rmp["macs"]) == {1e6}
    means = [line for line in figure.axes[1].get_lines() if line.get_zorder() == 3]
    shown = [list(line.get_xdata()) for line in means]
    assert shown[0] == [pytest.approx(1 + 2)] and shown[2] == pytest.approx([1 + 2 * t for t in doubled(2048)])
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def spent(cell: Cell) -> Operations:
    after = tuple((1e6, 1e6 * t * (1 + cell.seed)) for t in doubled(cell.timesteps))
    return Operations(macs=after[-1][0], acs=after[-1][1], after=after)


def test_a_result_that_tells_no_timesteps_is_said() -> None:
    held = outcomes(planned("latency-accuracy"))
    assert "no result tells its accuracy step by step" in words(drawn("latency-accuracy", held)[0][0])


def test_the_level_of_the_ann_is_that_of_the_very_cells_that_conversions_begin_from() -> None:
    first, second = planned("latency-accuracy").lines[:2]
    assert [cell.origin for cell in second.cells] == list(first.cells)
