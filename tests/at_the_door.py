"""What `test_rendezvous.py` does in processes of its own: two of one run, and strangers who would be one of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore

from harness.environment import TOKEN
from harness.errors import UserError
from harness.train import distributed, rendezvous

TIMEOUT = timedelta(seconds=60)


def ours(folder: Path) -> None:
    """Join, and say with whom."""
    try:
        group = distributed.join()
        said = [group.rank, group.size, group.gather(os.getpid(), int)]
    except UserError as error:
        said = [str(error)]
    (folder / f"ours-{os.environ['RANK']}.json").write_text(json.dumps(said))


def strangers(folder: Path) -> None:
    """Knows address and rank, and thinks that this is enough."""
    os.environ[TOKEN] = "no idea what it may be"
    ours(folder)


def clever(folder: Path) -> None:
    """Asks the store for the names of its keys, goes in by them, and only then has no answer."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(host, port, timeout=TIMEOUT, wait_for_workers=False)
    names: list[str] = []
    while not any("group" in name for name in names):
        time.sleep(0.05)
        names = store.list_keys()
    prefix = next(name for name in names if "group" in name).partition("/")[0]
    rendezvous.meet = lambda timeout: (PrefixStore(prefix, store), 1, 2)  # type: ignore[assignment]
    strangers(folder)


def begin(who: Callable[[Path], None], rank: int, folder: Path) -> int:
    if (child := os.fork()) == 0:
        os.environ["RANK"] = str(rank)
        try:
            who(folder)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    return child


def main(ports: list[str], folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", TOKEN: "0123456789abcdef"}
    os.environ["MASTER_PORT"] = ports[0]
    first = begin(ours, 0, folder / "plain")
    stranger = begin(strangers, 1, folder / "stranger")
    time.sleep(1)  # long enough to have come in, were the door open
    for child in (first, begin(ours, 1, folder / "plain")):
        os.waitpid(child, 0)
    os.environ["MASTER_PORT"] = ports[1]
    first, other = begin(ours, 0, folder / "clever"), begin(clever, 1, folder / "stranger")
    os.waitpid(first, 0)
    for child in (stranger, other):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:3], Path(sys.argv[3]))
