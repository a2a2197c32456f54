"""NF-ResNet34 of OTTT: normaliser-free, weights standardised instead; pre-activation blocks 3-4-6-3 of 64-512.

7x7 convolution of stride 2, 3x3 average pool of stride 2; stages 64, 128, 256, 512 (strides 1, 2, 2, 2); a block is
x + 0.2 · g · conv(2.74 LIF(conv(2.74 LIF(x / β)))), g one gain a block from 0, β² the variance that is expected of x;
where the shape changes, the shortcut is a 1x1 convolution of the block's first spikes; every convolution is
standardised and has a bias; global average pool, one linear layer from 0. A method's normalisation has no part in it;
one that is trained online brings convolutions that keep a trace, and spikes that weigh 2.74 already.
Source: the code of OTTT-SNN (models/spiking_resnet_imagenet.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines import ARCHITECTURES
from baselines.architectures._layers import halved, initialise, linear, scaled
from baselines.architectures._resnet import Stage
from baselines.method import ConvNorm, Parts, Shape
from baselines.parts.standardised import StandardisedConv2d
from baselines.parts.traced import Amplified, Traced, TracedLinear

STAGES: Sequence[Stage] = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
ALPHA = 0.2
SPIKE = 2.74
"""What a spike counts for: it brings the variance of the spikes back to about 1."""


def standardised(parts: Parts, inputs: int, outputs: int, kernel: int, stride: int = 1) -> ConvNorm:
    synapse = parts.method.synapse
    if isinstance(synapse, Traced):
        return ConvNorm(synapse.convolution(inputs, outputs, kernel, stride, bias=True), nn.Identity())
    return ConvNorm(StandardisedConv2d(inputs, outputs, kernel, stride), nn.Identity())


class NormaliserFreeBlock(nn.Module):
    def __init__(self, parts: Parts, source: Shape, shape: Shape, stride: int, beta: float) -> None:
        super().__init__()
        self.beta = beta
        self.spike = 1.0 if isinstance(parts.method.after, Amplified) else SPIKE
        self.neuron1 = parts.neuron(source)
        self.conv1 = standardised(parts, source[0], shape[0], 3, stride)
        self.neuron2 = parts.neuron(shape)
        self.conv2 = standardised(parts, shape[0], shape[0], 3)
        changes = stride != 1 or source[0] != shape[0]
        self.shortcut = standardised(parts, source[0], shape[0], 1, stride) if changes else None
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        s = self.spike * self.neuron1(x / self.beta)
        y = self.conv2(self.spike * self.neuron2(self.conv1(s)))
        return ALPHA * self.gain * y + (x if self.shortcut is None else self.shortcut(s))


def nf_resnet34(
    parts: Parts, shape: Shape, classes: int, width: float, *, stages: Sequence[Stage] = STAGES
) -> nn.Module:
    channels = scaled(64, width)
    layers: list[nn.Module] = [standardised(parts, shape[0], channels, 7, 2), nn.AvgPool2d(3, 2, 1)]
    shape = halved(halved((channels, *shape[1:])))
    variance = 1.0
    for channels, blocks, first_stride in stages:
        for stride in [first_stride] + [1] * (blocks - 1):
            source, shape = shape, (scaled(channels, width), *shape[1:])
            shape = halved(shape) if stride == 2 else shape
            layers.append(block := NormaliserFreeBlock(parts, source, shape, stride, variance**0.5))
            variance = (variance if block.shortcut is None else 1.0) + ALPHA**2
    last = linear(parts, shape[0], classes, bias=True, std=0.0)
    if isinstance(last, TracedLinear):
        last.decay = None  # currents reach it, no spikes
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), last]
    return initialise(nn.Sequential(*layers))


NF_RESNET34 = ARCHITECTURES.register("nf-resnet34", nf_resnet34)
