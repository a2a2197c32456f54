"""ResNet18 for ImageNet: 7x7 stem with average pool, 2-2-2-2 blocks of 64-512, strided shortcuts."""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._resnet import imagenet_stem, resnet, strided_shortcut

RESNET18 = ARCHITECTURES.register(
    "resnet18",
    partial(
        resnet,
        stem=imagenet_stem,
        stem_channels=64,
        stages=((64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)),
        shortcut=strided_shortcut,
    ),
)
