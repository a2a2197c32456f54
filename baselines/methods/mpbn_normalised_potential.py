"""MPBN that carries the normalised potential: z(t), not u(t), is reset and leaks on (the paper does not say which)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.mpbn import MPBN

MPBN_NORMALISED_POTENTIAL = METHODS.register(
    "mpbn-normalised-potential", replace(MPBN, neuron=replace(MPBN.neuron, carry="normalised"))
)
