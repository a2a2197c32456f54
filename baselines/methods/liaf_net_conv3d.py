"""Conv3D, an ANN: 3x3x3 convolutions over steps and map, ReLU units, no spikes; LIAF-Net's comparison. Folds as an ANN.

Wu et al. 2021. Their code holds 3-D residual networks of the kind; which network the printed number is of is not known.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.rectifier import Rectifier
from baselines.parts.volume import Volume

LIAF_NET_CONV3D = METHODS.register("liaf-net-conv3d", replace(VANILLA, synapse=Volume(), neuron=Rectifier()))
