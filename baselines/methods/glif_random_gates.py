"""GLIF whose gates begin at random, each at the sigmoid of a number within ±0.1, as its published commands train it."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.glif import GLIF
from baselines.parts.gated import GLIF as GatedNeuron

GLIF_RANDOM_GATES = METHODS.register("glif-random-gates", replace(GLIF, neuron=GatedNeuron(spread=0.1)))
