"""Hybrid-Train's system: thresholds from 512 images over 1000 steps, times 0.7 (Rathi et al., ICLR 2020)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.hybrid_train import HYBRID_TRAIN
from baselines.procedures.balancing import Balance
from baselines.procedures.finetuning import FineTuning

HYBRID_TRAIN_SYSTEM = SYSTEMS.register(
    "hybrid-train-system", replace(HYBRID_TRAIN, procedure=FineTuning(Balance(steps=1000, samples=512, scale=0.7)))
)
