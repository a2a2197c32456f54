"""STBP-tdBN: the normalised current is scaled to the threshold, y = λ · αV · x̂ + β (Zheng et al., AAAI 2021)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.normalisations import TdBN

TDBN = METHODS.register("tdbn", replace(VANILLA, normalisation=TdBN()))
