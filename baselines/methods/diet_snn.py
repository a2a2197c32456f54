"""Diet-SNN: each layer learns leak and threshold; soft reset by V, no normaliser. Folds into a constant V.

Rathi and Roy 2021. The spike in the reset is detached, V there is not. The cited system begins from a trained ANN,
thresholds from its activations, and has a triangular surrogate; here leak 0.25 and threshold 0.5 are where learning
begins, the weights are fresh and the surrogate is the baseline's.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts import leaks, thresholds
from baselines.parts.neurons import Neuron, SoftReset
from baselines.parts.normalisations import Unnormalised

DIET_SNN = METHODS.register(
    "diet-snn",
    replace(
        VANILLA,
        normalisation=Unnormalised(),
        neuron=Neuron(charge=leaks.Free(), threshold=thresholds.Free(), reset=SoftReset(detach=True)),
    ),
)
