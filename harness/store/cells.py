"""Results on disk: one folder a cell, named by its key; never written twice, never half-written.

<root>/<key>/cell.json       what is trained here
             claim           who trains it now (see `claim.py`)
             progress.json   how far it is
             result.json     what came out        | one of
             failed.json     why nothing came out | the two
             log.txt         what it printed
             weights.pt      the network after its last epoch
             landscape.json, potentials.json, operations.json   what was computed from these, see `probes.py`
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from harness import durable
from harness.errors import UserError
from harness.spec import Cell, Recipe
from harness.store import claim, index, reading
from harness.store.probes import FILES, Landscape, Operations, Potentials, Probes
from harness.store.reading import Unread
from harness.store.result import Done, Failure, Progress, Result

Record = TypeVar("Record")

_KEY = re.compile(r"[0-9a-f]{16}")
LONGEST = 1e9
"""Seconds that a cell may say it still needs: thirty years."""


class Store:
    """The folder of results. Reading never raises: what cannot be read is gathered in `problems`, a line each."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._problems: dict[Path, UserError] = {}
        self._recipes: dict[Recipe, Recipe] = {}

    @property
    def problems(self) -> tuple[UserError, ...]:
        """What was wrong with files read so far; or that there is no such folder at all."""
        absent = UserError("there is no such folder; nothing was read from it", str(self.root))
        return tuple(self._problems.values()) if os.path.lexists(self.root) else (absent,)

    def folder(self, cell: Cell | str) -> Path:
        """Of a cell, given itself or its key."""
        return self.root / (cell if isinstance(cell, str) else cell.key)

    def log(self, cell: Cell | str) -> Path:
        return self.folder(cell) / "log.txt"

    def prepare(self) -> None:
        """Make the folder and prove that it can be written. Raises UserError."""
        durable.make_folder(self.root)
        probe = self.root / ".writable"
        durable.write(probe, b"")
        probe.unlink(missing_ok=True)
        durable.sweep(self.root)

    # Reading

    def result(self, cell: Cell) -> Result | None:
        return self._result(self.folder(cell))

    def failure(self, cell: Cell) -> Failure | None:
        return self._read(self.folder(cell) / "failed.json", reading.FAILURE)

    def progress(self, cell: Cell) -> Progress | None:
        return self._read(self.folder(cell) / "progress.json", reading.PROGRESS)

    def refused(self, cell: Cell) -> UserError | None:
        """Why `cell` is neither done nor to be trained: a result is here that others may read, and we do not."""
        folder = self.folder(cell)
        try:
            reading.result(folder, cell)
        except Unread as error:
            return None if error.damaged else _told(folder / "result.json", error)
        return None

    def holder(self, cell: Cell) -> claim.Holder | None:
        """The process that trains `cell` now, if one does."""
        return claim.holder(self.folder(cell))

    def running(self, cell: Cell) -> Progress | None:
        """How far the live process on `cell` is; epoch 0 until it has said so. None if nobody trains it."""
        return self._running(cell, self.folder(cell))

    def outcome(self, cell: Cell) -> Result | Failure | Progress | None:
        """What is known of `cell`: its result, else how a live process fares, else why it failed, else None."""
        folder = f"{self.root}/{cell.key}"  # once: hashing is what a large table's time goes into
        try:
            if (found := reading.result(folder, cell)) is not None:
                return found
        except Unread as error:
            self._note(f"{folder}/result.json", error)
            if not error.damaged:
                return None
        return self._running(cell, Path(folder)) or self._read(f"{folder}/failed.json", reading.FAILURE)

    def signs(self, cells: Iterable[Cell]) -> Iterator[tuple[Cell, index.Sign]]:
        """Each with that by which the file of its result is known again, by one look at the store."""
        there, root = self._folders(), str(self.root)
        for cell in cells:
            own = there.get(cell.key, False)
            yield cell, index.sign(f"{root}/{cell.key}/result.json") if own else index.NONE

    def outcomes(self, cells: Iterable[Cell]) -> dict[Cell, Result | Failure | Progress | None]:
        """Of many cells, by one look at the store: most of a large table are not in it."""
        there = self._folders()
        return {cell: self.outcome(cell) if cell.key in there else None for cell in cells}

    def briefs(self, cells: Iterable[Cell]) -> dict[str, Done | Failure | Progress | None]:
        """Of the cells that are `begun`: as `outcomes`, by key, of a result what a line says of it.

        Of a large store without reading all of it.
        """
        there, root = self._seen, str(self.root)
        found: dict[str, Done | Failure | Progress | None] = {}
        for cell in cells:
            key = cell.key
            found[key] = self._brief(cell, f"{root}/{key}/result.json", own=there[key]) if key in there else None
        self._index.save(there)
        return found

    def results(self, keys: Iterable[str] | None = None) -> Iterator[Result]:
        """Every result in the store, in order of their keys; or those of some cells, by their keys."""
        for key in self._folders() if keys is None else keys:
            if (result := self._result(self.folder(key))) is not None:
                yield result

    def probes(self, cell: Cell | str) -> Probes:
        """What was computed from the weights of a cell; nothing of one that has no result, or other weights now."""
        folder = self.folder(cell)
        if not os.path.lexists(folder / "result.json"):
            return Probes()
        return Probes(
            landscape=self._probe(folder, "landscape", reading.LANDSCAPE),
            potentials=self._probe(folder, "potentials", reading.POTENTIALS),
            operations=self._counted(folder),
        )

    def cells(self) -> Iterator[Cell]:
        """Every cell that was ever begun, or is to be."""
        yield from self._cells(self._folders())

    @functools.cached_property
    def begun(self) -> tuple[Cell, ...]:
        """`cells`, as they were when this was first asked for: for who looks once, from several sides."""
        return tuple(self._cells(self._seen))

    def find(self, prefix: str) -> list[str]:
        """Keys that begin with `prefix`."""
        return [key for key in self._folders() if key.startswith(prefix)]

    def cell(self, key: str) -> Cell | None:
        return self._read(self.folder(key) / "cell.json", reading.CELL)

    # Writing

    def announce(self, cells: Iterable[Cell]) -> None:
        """Record what is going to be trained, so that its key can be looked up before it is begun. Raises UserError."""
        for cell in cells:
            self._describe(cell, fsync=False)

    def claim(self, cell: Cell) -> claim.Claim | None:
        """The right to train `cell`, a context; None while another live process has it.

        Raises UserError; also where a result is here that we cannot read, and that is whole.
        """
        if (hindrance := self.refused(cell)) is not None:
            raise hindrance
        folder = self._own(cell)
        if (mine := claim.acquire(folder)) is not None:
            durable.sweep(folder)
            self._describe(cell)
        return mine

    def write_result(self, result: Result, mine: claim.Claim | None = None) -> bool:
        """Record `result` by the claim on its cell; False if a whole one is there already, which is then left alone.

        In one step, and only while the claim is ours: raises claim.Lost if another has, or had, the cell. Without
        `mine` the claim is taken for the moment. Raises UserError.
        """
        if mine is None:
            with self._momentary(result.cell) as mine:
                return self.write_result(result, mine)
        folder = self.folder(result.cell)
        made = False
        if self._result(folder) is None:
            self.set_aside(result.cell)
            self._describe(result.cell)
            made = mine.commit(folder / "result.json", msgspec.json.encode(result))
        (folder / "progress.json").unlink(missing_ok=True)
        return made

    def write_probe(self, cell: Cell, name: str, probe: Landscape | Potentials | Operations) -> bool:
        """Record `probe` of `cell`, whose result is here; False if a whole one of these weights is. Raises UserError.

        One that is damaged, or of other weights, makes room: it can be computed again.
        """
        if self._result(self.folder(cell)) is None:
            raise UserError("has no result, so nothing is kept beside it", f"{cell.key} {cell.label}")
        if getattr(self.probes(cell), name) is not None:
            return False
        path = self.folder(cell) / FILES[name]
        durable.write(path, msgspec.json.encode(probe))
        self._problems.pop(path, None)
        return True

    def write_failure(self, failure: Failure) -> None:
        """Record `failure`, counting the attempts that failed before it. Raises UserError."""
        self._describe(failure.cell)
        folder = self.folder(failure.cell)
        if _unread(folder / "failed.json", reading.FAILURE):
            self.forgive(failure.cell)
        attempts = 1 + len(list(folder.glob("failed.*.json")))
        content = msgspec.json.encode(msgspec.structs.replace(failure, attempts=attempts))
        durable.write(folder / "failed.json", content)

    def write_progress(self, cell: Cell, progress: Progress) -> None:
        """Say how far `cell` is. Not flushed to the disk: losing it costs nothing."""
        if not math.isfinite(progress.seconds_left):  # JSON has no infinity
            progress = msgspec.structs.replace(progress, seconds_left=0.0)
        progress = msgspec.structs.replace(progress, seconds_left=min(progress.seconds_left, LONGEST))
        durable.write(self.folder(cell) / "progress.json", msgspec.json.encode(progress), fsync=False)

    def forgive(self, cell: Cell) -> bool:
        """Let a failed cell be trained again, its failure kept as ``failed.<n>.json``. False if it had not failed."""
        folder = self.folder(cell)
        return _move_aside(folder / "failed.json", folder, "failed.{}.json")

    def set_aside(self, cell: Cell) -> bool:
        """Keep a result that cannot be decoded as ``result.json.corrupt-<n>``, making room. False if there is none."""
        folder = self.folder(cell)
        try:
            reading.result(folder, cell)
        except Unread as error:
            return error.damaged and _move_aside(folder / "result.json", folder, "result.json.corrupt-{}")
        return False

    def _own(self, cell: Cell) -> Path:
        """The folder of `cell`, made if need be. Raises UserError, also for a link: it may lead anywhere."""
        folder = self.folder(cell)
        durable.make_folder(folder, within=self.root)
        return folder

    @contextlib.contextmanager
    def _momentary(self, cell: Cell) -> Iterator[claim.Claim]:
        if (mine := self.claim(cell)) is None:
            raise UserError("another process has the cell", f"{cell.key} {cell.label}")
        with mine:
            yield mine

    def _describe(self, cell: Cell, *, fsync: bool = True) -> None:
        path = self._own(cell) / "cell.json"
        if self._read(path, reading.CELL) is None and not _unread(path, reading.CELL):
            durable.write(path, msgspec.json.encode(cell), fsync=fsync)

    @functools.cached_property
    def _index(self) -> index.Index:
        return index.Index(self.root)

    def _folders(self) -> dict[str, bool]:
        """Key -> whether its folder is one itself, and no link; in order of the keys."""
        try:
            found = {
                entry.name: not entry.is_symlink() for entry in os.scandir(self.root) if _KEY.fullmatch(entry.name)
            }
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            self._note(self.root, Unread(f"cannot be read ({(error.strerror or str(error)).lower()})"))
            return {}
        return {key: found[key] for key in sorted(found)}

    @functools.cached_property
    def _seen(self) -> dict[str, bool]:
        return self._folders()

    def _cells(self, there: Mapping[str, bool]) -> Iterator[Cell]:
        root = str(self.root)
        for key, own in there.items():
            if (cell := self._described(key, f"{root}/{key}/cell.json", own=own)) is not None:
                yield cell
        self._index.save(there)

    def _described(self, key: str, path: str, *, own: bool) -> Cell | None:
        """What is trained in the folder of this key, by the index where its file is as it was."""
        seen = index.sign(path) if own else index.NONE
        if (known := self._index.cell(key, seen)) is not None:
            return known
        if (cell := self._read(path, reading.CELL)) is None:
            return None
        recipe = self._recipes.setdefault(cell.recipe, cell.recipe)  # a hundred thousand cells have few
        cell = msgspec.structs.replace(cell, recipe=recipe)
        if seen == index.sign(path):  # the same before it was read and after
            self._index.note_cell(key, seen, cell)
        return cell

    def _brief(self, cell: Cell, path: str, *, own: bool) -> Done | Failure | Progress | None:
        seen = index.sign(path) if own else index.NONE
        if (known := self._index.done(cell.key, seen)) is not None:
            return known
        found = self.outcome(cell)
        if not isinstance(found, Result):
            return found
        return self._index.note_done(cell.key, seen if seen == index.sign(path) else index.NONE, found)

    def _result(self, folder: Path | str, cell: Cell | None = None) -> Result | None:
        return self._noting(f"{folder}/result.json", lambda: reading.result(folder, cell))

    def _probe(self, folder: Path, name: str, decoder: msgspec.json.Decoder[reading.Probe]) -> reading.Probe | None:
        return self._noting(folder / FILES[name], lambda: reading.probe(folder, name, decoder))

    def _counted(self, folder: Path) -> Operations | None:
        """Those of this very result: of its firing rates."""
        if (counted := self._probe(folder, "operations", reading.OPERATIONS)) is None:
            return None
        result = self._result(folder)
        return counted if result is not None and result.firing_rates == counted.rates else None

    def _running(self, cell: Cell, folder: Path) -> Progress | None:
        if (held := claim.holder(folder)) is None:
            return None
        said = self._read(folder / "progress.json", reading.PROGRESS)
        if said is None or (said.host, said.pid) != (held.host, held.pid):
            said = Progress(
                epoch=0,
                epochs=cell.recipe.epochs,
                accuracy=None,
                images_per_second=0.0,
                seconds_left=0.0,
                host=held.host,
                pid=held.pid,
            )
        return msgspec.structs.replace(said, job=held.job, restarts=held.restarts)

    def _read(self, path: Path | str, decoder: msgspec.json.Decoder[reading.Record]) -> reading.Record | None:
        return self._noting(path, lambda: reading.record(path, decoder))

    def _noting(self, path: Path | str, read: Callable[[], Record | None]) -> Record | None:
        try:
            return read()
        except Unread as error:
            return self._note(path, error)

    def _note(self, path: Path | str, error: Unread) -> None:
        self._problems.setdefault(Path(path), _told(Path(path), error))


def _told(path: Path, error: Unread) -> UserError:
    """For the user."""
    what_run_does = "moves it aside and trains the cell again" if error.damaged else "leaves it and its cell alone"
    advice = f"counted as missing; `run` {what_run_does}"
    return UserError(error.what, str(path), advice if path.name == "result.json" else "")


def _unread(path: Path, decoder: msgspec.json.Decoder[reading.Record]) -> bool:
    """Whether something is there that we cannot use, and others may."""
    try:
        reading.record(path, decoder)
    except Unread as error:
        return not error.damaged
    return False


def _move_aside(path: Path, folder: Path, pattern: str) -> bool:
    if not os.path.lexists(path):
        return False
    names = (folder / pattern.format(n) for n in itertools.count(1))
    target = next(target for target in names if not os.path.lexists(target))
    with durable.explained(path):
        path.rename(target)
        durable.sync_folder(folder)
    return True
