"""What a cell begins from: weights of another in the store, those that its result names, and no others."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from outcomes import metrics

from harness.errors import UserError
from harness.measure import operations
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.store.result import Progress
from harness.train import epoch
from harness.train.checkpoint import Checkpoint, serialised
from harness.train.origin import origin_of
from harness.train.worker import run_cell
from harness.verbs.merge import merge

RECIPE = Recipe(
    epochs=2, batch=50, size=16, width=0.1, train_samples=200, test_samples=100, lr=0.02, augmentation=("crop",)
)
ANN = Cell(method="ann", architecture="resnet20", dataset="digits", timesteps=1, seed=0, recipe=RECIPE)
RMP = Cell(
    method="rmp",
    architecture="resnet20",
    dataset="digits",
    timesteps=40,
    seed=0,
    recipe=msgspec.structs.replace(RECIPE, epochs=1),
    origin=ANN,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("origin") / "runs")
    assert run_cell(ANN, store.root) == "done", store.failure(ANN)
    assert run_cell(RMP, store.root) == "done", store.failure(RMP)
    return store


def copied(trained: Store, folder: Path) -> Store:
    """The ANN alone."""
    store = Store(folder / "runs")
    store.folder(ANN).mkdir(parents=True)
    for name in ("result.json", "weights.pt", "cell.json"):
        (store.folder(ANN) / name).write_bytes((trained.folder(ANN) / name).read_bytes())
    return store


def test_a_conversion_begins_from_its_ann_and_says_from_which_weights(trained: Store) -> None:
    ann, converted = trained.result(ANN), trained.result(RMP)
    assert ann is not None and converted is not None
    assert ann.weights and converted.begun == ann.weights != converted.weights
    assert ann.begun == ""
    old, new = (torch.load(trained.folder(cell) / "weights.pt", weights_only=True) for cell in (ANN, RMP))
    assert all(torch.equal(new[name], tensor) for name, tensor in old.items()), "nothing is trained"
    assert converted.curve.train_loss == () and len(converted.curve.by_timesteps[0]) == 7  # 1, 2, 4, … 32, 40


def test_operations_are_counted_of_a_run_that_is_too_long_for_a_fold_proof(trained: Store) -> None:
    result = trained.result(RMP)
    assert result is not None and not result.proofs and result.pixels is not None
    assert all(len(told) == 7 for told in result.rates.values())
    assert result.firing_rates == {name: told[-1] for name, told in result.rates.items()}
    counted = operations.of(RMP, trained)
    assert len(counted.after) == 7 and counted.after[-1] == (counted.macs, counted.acs)
    assert counted.macs == 0 and sorted(counted.after) == list(counted.after)
    trained.write_probe(RMP, "operations", counted)
    assert trained.probes(RMP).operations == counted


@pytest.mark.usefixtures("trained")
def test_a_long_evaluation_says_how_far_it_is(trained: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch, "HEARTBEAT", -1.0)
    store, said = copied(trained, tmp_path), list[Progress]()
    monkeypatch.setattr(Store, "write_progress", lambda store, cell, progress: said.append(progress))
    assert run_cell(RMP, store.root) == "done"
    words = [progress.words for progress in said]
    assert words.index("threshold of layer 1 of 19") < words.index("0 images tested, T = 1/40")
    assert words.index("0 images tested, T = 40/40") < words.index("50 images tested, T = 40/40")
    assert {progress.epoch for progress in said[:-1]} == {0} and said[-1].epoch == 1
    assert "images tested" not in (store.folder(RMP) / "log.txt").read_text()


def test_it_repeats_to_the_bit(trained: Store, tmp_path: Path) -> None:
    store = copied(trained, tmp_path)
    assert run_cell(RMP, store.root) == "done"
    one, two = store.result(RMP), trained.result(RMP)
    assert one is not None and two is not None and metrics(one) == metrics(two)


def test_a_chain_goes_on_in_the_store_that_it_was_merged_into(trained: Store, tmp_path: Path) -> None:
    """The ANN comes with its weights; results that name other weights bring none."""
    store, half = Store(tmp_path / "here"), copied(trained, tmp_path / "there")
    store.prepare()
    assert merge(half.root, store.root).problems == []
    assert run_cell(RMP, store.root) == "done"
    one, two = store.result(RMP), trained.result(RMP)
    assert one is not None and two is not None and metrics(one) == metrics(two) and one.begun == two.begun
    (weights := store.folder(ANN) / "weights.pt").unlink()
    ann = trained.result(ANN)
    assert ann is not None
    (half.folder(ANN) / "result.json").unlink()
    half.write_result(msgspec.structs.replace(ann, weights="of another machine"))
    assert merge(half.root, store.root).problems == [] and not weights.exists()
    assert merge(trained.root, store.root).problems == [] and weights.exists()


def test_a_stranger_s_weights_are_refused_in_one_line(trained: Store, tmp_path: Path) -> None:
    store = copied(trained, tmp_path)
    state = torch.load(trained.folder(ANN) / "weights.pt", weights_only=True)
    name = next(iter(state))
    state[name] = state[name] * 1.001
    (store.folder(ANN) / "weights.pt").write_bytes(serialised(state))
    with pytest.raises(UserError, match=r"holds other weights .* than its result names") as caught:
        run_cell(RMP, store.root)
    assert "\n" not in str(caught.value) and not (store.folder(RMP) / "result.json").exists()


def test_an_origin_without_result_or_weights_is_refused(trained: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"begins from .* which has no result"):
        origin_of(RMP, Store(tmp_path / "empty"))
    store = copied(trained, tmp_path)
    (store.folder(ANN) / "weights.pt").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        origin_of(RMP, store)


def test_a_checkpoint_that_began_from_other_weights_is_not_gone_on_with(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path, writer={"begun": "1"})
    first.earlier = ({"begun": "1"},)
    assert first.stray() == ""
    changed = Checkpoint(tmp_path, writer={"begun": "2"})
    changed.earlier = ({"begun": "1"},)
    assert changed.stray() == "began from other weights"
    assert Checkpoint(tmp_path, writer={}).stray() == ""
