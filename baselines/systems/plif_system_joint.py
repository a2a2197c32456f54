"""PLIF's system with BN over all timesteps together, as networks usually have it (Fang et al. 2021)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.parts.normalisations import BatchNorm
from baselines.systems.plif_system import PLIF_SYSTEM

PLIF_SYSTEM_JOINT = SYSTEMS.register("plif-system-joint", replace(PLIF_SYSTEM, normalisation=BatchNorm()))
