"""Diet-SNN's system: V from 0.2 times the percentile over 512 images and 100 steps (Rathi and Roy 2021)."""

from dataclasses import replace

from baselines import SYSTEMS
from baselines.methods.diet_snn_converted import DIET_SNN_CONVERTED
from baselines.procedures.balancing import Balance, Percentile
from baselines.procedures.finetuning import FineTuning

DIET_SNN_SYSTEM = SYSTEMS.register(
    "diet-snn-system",
    replace(
        DIET_SNN_CONVERTED,
        procedure=FineTuning(Balance(statistic=Percentile(0.997), steps=100, samples=512, scale=0.2)),
    ),
)
