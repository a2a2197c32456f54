"""Dspike: a tanh as surrogate, its temperature chosen anew every epoch by finite differences. Folds as the baseline.

Li et al. 2021, Algorithm 1. Its constants were not published: b from 1, steps of 0.2, differences over ±0.1 are ours.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.tempering import Retempered

DSPIKE = METHODS.register("dspike", replace(VANILLA, surrogate=Retempered()))
