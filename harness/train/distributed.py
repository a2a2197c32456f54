"""One cell over several processes, each with its share of every batch. A process alone is a group of one.

The processes find each other by the environment that torchrun, submitit or `torch.distributed` set: WORLD_SIZE, RANK,
LOCAL_RANK, MASTER_ADDR, MASTER_PORT; they know each other by HARNESS_TOKEN (`rendezvous.py`). Gradients are summed in
one flat vector after the backward pass, not by torch's DistributedDataParallel: that averages over processes, so an
unequal last batch would count wrongly, and it adds in an order that changes after the first step, so a resumed run
would differ from an undisturbed one.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import Store

from baselines.parts.synchronised import ProcessLost, collect, wait_by
from harness.data import Share
from harness.errors import UserError
from harness.interrupts import Stopped
from harness.train import messages, rendezvous

TIMEOUT = timedelta(minutes=15)
"""How long a process waits for the others before it gives up. A death among them is seen at once."""
LOOK_EVERY = timedelta(seconds=1)
"""How often a process that waits looks whether another has failed."""
FAILED = "failed"
"""Key of the common store under which the first process that fails says why."""


class PeerFailed(Exception):
    """Another process of the group failed; `traceback` is where."""

    def __init__(self, reason: str, traceback: str) -> None:
        super().__init__(reason)
        self.traceback = traceback


class LastWords(msgspec.Struct, frozen=True):
    """Why the first process that failed did."""

    rank: int
    kind: Literal["user", "stop", "error"]
    reason: str
    traceback: str


@dataclass(frozen=True)
class Group:
    """The processes of a cell, and which of them this one is. The first (rank 0) alone records."""

    rank: int = 0
    size: int = 1
    store: Store | None = None

    @property
    def leads(self) -> bool:
        return self.rank == 0

    @property
    def share(self) -> Share:
        return Share(self.rank, self.size)

    def tell(self, what: Any = None, kind: Any = str) -> Any:
        """What the first process says, a `kind`; the others' arguments are not looked at."""
        if self.size == 1:
            return what
        said = _as_bytes(what) if self.leads else torch.empty(0, dtype=torch.uint8)
        length = torch.tensor([len(said)])
        collect(dist.broadcast, length, 0)
        said = said if self.leads else torch.empty(int(length), dtype=torch.uint8)
        collect(dist.broadcast, said, 0)
        return what if self.leads else _from_bytes(said, kind)

    def gather(self, what: Any, kind: Any) -> list[Any]:
        """What each process says, a `kind`, in order."""
        if self.size == 1:
            return [what]
        said = _as_bytes(what)
        lengths = [torch.tensor([0]) for _ in range(self.size)]
        collect(dist.all_gather, lengths, torch.tensor([len(said)]))
        longest = max(map(int, lengths))
        everyones = [torch.empty(longest, dtype=torch.uint8) for _ in range(self.size)]
        collect(dist.all_gather, everyones, torch.nn.functional.pad(said, (0, longest - len(said))))
        return [_from_bytes(part[: int(length)], kind) for part, length in zip(everyones, lengths, strict=True)]

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Whether any process says so, for each flag; the same answer everywhere.

        Asked once a step, on the CPU: where a GPU would wait in silence for a process that is gone, this raises.
        """
        if self.size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.uint8)
        collect(dist.all_reduce, raised, dist.ReduceOp.MAX)
        return tuple(map(bool, raised.tolist()))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Of all processes, in place. The processes hold the same parameters, so one layout fits all."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        collect(dist.all_reduce, flat)
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def start_alike(self, tensors: Iterable[Tensor]) -> None:
        """Everyone takes the first process's values: another processor may have drawn others from the same seed."""
        if self.size > 1:
            for tensor in tensors:
                own = tensor.contiguous()
                collect(dist.broadcast, own, 0)
                tensor.copy_(own)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What fails here in one process ends all: each raises its own error, or that of the process that failed.

        Raises PeerFailed; UserError where a process was lost without a word, or stopped by the user's input.
        """
        try:
            yield
        except Stopped:  # all processes agreed on it
            raise
        except BaseException as error:
            if self.size == 1:
                raise
            lost = isinstance(error, ProcessLost)
            said = self._last_words(error, lost)
            _leave()
            if not lost:
                raise
            raise _as_error(said, self.size) from error

    def _last_words(self, error: BaseException, lost: bool) -> LastWords | None:
        """Say why this process fails, unless it only lost the others: then hear why one of them did."""
        assert self.store is not None
        with contextlib.suppress(RuntimeError, msgspec.MsgspecError):  # the store went down with the first process
            if not lost and self.store.add(f"{FAILED}?", 1) == 1:
                self.store.set(FAILED, msgspec.json.encode(_as_words(error, self.rank)).decode())
            if lost and self.store.check([FAILED]):
                return msgspec.json.decode(self.store.get(FAILED), type=LastWords)
        return None


ALONE = Group()
_joined: list[Group] = []


def join() -> Group:
    """The group that the environment speaks of; once a process, and for all its cells. Raises UserError."""
    if int(os.environ.get("WORLD_SIZE") or 1) == 1:
        return ALONE
    if _joined:
        if not dist.is_initialized():
            raise UserError("the processes of this job have lost each other", "", "run it again")
        return _joined[0]
    if gpus := torch.cuda.device_count():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK") or 0) % gpus)
    try:
        store, rank, size = rendezvous.meet(TIMEOUT)
        rendezvous.open_group(_one_each(gpus), store, rank, size, TIMEOUT)
    except (ValueError, RuntimeError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"the processes of this cell do not find each other ({reason})",
            "",
            "check WORLD_SIZE, RANK, MASTER_ADDR and MASTER_PORT; unset WORLD_SIZE to run in one process",
        ) from error
    wait_by(_attentively(store))
    _joined.append(Group(rank, size, store))
    return _joined[0]


def _one_each(gpus: int) -> bool:
    """Whether each process of this node has a GPU of its own: nccl refuses two that share one, gloo does not."""
    return gpus >= max(1, int(os.environ.get("LOCAL_WORLD_SIZE") or 1))


def seed(group: Group, value: int) -> None:
    """Seed torch's global generator; each process of a group draws numbers of its own, the first those of one alone."""
    torch.manual_seed(value + (group.rank << 40))


def random_state() -> dict[str, Tensor]:
    """Of torch's global generators, to be given back to `set_random_state`."""
    state = {"cpu": torch.get_rng_state()}
    return state | {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else state


def set_random_state(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def _attentively(store: Store) -> Callable[[dist.Work], None]:
    """Waits for an operation, and looks now and then whether a process has failed without leaving."""

    def wait(work: dist.Work) -> None:
        while True:
            try:
                work.wait(LOOK_EVERY)
                return
            except RuntimeError:
                if work.is_completed():
                    work.wait()  # raises again, unless it was done just after we had given up
                    return
                if store.check([FAILED]):
                    raise ProcessLost("another process failed") from None

    return wait


def _as_bytes(what: Any) -> Tensor:
    return torch.frombuffer(bytearray(messages.encode(what)), dtype=torch.uint8)


def _from_bytes(said: Tensor, kind: Any) -> Any:
    return messages.decode(said.numpy().tobytes(), kind)


def _leave() -> None:
    """Close the connections. What others wait for may end at once; else they look at the store."""
    with contextlib.suppress(Exception):
        if dist.get_backend() == rendezvous.BACKEND:
            dist.destroy_process_group()
        else:
            dist.distributed_c10d._abort_process_group()  # to destroy it would wait for what is under way


def _as_words(error: BaseException, rank: int) -> LastWords:
    expected = isinstance(error, UserError | OSError)
    return LastWords(
        rank=rank,
        kind="user" if expected else "stop" if _is_stop(error) else "error",
        reason=_utf8(str(error) if expected else f"{type(error).__name__}: {error}"),
        traceback=_utf8("".join(traceback.format_exception(error))),
    )


def _utf8(text: str) -> str:
    """A name of a file may hold bytes that are no text."""
    return text.encode(errors="replace").decode()


def _is_stop(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | SystemExit)


def _as_error(said: LastWords | None, size: int) -> BaseException:
    """The inverse of `_as_words`, for another process; None: one was lost without a word."""
    if said is None:
        return UserError(f"one of the {size} processes of this cell was lost", "", "run again: it goes on from there")
    if said.kind == "stop":
        return KeyboardInterrupt()
    if said.kind == "user":
        return UserError(said.reason)
    return PeerFailed(f"{said.reason} (in process {said.rank} of {size})", said.traceback)


def summed(group: Group, values: Sequence[float]) -> list[float]:
    """Over all processes, added in their order, so that every process gets the same bits."""
    return [sum(column) for column in zip(*group.gather(list(values), list[float]), strict=True)]
