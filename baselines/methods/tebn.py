"""TEBN-style: BN over time, then a learnable factor p(t) for every step (Duan et al., NeurIPS 2022)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.normalisations import TEBN as TemporalEffectiveBN

TEBN = METHODS.register("tebn", replace(VANILLA, normalisation=TemporalEffectiveBN()))
