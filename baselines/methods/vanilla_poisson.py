"""The paper's baseline on Poisson spikes: pixels become spikes at random, as often as they are far from their mean.

Rate coding as in BNTT's code (Kim and Panda 2021), whose spikes carry the sign of the normalised pixel.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.poisson import Poisson

VANILLA_POISSON = METHODS.register("vanilla-poisson", replace(VANILLA, encoder=Poisson(gain=0.5)))
