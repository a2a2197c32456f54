"""A bench that was interrupted: its pieces that are done, kept until the same is asked for again and gone on with.

Only on the same machine by the same code: a record never mixes what was not measured alike.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec

from harness import durable
from harness.errors import UserError
from harness.measure import records
from harness.measure.spec import Bench, Benched

FOLDER = "unfinished"
"""Beside the records, of which it is none."""
OF_THE_RUN = ("command",)
"""What the environment says of a run, and not of where it takes place."""


def keep(benched: Benched, path: Path) -> None:
    """`path` is that of the record to be. Raises UserError."""
    kept = place(path)
    durable.make_folder(kept.parent)
    durable.write(kept, msgspec.json.format(msgspec.json.encode(benched), indent=1))


def begun(bench: Bench, environment: dict[str, Any], path: Path) -> tuple[Benched | None, str]:
    """What is there of `bench` and can be gone on with, and else why what is there cannot."""
    if not (kept := place(path)).exists():
        return None, ""
    try:
        found = records.read(kept)
    except UserError as error:
        return None, f"{error}; begun anew"
    if found.asked != asked(bench):
        return None, "another bench of this name was interrupted here; begun anew"
    if _alike(found.environment) != _alike(environment):
        return None, "what was interrupted here was measured by other code or on another machine; begun anew"
    return found, ""


def asked(bench: Bench) -> dict[str, Any]:
    """As JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(bench))


def place(path: Path) -> Path:
    return path.parent / FOLDER / path.name


def forget(path: Path) -> None:
    with contextlib.suppress(OSError):
        place(path).unlink(missing_ok=True)
        place(path).parent.rmdir()  # where it is empty


def _alike(environment: dict[str, Any]) -> dict[str, Any]:
    said = msgspec.json.decode(msgspec.json.encode(environment))
    return {name: value for name, value in said.items() if name not in OF_THE_RUN}
