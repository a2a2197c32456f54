"""LTMD's moderate dropout: probabilities and loss as its formulas have them, and what a draw depends on.

Against the cited code itself: `tests/parity/test_parity_of_parts.py`.
"""

from __future__ import annotations

import pytest
import torch
from test_spots import near
from torch import Tensor, nn
from torch.nn import functional as F

from baselines import METHODS, build
from baselines.network import Network
from baselines.parts.moderate import SeenTwice, keep_probability
from baselines.parts.objectives import AgreeingPasses
from baselines.procedures.procedure import Learner

T, B, UNITS = 3, 4, 7


def test_what_fires_least_is_kept_least() -> None:
    near(keep_probability(torch.tensor([[0.2, 0.5, 0.9, 0.0]]), 0.2), [0.72, 0.84, 1, 0.64])
    assert keep_probability(torch.tensor([[0.0, 1.0]]), 0.9).flatten().tolist() == [0, 1], "never less than 0"
    assert keep_probability(torch.full((2, 3), 0.25), 0.2).unique().tolist() == [1], "nothing fires less than another"


def test_the_loss_of_two_passes() -> None:
    logits = torch.tensor([[[1, 0, 0.5], [0.2, 0.4, 0.1]]], requires_grad=True)
    found = AgreeingPasses(0.5)(logits, torch.tensor([0]))
    near(found, [0.9298953])
    near(2 * (found - AgreeingPasses(0.0)(logits, torch.tensor([0]))), [0.0396898])
    once = torch.randn(T, B, 3)
    assert AgreeingPasses()(once, torch.arange(B) % 3) == F.cross_entropy(once.mean(0), torch.arange(B) % 3)


def layer() -> SeenTwice:
    torch.manual_seed(1)
    made = SeenTwice(UNITS, 2, 0.4, bias=True).double()
    made.timesteps = T
    return made


def test_values_and_gradients_are_those_of_the_formula_written_out() -> None:
    """With the scaling to [0, 1] that cancels, in float64; least and largest activity are both reached twice."""
    made, x = layer(), torch.randint(0, 5, (T, B, UNITS)).double()
    x[:, :2, 0], x[:, 1:3, 1] = 0.0, 4.0
    made.showings = torch.tensor([5, 9, 2, 7])
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y = made(ours.flatten(0, 1)).unflatten(0, (T, -1))

    d = theirs.mean(0)
    p = (d - d.min()) / (d.max() - d.min())
    keep = (1 - (1 - p) * 0.4 / (1 - p.mean())).clamp(0, 1)
    kept = [(r < keep) / torch.where(keep > 0, keep, 1.0) for r in made.draws(keep)]
    wanted = torch.cat([(theirs * mask) @ made.weight.T + made.bias for mask in kept], dim=1)
    assert all(0 < (mask == 0).sum() < mask.numel() for mask in kept)
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)
    g = torch.randn_like(y)
    for out, leaf in ((y, ours), (wanted, theirs)):
        leaf.grad = torch.autograd.grad(out, leaf, g)[0]
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)


def kept(made: SeenTwice, showings: list[int], activity: Tensor) -> Tensor:
    """(2, B, units): what is left of them."""
    made.showings = torch.tensor(showings)
    return made.draws(activity) < keep_probability(activity, made.rate)


def test_what_is_left_out_goes_by_the_showing_and_not_by_the_batch() -> None:
    made, activity = layer(), torch.rand(B, UNITS)
    first = made.draws(activity) if made.showings is not None else kept(made, [3, 4, 5, 6], activity)
    again = kept(made, [6, 5, 4, 3], activity.flip(0)).flip(1)
    assert torch.equal(first, again)
    others = (
        kept(made, [13, 14, 15, 16], activity),
        first.flip(0),
        kept(layer_of_another_seed(), [3, 4, 5, 6], activity),
    )
    assert all(not torch.equal(first, other) for other in others), "of another epoch, the other pass, another cell"


def layer_of_another_seed() -> SeenTwice:
    made = layer()
    made.noise += 1
    return made


def test_a_fifth_is_left_out_on_average_and_the_expectation_stays() -> None:
    made, activity = SeenTwice(500, 1, 0.2, bias=False), torch.rand(40, 500)
    left = kept(made, list(range(40)), activity).double()
    assert 1 - left.mean() == pytest.approx(0.2, abs=0.01)
    mask = left / keep_probability(activity, 0.2)
    assert mask.mean() == pytest.approx(1, abs=0.02)


# --- in a network -----------------------------------------------------------------------------------------------------


def network(architecture: str = "resnet20") -> Network:
    torch.manual_seed(0)
    return build("ltmd-moderate-dropout", architecture, shape=(2, 16, 16), classes=3, timesteps=2, width=0.07)


class Hand(Learner):
    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def zero(self) -> None:
        self.network.zero_grad()

    def backward(self, loss: Tensor, logits: Tensor) -> None:
        assert logits.shape[1] == 2 * 5
        loss.backward()

    def update(self) -> None: ...


def test_evaluated_it_is_ltmd() -> None:
    made = network()
    torch.manual_seed(0)
    plain = build("ltmd", "resnet20", shape=(2, 16, 16), classes=3, timesteps=2, width=0.07)
    weights = {name: tensor for name, tensor in made.state_dict().items() if not name.endswith("noise")}
    plain.load_state_dict(weights)
    images = torch.randn(4, 2, 16, 16)
    with torch.no_grad():
        assert torch.equal(made.eval()(images), plain.eval()(images))


@pytest.mark.parametrize("architecture", ["resnet20", "densenet-ltmd"])
def test_only_the_last_layer_sees_a_batch_twice(architecture: str) -> None:
    made = network(architecture).train()
    twice = [layer for layer in made.modules() if isinstance(layer, SeenTwice)]
    assert [layer.timesteps for layer in twice] == [None] * (len(twice) - 1) + [2]
    images, labels = torch.randn(5, 2, 16, 16), torch.arange(5) % 3
    images.showings = torch.arange(5)  # type: ignore[attr-defined]
    loss, logits = METHODS.get("ltmd-moderate-dropout").procedure.step(made, images, labels, Hand(made))
    assert logits.shape == (2, 5, 3) and loss.isfinite() and twice[-1].showings is None
    assert all(p.grad is not None for p in made.parameters())
