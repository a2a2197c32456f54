"""The record of a bench from its file, if it is whole: what a page or a claim will ask of it is there."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness import durable
from harness.errors import UserError
from harness.measure.spec import Benched

_BENCHED = msgspec.json.Decoder(Benched)


class Where(msgspec.Struct, frozen=True):
    """What the environment of every bench says."""

    device: str
    cpu: str
    threads: int
    packages: dict[str, str]
    neurons: str
    command: str


def read(path: Path) -> Benched:
    """Raises UserError."""
    try:
        found = _BENCHED.decode(durable.read(path))
        where = msgspec.convert(found.environment, Where)
    except OSError as error:
        raise UserError(f"cannot be read ({(error.strerror or str(error)).lower()})", str(path)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _none(str(error), path) from None
    if not (found.timings or found.checks):
        raise _none("it has no timings", path)
    if "torch" not in where.packages:
        raise _none("it names no torch", path)
    if any((met.target.at_least is None) == (met.target.at_most is None) for met in found.targets):
        raise _none("a target of it asks for nothing, or for two things", path)
    return found


def _none(why: str, path: Path) -> UserError:
    return UserError(f"no record of a bench ({why})", str(path), "measure it again: python -m harness bench")
