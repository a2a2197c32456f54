"""Diet-SNN as its paper trains it: an ANN is converted by percentiles; then leak, V and weights are trained together.

Rathi and Roy 2021; `diet-snn` is its neuron alone, from fresh weights. Leak from 1, V from 0.3 times the 99.7th
percentile of what a layer receives, triangle of 0.3, cross-entropy of the accumulated output; folds into a constant V.
All layers are searched, on one batch (the cited code: 512 images; of a residual network the stem alone).
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.ann import ANN
from baselines.parts import leaks, thresholds
from baselines.parts.neurons import Neuron, SoftReset
from baselines.parts.objectives import CrossEntropyOfSum
from baselines.parts.surrogates import Triangle
from baselines.procedures.balancing import Balance, Percentile
from baselines.procedures.finetuning import FineTuning

DIET_SNN_CONVERTED = METHODS.register(
    "diet-snn-converted",
    replace(
        ANN,
        neuron=Neuron(charge=leaks.Free(1.0), v_th=1.0, threshold=thresholds.Free(), reset=SoftReset(detach=True)),
        surrogate=Triangle(0.3),
        objective=CrossEntropyOfSum(),
        procedure=FineTuning(Balance(statistic=Percentile(0.997), steps=100, scale=0.3)),
    ),
)
