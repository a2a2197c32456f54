"""Signals at any moment of training: it stops where it can be saved, and ends with the bits of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from outcomes import metrics
from torch.utils.data import DataLoader

from baselines import METHODS
from baselines.parts.readout import Repeat
from harness import interrupts
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.train import epoch, worker
from harness.train.checkpoint import Checkpoint
from harness.train.epoch import Epoch

RECIPE = Recipe(
    epochs=3, batch=20, size=16, width=0.1, train_samples=95, test_samples=50, augmentation=("crop", "flip")
)
CELL = Cell(method="noisy", architecture="resnet20", dataset="digits", timesteps=2, seed=1, recipe=RECIPE)
"""Three epochs of five batches, the last one smaller, and three to evaluate: 24 places to stop at."""
PLACES = 24


class Noisy(Repeat):
    """An input that torch's global generator has a part in while training; a fold proof must see the same twice."""

    def __call__(self, images: torch.Tensor, timesteps: int) -> torch.Tensor:
        currents = super().__call__(images, timesteps)
        return currents + 0.1 * torch.randn(currents.shape) if torch.is_grad_enabled() else currents


@pytest.fixture(scope="module", autouse=True)
def noisy() -> Iterator[None]:
    METHODS.register("noisy", replace(METHODS.get("mpbn"), encoder=Noisy()))
    yield
    METHODS._entries.pop("noisy")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("undisturbed")
    assert worker.run_cell(CELL, root) == "done"
    return Store(root)


def same(store: Store, reference: Store) -> None:
    ours, theirs = store.result(CELL), reference.result(CELL)
    assert ours is not None and theirs is not None and metrics(ours) == metrics(theirs)
    mine, other = (torch.load(s.folder(CELL) / "weights.pt", weights_only=True) for s in (store, reference))
    assert all(torch.equal(tensor, other[name]) for name, tensor in mine.items())
    assert not [path for path in store.folder(CELL).iterdir() if path.name.startswith(("check", "claim", "."))]


def before(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, do: Callable[[], None]) -> None:
    """Call `do` before every call of a method."""
    method = getattr(owner, name)

    def called(*arguments: object, **options: object) -> object:
        do()
        return method(*arguments, **options)

    monkeypatch.setattr(owner, name, called)


@pytest.mark.parametrize("seed", range(2))
def test_sigterm_at_random_moments(
    undisturbed: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Within the optimiser's step, after it, between two batches of an evaluation; up to six times a cell."""
    chance = random.Random(seed)
    calls = {"step": 0, "pause": 0}
    strikes = {"step": set(chance.sample(range(15), 3)), "pause": set(chance.sample(range(PLACES), 3))}

    def strike(where: str) -> None:
        if calls[where] in strikes[where]:
            os.kill(os.getpid(), signal.SIGTERM)
        calls[where] += 1

    before(monkeypatch, torch.optim.SGD, "step", lambda: strike("step"))
    before(monkeypatch, Epoch, "pause", lambda: strike("pause"))
    ends = []
    while not ends or ends[-1] == "interrupted":
        ends.append(worker.run_cell(CELL, tmp_path))
    assert ends[-1] == "done" and len(ends) > 3
    assert calls["step"] == 15, "no batch was trained on twice, none left out"
    result = Store(tmp_path).result(CELL)
    assert result is not None and result.resumed == len(ends) - 1
    same(Store(tmp_path), undisturbed)


def test_a_stop_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before(monkeypatch, Epoch, "pause", lambda: os.kill(os.getpid(), signal.SIGINT))
    assert worker.run_cell(CELL, tmp_path) == "interrupted"
    state = Checkpoint(Store(tmp_path).folder(CELL)).load()
    assert state is not None and state.epoch == 0 and state.underway is not None and state.underway.batches == 1
    assert "interrupted in epoch 1 after batch 1, saved" in Store(tmp_path).log(CELL).read_text()


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)])
def test_a_second_signal_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: tuple[signal.Signals, ...]
) -> None:
    before(monkeypatch, Epoch, "pause", lambda: [os.kill(os.getpid(), number) for number in numbers] and None)
    assert worker.run_cell(CELL, tmp_path) == "interrupted"
    assert Checkpoint(Store(tmp_path).folder(CELL)).load() is None
    assert not list(Store(tmp_path).folder(CELL).glob("claim*"))


def test_a_volley_of_sigterms_is_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a launcher and SLURM send them; after a silence it is a second request."""
    with pytest.raises(KeyboardInterrupt), interrupts.deferred() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
    os.kill(os.getpid(), signal.SIGTERM)  # its tail, while the process cleans up
    monkeypatch.setattr(interrupts, "VOLLEY", 0.01)
    time.sleep(0.02)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


def test_outside_a_training_signals_mean_what_they_meant() -> None:
    handlers = [signal.getsignal(number) for number in interrupts.SIGNALS]
    with interrupts.deferred():
        assert [signal.getsignal(number) for number in interrupts.SIGNALS] != handlers
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == handlers
    assert not interrupts.request(), "nobody trains"


def test_loading_processes_leave_a_signal_to_the_one_that_trains() -> None:
    """SLURM sends it to all of them; `kill` stands in, as torch's loader dies more quietly of its parent's signal."""
    loader = DataLoader(list(range(40)), num_workers=1, prefetch_factor=1, worker_init_fn=interrupts.leave_to_parent)
    batches = iter(loader)
    loaded = [int(next(batches))]
    (process,) = batches._workers  # type: ignore[attr-defined]
    subprocess.run(["kill", "-TERM", str(process.pid)], check=True)
    time.sleep(0.2)
    assert loaded + [int(batch) for batch in batches] == list(range(40))


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background job of a shell
    with interrupts.deferred() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop.requested


def test_a_thread_trains_without_handlers_and_stops_when_asked(
    undisturbed: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter([*[False] * 6, True])
    before(monkeypatch, Epoch, "pause", lambda: next(asked, False) and interrupts.request() and None)
    ends: list[str] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: ends.append(worker.run_cell(CELL, tmp_path)))
        thread.start()
        thread.join()
    assert ends == ["interrupted", "done"]
    same(Store(tmp_path), undisturbed)


def test_long_epochs_are_saved_within(undisturbed: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill, which nothing can answer, then costs what came after the last of these saves."""
    monkeypatch.setattr(epoch, "SAVE_EVERY", 0.0)
    left = iter(range(8))

    def die() -> None:
        if next(left, None) == 7:
            raise SystemExit("killed")

    before(monkeypatch, torch.optim.SGD, "step", die)
    with pytest.raises(SystemExit):
        worker.run_cell(CELL, tmp_path)
    state = Checkpoint(Store(tmp_path).folder(CELL)).load()
    assert state is not None and state.epoch == 1
    assert state.underway is not None and state.underway.batches == 2 and state.underway.seconds > 0
    monkeypatch.setattr(epoch, "SAVE_EVERY", 600.0)
    assert worker.run_cell(CELL, tmp_path) == "done"
    same(Store(tmp_path), undisturbed)


def test_a_damaged_checkpoint_is_logged_and_the_one_before_taken(
    undisturbed: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off within an epoch: the one before is of the same epoch, or of the one that had ended."""
    stops = iter([*[False] * 6, True, False, True])
    before(monkeypatch, Epoch, "pause", lambda: next(stops, False) and os.kill(os.getpid(), signal.SIGTERM))
    assert [worker.run_cell(CELL, tmp_path) for _ in range(2)] == ["interrupted", "interrupted"]
    newest = Checkpoint(Store(tmp_path).folder(CELL)).newest
    newest.write_bytes(newest.read_bytes()[:-1000])
    assert worker.run_cell(CELL, tmp_path) == "done"
    log = Store(tmp_path).log(CELL).read_text()
    assert "checkpoint.pt cannot be read (RuntimeError); taking the one before" in log
    same(Store(tmp_path), undisturbed)


@pytest.mark.parametrize("kind", ["link", "FIFO"])
def test_a_checkpoint_that_is_no_plain_file_is_not_opened(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before(monkeypatch, Epoch, "pause", lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert worker.run_cell(CELL, tmp_path) == "interrupted"
    held = Checkpoint(Store(tmp_path).folder(CELL))
    assert held.load() is not None
    held.newest.rename(tmp_path / "elsewhere.pt"), held.previous.unlink(missing_ok=True)
    held.newest.symlink_to(tmp_path / "elsewhere.pt") if kind == "link" else os.mkfifo(held.newest)
    assert held.load() is None
