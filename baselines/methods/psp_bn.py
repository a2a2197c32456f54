"""PSP-BN-style: currents over the root of their second raw moment of each step. Folds into T weight sets.

No mean is subtracted (Ikegawa et al. 2022). The published formula was not to be had; root, scale and moments a step
are ours (`parts/per_step.py`).
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.per_step import SecondMoment

PSP_BN = METHODS.register("psp-bn", replace(VANILLA, normalisation=SecondMoment()))
