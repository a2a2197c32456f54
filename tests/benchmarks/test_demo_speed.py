"""The demo before and after: its cells on the plain loop, channels first, as the first version had them, and on ours.

A piece of an epoch on the real digits, training and evaluation in their true proportion, both in one process, turn and
turn about: ``make bench ARGS="-s -k demo"`` prints the ratio for every shape of cell, and for all of the training.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from unittest.mock import patch

import pytest
import torch

import baselines
from baselines import kernels
from baselines.network import Network
from harness import data, environment
from harness.measure.sidebyside import cpu_timer, interleave, ratio
from harness.plan import Context, plan
from harness.spec import Cell
from harness.tables import load_preset, load_protocol, load_table
from harness.train.loop import make_optimiser
from harness.train.worker import prepare

ROUNDS = int(os.environ.get("DEMO_ROUNDS", "20"))
TRAIN, TEST = 8, 2
"""Batches of a piece: an epoch has 45 and 12."""


def demo() -> list[Cell]:
    """A cell of each shape that `make demo` trains."""
    context = Context(
        protocol=load_protocol("paper"),
        preset=load_preset("smoke"),
        seeds=(0,),
        methods=baselines.METHODS,
        architectures=baselines.ARCHITECTURES,
        datasets={"digits"},
    )
    identity = data.identify("digits")
    return list(plan(load_table("table1"), context, identify=lambda cells: {"digits": identity}).cells)


def piece_of(cell: Cell, *, plain: bool) -> Callable[[], None]:
    """Trains on the next batches, then evaluates on some."""
    samples, network = prepare(cell, None)
    if plain:
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    optimiser, batch = make_optimiser(network, cell.recipe), cell.recipe.batch
    training = itertools.chain.from_iterable(samples.train.epoch(cell.seed, n, batch) for n in itertools.count())
    testing = list(itertools.islice(samples.test.batches(batch), TEST))

    def logits(images: torch.Tensor) -> torch.Tensor:
        return _plainly(network, images) if plain else network(images)

    def piece() -> None:
        with patch.dict(os.environ, {kernels.VARIABLE: "loop"} if plain else {}):
            network.train()
            for images, labels in itertools.islice(training, TRAIN):
                loss = network.method.objective(logits(images), labels)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
            network.eval()
            with torch.no_grad():
                for images, _ in testing:
                    logits(images)

    return piece


def _plainly(network: Network, images: torch.Tensor) -> torch.Tensor:
    """Every step encoded and computed anew, no layout chosen."""
    return network.body(network.method.encoder(images, network.timesteps)).unflatten(0, (network.timesteps, -1))


def test_demo_against_its_first_version(capsys: pytest.CaptureFixture[str], benchmark) -> None:
    torch.set_num_threads(1)
    environment.keep_memory()
    cells = demo()
    assert len(cells) == 6
    whole: dict[str, list] = {"ours": [], "plain": []}

    def measure() -> None:
        for cell in cells:
            pieces = {name: piece_of(cell, plain=name == "plain") for name in whole}
            taken = interleave(pieces, ROUNDS, cpu_timer)
            for name, found in whole.items():
                found.append(taken[name]["cpu"])
            with capsys.disabled():
                print(f"\n{cell.label.rpartition('/')[0]}: plain / ours {_ratio(whole, -1)}", end="", flush=True)

    benchmark.pedantic(measure, rounds=1)
    told = ratio(sum(whole["plain"]), sum(whole["ours"]))
    with capsys.disabled():
        print(
            f"\nall of the demo's training: plain / ours {told} ({ROUNDS} rounds of {TRAIN} + {TEST} batches, CPU time)"
        )
    assert told.low > 1


def _ratio(whole: dict[str, list], index: int) -> str:
    seconds = {name: float(torch.tensor(found[index]).median()) for name, found in whole.items()}
    return f"{ratio(whole['plain'][index], whole['ours'][index])}, ours takes {seconds['ours']:.2f} s"
