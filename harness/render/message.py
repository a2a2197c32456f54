"""What a figure shows, as its title: from the numbers that are drawn, with what they leave open."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from harness.amounts import signed
from harness.render.drawn import Drawn, Group, Sketch, pairs_of
from harness.render.leads import Lead, average
from harness.stats import choices, sample, tells
from harness.store.probes import Landscape, area
from harness.store.result import Result


def message(kind: str, sketch: Sketch, leads: Sequence[Lead]) -> str:
    """Empty where there is nothing to tell."""
    said = OF[kind](sketch, leads)
    return said[:1].upper() + said[1:]


def _accuracy(sketch: Sketch, leads: Sequence[Lead]) -> str:
    """Of two methods their difference; of more, how many leads there are."""
    found = [lead for lead in leads if not lead.changed]
    pairs = list(dict.fromkeys((lead.left, lead.right) for lead in found))
    if len(pairs) != 1:
        return ""
    n, shown = len(found[0].differences), sum(lead.shown for lead in found)
    what = "it" if len(found) == 1 else "any of them"
    told = f"cannot tell {what} from nothing"
    if shown:
        told = "shows it" if len(found) == 1 else f"shows {shown} of {len(found)}"
    means = [lead.mean for lead in found]
    number = f"{signed(means[0])}{_interval(found[0].differences)}"
    if len(found) > 1:
        number = f"{signed(min(means))} to {signed(max(means))}"
        if (mean := average(found)) is not None:
            number = f"{number}, on average {signed(mean.mean)}{_interval(mean.differences)}"
    return f"{pairs[0][0]} minus {pairs[0][1]}: {number} points; n = {n} {told}"


def _changes(sketch: Sketch, leads: Sequence[Lead]) -> str:
    found = [lead for lead in leads if lead.changed]
    if not found:
        return ""
    alone, shown = sum(lead.alone for lead in found), sum(lead.shown for lead in found)
    n = " or ".join(map(str, sorted({len(lead.differences) for lead in found})))
    return (
        f"Of {len(found)} changes n = {n} tells {alone} from nothing, each by itself, "
        f"{shown} when corrected for {len(found)} looks"
    )


def _choices(sketch: Sketch, leads: Sequence[Lead]) -> str:
    """Of every choice of three seeds, in all panels together, how many told; beside what all of them tell."""
    pairs = [differences for group in sketch.groups for _, _, differences in pairs_of(group)]
    found = [(sample(differences), made) for differences in pairs if (made := choices(differences))]
    if not found:
        return ""
    each = [one for _, made in found for one in made]
    told, whole = sum(tells(one) != 0 for one in each), sum(tells(all_of) != 0 for all_of, _ in found)
    n = " or ".join(map(str, sorted({all_of.n for all_of, _ in found})))
    comparisons = f"{len(found)} comparison{'s' * (len(found) > 1)}"
    return (
        f"Of {len(each)} choices of three seeds {100 * told / len(each):.0f} % tell a method from its base; "
        f"all {n} seeds do in {whole} of {comparisons}"
    )


def _inflation(sketch: Sketch, leads: Sequence[Lead]) -> str:
    gaps = [gap for result in sketch.results if math.isfinite(gap := result.best_accuracy - result.last_accuracy)]
    if not gaps:
        return ""
    runs = f"{len(gaps)} run{'s' * (len(gaps) > 1)}"
    if not any(gaps):
        return f"Choosing the epoch on test data added nothing: in all {runs} the last epoch was the best"
    mean = sample(gaps)
    spread = f" (±{mean.std:.2f} over {runs}, at most {max(gaps):.2f})" if mean.std is not None else ""
    return f"Choosing the epoch on test data added {mean.mean:.2f} points{spread}"


def _rates(sketch: Sketch, leads: Sequence[Lead]) -> str:
    def rate(result: Result) -> float:
        return 100 * statistics.fmean(layer.rate for layer in result.spiking_layers)

    told = [
        f"{label} {_range(means)} %"
        for label, rows in _by_label(sketch).items()
        if (means := [statistics.fmean(map(rate, its)) for row in rows if (its := _proved(row))])
    ]
    return f"Mean firing rate of the layers: {', '.join(told)}" if told else ""


def _energy(sketch: Sketch, leads: Sequence[Lead]) -> str:
    """What each costs at the same accuracy is not told: of a point a row, how much energy its accuracy takes."""
    told = []
    for label, rows in _by_label(sketch).items():
        spent = [[p.microjoules for _, p in sketch.probed(row, "operations")] for row in rows]
        if means := [statistics.fmean(its) for its in spent if its]:
            told.append(f"{label} {_range(means)} µJ")
    return "; ".join(filter(None, [_accuracy(sketch, leads), f"an image takes {', '.join(told)}" if told else ""]))


def _landscape(sketch: Sketch, leads: Sequence[Lead]) -> str:
    """How the areas of two methods differ, seed by seed, under each kind of statistics, in each panel's setting."""
    pairs = {group.title: rows for group in sketch.groups if len(rows := _with_landscape(sketch, group)) == 2}
    if not pairs:
        return ""
    right, left = (row.label for row in next(iter(pairs.values())))
    subject = f"Area under the loss, {left} minus {right}"
    if len(pairs) == 1:
        ((_, rows),) = pairs.items()
        told = ", ".join(f"{_areas(sketch, rows, kind)} with {words}" for kind, words in KINDS.items())
        return f"{subject}: {told}; smaller is flatter"
    kinds = {
        words: ", ".join(f"{_areas(sketch, rows, kind)} on {_first(title)}" for title, rows in pairs.items())
        for kind, words in KINDS.items()
    }
    return f"{subject}: {'; '.join(f'with {words} {told}' for words, told in kinds.items())}; smaller is flatter"


def _with_landscape(sketch: Sketch, group: Group) -> list[Drawn]:
    return [row for row in group.rows if sketch.probed(row, "landscape")]


def _first(title: str) -> str:
    """The data set of a panel's title."""
    return title.partition(" · ")[0]


KINDS = {"running": "statistics as trained", "re-estimated": "statistics re-estimated"}


def _areas(sketch: Sketch, rows: Sequence[Drawn], kind: str) -> str:
    held: list[dict[int, float]] = []
    for row in rows:
        found: Iterable[tuple[Result, Landscape]] = sketch.probed(row, "landscape")
        held.append({r.cell.seed: value for r, p in found if math.isfinite(value := area(p, kind))})  # type: ignore[arg-type]
    both = [held[1][seed] - held[0][seed] for seed in sorted(held[0].keys() & held[1].keys())]
    return f"{signed(statistics.fmean(both))}{_interval(both)}" if both else "no pair"


def _potentials(sketch: Sketch, leads: Sequence[Lead]) -> str:
    told = []
    for label, rows in _by_label(sketch).items():
        steps = [step for row in rows for _, probe in sketch.probed(row, "potentials") for step in probe.steps]
        fired = [100 * (step.after or step.before).above for step in steps]
        if fired:
            told.append(f"{label} {_range(fired)} %")
    return f"Elements above V in a layer and step: {', '.join(told)}" if told else ""


def _thresholds(sketch: Sketch, leads: Sequence[Lead]) -> str:
    probes = [p for group in sketch.groups for row in group.rows for _, p in sketch.probed(row, "potentials")]
    medians = [fold.quantiles[3] for probe in probes for fold in probe.thresholds if fold.quantiles]
    if not medians:
        return ""
    before = probes[0].threshold
    return f"V = {before:g} becomes {_range(medians)} in the median of a layer ({len(medians)} layers and seeds)"


def _latency(sketch: Sketch, leads: Sequence[Lead]) -> str:
    """What each method comes to when it has seen all its timesteps: from the worst of its networks to the best."""
    told = []
    for label, rows in _by_label(sketch).items():
        means: dict[int, list[float]] = {}
        for row in (row for row in rows if row.results):
            last = statistics.fmean(result.last_accuracy for result in row.results)
            means.setdefault(row.shown.line.row.timesteps, []).append(last)
        for timesteps, its in sorted(means.items()):
            reach = dict.fromkeys(f"{value:.2f}" for value in (min(its), max(its)))
            told.append(f"{label} {' to '.join(reach)} %{f' after {timesteps} timesteps' if timesteps > 1 else ''}")
    return ", ".join(told)


OF: dict[str, Callable[[Sketch, Sequence[Lead]], str]] = {
    "curves": _accuracy,
    "landscape": _landscape,
    "potentials": _potentials,
    "thresholds": _thresholds,
    "rates": _rates,
    "inflation": _inflation,
    "energy": _energy,
    "latency": _latency,
    "changes": _changes,
    "choices": _choices,
}


def _by_label(sketch: Sketch) -> dict[str, list[Drawn]]:
    found: dict[str, list[Drawn]] = {}
    for row in (row for group in sketch.groups for row in group.rows):
        found.setdefault(row.label, []).append(row)
    return found


def _proved(row: Drawn) -> list[Result]:
    return [result for result in row.results if result.spiking_layers]


def _range(values: Sequence[float]) -> str:
    """``24 to 49``; one number where they are alike."""
    low, high = (f"{value:.2f}" if max(values) < 10 else f"{value:.0f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _interval(differences: Sequence[float]) -> str:
    ends = sample(differences).interval
    return f" [{signed(ends[0])}, {signed(ends[1])}]" if ends else ""
