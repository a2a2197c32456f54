"""TET's system, trained on from the weights of T = 2 at a longer T (Deng et al., ICLR 2022)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.procedures.finetuning import FineTuning
from baselines.systems.tet_system import TET_SYSTEM

TET_SYSTEM_INHERITED = SYSTEMS.register("tet-system-inherited", replace(TET_SYSTEM, procedure=FineTuning()))
