"""`--only`: some of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.errors import UserError, did_you_mean
from harness.plan.context import Context
from harness.spec import Preset, Row

KEYS = ("method", "architecture", "dataset", "timesteps", "seed")
"""What `--only` and a preset's `only` can select by."""

Only = Mapping[str, Sequence[str]]
"""Key of `KEYS` -> the values wanted, as text; a key that is absent lets everything through."""


def parse_only(given: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """``["method=mpbn|vanilla,timesteps=2"]`` -> key -> values; a key may be given again. Raises UserError."""
    only: dict[str, list[str]] = {}
    for part in (part for text in given for part in text.split(",") if part.strip()):
        key, equals, values = part.strip().partition("=")
        if not equals and only:  # the comma of a list
            last = list(only)[-1]
            more = f"type --only '{last}={only[last][-1]}|{part.strip()}'"
            raise UserError(f"`{part.strip()}` stands without a key", "--only", f"{more}: a comma begins the next key")
        if key not in KEYS:
            raise UserError(f"unknown key `{key}`", "--only", did_you_mean(key, KEYS))
        if not equals or not values:
            raise UserError(f"`{part}` has no value", "--only", f"type {key}=VALUE, or {key}=VALUE|VALUE")
        only.setdefault(key, []).extend(value for value in values.split("|") if value)
    return {key: tuple(dict.fromkeys(values)) for key, values in only.items()}


def check_only(only: Only, rows: Sequence[Row], context: Context) -> None:
    """Every value must be one that the table (or its stand-ins) has. Raises UserError with the nearest."""
    for key, values in only.items():
        known = _known(key, rows, context)
        for value in values:
            if value not in known:
                raise UserError(f"no row has {key} `{value}`", "--only", did_you_mean(value, known))


def _known(key: str, rows: Sequence[Row], context: Context) -> list[str]:
    if key == "seed":
        return [str(seed) for seed in context.seeds]
    known = dict.fromkeys(str(getattr(row, key)) for row in rows)
    if key == "dataset" and context.preset:
        known |= dict.fromkeys(context.preset.datasets.get(name, name) for name in tuple(known))
    return list(known)


def selects(only: Only, row: Row, preset: Preset | None) -> bool:
    """Whether `row` is asked for; a data set may be named as the table's or as its stand-in."""
    names = {key: {str(getattr(row, key))} for key in KEYS if key != "seed"}
    names["dataset"].add(trained_on(row, preset))
    return all(names[key] & set(values) for key, values in only.items() if key != "seed")


def trained_on(row: Row, preset: Preset | None) -> str:
    """The row's data set, or what stands in for it."""
    return preset.datasets.get(row.dataset, row.dataset) if preset else row.dataset
