"""BNTT: a batch norm of its own for every step, λ(t) and statistics, without β. Folds into T weight sets.

Kim and Panda 2021. The cited system also has a soft reset, a slower leak, a triangular surrogate and Poisson-coded
input.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.per_step import BNTT as BatchNormThroughTime

BNTT = METHODS.register("bntt", replace(VANILLA, normalisation=BatchNormThroughTime()))
