"""Spike-basedBP: a spike's gradient where the neuron fired, corrected neuron by neuron for its leak (Lee et al. 2020).

Poisson input, leak 0.99, V = 1, no biases and no normalisation; the output leaks, never fires, and is compared with the
one-hot label by its squared error. The pooling layer that fires is its network's (`resnet11`).
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.leak_corrected import (
    LeakCorrected,
    LeakPassedThrough,
    LeakyOutput,
    SquaredErrorOfOutput,
    WhereFired,
)
from baselines.parts.neurons import HardReset, Neuron
from baselines.parts.normalisations import Unnormalised
from baselines.parts.poisson import Poisson
from baselines.parts.rectifier import Unbiased
from baselines.procedures.constant_resets import ConstantResets

SPIKE_BASEDBP = METHODS.register(
    "spike-basedbp",
    replace(
        VANILLA,
        encoder=Poisson(),
        synapse=Unbiased(),
        normalisation=Unnormalised(),
        neuron=Neuron(charge=LeakPassedThrough(0.99), v_th=1.0, reset=HardReset(detach=True)),
        surrogate=WhereFired(1.0),
        after=LeakCorrected(0.99),
        readout=LeakyOutput(0.99),
        objective=SquaredErrorOfOutput(0.99),
        procedure=ConstantResets(),
    ),
)
