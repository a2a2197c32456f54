"""TET with time inheritance: from the weights of T = 2, then trained on at a longer T (Deng et al., ICLR 2022)."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.tet import TET
from baselines.procedures.finetuning import FineTuning

TET_INHERITED = METHODS.register("tet-inherited", replace(TET, procedure=FineTuning()))
