"""The paper as data: find and decode the tables, figures, protocols, presets and display names under `tables/`."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from harness import checks
from harness.decode import decode, keys, there
from harness.errors import UserError, did_you_mean
from harness.printable import printable
from harness.spec import Figure, Origin, Preset, Protocol, Recipe, Row, Settings, Spec, Table
from harness.works import REQUIRED, SLOTS, System, Work, Works

NOT_TABLES = frozenset({"check", "claims", "inventory", "names", "origins", "paper", "settings"})
"""Files beside the tables that are something else; so is every ``figure*.toml``."""

UNNUMBERED = "figure-"
"""Before the name of a figure that the paper does not print: ``figure-rates.toml`` is the figure `rates`."""

SELECTABLE = ("method", "architecture", "dataset", "timesteps", "seed")
"""What `only` of a preset chooses by."""

NUMBERED = re.compile(r"(table|figure)(\d+)")
"""Names of what the paper itself prints."""


class Names(Spec, frozen=True, kw_only=True):
    """How the paper prints what the registries call by lower-case names."""

    dataset: dict[str, str]
    method: dict[str, str]
    architecture: dict[str, str]
    look: dict[str, int]
    """Method -> the number of its colour, the same in every figure."""


class Origins(Spec, frozen=True, kw_only=True):
    """Which methods begin from the weights of another cell, or cannot be trained by the recipe that all rows share."""

    origin: dict[str, Origin]


class Registered(Spec, frozen=True, kw_only=True):
    """What a built-in method is, beside the baseline."""

    folds: str
    """``whole``, ``all but analog output``, ``into T weight sets``."""
    parameters: int
    """More than the baseline has, in ResNet20 for CIFAR-10 at T = 4, those included that only training has."""


class Inventory(Spec, frozen=True, kw_only=True):
    method: dict[str, Registered]


class Paper(Spec, frozen=True, kw_only=True):
    """Whose tables these are."""

    title: str
    authors: str
    venue: str


class Trial(Spec, frozen=True, kw_only=True):
    """What `check` trains a method as."""

    architecture: str
    dataset: str
    timesteps: int
    recipe: Recipe


def folder() -> Path:
    """Where the shipped TOML lies: inside an installed package, or beside `harness/` in a clone."""
    here = Path(__file__).parent
    # The wheel's copy goes first: in site-packages the folder beside `harness/` called `tables` is PyTables.
    return wheel if (wheel := here / "_tables").is_dir() else here.parent / "tables"


def table_names() -> list[str]:
    names = (path.stem for path in folder().glob("*.toml"))
    return sorted(name for name in names if name not in NOT_TABLES and not name.startswith("figure"))


def figure_names() -> list[str]:
    return sorted(path.stem.removeprefix(UNNUMBERED) for path in folder().glob("figure*.toml"))


def protocol_names() -> list[str]:
    return sorted(path.stem for path in (folder() / "protocols").glob("*.toml"))


def preset_names() -> list[str]:
    return sorted(path.stem for path in (folder() / "presets").glob("*.toml"))


def load_table(name_or_path: str | Path) -> Table:
    """A shipped table by name, or the user's own by the path of its TOML file. Raises UserError, UserErrors."""
    _other_verb(name_or_path, "figure", figure_names())
    return decode(_file("table", name_or_path, folder(), table_names()), Table, _check_table)


def load_figure(name_or_path: str | Path) -> Figure:
    """A shipped figure, or the user's own. Raises UserError, UserErrors."""
    _other_verb(name_or_path, "table", table_names())
    return decode(_figure_file("figure", name_or_path, figure_names()), Figure, _check_figure)


def load(name_or_path: str | Path) -> Table | Figure:
    """Whichever of the two it is: only a figure has panels. Raises UserError, UserErrors."""
    path = _figure_file("table or figure", name_or_path, [*figure_names(), *table_names()])
    return load_figure(path) if "panel" in keys(path) else load_table(path)


def load_protocol(name_or_path: str | Path) -> Protocol:
    """A shipped protocol, or the user's own. Raises UserError, UserErrors."""
    path = _file("protocol", name_or_path, folder() / "protocols", protocol_names())
    return _with_works(path) if "folder" in keys(path) else decode(path, Protocol, _check_protocol)


def _with_works(path: Path) -> Works:
    """A protocol of works, and a file for each in its folder. Raises UserError, UserErrors."""
    works = decode(path, Works, _check_protocol)
    files = sorted((path.parent / works.folder).glob("*.toml"))
    if not files:
        raise UserError(f"no file in {works.folder}/", str(path), "write one for each work there")
    made = tuple(_work(file) for file in files)
    others = dict.fromkeys(system.protocol for work in made for system in work.system if system.protocol)
    return msgspec.structs.replace(works, work=made, others={name: load_protocol(name) for name in others})


@functools.cache
def _work(file: Path) -> Work:
    return decode(file, Work, _check_work)


def load_preset(name_or_path: str | Path) -> Preset:
    """A shipped preset, or the user's own. Raises UserError, UserErrors."""
    return decode(_file("preset", name_or_path, folder() / "presets", preset_names()), Preset, _check_preset)


def load_settings() -> Settings:
    """What is decided outside the recipes, and by whom. Raises UserErrors."""
    return decode(folder() / "settings.toml", Settings, _check_settings)


@functools.cache
def load_origins() -> dict[str, Origin]:
    """Method -> what its cells begin from. Raises UserErrors."""
    return decode(folder() / "origins.toml", Origins, _check_origins).origin


def load_inventory() -> dict[str, Registered]:
    """Of every built-in method, as `make inventory` found it."""
    return decode(folder() / "inventory.toml", Inventory, lambda inventory, file: ()).method


def load_trial() -> Trial:
    return decode(folder() / "check.toml", Trial, lambda trial, file: checks.amounts(trial.recipe, file))


def load_paper() -> Paper:
    return decode(folder() / "paper.toml", Paper, _check_paper)


def display(kind: Literal["dataset", "method", "architecture"], name: str) -> str:
    """`name` as the paper prints it (``cifar10`` -> ``CIFAR-10``); a name it does not know stays as it is."""
    return getattr(_names(), kind).get(name, name)


def looks() -> dict[str, int]:
    """Method -> the number of its colour."""
    return _names().look


def printed(kind: str) -> Collection[str]:
    """The names of a kind that the paper prints, whether there is such a thing here or not."""
    return getattr(_names(), kind)


def method_label(row: Row) -> str:
    """The method as this row's table prints it, and what its recipe does otherwise."""
    name = printable(row.label or display("method", row.method))
    return f"{name}, {row.change.text}" if row.change.text else name


def table_label(name: str) -> str:
    """``table2`` -> ``Table 2``, ``figure2`` -> ``Figure 2``; a user's own name stays."""
    found = NUMBERED.fullmatch(name)
    return f"{found[1].capitalize()} {found[2]}" if found else name


@functools.cache
def _names() -> Names:
    return decode(folder() / "names.toml", Names, _check_names)


def is_path(name: str) -> bool:
    """What ends in .toml or has a folder in it; anything else is a name, whatever lies in the working folder."""
    return Path(name).suffix == ".toml" or Path(name).name != name


def _file(kind: str, name_or_path: str | Path, where: Path, known: list[str]) -> Path:
    name = str(name_or_path)
    if is_path(name):
        if not there(Path(name)):
            raise UserError(f"no {kind} file `{name}`", to_type=f"shipped: {', '.join(known)}")
        return Path(name)
    if name not in known:
        raise UserError(f"unknown {kind} `{name}`", to_type=did_you_mean(name, known))
    return where / f"{name}.toml"


def _figure_file(kind: str, name_or_path: str | Path, known: list[str]) -> Path:
    path = _file(kind, name_or_path, folder(), known)
    return path if path.is_file() else path.with_name(f"{UNNUMBERED}{path.name}")


def _other_verb(name: str | Path, kind: str, names: list[str]) -> None:
    """Raises UserError for the name of a table where a figure is wanted, and the other way round."""
    if name in names:
        raise UserError(f"`{name}` is a {kind}", to_type=f"type: python -m harness {kind} {name}")


def _check_table(table: Table, file: str) -> Iterator[UserError]:
    yield from checks.name(table.name, file)
    if not table.row:
        yield UserError("has no rows", file, "write at least one [[row]]")
    for number, row in enumerate(table.row, start=1):
        yield from _check_row(row, f"{file}: row {number}")
        yield from _check_base(number, row, table, f"{file}: row {number}")


def _check_base(number: int, row: Row, table: Table, where: str) -> Iterator[UserError]:
    if row.base is None:
        return
    others = [other for other in range(1, len(table.row) + 1) if other != number]
    if row.base not in others:
        yield UserError(f"`base` is {row.base}", where, "write the number of another row, from 1")
    elif table.row[row.base - 1].dataset != row.dataset:
        yield UserError(f"`base` is row {row.base}, of another data set", where)


def _check_figure(figure: Figure, file: str) -> Iterator[UserError]:
    yield from checks.name(figure.name, file)
    if not figure.panel:
        yield UserError("has no panels", file, "write at least one [[panel]]")
    for number, panel in enumerate(figure.panel, start=1):
        where = f"{file}: panel {number}"
        if not panel.row:
            yield UserError("has no rows", where, "write at least one row")
        for place, row in enumerate(panel.row, start=1):
            if row.accuracy is not None or row.std is not None:
                yield UserError("has a printed number", f"{where}: row {place}", "leave out `accuracy` and `std`")
            yield from _check_row(row, f"{where}: row {place}")


def _check_row(row: Row, where: str) -> Iterator[UserError]:
    for key in ("method", "architecture", "dataset"):
        yield from checks.name(getattr(row, key), where, key)
    if row.timesteps < 1:
        yield UserError(f"`timesteps` is {row.timesteps}", where, "write 1 or more")
    if row.accuracy is not None and not 0 <= row.accuracy <= 100:
        yield UserError(f"`accuracy` is {row.accuracy}", where, "write percent, 0 to 100")
    if row.std is not None and not 0 <= row.std <= 100:
        yield UserError(f"`std` is {row.std}", where, "write percentage points, 0 or more")
    for other in row.reported:
        if not 0 <= other.accuracy <= 100:
            yield UserError(f"`reported` is {other.accuracy}", where, "write percent, 0 to 100")
    if row.runs < 1:
        yield UserError(f"`runs` is {row.runs}", where, "write 1 or more")
    yield from checks.amounts(row.change, f"{where}: change")


def _check_protocol(protocol: Protocol, file: str) -> Iterator[UserError]:
    yield from checks.name(protocol.name, file)
    for dataset, recipe in protocol.recipe.items():
        yield from checks.amounts(recipe, f"{file}: recipe: {dataset}")
    for part in ("source", "chosen"):
        yield from _unknown(getattr(protocol, part), Recipe.__struct_fields__, f"{file}: {part}")


def _check_work(work: Work, file: str) -> Iterator[UserError]:
    yield from checks.name(work.name, file)
    stated = {**work.source, **work.chosen}
    for setting in sorted(work.written - stated.keys()):
        yield UserError(f"`{setting}` has no source", file, "say in [source] where it is stated, or in [chosen] why")
    known = {*Recipe.__struct_fields__, *SLOTS, "architecture", "protocol", "phases"}
    yield from _unknown(stated, known, f"{file}: source")
    for setting in sorted(stated.keys() - work.written - set(SLOTS)):
        if setting in known:
            yield UserError(f"a source for `{setting}`, which nothing sets", file, "set it, or leave its source out")
    for number, system in enumerate(work.system, start=1):
        yield from _check_system(system, f"{file}: system {number}")
    for number, quirk in enumerate(work.quirk, start=1):
        yield from checks.amounts(quirk.sane, f"{file}: quirk {number}: sane")


def _check_system(system: System, where: str) -> Iterator[UserError]:
    for overlay in (system.recipe, *(phase.recipe for phase in system.before)):
        yield from checks.amounts(overlay, where)
    if system.not_public or system.protocol:
        return
    for missing in (name for name in REQUIRED if name not in system.recipe.given()):
        yield UserError(f"its recipe does not say `{missing}`", where, "say it, or in `not_public` why nobody can")


def _check_preset(preset: Preset, file: str) -> Iterator[UserError]:
    yield from checks.name(preset.name, file)
    yield from _unknown(preset.only, SELECTABLE, f"{file}: only")
    yield from checks.amounts(preset.recipe, f"{file}: recipe")
    for part in ("architecture", "dataset", "method"):
        for name, overlay in getattr(preset, part).items():
            yield from checks.amounts(overlay, f"{file}: {part}: {name}")


def _check_settings(settings: Settings, file: str) -> Iterator[UserError]:
    for number, setting in enumerate(settings.setting, start=1):
        yield from _unknown(setting.source, protocol_names(), f"{file}: setting {number}: source")


def _check_origins(origins: Origins, file: str) -> Iterator[UserError]:
    for name, origin in origins.origin.items():
        where, seen = f"{file}: origin: {name}", {name}
        while origin is not None and origin.method not in seen:
            seen.add(origin.method)
            origin = origins.origin.get(origin.method)
        if origin is not None:
            yield UserError(f"`{name}` begins from itself, by way of others", where)
        for part in ("recipe", "own"):
            yield from checks.amounts(getattr(origins.origin[name], part), f"{where}: {part}")
        if not 0 <= origins.origin[name].share <= 1:
            yield UserError(f"`share` is {origins.origin[name].share}", where, "write a share of the epochs, 0 to 1")


def _check_paper(paper: Paper, file: str) -> Iterator[UserError]:
    for key in Paper.__struct_fields__:
        if not getattr(paper, key).strip():
            yield UserError(f"`{key}` is empty", file)


def _check_names(names: Names, file: str) -> Iterator[UserError]:
    for kind in Names.__struct_fields__:
        for name in getattr(names, kind):
            yield from checks.name(name, f"{file}: {kind}", "name")


def _unknown(given: Iterable[str], known: Iterable[str], where: str) -> Iterator[UserError]:
    known = tuple(known)
    return (UserError(f"unknown key `{key}`", where, did_you_mean(key, known)) for key in given if key not in known)
