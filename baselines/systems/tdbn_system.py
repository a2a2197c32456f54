"""STBP-tdBN's system: tdBN, and a rectangle of width 1 (Zheng et al., AAAI 2021)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.tdbn import TDBN
from baselines.parts.surrogates import Rectangle

TDBN_SYSTEM = SYSTEMS.register("tdbn-system", replace(TDBN, surrogate=Rectangle()))
