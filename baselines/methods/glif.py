"""GLIF: learned gates mix leak, input and reset, a channel and step each. V folds, the gates stay as constants.

Yao et al. 2022. Decay 0.25 and threshold 0.5 are the baseline's as they are the cited code's; that one also has tdBN in
every place, identity shortcuts included, and a rectangular surrogate.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.gated import GLIF as GatedNeuron

GLIF = METHODS.register("glif", replace(VANILLA, neuron=GatedNeuron()))
