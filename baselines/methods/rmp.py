"""RMP: an ANN is converted, thresholds balanced layer by layer; a spike subtracts V (Han et al., CVPR 2020).

Poisson input, no leak, fires at u >= V: V is a maximum of such sums, so the two do meet. Residual rule: spikes weigh V
(`parts/balanced.py`), all layers are searched. The paper's factor on V is in no public source; it is 1 here.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.ann import ANN
from baselines.parts.balanced import Balanced, Weighed
from baselines.parts.neurons import Leak, Neuron, SoftReset
from baselines.parts.poisson import Poisson
from baselines.procedures.conversion import Conversion

RMP = METHODS.register(
    "rmp",
    replace(
        ANN,
        encoder=Poisson(),
        neuron=Neuron(charge=Leak(1.0), v_th=0.0, threshold=Balanced(), strict=False, reset=SoftReset()),
        after=Weighed(),
        procedure=Conversion(),
    ),
)
