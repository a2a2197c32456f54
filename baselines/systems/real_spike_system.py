"""Real Spike's system on ImageNet: its coefficients on SEW ResNet's (Guo et al., ECCV 2022)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.parts.coefficient import Coefficients
from baselines.systems.sew_resnet_system import SEW_RESNET_SYSTEM

REAL_SPIKE_SYSTEM = SYSTEMS.register("real-spike-system", replace(SEW_RESNET_SYSTEM, after=Coefficients()))
