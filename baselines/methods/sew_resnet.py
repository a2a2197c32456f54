"""SEW ResNet's wiring: spikes are added behind the second neuron, shortcuts fire too (Fang et al., NeurIPS 2021)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.wiring import AddAfter

SEW_RESNET = METHODS.register("sew-resnet", replace(VANILLA, wiring=AddAfter()))
