"""What the cited papers trained: the system behind each printed row, and its recipe, phase after phase.

A protocol of works has no recipe for a data set: each row is trained as its own paper, or its code, does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from harness.spec import Overlay, Preset, Protocol, Recipe, Row, Spec

SLOTS = (
    "encoder", "synapse", "normalisation", "neuron", "surrogate", "after", "wiring", "readout", "objective", "penalty",
    "procedure",
)  # fmt: skip
"""Of a method: what of a system is no setting of its recipe."""
REQUIRED = (
    "epochs", "batch", "optimiser", "lr", "weight_decay", "decayed", "schedule", "augmentation", "precision", "report",
)  # fmt: skip
"""Fields of a recipe that a system must say."""
OF_THE_SET = ("mean", "deviation", "bins", "split", "decoder")
"""Fields that mean nothing for what stands in for the data set."""


class Phase(Spec, frozen=True, kw_only=True):
    """A training that comes before the row's own, which begins from its weights."""

    bundle: str
    timesteps: int | None = None
    """None: as many as the row's."""
    recipe: Overlay = Overlay()
    """Laid over the system's."""


class System(Spec, frozen=True, kw_only=True):
    """What was trained for some rows of the tables."""

    datasets: tuple[str, ...]
    architecture: dict[str, str] = msgspec.field(default_factory=dict)
    """The network as a table prints it -> the one behind the name; a row of another network is not of this system."""
    timesteps: tuple[int, ...] = ()
    """Of the rows; empty: any."""
    bundle: str = ""
    """The system, or where the idea is all of it, the method; empty: the row's method."""
    recipe: Overlay = Overlay()
    before: tuple[Phase, ...] = ()
    protocol: str = ""
    """Whose recipe it is, instead of `recipe`."""
    not_public: str = ""
    """Which setting no public source has: then nothing is trained."""

    @property
    def written(self) -> frozenset[str]:
        """The settings that it says, those of the bundles aside."""
        overlays = [self.recipe, *(phase.recipe for phase in self.before)]
        found = {name for overlay in overlays for name in overlay.given()}
        found |= {"architecture"} if not self.not_public else set()
        found |= {"protocol"} if self.protocol else set()
        return frozenset(found | ({"phases"} if self.before else set()))

    def of(self, row: Row) -> bool:
        known = row.architecture in self.architecture or not self.architecture
        return row.dataset in self.datasets and known and row.timesteps in (self.timesteps or (row.timesteps,))


class Quirk(Spec, frozen=True, kw_only=True):
    """What the code does and its paper does not say."""

    says: str
    where: str
    here: str = "as the code"
    """What is done under `own`."""
    sane: Overlay = Overlay()
    """Laid over the recipe instead, under the protocol that has no quirks."""
    bundles: dict[str, str] = msgspec.field(default_factory=dict)
    """A bundle that has it -> the one without."""


class Work(Spec, frozen=True, kw_only=True):
    """A cited paper."""

    name: str
    methods: tuple[str, ...]
    """Of the rows it made."""
    paper: str
    code: str = ""
    """Repository and commit, of which the lines are."""
    system: tuple[System, ...]
    quirk: tuple[Quirk, ...] = ()
    source: dict[str, str] = msgspec.field(default_factory=dict)
    """Setting -> where it is stated."""
    chosen: dict[str, str] = msgspec.field(default_factory=dict)
    """Setting -> what was taken where it is not stated, and why."""

    @property
    def written(self) -> frozenset[str]:
        """The settings that its systems say, those of the bundles aside."""
        return frozenset(name for system in self.system for name in system.written)


class Works(Protocol, frozen=True, kw_only=True):
    """A protocol in which each method has its own recipe."""

    recipe: dict[str, Recipe] = msgspec.field(default_factory=dict)
    folder: str
    """Beside its file: a file for each work."""
    sane: bool = False
    """Whether the quirks are left out."""
    work: tuple[Work, ...] = ()
    others: dict[str, Protocol] = msgspec.field(default_factory=dict)
    """Protocols whose recipes some systems have."""

    def work_of(self, row: Row) -> Work | None:
        return next((work for work in self.work if row.method in work.methods), None)

    def system_of(self, row: Row) -> System | None:
        work = self.work_of(row)
        return next((system for system in work.system if system.of(row)), None) if work else None

    def chosen_for(self, row: Row) -> tuple[str, ...]:
        """The settings of `row` that no public source has."""
        work, system = self.work_of(row), self.system_of(row)
        if work is None or system is None:
            return ()
        written = system.written
        return tuple(name for name in work.chosen if name in written or name in SLOTS)

    def blank(self, row: Row) -> str:
        """Why `row` cannot be trained by its own paper; empty where it can."""
        system = self.system_of(row)
        if system is None:
            return f"no recipe in protocol {self.name}"
        return f"not public: {system.not_public}" if system.not_public else ""


class Step(NamedTuple):
    """A cell to be, but for its data set and its seed."""

    method: str
    architecture: str
    timesteps: int
    recipe: Recipe


def steps(row: Row, works: Works, preset: Preset | None, stand_in: bool) -> tuple[Step, ...]:
    """The phases of a row that has a system, in order; the last is the row's own."""
    system, work = works.system_of(row), works.work_of(row)
    assert system is not None and work is not None
    architecture = system.architecture.get(row.architecture, row.architecture)
    quirks = work.quirk if works.sane else ()
    whole = _of_another(system, works, row) if system.protocol else system.recipe.onto(Recipe(epochs=1))
    phases = [*system.before, Phase(bundle=system.bundle or row.method)]
    recipes = [_without(quirks, phase.recipe.onto(whole)) for phase in phases]
    overlays = _overlays(preset, architecture, row)
    recipes = list(shrunk(recipes, overlays))
    if preset is not None and row.method in preset.method:
        recipes[-1] = preset.method[row.method].onto(recipes[-1])
    if stand_in:
        recipes = [msgspec.structs.replace(recipe, **dict.fromkeys(OF_THE_SET)) for recipe in recipes]
    swapped = {old: new for quirk in quirks for old, new in quirk.bundles.items()}
    return tuple(
        Step(
            swapped.get(phase.bundle, phase.bundle),
            architecture,
            phase.timesteps or row.timesteps,
            row.change.onto(recipe),
        )
        for phase, recipe in zip(phases, recipes, strict=True)
    )


def _of_another(system: System, works: Works, row: Row) -> Recipe:
    return works.others[system.protocol].recipe[row.dataset]


def _without(quirks: Sequence[Quirk], recipe: Recipe) -> Recipe:
    for quirk in quirks:
        recipe = quirk.sane.onto(recipe)
    return recipe


def _overlays(preset: Preset | None, architecture: str, row: Row) -> list[Overlay]:
    if preset is None:
        return []
    found = (preset.recipe, preset.architecture.get(architecture), preset.dataset.get(row.dataset))
    return [overlay for overlay in found if overlay is not None]


def shrunk(recipes: Sequence[Recipe], overlays: Sequence[Overlay]) -> Iterator[Recipe]:
    """Under a preset's overlays. The longest phase has as many epochs as they say, the others in proportion, one at
    least; so have the periods within them."""
    longest = max(recipe.epochs for recipe in recipes)
    for recipe in recipes:
        small = recipe
        for overlay in overlays:
            small = overlay.onto(small)
        share = small.epochs / longest
        if any(overlay.epochs is not None for overlay in overlays):
            epochs = max(1, round(recipe.epochs * share))
            period = recipe.period and max(2, round(recipe.period * share))
            among = recipe.among and max(1, round(recipe.among * share))
            small = msgspec.structs.replace(small, epochs=epochs, period=period, among=among)
        yield small
