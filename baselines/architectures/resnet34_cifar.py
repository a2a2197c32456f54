"""ResNet34 for 32x32 images, of Joint A-SNN: one-convolution stem of 64, 3-4-6-3 blocks of 64-512, strided shortcuts.

3x3 convolution of 64, no pooling; stages 64, 128, 256, 512 (strides 1, 2, 2, 2); 1x1 shortcuts with the stride;
global average pool, one linear layer. Its auxiliary heads belong to the method. Source: the code of Joint A-SNN.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._resnet import resnet, same_size_stem, strided_shortcut

RESNET34_CIFAR = ARCHITECTURES.register(
    "resnet34-cifar",
    partial(
        resnet,
        stem=same_size_stem(convolutions=1, pool=False),
        stem_channels=64,
        stages=((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)),
        shortcut=strided_shortcut,
    ),
)
