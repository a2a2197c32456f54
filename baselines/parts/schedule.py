"""A surrogate that changes while a network is trained, as a pure function of the epoch: nothing to save or resume."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from baselines.parts.surrogates import Surrogate


@runtime_checkable
class Evolving(Protocol):
    """Stands in a method's `surrogate`; the training loop asks it once an epoch."""

    def at(self, epoch: int, epochs: int) -> Surrogate:
        """The surrogate of `epoch`, counted from 0, of `epochs`."""
        ...
