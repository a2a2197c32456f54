"""ResNet20 of the released code: three-convolution stem, average pool, 2-2-2-2 blocks of 64-512, AvgDown shortcuts."""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._resnet import averaged_shortcut, resnet, same_size_stem

RESNET20 = ARCHITECTURES.register(
    "resnet20",
    partial(
        resnet,
        stem=same_size_stem(convolutions=3, pool=True),
        stem_channels=64,
        stages=((64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)),
        shortcut=averaged_shortcut,
    ),
)
