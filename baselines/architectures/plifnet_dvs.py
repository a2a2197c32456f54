"""PLIFNet for 128x128 event frames: four convolutions of 128, four maximum pools, 2048 hidden neurons, voting.

Four times 3x3 convolution of 128, norm, neuron, 2x2 maximum pool; dropout 0.5, linear to 2048 with neurons, dropout
0.5, linear to ten a class with neurons, the spikes of a class averaged; no biases. Source: the code of
Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron; SpikingJelly's class has 512 hidden neurons.
"""

from functools import partial

from torch import nn

from baselines import ARCHITECTURES
from baselines.architectures._layers import hidden_classifier, preceded_by_dropout, untouched
from baselines.architectures._vgg import POOL, vgg

LAYERS = (128, POOL, 128, POOL, 128, POOL, 128, POOL)
PLIFNET_DVS = ARCHITECTURES.register(
    "plifnet-dvs",
    partial(
        vgg,
        layers=LAYERS,
        bias=False,
        pool=nn.MaxPool2d,
        tail=preceded_by_dropout(0.5, hidden_classifier(2048, dropout=0.5, votes=10)),
        initialise=untouched,
    ),
)
