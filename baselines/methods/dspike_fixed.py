"""Dspike at a fixed temperature: its tanh of b = 3 as surrogate, whatever the recipe says; the control of Dspike.

Li et al. 2021. The paper chooses b anew for every epoch.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.surrogates import Tanh

DSPIKE_FIXED = METHODS.register("dspike-fixed", replace(VANILLA, surrogate=Tanh(k=3.0)))
