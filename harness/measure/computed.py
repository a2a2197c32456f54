"""What computes the layers of neurons of a training step: seen while it runs, not foretold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from torch import Tensor, nn

from baselines.kernels import dispatch
from baselines.kernels.recurrence import Backend
from baselines.kernels.traced import layers
from baselines.kernels.traced.recorded import neurons_of
from baselines.parts.neurons import SpikingNeuron
from harness.measure.spec import LOOP

NONE, RECORDED = "no neurons", "kernel of its own loop"


def computed_by(step: Callable[[], object]) -> str:
    """``19 × fused CPU kernel``, ``17 × Python loop (WHY), 2 × Triton kernel``: how many layers, by what."""
    seen: dict[nn.Module, str] = {}
    run, loop, computed, serve = dispatch.run, SpikingNeuron.loop, layers._computed, layers.serve

    def running(backend: Backend, layer: SpikingNeuron, x: Tensor) -> Tensor:
        seen[layer] = backend.NAME
        return run(backend, layer, x)

    def looping(layer: SpikingNeuron, x: Tensor) -> Tensor:
        seen[layer] = seen.get(layer, LOOP)
        return loop(layer, x)

    def serving(layer: Any, x: Tensor) -> layers.Served | None:
        served = serve(layer, x)
        if served is not None and served.refused:
            seen[neurons_of(layer)] = f"{LOOP} ({served.refused})"
        return served

    def computing(served: layers.Served, layer: Any, x: Tensor) -> Tensor:
        s = computed(served, layer, x)
        seen[neurons_of(layer)] = RECORDED  # after its loop was recorded, and proved
        return s

    with (
        patch.object(dispatch, "run", running),
        patch.object(SpikingNeuron, "loop", looping),
        patch.object(layers, "_computed", computing),
        patch.object(layers, "serve", serving),
    ):
        step()
    return ", ".join(f"{count} × {name}" for name, count in Counter(seen.values()).most_common()) or NONE
