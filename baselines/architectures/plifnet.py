"""PLIFNet for CIFAR-10: six convolutions of 256, two maximum pools, 2048 hidden neurons, ten voters a class; no biases.

Convolutions 256-256-256-M-256-256-256-M (M: 2x2 maximum pool), dropout 0.5, linear to 2048 and to ten a class, each
with neurons, the spikes of a class averaged. The cited code runs the first convolution and its norm once an image.
Source: the code of Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron; SpikingJelly's class differs.
"""

from functools import partial

from torch import nn

from baselines import ARCHITECTURES
from baselines.architectures._layers import hidden_classifier, preceded_by_dropout, untouched
from baselines.architectures._vgg import POOL, vgg

LAYERS = (256, 256, 256, POOL, 256, 256, 256, POOL)
PLIFNET = ARCHITECTURES.register(
    "plifnet",
    partial(
        vgg,
        layers=LAYERS,
        bias=False,
        pool=nn.MaxPool2d,
        tail=preceded_by_dropout(0.5, hidden_classifier(2048, votes=10)),
        initialise=untouched,
    ),
)
