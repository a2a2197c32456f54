"""VGGSNN of TET, for 48x48 event frames: eight convolutions of 64-512 with bias, four pools, one linear layer.

Convolutions 64-128-A-256-256-A-512-512-A-512-512-A (A: 2x2 average pool), flatten, one linear layer. Source: the code
of TET (models/VGG_models.py).
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import classifier
from baselines.architectures._vgg import POOL, vgg

LAYERS = (64, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL)
VGGSNN = ARCHITECTURES.register("vggsnn", partial(vgg, layers=LAYERS, tail=classifier(bias=True)))
