"""DenseNet of LTMD: dense blocks of 12, 12 and 24 layers, growth 32, neurons before the convolutions.

3x3 convolution of 256, norm, neuron, 3x3 convolution of stride 2; a dense layer is norm, neuron, 1x1 convolution of
128, norm, neuron, 3x3 convolution of 32, appended to its input; between blocks neuron, norm (in this order, as the
cited code runs), 1x1 convolution to half the channels, 2x2 average pool; at the end norm, neuron, global average pool,
256 hidden neurons, linear layer. The cited last two layers emit potentials above the threshold and have lateral
connections: spikes and real-valued logits stand in for them here. Not the DenseNet of Rollout, whose layer list is not
known. Source: the code of LTMD (modelnew.py).
"""

import torch
from torch import Tensor, nn

from baselines import ARCHITECTURES
from baselines.architectures._layers import halved, hidden_classifier, pooled, scaled
from baselines.method import Parts, Shape

BLOCKS = (12, 12, 24)
INITIAL, GROWTH, BOTTLENECK = 256, 32, 4


class DenseLayer(nn.Module):
    """Appends `growth` channels to its input."""

    def __init__(self, parts: Parts, shape: Shape, growth: int) -> None:
        super().__init__()
        bottleneck = BOTTLENECK * growth
        self.norm = parts.norm(shape[0])
        self.neuron1 = parts.neuron(shape)
        self.conv1 = parts.conv_norm(shape[0], bottleneck, kernel=1)
        self.neuron2 = parts.neuron((bottleneck, *shape[1:]))
        self.conv2 = nn.Conv2d(bottleneck, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv2(self.neuron2(self.conv1(self.neuron1(self.norm(x)))))], 1)


def densenet(parts: Parts, shape: Shape, classes: int, width: float) -> nn.Module:
    channels, growth = scaled(INITIAL, width), scaled(GROWTH, width)
    inputs, shape = shape[0], (channels, *shape[1:])
    layers: list[nn.Module] = [parts.conv_norm(inputs, channels), parts.neuron(shape)]
    layers.append(nn.Conv2d(channels, channels, 3, 2, 1, bias=False))
    shape = halved(shape)
    for number, depth in enumerate(BLOCKS):
        if number:
            half = shape[0] // 2
            convolution = nn.Conv2d(shape[0], half, 1, bias=False)
            layers += [parts.neuron(shape), parts.norm(shape[0]), convolution, nn.AvgPool2d(2)]
            shape = (half, shape[1] // 2, shape[2] // 2)
        for _ in range(depth):
            layers.append(DenseLayer(parts, shape, growth))
            shape = (shape[0] + growth, *shape[1:])
    layers += [parts.norm(shape[0]), parts.neuron(shape)]
    tail = pooled(hidden_classifier(256, bias=True))(parts, shape, classes, width)
    network = nn.Sequential(*layers, *tail)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return network


DENSENET_LTMD = ARCHITECTURES.register("densenet-ltmd", densenet)
