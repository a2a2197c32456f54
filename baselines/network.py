"""A method and an architecture put together: images in, logits of every timestep out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

import baselines
from baselines.method import ConvNorm, Method, Parts, Shape
from baselines.parts import carried, moments
from baselines.parts.moments import Moments
from baselines.parts.neurons import SpikingNeuron
from baselines.parts.normalisations import TemporalEffectiveBatchNorm
from baselines.parts.per_step import SecondMomentNorm
from baselines.parts.poisson import Poisson
from baselines.parts.readout import MeanOverTime, Repeat
from baselines.parts.schedule import Evolving
from baselines.parts.surrogates import SURROGATES, Surrogate
from baselines.parts.tempering import Retempered
from baselines.parts.volume import VolumeConv2d
from baselines.recompute import Recompute, forward
from baselines.registry import UnknownName

LONG = 32
"""Timesteps that are shown at once; more are walked where nothing has to be back-propagated."""
CHUNK = 16
"""Timesteps of a walk that are shown together: enough that the work outweighs the calls."""

AT_ONCE = (TemporalEffectiveBatchNorm, SecondMomentNorm)
"""Layers with something of each timestep that must be shown all, though they do not count them."""


class Network(nn.Module):
    """(B, C, H, W) still images, or (T, B, C, H, W) event frames -> logits (T, B, classes)."""

    temperature: Tensor
    """Of a `Retempered` surrogate: the one that was chosen last."""
    noise: Tensor
    """Of a `Poisson` encoder: its seed, drawn as the weights are."""

    def __init__(self, method: Method, body: nn.Module, timesteps: int) -> None:
        super().__init__()
        self.method, self.body, self.timesteps = method, body, timesteps
        self.mixed = False
        self.recompute: Recompute = "nothing"
        if isinstance(method.surrogate, Retempered):
            self.register_buffer("temperature", torch.tensor(method.surrogate.start))
        if isinstance(method.encoder, Poisson):
            self.register_buffer("noise", torch.randint(2**31, ()))
        method.procedure.fit_out(self)

    def forward(self, images: Tensor) -> Tensor:
        """In training, logits carry the `moments` of the potentials along where the method has a penalty on them.

        Images may carry `showings` (B,): a number for each time that each sample is shown, for an encoder that draws.
        """
        if not (self.training and self.method.penalty):
            return self._logits(images)
        tape: list[Moments] = []
        with moments.written_to(tape):
            logits = self._logits(images)
        logits.moments = tape  # type: ignore[attr-defined]
        return logits

    def _logits(self, images: Tensor) -> Tensor:
        encode = partial(self.encode, showings=getattr(images, "showings", None))
        images = images.to(next(self.parameters()).dtype)
        with self.precision_of(images):
            if self.shows_the_same_at_every_step(images):
                logits = self.body[1:](self.body[0](_channels_last(images)).repeat(self.timesteps, 1, 1, 1))  # type: ignore[index]
            elif self.recompute == "nothing" or not torch.is_grad_enabled():
                logits = self.body(encode(images))
            else:
                logits = forward(self.body, encode, images, self.recompute)
        return logits.to(images.dtype).unflatten(0, (self.timesteps, -1))

    def encode(
        self, images: Tensor, first: int = 0, steps: int | None = None, *, showings: Tensor | None = None
    ) -> Tensor:
        """Currents (T·B, C, H, W), channels-last; of `steps` timesteps from `first` on, or of all."""
        whole, steps = steps is None, self.timesteps if steps is None else steps
        if isinstance(self.method.encoder, Poisson):
            return _channels_last(self.method.encoder.at(images, first, steps, self.noise, showings))
        shown = images if whole or images.dim() == 4 else images[first : first + steps]
        return _channels_last(self.method.encoder(shown, steps))

    def walk(
        self,
        images: Tensor,
        chunk: int = 1,
        *,
        detach: bool = False,
        until: nn.Module | None = None,
        timesteps: int | None = None,
    ) -> Iterator[Tensor]:
        """Logits (t, B, classes) of the next t = `chunk` timesteps, again and again up to T, in memory of one chunk.

        With `detach`, no gradient flows from one chunk into another. With `until`, what that layer receives, (t, B, …);
        no layer behind it computes. `timesteps` in the place of T. Raises TypeError for a layer that cannot carry on.
        """
        self._check_walk()
        timesteps = self.timesteps if timesteps is None else timesteps
        encode = partial(self.encode, showings=getattr(images, "showings", None))
        images, on_the_way = images.to(next(self.parameters()).dtype), carried.Walk(detach=detach)
        for first in range(0, timesteps, chunk):
            on_the_way.first, on_the_way.steps = first, min(chunk, timesteps - first)
            with carried.on(on_the_way), self.precision_of(images), _reaching(until) as reached:
                try:
                    found = self.body(encode(images, first, on_the_way.steps))
                except Reached:
                    found = reached.pop()
            yield found.to(images.dtype).unflatten(0, (on_the_way.steps, -1))

    def so_far(
        self, images: Tensor, after: Sequence[int], tell: Callable[[int], object] = lambda t: None
    ) -> Iterator[Tensor]:
        """Logits (t, B, classes) of the first t timesteps, for each t of `after`, the last of which is T.

        Of more than `LONG` timesteps only the mean is known, and stands for each of them, where no readout wants more;
        and of those, `tell` hears how many have been shown.
        """
        steps = (y for logits in self.walk(images, CHUNK) for y in logits)
        if self.timesteps <= LONG or not isinstance(self.method.readout, MeanOverTime):
            logits = self(images) if self.timesteps <= LONG else torch.stack([*_told(steps, tell)])
            yield from (logits[:t] for t in after)
            return
        total = 0.0
        for t, y in enumerate(_told(steps, tell), start=1):
            total = total + y
            if t in after:
                yield (total / t).expand(t, *y.shape)

    def _check_walk(self) -> None:
        for module in self.body.modules():
            known = getattr(module, "carries", False) or not hasattr(module, "timesteps")
            if not known or isinstance(module, AT_ONCE) or getattr(module, "receive", None):
                raise TypeError(f"a {type(module).__name__} must see all timesteps at once")

    def precision_of(self, images: Tensor) -> AbstractContextManager[object]:
        return torch.autocast(images.device.type, torch.bfloat16) if self.mixed else nullcontext()

    def shows_the_same_at_every_step(self, images: Tensor) -> bool:
        """Whether the first convolution and its norm need to see still images only once.

        Not in training: there the running variance counts the copies, n / (n - 1) with n = T·B·H·W.
        """
        if self.training or images.dim() != 4 or type(self.method.encoder) is not Repeat:
            return False
        first = self.body[0] if isinstance(self.body, nn.Sequential) else None
        if not isinstance(first, ConvNorm) or not isinstance(first.norm, nn.BatchNorm2d | nn.Identity):
            return False
        watched = any(module._forward_hooks or module._forward_pre_hooks for module in first.modules())
        return isinstance(first.conv, nn.Conv2d) and not isinstance(first.conv, VolumeConv2d) and not watched

    def in_precision(self, precision: str) -> Network:
        """This network in `float32` or `float64`, or in float32 with convolutions and linear layers in `bfloat16`.

        Normalisations, potentials, thresholds and all statistics stay in float32 then.
        """
        self.mixed = precision == "bfloat16"
        return self.to(torch.float32 if self.mixed else getattr(torch, precision))

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What training minimises: the objective, a mean over the batch, and the penalty on what these logits carry."""
        loss = self.method.objective(logits, labels)
        penalty, tape = self.method.penalty, getattr(logits, "moments", None)
        return loss if penalty is None or tape is None else loss + penalty(tape)

    def nothing(self, logits: Tensor) -> Tensor:
        """Zero, from which gradients flow back through all that a loss would reach: that of a batch without samples."""
        seen = [tensor.sum() for each in getattr(logits, "moments", ()) for tensor in (each.mean, each.var)]
        return (logits.sum() + sum(seen)) * 0.0

    def begin_epoch(self, epoch: int, epochs: int, loss: Callable[[], Tensor] | None = None) -> None:
        """To be called before each epoch of training, counted from 0: a surrogate may change with it.

        `loss` is that of one batch, the same at every call; None where the epoch has begun already and goes on.
        """
        surrogate = self.method.surrogate
        if isinstance(surrogate, Retempered):
            if loss is not None:
                self.temperature.fill_(surrogate.choose(float(self.temperature), self.body, loss, self.use))
            self.use(surrogate.of(float(self.temperature)))
        elif isinstance(surrogate, Evolving):
            self.use(surrogate.at(epoch, epochs))

    def use(self, surrogate: Surrogate) -> None:
        """In every layer of neurons."""
        for layer in self.spiking_layers().values():
            layer.fire.surrogate = surrogate  # type: ignore[assignment]

    def predict(self, images: Tensor) -> Tensor:
        """Class scores (B, classes)."""
        return self.method.readout(self(images))

    def spiking_layers(self) -> dict[str, SpikingNeuron]:
        """Name -> layer of neurons, in the order of the network."""
        return {name: module for name, module in self.body.named_modules() if isinstance(module, SpikingNeuron)}


def _told(steps: Iterable[Tensor], tell: Callable[[int], object]) -> Iterator[Tensor]:
    for t, y in enumerate(steps, start=1):
        yield y
        tell(t)


class Reached(Exception):
    """The layer that a walk goes to."""


@contextmanager
def _reaching(layer: nn.Module | None) -> Iterator[list[Tensor]]:
    """Within, `layer` raises Reached when it is called, and what it was given is in the list."""
    received: list[Tensor] = []

    def stop(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        received.append(inputs[0])
        raise Reached

    hook = layer.register_forward_pre_hook(stop) if layer is not None else None
    try:
        yield received
    finally:
        if hook is not None:
            hook.remove()


def _channels_last(frames: Tensor) -> Tensor:
    return frames.contiguous(memory_format=torch.channels_last)


def build_network(
    method: str | Method, architecture: str, shape: Shape, classes: int, timesteps: int, surrogate: str, width: float
) -> Network:
    """See `baselines.build`."""
    if isinstance(method, str):
        method = baselines.METHODS.get(method)
    if surrogate not in SURROGATES:
        raise UnknownName("surrogate", surrogate, sorted(SURROGATES))
    parts = Parts(method=method, timesteps=timesteps, surrogate=at_first(method.surrogate or SURROGATES[surrogate]))
    body = baselines.ARCHITECTURES.get(architecture)(parts, shape, classes, width)
    return Network(method, body, timesteps).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def at_first(surrogate: Surrogate | Evolving | Retempered) -> Surrogate:
    """That with which training begins."""
    if isinstance(surrogate, Retempered):
        return surrogate.of(surrogate.start)
    return surrogate.at(0, 1) if isinstance(surrogate, Evolving) else surrogate
