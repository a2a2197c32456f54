"""What a cited paper trained beside what is trained on common ground: setting by setting, each with its source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import baselines
from harness import tables
from harness.errors import UserError, did_you_mean
from harness.plan import Only
from harness.render.page import Column, Line, Page
from harness.spec import Protocol, Recipe, Row, notable
from harness.tables import display
from harness.works import SLOTS, Quirk, Step, System, Work, Works, steps

COLUMNS = (
    Column(head="Setting"),
    Column(head="common"),
    Column(head="own"),
    Column(head="Differs", toned=True),
    Column(head="Where", place="under", lead=""),
)
COMMON = "paper"
"""The protocol whose recipe all rows share."""
ASKED = ("method", "dataset", "architecture", "timesteps")


def works_pages(works: Works, only: Only) -> list[Page]:
    """A page for each work that `only` leaves. Raises UserError for a method or another value that none has."""
    chosen = [work for work in works.work if _named(work, only)]
    if not chosen:
        known = sorted({method for work in works.work for method in work.methods})
        wanted = only.get("method", ("",))[0]
        raise UserError(f"no work has method `{wanted}`", "--only", did_you_mean(wanted, known))
    for key in only:
        if key not in ASKED:
            raise UserError(f"a protocol is not shown by `{key}`", "--only", f"choose by {', '.join(ASKED)}")
    pages = [page for work in chosen for page in [_page(work, works, only)] if page.lines]
    if not pages:
        raise UserError("no system is left", "--only", "its works were trained on other data, networks or timesteps")
    return pages


def _named(work: Work, only: Only) -> bool:
    return "method" not in only or bool(set(only["method"]) & set(work.methods))


def _page(work: Work, works: Works, only: Only) -> Page:
    lines = [line for system in work.system for line in _lines(system, work, works, only)]
    records = [dict(zip(("setting", "common", "own", "differs", "where"), line.cells, strict=True)) for line in lines]
    groups = [{"work": work.name, "system": line.group} for line in lines]
    return Page(
        title=f"{display('method', work.methods[0])}: {work.paper}",
        subtitle=f"protocol {works.name}" + (f"; code: {work.code}" if work.code else "; no public code"),
        group="System",
        columns=COLUMNS,
        lines=tuple(lines),
        notes=tuple(_quirk(quirk) for quirk in work.quirk),
        records=tuple(group | record for group, record in zip(groups, records, strict=True)),
    )


def _quirk(quirk: Quirk) -> str:
    other = [f"{name} {_plain(value)}" for name, value in quirk.sane.given().items()]
    other += [f"{old} -> {new}" for old, new in quirk.bundles.items()]
    sane = f" Under own-sane: {', '.join(other)}." if other else ""
    return f"Unsaid in the paper: {quirk.says} ({quirk.where}). Under own: {quirk.here}.{sane}"


def _lines(system: System, work: Work, works: Works, only: Only) -> Iterator[Line]:
    """Of the first row that is of this system; a system has one recipe for all of them."""
    if (row := _row(system, work, only)) is None:
        return
    group = _label(system, work)
    if system.not_public:
        cells = ("recipe", "as all rows", "none", "not public", system.not_public)
        yield Line(group=group, tone="open", cells=cells)
        return
    made = steps(row, works, None, False)
    for name, common, own in (*_bundle(row, made[-1]), *_recipe(row, made[-1], system)):
        differs = common != own
        where = _where(name, work, system)
        yield Line(
            group=group,
            tone="high" if differs else "plain",
            cells=(name.replace("_", " "), common, own, "differs" if differs else "", where),
        )
    for number, step in enumerate(made[:-1], start=1):
        text = f"{step.method}, T = {step.timesteps}: {_other(step.recipe, made[-1].recipe)}"
        where = _where("phases", work, system)
        yield Line(group=group, tone="high", cells=(f"phase {number}, before", "–", text, "differs", where))


def _row(system: System, work: Work, only: Only) -> Row | None:
    """One that the tables have of it, as far as `only` leaves some."""
    for name in tables.table_names():
        for row in tables.load_table(name).row:
            wanted = all(str(getattr(row, key)) in values for key, values in only.items() if key in ASKED)
            if row.method in work.methods and system.of(row) and wanted:
                return row
    return None


def _label(system: System, work: Work) -> str:
    sets = ", ".join(display("dataset", name) for name in system.datasets)
    networks = ", ".join(display("architecture", name) for name in system.architecture)
    times = f"T = {', '.join(map(str, system.timesteps))}" if system.timesteps else ""
    return "; ".join(part for part in (sets, networks, times) if part)


def _bundle(row: Row, step: Step) -> Iterator[tuple[str, str, str]]:
    """The network, and every part that is not the baseline's in one of the two."""
    yield "architecture", row.architecture, step.architecture
    plain = _baseline()
    idea, system = (baselines.METHODS.get(name) for name in (row.method, step.method))
    for slot in SLOTS:
        common, own = (getattr(bundle, slot) for bundle in (idea, system))
        if slot == "surrogate":
            yield slot, _value(common) if common else "the recipe's", _value(own) if own else "the recipe's"
        elif not (common == own == getattr(plain, slot)):
            yield slot, _value(common), _value(own)


def differing(row: Row, protocol: Protocol) -> Iterator[tuple[str, str, str]]:
    """(setting, common, own) of those in which a row's own training differs; nothing where it has none."""
    if not isinstance(protocol, Works) or protocol.blank(row) or row.method not in baselines.METHODS:
        return
    system = protocol.system_of(row)
    assert system is not None
    step = steps(row, protocol, None, False)[-1]
    for name, common, own in (*_bundle(row, step), *_recipe(row, step, system)):
        if common != own:
            yield name, common, own


def _baseline() -> Any:
    from baselines.method import Method

    return Method()


def slots_of(name: str) -> set[str]:
    """The parts of a bundle that are not the baseline's."""
    plain, bundle = _baseline(), baselines.METHODS.get(name)
    return {slot for slot in SLOTS if getattr(bundle, slot) != getattr(plain, slot)}


def _recipe(row: Row, step: Step, system: System) -> Iterator[tuple[str, str, str]]:
    common = tables.load_protocol(COMMON).recipe[row.dataset]
    origin = tables.load_origins().get(row.method)
    common = origin.after(common) if origin is not None else common
    said = [notable(common), notable(step.recipe), system.recipe.given()]
    spared = {"surrogate"} if baselines.METHODS.get(step.method).surrogate else set()
    spared |= {"momentum"} if step.recipe.optimiser != "sgd" else set()
    for name in (name for name in Recipe.__struct_fields__ if name not in spared):
        values = [getattr(recipe, name) for recipe in (common, step.recipe)]
        if any(name in each for each in said) and values != [None, None]:
            yield name, *(_plain(value) for value in values)


def _other(recipe: Recipe, main: Recipe) -> str:
    """Fields of a phase that are not as in the last one."""
    pairs = ((name, getattr(recipe, name)) for name in Recipe.__struct_fields__)
    return ", ".join(f"{name} {_plain(value)}" for name, value in pairs if value != getattr(main, name))


def _where(name: str, work: Work, system: System) -> str:
    name = name if name in work.source or name in work.chosen else _covering(name, system)
    stated = [work.source[name]] if name in work.source else []
    return "; ".join([*stated, *([f"chosen: {work.chosen[name]}"] if name in work.chosen else [])])


def _covering(name: str, system: System) -> str:
    return "protocol" if system.protocol and name in Recipe.__struct_fields__ else name


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_plain, value)) or "none"
    if value is None:
        return "its own"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(part: object) -> str:
    """``Neuron(charge=Leak(tau=0.5), v_th=1, ...)`` of a frozen part: its type and fields, but for parts of none."""
    if dataclasses.is_dataclass(part):
        fields = ((field.name, _value(getattr(part, field.name))) for field in dataclasses.fields(part))
        told = ", ".join(f"{name}={text}" for name, text in fields if not text.endswith("()") and text != "none")
        return f"{type(part).__name__}({told})"
    if isinstance(part, Sequence) and not isinstance(part, str):
        return f"({', '.join(map(_value, part))})"
    return _plain(part) if part is not None else "none"
