"""A bench as pages: its timings, how costs grow, and the targets it is held against; with pictures, as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness import durable
from harness.measure.spec import LOOP, Benched, Growth, Met, Timing
from harness.render.page import Column, Line, Page, Tone
from harness.render.tried import STAND_IN, tried_pages

FIGURES = ("MiB saved", "MiB at the peak")
"""Of a timing's figures."""
COLUMNS = (
    Column(head="Subject"),
    Column(head="Against"),
    Column(head="Clock"),
    Column(head="ms", align="right"),
    Column(head="Ratio [95 %]", align="right"),
    Column(head="Verdict", toned=True),
    *(Column(head=name, align="right", place="beneath") for name in FIGURES),
    Column(head="Neurons computed by", place="beneath"),
)
GROWTH = (
    Column(head="Grows"),
    Column(head="Over"),
    Column(head="Sizes"),
    Column(head="Values"),
    Column(head="Exponent [95 %]", align="right"),
    Column(head="r²", align="right"),
)
TARGETS = (
    Column(head="Target"),
    Column(head="Of"),
    Column(head="Asked", align="right"),
    Column(head="Measured [95 %]", align="right"),
    Column(head="Verdict", toned=True),
)


def write(benched: Benched, stem: Path) -> list[Path]:
    """The pages as Markdown and the pictures beside each other, `stem` with their endings. Raises UserError."""
    from harness.render import crossing, forest, growth, look, render

    contents = {".md": f"{render(bench_pages(benched), 'markdown')}\n".encode()}
    pictures = {} if benched.checks else {"": forest.draw(benched)}  # of a GPU's sections, each has its own subjects
    pictures |= {"-growth": growth.draw(benched)} if benched.growth else {}
    if crossing.has_rates(benched):
        pictures["-rates"] = crossing.draw(benched)
    for name, picture in pictures.items():
        drawn = look.files(picture, benched.title)
        contents |= {f"{name}.{suffix}": drawn[suffix] for suffix in ("svg", "png")}
    for ending, content in contents.items():
        durable.write(stem.with_name(stem.name + ending), content)
    return [stem.with_name(stem.name + ending) for ending in contents]


def bench_pages(benched: Benched) -> list[Page]:
    """What was tried, then timings; growth and targets where the bench has them."""
    pages = tried_pages(benched, _where(benched))
    pages += [bench_page(benched)] if benched.timings else []
    if benched.growth:
        pages.append(_growth_page(benched))
    if benched.targets:
        pages.append(_target_page(benched))
    return pages


def bench_page(benched: Benched) -> Page:
    """Every timing; what the notes say of the machine is all that a published ratio needs beside it."""
    counts = sorted({timing.rounds or benched.rounds for timing in benched.timings})
    return Page(
        title=benched.title,
        subtitle=f"{' or '.join(map(str, counts))} rounds, shuffled, one process",
        group="Setting",
        columns=COLUMNS,
        lines=tuple(map(_line, benched.timings)),
        notes=(
            "A ratio of medians, its interval bootstrapped over rounds. A/A control: the reference against a second "
            "network built like it; a verdict is given only as far as the control allows.",
            *_looped(benched),
            *benched.notes,
            *([STAND_IN] if benched.stand_in else []),
            *([f"Interrupted; not timed: {'; '.join(benched.left)}."] if benched.left else []),
            _where(benched),
        ),
        records=tuple(_record(benched, timing) for timing in benched.timings),
    ).without_empty_columns()


def _looped(benched: Benched) -> list[str]:
    """Who waits for Python at every timestep: nobody should, unseen."""
    told = dict.fromkeys(timing.subject for timing in benched.timings if timing.computed)
    looped = dict.fromkeys(timing.subject for timing in benched.timings if LOOP in timing.computed)
    if not told:
        return []
    if not looped:
        return ["No layer of neurons is computed by a Python loop over the timesteps."]
    return [f"By a Python loop over the timesteps: {', '.join(looped)} ({len(looped)} of {len(told)})."]


def _where(benched: Benched) -> str:
    """The machine, as far as the record says it: one of another version, or of a stranger, may lack anything."""
    said = {
        name: str(benched.environment.get(name, "?")) for name in ("device", "cpu", "threads", "neurons", "command")
    }
    packages = benched.environment.get("packages")
    torch = packages.get("torch", "?") if isinstance(packages, dict) else "?"
    machine = f"{said['device']} ({said['cpu']}, {said['threads']} threads), torch {torch}, {said['neurons']}"
    return f"{machine}, {benched.when}: {said['command']}"


def _line(timing: Timing) -> Line:
    return Line(
        group=timing.setting.title + (f", {timing.group}" if timing.group else ""),
        tone=_tone(timing),
        cells=(
            timing.subject,
            timing.reference,
            timing.clock,
            f"{timing.milliseconds:.2f}",
            f"{timing.ratio:.3f} [{timing.low:.3f}, {timing.high:.3f}]",
            timing.verdict,
            *(f"{timing.figures[name]:.1f}" if name in timing.figures else "" for name in FIGURES),
            timing.computed,
        ),
    )


def _tone(timing: Timing) -> Tone:
    if timing.within is None or not timing.verdict:
        return "plain"
    return {"slower": "bad", "cannot tell": "open"}.get(timing.verdict, "good")  # type: ignore[return-value]


def _growth_page(benched: Benched) -> Page:
    return Page(
        title="Growth",
        subtitle="a power law through the medians: 1 is linear",
        group="Setting",
        columns=GROWTH,
        lines=tuple(map(_growth_line, benched.growth)),
        records=tuple(_growth_record(benched, growth) for growth in benched.growth),
    )


def _growth_line(growth: Growth) -> Line:
    return Line(
        group=f"{growth.setting.title}, and upwards",
        cells=(
            f"{growth.subject}: {growth.what}",
            growth.over,
            ", ".join(f"{size:g}" for size in growth.sizes),
            ", ".join(f"{value:.3g}" for value in growth.values),
            f"{growth.exponent:.3f} [{growth.low:.3f}, {growth.high:.3f}]",
            f"{growth.r_squared:.3f}",
        ),
    )


def _target_page(benched: Benched) -> Page:
    return Page(
        title="Targets",
        subtitle="met or missed where the whole interval says so",
        columns=TARGETS,
        lines=tuple(map(_target_line, benched.targets)),
        records=tuple(_target_record(benched, met) for met in benched.targets),
    )


def _target_line(met: Met) -> Line:
    target = met.target
    bound = f"≤ {target.at_most:g}" if target.at_most is not None else "–"
    bound = f"≥ {target.at_least:g}" if target.at_least is not None else bound
    exact = met.low == met.high
    tones: dict[str, Tone] = {"met": "good", "missed": "bad", "cannot tell": "open"}
    return Line(
        tone=tones[met.verdict],
        cells=(
            target.says,
            f"{target.of}, {target.subject} against {target.reference}",
            bound,
            f"{met.measured:.3f}" if exact else f"{met.measured:.3f} [{met.low:.3f}, {met.high:.3f}]",
            met.verdict,
        ),
    )


def _growth_record(benched: Benched, growth: Growth) -> dict[str, object]:
    lists = {name: "; ".join(f"{value:g}" for value in getattr(growth, name)) for name in ("sizes", "values")}
    names = ("subject", "what", "over", "exponent", "low", "high", "r_squared")
    kept = {name: getattr(growth, name) for name in names}
    return {"bench": benched.bench, "setting": growth.setting.title, **kept, **lists}


def _target_record(benched: Benched, met: Met) -> dict[str, object]:
    found = {name: getattr(met, name) for name in ("measured", "low", "high", "verdict")}
    return {"bench": benched.bench, **msgspec.structs.asdict(met.target), **found}


def _record(benched: Benched, timing: Timing) -> dict[str, object]:
    return {"bench": benched.bench, **dict(_flat(timing))}


def _flat(timing: Timing) -> Iterator[tuple[str, object]]:
    for name in ("method", "architecture", "size", "width", "timesteps", "batch"):
        yield name, getattr(timing.setting, name)
    for name in ("subject", "reference", "clock", "milliseconds", "ratio", "low", "high", "within", "verdict"):
        yield name, getattr(timing, name)
    for name in FIGURES:
        yield name.lower().replace(" ", "_"), timing.figures.get(name)
    yield "group", timing.group
    yield "computed", timing.computed
