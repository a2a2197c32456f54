"""Event-driven convolutions: the dense sum up to rounding, whichever way computes it, and only where they may."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from baselines import build
from baselines.folding import event_driven, fold_norms, fold_thresholds
from baselines.kernels import compiled, events
from baselines.kernels.events import Costs, EventConv2d, Way, blocks, can_serve, tables
from harness.train.proof import compare

pytestmark = pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
LAYERS = [
    # inputs, outputs, kernel, stride, padding, height, width, batch
    (16, 16, 3, 1, 1, 8, 8, 2),
    (8, 32, 3, 2, 1, 7, 9, 3),
    (24, 16, 1, 2, 0, 6, 5, 1),
    (64, 48, 3, 1, 1, 4, 4, 2),
    (40, 240, 3, 1, 0, 5, 5, 1),
    (16, 112, 5, 1, 2, 6, 6, 2),
]
"""Blocks of every width, borders, strides, bits that fill no whole word."""


def spikes(layer: tuple[int, ...], rate: float, dtype: torch.dtype = torch.float32) -> Tensor:
    *_, high, wide, batch = layer
    x = torch.rand(batch, layer[0], high, wide, generator=torch.Generator().manual_seed(0)) < rate
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def convolution(layer: tuple[int, ...], bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(1)
    return nn.Conv2d(*layer[:5], bias=bias).requires_grad_(False)


@pytest.mark.parametrize("way", ["add", "look_up"])
@pytest.mark.parametrize("rate", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_the_sum_is_the_dense_one(layer: tuple[int, ...], rate: float, way: Way) -> None:
    """In float64 to its rounding, so no spike is left out or counted twice; in float32 to its own."""
    if way == "look_up" and layer[1] not in (16, 32):
        return
    for dtype, bound in ((torch.float64, 1e-14), (torch.float32, 5e-6)):
        for bias in (True, False):
            dense = convolution(layer, bias).to(dtype)
            ours = EventConv2d(dense)
            ours.forced = way
            x = spikes(layer, rate, dtype)
            with torch.no_grad():
                y = ours(x)
                assert ours.way == way
                torch.testing.assert_close(y, dense(x), rtol=0, atol=bound * max(1.0, float(dense(x).abs().max())))
            assert y.is_contiguous(memory_format=torch.channels_last)


def test_threads_share_the_rows() -> None:
    dense = convolution(LAYERS[0])
    ours, x, before = EventConv2d(dense), spikes(LAYERS[0], 0.3), torch.get_num_threads()
    for way in ("add", "look_up"):
        ours.forced = way
        try:
            with torch.no_grad():
                torch.set_num_threads(2)
                two = ours(x)
                torch.set_num_threads(1)
                assert torch.equal(two, ours(x))
        finally:
            torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_folded_network_proves_it_as_it_proves_its_folds(precision: str) -> None:
    """In float64 not one spike of a layer falls otherwise; a sum that left one out would be found there."""
    torch.manual_seed(0)
    network = build("mpbn", "resnet20", shape=(3, 12, 12), classes=10, timesteps=2, width=0.25)
    for _ in range(3):
        network(torch.randn(8, 3, 12, 12))
    folded = fold_norms(fold_thresholds(network)).in_precision(precision)
    ours = event_driven(folded)
    served = [module for module in ours.modules() if isinstance(module, EventConv2d)]
    for module in served:
        module.forced = "look_up" if module.out_channels == 16 else "add"
    batches = [(torch.randn(4, 3, 12, 12), torch.zeros(4))]
    proof = compare(folded, ours, batches, "events", precision, exact=precision == "float64")  # type: ignore[arg-type]
    assert proof.passed, proof.why
    assert sum(module.way != "dense" for module in served) >= 18


def test_what_is_no_spike_is_computed_as_ever() -> None:
    dense = convolution(LAYERS[0])
    ours, x = EventConv2d(dense), spikes(LAYERS[0], 0.3)
    ours.forced = "add"
    with torch.no_grad():
        assert torch.equal(ours(x * 0.5), dense(x * 0.5)) and ours.real_valued
        assert torch.equal(ours(x), dense(x))  # nor is it asked again
    ours = EventConv2d(dense)
    ours.forced = "add"
    with torch.no_grad():
        assert torch.equal(ours(x.contiguous()), dense(x.contiguous())) and ours.way == "dense"
    with torch.enable_grad():
        x.requires_grad_()
        assert ours(x).requires_grad and ours.way == "dense"


def test_new_weights_are_seen() -> None:
    dense = convolution(LAYERS[0])
    ours, x = EventConv2d(dense), spikes(LAYERS[0], 0.3)
    for way in ("add", "look_up"):
        ours.forced = way
        with torch.no_grad():
            ours(x)
            dense.weight.mul_(2)
            torch.testing.assert_close(ours(x), dense(x))


def test_only_plain_convolutions_of_whole_bytes_are_served() -> None:
    assert can_serve(nn.Conv2d(16, 16, 3, padding=1))
    for other in (
        nn.Conv2d(3, 16, 3, padding=1),
        nn.Conv2d(16, 10, 3, padding=1),
        nn.Conv2d(16, 16, 3, padding=1, groups=2),
        nn.Conv2d(16, 16, 3, padding=1, dilation=2),
        nn.Conv2d(16, 16, (3, 1)),
        nn.Conv2d(16, 16, 3, padding="same"),
        nn.Conv2d(16, 16, 3, padding=1, padding_mode="reflect"),
        nn.Linear(16, 16),
    ):
        assert not can_serve(other)


# --- which way --------------------------------------------------------------------------------------------------------


def test_the_cheapest_way_depends_on_the_spikes() -> None:
    costs = Costs(pack=1, dense=100, silent=10, spike=1, look_up=60)
    assert [costs.cheapest(spikes) for spikes in (0, 49, 51, 1000)] == ["add", "add", "look_up", "look_up"]
    assert Costs(pack=1, dense=50, silent=10, spike=1, look_up=60).cheapest(1000) == "dense"
    assert Costs(pack=1, dense=11, silent=10, spike=1, look_up=math.inf).hopeless
    assert not costs.hopeless


def test_costs_are_measured_once_a_size_and_a_hopeless_layer_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [
        Costs(pack=1, dense=100, silent=10, spike=0, look_up=60),
        Costs(pack=9, dense=1, silent=1, spike=1, look_up=2),
    ]
    measured: list[Costs] = []
    monkeypatch.setattr(EventConv2d, "_measure", lambda *_: measured.append(given[len(measured)]) or measured[-1])
    ours, x = EventConv2d(convolution(LAYERS[0])), spikes(LAYERS[0], 0.3)
    with torch.no_grad():
        for _ in range(3):
            ours(x)
        assert ours.way == "add" and len(measured) == 1
        ours(x[:1])
        monkeypatch.setattr(events, "_function", lambda *_: pytest.fail("packed for nothing"))
        assert torch.equal(ours(x[:1]), nn.Conv2d.forward(ours, x[:1])) and ours.way == "dense"


def test_a_measurement_knows_dense_from_events() -> None:
    ours, x = EventConv2d(convolution(LAYERS[0])), spikes(LAYERS[0], 0.3)
    with torch.no_grad():
        ours(x)
    (costs,) = ours.costs.values()
    assert 0 < costs.silent < math.inf and costs.dense > 0 and costs.spike >= 0 and 0 < costs.look_up < math.inf


def test_rows_and_tables_hold_every_weight() -> None:
    rows = torch.arange(8 * 48, dtype=torch.float32).view(8, 48)
    assert torch.equal(blocks(rows), torch.cat([rows[:, :32].flatten(), rows[:, 32:].flatten()]))
    table = tables(rows)
    assert table.shape == (2, 16, 48)
    assert torch.equal(table[1, 0b1010], rows[5] + rows[7]) and not table[:, 0].any()
