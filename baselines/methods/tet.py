"""TET: cross-entropy of every timestep, not of their mean, and a pull of the logits to V (Deng et al., ICLR 2022)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.objectives import PerStep

TET = METHODS.register("tet", replace(VANILLA, objective=PerStep(weight=0.05, target=VANILLA.neuron.v_th)))
