"""OTTT, weights moving once a batch: trained forward in time, without normalisation (Xiao et al., NeurIPS 2022).

Leak 0.5, V = 1, fires at u >= V, a spike subtracts V; scaled weight standardisation, spikes weigh 2.74. Weights fold
into plain convolutions. The cited network is NF-ResNet34 (`nf-resnet34`); here any network of the baseline is wired so.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.neurons import Leak, Neuron, SoftReset
from baselines.parts.normalisations import Unnormalised
from baselines.parts.objectives import PerStepOneHot
from baselines.parts.surrogates import Sigmoid
from baselines.parts.traced import Amplified, Traced
from baselines.procedures.online import Online

OTTT = METHODS.register(
    "ottt",
    replace(
        VANILLA,
        synapse=Traced(),
        normalisation=Unnormalised(),
        neuron=Neuron(charge=Leak(0.5), v_th=1.0, strict=False, reset=SoftReset(detach=True)),
        surrogate=Sigmoid(4.0),
        after=Amplified(2.74),
        objective=PerStepOneHot(0.05),
        procedure=Online(),
    ),
)
