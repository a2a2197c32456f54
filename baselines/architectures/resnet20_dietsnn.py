"""ResNet20 of Diet-SNN: as the paper's, but strided shortcuts, dropout, and the last map flattened; no biases.

Three 3x3 convolutions of 64, 2x2 average pool; stages 64, 128, 256, 512 of two BasicBlocks (strides 1, 2, 2, 2); 1x1
shortcuts with the stride; flatten, one linear layer. Dropout 0.2 between the convolutions of the stem and of a block.
The cited network has no normalisation either: that is the method's. Source: the code of Diet-SNN (resnet_spiking.py).
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import classifier
from baselines.architectures._resnet import resnet, same_size_stem, strided_shortcut

RESNET20_DIETSNN = ARCHITECTURES.register(
    "resnet20-dietsnn",
    partial(
        resnet,
        stem=same_size_stem(convolutions=3, pool=True, dropout=0.2),
        stem_channels=64,
        stages=((64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)),
        shortcut=strided_shortcut,
        dropout=0.2,
        tail=classifier(bias=False, std=0.01),
    ),
)
