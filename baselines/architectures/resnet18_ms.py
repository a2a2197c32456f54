"""ResNet18 of MS-ResNet's code: 7x7 stem without a pool, 2-2-2-2 blocks of 64-512, a stride of 2 in every stage.

7x7 convolution of stride 2, norm; stages 64, 128, 256, 512, all beginning with stride 2; shortcuts that change the
shape are a 1x1 convolution with the stride; global average pool, one linear layer. How its blocks are wired is the
method's: as cited, with `ms-resnet`. Its norms start at scale V, and at 0 at the end of a block, in the cited code,
models/MS_ResNet.py, where the pooling layer exists but is not called.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import classifier, pooled, untouched
from baselines.architectures._resnet import resnet, strided_shortcut, unpooled_stem

ms = partial(
    resnet,
    stem=unpooled_stem,
    stem_channels=64,
    stages=((64, 2, 2), (128, 2, 2), (256, 2, 2), (512, 2, 2)),
    shortcut=strided_shortcut,
    tail=pooled(classifier(bias=True)),
    initialise=untouched,
)
RESNET18_MS = ARCHITECTURES.register("resnet18-ms", ms)
