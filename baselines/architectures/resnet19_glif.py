"""ResNet19 of GLIF: stem of 128, 3-3-2 blocks of 128-512, a normalisation on every identity, no biases.

3x3 convolution of 128; stages 128 (3 blocks), 256 (3, stride 2), 512 (2, stride 2); shortcuts 1x1 with the stride, or
the normalised input; global average pool; linear 512-classes above 50 classes, else linear 512-256-classes without
anything between. Source: the code of GLIF (blocks.py, networks_for_CIFAR.py).
"""

from functools import partial
from itertools import pairwise

from torch import nn

from baselines import ARCHITECTURES
from baselines.architectures._layers import linear, scaled
from baselines.architectures._resnet import normalised, resnet, same_size_stem, strided_shortcut
from baselines.method import Parts, Shape


def tail(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
    sizes = [shape[0], classes] if classes > 50 else [shape[0], scaled(256, width), classes]
    layers = [linear(parts, *pair, bias=False, std=0.01) for pair in pairwise(sizes)]
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers]


RESNET19_GLIF = ARCHITECTURES.register(
    "resnet19-glif",
    partial(
        resnet,
        stem=same_size_stem(convolutions=1, pool=False),
        stem_channels=128,
        stages=((128, 3, 1), (256, 3, 2), (512, 2, 2)),
        shortcut=strided_shortcut,
        identity=normalised,
        tail=tail,
    ),
)
