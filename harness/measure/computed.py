"""What computes the layers of neurons of a training step: seen while it runs, not foretold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from unittest.mock import patch

from torch import Tensor, nn

from baselines.kernels import dispatch
from baselines.kernels.recurrence import Backend
from baselines.parts.neurons import SpikingNeuron
from harness.measure.spec import LOOP

NONE = "no neurons"


def computed_by(step: Callable[[], object]) -> str:
    """``19 × fused CPU kernel``, ``17 × Python loop, 2 × Triton kernel``: how many layers, by what."""
    seen: dict[nn.Module, str] = {}
    run, loop = dispatch.run, SpikingNeuron.loop

    def running(backend: Backend, layer: SpikingNeuron, x: Tensor) -> Tensor:
        seen[layer] = backend.NAME
        return run(backend, layer, x)

    def looping(layer: SpikingNeuron, x: Tensor) -> Tensor:
        seen[layer] = LOOP
        return loop(layer, x)

    with patch.object(dispatch, "run", running), patch.object(SpikingNeuron, "loop", looping):
        step()
    return ", ".join(f"{count} × {name}" for name, count in Counter(seen.values()).most_common()) or NONE
