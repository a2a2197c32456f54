"""VGG9 of BNTT: seven convolutions of 64-256, three pools, a hidden layer that is normalised too; no biases.

Convolutions 64-64-A-128-128-A-256-256-256-A (A: 2x2 average pool), flatten, 1024 hidden neurons behind a normalisation,
one linear layer. Source: the code of BNTT (model.py).
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import normalised_hidden_classifier, xavier
from baselines.architectures._vgg import POOL, vgg

LAYERS = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL)
VGG9_BNTT = ARCHITECTURES.register(
    "vgg9-bntt",
    partial(vgg, layers=LAYERS, bias=False, tail=normalised_hidden_classifier(1024), initialise=xavier),
)
