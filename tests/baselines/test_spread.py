"""One number a channel over frames: its gradient, that it is spread once a call, and that kernels add up as they go."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines import METHODS
from baselines.kernels import compiled
from baselines.kernels.traced import layers
from baselines.kernels.traced.lowered import SUM
from baselines.kernels.traced.program import Step
from baselines.parts.spread import once, one_call, partial_sums, spread
from baselines.parts.surrogates import STE

SHAPES = [(16, 9, 7), (5, 3, 3), (600, 2, 2), (512, 1, 1), (1, 1, 1), (100, 3, 2)]
"""Channels that divide a block of 512 numbers, that do not, and that are more."""


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.sampled_from(SHAPES), st.integers(0, 99))
def test_the_gradient_is_the_sum_over_samples_and_places(batch: int, shape: tuple[int, int, int], seed: int) -> None:
    torch.manual_seed(seed)
    p = torch.randn(shape[0], 1, 1, dtype=torch.float64, requires_grad=True)
    g = torch.randn(batch, *shape, dtype=torch.float64)
    frames = spread(p, g)
    assert torch.equal(frames, p.expand(g.shape))
    frames.backward(g)
    assert p.grad is not None and p.grad.shape == p.shape
    torch.testing.assert_close(p.grad.flatten(), g.sum((0, 2, 3)), rtol=1e-12, atol=1e-12)


def test_rows_are_added_one_after_another_and_blocks_by_torch() -> None:
    """The order is the definition: 1e8 swallows what is added to it one by one, in float32."""
    ones = torch.ones(1, 256, 2, 2)
    ones[0, :, 0, 0] = 1e8
    sums = partial_sums(ones)  # two rows of 256 a block
    assert sums.shape == (2, 256) and sums[:, 0].tolist() == [1e8, 2.0]


def test_what_is_made_once_is_made_anew_in_the_next_call() -> None:
    made: list[int] = []
    for _ in range(2):
        with one_call():
            assert once("it", lambda: made.append(1) or len(made)) == once("it", lambda: made.append(1) or len(made))
    assert len(made) == 2
    once("it", lambda: made.append(1)), once("it", lambda: made.append(1))
    assert len(made) == 4  # outside a layer nothing is kept


@pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_add_up_as_they_go(shape: tuple[int, int, int]) -> None:
    """And are the loop's to the bit, or they would be refused: four constants and V once, currents at every step."""
    torch.manual_seed(0)
    layer = METHODS.get("glif").neuron.build(shape, 3, STE())
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    x = torch.randn(3 * 4, *shape).contiguous(memory_format=torch.channels_last).requires_grad_()
    with layers.at_once():
        layers.forget()
        served = layers.serve(layer, x)
    assert served is not None and not served.refused and served.program is not None
    kernels = [step.written for step in served.program.phases[1] if isinstance(step, Step)]
    if shape != (1, 1, 1):  # there a channel is the layer, and nothing is broadcast
        assert sum(place.step == SUM for each in kernels for place in each.stores) == 4 + 1 + 3
