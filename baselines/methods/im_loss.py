"""IM-Loss: potentials are drawn to V, and the surrogate sharpens as training goes on (Guo et al., NeurIPS 2022)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.objectives import CentredPotentials
from baselines.parts.surrogates import Sharpening

IM_LOSS = METHODS.register("im-loss", replace(VANILLA, penalty=CentredPotentials(weight=2.0), surrogate=Sharpening()))
