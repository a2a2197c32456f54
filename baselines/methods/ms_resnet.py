"""MS-ResNet's wiring: neurons before convolutions, currents on the shortcuts (Hu et al., TNNLS 2024)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.wiring import PreActivation

MS_RESNET = METHODS.register("ms-resnet", replace(VANILLA, wiring=PreActivation()))
