"""InfLoR-SNN's system: no leak, tdBN in residual blocks (Guo et al. 2022)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.inflor_snn_tdbn import INFLOR_SNN_TDBN
from baselines.parts.neurons import Leak, Neuron, SoftReset
from baselines.parts.rectified import Rectified

INFLOR_SNN_SYSTEM = SYSTEMS.register(
    "inflor-snn-system",
    replace(
        INFLOR_SNN_TDBN,
        neuron=Neuron(charge=Leak(1.0), normalise=Rectified(), reset=SoftReset(amount=1.0)),
    ),
)
