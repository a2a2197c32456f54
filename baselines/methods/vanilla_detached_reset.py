"""The paper's baseline with a reset that passes no gradient: s(t) counts as a constant in Eq. 2."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.neurons import LIF, HardReset

VANILLA_DETACHED_RESET = METHODS.register(
    "vanilla-detached-reset", replace(VANILLA, neuron=replace(LIF, reset=HardReset(detach=True)))
)
