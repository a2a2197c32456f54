"""VGG16 of Diet-SNN and of hybrid training, the network the paper cites: three linear layers, four pools, no biases.

Convolutions 64-64-A-128-128-A-256-256-256-A-512-512-512-A-512-512-512 (A: 2x2 average pool), flatten, 4096 and 4096
hidden neurons, one linear layer. Dropout 0.2 after every neuron that no pool follows; hybrid training used 0.5 on the
hidden layers. The cited network has no normalisation either: that is the method's. Source: the code of Diet-SNN.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import hidden_classifier
from baselines.architectures._vgg import POOL, vgg

LAYERS = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512)
VGG16_DIETSNN = ARCHITECTURES.register(
    "vgg16-dietsnn",
    partial(vgg, layers=LAYERS, bias=False, dropout=0.2, tail=hidden_classifier(4096, 4096, std=0.01, dropout=0.2)),
)
