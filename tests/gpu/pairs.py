"""Two processes that share a cell: on one GPU through gloo, on two of them through nccl, against one process alone."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import one_of_two
import torch
import torch.distributed as dist
from gpu.place import Absent, Found, Place, check, each, told
from torch import Tensor

from baselines import METHODS
from harness.environment import TOKEN
from harness.train import distributed
from harness.train.distributed import ALONE

BOUND = 1e-7
"""Relative difference of five steps in float64: a GPU sums in other orders than the processor."""
METHODS_HERE = ("vanilla", "mpbn", "tebn", "im-loss")
"""Plain, with statistics of potentials, of each step, and with a penalty on them."""


def pairs(place: Place) -> Iterator[Found]:
    """Called where this process has not begun CUDA yet: it becomes two, twice."""
    ways = {"two processes on one GPU, gloo": partial(_pair, place, "gloo")}
    ways["two GPUs, nccl"] = partial(_pair, place, "nccl")
    yield from each(place, ways)


def _pair(place: Place, way: str) -> Iterator[Found]:
    if way == "nccl" and (place.stand_in or _gpus() < 2):
        raise Absent("one GPU only" if not place.stand_in else "no GPU")
    with tempfile.TemporaryDirectory() as folder:
        become_two(Path(folder), way, place)
        seen = [torch.load(Path(folder) / f"{rank}.pt", weights_only=False) for rank in range(2)]
    if wrong := [each for each in seen if isinstance(each, str)]:
        raise RuntimeError(" | ".join(wrong))
    yield check(f"{way}: what the processes speak through", way in seen[0]["backend"], seen[0]["backend"])
    for method in place.some(METHODS_HERE):
        one, (first, second) = seen[0]["alone"][method], (each["steps"][method] for each in seen)
        apart = max(_apart(first[name], one[name]) for name in one)
        alike = all(torch.equal(first[name], second[name]) for name in one)
        says = f"{way}: five steps of {method} are those of one process, the same in both"
        yield check(says, apart <= BOUND and alike, f"{apart:.1e} apart")


def _gpus() -> int:
    from harness import environment

    return len(environment.gpus())


def _apart(ours: Tensor, theirs: Tensor) -> float:
    """Of gradients that are zero but for rounding nothing is asked."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-6))


def become_two(folder: Path, way: str, place: Place) -> None:
    """Two processes of a node, forked: each leaves what it saw, or why it saw nothing."""
    children = []
    port = _free_port()
    token = secrets.token_hex(16)
    for rank in range(2):
        child = os.fork()
        if child == 0:
            os._exit(_one(folder, rank, port, token, place))
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def _one(folder: Path, rank: int, port: str, token: str, place: Place) -> int:
    os.environ |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, TOKEN: token}
    try:
        torch.save(_seen(place), folder / f"{rank}.pt")
    except BaseException as error:
        traceback.print_exc()
        torch.save(f"process {rank}: {told(error)}", folder / f"{rank}.pt")
        return 1
    return 0


def _seen(place: Place) -> dict[str, object]:
    """Alone first, on the same device: another one adds in another order."""
    methods = [method for method in place.some(METHODS_HERE) if method in METHODS]
    device = place.device.type
    leads = os.environ["RANK"] == "0"
    alone = {method: one_of_two.five_steps(method, ALONE, device) for method in methods} if leads else {}
    group = distributed.join()
    backend = dist.get_backend_config()
    steps = {method: one_of_two.five_steps(method, group, device) for method in methods}
    return {"alone": alone, "steps": steps, "backend": backend}


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
