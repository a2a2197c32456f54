"""What rows are planned in."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field

from harness.spec import Cell, Origin, Preset, Protocol


@dataclass(frozen=True, kw_only=True)
class Context:
    """What turns a row into cells: names that exist, recipes, seeds, a user's own methods, the code that is here."""

    protocol: Protocol
    preset: Preset | None
    seeds: tuple[int, ...]
    methods: Container[str]
    architectures: Container[str]
    datasets: Container[str]
    plugins: tuple[str, ...] = ()
    """Methods that are added to every table as rows of their own."""
    common: Protocol | None = None
    """What rows are set beside that are trained as their own papers do it."""
    mixed: bool = False
    """As of `Plan`."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """Method -> what its cells begin from; one that is absent begins from nothing."""
    stamp: Callable[[Cell], Cell] = lambda cell: cell
    """Puts into a cell what its key says of the code (`identity.code.stamping`)."""
