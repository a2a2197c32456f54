"""Hybrid-Train: an ANN is converted, then trained with a gradient that fades with the time since the last spike.

Rathi et al., ICLR 2020. Poisson input, no leak, a spike subtracts V and leaves one step late; thresholds are balanced
and scaled by 0.7, then neither they nor the leak are trained. All layers are searched, on one batch and T steps (the
cited code: 512 images, 1000 steps, the stem alone of a residual network). Cross-entropy of the accumulated output.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.ann import ANN
from baselines.parts.neurons import Leak, Neuron
from baselines.parts.objectives import CrossEntropyOfSum
from baselines.parts.poisson import Poisson
from baselines.parts.spike_time import Delayed, LeakThenSubtract, SpikeTime, Through
from baselines.procedures.balancing import Balance
from baselines.procedures.finetuning import FineTuning

HYBRID_TRAIN = METHODS.register(
    "hybrid-train",
    replace(
        ANN,
        encoder=Poisson(),
        neuron=Neuron(charge=Leak(1.0), v_th=1.0, threshold=SpikeTime(), reset=LeakThenSubtract()),
        surrogate=Through(),
        after=Delayed(),
        objective=CrossEntropyOfSum(),
        procedure=FineTuning(Balance(scale=0.7)),
    ),
)
