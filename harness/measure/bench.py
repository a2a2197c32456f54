"""`bench NAME`: found, narrowed to what was asked, run here, recorded. Torch comes late, as everywhere."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness import checks, durable, environment, tables
from harness.decode import decode
from harness.errors import UserError, did_you_mean
from harness.measure import records
from harness.measure.spec import Bench, Benched, Latency, Overhead, Training
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
    return decode(path, Bench, _check)  # type: ignore[type-var]


def _check(bench: Bench, file: str) -> Iterator[UserError]:
    """What the types cannot say."""
    yield from checks.name(bench.name, file)
    yield from _check_sizes(bench, file)
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


def _check_sizes(bench: Bench, file: str) -> Iterator[UserError]:
    if bench.rounds < 1 or not bench.grid:
        yield UserError("has no rounds, or no [[grid]]", file, "write at least one of each")
    for number, grid in enumerate((*bench.grid, *getattr(bench, "growth", ())), start=1):
        for name, values in msgspec.structs.asdict(msgspec.structs.replace(grid, rounds=None)).items():
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
    if "method" in given and not isinstance(bench, Training):
        bench = _of_methods(bench, given.pop("method"))
    again = {} if rounds is None else {"rounds": rounds}
    grids = tuple(msgspec.structs.replace(grid, **given, **again) for grid in bench.grid)
    changes: dict[str, Any] = {"grid": tuple(dict.fromkeys(grids)), "rounds": rounds or bench.rounds}
    if isinstance(bench, Training):
        growth = () if given else bench.growth
        changes["growth"] = tuple(msgspec.structs.replace(grid, **again) for grid in growth)
    return msgspec.structs.replace(bench, **changes)


def _of_methods(bench: Latency | Overhead, methods: tuple[str, ...]) -> Latency | Overhead:
    """Only subjects of `methods`; the reference stays."""
    named = {subject: subject if isinstance(subject, str) else subject.method for subject in bench.subject}
    if unknown := [method for method in methods if method not in named.values()]:
        raise UserError(
            f"bench {bench.name} has no subject of method `{unknown[0]}`",
            "--method",
            did_you_mean(unknown[0], set(named.values())),
        )
    return msgspec.structs.replace(bench, subject=tuple(s for s, method in named.items() if method in methods))


def run(bench: Bench, threads: int, tell: Callable[[str], None] = lambda line: None) -> Benched:
    """Every timing of `bench` on this machine's device; `threads` counts on a CPU. `tell` hears of each setting."""
    environment.limit_threads(threads)
    import torch

    from baselines import kernels

    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    measure = importlib.import_module(f"harness.measure.{bench.__struct_config__.tag}")
    timings = tuple(measure.timings(bench, device, tell))
    training = isinstance(bench, Training)
    return Benched(
        bench=bench.name,
        title=bench.title,
        rounds=bench.rounds,
        timings=timings,
        environment=environment.describe() | {"neurons": kernels.state(device)},
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        growth=tuple(measure.growths(bench, device, tell)) if training else (),
        targets=tuple(met(bench.target, timings, threads if device.type == "cpu" else None)) if training else (),
        notes=bench.notes,
    )


def record(benched: Benched, out: Path) -> Path:
    """Write `benched` as ``NAME-DEVICE.json`` into `out`, with the threads where they are several. Raises UserError."""
    device, threads = str(benched.environment["device"]), benched.environment["threads"]
    words = [*device.lower().split(), *([f"{threads}-threads"] if device == "cpu" and threads > 1 else [])]
    path = out / f"{benched.bench}-{'-'.join(words)}.json"
    durable.make_folder(out)
    durable.write(path, msgspec.json.format(msgspec.json.encode(benched), indent=1))
    return path


def read(path: Path) -> Benched:
    """What `record` wrote. Raises UserError."""
    return records.read(path)
