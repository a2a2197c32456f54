"""`bench NAME`: found, narrowed to what was asked, run here, recorded. Torch comes late, as everywhere."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

import baselines
from harness import checks, durable, environment, tables
from harness.decode import decode
from harness.errors import UserError, did_you_mean
from harness.identity.code import source_of
from harness.measure import records, unfinished
from harness.measure.spec import Bench, Benched, Growth, Latency, Overhead, Timing, Training
from harness.measure.targets import met


def folder() -> Path:
    return tables.folder() / "benches"


def names() -> list[str]:
    return sorted(path.stem for path in folder().glob("*.toml"))


def load(name_or_path: str) -> Bench:
    """A shipped bench by name, or the user's own by its path. Raises UserError, UserErrors."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = folder() / f"{name_or_path}.toml"
        if name_or_path not in names():
            raise UserError(f"unknown bench `{name_or_path}`", to_type=did_you_mean(name_or_path, names()))
    bench = decode(path, Bench, _check)  # type: ignore[type-var]
    if isinstance(bench, Overhead) and not bench.subject:
        return msgspec.structs.replace(bench, subject=tuple(baselines.METHODS))
    return bench


def _check(bench: Bench, file: str) -> Iterator[UserError]:
    """What the types cannot say."""
    yield from checks.name(bench.name, file)
    yield from _check_sizes(bench, file)
    yield from _check_subjects(bench, file)
    yield from _check_names(bench, file)
    if not isinstance(bench, Training):
        return
    for number, grid in enumerate(bench.growth, start=1):
        if len(grid.varied) != 1:
            yield UserError(
                f"varies {', '.join(grid.varied) or 'nothing'}",
                f"{file}: growth {number}",
                "give several values of one size, and one of every other",
            )
    for number, target in enumerate(bench.target, start=1):
        if (target.at_least is None) == (target.at_most is None):
            yield UserError("asks for nothing, or for two things", f"{file}: target {number}", "at_least or at_most")


def _check_subjects(bench: Bench, file: str) -> Iterator[UserError]:
    for number, grid in enumerate((*bench.grid, *getattr(bench, "growth", ())), start=1):
        known = (bench.subject or tuple(baselines.METHODS)) if isinstance(bench, Overhead) else ()
        for name in grid.subject:
            if name not in known:
                advice = did_you_mean(name, known) if known else "of `overhead` alone a grid has its own `subject`"
                yield UserError(f"no subject `{name}`", f"{file}: grid {number}", advice)


def _check_names(bench: Bench, file: str) -> Iterator[UserError]:
    for number, grid in enumerate((*bench.grid, *getattr(bench, "growth", ())), start=1):
        named = {"architecture": grid.architecture, "method": [method for method in grid.method if method]}
        yield from _unknown(named, f"{file}: grid {number}")


def _unknown(named: Mapping[str, Iterable[str]], where: str) -> Iterator[UserError]:
    for kind, known in (("architecture", baselines.ARCHITECTURES), ("method", baselines.METHODS)):
        for name in named.get(kind, ()):
            if name not in known:
                yield UserError(f"unknown {kind} `{name}`", where.format(kind), did_you_mean(name, known))


def _check_sizes(bench: Bench, file: str) -> Iterator[UserError]:
    if bench.rounds < 1 or not bench.grid:
        yield UserError("has no rounds, or no [[grid]]", file, "write at least one of each")
    for number, grid in enumerate((*bench.grid, *getattr(bench, "growth", ())), start=1):
        for name, values in msgspec.structs.asdict(msgspec.structs.replace(grid, rounds=None, subject=None)).items():
            wrong = [v for v in values or () if not isinstance(v, str) and not _possible(name, v)]
            if wrong or values == () or (grid.rounds or 1) < 1:
                yield UserError(f"`{name}` is {wrong or values}", f"{file}: grid {number}", "write numbers above 0")


def _possible(name: str, value: float) -> bool:
    """Of a size; a rate of 0 stands for none that is set."""
    return 0 <= value < 1 if name == "rate" else 0 < value < 1e6


def narrowed(bench: Bench, wanted: Mapping[str, tuple], rounds: int | None) -> Bench:
    """`bench` with the values `wanted` for some of its sizes, as one grid where its grids fall together.

    `method` chooses among subjects where no setting has a method. What is not given stays; growth is left out
    where a size is given, since it needs several. Raises UserError.
    """
    given = {name: values for name, values in wanted.items() if values}
    for problem in _unknown(given, "--{}"):
        raise problem
    if "method" in given and not isinstance(bench, Training):
        bench = _of_methods(bench, given.pop("method"))
    again = {} if rounds is None else {"rounds": rounds}
    grids = tuple(msgspec.structs.replace(grid, **given, **again) for grid in bench.grid)
    whole = [msgspec.structs.replace(grid, rounds=None) for grid in grids if not grid.subject]
    grids = [g for g in grids if not g.subject or msgspec.structs.replace(g, rounds=None, subject=()) not in whole]
    changes: dict[str, Any] = {"grid": tuple(dict.fromkeys(grids)), "rounds": rounds or bench.rounds}
    if isinstance(bench, Training):
        growth = () if given else bench.growth
        changes["growth"] = tuple(msgspec.structs.replace(grid, **again) for grid in growth)
    return msgspec.structs.replace(bench, **changes)


def _of_methods(bench: Latency | Overhead, methods: tuple[str, ...]) -> Latency | Overhead:
    """Only subjects of `methods`; the reference stays. What a grid of its own few subjects has none of goes."""
    named = {subject: subject if isinstance(subject, str) else subject.method for subject in bench.subject}
    if unknown := [method for method in methods if method not in named.values()]:
        raise UserError(
            f"bench {bench.name} has no subject of method `{unknown[0]}`",
            "--method",
            did_you_mean(unknown[0], set(named.values())),
        )
    few = tuple(s for s, method in named.items() if method in methods)
    narrower = [(grid, tuple(s for s in grid.subject if s in few)) for grid in bench.grid]
    grids = tuple(
        msgspec.structs.replace(grid, subject=() if set(kept) == set(few) else kept)
        for grid, kept in narrower
        if kept or not grid.subject
    )
    return msgspec.structs.replace(bench, subject=few, grid=grids)


def run(
    bench: Bench, threads: int, tell: Callable[[str], None] = lambda line: None, out: Path | None = None
) -> Benched:
    """Every timing of `bench` on this machine's device; `threads` counts on a CPU. `tell` hears of each piece.

    What is interrupted says what is `left`; with `out`, the folder of records, it is kept there after each piece, and
    gone on with. Raises KeyboardInterrupt where nothing is timed yet.
    """
    environment.limit_threads(threads)
    environment.large_pages()
    import torch

    from baselines import kernels

    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    measure = importlib.import_module(f"harness.measure.{bench.__struct_config__.tag}")
    pieces = list(measure.pieces(bench))
    done = Benched(
        bench=bench.name,
        title=bench.title,
        rounds=bench.rounds,
        timings=(),
        environment=environment.describe() | {"neurons": kernels.state(device)} | _of_a_user(bench),
        when=_now(),
        notes=(*bench.notes, *(measure.remarks(bench) if isinstance(bench, Overhead) else ())),
        left=tuple(piece.title for piece in pieces),
        asked=unfinished.asked(bench),
    )
    done = done if out is None else _gone_on_with(done, bench, out, tell)
    try:
        for number, piece in enumerate(pieces[len(pieces) - len(done.left) :], start=1 + len(pieces) - len(done.left)):
            tell(f"{number} of {len(pieces)}: {piece.title}")
            done = _with(done, piece.take(device, tell))
            if out is not None and done.left:
                unfinished.keep(done, path_of(done, out))
    except KeyboardInterrupt:
        if not done.timings:
            raise
        return done
    targets = bench.target if isinstance(bench, Training) else ()
    judged = met(targets, done.timings, threads if device.type == "cpu" else None)
    return msgspec.structs.replace(done, targets=tuple(judged), asked=None)


def _of_a_user(bench: Bench) -> dict[str, dict[str, str]]:
    """Their methods, each with the hash of its code: what is gone on with must be the same."""
    named = {each if isinstance(each, str) else each.method for each in getattr(bench, "subject", ())}
    named |= {method for grid in bench.grid for method in grid.method}
    found = {method: source for method in sorted(named) if (source := source_of(method))}
    return {"methods": found} if found else {}


def _gone_on_with(new: Benched, bench: Bench, out: Path, tell: Callable[[str], None]) -> Benched:
    """What was interrupted, if it can be gone on with."""
    found, why = unfinished.begun(bench, new.environment, path_of(new, out))
    if found is not None:
        tell(f"going on with what was interrupted {found.when}: {len(found.left)} of {len(new.left)} are left")
    elif why:
        tell(why)
    return new if found is None else msgspec.structs.replace(found, environment=new.environment)


def _with(done: Benched, found: Iterable[Timing | Growth]) -> Benched:
    """And one piece more."""
    found = list(found)
    timings, growths = ([each for each in found if isinstance(each, kind)] for kind in (Timing, Growth))
    return msgspec.structs.replace(
        done,
        timings=(*done.timings, *timings),
        growth=(*done.growth, *growths),
        left=done.left[1:],
        when=_now(),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def record(benched: Benched, out: Path) -> Path:
    """Write `benched` into `out`, where nothing unfinished of it is left then. Raises UserError."""
    path = path_of(benched, out)
    durable.make_folder(out)
    durable.write(path, msgspec.json.format(msgspec.json.encode(benched), indent=1))
    unfinished.forget(path)
    return path


def path_of(benched: Benched, out: Path) -> Path:
    """``NAME-DEVICE.json``, with the threads where they are several."""
    device, threads = str(benched.environment["device"]), benched.environment["threads"]
    words = [*device.lower().split(), *([f"{threads}-threads"] if device == "cpu" and threads > 1 else [])]
    return out / f"{benched.bench}-{'-'.join(words)}.json"


def read(path: Path) -> Benched:
    """What `record` wrote. Raises UserError."""
    return records.read(path)
