"""NeuNorm: recent spikes of all channels are taken from those of each (Wu et al., AAAI 2019). Does not fold."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.neunorm import NeuNorm

NEUNORM = METHODS.register("neunorm", replace(VANILLA, after=NeuNorm()))
