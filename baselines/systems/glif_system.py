"""GLIF's system: gates that begin at random, tdBN in every place, a rectangle (Yao et al. 2022)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.glif_random_gates import GLIF_RANDOM_GATES
from baselines.parts.normalisations import TdBN
from baselines.parts.surrogates import Rectangle

GLIF_SYSTEM = SYSTEMS.register("glif-system", replace(GLIF_RANDOM_GATES, normalisation=TdBN(), surrogate=Rectangle()))
