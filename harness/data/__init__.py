"""Data sets: one file each in `sets/`. Listing, finding and identifying them imports no torch.

A new set is a new file there that ends in ``DATASET = register(...)``; a file `fashion_mnist.py` is named
`fashion-mnist`. A user's own file calls the same `register`.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.data.base import SPLITS, Data, Dataset, Share, Split, data_root
from harness.errors import UserError, did_you_mean
from harness.spec import OFFICIAL, Recipe

if TYPE_CHECKING:
    import torch

__all__ = [
    "Data", "Share", "Split",
    "describe", "examine", "frame", "identify", "load", "locate", "names", "published", "register", "samples", "still",
]  # fmt: skip

_FILES = {path.stem.replace("_", "-"): path for path in sorted((Path(__file__).parent / "sets").glob("[!_]*.py"))}
_SETS: dict[str, Dataset] = {}


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What was found of a data set."""

    where: str
    identity: str
    samples: Mapping[str, int]
    complete: Mapping[str, int] | None
    """How many were published; None: whatever is there is all there is."""
    known: bool
    """Whether a published fingerprint is known, so that other samples could not be missed."""
    get: str
    remarks: Sequence[str] = ()
    """Duplicates and the like."""

    @property
    def whole(self) -> bool:
        return self.complete is None or dict(self.complete) == dict(self.samples)

    def __str__(self) -> str:
        """``official, 50,000 + 10,000 samples, image tree in data/cifar10; 4 of test also in train``."""
        return "; ".join([self._standing(), *self.remarks])

    def _standing(self) -> str:
        counted = f"{_counts(self.samples)} samples"
        if self.identity == OFFICIAL:
            return f"official, {counted}, {self.where}"
        if not self.whole:
            published = _counts(self.complete or self.samples)
            return f"incomplete, {_counts(self.samples)} of {published} samples, {self.identity}, {self.where}"
        if self.known:
            return f"{self.identity}: not the published samples, {counted}, {self.where}"
        return f"complete by number, {counted}; {self.identity}, as no published fingerprint is known; {self.where}"


def _counts(samples: Mapping[str, int]) -> str:
    return " + ".join(f"{samples[split]:,}" for split in SPLITS)


AnyDataset = TypeVar("AnyDataset", bound=Dataset)


def names() -> list[str]:
    """All data sets, built-in and registered."""
    return sorted({*_FILES, *_SETS})


def registered() -> dict[str, Dataset]:
    """Those of a user's own."""
    return {name: dataset for name, dataset in _SETS.items() if name not in _FILES}


def describe(name: str) -> str:
    """First line of the docstring of the file that defines `name`, read without importing it."""
    if name in _FILES:
        return (ast.get_docstring(ast.parse(_FILES[name].read_text())) or "").partition("\n")[0]
    return (getattr(_get(name), "description", "") or "").partition("\n")[0]


def register(dataset: AnyDataset) -> AnyDataset:
    """Take ``dataset.name`` for `dataset` and return it. Raises ValueError if the name is taken."""
    if dataset.name in _FILES:  # let the owner go first; a no-op when the owner is calling
        _import(dataset.name)
    if dataset.name in _SETS:
        raise ValueError(f"data set `{dataset.name}` is registered already; give yours another name")
    _SETS[dataset.name] = dataset
    return dataset


def locate(name: str, root: Path | None = None) -> str:
    """Where the data set is (for people), quickly. Raises one UserError that says how to get it if it is not there."""
    with _readable(name):
        return _get(name).locate(data_root(root))


def identify(name: str, root: Path | None = None) -> str:
    """`official` or ``variant-<12 hex>``. Reads every sample the first time, a cache afterwards. Raises UserError."""
    with _readable(name):
        return _get(name).identify(data_root(root))


def examine(name: str, root: Path | None = None) -> Examined:
    """All that can be told of the data set without a recipe; as slow as `identify`. Raises UserError."""
    with _readable(name):
        dataset, folder = _get(name), data_root(root)
        return Examined(
            where=dataset.locate(folder),
            identity=dataset.identify(folder),
            samples=dataset.samples(folder),
            complete=dataset.complete,
            known=dataset.official is not None,
            get=dataset.get,
            remarks=dataset.remarks(folder) if hasattr(dataset, "remarks") else (),
        )


def samples(name: str, root: Path | None = None) -> dict[str, int]:
    """How many each split holds, by the set's own split; as slow as `identify`. Raises UserError."""
    with _readable(name):
        return _get(name).samples(data_root(root))


def published(name: str) -> Mapping[str, int] | None:
    """How many each published split holds, told without the samples; None where that is open."""
    return _get(name).complete


def frame(name: str, recipe: Recipe) -> tuple[tuple[int, int, int], int] | None:
    """(C, H, W) of one frame and the number of classes, told without the samples; None where a user's set does not."""
    told = getattr(_get(name), "frame", None)
    return told(recipe) if told is not None else None


def still(name: str) -> bool:
    """Whether a network sees the same frame at every step."""
    return getattr(_get(name), "still", True)


def load(name: str, root: Path | None, recipe: Recipe, timesteps: int, *, device: torch.device | str) -> Data:
    """The data set as `recipe` wants it, on `device`. `timesteps` is the number of frames events are binned to.

    Raises UserError for missing or damaged files and for an unknown augmentation.
    """
    import torch

    with _readable(name):
        return _get(name).load(data_root(root), recipe, timesteps, torch.device(device))


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """A file that vanished, a dangling link, a folder without permission: one line that names it."""
    try:
        yield
    except OSError as problem:
        where = str(problem.filename or name)
        raise UserError(f"cannot be read ({problem.strerror or problem})", where, "check it and its folder") from None


def _get(name: str) -> Dataset:
    if name not in _SETS and name in _FILES:
        _import(name)
    if name not in _SETS:
        raise UserError(f"unknown data set `{name}`", to_type=did_you_mean(name, names()))
    return _SETS[name]


def _import(name: str) -> None:
    importlib.import_module(f"harness.data.sets.{_FILES[name].stem}")
