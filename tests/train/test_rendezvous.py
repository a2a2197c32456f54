"""Who may be a process of a cell, where they listen, and what they say to each other. Over loopback alone."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import at_the_door
import msgspec
import pytest
import torch
from test_distributed import free_port

from harness.environment import TOKEN
from harness.errors import UserError
from harness.store.result import Curve
from harness.train import distributed, messages, rendezvous
from harness.train.checkpoint import State, Underway

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("door")
    for name in ("plain", "clever", "stranger"):
        (folder / name).mkdir()
    command = [sys.executable, at_the_door.__file__, free_port(), free_port(), str(folder)]
    environ = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def said(folder: Path, rank: int) -> list[Any]:
    return json.loads((folder / f"ours-{rank}.json").read_text())


def test_a_stranger_at_the_door_is_not_counted(met: Path) -> None:
    """Who does not know the token waits alone; the two who do find each other past it."""
    first, second = said(met / "plain", 0), said(met / "plain", 1)
    assert (first[:2], second[:2]) == ([0, 2], [1, 2]) and first[2] == second[2]


def test_a_stranger_within_is_refused_before_it_is_heard(met: Path) -> None:
    assert said(met / "clever", 0) == ["process 1 of this cell does not know HARNESS_TOKEN: a stranger's; run it again"]


@pytest.mark.parametrize(("value", "what"), [(None, "is not set"), ("", "is not set"), ("guess", "is too short")])
def test_without_a_secret_there_is_no_group(monkeypatch: pytest.MonkeyPatch, value: str | None, what: str) -> None:
    for name, told in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}.items():
        monkeypatch.setenv(name, told)
    monkeypatch.setenv(TOKEN, value) if value is not None else monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(UserError, match=f"{TOKEN} {what}.* type export {TOKEN}"):
        distributed.join()


def test_on_one_node_loopback_is_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("MASTER_ADDR", "192.0.2.7")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert rendezvous.address() == rendezvous.own_address() == "127.0.0.1"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert rendezvous.address() == "192.0.2.7"


@pytest.mark.parametrize(
    ("gpus", "local", "nccl"), [(0, None, False), (1, None, True), (1, "1", True), (1, "2", False), (2, "2", True)]
)
def test_processes_that_share_a_gpu_speak_through_gloo(
    monkeypatch: pytest.MonkeyPatch, gpus: int, local: str | None, nccl: bool
) -> None:
    """nccl refuses two on one device, and all of them would die."""
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if local is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", local)
    asked: list[bool] = []
    monkeypatch.setattr(distributed.torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(distributed.torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(rendezvous, "meet", lambda timeout: (None, 0, 2))
    monkeypatch.setattr(rendezvous, "open_group", lambda gpus, *rest: asked.append(gpus))
    monkeypatch.setattr(distributed, "wait_by", lambda wait: None)
    monkeypatch.setattr(distributed, "_joined", [])
    monkeypatch.setenv("WORLD_SIZE", "2")
    distributed.join()
    assert asked == [nccl]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)], ids=str)
def test_tensors_arrive_to_the_bit(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    sent = torch.randn(shape).mul(3).to(dtype)
    heard = messages.decode(messages.encode({"t": sent}), dict[str, torch.Tensor])["t"]
    assert heard.dtype == dtype and heard.shape == sent.shape
    assert heard.reshape(-1).view(torch.uint8).equal(sent.reshape(-1).view(torch.uint8))


def test_a_state_arrives_as_it_was() -> None:
    """Of an optimiser too, after a step: numbers as keys, None, a tensor with more than one stride."""
    layer = torch.nn.Linear(3, 2).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    underway = Underway(3, 0.1, [(1, float("nan"), 2)], [distributed.random_state()])
    sent = State(1, {"w": torch.ones(2, 3).t()}, optimiser.state_dict(), Curve(seconds=(0.1,)), 2, underway)
    heard = messages.decode(messages.encode(sent), State | None)
    assert isinstance(heard, State) and heard.curve == sent.curve and heard.epoch == 1 and heard.resumed == 2
    assert heard.network["w"].equal(sent.network["w"])
    optimiser.load_state_dict(heard.optimiser)
    assert repr(optimiser.state_dict()["state"]) == repr(sent.optimiser["state"])
    assert heard.underway is not None and heard.underway.random[0]["cpu"].equal(underway.random[0]["cpu"])
    assert messages.decode(messages.encode(None), State | None) is None


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("run-by-a-stranger",)


def test_nothing_that_is_said_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in (str, Any, State | None, list[float]):
        with pytest.raises(msgspec.MsgspecError):
            messages.decode(pickle.dumps(Command()), kind)
    with pytest.raises(NotImplementedError, match="a Command cannot be told"):
        messages.encode(Command())
    assert list(tmp_path.iterdir()) == []
