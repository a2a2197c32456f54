"""Every setting of the protocols, side by side: its value, where that is stated, and what was chosen where nothing is.

The recipes are read from the protocols themselves, field by field; what lies outside them from `tables/settings.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.render.page import Column, Line, Page, Tone
from harness.spec import SELDOM, Protocol, Recipe, Setting, notable
from harness.tables import display, load_protocol, load_settings, protocol_names
from harness.works import Works

TONES: dict[str, Tone] = {"differ": "high", "neither": "open", "none": "open"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One setting under the protocols shown, by their names."""

    part: str
    name: str
    says: Mapping[str, str]
    """What holds under a protocol; for one outside the recipes, what its source says."""
    where: Mapping[str, str]
    """Where that is stated; a protocol that is absent states nothing."""
    disagree: bool
    here: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """Protocol -> what was chosen, and why; under "" for all of them."""


def settings_page(names: Sequence[str] = ()) -> Page:
    """The protocols named, then the other shipped ones that have a recipe for a data set. Raises UserError for a name
    that is none."""
    found = [load_protocol(name) for name in dict.fromkeys((*names, *protocol_names()))]
    protocols = [protocol for protocol in found if not isinstance(protocol, Works)]
    protocols = list({protocol.name: protocol for protocol in protocols}.values())
    shown, settings = [protocol.name for protocol in protocols], load_settings()
    entries = [*_recipe(protocols), *(_outside(setting, shown) for setting in settings.setting)]
    return Page(
        title=f"Every setting, side by side: protocol {', '.join(shown)}",
        subtitle=f"released code: {settings.code}",
        group="Part",
        columns=_columns(shown),
        lines=tuple(_line(number, entry, shown) for number, entry in enumerate(entries, start=1)),
        notes=tuple(_notes(entries, protocols)),
        records=tuple(_record(entry, shown) for entry in entries),
    )


def _recipe(protocols: Sequence[Protocol]) -> Iterator[Entry]:
    for name in _shown(protocols):
        says = {protocol.name: _values(protocol, name) for protocol in protocols}
        yield Entry(
            part="Recipe",
            name=name.replace("_", " "),
            says=says,
            where={p.name: p.source[name] for p in protocols if name in p.source},
            disagree=len(set(says.values())) > 1,
            chosen={p.name: p.chosen[name] for p in protocols if name in p.chosen},
        )


def _shown(protocols: Sequence[Protocol]) -> Iterator[str]:
    """The fields of a recipe, but for the seldom ones that nobody changes: they say what is outside the recipes too."""
    recipes = [recipe for protocol in protocols for recipe in protocol.recipe.values()]
    changed = {name for recipe in recipes for name in notable(recipe)}
    stated = {name for protocol in protocols for name in (*protocol.source, *protocol.chosen)}
    return (name for name in Recipe.__struct_fields__ if name not in SELDOM or name in changed | stated)


def _outside(setting: Setting, shown: Sequence[str]) -> Entry:
    sources = {name: setting.source[name] for name in shown if name in setting.source}
    return Entry(
        part=setting.part,
        name=setting.name,
        says={name: source.says for name, source in sources.items()},
        where={name: source.where for name, source in sources.items()},
        disagree=setting.disagree,
        here=setting.here,
        chosen={"": setting.why} if setting.why else {},
    )


def _values(protocol: Protocol, name: str) -> str:
    """``400; ImageNet: 320``: what most data sets have, then the others'."""
    groups: dict[str, list[str]] = {}
    for dataset, recipe in protocol.recipe.items():
        groups.setdefault(_plain(name, getattr(recipe, name)), []).append(display("dataset", dataset))
    most = max(groups, key=lambda value: len(groups[value]), default="")
    others = (f"{', '.join(sets)}: {value}" for value, sets in groups.items() if value != most)
    return "; ".join((most, *others))


def _plain(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if value is None:
        return "all" if name.endswith("_samples") else "its own"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _stated(entry: Entry, shown: Sequence[str]) -> str:
    """``both``, ``differ``, ``released only``, ``neither``: in how many of the sources, and whether they agree."""
    stating = [name for name in shown if name in entry.where]
    if entry.disagree and len(stating) > 1:
        return "differ"
    if len(stating) == len(shown):
        return "both" if len(shown) == 2 else "all"
    return f"{', '.join(stating)} only" if stating else "neither" if len(shown) == 2 else "none"


def _columns(shown: Sequence[str]) -> tuple[Column, ...]:
    return (
        Column(head="#", align="right"),
        Column(head="Setting"),
        *(Column(head=name) for name in shown),
        Column(head="Here, under each"),
        Column(head="Stated", toned=True),
        *(Column(head=f"{name}: where", place="under", lead=f"{name}: ") for name in shown),
        Column(head="Chosen", place="under", lead="chosen: "),
    )


def _line(number: int, entry: Entry, shown: Sequence[str]) -> Line:
    stated = _stated(entry, shown)
    return Line(
        group=entry.part,
        tone=TONES.get(stated, "plain"),
        cells=(
            str(number),
            entry.name,
            *(entry.says.get(name, "–") for name in shown),
            entry.here or "as its protocol",
            stated,
            *(entry.where.get(name, "") for name in shown),
            _chosen(entry),
        ),
    )


def _chosen(entry: Entry) -> str:
    return "; ".join(f"{name}: {text}" if name else text for name, text in entry.chosen.items())


def _notes(entries: Sequence[Entry], protocols: Sequence[Protocol]) -> Iterator[str]:
    shown = [protocol.name for protocol in protocols]
    yield from (f"{protocol.name}: {protocol.description}." for protocol in protocols)
    counts: dict[str, int] = {}
    for entry in entries:
        counts[stated] = counts.get(stated := _stated(entry, shown), 0) + 1
    told = ", ".join(f"{count} {stated}" for stated, count in counts.items())
    yield f"Stated: {told}, of {len(entries)} settings. A dash is what a source does not say."
    yield "File and line are of the released code; sections, equations and tables the paper's."


def _record(entry: Entry, shown: Sequence[str]) -> dict[str, object]:
    record: dict[str, object] = {"part": entry.part, "setting": entry.name}
    for name in shown:
        record |= {name: entry.says.get(name), f"{name}_where": entry.where.get(name)}
    return record | {"here": entry.here or None, "stated": _stated(entry, shown), "chosen": _chosen(entry)}
