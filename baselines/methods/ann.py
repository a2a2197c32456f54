"""Rectified linear units for neurons, no biases and no normalisation: what conversions begin from."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.normalisations import Unnormalised
from baselines.parts.rectifier import Rectifier, Unbiased

ANN = METHODS.register("ann", replace(VANILLA, synapse=Unbiased(), normalisation=Unnormalised(), neuron=Rectifier()))
