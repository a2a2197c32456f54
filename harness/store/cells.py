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

import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from harness import durable
from harness.errors import UserError
from harness.spec import Cell
from harness.store import claim
from harness.store.probes import FILES, PROBE_VERSION, Landscape, Operations, Potentials, Probes, fingerprint
from harness.store.result import RESULT_VERSION, Failure, Progress, Result, Summary

RecordType = TypeVar("RecordType", Result, Summary, Failure, Progress, Cell, Landscape, Potentials, Operations)
ProbeType = TypeVar("ProbeType", Landscape, Potentials)
ResultType = TypeVar("ResultType", Result, Summary)

_KEY = re.compile(r"[0-9a-f]{16}")
_RESULT = msgspec.json.Decoder(Result)
_SUMMARY = msgspec.json.Decoder(Summary)
_FAILURE = msgspec.json.Decoder(Failure)
_PROGRESS = msgspec.json.Decoder(Progress)
_CELL = msgspec.json.Decoder(Cell)
_LANDSCAPE = msgspec.json.Decoder(Landscape)
_POTENTIALS = msgspec.json.Decoder(Potentials)
_OPERATIONS = msgspec.json.Decoder(Operations)


class Store:
    """The folder of results. Reading never raises: what cannot be read is gathered in `problems`, a line each."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self._problems: dict[Path, UserError] = {}

    @property
    def problems(self) -> tuple[UserError, ...]:
        """What was wrong with files read so far."""
        return tuple(self._problems.values())

    def folder(self, cell: Cell | str) -> Path:
        """Of a cell, given itself or its key."""
        return self.root / (cell if isinstance(cell, str) else cell.key)

    def log(self, cell: Cell) -> Path:
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
        return self._read(self.folder(cell) / "failed.json", _FAILURE)

    def progress(self, cell: Cell) -> Progress | None:
        return self._read(self.folder(cell) / "progress.json", _PROGRESS)

    def holder(self, cell: Cell) -> claim.Holder | None:
        """The process that trains `cell` now, if one does."""
        return claim.holder(self.folder(cell))

    def running(self, cell: Cell) -> Progress | None:
        """How far the live process on `cell` is; epoch 0 until it has said so. None if nobody trains it."""
        return self._running(cell, self.folder(cell))

    def outcome(self, cell: Cell) -> Result | Failure | Progress | None:
        """What is known of `cell`: its result, else how a live process fares, else why it failed, else None."""
        folder = self.folder(cell)  # once: hashing is what a large table's time goes into
        return self._result(folder) or self._running(cell, folder) or self._read(folder / "failed.json", _FAILURE)

    def glance(self, cell: Cell) -> Summary | Failure | Progress | None:
        """As `outcome`, with less said of a result."""
        found = self._read(f"{self.root}/{cell.key}/result.json", _SUMMARY)
        folder = self.folder(cell)
        if found is not None and (result := self._believed(found, folder, cell)) is not None:
            return result
        return self._running(cell, folder) or self._read(folder / "failed.json", _FAILURE)

    def results(self, keys: Iterable[str] | None = None) -> Iterator[Result]:
        """Every result in the store, in order of their keys; or those of some cells, by their keys."""
        for key in self._keys() if keys is None else keys:
            if (result := self._result(self.folder(key))) is not None:
                yield result

    def probes(self, cell: Cell | str) -> Probes:
        """What was computed from the weights of a cell; nothing of one that has no result, or other weights now."""
        folder = self.folder(cell)
        if not (folder / "result.json").exists():
            return Probes()
        return Probes(
            landscape=self._probe(folder / FILES["landscape"], _LANDSCAPE),
            potentials=self._probe(folder / FILES["potentials"], _POTENTIALS),
            operations=self._counted(folder),
        )

    def cells(self) -> Iterator[Cell]:
        """Every cell that was ever begun, or is to be."""
        for key in self._keys():
            if (cell := self._read(f"{self.root}/{key}/cell.json", _CELL)) is not None:
                yield cell

    def find(self, prefix: str) -> list[str]:
        """Keys that begin with `prefix`."""
        return [key for key in self._keys() if key.startswith(prefix)]

    def cell(self, key: str) -> Cell | None:
        return self._read(self.folder(key) / "cell.json", _CELL)

    # Writing

    def announce(self, cells: Iterable[Cell]) -> None:
        """Record what is going to be trained, so that its key can be looked up before it is begun. Raises UserError."""
        for cell in cells:
            self._describe(cell, fsync=False)

    def claim(self, cell: Cell) -> claim.Claim | None:
        """The right to train `cell`, a context; None while another live process has it. Raises UserError."""
        folder = self.folder(cell)
        durable.make_folder(folder)
        if (mine := claim.acquire(folder)) is not None:
            durable.sweep(folder)
            self._describe(cell)
        return mine

    def write_result(self, result: Result) -> bool:
        """Record `result`; False if a whole one is there already, which is then left alone. Raises UserError."""
        folder = self.folder(result.cell)
        if self._result(folder) is not None:
            return False
        self.set_aside(result.cell)
        self._describe(result.cell)
        durable.write(folder / "result.json", msgspec.json.encode(result))
        (folder / "progress.json").unlink(missing_ok=True)
        return True

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
        attempts = 1 + len(list(folder.glob("failed.*.json")))
        content = msgspec.json.encode(msgspec.structs.replace(failure, attempts=attempts))
        durable.write(folder / "failed.json", content)

    def write_progress(self, cell: Cell, progress: Progress) -> None:
        """Say how far `cell` is. Not flushed to the disk: losing it costs nothing."""
        if not math.isfinite(progress.seconds_left):  # JSON has no infinity
            progress = msgspec.structs.replace(progress, seconds_left=0.0)
        durable.write(self.folder(cell) / "progress.json", msgspec.json.encode(progress), fsync=False)

    def forgive(self, cell: Cell) -> bool:
        """Let a failed cell be trained again, its failure kept as ``failed.<n>.json``. False if it had not failed."""
        folder = self.folder(cell)
        return _move_aside(folder / "failed.json", folder, "failed.{}.json")

    def set_aside(self, cell: Cell) -> bool:
        """Keep a result that cannot be read as ``result.json.corrupt-<n>``, making room. False if there is none."""
        folder = self.folder(cell)
        if self._result(folder) is not None:
            return False
        return _move_aside(folder / "result.json", folder, "result.json.corrupt-{}")

    def _describe(self, cell: Cell, *, fsync: bool = True) -> None:
        path = self.folder(cell) / "cell.json"
        if self._read(path, _CELL) is None:
            durable.make_folder(path.parent)
            durable.write(path, msgspec.json.encode(cell), fsync=fsync)

    def _keys(self) -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(self.root) if _KEY.fullmatch(entry.name))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _result(self, folder: Path) -> Result | None:
        result = self._read(folder / "result.json", _RESULT)
        return None if result is None else self._believed(result, folder)

    def _believed(self, result: ResultType, folder: Path, cell: Cell | None = None) -> ResultType | None:
        """`result`, unless it is not for us to read or not that of the cell (of `cell`, where the caller knows it)."""
        if result.version > RESULT_VERSION:
            path = folder / "result.json"
            return self._note(path, f"was written by a newer version of the harness (format {result.version})")
        if result.cell != cell and result.cell.key != folder.name:  # to compare is faster than to hash
            return self._note(folder / "result.json", f"holds the result of another cell ({result.cell.key})")
        return result

    def _probe(self, path: Path, decoder: msgspec.json.Decoder[ProbeType]) -> ProbeType | None:
        if (probe := self._read(path, decoder)) is None:
            return None
        if probe.version > PROBE_VERSION:
            return self._note(path, f"was written by a newer version of the harness (format {probe.version})")
        weights = path.parent / "weights.pt"
        try:
            known = fingerprint(weights.read_bytes())
        except OSError:  # a store may be kept without its weights
            return probe
        return probe if probe.weights == known else self._note(path, "was computed from other weights than these")

    def _counted(self, folder: Path) -> Operations | None:
        """Those of this very result: of its firing rates."""
        if (counted := self._read(path := folder / FILES["operations"], _OPERATIONS)) is None:
            return None
        if counted.version > PROBE_VERSION:
            return self._note(path, f"was written by a newer version of the harness (format {counted.version})")
        result = self._result(folder)
        return counted if result is not None and result.firing_rates == counted.rates else None

    def _running(self, cell: Cell, folder: Path) -> Progress | None:
        if (held := claim.holder(folder)) is None:
            return None
        said = self._read(folder / "progress.json", _PROGRESS)
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

    def _read(self, path: Path | str, decoder: msgspec.json.Decoder[RecordType]) -> RecordType | None:
        try:
            content = durable.read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return self._note(path, f"cannot be read ({(error.strerror or str(error)).lower()})")
        try:
            return decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            what = "is empty" if not content else f"is damaged ({str(error).lower()})"
            return self._note(path, what)

    def _note(self, path: Path | str, what: str) -> None:
        path = Path(path)
        advice = "counted as missing; `run` moves it aside and trains the cell again"
        self._problems.setdefault(path, UserError(what, str(path), advice if path.name == "result.json" else ""))


def _move_aside(path: Path, folder: Path, pattern: str) -> bool:
    if not path.exists():
        return False
    target = next(target for n in itertools.count(1) if not (target := folder / pattern.format(n)).exists())
    try:
        path.rename(target)
        durable.sync_folder(folder)
    except OSError as error:
        raise durable.unwritable(path, error) from error
    return True
