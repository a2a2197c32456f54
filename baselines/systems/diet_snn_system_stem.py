"""Diet-SNN's system on residual networks: of these only the stem is searched, V is 0.4 elsewhere, as its code does."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.procedures.balancing import Balance, Percentile
from baselines.procedures.finetuning import FineTuning
from baselines.systems.diet_snn_system import DIET_SNN_SYSTEM

DIET_SNN_SYSTEM_STEM = SYSTEMS.register(
    "diet-snn-system-stem",
    replace(
        DIET_SNN_SYSTEM,
        procedure=FineTuning(
            Balance(statistic=Percentile(0.997), steps=100, samples=512, scale=0.2, layers=3, otherwise=0.4)
        ),
    ),
)
