"""LIAF-Net for event frames, a stand-in: four convolutions of 32-256 with bias, four pools, 512 hidden neurons.

Convolutions 32-A-64-A-128-A-256-A (A: 2x2 average pool), flatten, 512 hidden neurons, one linear layer. The list is of
the example of LIAF-Net's code (SNN-genunit), whose convolutions do not pad and whose pools read one pixel in four; that
it is the network of the paper's row is not known.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import hidden_classifier
from baselines.architectures._vgg import POOL, vgg

LAYERS = (32, POOL, 64, POOL, 128, POOL, 256, POOL)
LIAFNET = ARCHITECTURES.register("liafnet", partial(vgg, layers=LAYERS, tail=hidden_classifier(512, bias=True)))
