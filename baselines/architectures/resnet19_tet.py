"""ResNet19 of STBP-tdBN and TET: stem of 64, 3-3-2 blocks of 128-512, a hidden layer of 256 spiking neurons.

3x3 convolution of 64; stages 128 (3 blocks, 1x1 shortcut in the first), 256 (3, stride 2), 512 (2, stride 2), bare
identities; global average pool, linear 512-256, neurons, linear 256-classes, both with bias. Source: the code of TET
and of STBP-simple, which rebuilds STBP-tdBN; the latter has neurons on the last layer too, which are not built here.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import hidden_classifier, pooled
from baselines.architectures._resnet import resnet, same_size_stem, strided_shortcut

RESNET19_TET = ARCHITECTURES.register(
    "resnet19-tet",
    partial(
        resnet,
        stem=same_size_stem(convolutions=1, pool=False),
        stem_channels=64,
        stages=((128, 3, 1), (256, 3, 2), (512, 2, 2)),
        shortcut=strided_shortcut,
        tail=pooled(hidden_classifier(256, bias=True)),
    ),
)
