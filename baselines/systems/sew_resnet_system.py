"""SEW ResNet's system: no leak, V = 1, fires at u >= V, detached reset, arctan (Fang et al., NeurIPS 2021)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.sew_resnet import SEW_RESNET
from baselines.parts.neurons import HardReset, Leak, Neuron
from baselines.parts.surrogates import ArcTan

SEW_RESNET_SYSTEM = SYSTEMS.register(
    "sew-resnet-system",
    replace(
        SEW_RESNET,
        neuron=Neuron(charge=Leak(1.0), v_th=1.0, strict=False, reset=HardReset(detach=True)),
        surrogate=ArcTan(),
    ),
)
