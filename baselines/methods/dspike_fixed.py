"""Dspike at a fixed temperature: its tanh of b = 3 as surrogate, whatever the recipe says; the control of Dspike.

Li et al. 2021. `dspike` chooses b anew for every epoch, as the paper does.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.dspike import DSPIKE
from baselines.parts.surrogates import Tanh

DSPIKE_FIXED = METHODS.register("dspike-fixed", replace(DSPIKE, surrogate=Tanh(k=3.0)))
