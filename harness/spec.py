"""The nouns of the harness: Recipe, Cell, Row, Table, Figure. Frozen, typed, with a canonical form and a content key.

A *cell* is one training run. Everything that changes its numbers is a field of it and so enters its key;
whatever does not (device, workers, job packing) is recorded in its result instead.
"""

from __future__ import annotations

import functools
import hashlib
import math
from typing import Any, Literal

import msgspec

from harness.errors import UserError

KEY_VERSION = 1
"""Part of every key. Raise it only when the meaning of a field changes: all stored results become strangers."""

OFFICIAL = "official"
"""`Cell.data` of the published samples; any other sample set is named ``variant-<fingerprint>``."""


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all that can be written in TOML: immutable and strict.

    Defaults are left out of the canonical form, so a field added later leaves the keys of older cells alone.
    """


class Group(Spec, frozen=True):
    """Parameters that learn otherwise than the others."""

    of: tuple[str, ...]
    """The last parts of their names: ``alpha`` of ``3.neuron.charge.alpha``."""
    rate: float = 1.0
    """Times the learning rate of the recipe."""
    decay: float = 0.0
    """Their weight decay."""

    def __str__(self) -> str:
        return f"{' '.join(self.of)} (rate ×{self.rate:g}, decay {self.decay:g})"


class Recipe(Spec, frozen=True, dict=True):
    """How a network is trained: optimiser, schedule, data preparation, and which epoch is reported."""

    epochs: int
    batch: int = 128
    optimiser: Literal["sgd", "adam", "amsgrad"] = "sgd"
    """`adam` and `amsgrad` add the decay to the gradient, as torch's Adam does; `momentum` is SGD's alone."""
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decayed: Literal["weights", "all"] = "weights"
    """`weights`: convolution and linear weights only, as the released code does; `all`: every parameter."""
    schedule: Literal["cosine", "constant", "steps", "exponential"] = "cosine"
    """Stepped once an epoch. `cosine`: from `lr` to 0 over `epochs`, or as `period` says; `steps`: times `factor` at
    each of the `milestones`; `exponential`: times `factor` an epoch."""
    augmentation: tuple[str, ...] = ()
    """Names from `harness/data/augment.py`, applied in this order."""
    surrogate: str = "ste"
    """A name from `baselines.SURROGATES`; a method that brings its own keeps it."""
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    """`bfloat16`: convolutions and linear layers alone; normalisations, potentials and thresholds in float32."""
    report: Literal["best", "last"] = "best"
    """Which epoch's test accuracy the table shows; both are always recorded."""
    size: int | None = None
    """Height and width of the input in pixels; None: the data set's own."""
    width: float = 1.0
    """Multiplier of the architecture's channel counts (0.25 turns ResNet20's 64 into 16)."""
    train_samples: int | None = None
    """Use this many training samples, evenly over the classes, instead of all."""
    test_samples: int | None = None
    bins: Literal["time", "count"] | None = None
    """Whether frames share the time of a recording or its events equally; None: as the data set does."""
    split: str | None = None
    """Which samples test, where none are published: ``RULE:HASH``, see `harness/data/splits.py`; None: its own."""
    decoder: str | None = None
    """What turns image files into pixels, see `harness/data/decoders.py`; None: the processor, as PIL to the bit."""
    period: int | None = None
    """Of a cosine: the epochs from `lr` to 0; then it rises again, as far as the epochs go. None: all of them."""
    ahead: int = 0
    """Epochs by which the schedule is ahead of the training."""
    milestones: tuple[float, ...] = ()
    """Shares of the epochs after which the rate is multiplied by `factor`."""
    factor: float = 0.1
    groups: tuple[Group, ...] = ()
    smoothing: float = 0.0
    """Of the labels while training: this share of each goes to all classes alike."""
    initialisation: Literal["torch", "fan-out", "tiny"] | None = None
    """Of convolutions and linear layers, see `harness/train/initial.py`; None: the architecture's own."""
    dropout: tuple[float, float] | None = None
    """Of the architecture's dropout layers, before its hidden layers of neurons and behind one; None: its own."""
    norm_scale: float | None = None
    """At which the scale of every normalisation begins; None: 1."""
    residual_scale: float | None = None
    """At which that of the last one of a residual branch begins; None: as the others."""
    shuffled: bool = True
    """Whether training samples come in another order each epoch."""
    partial_batch: bool = True
    """Whether the last batch of an epoch is trained on where it is smaller than the others."""
    among: int | None = None
    """Of how many of the last epochs `best` is the best; None: of all."""
    search: tuple[int, int] | None = None
    """Training images and timesteps, at most, by which a conversion looks for its thresholds; None: as its method."""
    mean: tuple[float, ...] | None = None
    """Subtracted from each channel of an image in [0, 1], which is then divided by `deviation`; None: the set's own."""
    deviation: tuple[float, ...] | None = None
    one_pass: bool = False
    """Whether batch norms and the neurons right behind them train in one pass over memory; last bits differ."""

    @functools.cached_property
    def told(self) -> dict[str, Any]:
        """As it stands in the canonical form of a cell: computed once for the thousand seeds that share it."""
        return _sparse(self)


SELDOM = Recipe.__struct_fields__[Recipe.__struct_fields__.index("period") :]
"""Fields of a recipe that few change: they are told where they are not as by default."""


def notable(recipe: Recipe) -> dict[str, Any]:
    """Field -> value, for people."""
    given = recipe.told
    return {name: getattr(recipe, name) for name in Recipe.__struct_fields__ if name not in SELDOM or name in given}


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
    """Hash of the code behind it that a user wrote or edited; empty where this project vouches for all of it."""
    numerics: int = 1
    """Version of the numbers that the vouched code computes, see `harness/identity/`."""
    origin: Cell | None = None
    """The cell whose weights this one begins from; its key stands in this one's."""

    @functools.cached_property
    def key(self) -> str:
        """Content key: 16 hexadecimal digits over the canonical form."""
        return hashlib.sha256(canonical(self)).hexdigest()[:16]

    @property
    def label(self) -> str:
        """For people: ``mpbn/resnet20/cifar10/T2/seed0``."""
        return f"{self.method}/{self.architecture}/{self.dataset}/T{self.timesteps}/seed{self.seed}"

    @property
    def lineage(self) -> tuple[Cell, ...]:
        """What must be trained for it, in order, itself the last."""
        return (*(self.origin.lineage if self.origin is not None else ()), self)

    @functools.cached_property
    def seedless(self) -> Cell:
        """With seed 0: what cells share that differ in nothing else."""
        return self.throughout(seed=0)

    def throughout(self, *, seed: int | None = None, data: str | None = None) -> Cell:
        """With this seed, these samples, in it and in all that it begins from."""
        origin = self.origin.throughout(seed=seed, data=data) if self.origin is not None else None
        seed, data = self.seed if seed is None else seed, self.data if data is None else data
        return msgspec.structs.replace(
            self, origin=origin, seed=seed, data=data
        )  # by their names: that is ten times faster


class Overlay(Spec, frozen=True):
    """Fields of a recipe that are replaced; None leaves the value beneath. Every field of `Recipe`, by its name."""

    epochs: int | None = None
    batch: int | None = None
    optimiser: Literal["sgd", "adam", "amsgrad"] | None = None
    lr: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    decayed: Literal["weights", "all"] | None = None
    schedule: Literal["cosine", "constant", "steps", "exponential"] | None = None
    augmentation: tuple[str, ...] | None = None
    surrogate: str | None = None
    precision: Literal["float32", "float64", "bfloat16"] | None = None
    report: Literal["best", "last"] | None = None
    size: int | None = None
    width: float | None = None
    train_samples: int | None = None
    test_samples: int | None = None
    bins: Literal["time", "count"] | None = None
    split: str | None = None
    decoder: str | None = None
    period: int | None = None
    ahead: int | None = None
    milestones: tuple[float, ...] | None = None
    factor: float | None = None
    groups: tuple[Group, ...] | None = None
    smoothing: float | None = None
    initialisation: Literal["torch", "fan-out", "tiny"] | None = None
    dropout: tuple[float, float] | None = None
    norm_scale: float | None = None
    residual_scale: float | None = None
    shuffled: bool | None = None
    partial_batch: bool | None = None
    among: int | None = None
    search: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    one_pass: bool | None = None

    def onto(self, recipe: Recipe) -> Recipe:
        return msgspec.structs.replace(recipe, **self.given())

    def given(self) -> dict[str, Any]:
        return {name: value for name in Overlay.__struct_fields__ if (value := getattr(self, name)) is not None}


class Origin(Spec, frozen=True):
    """What the cells of a method begin from, and what they cannot be trained without (`tables/origins.toml`)."""

    method: str = ""
    """Of the cell that is begun from; empty: from nothing."""
    timesteps: int | None = None
    """Its timesteps; None: as many as the row's."""
    recipe: Overlay = Overlay()
    """Laid over the row's recipe for the cell that is begun from."""
    own: Overlay = Overlay()
    """Laid over it for the cell itself."""
    share: float = 1.0
    """Of the recipe's epochs that the cell itself is trained for, one at least."""

    def after(self, recipe: Recipe) -> Recipe:
        """The recipe of a cell that begins so."""
        return self.own.onto(msgspec.structs.replace(recipe, epochs=max(1, round(self.share * recipe.epochs))))


class Change(Overlay, frozen=True):
    """What one row of a table does otherwise than the protocol and the preset say; laid over both."""

    insert_after: dict[str, str] = {}
    """Augmentation -> another that follows it here; it leads where the first is not among them."""

    def onto(self, recipe: Recipe) -> Recipe:
        recipe = Overlay.onto(self, recipe)
        names = list(recipe.augmentation)
        for before, name in self.insert_after.items():
            if name not in names:
                names.insert(names.index(before) + 1 if before in names else 0, name)
        return msgspec.structs.replace(recipe, augmentation=tuple(names))

    @property
    def text(self) -> str:
        """``surrogate tanh, autoaugment after flip``; empty where nothing is changed."""
        told = [f"{name} {' '.join(map(str, v)) if isinstance(v, tuple) else v}" for name, v in self.given().items()]
        told += [f"{name} after {before}" for before, name in self.insert_after.items()]
        return ", ".join(told)


class Reported(Spec, frozen=True):
    """Another number that was made known of the same experiment: what is printed is one of a range."""

    accuracy: float
    what: str
    """How it was come by, and where it stands."""


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
    """The paper that is cited for it: that one's recipe made the number, on a network of its own."""
    note: str = ""
    reported: tuple[Reported, ...] = ()
    """What else its authors report of it."""
    change: Change = Change()
    """What its recipe does otherwise; shown behind the method's name."""
    base: int | None = None
    """The row, by its number in the table, that differs from this one in a single thing: the table prints the
    difference from it, seed by seed."""
    blank: str = ""
    """Why it cannot be trained, in a phrase, where no method of that name can be made."""

    @property
    def remark(self) -> str:
        """Its note, and what else is reported."""
        also = "; ".join(f"{other.accuracy:.2f}: {other.what}" for other in self.reported)
        return "; ".join(part for part in (self.note, also and f"also reported {also}") if part)

    @property
    def cited(self) -> bool:
        """Whether another paper's recipe made the printed number."""
        return self.reference is not None


class Table(Spec, frozen=True):
    """An ordered list of rows, and what must be said beneath them."""

    name: str
    title: str
    row: tuple[Row, ...]
    footnote: tuple[str, ...] = ()


class Panel(Spec, frozen=True):
    """What is drawn into one pair of axes."""

    row: tuple[Row, ...]


class Figure(Spec, frozen=True):
    """Panels of a drawing; planned, trained and selected from as the table of all their rows would be."""

    name: str
    title: str
    panel: tuple[Panel, ...]
    kind: Literal[
        "curves", "landscape", "potentials", "thresholds", "rates", "inflation", "energy", "changes", "choices",
        "latency",
    ] = "curves"  # fmt: skip
    """What is drawn of its rows; a file of that name in `harness/render/drawings/` does it."""
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
    """Field of the recipe -> where it is stated: a section of the paper, a file and line of the released code."""
    chosen: dict[str, str] = {}
    """Field -> what was taken instead, where it is not stated, or not for every data set."""


class Statement(Spec, frozen=True):
    """What one source says of a setting, and the place in it."""

    says: str
    where: str


class Setting(Spec, frozen=True):
    """Something outside the recipes that the paper, its released code or this harness had to decide."""

    part: str
    name: str
    here: str
    """What this harness does, under every protocol."""
    source: dict[str, Statement] = {}
    """Protocol -> what its source says. One that is absent says nothing."""
    disagree: bool = False
    """Whether what the sources say cannot be followed together; else one may only say less than another."""
    why: str = ""
    """Why it is done so here, where the sources are silent or disagree."""


class Settings(Spec, frozen=True):
    """`tables/settings.toml`."""

    code: str
    """The released code whose lines are cited: repository and commit."""
    setting: tuple[Setting, ...]


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
    method: dict[str, Overlay] = {}
    """Laid over all of that for the cells of one method, not for those that they begin from."""


def canonical(spec: Spec) -> bytes:
    """Deterministic JSON of `spec` (sorted keys, defaults left out), with the key version in front."""
    return b"v%d:" % KEY_VERSION + msgspec.json.encode(_sparse(spec), order="sorted")


def _sparse(spec: Spec) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    return {
        name: _told(name, value) for name, default in _defaults(type(spec)) if (value := getattr(spec, name)) != default
    }


def _told(name: str, value: Any) -> Any:
    if isinstance(value, Cell):
        return value.key
    if isinstance(value, tuple):
        return [_told(name, part) for part in value]
    if isinstance(value, Recipe):
        return value.told
    if isinstance(value, float) and not math.isfinite(value):  # JSON would write them all alike
        raise UserError(f"{name} is {value}", to_type="give a finite number")
    return _sparse(value) if isinstance(value, Spec) else value


@functools.cache
def _defaults(kind: type[Spec]) -> tuple[tuple[str, Any], ...]:
    """(field, default) in order; the fields without one come first and have a default that equals nothing."""
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    return tuple(zip(names, (*[msgspec.NODEFAULT] * (len(names) - len(defaults)), *defaults), strict=True))
