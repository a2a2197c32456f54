"""SpikeNorm: an ANN is converted, thresholds balanced layer by layer; a spike resets to 0 (Sengupta et al. 2019).

As `rmp` but for the reset; its residual rule is in no public source, and here that of `rmp`.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.rmp import RMP
from baselines.parts.neurons import HardReset, Neuron

assert isinstance(RMP.neuron, Neuron)
SPIKENORM = METHODS.register("spikenorm", replace(RMP, neuron=replace(RMP.neuron, reset=HardReset())))
