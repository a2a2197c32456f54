"""The paper's baseline: BN over T, B, H, W after each convolution, LIF neurons, nothing on the potential (Eq. 1-6)."""

from baselines import METHODS
from baselines.method import Method

VANILLA = METHODS.register("vanilla", Method())
