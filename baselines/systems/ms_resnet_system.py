"""MS-ResNet's system: detached reset, a rectangle (Hu et al., TNNLS 2024)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.ms_resnet import MS_RESNET
from baselines.parts.neurons import HardReset, Neuron
from baselines.parts.surrogates import Rectangle

MS_RESNET_SYSTEM = SYSTEMS.register(
    "ms-resnet-system", replace(MS_RESNET, neuron=Neuron(reset=HardReset(detach=True)), surrogate=Rectangle())
)
