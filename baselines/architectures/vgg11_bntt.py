"""VGG11 of BNTT: eight convolutions of 64-512, four pools and a global one, a hidden layer normalised too; no biases.

Convolutions 64-A-128-A-256-256-A-512-512-A-512-512 (A: 2x2 average pool), global average pool, 4096 hidden neurons
behind a normalisation, one linear layer. Source: the code of BNTT (model.py).
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import normalised_hidden_classifier, pooled, xavier
from baselines.architectures._vgg import POOL, vgg

LAYERS = (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512)
VGG11_BNTT = ARCHITECTURES.register(
    "vgg11-bntt",
    partial(vgg, layers=LAYERS, bias=False, tail=pooled(normalised_hidden_classifier(4096)), initialise=xavier),
)
