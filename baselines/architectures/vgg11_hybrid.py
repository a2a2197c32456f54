"""VGG11 of hybrid training for CIFAR-100, as its spiking network: nine convolutions, three pools, no biases.

Convolutions 64-A-128-256-256-A-512-512-512-A-512-512 (A: 2x2 average pool), flatten, 1024 and 1024 hidden neurons, one
linear layer; its ANN file lists another VGG11. Dropout 0.2 after convolutions and 0.5 after hidden layers. The cited
network has no normalisation either: that is the method's. Source: the code of hybrid-snn-conversion.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import hidden_classifier
from baselines.architectures._vgg import POOL, vgg

LAYERS = (64, POOL, 128, 256, 256, POOL, 512, 512, 512, POOL, 512, 512)
VGG11_HYBRID = ARCHITECTURES.register(
    "vgg11-hybrid",
    partial(vgg, layers=LAYERS, bias=False, dropout=0.2, tail=hidden_classifier(1024, 1024, std=0.01, dropout=0.5)),
)
