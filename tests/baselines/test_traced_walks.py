"""Walks by recorded kernels: what is remembered of the step before goes in, what is to be remembered goes out."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from recorded_layers import RECORDED, currents, fresh, layer_of, left_to_torch, served  # noqa: F401
from torch import Tensor, nn

from baselines import METHODS
from baselines.kernels import compiled
from baselines.kernels.traced import arithmetic, layers, proved
from baselines.parts import carried
from baselines.parts.rectifier import Rectified as ReLU

pytestmark = pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")


def walkable(method: str) -> bool:
    """What can carry on at all: see test_walk.py."""
    layer = layer_of(method, (6, 3, 3))
    known = all(getattr(m, "carries", False) or not hasattr(m, "timesteps") for m in layer.modules())
    return known and not getattr(getattr(layer, "neuron", layer), "receive", None)


def walked(layer: nn.Module, way: str, chunks: list[int]) -> list[Tensor | None]:
    """All that goes out of a walk that remembers constants, chunk by chunk, gradients too where they are enabled."""
    torch.manual_seed(5)
    walk, layer, found = carried.Walk(detach=True), copy.deepcopy(layer), list[Tensor | None]()
    learned = [p for p in layer.parameters() if p.requires_grad]
    for walk.steps in chunks:
        x = currents((6, 3, 3), walk.steps)
        with carried.on(walk):
            y = getattr(layer, way)(x)
        g = torch.randn(y.shape)
        found += [y.detach(), *(torch.autograd.grad(y, [x, *learned], g, allow_unused=True) if y.requires_grad else ())]
    return found + [tensor for part in layer.modules() for tensor in walk.memory.get(part, ())]


WALKED = [name for name in filter(walkable, METHODS) if layer_of(name, (6, 3, 3)).__class__ is not ReLU]


@pytest.mark.parametrize("method", WALKED)
def test_a_walk_is_served_with_the_bits_of_its_loop(method: str) -> None:
    """What is remembered too; of more steps than one each method that trains so, and some."""
    layer = layer_of(method, (6, 3, 3))
    chunks = [1, 1, 3] if method in ("ottt", "hybrid-train", "mpbn", "spike-basedbp") else [1, 1]
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            ours, theirs = (walked(layer, way, chunks) for way in ("forward", "loop"))
        assert len(ours) == len(theirs) > len(chunks) and all(map(proved._same, ours, theirs))
    assert layers._known and all(known.ready for known in layers._known.values()), layers._known


def test_gradients_from_one_chunk_into_another_are_the_loop_s() -> None:
    """A kernel adds up what its own chunk gives a parameter: another order of the same sum."""
    layer, walk = layer_of("plif", (6, 3, 3)), carried.Walk()
    with carried.on(walk):
        assert layers.serve(layer, currents((6, 3, 3), 1)) is None  # type: ignore[arg-type]
        layer(currents((6, 3, 3), 1))
        (v,) = walk.memory[layer]
        assert v.requires_grad
        with torch.no_grad():
            assert served(layer, currents((6, 3, 3), 1)) == RECORDED


def test_kernels_of_a_walk_are_proved_with_what_it_remembers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a copy: nothing of the walk moves by it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    layer, walk = layer_of("ottt", (6, 3, 3)), carried.Walk(detach=True)
    neuron: nn.Module = layer.neuron  # type: ignore[assignment]
    with carried.on(walk):
        layer(currents((6, 3, 3), 1))
        (v,) = walk.memory[neuron]
        kept = v.clone()
        assert served(layer, currents((6, 3, 3), 1)) == RECORDED and walk.memory[neuron][0] is v
        assert torch.equal(v, kept) and v.any() and not v.requires_grad
        layers.forget()
        monkeypatch.setitem(arithmetic.C, "sub", "{0} - {1} * 1.0000001f")
        found = layers.serve(layer, currents((6, 3, 3), 1))  # type: ignore[arg-type]
        assert found is not None and "other bits than the loop's" in found.refused


def test_a_chunk_of_more_steps_than_a_kernel_has_stays_in_the_loop() -> None:
    layer = layer_of("ottt", (6, 3, 3), timesteps=100)
    with torch.no_grad(), carried.on(carried.Walk(steps=layers.LONGEST + 1)):
        assert layers.serve(layer, currents((6, 3, 3), layers.LONGEST + 1).detach()) is None  # type: ignore[arg-type]
    with torch.no_grad(), carried.on(carried.Walk(steps=layers.LONGEST)):
        assert served(layer, currents((6, 3, 3), layers.LONGEST).detach()) == RECORDED


def test_what_is_remembered_is_read_where_it_is_needed() -> None:
    layer = layer_of("ottt", (6, 3, 3))
    with carried.on(carried.Walk(detach=True)):
        for _ in range(2):
            assert left_to_torch(layer, currents((6, 3, 3), 1)) == ["aten.sigmoid.default"]
            layer(currents((6, 3, 3), 1))
