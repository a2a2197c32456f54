"""`bench NAME`: found, narrowed to what was asked, run here, recorded. Torch comes late, as everywhere."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness import durable, environment, tables
from harness.decode import decode
from harness.errors import UserError, did_you_mean
from harness.measure.spec import Bench, Benched


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
    return decode(path, Bench)  # type: ignore[type-var]


def narrowed(bench: Bench, wanted: Mapping[str, tuple], rounds: int | None) -> Bench:
    """`bench` with one grid, of the values `wanted` for some of its sizes; what is not given stays."""
    given = {name: values for name, values in wanted.items() if values}
    grids = tuple(msgspec.structs.replace(grid, **given) for grid in bench.grid)
    return msgspec.structs.replace(bench, grid=tuple(dict.fromkeys(grids)), rounds=rounds or bench.rounds)


def run(bench: Bench, threads: int, tell: Callable[[str], None] = lambda line: None) -> Benched:
    """Every timing of `bench` on this machine's device; `threads` counts on a CPU. `tell` hears of each setting."""
    environment.limit_threads(threads)
    import torch

    from baselines import kernels

    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    measure = importlib.import_module(f"harness.measure.{bench.__struct_config__.tag}")
    return Benched(
        bench=bench.name,
        title=bench.title,
        rounds=bench.rounds,
        timings=tuple(measure.timings(bench, device, tell)),
        environment=environment.describe() | {"neurons": kernels.state(device)},
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def record(benched: Benched, out: Path) -> Path:
    """Write `benched` as ``NAME-DEVICE.json`` into `out`. Raises UserError."""
    device = "-".join(str(benched.environment["device"]).lower().split())
    path = out / f"{benched.bench}-{device}.json"
    durable.make_folder(out)
    durable.write(path, msgspec.json.format(msgspec.json.encode(benched), indent=1))
    return path
