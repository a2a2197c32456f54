"""Cluster profiles: what to ask of SLURM for the jobs of one cluster, as a TOML file (`slurm/example.toml`)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness import checks, slurm
from harness.decode import decode, there
from harness.errors import UserError, UserErrors, did_you_mean
from harness.spec import Spec

HERE = {
    "inline": "in this process, one cell after another",
    "local": "in processes of this machine, --jobs at once",
}
"""What `--on` knows without a profile, with a description."""
MOST = 100_000
"""Of anything that is counted."""
UNITS = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}
"""Suffix of an amount of memory -> MiB."""


class Profile(Spec, frozen=True):
    """How jobs are asked for. `cpus`, `memory` and `gpus` are those of one process; nothing here changes a number."""

    name: str = ""
    """What `--on` is given: the name of its file."""
    description: str = ""
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: str = "24:00:00"
    """The most to ask for, as sbatch reads it; a forecast, where there is one, asks for less."""
    margin: float = 1.5
    """The forecast times this is asked for."""
    gpus: int = 0
    gpu_memory: float | None = None
    """GiB of one GPU: a dry run then says what will not fit."""
    cpus: int = 1
    memory: str | None = None
    nodes: int = 1
    processes: int = 1
    """Of one cell, spread evenly over `nodes`: it trains on all of their GPUs."""
    pack: int = 1
    """Cells that run at once in one job and share its GPUs."""
    parallel: int = 256
    """Jobs of an array that may run at once."""
    data: str | None = None
    """Folder of the data sets, as `--data`."""
    python: str | None = None
    """Command that starts Python on a node (a container's, say); default: the interpreter that submits."""
    setup: tuple[str, ...] = ()
    """Shell lines before Python starts, such as `module load cuda`."""
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    extra: dict[str, str | int | bool] = msgspec.field(default_factory=dict)
    """Other options of sbatch, by their long names."""

    @property
    def per_node(self) -> int:
        """Processes on each node."""
        return self.processes // self.nodes

    @property
    def memory_mib(self) -> int | None:
        """Of a node: what its processes and the cells packed into them need together."""
        return mib(self.memory) * self.per_node * self.pack if self.memory else None

    @property
    def gpus_per_job(self) -> int:
        return self.gpus * self.processes


def folders() -> list[Path]:
    """Where profiles lie that can be named; the first that has a name wins: the user's own, then the shipped ones.

    One that lies beside a store may have come with it from anywhere, and its lines run as the user's: by its path only.
    """
    return [*([home / "snn-harness" / "clusters"] if (home := _settings()) else []), shipped()]


def _settings() -> Path | None:
    """The user's folder of settings; None for a user without a home."""
    if given := os.environ.get("XDG_CONFIG_HOME"):
        return Path(given)
    try:
        return Path.home() / ".config"
    except RuntimeError:
        return None


def shipped() -> Path:
    """Inside an installed package, or beside `harness/` in a clone."""
    here = Path(__file__).parent
    return wheel if (wheel := here / "_slurm").is_dir() else here.parent / "slurm"


def files() -> dict[str, Path]:
    """Name -> file of every profile that can be named."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def find(name_or_path: str, store: Path) -> Path:
    """The file of a profile, by its name or by its path. Raises UserError."""
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.name != name_or_path:
        if not there(path):
            raise UserError(f"no profile `{path}`", "--on", "`list clusters` shows those that can be named")
        return path
    if name_or_path not in (known := files()):
        beside = store.parent / "clusters" / f"{name_or_path}.toml"
        advice = f"one that lies beside the store is used by its path: --on {beside}"
        near = did_you_mean(name_or_path, [*HERE, *known])
        raise UserError(f"unknown place `{name_or_path}`", "--on", advice if there(beside) else near)
    return known[name_or_path]


def load(name_or_path: str, store: Path) -> Profile:
    """A profile by name, or by the path of its file. Raises UserError, UserErrors."""
    path = find(name_or_path, store)
    return msgspec.structs.replace(decode(path, Profile, _check), name=path.stem)


def entries() -> Iterator[tuple[str, str]]:
    """(name, a line about it) of every profile and where it lies; one that is wrong says so."""
    for name, path in files().items():
        try:
            profile = decode(path, Profile, _check)
        except UserErrors as errors:
            yield name, f"cannot be used: {errors.problems[0]}"
        else:
            yield name, f"{profile.description or 'a SLURM cluster'} ({path})"


def mib(text: str) -> int:
    """``16G``, ``4000M``, ``4000`` (MiB, as SLURM's), ``1.5GB`` -> MiB. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(text)
    return max(1, round(float(found[1]) * UNITS[found[2].upper() or "M"]))


def _check(profile: Profile, file: str) -> Iterator[UserError]:
    stem = Path(file).stem
    yield from checks.name(stem, file, "the name of the file")
    if profile.name not in ("", stem):
        yield UserError(f"`name` is {profile.name!r}", file, f'leave it out, or type "{stem}" as the file is called')
    if stem in HERE:
        yield UserError(f"`{stem}` is a place of its own", file, "give the file another name")
    for field, least in (("gpus", 0), ("cpus", 1), ("nodes", 1), ("processes", 1), ("pack", 1), ("parallel", 1)):
        if not least <= getattr(profile, field) <= MOST:
            what = f"`{field}` is {getattr(profile, field)}"
            yield UserError(what, file, f"type a number of {least} or more, {MOST} at most")
    yield from _told(profile, file)
    yield from _home(profile, file)
    if profile.margin < 1:
        yield UserError(f"`margin` is {profile.margin:g}", file, "type a number of 1 or more")
    if profile.gpu_memory is not None and profile.gpu_memory <= 0:
        yield UserError(f"`gpu_memory` is {profile.gpu_memory:g}", file, "type the GiB of one GPU, such as 80")
    if 0 < profile.nodes <= MOST and profile.processes % profile.nodes:
        what = f"{profile.processes} processes do not spread evenly over {profile.nodes} nodes"
        yield UserError(what, file, "make `processes` a multiple of `nodes`")
    if profile.processes > 1 and profile.pack > 1:
        yield UserError("`pack` and `processes` are both above 1", file, "a cell shares a GPU or spans several")
    yield from _amounts(profile, file)


def _told(profile: Profile, file: str) -> Iterator[UserError]:
    """What goes into the script is one word of it, but for `setup` and `python`, which are shell."""
    options = {field: getattr(profile, field) for field in ("partition", "account", "qos", "constraint")}
    for key, value in {**options, **profile.extra}.items():
        if "\n" in str(value):
            yield UserError(f"`{key}` is of several lines", file, "the second would be a line of the job's script")
    for key in profile.extra:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", key):
            yield UserError(f"`{key}` is no option of sbatch", f"{file}: extra", "write its long name, as in mail-type")
    for key in profile.environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            yield UserError(f"`{key}` names no variable", f"{file}: environment", "write letters, digits and `_`")


def _home(profile: Profile, file: str) -> Iterator[UserError]:
    try:
        Path(profile.data or "").expanduser()
    except RuntimeError:
        yield UserError(f"`data` is {profile.data!r}, and there is no such home", file, "write the whole path")


def _amounts(profile: Profile, file: str) -> Iterator[UserError]:
    try:
        most = slurm.minutes(profile.time)
    except ValueError:
        yield UserError(f"`time` is {profile.time!r}", file, 'type minutes, or "HH:MM:SS", or "DAYS-HH"')
    else:
        if most is None or most < 1:
            yield UserError(f"`time` is {profile.time!r}", file, "type what one job may take at the most")
    try:
        mib(profile.memory or "1")
    except ValueError:
        yield UserError(f"`memory` is {profile.memory!r}", file, 'type an amount such as "16G"')
    clash = {"signal", "array", "output", "error", "job-name", "job_name"} & set(profile.extra)
    if clash:
        yield UserError(f"`extra` sets `{min(clash)}`", file, "the harness needs that option itself")
