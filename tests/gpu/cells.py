"""A cell trained whole on a GPU: its fold proofs, the same bits again and after an interruption, gone on with on the
processor and back; and how fast cells of the tables train."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from unittest.mock import patch

import msgspec
import smallest
import torch
from gpu.place import Absent, Found, Place, check, each, measured
from outcomes import metrics

from baselines import METHODS
from harness import arguments, data, environment, interrupts, plan, tables
from harness.data import Data
from harness.data.augment import AUGMENTATIONS, chosen
from harness.data.memory import MemorySplit, normalisation
from harness.measure.spec import CIFAR
from harness.measure.tried import Speed
from harness.spec import Cell, Recipe
from harness.store import Store
from harness.store.result import Result
from harness.train import worker
from harness.train.build import network_of
from harness.train.checkpoint import Checkpoint, State
from harness.train.epoch import Epoch
from harness.train.loop import train
from harness.train.proof import prove
from harness.verbs.session import context_for

RECIPE = Recipe(epochs=2, batch=24, size=32, width=0.08, train_samples=71, test_samples=31, augmentation=("flip",))
CELL = Cell(method="mpbn", architecture="vgg11", dataset="digits", timesteps=2, seed=3, recipe=RECIPE)
TABLES = (("table1", "cpu"), ("table1", None), ("table2", None), ("table4", None))
"""Whose cells are timed, as far as there is time; a preset first."""
EPOCHS = 3
"""That are trained for a speed: one to warm up."""
BATCHES, FEWEST = 40, 5
"""Of an epoch, of images of CIFAR's size and of large ones; a fifth as many to evaluate."""


def whole(place: Place) -> Iterator[Found]:
    with tempfile.TemporaryDirectory() as folder:
        yield from each(
            place,
            {
                "a cell whole": partial(_whole, Path(folder)),
                "interrupted": partial(_interrupted, Path(folder)),
                "on the GPU, then on the processor": partial(_across, Path(folder), False),
                "on the processor, then on the GPU": partial(_across, Path(folder), True),
            },
        )


def _whole(folder: Path) -> Iterator[Found]:
    """Twice, in stores of their own."""
    first, again = (_trained(folder / name) for name in ("one", "two"))
    yield check("a cell on digits trains, folds and is proved", all(proof.passed for proof in first.proofs), _on(first))
    yield check("trained again it has the same bits", metrics(first) == metrics(again))


def _interrupted(folder: Path) -> Iterator[Found]:
    _stop(folder / "stopped")
    found, undisturbed = _trained(folder / "stopped"), _trained(folder / "one")
    same = metrics(found) == metrics(undisturbed)
    yield check("interrupted within an epoch and gone on with: the same bits", same and found.resumed == 1)


def _across(folder: Path, back: bool) -> Iterator[Found]:
    name = "back" if back else "away"
    with _on_the_processor() if back else nullcontext():
        _stop(folder / name)
    with nullcontext() if back else _on_the_processor():
        found = _trained(folder / name)
    whither = "to the GPU" if back else "to the processor"
    one = _trained(folder / "one")
    apart = max(abs(a - b) for a, b in zip(found.curve.train_loss, one.curve.train_loss, strict=True))
    yield check(f"a checkpoint goes on when moved {whither}", found.resumed == 1 and found.attempts != ())
    yield measured("how far the losses are then from an undisturbed run's", f"{apart:.1e} nats")


def _trained(store: Path) -> Result:
    status = worker.run_cell(CELL, store)
    result = Store(store).result(CELL)
    if result is None:
        failure = Store(store).failure(CELL)
        raise AssertionError(f"the cell is {status}: {failure.reason if failure is not None else 'no reason told'}")
    return result


def _stop(store: Path) -> None:
    """In the second epoch, after a batch that is not the last."""
    add = Epoch.add

    def add_then_ask(self: Epoch, *batch: torch.Tensor) -> None:
        add(self, *batch)
        if self._before.epoch == 1 and self.batches == 2:
            assert interrupts.request()

    with patch.object(Epoch, "add", add_then_ask):
        status = worker.run_cell(CELL, store)
    assert status == "interrupted", status


def _on_the_processor() -> AbstractContextManager[object]:
    return patch.object(worker, "device", lambda: torch.device("cpu"))


def _on(result: Result) -> str:
    told = [f"{proof.fold} in {proof.precision}" for proof in result.proofs]
    return f"{result.environment['neurons']}; {', '.join(told)}"


def folds(place: Place) -> Iterator[Found]:
    """The proof of every fold of every method, in the smallest network."""
    yield from each(place, {method: partial(_folds, method, place.device) for method in place.some(METHODS)})


def _folds(method: str, device: torch.device) -> Iterator[Found]:
    network, images = smallest.alive(method)
    proofs = prove(network.to(device), [(images.to(device), (torch.arange(len(images)) % 3).to(device))])
    wrong = "; ".join(f"{proof.fold} in {proof.precision}: {proof.why}" for proof in proofs if not proof.passed)
    told = ", ".join(dict.fromkeys(proof.fold for proof in proofs)) or "nothing folds"
    yield check(method, not wrong, wrong or told)


def speeds(place: Place) -> Iterator[Found]:
    parts = {_name(cell): partial(_speed, cell, place) for cell in cells(place)}
    yield from each(place, parts)


def cells(place: Place) -> list[Cell]:
    """One of each shape, the table's own recipe in it."""
    found: dict[tuple[object, ...], Cell] = {}
    for name, preset in TABLES[: place.size(None, 1)]:
        asked = arguments.parse(["table", name, *(["--preset", preset] if preset else [])]).asked
        rows = plan.plan(tables.load_table(name), context_for(asked), identify=lambda cells: {}).lines
        for cell in (line.cells[0] for line in rows if line.cells):
            frame = data.frame(cell.dataset, cell.recipe)
            if cell.method in ("vanilla", "mpbn") and frame is not None and data.still(cell.dataset):
                shape = (cell.method, cell.architecture, cell.timesteps, cell.recipe.width, cell.recipe.batch, frame[0])
                found.setdefault(shape, msgspec.structs.replace(cell, seed=0))
    return list(found.values())[: place.size(None, 2)]


def _name(cell: Cell) -> str:
    return f"{plan.without_seed(cell.label)}, width {cell.recipe.width:g}"


def _speed(cell: Cell, place: Place) -> Iterator[Found]:
    """Epochs of the loop that trains cells, with its evaluation; on samples made up."""
    sizes = place.size({}, {"size": 16, "width": 0.0625, "batch": 4})
    recipe = msgspec.structs.replace(cell.recipe, epochs=EPOCHS, train_samples=None, test_samples=None, **sizes)
    timed = msgspec.structs.replace(cell, recipe=recipe)
    environment.deterministic()
    environment.keep_memory()
    environment.seed_everything(0)
    samples = _made_up(timed, place)
    network = network_of(timed, samples.shape, samples.classes).to(place.device).in_precision(recipe.precision)
    with tempfile.TemporaryDirectory() as folder:
        state = train(network, samples, recipe, 0, _Unkept(Path(folder)))
    seconds = statistics.median(state.curve.seconds[1:])
    yield Speed(cell=cell, images_per_second=samples.train.samples / seconds)


class _Unkept(Checkpoint):
    """These epochs are too short to be saved after each."""

    def save(self, state: State) -> None:
        pass


def _made_up(cell: Cell, place: Place) -> Data:
    known = data.frame(cell.dataset, cell.recipe)
    if known is None:
        raise Absent("the frames of this data set are not known without its samples")
    (shape, classes), names = known, [name for name in cell.recipe.augmentation if name in AUGMENTATIONS]
    batches, device = place.size(max(FEWEST, BATCHES * CIFAR**2 // (shape[1] * shape[2])), 3), place.device

    def split(count: int) -> MemorySplit:
        return MemorySplit(
            images=torch.randint(0, 256, (count, *shape), dtype=torch.uint8, device=device),
            labels=torch.arange(count, device=device) % classes,
            fingerprint="",
            augmentations=chosen(names),
            **normalisation((0.5,) * shape[0], (0.25,) * shape[0], device),
        )

    sizes = (batches * cell.recipe.batch, max(1, batches // 5) * cell.recipe.batch)
    train, test = map(split, sizes)
    return Data(name=cell.dataset, classes=classes, shape=shape, identity="made up", train=train, test=test)
