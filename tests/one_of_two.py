"""What each of two processes does in `test_distributed.py`; run as a script, it becomes both.

All that is looked at happens in one pair of processes, forked after torch is imported: that takes longer than the rest.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import smallest
import torch
from torch import Tensor, nn

from baselines import METHODS, build
from baselines.kernels import dispatch
from baselines.network import Network
from baselines.parts import synchronised
from baselines.parts.normalisations import JointBatchNorm
from baselines.parts.surrogates import STE
from harness import environment, interrupts
from harness.data.base import shown
from harness.environment import TOKEN
from harness.errors import UserError
from harness.spec import Cell, Recipe
from harness.tables import load_origins
from harness.train import distributed, worker
from harness.train.checkpoint import Checkpoint
from harness.train.distributed import Group
from harness.train.epoch import Epoch
from harness.train.learner import Learner
from harness.train.loop import make_optimiser, train

TIMESTEPS, BATCH, SAMPLES = 2, 32, 4 * 32 + 7
"""Five batches, the last of seven: four for one process, three for the other."""
RECIPE = Recipe(
    epochs=2,
    batch=24,
    size=32,
    width=0.08,
    precision="float64",
    train_samples=71,
    test_samples=31,
    augmentation=("flip",),
)
CELL = Cell(method="mpbn", architecture="vgg11", dataset="digits", timesteps=2, seed=3, recipe=RECIPE)


def five_steps(method: str, group: Group, device: str = "cpu") -> dict[str, Tensor]:
    """Loss, gradients, weights and statistics of every step, by name; on the CPU, wherever they were computed."""
    torch.manual_seed(0)
    network = build(
        method, "resnet20", shape=(2, 8, 8), classes=10, timesteps=TIMESTEPS, surrogate="tanh", width=0.07
    ).to(device, torch.float64)
    learner = Learner(network, make_optimiser(network, Recipe(epochs=1)), group)
    images, labels = torch.randn(SAMPLES, 2, 8, 8, dtype=torch.float64).to(device), torch.arange(SAMPLES) % 10
    labels = labels.to(device)
    seen: dict[str, Tensor] = {}
    for step, chosen in enumerate(torch.arange(SAMPLES).split(BATCH)):
        mine = chosen[group.share.within(len(chosen))]
        learner.part = len(mine) / len(chosen)
        loss, _ = network.method.procedure.step(network, shown(images[mine], mine, 0, SAMPLES), labels[mine], learner)
        (total,) = distributed.summed(group, [float(loss.detach()) * len(mine)])
        seen[f"{step} loss"] = torch.tensor(total / len(chosen), dtype=torch.float64)
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                seen[f"{step} gradient of {name}"] = parameter.grad.clone()
        seen |= {f"{step} {name}": tensor.clone() for name, tensor in network.state_dict().items()}
    return {name: tensor.cpu() for name, tensor in seen.items()}


def begun_from_another(method: str, group: Group, folder: Path) -> dict[str, Tensor]:
    """What a cell that begins from the weights of another one ends with: conversions, and what is trained after one."""
    folder.mkdir(exist_ok=True)
    environment.seed_everything(0)
    weights, network = smallest.weights(method), smallest.network(method).double()
    recipe = Recipe(epochs=1, batch=4, lr=0.01)
    state = train(network, smallest.data(), recipe, 0, Checkpoint(folder), group=group, weights=weights)
    losses = {"test loss": torch.tensor(state.curve.test_loss), "accuracy": torch.tensor(state.curve.test_accuracy)}
    return losses | {name: tensor.clone() for name, tensor in network.state_dict().items()}


def temperatures(group: Group) -> list[float]:
    """Of a small network whose surrogate is chosen anew, over six epochs of uneven batches."""
    torch.manual_seed(4)
    method = METHODS.get("dspike")
    neuron = method.neuron.build((2, 3, 3), 3, STE())
    body = nn.Sequential(nn.Conv2d(1, 2, 2), JointBatchNorm(2), neuron, nn.Flatten(), nn.Linear(18, 3))
    network = Network(method, body, 3).double().train()
    found = []
    for epoch in range(6):
        images, labels = torch.randn(7, 1, 4, 4), torch.arange(7) % 3
        mine = group.share.within(7)

        def loss() -> Tensor:
            return network.loss(network(images[mine]), labels[mine]) * len(labels[mine]) / 7  # noqa: B023

        network.begin_epoch(epoch, 6, loss)
        found.append(float(network.temperature))
    return found


def normalised(rows: slice, offset: float, shape: tuple[int, ...] = (9, 3, 2, 2)) -> dict[str, Tensor]:
    """One batch norm on `rows` of a batch, far from zero if `offset` is: output, gradients, statistics."""
    generator = torch.Generator().manual_seed(1)
    x, g = torch.randn(2, *shape, generator=generator, dtype=torch.float64).unbind()
    x = (x[rows] + offset).requires_grad_()
    lam, beta = (torch.tensor([v, -0.5, 2.0], dtype=torch.float64, requires_grad=True) for v in (1.5, 0.0))
    mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    y = synchronised.batch_norm(x, mean, var, lam, beta, 0.1, 1e-5)
    y.backward(g[rows])
    assert x.grad is not None and lam.grad is not None and beta.grad is not None
    return {"y": y.detach(), "x": x.grad, "lam": lam.grad, "beta": beta.grad, "mean": mean, "var": var}


def served_by_a_kernel(method: str) -> bool:
    layer = METHODS.get(method).neuron.build((4, 2, 2), 2, STE())
    return dispatch.backend_for(layer, torch.randn(8, 4, 2, 2, requires_grad=True)) is not None


LONE = {"vanilla": torch.float32, "mpbn": torch.float64}
"""In float32 a kernel serves the plain neuron; with MPBN some gradients are zero but for rounding."""


def lone_sample(method: str, group: Group) -> dict[str, Tensor]:
    """Gradients of a batch of one: the other process holds nothing, and takes part all the same."""
    torch.manual_seed(0)
    network = build(method, "resnet20", shape=(2, 32, 32), classes=10, timesteps=2, width=0.07).to(LONE[method])
    image, label = torch.randn(1, 2, 32, 32, dtype=LONE[method]), torch.tensor([3])
    mine = group.share.within(1)
    logits = network(image[mine])
    loss = network.loss(logits, label[mine])
    learner = Learner(network, make_optimiser(network, Recipe(epochs=1)), group)
    learner.part = float(len(label[mine]))
    learner.backward(loss, logits)
    group.sum_gradients(network.parameters())
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def stop_in_second_epoch(group: Group, store: Path) -> str:
    """Process 1 alone is asked to stop, after a batch that is not the last."""
    add = Epoch.add

    def add_then_ask(self: Epoch, *batch: Tensor) -> None:
        add(self, *batch)
        if self._before.epoch == 1 and self.batches == 2 and group.rank == 1:
            assert interrupts.request()

    Epoch.add = add_then_ask  # type: ignore[method-assign]
    try:
        return worker.run_cell(CELL, store)
    finally:
        Epoch.add = add  # type: ignore[method-assign]


def fail_in_process_1(group: Group, store: Path) -> str:
    def explode(logits: Tensor, labels: Tensor) -> Tensor:
        if group.rank == 1:
            raise RuntimeError("only here")
        return torch.nn.functional.cross_entropy(logits.mean(0), labels)

    METHODS.register("explosive", replace(METHODS.get("mpbn"), objective=explode))
    return worker.run_cell(replace_method("explosive"), store)


def listening() -> list[str]:
    """Addresses on which this process takes connections."""
    links = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    found = []
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_, inode = line.split()[:10]
        if state == "0A" and f"socket:[{inode}]" in links:
            found.append(socket.inet_ntoa(bytes.fromhex(local[:8])[::-1]))
    return found + ["::"] * sum(f"socket:[{line.split()[9]}]" in links for line in _listening_on_ipv6())


def _listening_on_ipv6() -> list[str]:
    table = Path("/proc/self/net/tcp6")
    lines = table.read_text().splitlines()[1:] if table.exists() else []
    return [line for line in lines if line.split()[3] == "0A"]


def replace_method(name: str) -> Cell:
    return Cell(method=name, architecture="vgg11", dataset="digits", timesteps=2, seed=3, recipe=RECIPE)


def vanish_in_process_1(group: Group, store: Path) -> str:
    """As if it were killed: not a word to the other."""

    def vanish(logits: Tensor, labels: Tensor) -> Tensor:
        if group.rank == 1:
            os._exit(9)
        return torch.nn.functional.cross_entropy(logits.mean(0), labels)

    METHODS.register("vanishing", replace(METHODS.get("mpbn"), objective=vanish))
    try:
        return worker.run_cell(replace_method("vanishing"), store)
    except UserError as error:
        return str(error)


def main(folder: Path, another_port: str) -> None:
    group = distributed.join()
    said: dict[str, Any] = {"group": (group.rank, group.size)}

    def keep() -> None:
        torch.save(said, folder / f"{group.rank}.pt")

    trained = [method for method in METHODS if METHODS.get(method).procedure.trains]
    said["steps"] = {method: five_steps(method, group) for method in trained}
    begun = [method for method in METHODS if (origin := load_origins().get(method)) and origin.method]
    said["begun"] = {method: begun_from_another(method, group, folder / method) for method in begun}
    halves = (slice(0, 5), slice(5, 9)), (slice(0, 9), slice(9, 9))
    said["norms"] = [normalised(cut[group.rank], offset) for cut in halves for offset in (0.0, 1e6)]
    said["kernel"] = {method: served_by_a_kernel(method) for method in ("vanilla", "mpbn")}
    said["temperatures"] = temperatures(group)
    said["lone"] = {method: lone_sample(method, group) for method in LONE}
    said["listens"] = listening()
    said["flags"] = group.any(group.rank == 1, False, True)
    keep()
    said["whole"] = worker.run_cell(CELL, folder / "whole")
    said["again"] = worker.run_cell(CELL, folder / "whole")
    said["stopped"] = stop_in_second_epoch(group, folder / "stopped"), worker.run_cell(CELL, folder / "stopped")
    keep()
    said["failed"] = fail_in_process_1(group, folder / "failed")
    keep()
    distributed._joined.clear()
    os.environ["MASTER_PORT"] = another_port
    said["lost"] = vanish_in_process_1(distributed.join(), folder / "lost")
    keep()


def become_two(folder: Path, ports: list[str]) -> int:
    """Fork, train together, and return how process 1 ended."""
    os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": ports[0], TOKEN: "0123456789abcdef"}
    child = os.fork()
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(int(child == 0))
    try:
        main(folder, ports[1])
    except BaseException:
        if child == 0:
            traceback.print_exc()
            os._exit(1)
        raise
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(become_two(Path(sys.argv[1]), sys.argv[2:]))
