"""How the processes of a cell find each other, and how they know that nobody else has come in between.

MASTER_ADDR and MASTER_PORT say where the first one listens: on that address alone, loopback where all of them are on
one node. Each proves to every other that it knows the secret of this run, HARNESS_TOKEN, before anything else is said.
What follows is neither encrypted nor signed: who can alter the traffic between two nodes can alter numbers.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, ProcessGroupGloo, Store

from baselines.parts.synchronised import collect
from harness.environment import TOKEN
from harness.errors import UserError

LEAST = 16
"""Characters of a token."""
NONCE = hashlib.sha256().digest_size
BACKEND = "gloo_here"
"""torch's gloo, but listening on one address; its own takes that of the host's name, whatever it may be."""


def token() -> bytes:
    """The secret that the processes of this run share. Raises UserError."""
    found = os.environ.get(TOKEN, "")
    if len(found) < LEAST:
        what = f"{TOKEN} is {'too short' if found else 'not set'}, by which the processes of a cell know each other"
        to_type = f"type export {TOKEN}=$(openssl rand -hex 16) before all of them start; or unset WORLD_SIZE"
        raise UserError(what, "", to_type)
    return found.encode()


def meet(timeout: timedelta) -> tuple[Store, int, int]:
    """The common store, this process's rank, and how many there are. Raises ValueError, RuntimeError, OSError."""
    rank, size, port = (int(_told(name)) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
    if not 0 <= rank < size:
        raise ValueError(f"RANK is {rank}, WORLD_SIZE is {size}")
    host = address()
    ours = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != str(True)  # else torchrun has opened it
    opened = {"is_master": True, "master_listen_fd": _listen(host, port)} if ours else {}
    store = dist.TCPStore(host, port, timeout=timeout, wait_for_workers=False, **opened)  # type: ignore[attr-defined]
    return PrefixStore(_proof(token(), "names", b"").hex(), store), rank, size


def address() -> str:
    """Where the first process listens, as a number."""
    if os.environ.get("LOCAL_WORLD_SIZE") == _told("WORLD_SIZE"):
        return "127.0.0.1"
    found = socket.getaddrinfo(_told("MASTER_ADDR"), None, type=socket.SOCK_STREAM)
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def own_address() -> str:
    """Of this node, the one from which the first process is reached."""
    host = address()
    with socket.socket(_family(host), socket.SOCK_DGRAM) as way:
        way.connect((host, 9))  # nothing is sent
        return str(way.getsockname()[0])


def open_group(gpus: bool, store: Store, rank: int, size: int, timeout: timedelta) -> None:
    """torch's default process group, and the proof that it is ours. Raises UserError for a stranger among us."""
    if BACKEND not in dist.Backend.backend_list:
        dist.Backend.register_backend(BACKEND, _gloo, devices=["cpu", "cuda"])
    backend = f"cpu:{BACKEND},cuda:nccl" if gpus and dist.is_nccl_available() else BACKEND
    dist.init_process_group(backend, store=PrefixStore("group", store), rank=rank, world_size=size, timeout=timeout)
    strangers = _strangers(token(), rank, size)
    if strangers:
        dist.destroy_process_group()
        who = ", ".join(map(str, strangers))
        raise UserError(f"process {who} of this cell does not know {TOKEN}: a stranger's", "", "run it again")


def _strangers(key: bytes, rank: int, size: int) -> list[int]:
    """Each asks every other over the connection that they will use; who does not know the secret cannot answer."""
    asked = secrets.token_bytes(NONCE * size)
    heard = _exchange(asked, size)
    answers = b"".join(_proof(key, f"{rank} to {other}", _part(heard, other)) for other in range(size))
    given = _exchange(answers, size)
    due = {other: _proof(key, f"{other} to {rank}", _part(asked, other)) for other in range(size)}
    return [other for other, proof in due.items() if not hmac.compare_digest(_part(given, other), proof)]


def _exchange(said: bytes, size: int) -> bytes:
    """A part of `said` to each process; from each, the part that was for this one."""
    heard = torch.empty(NONCE * size, dtype=torch.uint8)
    collect(dist.all_to_all_single, heard, torch.frombuffer(bytearray(said), dtype=torch.uint8))
    return heard.numpy().tobytes()


def _part(of: bytes, number: int) -> bytes:
    return of[NONCE * number : NONCE * (number + 1)]


def _proof(key: bytes, purpose: str, nonce: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\0" + nonce, "sha256")


def _gloo(store: Store, rank: int, size: int, timeout: timedelta) -> Any:
    options = ProcessGroupGloo._Options()  # type: ignore[attr-defined]
    options._devices = [ProcessGroupGloo.create_device(hostname=own_address())]
    options._timeout = timeout
    return ProcessGroupGloo(store, rank, size, options)


def _listen(host: str, port: int) -> int:
    """A socket of this address alone; torch's own is open on all."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        return listener.detach()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _told(name: str) -> str:
    if value := os.environ.get(name):
        return value
    raise ValueError(f"{name} is not set")
