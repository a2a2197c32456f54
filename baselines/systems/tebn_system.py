"""TEBN's system: V = 1 and a triangle (Duan et al., NeurIPS 2022)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.tebn import TEBN
from baselines.parts.neurons import LIF
from baselines.parts.surrogates import Triangle

TEBN_SYSTEM = SYSTEMS.register("tebn-system", replace(TEBN, neuron=replace(LIF, v_th=1.0), surrogate=Triangle()))
