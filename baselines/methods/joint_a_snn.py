"""Joint A-SNN: an ANN of shared weights is trained beside the SNN, which learns of it too (Guo et al., ICCV 2023).

The singular vectors of each kernel position are shared, the values are each network's own; BN of the SNN a timestep;
fires at u >= V, surrogate a rectangle, cross-entropy of the sum over T. Auxiliary heads and the ANN are for training
alone. Where only weights decay, the shared factors do not. Folds as the baseline.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.joint import Apart, Each, Shared
from baselines.parts.neurons import LIF
from baselines.parts.objectives import CrossEntropyOfSum
from baselines.parts.surrogates import Rectangle
from baselines.procedures.joint import Joint

JOINT_A_SNN = METHODS.register(
    "joint-a-snn",
    replace(
        VANILLA,
        synapse=Shared(),
        normalisation=Apart(),
        neuron=Each(replace(LIF, strict=False)),  # type: ignore[arg-type]
        surrogate=Rectangle(1.0),
        objective=CrossEntropyOfSum(),
        procedure=Joint(),
    ),
)
