"""What every registered method owes, in the smallest network: the same bits however it is trained, and a fold proof.

A new method is tried here by being registered. One by one in `make test-all`, where two ways at once leave it open
which of them failed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import smallest
import torch

from baselines import METHODS
from baselines.folding import fold_norms, fold_thresholds
from baselines.network import Network
from baselines.recompute import Recompute
from baselines.remains import folded
from harness import environment, interrupts
from harness.interrupts import Stopped
from harness.spec import Recipe
from harness.train.checkpoint import Checkpoint
from harness.train.epoch import Epoch
from harness.train.loop import train
from harness.train.proof import prove

RECIPE = Recipe(epochs=2, batch=4, augmentation=("crop", "flip"))
each_method = pytest.mark.parametrize("method", list(METHODS))

Trained = tuple[dict[str, Any], dict[str, torch.Tensor]]
"""The curve, without its clock; weights and statistics."""


def trained(method: str, folder: Path, recompute: Recompute = "nothing", seed: int = 0) -> Trained:
    """Begun from `seed`, unless `folder` has a checkpoint to go on from."""
    folder.mkdir(exist_ok=True)
    environment.seed_everything(seed)
    weights, network = smallest.weights(method), smallest.network(method)
    network.recompute = recompute
    state = train(network, smallest.data(), RECIPE, 0, Checkpoint(folder), weights=weights)
    curve = msgspec.structs.asdict(state.curve)
    del curve["seconds"]
    return curve, network.state_dict()


def stopped(method: str, folder: Path, recompute: Recompute = "nothing") -> bool:
    """After the first batch of the second epoch; not at all where no batch is trained on."""
    if not METHODS.get(method).procedure.trains:
        return False
    add = Epoch.add

    def add_then_ask(self: Epoch, *batch: torch.Tensor) -> None:
        add(self, *batch)
        if self._before.epoch == 1 and self.batches == 1:
            assert interrupts.request()

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Epoch, "add", add_then_ask)
        trained(method, folder, recompute)
    return True


def same(ours: Trained, theirs: Trained) -> None:
    assert ours[0] == theirs[0] and ours[1].keys() == theirs[1].keys()
    assert [name for name, tensor in ours[1].items() if not torch.equal(tensor, theirs[1][name])] == []


@each_method
def test_stopped_and_gone_on_in_less_memory_it_ends_with_the_same_bits(method: str, tmp_path: Path) -> None:
    """In another process's place: a network begun otherwise takes all from the checkpoint."""
    undisturbed = trained(method, tmp_path / "one")
    assert len(set(undisturbed[0]["train_loss"])) == 2 or not METHODS.get(method).procedure.trains
    begun = stopped(method, tmp_path / "two", "neurons")
    same(trained(method, tmp_path / "two", "everything", seed=7 if begun else 0), undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("way", ["again", "stopped", "neurons", "everything"])
@each_method
def test_it_ends_with_the_same_bits(method: str, way: str, tmp_path: Path) -> None:
    undisturbed = trained(method, tmp_path / "one")
    begun = way == "stopped" and stopped(method, tmp_path / "two")
    recompute: Any = way if way in ("neurons", "everything") else "nothing"
    same(trained(method, tmp_path / "two", recompute, seed=7 if begun else 0), undisturbed)


def parts(network: Network) -> list[str]:
    return [type(module).__name__ for module in network.modules()]


@each_method
def test_every_fold_is_proved_and_each_proof_says_something(method: str) -> None:
    """No layer is silent; what is proved has changed the network; nothing else is proved."""
    network, images = smallest.alive(method)
    proofs = prove(network, [(images, torch.arange(32) % 3)])
    assert [proof.why for proof in proofs] == [""] * len(proofs)
    named = {proof.fold for proof in proofs}
    assert {(proof.fold, proof.precision) for proof in proofs} == {
        (f, p) for f in named for p in ("float32", "float64")
    }
    assert ("norm-conv" in named) == (parts(fold_norms(network)) != parts(network))
    assert bool(named & {"threshold", "mpbn-threshold"}) == (parts(fold_thresholds(network)) != parts(network))
    assert bool(named) == (parts(folded(network)) != parts(network))
    assert all(proof.layers or not network.spiking_layers() for proof in proofs)
