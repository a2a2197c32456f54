"""LTMD's learnable thresholds: V = tanh(w), one w a layer; without its moderate dropout. Folds into a constant V.

Wang et al. 2022. Decay, hard reset and its gradient are the baseline's as they are the cited code's, whose w begins
at 0.5 (V = 0.462); here V begins at the common 0.5. Its dropout needs two passes and a loss between them: not here.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.neurons import LIF
from baselines.parts.thresholds import Tanh

LTMD = METHODS.register("ltmd", replace(VANILLA, neuron=replace(LIF, threshold=Tanh())))
