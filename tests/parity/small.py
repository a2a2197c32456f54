"""What producers and tests of the other methods' arrays share: sizes, samples, and the training of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from summary import summarise
from torch import Tensor, nn

TIMESTEPS, BATCH, INPUTS, CHANNELS, SIDE, CLASSES, STEPS = 4, 5, 2, 6, 5, 3, 3
"""T is 4 since three of the cited codes have it as a constant of the module."""

Parameters: TypeAlias = Mapping[str, Sequence[nn.Parameter]]
"""Name -> what is one parameter of ours: as a rule one of theirs, or one a step."""
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def inputs(step: int) -> tuple[np.ndarray, np.ndarray]:
    """(T·B, INPUTS, SIDE, SIDE) and labels (B,) of a training step, from a stream that is frozen for good."""
    random = np.random.RandomState(step)
    return random.normal(size=(TIMESTEPS * BATCH, INPUTS, SIDE, SIDE)), random.randint(CLASSES, size=BATCH)


def images(step: int, size: int, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """(B, 3, size, size) and labels (B,), likewise."""
    random = np.random.RandomState(step)
    return random.normal(size=(BATCH, 3, size, size)), random.randint(classes, size=BATCH)


class Hand:
    """An optimiser's, as a procedure is given it (`baselines.procedures.procedure.Learner`)."""

    def __init__(self, optimiser: torch.optim.Optimizer) -> None:
        self._optimiser = optimiser

    def zero(self) -> None:
        self._optimiser.zero_grad()

    def backward(self, loss: Tensor, logits: Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        self._optimiser.step()


Step: TypeAlias = Callable[[Tensor, Tensor, Hand], tuple[Tensor, Tensor]]
"""Frames, labels, the hand that moves the parameters -> loss and logits."""


def of_one_loss(model: nn.Module, loss: Loss) -> Step:
    def step(frames: Tensor, labels: Tensor, hand: Hand) -> tuple[Tensor, Tensor]:
        logits = model(frames)
        value = loss(logits, labels)
        hand.zero()
        hand.backward(value, logits)
        hand.update()
        return value, logits

    return step


def uniform(shape: tuple[int, ...]) -> Tensor:
    """In [0, 1), the same at every call: what a dropout draws in both networks."""
    return torch.from_numpy(np.random.RandomState(7).uniform(size=shape))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of the mean over time, (T, B, classes), or of scores (B, classes)."""
    return nn.functional.cross_entropy(logits.mean(0) if logits.dim() == 3 else logits, labels)


def trained(
    model: nn.Module,
    parameters: Parameters,
    batches: Callable[[int], tuple[np.ndarray, np.ndarray]],
    step: Step,
    seen: list[Tensor],
    rate: float = 0.1,
) -> dict[str, np.ndarray]:
    """What STEPS steps of SGD, momentum 0.9, leave of `model`, in training mode; then evaluated.

    `seen` is what `watched` has filled with the outputs of the first pass.
    """
    ordered = [p for group in parameters.values() for p in group]
    optimiser, kept, losses = torch.optim.SGD(ordered, lr=rate, momentum=0.9), {}, []
    model.train()
    for number in range(STEPS):
        frames, labels = map(torch.from_numpy, batches(number))
        value, logits = step(frames.clone(), labels, Hand(optimiser))
        losses.append(value.item())
        if number == 0:
            kept |= {"logits": logits.detach().numpy(), **_outputs(seen)}
            kept["gradients"] = _flat(parameters, lambda p: p.grad)
    kept |= {"losses": np.array(losses), "parameters": _flat(parameters, lambda p: p)}
    running = [b for end in ("mean", "var") for name, b in model.named_buffers() if name.endswith(end)]
    kept["statistics"] = torch.cat(running).numpy() if running else np.zeros(0)
    with torch.no_grad():
        kept["evaluated"] = model.eval()(torch.from_numpy(batches(0)[0])).numpy()
    return kept


def watched(layers: Sequence[nn.Module], axes: tuple[int, int] = (0, 0)) -> list[Tensor]:
    """The list into which each of `layers` puts what it gives out, call after call, two of its axes exchanged."""
    seen: list[Tensor] = []
    for layer in layers:
        layer.register_forward_hook(
            lambda module, inputs, output: seen.append(output.detach().clone().transpose(*axes))
        )
    return seen


def _outputs(seen: list[Tensor]) -> dict[str, np.ndarray]:
    """Spikes a bit each; real values as `summarise` keeps them."""
    flat = torch.cat([each.flatten() for each in seen])
    if ((flat - flat.round()).abs() < 1e-12).all():  # some cited spikes are 0 and 1 up to rounding
        assert 0.02 < flat.mean() < 0.98
        return {"spikes": np.packbits(flat.round().numpy().astype(bool))}
    return {"values": summarise("values", flat.numpy())}


def _flat(parameters: Parameters, of: Callable[[nn.Parameter], Tensor | None]) -> np.ndarray:
    """Parameter after parameter, each as `summarise` keeps it."""
    parts = []
    for name, group in parameters.items():
        tensors = [of(p) for p in group]
        flat = torch.cat([torch.zeros(0), *(tensor.detach().flatten() for tensor in tensors if tensor is not None)])
        parts.append(summarise(name, flat.numpy()))
    return np.concatenate(parts)
