"""LSNN's adaptive threshold: V(t) = V + β a(t), a(t) a trace of the neuron's own spikes. The threshold does not fold.

Bellec et al. 2018. Trace of 200 steps and β in proportion to V are the cited code's (1.6 at a threshold of 0.03: a
spike raises V by 27 percent). Its neuron differs: it fires a step late, from the potential before the charge, loses
V(t) in the reset, and is connected recurrently; here leak and reset are the baseline's.
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.vanilla import VANILLA
from baselines.parts.neurons import LIF
from baselines.parts.thresholds import Adaptive

LSNN = METHODS.register("lsnn", replace(VANILLA, neuron=replace(LIF, threshold=Adaptive())))
