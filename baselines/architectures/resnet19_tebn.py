"""ResNet19 of TEBN: convolutions with bias, a normalisation on every identity, two linear layers after a 2x2 pool.

3x3 convolution of 128; stages 128 (3 blocks), 256 (3, stride 2), 512 (2, stride 2); shortcuts 1x1 with the stride, or
the normalised input; 2x2 average pool, flatten, dropout 0.25, linear to 256, dropout 0.25, linear to the classes.
Source: the code of TEBN, whose ResNet cannot run as published.
"""

from functools import partial

from torch import nn

from baselines import ARCHITECTURES
from baselines.architectures._layers import entries, linear, scaled
from baselines.architectures._resnet import normalised, resnet, same_size_stem, strided_shortcut
from baselines.method import Parts, Shape
from baselines.parts.dropout import DropoutOverTime


def tail(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
    pooled, hidden = (shape[0], shape[1] // 2, shape[2] // 2), scaled(256, width)
    return [
        nn.AvgPool2d(2),
        nn.Flatten(),
        DropoutOverTime(0.25, parts.timesteps),
        linear(parts, entries(pooled), hidden, bias=True),
        DropoutOverTime(0.25, parts.timesteps),
        linear(parts, hidden, classes, bias=True),
    ]


RESNET19_TEBN = ARCHITECTURES.register(
    "resnet19-tebn",
    partial(
        resnet,
        stem=same_size_stem(convolutions=1, pool=False, bias=True),
        stem_channels=128,
        stages=((128, 3, 1), (256, 3, 2), (512, 2, 2)),
        shortcut=partial(strided_shortcut, bias=True),
        identity=normalised,
        bias=True,
        tail=tail,
    ),
)
