"""MPBN whose reset passes no gradient: s(t) counts as a constant in v(t) = u(t) (1 - s(t)) (Eq. 2)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.mpbn import MPBN
from baselines.parts.neurons import HardReset

MPBN_DETACHED_RESET = METHODS.register(
    "mpbn-detached-reset", replace(MPBN, neuron=replace(MPBN.neuron, reset=HardReset(detach=True)))
)
