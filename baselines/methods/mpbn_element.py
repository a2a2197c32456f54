"""MPBN, element-wise: λ, β, μ, σ² for every element of the map (Sec. 5.2, Eq. 13)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.neurons import LIF
from baselines.parts.potential import ElementMPBN

MPBN_ELEMENT = METHODS.register("mpbn-element", replace(VANILLA, neuron=replace(LIF, normalise=ElementMPBN())))
