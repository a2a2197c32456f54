"""ResNet34 of MS-ResNet's code: 7x7 stem without a pool, 3-4-6-3 blocks of 64-512, a stride of 2 in every stage.

7x7 convolution of stride 2, norm; stages 64, 128, 256, 512, all beginning with stride 2; shortcuts that change the
shape are a 1x1 convolution with the stride; global average pool, one linear layer. How its blocks are wired is the
method's: as cited, with `ms-resnet`. Its norms start at scale V, and at 0 at the end of a block, in the cited code,
models/MS_ResNet.py, where the pooling layer exists but is not called.
"""

from functools import partial

from baselines import ARCHITECTURES
from baselines.architectures.resnet18_ms import ms

STAGES = ((64, 3, 2), (128, 4, 2), (256, 6, 2), (512, 3, 2))
RESNET34_MS = ARCHITECTURES.register("resnet34-ms", partial(ms, stages=STAGES))
