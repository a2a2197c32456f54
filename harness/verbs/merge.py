"""Take over what another store knows and this one does not. Nothing here is overwritten; done again, it does nothing.

Two results of one cell agree if all that repeats to the bit is equal: curves, accuracies, parameters, samples, proofs.
When, where and how fast they were trained is not compared. Those that differ are a conflict, and stay where they are.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from harness import durable, opened
from harness.columns import columns
from harness.errors import UserError
from harness.spec import Cell
from harness.store import Store
from harness.store.probes import FILES
from harness.store.result import Result

PROVENANCE = ("version", "environment", "attempts", "started", "finished", "seconds", "resumed", "weights", "begun")
"""Fields of a result that say how it came about; beside them, the curve's seconds."""
LATER = ("rates", "pixels")
"""What older results do not tell."""
CHECKPOINTS = "checkpoint*"
HERE = "already here"
PART = 1 << 20
MANY = 200
"""More cells than this are counted, not listed."""


@dataclass(kw_only=True)
class Merged:
    """What was done (or would be) with each cell, and what was not."""

    dry_run: bool
    did: list[tuple[str, Cell]] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """For people: each cell that was taken over, then the counts."""
        taken = [(what, cell) for what, cell in self.did if what != HERE]
        counts = Counter(what for what, _ in self.did)
        told = [_counted(count, what) for what, count in counts.most_common()] or ["nothing to merge"]
        head = "would merge: " if self.dry_run else "merged: "
        rows = [(what, cell.key, cell.label) for what, cell in taken]
        listed = [columns(rows)] if rows and len(rows) <= MANY else []
        refused = [f"{len(self.problems)} left alone, see below"] if self.problems else []
        return [*listed, head + ", ".join([*told, *refused])]


def merge(other_root: Path, root: Path, *, checkpoints: bool = False, dry_run: bool = False) -> Merged:
    """Results, and failures where nothing is known here, with logs, weights and probes; `checkpoints` of others too.

    Raises UserError if `other_root` is no store, or this one.
    """
    check(other_root, root)
    other, store, done = Store(other_root), Store(root), Merged(dry_run=dry_run)
    if not dry_run:
        store.prepare()
    for key in other.find(""):
        known = len(other.problems)
        try:
            done.did += _cell(key, other, store, checkpoints=checkpoints, dry_run=dry_run)
        except UserError as problem:
            done.problems.append(problem)
        done.problems += [UserError(p.what, p.where, "left out") for p in other.problems[known:]]
    return done


def check(other: Path, root: Path) -> None:
    """Raises UserError if `other` is no store, or the one at `root`."""
    if not other.is_dir():
        raise UserError("no such folder", str(other), "type the folder of another store")
    if root.exists() and other.samefile(root):
        raise UserError("is the store itself", str(other), "type the folder of another one")
    if not Store(other).find(""):
        raise UserError("is no store: it has no folder that is named by a cell's key", str(other), "is it a level up?")


UNCOMPARED = ("seconds", "by_timesteps")
"""Of a curve: what differs from run to run, and what older results do not tell."""


def differences(one: Result, two: Result) -> list[str]:
    """Where two results of a cell disagree, as ``curve.test_loss[3]``; empty if they agree."""
    return list(_unlike(_science(one), _science(two), ""))


def _cell(key: str, other: Store, store: Store, *, checkpoints: bool, dry_run: bool) -> Iterator[tuple[str, Cell]]:
    """What was done with one cell. Raises UserError if it is refused."""
    cell = other.cell(key)
    theirs = other.result(cell) if cell is not None and cell.key == key else _alone(key, other)
    cell = theirs.cell if theirs is not None else cell
    if cell is None or cell.key != key:
        return
    ours = store.result(cell)
    if theirs is not None and ours is not None:
        _agree(cell, ours, theirs)
        same = theirs.weights == ours.weights  # cells begin from them, by the hash in the result
        what, files = HERE, [*["weights.pt"] * same, *_probes(cell, other)]
    elif ours is not None:
        return
    elif theirs is not None:
        what, files = "result", ["weights.pt", *_probes(cell, other), "log.txt", "result.json"]
    elif other.failure(cell) is not None:
        if store.failure(cell) is not None:
            return
        what, files = "failure", ["weights.pt", "log.txt", "failed.json"]
    elif checkpoints and _unfinished(cell, other, store):
        names = sorted(path.name for path in other.folder(cell).glob(CHECKPOINTS))
        what, files = "checkpoint", [*names[::-1], "progress.json", "log.txt"]
    else:
        return
    files = [name for name in files if os.path.lexists(other.folder(cell) / name)]
    if what == HERE:
        files = [name for name in files if not os.path.lexists(store.folder(cell) / name)]
    if files and not dry_run:
        _take(cell, other, store, files)
    yield what, cell


def _probes(cell: Cell, other: Store) -> list[str]:
    """Files of what was computed from its weights, where they can be read."""
    found = other.probes(cell)
    return [file for name, file in FILES.items() if getattr(found, name) is not None]


def _alone(key: str, other: Store) -> Result | None:
    """A result whose folder has lost the description of its cell."""
    return next((result for result in other.results([key])), None)


def _agree(cell: Cell, ours: Result, theirs: Result) -> None:
    """Raises UserError for a conflict."""
    if not (places := differences(ours, theirs)):
        return
    both = f"{_values(ours)} here, {_values(theirs)} there"
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    advice = "nothing was changed; train it in a third store to see which repeats"
    raise UserError(f"conflict: {both}; they differ in {places[0]}{more}", f"{cell.key} {cell.label}", advice)


def _values(result: Result) -> str:
    return f"best {result.best_accuracy:.2f} %, last {result.last_accuracy:.2f} %"


def _unfinished(cell: Cell, other: Store, store: Store) -> bool:
    """Whether a checkpoint is there, none here, and nobody trains the cell there. Raises UserError if somebody does."""
    here, there = ([*s.folder(cell).glob(CHECKPOINTS)] for s in (store, other))
    if here or not there:
        return False
    if (held := other.holder(cell)) is not None:
        raise UserError(f"process {held.pid} on {held.host} trains it there", f"{cell.key} {cell.label}")
    return True


def _take(cell: Cell, other: Store, store: Store, names: list[str]) -> None:
    """Copy files of one cell, the last of `names` last, while nobody trains it here. Raises UserError."""
    mine = store.claim(cell)
    if mine is None:
        held = store.holder(cell)
        who = f"process {held.pid} on {held.host}" if held is not None else "another process"
        raise UserError(f"{who} has it here", f"{cell.key} {cell.label}", "type the same again when that has ended")
    with mine:
        if store.result(cell) is not None and not {*names} <= {"weights.pt", *FILES.values()}:
            raise UserError("has ended here just now", f"{cell.key} {cell.label}", "type the same again")
        if names[-1] == "result.json":
            store.set_aside(cell)  # one that cannot be read
        for name in names:
            _copy(other.folder(cell) / name, store.folder(cell) / name)


def _copy(source: Path, target: Path) -> None:
    """In one step. A log that is here already is kept, the other's lines below it. Raises UserError."""
    with durable.replacing(target) as file:
        if target.name == "log.txt" and target.exists():
            file.writelines(_parts(target))
            file.write(b"--- merged from another store:\n")
        file.writelines(_parts(source))


def _parts(path: Path) -> Iterator[bytes]:
    """Of a file, however large; no link is followed. Raises UserError."""
    try:
        with opened.reading(path) as file:
            while part := file.read(PART):
                yield part
    except OSError as error:
        raise UserError(f"cannot be read ({(error.strerror or str(error)).lower()})", str(path)) from None


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 or what == HERE else f"{count} {what}s"


def _science(result: Result) -> dict[str, Any]:
    told = msgspec.to_builtins(result)
    kept = {name: value for name, value in told.items() if name not in PROVENANCE + LATER}
    return kept | {"curve": {name: value for name, value in told["curve"].items() if name not in UNCOMPARED}}


def _unlike(one: Any, two: Any, place: str) -> Iterator[str]:
    """Paths of the leaves in which two trees of dicts and lists differ; a NaN is itself."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            yield from _unlike(one.get(key), two.get(key), f"{place}.{key}" if place else key)
    elif isinstance(one, list | tuple) and isinstance(two, list | tuple) and len(one) == len(two):
        for index, pair in enumerate(zip(one, two, strict=True)):
            yield from _unlike(*pair, f"{place}[{index}]")
    elif one != two and not (one != one and two != two):
        yield place
