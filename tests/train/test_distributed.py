"""Two processes, each with half of every batch, against one with all of it: gloo, on this machine, in float64."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import one_of_two
import pytest
import torch
from outcomes import metrics
from torch.nn import functional as F

from baselines import METHODS
from baselines.parts.normalisations import Unnormalised
from baselines.parts.synchronised import batch_norm
from harness.errors import UserError
from harness.store import Store
from harness.store.result import Failure, Result
from harness.tables import load_origins
from harness.train import distributed, worker
from harness.train.checkpoint import Checkpoint
from harness.train.distributed import ALONE

METHODS_HERE = [method for method in METHODS if METHODS.get(method).procedure.trains]
BEGUN = [method for method in METHODS if (origin := load_origins().get(method)) and origin.method]
COMPARED = {"liaf-net": 1}
"""Steps whose numbers must agree, where not all of five. Where potentials are passed on, changing the images by 1e-15
moves gradients by 3e-12, 6e-10, 8e-8, 2e-5 and 1 in five steps of one process; those of vanilla by 5e-14 at most."""


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of both, and what each has seen."""
    folder = tmp_path_factory.mktemp("pair")
    command = [sys.executable, one_of_two.__file__, str(folder), free_port(), free_port()]
    environ = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, start_new_session=True) as both:
        try:
            errors = both.communicate(timeout=300)[1].decode()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(both.pid, signal.SIGKILL)
    assert both.returncode == 9, errors  # process 1 has vanished, at the end and as it was told to
    return folder, [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


@cache
def alone(method: str) -> dict[str, torch.Tensor]:
    return one_of_two.five_steps(method, ALONE)


def close(ours: torch.Tensor, theirs: torch.Tensor, bound: float = 1e-10) -> None:
    torch.testing.assert_close(ours, theirs, rtol=bound, atol=bound)


@pytest.mark.parametrize("method", METHODS_HERE)
def test_five_steps_of_two_are_those_of_one(pair: tuple[Path, list[dict[str, Any]]], method: str) -> None:
    """Losses, gradients, weights and running statistics, an uneven last batch included; of every registered method."""
    one, (first, second) = alone(method), (seen["steps"][method] for seen in pair[1])
    statistics = sum("running_" in name for name in one)
    assert set(one) == set(first)
    assert statistics >= 5 * 20 or isinstance(METHODS.get(method).normalisation, Unnormalised)
    assert sum("loss" in name for name in one) == 5
    for name, tensor in one.items():
        if int(name[0]) < COMPARED.get(method, 5):
            close(first[name], tensor)
        assert torch.equal(first[name], second[name]), f"{name} differs between the processes"


def test_every_method_is_compared(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    """Step by step what trains, whole what begins from another cell; conversions have no step of their own."""
    assert set(METHODS) - set(METHODS_HERE) <= set(pair[1][0]["begun"])


@pytest.mark.parametrize("method", BEGUN)
def test_what_begins_from_another_cell_is_the_same_in_two(
    pair: tuple[Path, list[dict[str, Any]]], method: str, tmp_path: Path
) -> None:
    """Thresholds that were balanced, weights and losses of a whole cell, and no threshold stays where it began."""
    one, (first, second) = one_of_two.begun_from_another(method, ALONE, tmp_path), (s["begun"][method] for s in pair[1])
    assert set(one) == set(first) == set(second)
    thresholds = [name for name in one if name.endswith("threshold.w")]
    assert thresholds or METHODS.get(method).procedure.trains
    assert all(float(one[name]) != METHODS.get(method).neuron.v_th for name in thresholds)
    for name, tensor in one.items():
        close(first[name], tensor)
        assert torch.equal(first[name], second[name]), f"{name} differs between the processes"


def test_what_is_compared_moves() -> None:
    """Else equal would mean nothing: losses change, and statistics are far from where they began."""
    steps = alone("mpbn")
    assert len({float(steps[f"{step} loss"]) for step in range(5)}) == 5
    moved = [t for name, t in steps.items() if name.startswith("4 body") and name.endswith("running_mean")]
    assert all(mean.abs().max() > 1e-4 for mean in moved)


@pytest.mark.parametrize("case", range(4), ids=["uneven", "uneven, far", "one empty", "one empty, far"])
def test_a_synchronised_norm_is_torchs_over_all_rows(pair: tuple[Path, list[dict[str, Any]]], case: int) -> None:
    """At an offset of a million a naive E[x²] - E[x]² has lost all digits; an empty share takes part."""
    offset = (0.0, 1e6)[case % 2]
    whole = one_of_two.normalised(slice(0, 9), offset)
    first, second = (seen["norms"][case] for seen in pair[1])
    bound = 1e-10 if offset == 0 else 1e-8
    for name in ("y", "x"):
        close(torch.cat([first[name], second[name]]), whole[name], bound)
    for name in ("lam", "beta"):
        close(first[name] + second[name], whole[name], bound)
    for name in ("mean", "var"):
        close(first[name], whole[name])
        assert torch.equal(first[name], second[name])


def test_alone_it_is_torchs_own_to_the_bit() -> None:
    x = torch.randn(9, 3, 2, 2)
    mine, theirs = ([torch.zeros(3), torch.ones(3)] for _ in range(2))
    lam, beta = torch.randn(2, 3).unbind()
    assert torch.equal(batch_norm(x, *mine, lam, beta, 0.1, 1e-5), F.batch_norm(x, *theirs, lam, beta, True, 0.1, 1e-5))
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_the_kernel_leaves_shared_statistics_to_the_loop(pair: tuple[Path, list[dict[str, Any]]]) -> None:

    assert pair[1][0]["kernel"] == {"vanilla": True, "mpbn": False}


@pytest.mark.parametrize(("method", "bound"), [("vanilla", 1e-4), ("mpbn", 1e-10)])
def test_a_process_without_a_sample_takes_part(
    pair: tuple[Path, list[dict[str, Any]]], method: str, bound: float
) -> None:
    """A batch of one, in float32 with the kernel that serves it, and in float64."""
    one, (first, second) = one_of_two.lone_sample(method, ALONE), (seen["lone"][method] for seen in pair[1])
    for name, gradient in one.items():
        torch.testing.assert_close(first[name], gradient, rtol=bound, atol=bound * float(gradient.abs().max()) + 1e-15)
        assert torch.equal(first[name], second[name])


def test_two_choose_the_temperature_that_one_would(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    """Dspike's, from the loss and gradients of both halves."""
    one = one_of_two.temperatures(ALONE)
    assert one == pair[1][0]["temperatures"] == pair[1][1]["temperatures"] and len(set(one)) > 2


def test_what_one_process_says_all_hear(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    assert [seen["flags"] for seen in pair[1]] == [(True, False, True)] * 2
    assert [seen["group"] for seen in pair[1]] == [(0, 2), (1, 2)]
    assert ALONE.any(True, False) == (True, False) and ALONE.gather(3, int) == [3] and ALONE.tell("x") == "x"


def test_they_listen_on_loopback_alone(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    """The common store and gloo; torch would take every interface for the one, the host name's for the other."""
    for seen in pair[1]:
        assert seen["listens"] and set(seen["listens"]) == {"127.0.0.1"}


def result(root: Path) -> Result:
    (found,) = Store(root).results()
    return found


def weights(root: Path) -> dict[str, torch.Tensor]:
    (path,) = root.glob("*/weights.pt")
    return torch.load(path, weights_only=True)


def test_a_whole_cell_of_two_is_that_of_one(pair: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    folder, seen = pair
    assert [each["whole"] for each in seen] == [each["again"] for each in seen] == ["done", "done"]
    assert worker.run_cell(one_of_two.CELL, tmp_path) == "done"
    one, two = result(tmp_path), result(folder / "whole")
    assert (one.environment["processes"], two.environment["processes"]) == (1, 2)
    for name in ("train_loss", "test_loss"):
        assert getattr(two.curve, name) == pytest.approx(getattr(one.curve, name), rel=1e-10)
    for name in ("train_accuracy", "test_accuracy", "learning_rate"):
        assert getattr(two.curve, name) == getattr(one.curve, name)
    assert [(p.fold, p.passed, p.layers) for p in two.proofs] == [(p.fold, p.passed, p.layers) for p in one.proofs]
    theirs = weights(tmp_path)
    for name, tensor in weights(folder / "whole").items():
        close(tensor, theirs[name])


def test_asked_of_one_process_all_stop_at_the_same_step_and_go_on(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, seen = pair
    assert [each["stopped"] for each in seen] == [("interrupted", "done")] * 2
    assert "interrupted in epoch 2 after batch 2, saved" in Store(folder / "stopped").log(one_of_two.CELL).read_text()
    assert metrics(result(folder / "stopped")) == metrics(result(folder / "whole"))
    undisturbed = weights(folder / "whole")
    assert all(torch.equal(tensor, undisturbed[name]) for name, tensor in weights(folder / "stopped").items())


def test_a_failure_in_one_process_ends_the_other_and_is_recorded(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, seen = pair
    assert [each["failed"] for each in seen] == ["failed", "failed"]
    failure = Store(folder / "failed").outcome(one_of_two.replace_method("explosive"))
    assert isinstance(failure, Failure) and failure.kind == "error"
    assert failure.reason == "RuntimeError: only here (in process 1 of 2)" and "in explode" in failure.traceback


def test_a_process_that_vanishes_is_nobodys_failure(pair: tuple[Path, list[dict[str, Any]]]) -> None:
    """The next run goes on; how often a cell may lose its processes is for whoever starts them to say."""
    folder, seen = pair
    assert seen[0]["lost"].startswith("one of the 2 processes of this cell was lost"), seen[0]["lost"]
    cell = one_of_two.replace_method("vanishing")
    assert Store(folder / "lost").outcome(cell) is None
    assert not list(Store(folder / "lost").folder(cell).glob("claim*"))


def test_half_an_environment_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UserError, match=r"do not find each other .* check WORLD_SIZE, RANK"):
        distributed.join()


def test_another_number_of_processes_takes_up_what_was_done(tmp_path: Path) -> None:
    """An epoch interrupted in two processes goes on in one: its tally is the sum of theirs."""
    from harness.interrupts import Stop
    from harness.store.result import Curve
    from harness.train.checkpoint import State, Underway
    from harness.train.epoch import Epoch

    random = [distributed.random_state()] * 2
    underway = Underway(3, 7.5, [(10, 2.0, 4), (9, 1.5, 3)], random)
    state = State(1, {}, {}, Curve(), underway=underway)
    network: Any = torch.nn.Linear(1, 1)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    epoch = Epoch(state, 5, network, optimiser, Checkpoint(tmp_path), Stop(), ALONE)
    assert epoch.batches == 3 and epoch.total.sums == (19, 3.5, 7) and 7.5 <= epoch.seconds < 60
