"""What one job does to one cell: results that repeat, failures with their reasons, folds that are really checked."""

from __future__ import annotations

import csv
import io
import math
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from tiny import PROTOCOL, TABLE, harness, write_tiny
from torch import nn

import baselines
from baselines import METHODS, build, folding
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.store.result import Curve, Failure, Result
from harness.train import worker
from harness.train.checkpoint import Checkpoint, State
from harness.train.loop import append, learning_rate, make_optimiser
from harness.train.proof import prove

RECIPE = Recipe(epochs=2, batch=20, size=32, width=0.06, train_samples=100, test_samples=60)


def cell(method: str = "mpbn", recipe: Recipe = RECIPE) -> Cell:
    return Cell(method=method, architecture="vgg11", dataset="digits", timesteps=2, seed=0, recipe=recipe)


def outcome(store: Path, one: Cell) -> Result | Failure:
    found = Store(store).outcome(one)
    assert isinstance(found, Result | Failure)
    return found


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_only_kernels_decay() -> None:
    """The split of the released code on ResNet20 with MPBN: 23 decayed tensors, 83 not."""
    network = build("mpbn", "resnet20", shape=(3, 32, 32), classes=10, timesteps=1, width=0.1)
    decayed, spared = make_optimiser(network, Recipe(epochs=1)).param_groups
    assert (len(decayed["params"]), len(spared["params"])) == (23, 83)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (1e-4, 0.0)
    everything, nothing = make_optimiser(network, Recipe(epochs=1, decayed="all")).param_groups
    assert (len(everything["params"]), len(nothing["params"])) == (106, 0)


def test_the_cosine_goes_from_lr_to_zero_once_an_epoch() -> None:
    """To the bit as timm's, whose import would take longer than torch's own in every job."""
    from timm.scheduler.cosine_lr import CosineLRScheduler

    for lr, epochs in ((0.1, 400), (0.05, 8), (3e-4, 7), (0.3, 2)):
        optimiser, theirs = (torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=lr) for _ in range(2))
        rate, cosine = learning_rate(optimiser, Recipe(epochs=epochs, lr=lr)), CosineLRScheduler(theirs, epochs)
        for epoch in range(epochs):
            cosine.step(epoch)
            assert rate(epoch) == optimiser.param_groups[0]["lr"] == theirs.param_groups[0]["lr"]
    optimiser = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    constant = learning_rate(optimiser, Recipe(epochs=400, lr=0.3, schedule="constant"))
    assert constant(0) == constant(399)


def test_checkpoints_hold_what_they_were_given(tmp_path: Path) -> None:
    curve = Curve(train_loss=(0.1 + 0.2,), test_accuracy=(1 / 3,))
    weights = {"w": torch.randn(3, 2, 4, 4).to(memory_format=torch.channels_last)}
    Checkpoint(tmp_path).save(State(epoch=5, network=weights, optimiser={"lr": 0.1}, curve=curve, resumed=2))
    state = Checkpoint(tmp_path).load()
    assert state is not None and (state.epoch, state.resumed, state.curve) == (5, 2, curve)
    assert torch.equal(state.network["w"], weights["w"]) and state.network["w"].stride() == weights["w"].stride()
    Checkpoint(tmp_path).remove()
    assert Checkpoint(tmp_path).load() is None and not list(tmp_path.iterdir())


# --- one cell ---------------------------------------------------------------------------------------------------------


def test_a_finished_cell_carries_its_evidence(tmp_path: Path) -> None:
    one = cell()
    assert worker.run_cell(one, tmp_path) == "done"
    result = outcome(tmp_path, one)
    assert isinstance(result, Result)
    accuracies = result.curve.test_accuracy
    assert len(accuracies) == 2
    assert (result.best_accuracy, result.last_accuracy) == (max(accuracies), accuracies[-1])
    assert accuracies[result.best_epoch - 1] == result.best_accuracy
    assert {(p.fold, p.precision) for p in result.proofs} == {
        (fold, precision) for fold in ("mpbn-threshold", "norm-conv") for precision in ("float32", "float64")
    }
    for proof in result.proofs:
        assert proof.passed and proof.samples == 60 and len(proof.layers) == 8
        assert all(0 < layer.spikes < layer.neurons for layer in proof.layers)
        assert proof.mismatches == 0 or (proof.fold, proof.precision) == ("norm-conv", "float32")
        # every neuron of every step of every sample was compared: the widths of VGG11 × 0.06 on 32 pixels
        assert proof.layers[0].neurons == 60 * 2 * round(64 * 0.06) * 32 * 32
    assert result.samples["train"]["samples"] == 100 and len(result.samples["test"]["fingerprint"]) == 64
    assert result.environment["threads"] == 1
    assert worker.run_cell(one, tmp_path) == "done", "again: nothing to do"


@pytest.mark.parametrize("method", ["ltmd", "inflor-snn"])
def test_a_threshold_that_is_not_mpbns_is_proved_too(method: str) -> None:
    torch.manual_seed(0)
    network = build(method, "vgg11", shape=(1, 32, 32), classes=10, timesteps=2, width=0.06)
    batches = [(torch.randn(16, 1, 32, 32), torch.arange(16) % 10)]
    network(batches[0][0])
    proofs = [proof for proof in prove(network, batches) if proof.fold == "threshold"]
    assert [(p.precision, p.exact, p.mismatches) for p in proofs] == [("float32", True, 0), ("float64", True, 0)]


def test_a_network_that_carries_the_normalised_potential_is_proved_as_what_it_is(tmp_path: Path) -> None:
    """Its MPBN goes into leak and threshold, which rounds: exactness is claimed in float64 alone."""
    one = cell("mpbn-normalised-potential")
    assert worker.run_cell(one, tmp_path) == "done", outcome(tmp_path, one)
    result = outcome(tmp_path, one)
    assert isinstance(result, Result)
    assert [(p.fold, p.precision, p.exact) for p in result.proofs] == [
        (fold, precision, precision == "float64")
        for precision in ("float32", "float64")
        for fold in ("mpbn-leak", "norm-conv")
    ]
    assert all(p.passed and sum(layer.spikes for layer in p.layers) > 0 for p in result.proofs)
    assert all(p.mismatches == 0 for p in result.proofs if p.exact)


def test_float64_trains_too(tmp_path: Path) -> None:
    one = cell(recipe=msgspec.structs.replace(RECIPE, precision="float64"))
    assert worker.run_cell(one, tmp_path) == "done", outcome(tmp_path, one)


def test_divergence_is_recorded_with_its_reason(tmp_path: Path) -> None:
    one = cell("vanilla", msgspec.structs.replace(RECIPE, lr=1e30))
    assert worker.run_cell(one, tmp_path) == "failed"
    failure = outcome(tmp_path, one)
    assert isinstance(failure, Failure) and failure.kind == "diverged"
    assert failure.reason.startswith("the loss became ") and failure.epoch >= 1


def test_a_weight_that_is_lost_is_a_divergence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN > V is false: a ruined layer falls silent and the loss stays finite, so the weights are looked at."""

    def ruin(optimiser: torch.optim.Optimizer, recipe: Recipe):  # type: ignore[no-untyped-def]
        with torch.no_grad():
            optimiser.param_groups[0]["params"][2].fill_(math.nan)
        return learning_rate(optimiser, recipe)

    monkeypatch.setattr("harness.train.loop.learning_rate", ruin)
    assert worker.run_cell(cell(), tmp_path) == "failed"
    failure = outcome(tmp_path, cell())
    assert isinstance(failure, Failure) and failure.kind == "diverged"
    assert failure.reason.startswith("body.") and failure.reason.endswith(" became nan in epoch 1")


def test_a_silent_network_proves_nothing(tmp_path: Path) -> None:
    """A threshold nobody reaches: folding changes no spike, as there is none, and that must not count as a proof."""
    lif = METHODS.get("vanilla").neuron
    METHODS.register("deaf", replace(METHODS.get("vanilla"), neuron=replace(lif, v_th=1e6)))
    try:
        one = cell("deaf")
        assert worker.run_cell(one, tmp_path) == "failed"
        failure = outcome(tmp_path, one)
        assert isinstance(failure, Failure) and failure.kind == "fold"
        assert "layer 1 never fires on the test samples, so nothing is proved there" in failure.reason
    finally:
        METHODS._entries.pop("deaf")


def test_a_wrong_fold_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's rule, which forgets the sign of λ, must not pass the proof once a λ is negative."""
    torch.manual_seed(0)
    network = build("mpbn", "vgg11", shape=(1, 32, 32), classes=10, timesteps=2, width=0.06)
    batches = [(torch.randn(16, 1, 32, 32), torch.arange(16) % 10)]
    with torch.no_grad():
        for layer in network.spiking_layers().values():
            layer.normalise.weight[::2] *= -1  # type: ignore[index, operator]
        for _ in range(40):  # until the running statistics fit
            network(batches[0][0])
    right = [proof for proof in prove(network, batches) if proof.fold == "mpbn-threshold"]
    assert len(right) == 2 and all(proof.passed for proof in right)

    def forgetful(norm, v_th):  # type: ignore[no-untyped-def]
        theta = folding.eq10(norm, v_th).to(norm.weight.dtype)
        return theta, torch.ones_like(theta)

    monkeypatch.setattr(folding.thresholds, "folded_threshold", forgetful)
    wrong = [proof for proof in prove(network, batches) if proof.fold == "mpbn-threshold"]
    assert wrong and not any(proof.passed for proof in wrong)
    assert all(f"{proof.mismatches} of " in proof.why and proof.mismatches > 100 for proof in wrong)


def test_a_bug_in_a_method_is_recorded_with_its_traceback(tmp_path: Path) -> None:
    def explode(logits, labels):  # type: ignore[no-untyped-def]
        raise RuntimeError("my objective\nis wrong")

    METHODS.register("explosive", replace(METHODS.get("vanilla"), objective=explode))
    try:
        one = cell("explosive")
        assert worker.run_cell(one, tmp_path) == "failed"
        failure = outcome(tmp_path, one)
        assert isinstance(failure, Failure) and failure.kind == "error"
        assert failure.reason == "RuntimeError: my objective is wrong" and "in explode" in failure.traceback
        assert "in explode" in Store(tmp_path).log(one).read_text()
    finally:
        METHODS._entries.pop("explosive")


def test_other_samples_than_planned_are_refused(tmp_path: Path) -> None:
    from harness.errors import UserError

    with pytest.raises(UserError, match="the samples are official, planned were variant-0123"):
        worker.run_cell(msgspec.structs.replace(cell(), data="variant-0123"), tmp_path)
    assert Store(tmp_path).failure(cell()) is None


# --- what can go wrong around it --------------------------------------------------------------------------------------


def test_a_full_disk_is_one_line_and_costs_an_epoch_at_most(tmp_path: Path) -> None:
    """A limit on file size stands in for the full disk: the checkpoint does not fit, the small files do."""
    arguments = [*write_tiny(tmp_path), "--seeds", "0", "--only", "method=mpbn", "--store", str(tmp_path / "runs")]
    command = [sys.executable, "-m", "harness", "run", *arguments]
    limit = 40_000

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    stopped = subprocess.run(command, capture_output=True, text=True, preexec_fn=full, timeout=300)
    assert stopped.returncode == 1
    assert (
        "checkpoint.pt: cannot be written (file too large); free some space and type the same again" in stopped.stderr
    )
    assert "Traceback" not in stopped.stderr
    assert "incomplete" in stopped.stdout, "the table is printed all the same"
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr


def test_a_plugin_runs_as_rows_of_its_own(tmp_path: Path) -> None:
    """One file, public names only, on a table: its own rows, keyed by its source."""
    (tmp_path / "mine.py").write_text(
        '"""A lower threshold."""\n'
        "from dataclasses import replace\n"
        "from baselines import METHODS\n"
        "from baselines.methods.vanilla import VANILLA\n"
        "from baselines.parts.neurons import LIF\n"
        'METHODS.register("eager-lif", replace(VANILLA, neuron=replace(LIF, v_th=0.4)))\n'
    )
    arguments = [*write_tiny(tmp_path), "--seeds", "0,1", "--store", tmp_path / "runs", "--format", "csv"]
    done = harness("run", *arguments, "--only", "method=eager-lif", "--plugin", tmp_path / "mine.py")
    assert done.returncode == 0, done.stderr
    (fields,) = csv.DictReader(io.StringIO(done.stdout))
    assert (fields["method"], fields["n"], fields["paper_accuracy"]) == ("eager-lif", "2", "")
    assert float(fields["accuracy"]) > 0
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text().replace("0.4", "0.3"))
    changed = harness("table", *arguments, "--only", "method=eager-lif", "--plugin", tmp_path / "mine.py")
    assert changed.returncode == 1, "another source is another method: its cells are missing"


def test_a_plugin_is_loaded_once_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.plugins import load

    (tmp_path / "once.py").write_text(
        'from baselines import METHODS\nMETHODS.register("once", METHODS.get("vanilla"))\n'
    )
    monkeypatch.chdir(tmp_path)
    try:
        assert load("once.py") is load(str(tmp_path / "once.py"))
    finally:
        METHODS._entries.pop("once")


def test_a_failure_names_the_last_line_of_the_users_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of torch, which the traceback ends with."""
    from harness import plugins

    (tmp_path / "mine.py").write_text(
        "import torch\nfrom baselines import METHODS\n"
        "def wrong():\n    return torch.zeros(2).reshape(3)\n"
        'METHODS.register("own-line", METHODS.get("vanilla"))\n'
    )
    monkeypatch.setattr(plugins, "_LOADED", {})
    try:
        brought = plugins.load(str(tmp_path / "mine.py")).brought["method", "own-line"]
        (name,) = (module for module in brought.modules if module.startswith("plugin_"))
        with pytest.raises(RuntimeError) as caught:
            sys.modules[name].wrong()
        failure = worker.describe_failure(cell(), caught.value)
        assert failure.reason.endswith(" (mine.py:4: return torch.zeros(2).reshape(3))")
        assert worker.describe_failure(cell(), ValueError("x")).reason == "ValueError: x"
    finally:
        METHODS._entries.pop("own-line")


def test_the_curve_only_grows() -> None:
    from harness.train.loop import Tally

    tally = Tally()
    tally.add(torch.tensor(0.5), torch.eye(4), torch.tensor([0, 1, 2, 0]))
    curve = append(append(Curve(), tally, tally, 0.1, 1.0), tally, tally, 0.05, 2.0)
    assert curve.train_loss == (0.5, 0.5) and curve.test_accuracy == (75.0, 75.0) and curve.learning_rate == (0.1, 0.05)


def test_the_tiny_files_are_what_the_tests_think() -> None:
    assert TABLE.count("[[row]]") == 2 and "epochs = 6" in PROTOCOL and baselines.METHODS is METHODS
