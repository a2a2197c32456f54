"""ResNet18 of SEW ResNet's code: 7x7 stem with maximum pool, 2-2-2-2 blocks of 64-512, strided shortcuts.

7x7 convolution of stride 2, norm, neuron, 3x3 maximum pool of stride 2; stages 64, 128, 256, 512 (strides 1, 2, 2, 2);
global average pool, one linear layer. How its blocks are wired is the method's: as cited, with `sew-resnet`. The cited
code runs the first convolution once and repeats its output T times. Source: Spike-Element-Wise-ResNet (imagenet/).
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures._layers import classifier, pooled
from baselines.architectures._resnet import maximum_stem, resnet, strided_shortcut

sew = partial(
    resnet,
    stem=maximum_stem,
    stem_channels=64,
    stages=((64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)),
    shortcut=strided_shortcut,
    tail=pooled(classifier(bias=True)),
)
RESNET18_SEW = ARCHITECTURES.register("resnet18-sew", sew)
