"""MPBN, channel-wise: a batch norm on the membrane potential before firing, folded into the threshold (Sec. 4)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.neurons import LIF
from baselines.parts.potential import ChannelMPBN

MPBN = METHODS.register("mpbn", replace(VANILLA, neuron=replace(LIF, normalise=ChannelMPBN())))
