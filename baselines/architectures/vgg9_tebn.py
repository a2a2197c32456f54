"""VGG9 of TEBN, its only network that runs as published: seven convolutions with bias, three pools, voting.

Convolutions 64-64-A-128-128-A-256-256-256-A (A: 2x2 average pool), flatten, dropout 0.25, linear to 1024, dropout 0.25,
linear to ten outputs a class, averaged; nothing between the linear layers. Source: the code of TEBN (models.py).
"""

from functools import partial

from torch import nn

from baselines import ARCHITECTURES
from baselines.architectures._layers import Voting, entries, linear, scaled
from baselines.architectures._vgg import POOL, vgg
from baselines.method import Parts, Shape
from baselines.parts.dropout import DropoutOverTime

LAYERS = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL)
VOTES = 10


def tail(parts: Parts, shape: Shape, classes: int, width: float) -> list[nn.Module]:
    hidden = scaled(1024, width)
    return [
        nn.Flatten(),
        DropoutOverTime(0.25, parts.timesteps),
        linear(parts, entries(shape), hidden, bias=True),
        DropoutOverTime(0.25, parts.timesteps),
        linear(parts, hidden, VOTES * classes, bias=True),
        Voting(VOTES),
    ]


VGG9_TEBN = ARCHITECTURES.register("vgg9-tebn", partial(vgg, layers=LAYERS, tail=tail))
