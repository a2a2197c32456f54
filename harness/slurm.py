"""The few commands of SLURM that are used, and what their answers mean. None needs accounting but `reasons`."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import UserError
from harness.printable import shortened

COMMANDS = ("sbatch", "srun", "squeue", "scontrol", "scancel")
PATIENCE = 60.0
"""Seconds that a command has to answer."""
NAMES_AT_ONCE = 2000
"""Job names in one call of squeue: as many as a command line surely holds."""
TRACEBACK = "Traceback (most recent call last):"
ELSEWHERE = "type it on the cluster's login node, or run here: --on local"
UNCONFIGURED = "Could not establish a configuration source"
"""How SLURM's commands end where they are installed and nothing says of which cluster."""
COMPLAINT = 300
"""Characters of what is handed on of a complaint."""
_WIDTHS = {"JobArrayID": 30, "Name": 60, "State": 20, "RestartCnt": 12, "TimeLeft": 24, "NodeList": 120, "Reason": 60}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One job of an array, as squeue lists it."""

    job: str
    """``123_4``; ``123`` where it is no array."""
    name: str
    state: str
    """PENDING, RUNNING, COMPLETING, ..."""
    restarts: int
    """How often it was requeued."""
    seconds_left: float | None
    node: str
    reason: str
    """Why it waits."""


def absent() -> str:
    """What is missing of SLURM on this machine, as a line; empty if it is all there."""
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    return f"no SLURM on this machine (no {missing[0]})" if missing else ""


def require() -> None:
    """Raises UserError where there is no SLURM, or where it does not answer."""
    if problem := absent():
        raise UserError(problem, "--on", ELSEWHERE)
    config()


@functools.cache
def config() -> dict[str, str]:
    """`scontrol show config`: ClusterName, MaxArraySize, ... Raises UserError."""
    pairs = (line.partition("=") for line in ask("scontrol", "show", "config").splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def cluster() -> str:
    """SLURM's own name for the cluster whose login node this is. Raises UserError."""
    return config().get("ClusterName", "")


def largest_array() -> int:
    """Tasks that one array may have. Raises UserError."""
    return max(1, int(config().get("MaxArraySize", "1001")))


def accounting() -> bool:
    """Whether finished jobs are remembered, so that sacct can answer. Raises UserError."""
    return config().get("AccountingStorageType", "").endswith("slurmdbd")


def partition_limit(name: str | None) -> int | None:
    """Minutes that a job may ask for in partition `name`, or in the default one; None: no limit. Raises UserError."""
    for partition in ask("scontrol", "show", "partition", "--oneliner", *([name] if name else [])).splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", partition))
        if name or fields.get("Default") == "YES":
            return minutes(fields.get("MaxTime", "UNLIMITED"))
    return None


def summary() -> str:
    """For `doctor`: the cluster, its partitions, whether it keeps accounts. Raises UserError."""
    partitions = sorted(set(ask("sinfo", "--noheader", "--format", "%R").split()))
    version = config().get("SLURM_VERSION", "")
    keeps = "with accounting" if accounting() else "without accounting (none is needed)"
    return f"{version} cluster {cluster()}, partitions {', '.join(partitions)}, {keeps}".strip()


def queue(names: Sequence[str]) -> list[Line]:
    """Jobs of these names that are pending, running or ending; one call. Raises UserError if squeue does not answer."""
    fields = ",".join(f"{field}:{width}" for field, width in _WIDTHS.items())
    lines: list[Line] = []
    for start in range(0, len(names), NAMES_AT_ONCE):
        some = ",".join(names[start : start + NAMES_AT_ONCE])
        said = ask("squeue", "--noheader", "--array", "--name", some, "--Format", fields)
        lines += [_line(text) for text in said.splitlines() if text.strip()]
    return lines


def ours() -> frozenset[str]:
    """All jobs of this user that are pending, running or ending: ``123``, ``123_4``. Raises UserError."""
    said = ask("squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "%i")
    return frozenset(said.split())


def state(job: str) -> str:
    """Of one job; empty if it is gone. Raises UserError if squeue does not answer."""
    try:
        return ask("squeue", "--noheader", "--jobs", job, "--format", "%T").strip()
    except UserError as error:
        if "Invalid job id" in str(error):
            return ""
        raise


def requeue(job: str) -> None:
    """Raises UserError."""
    ask("scontrol", "requeue", job)


def cancel(jobs: Iterable[str]) -> None:
    """Raises UserError."""
    if jobs := list(jobs):
        ask("scancel", *jobs)


def reasons(jobs: Sequence[str]) -> dict[str, str]:
    """Job -> how it ended (`TIMEOUT`, `OUT_OF_MEMORY`, ...), as far as sacct knows; empty without accounting."""
    try:
        if not jobs or not accounting():
            return {}
        said = ask(
            "sacct", "--noheader", "--parsable2", "--allocations", "--format", "JobID,State", "--jobs", ",".join(jobs)
        )
    except UserError:
        return {}
    pairs = (line.partition("|") for line in said.splitlines())
    return {job: ended.partition(" ")[0] for job, _, ended in pairs}


def minutes(text: str) -> int | None:
    """``30``, ``2:30:00``, ``1-12``, ``7-00:00:00`` -> minutes, as sbatch reads them; None for no limit.

    Raises ValueError.
    """
    if text.upper() in ("UNLIMITED", "INFINITE", "NONE"):
        return None
    found = re.fullmatch(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})", text)
    if found is None:
        raise ValueError(text)
    clock = [int(part) for part in found["clock"].split(":")]
    if found["days"] is not None:  # D-HH[:MM[:SS]]
        hours, mins, seconds = (*clock, 0, 0)[:3]
    elif len(clock) == 3:
        hours, mins, seconds = clock
    else:  # MM[:SS]
        hours, (mins, seconds) = 0, (*clock, 0)[:2]
    return int(found["days"] or 0) * 1440 + hours * 60 + mins + (seconds > 0)


def ask(*command: str) -> str:
    """What a command of SLURM prints. Raises UserError with its own complaint in one line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError:
        raise UserError(f"no SLURM on this machine (no {command[0]})") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} did not answer in {PATIENCE:.0f} s") from None
    if UNCONFIGURED in done.stderr:
        raise UserError("SLURM is installed here, but knows of no cluster (no slurm.conf)", command[0], ELSEWHERE)
    if done.returncode != 0:
        raise UserError(complaint(done.stderr or done.stdout) or f"ended with {done.returncode}", command[0])
    return done.stdout


def complaint(text: str) -> str:
    """What a command of SLURM complained of, in one line, without its own name and the stock phrases.

    Sites put scripts of their own before SLURM's commands: of one that crashed, the last line says why.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = lines[-1:] if TRACEBACK in lines else lines
    said = (re.sub(r"^\w+: (error|fatal): (Batch job submission failed: )?", "", line) for line in lines)
    return shortened("; ".join(dict.fromkeys(said)), COMPLAINT)


def _line(text: str) -> Line:
    fields: dict[str, str] = {}
    start = 0
    for field, width in _WIDTHS.items():
        fields[field] = text[start : start + width].strip()
        start += width
    return Line(
        job=fields["JobArrayID"],
        name=fields["Name"],
        state=fields["State"],
        restarts=int(fields["RestartCnt"]) if fields["RestartCnt"].isdigit() else 0,
        seconds_left=_seconds(fields["TimeLeft"]),
        node=fields["NodeList"],
        reason="" if fields["Reason"] == "None" else fields["Reason"],
    )


def _seconds(text: str) -> float | None:
    """``1-02:03:04``, ``2:03`` -> seconds; None for `UNLIMITED`, `NOT_SET`, `INVALID`."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if found is None:
        return None
    days, hours, mins, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + mins) * 60 + seconds)
