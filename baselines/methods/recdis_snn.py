"""RecDis-SNN style: hinges on the distribution of potentials, a stand-in for an unpublished formula (CVPR 2022)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.objectives import ShapedPotentials

RECDIS_SNN = METHODS.register("recdis-snn", replace(VANILLA, penalty=ShapedPotentials()))
