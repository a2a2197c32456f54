"""The science: neurons, normalisers, surrogate gradients, architectures and folding, as the papers write them.

Imports nothing from the harness; whoever wants only these can take this folder alone.

    from baselines import METHODS, ARCHITECTURES, build
    network = build(METHODS.get("mpbn"), "resnet20", shape=(3, 32, 32), classes=10, timesteps=4, surrogate="tanh")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from baselines.registry import Registry, UnknownName

if TYPE_CHECKING:
    from baselines.method import Architecture, Method
    from baselines.network import Network


def _no_method(entry: object) -> str:
    from baselines.method import Method  # late: it brings torch

    return "" if isinstance(entry, Method) else f"is a {type(entry).__name__}; register a Method(...)"


def _no_architecture(entry: object) -> str:
    return "" if callable(entry) else f"is a {type(entry).__name__}; register a function that builds the network"


SYSTEMS: Registry[Method] = Registry("system", "baselines.systems", _no_method)
"""What papers trained as a whole, where that is more than the idea which `METHODS` has of them on common ground."""
METHODS: Registry[Method] = Registry("method", "baselines.methods", _no_method, beside=SYSTEMS)
ARCHITECTURES: Registry[Architecture] = Registry("architecture", "baselines.architectures", _no_architecture)

__all__ = ["ARCHITECTURES", "METHODS", "SYSTEMS", "Registry", "UnknownName", "build"]


def build(
    method: str | Method,
    architecture: str,
    *,
    shape: tuple[int, int, int],
    classes: int,
    timesteps: int,
    surrogate: str = "ste",
    width: float = 1.0,
) -> Network:
    """A freshly initialised network. `shape` is one frame, (C, H, W); `width` multiplies the channel counts.

    Raises UnknownName for a method, architecture or surrogate that is not registered.
    """
    from baselines.network import build_network

    return build_network(method, architecture, shape, classes, timesteps, surrogate, width)
