"""From frames to currents at the input, from logits to a prediction and a loss at the output."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Repeat:
    """Direct coding: a still image is shown unchanged at every step; event frames pass as they are."""

    def __call__(self, images: Tensor, timesteps: int) -> Tensor:
        """(B, C, H, W) or (T, B, C, H, W) -> (T·B, C, H, W). Raises ValueError for frames of another T."""
        if images.dim() == 4:
            return images.repeat(timesteps, 1, 1, 1)
        if images.shape[0] != timesteps:
            raise ValueError(f"input has {images.shape[0]} frames, the network {timesteps} timesteps")
        return images.flatten(0, 1)


@dataclass(frozen=True)
class MeanOverTime:
    """Class scores are the mean of the last layer's output over T (Eq. 3)."""

    def __call__(self, logits: Tensor) -> Tensor:
        """(T, B, classes) -> (B, classes)."""
        return logits.mean(0)


@dataclass(frozen=True)
class CrossEntropyOfMean:
    """Cross-entropy of the mean over T (Eq. 3)."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(T, B, classes), (B,) -> a scalar, mean over the batch."""
        return F.cross_entropy(logits.mean(0), labels)
