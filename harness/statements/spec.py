"""Claims as data: what a claim is, which rows it speaks of, and the strict loading of `tables/claims.toml`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.decode import decode
from harness.errors import UserError, UserErrors, did_you_mean
from harness.spec import Row, Spec, Table
from harness.tables import display, folder, load_table, method_label, table_names

Field = Literal["dataset", "method", "architecture", "timesteps"]


class Rows(Spec, frozen=True, kw_only=True):
    """Rows of one table; a key that is left out selects all."""

    table: str
    dataset: str | tuple[str, ...] = ()
    method: str | tuple[str, ...] = ()
    architecture: str | tuple[str, ...] = ()
    timesteps: int | tuple[int, ...] = ()
    other_than: str | tuple[str, ...] = ()
    """Methods left out."""
    keep: Literal["all", "best of each method"] = "all"
    """Chosen by the printed numbers, as measured too: choosing by the measured ones would flatter."""


class Compare(Spec, frozen=True, kw_only=True, tag_field="kind", tag="compare"):
    """Every row of `left` against every row of `right` that agrees with it in `match`."""

    left: Rows
    right: Rows
    relation: Literal["above", "equal", "different"] = "above"
    by: float = 0.0
    """With `above`: by more than this many percentage points."""
    match: tuple[Field, ...] = ()


class Spread(Spec, frozen=True, kw_only=True, tag_field="kind", tag="spread"):
    """The differences of all pairs run from `low` to `high`, in percentage points."""

    left: Rows
    right: Rows
    low: float
    high: float
    match: tuple[Field, ...] = ()


class Converges(Spec, frozen=True, kw_only=True, tag_field="kind", tag="converges"):
    """Every row of `left` learns in fewer epochs than every row of `right` that agrees with it in `match`.

    Told in epochs, seed by seed: until the test accuracy first reaches `share` of what the seed of `right` ends with,
    between two epochs by a straight line. One level for both, since a curve held against its own end would call
    a network fast that ends low.
    """

    left: Rows
    right: Rows
    share: float = 0.95
    match: tuple[Field, ...] = ()


class Flatter(Spec, frozen=True, kw_only=True, tag_field="kind", tag="flatter"):
    """The loss landscape of every row of `left` is flatter than that of `right`, by area (`harness/store/probes.py`).

    Both with the statistics of training and with statistics taken anew at every point: the claim is about the weights,
    so it must not hang on how the normalisations were treated.
    """

    left: Rows
    right: Rows
    match: tuple[Field, ...] = ()


class Costs(Spec, frozen=True, kw_only=True, tag_field="kind", tag="bench"):
    """What `subject` costs in units of `reference`, in every setting of a recorded bench, by one bound."""

    bench: str
    subject: str
    reference: str
    timesteps: tuple[int, ...] = ()
    """Settings of these alone; empty: of all."""
    within: float | None = None
    """The same, up to this share."""
    below: float | None = None
    above: float | None = None

    @property
    def range(self) -> tuple[float, float]:
        """The ratios that the claim allows."""
        if self.within is not None:
            return 1 - self.within, 1 + self.within
        return self.above if self.above is not None else -math.inf, self.below if self.below is not None else math.inf


class Contains(Spec, frozen=True, kw_only=True, tag_field="kind", tag="contains"):
    """Each of `methods` has a row in `table`."""

    table: str
    methods: tuple[str, ...]


class Cites(Spec, frozen=True, kw_only=True, tag_field="kind", tag="cites"):
    """`rows` carry this reference."""

    rows: Rows
    reference: int


class Folds(Spec, frozen=True, kw_only=True, tag_field="kind", tag="folds"):
    """After training, folding the networks of `rows` changes not one spike."""

    rows: Rows


Paired = Compare | Spread | Converges | Flatter
"""Checks of two rows, seed by seed."""
Check = Compare | Spread | Converges | Flatter | Costs | Contains | Cites | Folds


class Claim(Spec, frozen=True, kw_only=True):
    """One statement of the paper, in our own words."""

    name: str
    section: str
    text: str
    check: tuple[Check, ...] = ()
    note: str = ""
    """What a reader should know; where there is no check, why not."""


class Claims(Spec, frozen=True, kw_only=True):
    claim: tuple[Claim, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A row and where it stands."""

    table: str
    number: int
    row: Row

    @property
    def name(self) -> str:
        row = self.row
        return f"{method_label(row)} {display('architecture', row.architecture)} T{row.timesteps}"


def load_claims() -> tuple[Claim, ...]:
    """Every claim of `tables/claims.toml`. Raises UserErrors, also for a row that no table has."""
    return decode(folder() / "claims.toml", Claims, _check_claims).claim


def load_tables(claims: Iterable[Claim]) -> dict[str, Table]:
    """The tables that `claims` speak of, by name."""
    return {name: load_table(name) for name in sorted({n for claim in claims for n in tables_of(claim)})}


def tables_of(claim: Claim) -> tuple[str, ...]:
    """Names of the tables that `claim` needs, each once."""
    selected = [rows.table for check in claim.check for rows in _selections(check)]
    return tuple(dict.fromkeys([*selected, *(c.table for c in claim.check if isinstance(c, Contains))]))


def choose(claims: Sequence[Claim], names: Iterable[str]) -> tuple[Claim, ...]:
    """The claims called `names`, in that order; all of them where none is named. Raises UserErrors."""
    by_name = {claim.name: claim for claim in claims}
    names = list(names) or list(by_name)
    if unknown := [n for n in names if n not in by_name]:
        raise UserErrors(UserError(f"unknown claim `{n}`", to_type=did_you_mean(n, by_name)) for n in unknown)
    return tuple(by_name[n] for n in names)


def select(rows: Rows, tables: Mapping[str, Table]) -> list[Place]:
    """The rows that `rows` names, in table order."""
    wanted = [(field, _many(getattr(rows, field))) for field in ("dataset", "method", "architecture", "timesteps")]
    places = [
        Place(table=rows.table, number=number, row=row)
        for number, row in enumerate(tables[rows.table].row, start=1)
        if all(not values or getattr(row, field) in values for field, values in wanted)
        and row.method not in _many(rows.other_than)
    ]
    if rows.keep == "all":
        return places
    ranked = sorted(places, key=lambda place: place.row.accuracy or 0.0)
    kept = {place.row.method: place.number for place in ranked}  # the last one of a method is its best
    return [place for place in places if kept[place.row.method] == place.number]


def pairs(check: Paired, tables: Mapping[str, Table]) -> list[tuple[Place, Place]]:
    """(left, right) rows that the check compares."""
    return [
        (left, right)
        for left in select(check.left, tables)
        for right in select(check.right, tables)
        if left != right and all(getattr(left.row, field) == getattr(right.row, field) for field in check.match)
    ]


def _many(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _selections(check: Check) -> tuple[Rows, ...]:
    if isinstance(check, Paired):
        return (check.left, check.right)
    return (check.rows,) if isinstance(check, Cites | Folds) else ()


def _check_claims(claims: Claims, file: str) -> Iterator[UserError]:
    """What the types cannot say: names are unique, tables exist, and every selection finds rows."""
    known, seen = table_names(), set()
    for number, claim in enumerate(claims.claim, start=1):
        where = f"{file}: claim {number} ({claim.name})"
        if claim.name in seen:
            yield UserError("this name is taken by an earlier claim", where)
        seen.add(claim.name)
        if not claim.check and not claim.note:
            yield UserError("has no check", where, "say in `note` why it cannot be checked")
        unknown = [name for name in tables_of(claim) if name not in known]
        yield from (UserError(f"unknown table `{name}`", where, did_you_mean(name, known)) for name in unknown)
        if not unknown:
            yield from _check_rows(claim, where)


def _check_rows(claim: Claim, where: str) -> Iterator[UserError]:
    tables = load_tables([claim])
    for number, check in enumerate(claim.check, start=1):
        here = f"{where}: check {number}"
        for rows in _selections(check):
            if not select(rows, tables):
                yield UserError(f"no row of {rows.table} is as selected", here, _nearest(rows, tables[rows.table]))
        if isinstance(check, Paired) and not pairs(check, tables):
            yield UserError("`left` and `right` make no pair of rows", here)
        if isinstance(check, Converges) and not 0 < check.share <= 1:
            yield UserError(f"`share` is {check.share:g}", here, "type a number above 0, up to 1")
        if isinstance(check, Costs):
            yield from _check_bench(check, here)


def _check_bench(check: Costs, here: str) -> Iterator[UserError]:
    """The bench exists, times both, and one bound is given."""
    from harness.measure import bench as benches  # late: for this kind alone

    given = [name for name in ("within", "below", "above") if getattr(check, name) is not None]
    if len(given) != 1 or getattr(check, given[0]) <= 0:
        yield UserError("wants one bound above 0", here, "type `within`, `below` or `above`")
    if check.bench not in benches.names():
        yield UserError(f"unknown bench `{check.bench}`", here, did_you_mean(check.bench, benches.names()))
        return
    loaded: Any = benches.load(check.bench)
    reference = loaded.reference if isinstance(loaded.reference, tuple) else (loaded.reference,)
    for field, known in (("subject", loaded.subject), ("reference", reference)):
        labels = [getattr(one, "label", one) for one in known]
        if (value := getattr(check, field)) not in labels:
            yield UserError(f"{check.bench} has no {field} `{value}`", here, did_you_mean(value, labels))
    timed = {steps for grid in loaded.grid for steps in grid.timesteps}
    if check.timesteps and not timed & set(check.timesteps):
        yield UserError(f"{check.bench} times none of these `timesteps`", here, did_you_mean("", map(str, timed)))


def _nearest(rows: Rows, table: Table) -> str:
    """The first value that no row has, and what it was meant to be."""
    for field in ("dataset", "method", "architecture", "timesteps"):
        there = {str(getattr(row, field)) for row in table.row}
        for value in _many(getattr(rows, field)):
            if str(value) not in there:
                return f"`{field}` {value}: {did_you_mean(str(value), there)}"
    return "each value occurs, but not together"
