"""The baseline whose BN is called once a timestep: statistics of that step while training, as PLIF's code has it."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.per_step import OfEachStep

VANILLA_NORM_OF_EACH_STEP = METHODS.register("vanilla-norm-of-each-step", replace(VANILLA, normalisation=OfEachStep()))
