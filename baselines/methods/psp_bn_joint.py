"""PSP-BN-style with one moment over all steps. Folds into the convolution, and any T will do."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.per_step import SecondMoment

PSP_BN_JOINT = METHODS.register("psp-bn-joint", replace(VANILLA, normalisation=SecondMoment(per_step=False)))
