"""Claims whose SLURM job is gone: freed at once by whoever can ask the queue, instead of after a long silence."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from harness import slurm
from harness.errors import UserError
from harness.store import claim


def free(root: Path, keys: Iterable[str]) -> tuple[str, ...]:
    """Free the cells (keys) of the store at `root` that jobs held which are in this cluster's queue no more.

    Only our own claims: a cluster may hide the jobs of others. The claims are read before the queue, so that a job
    which began since is not taken for one that is gone. Returns the keys freed; none where SLURM cannot be asked.
    """
    held = {key: found for key in keys if (found := claim.holder(root / key)) and _ours(root / key, found)}
    if not held:
        return ()
    try:
        here, alive = slurm.cluster(), slurm.ours()
    except UserError:
        return ()
    gone = [key for key, found in held.items() if _gone(found.job, here, alive)]
    return tuple(key for key in gone if claim.free(root / key, held[key].token))


def _ours(folder: Path, found: claim.Holder) -> bool:
    return bool(found.job) and claim.owner(folder) == os.getuid()


def _gone(job: str, here: str, alive: frozenset[str]) -> bool:
    cluster, _, number = job.partition(":")
    return cluster == here and number not in alive
