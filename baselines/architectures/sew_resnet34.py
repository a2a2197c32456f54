"""SEW-ResNet34: spikes are added after the neuron, shortcuts have neurons of their own; 3-4-6-3 blocks of 64-512.

7x7 convolution of stride 2, norm, neuron, 3x3 maximum pool of stride 2; stages 64, 128, 256, 512 (strides 1, 2, 2, 2);
a block is convolution, norm, neuron, twice, plus the shortcut (ADD); shortcuts that change the shape are a 1x1
convolution with the stride, norm, neuron; global average pool, one linear layer. The cited code runs the first
convolution once and repeats its output T times. Source: the code of Spike-Element-Wise-ResNet (imagenet/).
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import classifier, pooled
from baselines.architectures._resnet import AddAfterBlock, maximum_stem, resnet, spiking_shortcut

SEW_RESNET34 = ARCHITECTURES.register(
    "sew-resnet34",
    partial(
        resnet,
        stem=maximum_stem,
        stem_channels=64,
        stages=((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)),
        shortcut=spiking_shortcut,
        block=AddAfterBlock,
        tail=pooled(classifier(bias=True)),
    ),
)
