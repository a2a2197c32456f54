"""LIAF-Net's system: learned leaks from 0.62, squared error of the mean output (Wu et al. 2021)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.liaf_net import LIAF_NET
from baselines.parts.leaks import Squashed
from baselines.parts.neurons import LIF, HardReset
from baselines.parts.objectives import SquaredErrorOfMean

LIAF_NET_SYSTEM = SYSTEMS.register(
    "liaf-net-system",
    replace(
        LIAF_NET,
        neuron=replace(LIF, charge=Squashed(0.6224593), reset=HardReset(detach=True)),
        objective=SquaredErrorOfMean(),
    ),
)
