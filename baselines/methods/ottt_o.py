"""OTTT, weights moving at every timestep; else as `ottt`."""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.ottt import OTTT
from baselines.procedures.online import Online

OTTT_O = METHODS.register("ottt-o", replace(OTTT, procedure=Online(each=True)))
