"""InfLoR-SNN: potentials are rectified towards 0 and 1 before firing, a spike subtracts 1. Folds into the threshold.

Guo et al. 2022. The surrogate is straight-through on the rectified potential, whose slope shapes it. Threshold
0.5 is the baseline's and the cited code's; that one does not leak at all, and has tdBN in residual blocks:
`inflor-snn-tdbn`.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.neurons import Neuron, SoftReset
from baselines.parts.rectified import Rectified
from baselines.parts.surrogates import STE

INFLOR_SNN = METHODS.register(
    "inflor-snn", replace(VANILLA, neuron=Neuron(normalise=Rectified(), reset=SoftReset(amount=1.0)), surrogate=STE())
)
