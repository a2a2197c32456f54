"""What a procedure is, and what it is given to work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from baselines.network import Network


class Learner(Protocol):
    """The optimiser's hand: a batch may be shared out among processes, of which a procedure need not know."""

    def zero(self) -> None:
        """Forget all gradients."""
        ...

    def backward(self, loss: Tensor, logits: Tensor) -> None:
        """Add the gradients of `loss`, a mean over the batch, which came of `logits`."""
        ...

    def update(self) -> None:
        """One step of the optimiser, by the gradients of the whole batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class Start:
    """What there is before the first epoch."""

    weights: Mapping[str, Tensor] | None
    """Of the cell that this one begins from, by name; None where it begins from nothing."""
    images: Callable[[], Iterator[Tensor]]
    """Batches of training images, as the first epoch shows them; the same in every process."""
    tell: Callable[[str], None]
    """How far it is, in a few words."""
    steps: int | None = None
    """Timesteps, at most, that are to be looked at; None: as many as the procedure wants."""


class Procedure(Protocol):
    """A frozen value in a method's slot `procedure`."""

    @property
    def trains(self) -> bool:
        """Whether it does anything with training batches after its beginning."""
        ...

    def fit_out(self, network: Network) -> None:
        """What it changes in a network that has just been built."""
        ...

    def begin(self, network: Network, start: Start) -> None:
        """Before the first epoch, and not when a run goes on: all that it does is in the network's state then."""
        ...

    def step(self, network: Network, images: Tensor, labels: Tensor, learner: Learner) -> tuple[Tensor, Tensor]:
        """Train on one batch: its loss, a mean over the batch, and its logits (T, B, classes)."""
        ...

    def at_once(self, timesteps: int) -> int:
        """Of how many timesteps a training step keeps what the way back needs."""
        ...
