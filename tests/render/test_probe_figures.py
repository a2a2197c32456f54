"""Figures of probes: what is drawn is what was computed; what is missing is computed where the weights are, or told."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from framed import framed
from matplotlib.axes import Axes
from outcomes import result

from harness import arguments, tables
from harness.cli import main
from harness.measure import landscape, potentials, probing
from harness.plan import Plan, plan
from harness.render import figures
from harness.report.gather import gather
from harness.requests import Asked
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.store.probes import (
    Landscape,
    LayerStep,
    LayerThresholds,
    LossCurve,
    Potentials,
    Probe,
    Probes,
    Spread,
    Statistics,
    area,
    fingerprint,
)
from harness.store.result import Curve, Result
from harness.train import worker
from harness.verbs import session

pytestmark = pytest.mark.usefixtures("cifar10_alone")

ALPHAS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def planned(name: str, preset: str = "cpu") -> Plan:
    return plan(tables.load_figure(name), session.context_for(Asked(preset=preset)))


def landscape_of(cell: Cell) -> Landscape:
    """No two cells, directions and statistics share a number."""
    base = 1 + len(cell.method) / 10 + cell.seed / 7

    def curve(direction: int, by: float) -> LossCurve:
        loss = tuple(base + direction / 30 + (2 + by) * alpha**2 + 0.1 * alpha for alpha in ALPHAS)
        accuracy = tuple(90 - value for value in loss)
        kind = "running" if by else "re-estimated"
        return LossCurve(direction=direction, statistics=kind, loss=loss, accuracy=accuracy)

    curves = tuple(curve(direction, by) for direction in (0, 1) for by in (0.0, 1.0))
    return Landscape(
        weights="w", data="d", split="train", samples=1234, alphas=ALPHAS, moved=("w",), curves=curves
    )  # fmt: skip


def potentials_of(cell: Cell) -> Potentials:
    def spread(by: float) -> Spread:
        return Spread(mean=by + cell.seed, std=1 + by, above=0.25 + by / 10, counts=(0, 10, 30, 10, 0))

    normalised = cell.method != "vanilla"
    steps = tuple(
        LayerStep(layer=layer, step=step, before=spread(step), after=spread(step / 2) if normalised else None)
        for layer in ("one", "two")
        for step in (1, 2)
    )
    quantiles = (0.1, 0.2, 0.3, 0.4 + cell.seed, 2.5, 2.6, 2.7)
    folded = tuple(
        LayerThresholds(layer=layer, count=8, quantiles=quantiles, negative=0.25, infinite=0.125)
        for layer in ("one", "two")
    )
    return Potentials(
        weights="w", data="d", split="test", samples=77, threshold=0.5, low=-2.5, high=2.5, steps=steps,
        thresholds=folded if normalised else (),
    )  # fmt: skip


def probes_of(cell: Cell) -> Probes:
    return Probes(landscape=landscape_of(cell), potentials=potentials_of(cell))


def finished(cell: Cell) -> Result:
    return result(cell, 90.0, curve=Curve(test_accuracy=tuple(50.0 + e for e in range(cell.recipe.epochs))))


def filled(root: Path, name: str) -> list[Cell]:
    """A store with all results and probes of a figure, and no weights."""
    store, cells = Store(root), list(planned(name).cells)
    for cell in cells:
        store.write_result(finished(cell))
        store.write_probe(cell, "landscape", landscape_of(cell))
        store.write_probe(cell, "potentials", potentials_of(cell))
    return cells


def figure(name: str, store: Path, out: Path, *more: str) -> int:
    return main(["figure", name, "--preset", "cpu", "--store", str(store), "--out", str(out), *more])


def drawn(axes: Axes) -> Iterator[tuple[str, float, list[float]]]:
    for line in axes.get_lines():
        yield str(line.get_label()), line.get_linewidth(), np.asarray(line.get_ydata()).tolist()


def test_the_landscape_in_the_csv_is_that_of_the_store(tmp_path: Path) -> None:
    cells = filled(tmp_path / "runs", "figure3")
    assert figure("figure3", tmp_path / "runs", tmp_path / "out") == 0
    data = pd.read_csv(tmp_path / "out/figure3-paper-cpu.csv")
    assert len(data) == len(cells) * 2 * 2 * len(ALPHAS) == 6 * 20
    for cell in cells:
        for curve in landscape_of(cell).curves:
            here = (data.key == cell.key) & (data.statistics == curve.statistics) & (data.direction == curve.direction)
            mine = pd.DataFrame(data[here])
            assert tuple(mine.alpha) == ALPHAS and tuple(mine.loss) == curve.loss
            assert tuple(mine.accuracy) == curve.accuracy
    assert sorted(p.suffix for p in (tmp_path / "out").iterdir()) == [".csv", ".pdf", ".png", ".svg"]


def test_seeds_are_thin_their_mean_is_bold_and_the_legend_has_the_area() -> None:
    made = planned("figure3")
    outcomes = {cell.key: finished(cell) for cell in made.cells}
    probes = {cell.key: probes_of(cell) for cell in made.cells}
    picture, _ = figures.draw(made, outcomes, probes)
    running, again = picture.axes
    assert any("Not drawn (no results, not in preset cpu): CIFAR-100" in text.get_text() for text in picture.texts)
    assert running.get_ylim() == again.get_ylim(), "what is compared has one scale"
    kinds: list[tuple[Axes, Statistics]] = [(running, "running"), (again, "re-estimated")]
    for axes, kind in kinds:
        lines = list(drawn(axes))
        assert len(lines) == 2 * (1 + 3)
        for line in (line for line in made.lines if line.cells):
            seeds = []
            for cell in line.cells:
                one, two = (curve.loss for curve in landscape_of(cell).curves if curve.statistics == kind)
                seeds.append([(a + b) / 2 for a, b in zip(one, two, strict=True)])  # type: ignore[operator]
            mean = [math.fsum(values) / 3 for values in zip(*seeds, strict=True)]
            areas = pd.Series([area(landscape_of(cell), kind) for cell in line.cells])
            label = f"{line.row.label} (n = 3, A = {areas.mean():.2f}±{areas.std():.2f})"
            (bold,) = [heights for text, _, heights in lines if text == label]
            assert bold == pytest.approx(mean)
            for seed in seeds:
                assert any(heights == pytest.approx(seed) for _, width, heights in lines if width < 1)


def test_a_seed_without_its_probe_is_counted_out() -> None:
    made = planned("figure3")
    outcomes = {cell.key: finished(cell) for cell in made.cells}
    probes = {cell.key: probes_of(cell) for cell in made.cells if cell.seed != 1}
    labels = [text for text, _, _ in drawn(figures.draw(made, outcomes, probes)[0].axes[0])]
    assert sum("n = 2 of 3" in text for text in labels) == 2


def test_a_loss_that_is_not_finite_is_a_gap_and_has_no_area() -> None:
    made = planned("figure3")
    outcomes = {cell.key: finished(cell) for cell in made.cells}
    cell = made.lines[0].cells[0]
    whole = landscape_of(cell)
    holed = tuple(msgspec.structs.replace(curve, loss=(None, *curve.loss[1:])) for curve in whole.curves)
    probes = {other.key: probes_of(other) for other in made.cells}
    probes[cell.key] = Probes(landscape=msgspec.structs.replace(whole, curves=holed))
    picture, numbers = figures.draw(made, outcomes, probes)
    (bold,) = [line for line in drawn(picture.axes[0]) if line[0] == f"{made.lines[0].row.label} (n = 3)"]
    assert math.isnan(bold[2][0]) and not any(map(math.isnan, bold[2][1:]))
    assert list(framed(numbers)["loss"].isna()).count(True) == 4
    assert pd.read_csv(io.StringIO(numbers.csv))["loss"].isna().sum() == 4


def test_potentials_are_told_by_layer_step_and_seed(tmp_path: Path) -> None:
    cells = filled(tmp_path / "runs", "potentials")
    assert figure("potentials", tmp_path / "runs", tmp_path / "out") == 0
    data = pd.read_csv(tmp_path / "out/potentials-paper-cpu.csv")
    assert len(data) == 3 * 4 + 3 * 4 * 2  # u of both networks, z of one
    for cell in cells:
        for step in potentials_of(cell).steps:
            mine = data[(data.key == cell.key) & (data.layer == step.layer) & (data.step == step.step)]
            for name, spread in (("u", step.before), ("z", step.after)):
                (row,) = pd.DataFrame(mine[mine.potential == name]).to_dict(orient="records") or [None]
                assert (row is None) == (spread is None)
                if row is not None and spread is not None:
                    assert (row["mean"], row["std"], row["above"]) == (spread.mean, spread.std, spread.above)
                    # 10, 30, 10 values in bins of width 1 around 0
                    assert row["q50"] == pytest.approx(0) and row["q05"] == pytest.approx(-1.25)
    texts = (tmp_path / "out/potentials-paper-cpu.svg").read_text()
    assert "u, without MPBN (n = 3)" in texts and "z, with MPBN (n = 3)" in texts and "77 test samples" in texts


def test_thresholds_are_told_by_layer_and_seed(tmp_path: Path) -> None:
    cells = filled(tmp_path / "runs", "thresholds")
    assert figure("thresholds", tmp_path / "runs", tmp_path / "out") == 0
    data = pd.read_csv(tmp_path / "out/thresholds-paper-cpu.csv")
    assert len(data) == len(cells) * 2 == 6
    names = ["q00", "q05", "q25", "q50", "q75", "q95", "q100"]
    for cell in cells:
        folded = potentials_of(cell).thresholds[0]
        rows = pd.DataFrame(data[data.key == cell.key])[names].to_numpy().tolist()
        assert [tuple(row) for row in rows] == [folded.quantiles] * 2
    # 3 seeds, 2 layers of 8: a quarter of them negative, an eighth infinite
    assert "λ &lt; 0 in 12 of 48, always or never firing 6" in (tmp_path / "out/thresholds-paper-cpu.svg").read_text()


@pytest.mark.parametrize("name", ["figure3", "potentials", "thresholds"])
def test_what_is_missing_is_told_with_what_to_type_and_1(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "runs")
    cells = planned(name).cells
    for cell in cells:
        store.write_result(finished(cell))
    assert figure(name, store.root, tmp_path / "out") == 1
    command = f"python -m harness run {name} --protocol paper --preset cpu --store ANOTHER"
    error = capsys.readouterr().err
    assert f"{len(cells)} cells have no " in error and command in error
    picture = (tmp_path / f"out/{name}-paper-cpu.svg").read_text()
    assert "ANOTHER" in picture and "weights" in picture


@pytest.mark.parametrize("name", ["figure3", "potentials"])
def test_from_probes_alone_it_is_drawn_without_torch(name: str, tmp_path: Path) -> None:
    filled(tmp_path / "runs", name)
    script = "import sys; from harness.cli import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    given = ["figure", name, "--preset", "cpu", "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    given += ["--only", "dataset=cifar10"]
    done = subprocess.run([sys.executable, "-c", script, *given], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False" and not done.stderr


def test_what_is_missing_is_computed_once_where_the_weights_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "runs")
    cells = filled(store.root, "figure3")
    one, other = cells[0], cells[-1]
    for cell in (one, other):
        (store.folder(cell) / "landscape.json").unlink()
    (store.folder(one) / "weights.pt").write_bytes(b"w")
    (store.folder(one) / "potentials.json").unlink()
    asked: list[tuple[str, str]] = []

    def fake(name: str, cell: Cell, *_: object) -> Probe:
        asked.append((name, cell.key))
        return msgspec.structs.replace(landscape_of(cell), weights=fingerprint(b"w"), seconds=12.0)

    monkeypatch.setattr(probing, "compute", fake)
    for _ in range(2):
        assert figure("figure3", store.root, tmp_path / "out") == 1  # the other has no weights
    assert asked == [("landscape", one.key)], "it is kept"
    error = capsys.readouterr().err
    assert f"computing the landscape of {one.label}, 1 of 1" in error and "done in 12 s" in error
    assert "1 cell has no landscape" in error


@pytest.mark.parametrize("taken", [40, None])
def test_probes_of_a_cell_from_its_weights(taken: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All the way: samples, weights from the store, both probes; twice the same."""
    recipe = Recipe(epochs=1, width=0.0625, augmentation=("flip",), train_samples=900, test_samples=taken)
    identity = session.data.identify("digits", None)
    cell = Cell(
        method="mpbn", architecture="resnet20", dataset="digits", timesteps=2, seed=1, recipe=recipe, data=identity
    )
    store = Store(tmp_path)
    _, network = worker.prepare(cell, None)
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    store.write_result(result(cell, 50.0))
    (store.folder(cell) / "weights.pt").write_bytes(content.getvalue())
    monkeypatch.setattr(landscape, "DIRECTIONS", (0,))
    monkeypatch.setattr(landscape, "SAMPLES", 50)
    monkeypatch.setattr(potentials, "SAMPLES", 5_000)  # more than there are
    for name, samples in (("landscape", 50), ("potentials", taken or 360)):
        probe = probing.compute(name, cell, store, None)
        assert isinstance(probe, Probe)
        assert probe.weights == fingerprint(content.getvalue()) and probe.samples == samples and probe.seconds > 0
        assert store.write_probe(cell, name, probe)  # type: ignore[arg-type]
        again = probing.compute(name, cell, store, None)
        assert msgspec.structs.replace(again, seconds=0.0) == msgspec.structs.replace(probe, seconds=0.0)
    found = store.probes(cell)
    assert found.landscape is not None and found.potentials is not None and not store.problems
    assert {step.step for step in found.potentials.steps} == {1, 2}


def test_the_report_takes_what_is_there_and_computes_nothing(tmp_path: Path) -> None:
    def shown() -> dict[str, int]:
        """Figure -> how many probes it is drawn from."""
        given = ["report", "--preset", "cpu", "--store", str(tmp_path), "--bench", str(tmp_path / "bench")]
        figures = gather(arguments.parse(given)).figures
        return {sight.name: len([p for p in sight.probes.values() if p != Probes()]) for sight in figures}

    store, cells = Store(tmp_path), filled(tmp_path, "potentials")
    found = shown()
    assert (found["figure3"], found["potentials"], found["thresholds"]) == (6, 6, 3)
    for cell in cells:
        (store.folder(cell) / "potentials.json").unlink()
        (store.folder(cell) / "weights.pt").write_bytes(b"w")  # of others: nothing is left, and nothing is computed
    found = shown()
    assert found["figure3"] == 0 and not found.keys() & {"potentials", "thresholds"}
