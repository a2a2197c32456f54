"""Real Spike: a learned coefficient a channel behind the neurons, folded into its receivers (Guo et al., ECCV 2022)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.coefficient import Coefficients

REAL_SPIKE = METHODS.register("real-spike", replace(VANILLA, after=Coefficients()))
