"""PLIF's system: decay from 1/2, V = 1, arctan, BN a timestep, squared error of the rates (Fang et al. 2021)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.plif import PLIF
from baselines.parts.leaks import Sigmoid
from baselines.parts.neurons import HardReset, Neuron
from baselines.parts.objectives import SquaredErrorOfMean
from baselines.parts.per_step import OfEachStep
from baselines.parts.surrogates import ArcTan

PLIF_SYSTEM = SYSTEMS.register(
    "plif-system",
    replace(
        PLIF,
        normalisation=OfEachStep(),
        neuron=Neuron(charge=Sigmoid(0.5), v_th=1.0, strict=False, reset=HardReset(detach=True)),
        surrogate=ArcTan(),
        objective=SquaredErrorOfMean(),
    ),
)
