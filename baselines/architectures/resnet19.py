"""ResNet19 of the released code: one-convolution stem of 128, 3-3-2 blocks of 128-512, strided shortcuts."""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._resnet import resnet, same_size_stem, strided_shortcut

RESNET19 = ARCHITECTURES.register(
    "resnet19",
    partial(
        resnet,
        stem=same_size_stem(convolutions=1, pool=False),
        stem_channels=128,
        stages=((128, 3, 1), (256, 3, 2), (512, 2, 2)),
        shortcut=strided_shortcut,
    ),
)
