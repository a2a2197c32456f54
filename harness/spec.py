"""The nouns of the harness: Recipe, Cell, Row, Table, Figure. Frozen, typed, with a canonical form and a content key.

A *cell* is one training run. Everything that changes its numbers is a field of it and so enters its key;
whatever does not (device, workers, job packing) is recorded in its result instead.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any, Literal

import msgspec

KEY_VERSION = 1
"""Part of every key. Raise it only when the meaning of a field changes: all stored results become strangers."""

OFFICIAL = "official"
"""`Cell.data` of the published samples; any other sample set is named ``variant-<fingerprint>``."""


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all that can be written in TOML: immutable and strict.

    Defaults are left out of the canonical form, so a field added later leaves the keys of older cells alone.
    """


class Recipe(Spec, frozen=True):
    """How a network is trained: optimiser, schedule, data preparation, and which epoch is reported."""

    epochs: int
    batch: int = 128
    optimiser: Literal["sgd", "adam"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decayed: Literal["weights", "all"] = "weights"
    """`weights`: convolution and linear weights only, as the released code does; `all`: every parameter."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """`cosine`: from `lr` to 0 over `epochs`, stepped once an epoch."""
    augmentation: tuple[str, ...] = ()
    """Names from `harness/data/augment.py`, applied in this order."""
    surrogate: str = "ste"
    """A name from `baselines.SURROGATES`; a method that brings its own keeps it."""
    precision: Literal["float32", "float64"] = "float32"
    report: Literal["best", "last"] = "best"
    """Which epoch's test accuracy the table shows; both are always recorded."""
    size: int | None = None
    """Height and width of the input in pixels; None: the data set's own."""
    width: float = 1.0
    """Multiplier of the architecture's channel counts (0.25 turns ResNet20's 64 into 16)."""
    train_samples: int | None = None
    """Use this many training samples, evenly over the classes, instead of all."""
    test_samples: int | None = None


class Cell(Spec, frozen=True, dict=True):
    """One training run: method × architecture × dataset × timesteps × recipe × seed."""

    method: str
    architecture: str
    dataset: str
    timesteps: int
    seed: int
    recipe: Recipe
    data: str = OFFICIAL
    """Which samples: `official`, or `variant-<fingerprint>`."""
    source: str = ""
    """Hash of the user's file that registers `method`; empty for the built-in ones."""

    @functools.cached_property
    def key(self) -> str:
        """Content key: 16 hexadecimal digits over the canonical form."""
        return hashlib.sha256(canonical(self)).hexdigest()[:16]

    @property
    def label(self) -> str:
        """For people: ``mpbn/resnet20/cifar10/T2/seed0``."""
        return f"{self.method}/{self.architecture}/{self.dataset}/T{self.timesteps}/seed{self.seed}"


class Row(Spec, frozen=True):
    """One line of a table of the paper: what was trained, and the number printed for it (percent)."""

    method: str
    """Registry name; one that is not registered prints `no method yet`."""
    architecture: str
    dataset: str
    timesteps: int
    accuracy: float | None = None
    std: float | None = None
    runs: int = 1
    """How many runs the printed number is the mean of, as far as the paper says (three where it prints a std)."""
    label: str = ""
    """The method as this table prints it, where that is not its usual name (Table 1's `baseline`)."""
    type: str = ""
    reference: int | None = None
    note: str = ""


class Table(Spec, frozen=True):
    """An ordered list of rows, and what must be said beneath them."""

    name: str
    title: str
    row: tuple[Row, ...]
    footnote: tuple[str, ...] = ()


class Panel(Spec, frozen=True):
    """The curves of one pair of axes."""

    row: tuple[Row, ...]


class Figure(Spec, frozen=True):
    """Panels of learning curves; planned, trained and selected from as the table of all their rows would be."""

    name: str
    title: str
    panel: tuple[Panel, ...]
    footnote: tuple[str, ...] = ()

    @property
    def row(self) -> tuple[Row, ...]:
        """Of all panels, in order: a row's number counts through them."""
        return tuple(row for panel in self.panel for row in panel.row)


class Protocol(Spec, frozen=True):
    """A named set of recipes, one for each data set, and where each setting comes from."""

    name: str
    description: str
    recipe: dict[str, Recipe]
    source: dict[str, str] = {}


class Overlay(Spec, frozen=True):
    """Fields of a recipe that a preset replaces; None leaves the protocol's value."""

    epochs: int | None = None
    batch: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    augmentation: tuple[str, ...] | None = None
    size: int | None = None
    width: float | None = None
    train_samples: int | None = None
    test_samples: int | None = None

    def onto(self, recipe: Recipe) -> Recipe:
        given = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(recipe, **given)


class Preset(Spec, frozen=True):
    """An overlay that shrinks a table to what a machine can do. Its results are never mixed with full ones."""

    name: str
    description: str
    datasets: dict[str, str] = {}
    """Stand-ins: the table's data set -> the one trained on, always shown under its own name."""
    only: dict[str, tuple[str, ...]] = {}
    """Rows outside these values (by key as in `--only`) are shown, but not trained."""
    recipe: Overlay = Overlay()
    architecture: dict[str, Overlay] = {}
    """Laid over `recipe` for one architecture."""
    dataset: dict[str, Overlay] = {}
    """Laid over both for one data set, by the table's name for it."""


def canonical(spec: Spec) -> bytes:
    """Deterministic JSON of `spec` (sorted keys, defaults left out), with the key version in front."""
    return b"v%d:" % KEY_VERSION + msgspec.json.encode(_sparse(spec), order="sorted")


def _sparse(spec: Spec) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    defaults = _defaults(type(spec))
    given = {name: value for name, default in defaults if (value := getattr(spec, name)) != default}
    return {name: _sparse(value) if isinstance(value, Spec) else value for name, value in given.items()}


@functools.cache
def _defaults(kind: type[Spec]) -> tuple[tuple[str, Any], ...]:
    """(field, default) in order; the fields without one come first and have a default that equals nothing."""
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    return tuple(zip(names, (*[msgspec.NODEFAULT] * (len(names) - len(defaults)), *defaults), strict=True))
