"""Plain ResNet20 of the released code's `res20`, not the paper's: stem of 128, 3-3-3 blocks of 128-512.

3x3 convolution of 128; three stages of three BasicBlocks (128, 256, 512; strides 1, 2, 2); 1x1 shortcuts with the
stride; global average pool, one linear layer. Source: the released code of MPBN, which cannot run it as published.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._resnet import resnet, same_size_stem, strided_shortcut

RESNET20_PLAIN = ARCHITECTURES.register(
    "resnet20-plain",
    partial(
        resnet,
        stem=same_size_stem(convolutions=1, pool=False),
        stem_channels=128,
        stages=((128, 3, 1), (256, 3, 2), (512, 3, 2)),
        shortcut=strided_shortcut,
    ),
)
