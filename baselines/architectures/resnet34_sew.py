"""ResNet34 of SEW ResNet's code: 7x7 stem with maximum pool, 3-4-6-3 blocks of 64-512, strided shortcuts.

7x7 convolution of stride 2, norm, neuron, 3x3 maximum pool of stride 2; stages 64, 128, 256, 512 (strides 1, 2, 2, 2);
global average pool, one linear layer. How its blocks are wired is the method's: as cited, with `sew-resnet`. The cited
code runs the first convolution once and repeats its output T times. Source: Spike-Element-Wise-ResNet (imagenet/).
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures.resnet18_sew import sew

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
RESNET34_SEW = ARCHITECTURES.register("resnet34-sew", partial(sew, stages=STAGES))
