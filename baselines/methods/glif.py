"""GLIF: leak, input and reset are mixed by learned gates, one a channel, the input weighed by a learned g(t) a step.

Yao et al. 2022. Decay 0.25 and threshold 0.5 are the baseline's as they are the cited code's; that one also has tdBN in
every place, identity shortcuts included, and a rectangular surrogate.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.gated import GLIF as GatedNeuron

GLIF = METHODS.register("glif", replace(VANILLA, neuron=GatedNeuron()))
