"""Joint training: an ANN and an SNN of shared weights see the same batch, and the SNN learns of the ANN too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.parts.joint import SharedConv2d, as_ann, begin_alike
from baselines.parts.wiring import BasicBlock
from baselines.procedures.procedure import Learner, Start

if TYPE_CHECKING:
    from baselines.method import Parts
    from baselines.network import Network


class Seen(NamedTuple):
    """What a network says of a batch: its own output first, then those of its auxiliary heads."""

    logits: Sequence[Tensor]
    """(B, classes) each, those of an SNN summed over T; so are its features."""
    features: Sequence[Tensor]
    """(B, C) each: pooled, before the last layer."""
    steps: Tensor
    """(T, B, classes) of its own output."""


@dataclass(frozen=True)
class Distillation:
    """(1 - α) Σ CE + α τ² Σ KD + β Σ squared differences of features, of the cited code.

    CE of every output of both networks; KD of every ANN head from the ANN's output, and of every SNN output from the
    ANN's of the same place. Features differ where one of the two is active. The cited code sums their squares over its
    batch of 1024 too, at β = 1e-6; here β weighs their mean over the batch, whatever its size.
    """

    alpha: float = 0.1
    beta: float = 1e-6 * 1024
    temperature: float = 3.0

    def __call__(self, ann: Seen, snn: Seen, labels: Tensor) -> Tensor:
        hard = torch.stack([F.cross_entropy(y, labels) for y in (*ann.logits, *snn.logits)]).sum()
        taught = [(head, ann.logits[0]) for head in ann.logits[1:]] + list(zip(snn.logits, ann.logits, strict=True))
        soft = sum(self._soft(*pair) for pair in taught) * self.temperature**2
        apart = sum(_apart(*pair) for pair in zip(snn.features, ann.features, strict=True))
        return (1 - self.alpha) * hard + self.alpha * soft + self.beta * apart

    def _soft(self, learner: Tensor, teacher: Tensor) -> Tensor:
        wanted = torch.softmax(teacher.detach() / self.temperature, 1)
        return -(wanted * torch.log_softmax(learner / self.temperature, 1)).sum(1).mean()


def _apart(snn: Tensor, ann: Tensor) -> Tensor:
    ann = ann.detach()
    return ((snn - ann).square() * ((snn > 0) | (ann > 0))).sum(1).mean()


class AtLeast(nn.Module):
    """Maps smaller than a kernel are padded to its size, by zeros: those of small images."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        down, right = (max(0, self.size - size) for size in x.shape[2:])
        return F.pad(x, (0, right, 0, down)) if down or right else x


class Auxiliary(nn.Module):
    """Of a stage: 1x1 to a quarter, k x k of stride k, 1x1 to all channels, each with norm and neuron; pool, linear."""

    def __init__(self, parts: Parts, inputs: int, outputs: int, kernel: int, classes: int) -> None:
        super().__init__()
        from baselines.method import ConvNorm  # late: it knows procedures

        quarter, norm = max(1, outputs // 4), parts.method.normalisation
        layers: list[nn.Module] = []
        for source, channels, size in ((inputs, quarter, 1), (quarter, quarter, kernel), (quarter, outputs, 1)):
            layers.append(AtLeast(size))
            conv = SharedConv2d(source, channels, size, size, 0)
            layers.append(ConvNorm(conv, norm.build(channels, parts.timesteps, parts.method.neuron.v_th, 1)))
            layers.append(parts.neuron((channels, 1, 1)))
        self.layers = nn.Sequential(*layers)
        self.linear = parts.method.synapse.linear(outputs, classes, bias=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits."""
        features = self.layers(x).mean((2, 3))
        return features, self.linear(features)


@dataclass(frozen=True)
class Joint:
    """Two networks in one body (`parts/joint.py`), and auxiliary heads that only training has."""

    loss: Distillation = field(default_factory=Distillation)
    trains = True

    def fit_out(self, network: Network) -> None:
        """A head behind every stage but the last; the kernel of its pooling convolution is what later stages halve."""
        from baselines.method import Parts  # late: it knows procedures

        method = network.method
        parts = Parts(method=method, timesteps=network.timesteps, surrogate=method.surrogate)  # type: ignore[arg-type]
        ends = stage_ends(network.body)
        classes = next(m.out_features for m in reversed([*network.body.modules()]) if isinstance(m, nn.Linear))
        widest = list(ends.values())[-1] if ends else 0
        network.heads = nn.ModuleDict()
        for number, (place, channels) in enumerate(list(ends.items())[:-1], start=1):
            kernel = 2 ** (len(ends) - number)
            network.heads[str(place)] = Auxiliary(parts, channels, widest, kernel, classes)
        begin_alike(network)

    def begin(self, network: Network, start: Start) -> None:
        pass

    def step(self, network: Network, images: Tensor, labels: Tensor, learner: Learner) -> tuple[Tensor, Tensor]:
        images = images.to(next(network.parameters()).dtype)
        with network.precision_of(images):
            with as_ann():
                ann = self.seen(network, images.contiguous(memory_format=torch.channels_last), 1)
            snn = self.seen(network, network.encode(images), network.timesteps)
        loss = self.loss(ann, snn, labels)
        every = torch.cat([y.flatten() for y in (*ann.logits, *snn.logits)])
        learner.zero()
        learner.backward(loss, every)
        learner.update()
        return loss, snn.steps

    def seen(self, network: Network, x: Tensor, steps: int) -> Seen:
        """`x` (t·B, …), of one of the two networks."""
        features, logits = list[Tensor](), list[Tensor]()
        heads = network.heads
        assert isinstance(heads, nn.ModuleDict) and isinstance(network.body, nn.Sequential)
        pooled = x
        for place, layer in enumerate(network.body):
            pooled, x = x.flatten(2).mean(2) if x.dim() == 4 else x, layer(x)
            if str(place) in heads:
                f, y = heads[str(place)](x)
                features.append(f)
                logits.append(y)
        features, logits = [pooled, *features], [x, *logits]

        summed = ([_sum(y, steps) for y in logits], [_sum(f, steps) for f in features])
        return Seen(*summed, x.unflatten(0, (steps, -1)))

    def at_once(self, timesteps: int) -> int:
        return timesteps + 1


def _sum(part: Tensor, steps: int) -> Tensor:
    part = part.float() if part.dtype == torch.bfloat16 else part
    return part.unflatten(0, (steps, -1)).sum(0)


def stage_ends(body: nn.Module) -> dict[int, int]:
    """Place of the last block of each stage -> its channels; stages differ in them."""
    ends: dict[int, int] = {}
    for place, layer in enumerate(body.children()):
        if isinstance(layer, BasicBlock):
            channels = layer.conv2.norm.snn.num_features  # type: ignore[union-attr]
            ends = {p: c for p, c in ends.items() if c != channels} | {place: channels}  # type: ignore[dict-item]
    return ends
