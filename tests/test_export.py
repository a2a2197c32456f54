"""Results read back by pandas, networks read back by torch, onnxruntime and NIR's own reader."""

from __future__ import annotations

import builtins
import csv
import gc
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from stand_in import make_cell, make_failure, make_result
from torch import Tensor

import baselines
import harness.data
from baselines.network import Network
from baselines.parts.neurons import FoldedFire
from baselines.parts.potential import MPBN
from harness.cli import main
from harness.errors import UserError
from harness.export import as_nir, as_onnx, as_torch
from harness.export.network import agreement, folded
from harness.spec import Cell, Recipe
from harness.store import Store, frame, tidy
from harness.store.result import Result
from harness.train import worker

# --- Results ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A finished, a failed and an unfinished cell."""
    held = Store(tmp_path / "runs")
    held.write_result(make_result(make_cell(0), 90.5, proofs=1))
    held.write_failure(make_failure(make_cell(1)))
    held.announce([make_cell(2)])
    return tmp_path / "runs"


def export(store: Path, *arguments: str) -> int:
    return main(["export", *arguments, "--store", str(store), "--out", str(store.parent / "out")])


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_cell_and_every_epoch(store: Path, form: str, capsys: pytest.CaptureFixture) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    assert export(store, "--format", form) == 0
    read: Callable[..., pd.DataFrame] = pd.read_csv if form == "csv" else pd.read_parquet
    cells, epochs = (read(path) for path in capsys.readouterr().out.split())
    assert sorted(zip(cells["seed"], cells["status"], strict=True)) == [(0, "done"), (1, "failed"), (2, "missing")]
    done = cells[cells["status"] == "done"].iloc[0]
    assert (done["accuracy"], done["recipe_epochs"], done["fold_mismatches"]) == (90.5, 3, 0)
    assert cells[cells["status"] == "failed"].iloc[0]["reason"] == "diverged: the loss became nan in epoch 2"
    assert cells[cells["status"] != "done"]["accuracy"].isna().all()
    assert list(epochs["epoch"]) == [1, 2, 3] and set(epochs["key"]) == {done["key"]}
    assert epochs["test_accuracy"].iloc[-1] == 90.5


def test_no_cell_of_csv_is_a_formula() -> None:
    """A reason, a method, a device may come from a stranger's store; a spreadsheet would run them."""
    cell = msgspec.structs.replace(make_cell(), method="=cmd|'/C calc'!A0")
    failure = msgspec.structs.replace(make_failure(cell), kind="diverged", reason="\x1b[2J")
    names = tidy.recipe_names([cell])
    values = [*tidy.of_cell(cell), *tidy.of_recipe(cell.recipe, names), *tidy.summary(failure)]
    (row,) = csv.DictReader([tidy.line(tidy.cell_columns(names)), tidy.line(values)])
    assert row["method"] == "'=cmd|'/C calc'!A0" and row["reason"] == r"diverged: \x1b[2J"


def test_parquet_without_pyarrow_is_one_line(
    store: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert export(store, "--format", "parquet") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install pyarrow" in line and "--format csv" in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--format", "latex"), "no table is named"),
        (("--to", "onnx"), "0 cells are named"),
        (("--to", "nirr"), "did you mean `nir`?"),
        (("--format", "xml"), "unknown format `xml`"),
    ],
)
def test_bad_input_is_one_line_and_2(
    store: Path, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture
) -> None:
    assert export(store, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_cell_without_weights_says_how_to_get_them(store: Path, capsys: pytest.CaptureFixture) -> None:
    key = make_cell(0).key
    assert export(store, key, "--to", "torch") == 2
    assert f"harness run {key}" in capsys.readouterr().err


def test_latex_tables_compile_as_they_are(store: Path, capsys: pytest.CaptureFixture) -> None:
    tables = ["table1", "table2", "table3", "table4", "table5", "table6", "ambiguities"]
    assert export(store, *tables, "--preset", "smoke", "--format", "latex") == 0
    paths = [Path(line) for line in capsys.readouterr().out.split()]
    assert [path.name for path in paths] == [f"{name}-smoke.tex" for name in tables]
    if not (latex := shutil.which("pdflatex")):
        pytest.skip("no pdflatex here")
    if not subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, check=False).stdout:
        pytest.skip("no booktabs here")
    inputs = "\n".join(rf"\input{{{path.name}}}\clearpage" for path in paths)
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{inputs}\end{{document}}"
    (paths[0].parent / "all.tex").write_text(document)
    command = [latex, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=paths[0].parent, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (paths[0].parent / "all.log").read_text(errors="replace")


def event_cell(store: Store) -> Cell:
    """A cell of recordings as if it had been trained, its batch smaller than what an export looks at."""
    recipe = Recipe(epochs=1, width=0.0625, batch=7, train_samples=20, test_samples=20)
    cell = Cell(
        method="mpbn", architecture="resnet20", dataset="digits-events", timesteps=2, seed=1, recipe=recipe,
        data=harness.data.identify("digits-events"),
    )  # fmt: skip
    _, made = worker.prepare(cell, None)
    store.write_result(msgspec.structs.replace(make_result(make_cell(0), 50.0), cell=cell))
    torch.save(made.state_dict(), store.folder(cell) / "weights.pt")
    return cell


def test_networks_of_recordings_are_exported_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cell = event_cell(Store(tmp_path / "runs"))
    for form in ("torch", "onnx", "nir"):
        assert export(tmp_path / "runs", cell.key, "--to", form) == 0
        told = capsys.readouterr().err
        assert "run on 20 test samples: 0 of " in told, f"{form}: {told}"


def test_weights_that_are_cut_or_of_others_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    store = Store(tmp_path / "runs")
    cell = event_cell(store)
    path = store.folder(cell) / "weights.pt"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"of others", pickle.dumps({"weight": 1})):
        path.write_bytes(content)
        assert export(tmp_path / "runs", cell.key, "--to", "torch") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "weights.pt: does not hold the weights of this cell" in line


# --- Networks ---------------------------------------------------------------------------------------------------------


def network(method: str = "mpbn", architecture: str = "resnet20", timesteps: int = 2) -> Network:
    """Folded; layers fire, and λ is negative for every third channel or element, zero for one."""
    torch.manual_seed(0)
    made = baselines.build(method, architecture, shape=(3, 32, 32), classes=10, timesteps=timesteps, width=0.0625)
    with torch.no_grad():
        for _ in range(3):
            made(torch.randn(8, 3, 32, 32))
        for module in made.modules():
            if isinstance(module, MPBN):
                module.weight[::3] *= -1
                module.weight[1] = 0.0
    return folded(made)


IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def assert_same(made: Network, run: Callable[[Path, list[str], Tensor], tuple[Tensor, dict[str, Tensor]]], path: Path):
    names = list(made.spiking_layers())
    wrong, compared, difference = agreement(made, IMAGES, lambda images: run(path, names, images))
    assert wrong == 0 and compared > 10_000 and difference < 1e-4


def test_the_written_out_network_needs_torch_alone(tmp_path: Path) -> None:
    made = network(architecture="vgg11")
    assert_same(made, as_torch.run, as_torch.write(made, IMAGES, tmp_path / "n", spikes=True))
    plain = as_torch.write(made, IMAGES, tmp_path / "plain")
    torch.save(IMAGES, tmp_path / "images.pt")
    script = (
        "import sys, torch; scores = torch.export.load('plain.pt2').module()(torch.load('images.pt'));"
        "assert not any(name.startswith(('baselines', 'harness')) for name in sys.modules);"
        "torch.save(scores, 'scores.pt')"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=plain.parent, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert torch.equal(torch.load(tmp_path / "scores.pt"), made.predict(IMAGES))


def test_onnxruntime_fires_the_same_spikes(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    made = network("mpbn-element", "resnet11")
    assert_same(made, as_onnx.run, as_onnx.write(made, IMAGES, tmp_path / "n", spikes=True))


@pytest.mark.parametrize(
    ("method", "architecture"),
    [
        ("mpbn", "resnet20"),
        ("mpbn-element", "resnet20"),
        ("vanilla", "resnet20"),
        ("mpbn", "vgg11"),
        ("tdbn", "resnet19"),
        ("real-spike", "resnet20"),
    ],
)
def test_nir_read_back_fires_the_same_spikes(method: str, architecture: str, tmp_path: Path) -> None:
    pytest.importorskip("nir")
    made = network(method, architecture, timesteps=3)
    assert_same(made, as_nir.run, as_nir.write(made, IMAGES, tmp_path / "n"))


def test_nir_says_what_the_paper_says_of_the_neuron(tmp_path: Path) -> None:
    """tau dv/dt = -v + r I by forward Euler is u = τ v + x; a negative λ is a negative resistance."""
    nir = pytest.importorskip("nir")
    made = network()
    read = nir.read(str(as_nir.write(made, IMAGES, tmp_path / "n")))
    dt = float(read.metadata["dt"])
    layer, neuron = next((n, m) for n, m in made.spiking_layers().items())
    node, fire = read.nodes[layer.replace(".", "_")], neuron.fire
    assert isinstance(node, nir.LIF) and isinstance(fire, FoldedFire) and fire.sign is not None
    np.testing.assert_allclose(1 - dt / node.tau, 0.25, rtol=1e-12)
    np.testing.assert_allclose(dt / node.tau * node.r, fire.sign.expand(node.r.shape).numpy(), rtol=1e-12)
    assert (node.r < 0).any() and (node.v_reset == 0).all() and (node.v_leak == 0).all()
    assert np.array_equal(node.v_threshold, fire.threshold.expand(node.r.shape).numpy())
    assert np.isinf(node.v_threshold).any()  # where λ = 0: never, or always


@pytest.mark.parametrize(
    ("method", "architecture", "told"),
    [
        ("tebn", "resnet20", "layer 0: cannot be written in NIR: NIR has no node for ConvPerStep"),
        ("mpbn-normalised-potential", "resnet20", "layer 1: cannot be written in NIR: it carries the normalised"),
        ("neunorm", "resnet20", "layer 1.after: cannot be written in NIR: NIR has no node for NeuNormalisation"),
        ("liaf-net", "resnet20", "layer 1.neuron: cannot be written in NIR: it is no leaky neuron"),
        ("vanilla", "resnet18-sew", "NIR has no node for MaxPool2d"),
        (
            "vanilla-poisson",
            "resnet20",
            "layer encoder: cannot be written in NIR: frames come in as Poisson codes them",
        ),
    ],
)
def test_what_nir_cannot_say_is_refused_by_layer(method: str, architecture: str, told: str) -> None:
    pytest.importorskip("nir")
    with pytest.raises(UserError) as refused:
        as_nir.graph(network(method, architecture), (3, 32, 32))
    assert told in str(refused.value)


def test_a_pool_that_reaches_beyond_a_small_map_is_refused() -> None:
    """The last shortcut of a ResNet20 on 8x8 images halves a map of one pixel."""
    pytest.importorskip("nir")
    with pytest.raises(UserError, match="its average pool reaches beyond the map"):
        as_nir.graph(network("vanilla"), (3, 8, 8))


@pytest.mark.parametrize(("form", "package"), [(as_onnx, "onnxscript"), (as_nir, "nir")])
def test_a_missing_package_is_told(form, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: object):
        if name == package:
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=f"{package} is missing"):
        form.write(None, IMAGES, tmp_path / "n")


def test_tables_of_pandas_hold_few_results_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they tell is kept, what they were read from is not."""
    monkeypatch.setattr(frame, "BATCH", 3)
    held: list[int] = []

    def found() -> Iterator[tuple[Cell, Result]]:
        for seed in range(12):
            held.append(sum(type(one) is Result for one in gc.get_objects()))
            yield make_cell(seed), make_result(make_cell(seed), 80.0 + seed)

    cells, epochs = frame.both(found())
    assert max(held) - held[0] < 2 * frame.BATCH
    assert list(cells["seed"]) == list(range(12)) and list(cells["accuracy"]) == [80.0 + seed for seed in range(12)]
    assert list(epochs["epoch"]) == [*range(1, 4)] * 12 and list(epochs.index) == list(range(36))
    assert epochs.equals(frame.epochs(result for _, result in found())) and cells.equals(frame.cells(found()))
