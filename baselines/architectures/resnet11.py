"""ResNet11 of Spike-basedBP: nine convolutions of 64-512, a pooling layer that fires, 1024 hidden neurons; no biases.

3x3 convolution of 64, neurons, 2x2 average pool followed by integrate-and-fire neurons of threshold 0.75; four blocks
of two 3x3 convolutions (128; 256; 512; 512; the second of stride 1, 2, 1, 2), shortcuts 1x1 with the stride, in the
last block mere subsampling; flatten, 1024 hidden neurons, one linear layer. Dropout 0.25 after every LIF neuron. The
cited network has no normalisation: that is the method's. Source: the code of Enabling_Spikebased_Backpropagation.
"""

from torch import nn

from baselines import ARCHITECTURES
from baselines.architectures._layers import halved, hidden_classifier, scaled
from baselines.architectures._resnet import strided_shortcut
from baselines.method import Parts, Shape
from baselines.parts.dropout import DropoutOverTime
from baselines.parts.neurons import Leak, Neuron
from baselines.parts.wiring import Plan

DROPOUT = 0.25
BLOCKS = ((128, 1), (256, 2), (512, 1), (512, 2))
"""(channels, stride of the second convolution)."""
POOLING_NEURON = Neuron(charge=Leak(1.0), v_th=0.75)
"""Not one of the method's neurons: an MPBN, say, has no part in it."""


def resnet11(parts: Parts, shape: Shape, classes: int, width: float) -> nn.Module:
    stem = parts.conv_norm(shape[0], scaled(64, width))
    shape = (scaled(64, width), *shape[1:])
    wiring = parts.method.wiring
    within = wiring.within(parts)
    layers = [stem, *wiring.ends_stem(parts, shape), DropoutOverTime(DROPOUT, parts.timesteps), nn.AvgPool2d(2)]
    shape = (shape[0], shape[1] // 2, shape[2] // 2)
    layers.append(POOLING_NEURON.build(shape, parts.timesteps, parts.surrogate))
    for channels, stride in BLOCKS:
        source, shape = shape, (scaled(channels, width), *shape[1:])
        shape = halved(shape) if stride == 2 else shape
        changes = source[0] != shape[0]
        path = strided_shortcut(within, shape, source[0], stride) if changes else nn.AvgPool2d(1, stride)
        plan = Plan(source=source, shape=shape, strides=(1, stride), dropout=(DROPOUT, DROPOUT))
        layers.append(wiring.block(within, plan, path))
    layers += wiring.begins_tail(parts, shape)
    tail = hidden_classifier(1024, dropout=DROPOUT)(parts, shape, classes, width)
    network = nn.Sequential(*layers, *tail)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, module.weight[0].numel() ** -0.5)
    return network


RESNET11 = ARCHITECTURES.register("resnet11", resnet11)
