"""What this machine can run, what is missing, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness import data, environment, slurm
from harness.errors import UserError
from harness.store import Store

NEEDED = (*environment.PACKAGES, "pandas", "scipy", "matplotlib", "rich")


@dataclass(frozen=True, kw_only=True)
class Finding:
    what: str
    state: Literal["ok", "missing", "note"]
    """`missing`: something cannot run; `note`: something optional is not there."""
    detail: str


def examine(store: Store, data_root: Path | None) -> Iterator[Finding]:
    """One finding after the other; the slow ones (torch, reading data sets) come as they are made."""
    yield Finding(what="python", state="ok", detail=environment.executable())
    yield from _packages()
    memory = f", {environment.memory_gib():.0f} GiB" if environment.memory_gib() else ""
    yield Finding(what="cpu", state="ok", detail=f"{environment.cpu_model()}, {environment.cores()} cores{memory}")
    if environment.refuses_large_pages():
        slow = "in small pages alone, so that training on the CPU takes longer"
        yield Finding(what="memory", state="note", detail=f"{slow}; as root: echo madvise > {environment.PAGES}")
    yield _gpu()
    yield _kernel()
    yield _store(store)
    yield _slurm()
    for name in data.names():
        yield _dataset(name, data_root)


def _packages() -> Iterator[Finding]:
    found = environment.versions(NEEDED)
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    yield Finding(what="packages", state="ok", detail=listed)
    if absent := [name for name in NEEDED if name not in found]:
        yield Finding(what="packages", state="missing", detail=f"{', '.join(absent)}: type `make setup`")


def _gpu() -> Finding:
    try:
        name = environment.device_name()
    except ImportError as error:
        return Finding(what="torch", state="missing", detail=f"{error}: type `make setup`")
    if name == "cpu":
        return Finding(what="gpu", state="note", detail="none that torch can use: jobs run on the CPU")
    return Finding(what="gpu", state="ok", detail=f"{name} ({len(environment.gpus())} visible)")


def _kernel() -> Finding:
    from baselines import kernels  # late: it brings torch, and the first lines need none of it

    state = kernels.state()
    return Finding(what="neurons on the CPU", state="note" if "(" in state else "ok", detail=state)


def _store(store: Store) -> Finding:
    try:
        store.prepare()
    except UserError as error:
        return Finding(what="store", state="missing", detail=str(error))
    count = sum(1 for _ in store.results())
    return Finding(what="store", state="ok", detail=f"{store.root} can be written, {count} results")


def _slurm() -> Finding:
    try:
        slurm.require()
        return Finding(what="slurm", state="ok", detail=slurm.summary())
    except UserError as error:
        return Finding(what="slurm", state="note", detail=f"{error.what}: only --on inline and --on local run here")


def _dataset(name: str, root: Path | None) -> Finding:
    try:
        found = data.examine(name, root)
    except UserError as error:
        return Finding(what=f"data {name}", state="missing", detail=str(error).removeprefix("data: "))
    if found.whole:
        return Finding(what=f"data {name}", state="ok", detail=str(found))
    return Finding(what=f"data {name}", state="note", detail=f"{found}; for the rest {found.get}")
