"""PLIF: each layer learns its decay, charged by (x - v) σ(w); fires at u >= V, detached reset (Fang et al. 2021).

The cited system differs in constants: decay 1/2 at first, V = 1, arctan surrogate, voting outputs. Here the decay
begins at the common 0.25, and threshold, surrogate and read-out are the baseline's.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.leaks import Sigmoid
from baselines.parts.neurons import HardReset, Neuron

PLIF = METHODS.register(
    "plif", replace(VANILLA, neuron=Neuron(charge=Sigmoid(), strict=False, reset=HardReset(detach=True)))
)
