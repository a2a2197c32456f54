"""LTMD whole: with moderate dropout, two passes that should agree. Folds as `ltmd` does.

What the last layer receives is left out by how little it fires, 20 % on average; the loss is the mean of both passes'
cross-entropies and half their symmetric KL divergence. The cited network has a hidden layer there (`densenet-ltmd`).
"""

from dataclasses import replace

from baselines import METHODS
from baselines.methods.ltmd import LTMD
from baselines.parts.moderate import ModerateDropout
from baselines.parts.objectives import AgreeingPasses
from baselines.procedures.two_passes import TwoPasses

LTMD_MODERATE_DROPOUT = METHODS.register(
    "ltmd-moderate-dropout",
    replace(LTMD, synapse=ModerateDropout(0.2), objective=AgreeingPasses(0.5), procedure=TwoPasses()),
)
