"""OTTT's system on ImageNet: the cross-entropy of each step alone (Xiao et al., NeurIPS 2022)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.ottt import OTTT
from baselines.parts.objectives import PerStepOneHot

OTTT_SYSTEM = SYSTEMS.register("ottt-system", replace(OTTT, objective=PerStepOneHot(0.0)))
