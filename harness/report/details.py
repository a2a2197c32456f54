"""What lies behind one row: its seeds, curves, fold proofs, layers, provenance, and the command that repeats it."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.amounts import duration
from harness.plan import Line
from harness.report.chart import curves
from harness.report.gather import Found, Sight
from harness.report.markup import Html, element, joined
from harness.spec import Cell, Row, notable
from harness.stats import Outcome, RowSummary
from harness.store.result import Failure, FoldProof, Progress, Result
from harness.verbs.session import PROTOCOL

ELSEWHERE = "results/repeat"
"""A store of its own, where the finished cells are not found."""
LABELS = {"memory_gib": "memory, GiB", "cpu": "processor", "cuda": "CUDA of torch", "python": "Python"}
COMMIT = re.compile(r"[0-9a-f]{7,64}(\+dirty)?")
SIGN = {"done": "✓", "failed": "✗", "running": "…", "missing": "–"}


def details(found: Found, sight: Sight, line: Line) -> Html:
    """Raises nothing: a row without cells says why."""
    summary, results = sight.summary(line), sight.of(line)
    judgement = _judgement(sight, line, summary)
    if not line.cells:
        return element("div", judgement, class_="details")
    left, right = (
        [_part("Seeds", _seeds(line, sight.outcomes))],
        [_part("Repeat it", _repeat(found, sight, line, results))],
    )
    if chart := curves(results):
        left.append(_part("Curves", chart))
    if results:
        left.append(_part("Fold proof", _proofs(results)))
        right.append(_part("Provenance", _provenance(results)))
    left.append(_part("Recipe", _recipe(line.cells[0])))
    return element("div", judgement, element("div", *left), element("div", *right), class_="details")


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), label: str) -> Html:
    """A small table; the columns `right` hold numbers, the first names its rows."""

    def cell(tag: str, i: int, text: str, **more: str) -> Html:
        return element(tag, text, class_="right" if i in right else None, **more)

    head = element("tr", *(cell("th", i, text, scope="col") for i, text in enumerate(heads)))
    body = [
        element("tr", *(cell("td" if i else "th", i, text, **({} if i else {"scope": "row"})) for i, text in row))
        for row in map(list, map(enumerate, rows))
    ]
    table = element("table", element("thead", head), element("tbody", *body), aria_label=label)
    return element("div", table, class_="scroll")


def command(text: str) -> Html:
    """Something to type, with a button that copies it."""
    words = [element("span", Html(joined(word).replace(",", ",<wbr>"))) for word in text.split(" ")]
    return element(
        "div",
        element("code", Html(" ".join(words))),
        element("button", "Copy", type="button", class_="copy", aria_label=f"Copy: {text}"),
        class_="command",
    )


def terms(pairs: Mapping[str, str | Html]) -> Html:
    entries = (element("div", element("dt", name), element("dd", said)) for name, said in pairs.items() if said)
    return element("dl", *entries)


def _part(title: str, content: Html) -> Html:
    return element("section", element("h4", title), content)


def _judgement(sight: Sight, line: Line, summary: RowSummary) -> Html:
    told = [f"{summary.verdict[:1].upper()}{summary.verdict[1:]}{_because(sight, line, summary)}."]
    if summary.evidence:
        told.append(f"Evidence: {summary.evidence}.")
    told += [f"{text[:1].upper()}{text[1:]}." for text in (*summary.troubles, line.row.remark) if text]
    if line.row.change.text:
        told.append(f"Unlike the protocol: {line.row.change.text}.")
    return element("p", " ".join(told), class_="judgement")


def _because(sight: Sight, line: Line, summary: RowSummary) -> str:
    if line.blank:
        return ": nothing is trained for this row"
    if summary.sample.n < summary.asked:
        return f": {summary.sample.n} of {summary.asked} seeds have a number"
    if sight.plan.preset:
        return f": preset {sight.plan.preset} is not the paper's experiment"
    if summary.difference is None or summary.tolerance is None:
        return ""
    distance = f"{abs(summary.difference):.2f} points {'above' if summary.difference > 0 else 'below'} the paper"
    return f": {distance}; within {summary.tolerance:.2f} counts as reproduced"


def _seeds(line: Line, outcomes: Mapping[str, Outcome]) -> Html:
    rows = [_seed(cell, outcomes.get(cell.key)) for cell in line.cells]
    heads = ("Seed", "State", "Accuracy", "Best (epoch)", "Last", "Trained for", "Folds passed", "Cell")
    return grid(heads, rows, right=(0, 2, 3, 4, 5, 6), label="Seeds of this row")


def _seed(cell: Cell, outcome: Outcome) -> tuple[str, ...]:
    seed, empty, key = str(cell.seed), ("–",) * 5, element("code", cell.key)
    if isinstance(outcome, Result):
        return (
            seed,
            f"{SIGN['done']} done" if math.isfinite(outcome.accuracy) else f"{SIGN['failed']} no number",
            f"{outcome.accuracy:.2f}",
            f"{outcome.best_accuracy:.2f} ({outcome.best_epoch})",
            f"{outcome.last_accuracy:.2f}",
            duration(outcome.seconds),
            f"{sum(proof.passed for proof in outcome.proofs)} of {len(outcome.proofs)}",
            key,
        )
    if isinstance(outcome, Failure):
        return (seed, f"{SIGN['failed']} {outcome.kind}, epoch {outcome.epoch}: {outcome.reason}", *empty, key)
    if isinstance(outcome, Progress):
        return (seed, f"{SIGN['running']} running, epoch {outcome.epoch} of {outcome.epochs}", *empty, key)
    return (seed, f"{SIGN['missing']} missing", *empty, key)


def _proofs(results: Sequence[Result]) -> Html:
    """One line for each fold and precision, over all seeds; then the layers of the network."""
    kinds = dict.fromkeys((p.fold, p.precision, p.exact) for r in results for p in r.proofs)
    if not kinds:
        return element("p", "No fold proof was recorded.")
    rows = [_proof([p for r in results for p in r.proofs if (p.fold, p.precision, p.exact) == kind]) for kind in kinds]
    heads = ("Fold", "Precision", "Claim", "Passed", "Spikes differing", "of compared", "Largest logit Δ")
    reading = (
        "After training, the network and its folded form ran on the same test samples, and every spike was compared."
    )
    return joined(
        element("p", reading, class_="reading"),
        grid(heads, rows, right=(3, 4, 5, 6), label="Fold proofs of this row"),
        *_why([p for r in results for p in r.proofs if p.why]),
        _layers(results),
    )


def _proof(proofs: Sequence[FoldProof]) -> tuple[str, ...]:
    first = proofs[0]
    return (
        first.fold,
        first.precision,
        "exact" if first.exact else "rounds",
        f"{sum(proof.passed for proof in proofs)} of {len(proofs)}",
        f"{sum(proof.mismatches for proof in proofs):,}",
        f"{sum(layer.neurons for proof in proofs for layer in proof.layers):,}",
        f"{max(proof.logit_difference for proof in proofs):.2g}",
    )


def _why(proofs: Sequence[FoldProof]) -> Iterator[Html]:
    for proof in proofs:
        yield element("p", f"{proof.fold}, {proof.precision}: {proof.why}.")


def _layers(results: Sequence[Result]) -> Html | None:
    """Firing rates, from the first proof of each seed: before a fold they do not depend on it."""
    first = [result.proofs[0] for result in results if result.proofs]
    if len({tuple(layer.name for layer in proof.layers) for proof in first}) != 1:
        return None
    rows = []
    for layers in zip(*(proof.layers for proof in first), strict=True):
        rates = [100 * layer.rate for layer in layers]
        spread = f"{min(rates):.1f} – {max(rates):.1f}" if len(rates) > 1 else f"{rates[0]:.1f}"
        rows.append((layers[0].name, f"{layers[0].neurons:,}", f"{sum(rates) / len(rates):.1f}", spread))
    heads = ("Layer", "Chances to fire", "Firing rate, %", "Range over seeds")
    shown = grid(heads, rows, right=(1, 2, 3), label="Spiking layers of this row")
    return element("details", element("summary", f"Firing rate of {len(rows)} spiking layers"), shown)


def _provenance(results: Sequence[Result]) -> Html:
    said = [_flat(result) for result in results]
    names = dict.fromkeys(name for one in said for name in one)
    labels = {name: LABELS.get(name, name) for name in names}
    return terms(
        {
            labels[name]: _agreed([(r.cell.seed, one.get(name, "")) for r, one in zip(results, said, strict=True)])
            for name in names
        }
    )


def _agreed(said: Sequence[tuple[int, str]]) -> str:
    """What all seeds share, or each with its own."""
    values = dict.fromkeys(text for _, text in said)
    if len(values) == 1:
        return next(iter(values))
    seeds = {text: ", ".join(str(seed) for seed, its in said if its == text) for text in values}
    return "; ".join(f"seed {seeds[text]}: {text or 'not recorded'}" for text in values)


def _flat(result: Result) -> dict[str, str]:
    """Everything that was recorded of where and how, as text, by name."""
    told: dict[str, str] = {}
    for name, value in result.environment.items():
        if isinstance(value, dict):
            told[name] = ", ".join(f"{key} {part}" for key, part in value.items())
        elif value not in (None, "", 0):
            told[name] = f"{value:g}" if isinstance(value, float) else str(value)
    told["data"] = result.cell.data
    for split, seen in result.samples.items():
        if isinstance(seen, dict):
            told[f"{split} samples"] = f"{seen.get('samples', '?')}, SHA-256 {str(seen.get('fingerprint', '?'))[:16]}…"
    told["parameters"] = f"{result.parameters:,}"
    told["trained"] = f"{_minute(result.started)} to {_minute(result.finished)}" if result.started else ""
    told["resumed"] = f"{result.resumed} times" if result.resumed else ""
    return told


def _minute(when: str) -> str:
    """``2026-11-24 09:43 UTC`` for what the store records to the second."""
    return when[:16].replace("T", " ") + (" UTC" if when.endswith("+00:00") else when[19:])


def _recipe(cell: Cell) -> Html:
    shown = {name: _value(value) for name, value in notable(cell.recipe).items() if value is not None}
    return terms({name.replace("_", " "): text for name, text in shown.items()})


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _repeat(found: Found, sight: Sight, line: Line, results: Sequence[Result]) -> Html:
    commits = {str(result.environment.get("commit", "")) for result in results}
    parts: list[Html] = []
    if len(commits) == 1 and COMMIT.fullmatch(commit := commits.pop()):  # else it would be a stranger's command
        changed = " (and uncommitted changes, which nobody else has)" if commit.endswith("+dirty") else ""
        parts.append(element("p", f"The code that made it{changed}:"))
        parts.append(command(f"git checkout {commit.removesuffix('+dirty')}"))
    if not line.row.change.text and sight.plan.protocol != "as recorded":
        parts.append(element("p", f"This row, {len(line.cells)} seeds, into a store of its own:"))
        parts.append(command(_by_row(found, sight, line)))
    if results:
        store = found.shown.store
        cells = " ".join(shlex.quote((store / result.cell.key).as_posix()) for result in results)
        parts.append(element("p", f"Or exactly the {len(results)} cells of this report, as recorded in its store:"))
        parts.append(command(f"python -m harness run {cells} --store {ELSEWHERE}{_plugins(found)}"))
    return joined(*parts)


def _by_row(found: Found, sight: Sight, line: Line) -> str:
    words = ["python", "-m", "harness", "run", sight.name]
    words += ["--preset", sight.plan.preset] if sight.plan.preset else []
    words += ["--protocol", Path(found.shown.protocol).name] if found.shown.protocol not in (None, PROTOCOL) else []
    words += ["--only", _only(line.row)]
    words += ["--seeds", ",".join(str(cell.seed) for cell in line.cells), "--store", ELSEWHERE]
    return shlex.join(words) + _plugins(found)


def _only(row: Row) -> str:
    return ",".join(f"{key}={getattr(row, key)}" for key in ("method", "architecture", "dataset", "timesteps"))


def _plugins(found: Found) -> str:
    return "".join(f" --plugin {shlex.quote(name)}" for name in found.shown.plugin)
