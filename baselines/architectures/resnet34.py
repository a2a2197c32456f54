"""ResNet34 for ImageNet: 7x7 stem with average pool, 3-4-6-3 blocks of 64-512, strided shortcuts."""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._resnet import imagenet_stem, resnet, strided_shortcut

RESNET34 = ARCHITECTURES.register(
    "resnet34",
    partial(
        resnet,
        stem=imagenet_stem,
        stem_channels=64,
        stages=((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)),
        shortcut=strided_shortcut,
    ),
)
