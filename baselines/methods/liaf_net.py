"""LIAF-Net: neurons pass on their potential, which spikes only reset; learned leaks (Wu et al. 2021). Does not fold."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.analog import AnalogOutput
from baselines.parts.leaks import Squashed
from baselines.parts.neurons import LIF, HardReset

LIAF_NET = METHODS.register(
    "liaf-net",
    replace(VANILLA, neuron=replace(LIF, charge=Squashed(), reset=HardReset(detach=True)), after=AnalogOutput()),
)
