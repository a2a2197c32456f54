"""InfLoR-SNN with tdBN in its residual blocks, as its code has them; the stem and chains of convolutions keep BN."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.inflor_snn import INFLOR_SNN
from baselines.parts.wiring import NormalisedBlocks

INFLOR_SNN_TDBN = METHODS.register("inflor-snn-tdbn", replace(INFLOR_SNN, wiring=NormalisedBlocks()))
