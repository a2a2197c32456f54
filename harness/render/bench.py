"""A bench as a page: one group a setting, one line a subject."""

from __future__ import annotations

from collections.abc import Iterator

from harness.measure.spec import Benched, Timing
from harness.render.page import Column, Line, Page, Tone

COLUMNS = (
    Column(head="Subject"),
    Column(head="Against"),
    Column(head="Clock"),
    Column(head="ms", align="right"),
    Column(head="Ratio [95 %]", align="right"),
    Column(head="Verdict", toned=True),
    Column(head="Also", place="beneath"),
)


def bench_page(benched: Benched) -> Page:
    """Every timing; what the notes say of the machine is all that a published ratio needs beside it."""
    where = benched.environment
    return Page(
        title=benched.title,
        subtitle=f"{benched.rounds} rounds, shuffled, one process",
        group="Setting",
        columns=COLUMNS,
        lines=tuple(map(_line, benched.timings)),
        notes=(
            "A ratio of medians, its interval bootstrapped over rounds. A/A control: the reference against a second "
            "network built like it; a verdict is given only as far as the control allows.",
            f"{where['device']} ({where['cpu']}, {where['threads']} threads), torch {where['packages']['torch']}, "
            f"{where['neurons']}, {benched.when}: {where['command']}",
        ),
        records=tuple(_record(benched, timing) for timing in benched.timings),
    ).without_empty_columns()


def _line(timing: Timing) -> Line:
    return Line(
        group=timing.setting.title,
        tone=_tone(timing),
        cells=(
            timing.subject,
            timing.reference,
            timing.clock,
            f"{timing.milliseconds:.2f}",
            f"{timing.ratio:.3f} [{timing.low:.3f}, {timing.high:.3f}]",
            timing.verdict,
            ", ".join(f"{value:.3g} {name}" for name, value in timing.figures.items()),
        ),
    )


def _tone(timing: Timing) -> Tone:
    if timing.within is None or not timing.verdict:
        return "plain"
    return {"slower": "bad", "cannot tell": "open"}.get(timing.verdict, "good")  # type: ignore[return-value]


def _record(benched: Benched, timing: Timing) -> dict[str, object]:
    record: dict[str, object] = {"bench": benched.bench, **dict(_flat(timing))}
    return record


def _flat(timing: Timing) -> Iterator[tuple[str, object]]:
    for name in ("method", "architecture", "width", "timesteps", "batch"):
        yield name, getattr(timing.setting, name)
    for name in ("subject", "reference", "clock", "milliseconds", "ratio", "low", "high", "within", "verdict"):
        yield name, getattr(timing, name)
    yield "figures", "; ".join(f"{name} {value:.4g}" for name, value in timing.figures.items())
