"""TET's system: leak 1/2, V = 1, triangle, and the pull of the logits to that V (Deng et al., ICLR 2022)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.tet import TET
from baselines.parts.neurons import LIF, Leak
from baselines.parts.objectives import PerStep
from baselines.parts.surrogates import Triangle

TET_SYSTEM = SYSTEMS.register(
    "tet-system",
    replace(
        TET,
        neuron=replace(LIF, charge=Leak(0.5), v_th=1.0),
        surrogate=Triangle(),
        objective=PerStep(weight=0.05, target=1.0),
    ),
)
