"""MS-ResNet18: pre-activation blocks, currents on the shortcuts, no pooling; 2-2-2-2 blocks of 64-512.

7x7 convolution of stride 2 and norm; stages 64, 128, 256, 512, all beginning with stride 2; a block is neuron,
convolution, norm, twice; shortcuts that change the shape are a 1x1 convolution with the stride and norm; last neurons,
global average pool, one linear layer. The initial scales of its norms (V, and 0 at the end of a block) are the
method's. Source: the code of MS-ResNet (models/MS_ResNet.py), where the pooling layer exists but is not called.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import classifier, fired, pooled, untouched
from baselines.architectures._resnet import (
    PreActivationBlock,
    current_stem,
    resnet,
    strided_shortcut,
)

MS_RESNET18 = ARCHITECTURES.register(
    "ms-resnet18",
    partial(
        resnet,
        stem=current_stem,
        stem_channels=64,
        stages=((64, 2, 2), (128, 2, 2), (256, 2, 2), (512, 2, 2)),
        shortcut=strided_shortcut,
        block=PreActivationBlock,
        tail=fired(pooled(classifier(bias=True))),
        initialise=untouched,
    ),
)
