"""Cells -> jobs -> SLURM arrays, through submitit: one array for each time limit, split where the site wants it."""

from __future__ import annotations

import contextlib
import io
import math
import os
import secrets
import shlex
import sysconfig
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness import environment, slurm
from harness.amounts import duration
from harness.clusters import Profile
from harness.errors import UserError
from harness.forecast.history import Past
from harness.jobs import queue
from harness.jobs.job import Job, Work, recomputing
from harness.jobs.launch import worker
from harness.jobs.supervisor import Supervisor
from harness.spec import Cell

if TYPE_CHECKING:
    from submitit import SlurmExecutor

BUCKETS = (10, 20, 30, 60, 120, 240, 480, 720, 1440, 2880, 4320, 7200, 10080)
"""Minutes that are asked for: few different ones, so few arrays."""
STARTING = 300.0
"""Seconds that a job takes beside training: imports, data, proofs, a node's slow first touch."""
WARNING = 120
"""Seconds before its time limit that a job is told to save."""
TIMEOUTS = 200
"""How often a job may run out of time and go on; each time it saves what it has done."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What becomes one array: jobs of equal shape, each with the cells that it trains at once."""

    minutes: int
    jobs: tuple[tuple[Cell, ...], ...]

    def __str__(self) -> str:
        cells, jobs = sum(map(len, self.jobs)), len(self.jobs)
        time = duration(60 * self.minutes)
        return f"{cells} cell{'s' * (cells > 1)} in {jobs} job{'s' * (jobs > 1)}, {time} at the most"


@dataclass(frozen=True, kw_only=True)
class How:
    """What the jobs are told; as `launch.Options`, it changes no number."""

    profile: Profile
    source: Path = Path()
    """The file of the profile."""
    store_root: Path
    threads: int = 1
    data_root: Path | None = None
    plugins: tuple[str, ...] = ()
    recompute: str = "nothing"
    command: str = ""
    on: str = ""
    """How the profile was named: its name, or the path of its file."""
    job: Job = worker


def batches(cells: Sequence[Cell], profile: Profile, known: Mapping[Cell, Past]) -> list[Batch]:
    """Arrays in order of their time limit; neighbours (the seeds of a row) share a job. Raises UserError."""
    most = limit(profile)
    groups: dict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[minutes(known.get(cell), profile, most)].append(cell)
    largest = slurm.largest_array()
    found = []
    for asked, group in sorted(groups.items()):
        jobs = [tuple(group[start : start + profile.pack]) for start in range(0, len(group), profile.pack)]
        split = (jobs[start : start + largest] for start in range(0, len(jobs), largest))
        found += [Batch(minutes=asked, jobs=tuple(some)) for some in split]
    return found


def limit(profile: Profile) -> int:
    """The most minutes that a job may ask for: the profile's, or the partition's if that is less. Raises UserError."""
    try:
        mine, theirs = slurm.minutes(profile.time), slurm.partition_limit(profile.partition)
    except UserError as error:
        raise UserError(error.what, profile.name, "`sinfo` lists the partitions") from None
    return min(asked for asked in (mine, theirs) if asked is not None)


def minutes(past: Past | None, profile: Profile, most: int) -> int:
    """The forecast with its margin, rounded up; without a forecast, all that may be had."""
    if past is None:
        return most
    wanted = (past.seconds * profile.margin + STARTING) / 60
    return min(most, next((bucket for bucket in BUCKETS if bucket >= wanted), math.ceil(wanted)))


def submit(batch: Batch, how: How, after: Sequence[str] = ()) -> queue.Array:
    """Call sbatch; the jobs begin when those of the arrays `after` have ended, whichever way.

    Raises UserError with its complaint; nothing of this array is then in the queue.
    """
    array = _array(batch, how)
    folder = queue.record(how.store_root, array)
    executor = _executor(batch, how, array.name, folder, after)
    try:
        with _outside_of_a_job(), contextlib.redirect_stderr(io.StringIO()):
            jobs = executor.submit_array([Supervisor(_work(cells, how), how.profile.processes) for cells in batch.jobs])
    except Exception as error:  # submitit's own, or that of the file system
        if not _arrived(array.name):
            queue.forget(how.store_root, array.name)
            raise UserError(f"sbatch: {slurm.complaint(str(error))}", how.profile.name, _advice(how.profile)) from None
        return array
    array = _numbered(array, jobs[0].job_id.partition("_")[0])
    queue.record(how.store_root, array)
    return array


def script(batch: Batch, how: How, after: Sequence[str] = ()) -> str:
    """What `submit` would give to sbatch."""
    name = _array(batch, how).name
    executor = _executor(batch, how, name, how.store_root / queue.HOME / name, after)
    if len(batch.jobs) > 1:
        executor.parameters["map_count"] = len(batch.jobs)
    return executor._make_submission_file_text(executor._submitit_command_str, name)


def _array(batch: Batch, how: How) -> queue.Array:
    now = datetime.now(UTC)
    return queue.Array(
        name=f"harness-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        profile=how.profile.name,
        on=how.on or how.profile.name,
        cluster=slurm.cluster(),
        submitted=now.isoformat(timespec="seconds"),
        tasks=tuple(tuple(cell.key for cell in cells) for cells in batch.jobs),
    )


def _numbered(array: queue.Array, job: str) -> queue.Array:
    import msgspec

    return msgspec.structs.replace(array, job=job)


def _work(cells: tuple[Cell, ...], how: How) -> Work:
    return Work(
        job=recomputing(how.job, how.recompute),
        cells=cells,
        store_root=how.store_root.resolve(),
        data_root=how.data_root,
        plugins=how.plugins,
        threads=how.threads,
    )


def _executor(batch: Batch, how: How, name: str, folder: Path, after: Sequence[str]) -> SlurmExecutor:
    import submitit

    profile = how.profile
    executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=TIMEOUTS, python=profile.python)
    executor.update_parameters(
        job_name=name,
        partition=profile.partition,
        account=profile.account,
        qos=profile.qos,
        constraint=profile.constraint,
        time=batch.minutes,
        nodes=profile.nodes,
        ntasks_per_node=profile.per_node,
        cpus_per_task=profile.cpus * profile.pack,
        gres=f"gpu:{profile.gpus * profile.per_node}" if profile.gpus else None,
        mem=f"{profile.memory_mib}M" if profile.memory_mib else None,
        signal_delay_s=min(WARNING, batch.minutes * 60 // 4),
        array_parallelism=profile.parallel,
        wckey=None,
        stderr_to_stdout=True,
        setup=list(_setup(how)),
        srun_args=["--kill-on-bad-exit=1"] if profile.processes > 1 else None,
        additional_parameters=_extra(profile, after),
    )
    return executor


def _extra(profile: Profile, after: Sequence[str]) -> dict[str, str | int | bool]:
    """In submitit's spelling, so that they replace what it sets; `false` takes an option away."""
    given = {"requeue": True} | {name.replace("-", "_"): value for name, value in profile.extra.items()}
    if after:  # in any case: one whose origin failed then says so, and none waits for ever
        waits = [str(given["dependency"])] if given.get("dependency") else []
        given["dependency"] = ",".join([*waits, f"afterany:{':'.join(after)}"])
    return {name: value for name, value in given.items() if value is not False}


def _setup(how: How) -> Iterator[str]:
    """Shell lines: the profile's, then what the jobs need to find this code and to compute the same bits."""
    profile = how.profile
    yield from profile.setup
    told = {
        **profile.environment,
        **{name: str(how.threads) for name in environment.THREADS},
        environment.COMMAND: how.command,
        environment.CLUSTER: profile.name,
        environment.PLACE: how.on or profile.name,
        environment.PACK: str(profile.pack),
    }
    yield from (f"export {name}={shlex.quote(value)}" for name, value in told.items())
    if profile.processes > 1:  # the secret of one start, never on a disk
        yield f"export {environment.TOKEN}=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \\n')"
    yield "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK  # srun does not take it over by itself"
    if (root := Path(__file__).resolve().parents[2]) != Path(sysconfig.get_path("purelib")).resolve():
        yield f"export PYTHONPATH={shlex.quote(str(root))}${{PYTHONPATH:+:$PYTHONPATH}}"


@contextlib.contextmanager
def _outside_of_a_job() -> Iterator[None]:
    """Jobs may be submitted from within one (an interactive session on a node), whose settings are not theirs."""
    inside = "SLURM_JOB_ID" in os.environ
    taken = {name: os.environ.pop(name) for name in list(os.environ) if inside and _of_the_job(name)}
    try:
        yield
    finally:
        os.environ.update(taken)


def _of_the_job(name: str) -> bool:
    return name.startswith(("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")) and name != "SLURM_CONF"


def _arrived(name: str) -> bool:
    """sbatch may give up waiting for an answer to what has been heard."""
    try:
        return bool(slurm.queue([name]))
    except UserError:
        return False


def _advice(profile: Profile) -> str:
    return f"put it right in {profile.name}.toml, or type the same again later; what was submitted stays"
