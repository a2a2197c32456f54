"""The records of a folder of benches (`results/bench/*.json`), as the claims read them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.measure.spec import Benched


def recorded(folder: Path) -> tuple[tuple[Benched, ...], tuple[UserError, ...]]:
    """In order of their names, and what cannot be read. A folder that is not there has none."""
    found, problems, decoder = [], [], msgspec.json.Decoder(Benched)
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(decoder.decode(path.read_bytes()))
        except (OSError, msgspec.DecodeError) as error:
            advice = "measure it again: python -m harness bench"
            problems.append(UserError(f"no record of a bench ({error})", str(path), advice))
    return tuple(found), tuple(problems)
