"""What the types of a file cannot say, for all kinds of file alike: names that are names, amounts that can be."""

from __future__ import annotations

from collections.abc import Iterator

from baselines.registry import NAME, NAMED
from harness.errors import UserError
from harness.spec import Overlay, Recipe

AMOUNTS = {
    "epochs": (1, 10**6),
    "batch": (1, 10**6),
    "lr": (0, 1e9),
    "momentum": (0, 1),
    "weight_decay": (0, 1e9),
    "size": (1, 10**4),
    "width": (1e-3, 1e3),
    "train_samples": (1, 10**9),
    "test_samples": (1, 10**9),
    "period": (1, 10**6),
    "ahead": (0, 10**6),
    "factor": (0, 1e9),
    "smoothing": (0, 1),
    "norm_scale": (-1e9, 1e9),
    "residual_scale": (-1e9, 1e9),
    "among": (1, 10**6),
}
"""Field of a recipe -> the least and the most that it can be."""


def name(given: str, where: str, key: str = "name") -> Iterator[UserError]:
    """A name may become that of a file, or stand in a command: it holds no path, and nothing of a shell."""
    if not NAME.fullmatch(given):
        yield UserError(f"`{key}` is {given!r}", where, f"write {NAMED}")


def amounts(recipe: Recipe | Overlay, where: str) -> Iterator[UserError]:
    """Those that a recipe gives, or an overlay of one."""
    for field, (least, most) in AMOUNTS.items():
        value = getattr(recipe, field)
        if value is not None and not least <= value <= most:
            yield UserError(f"`{field}` is {value}", where, f"write a number from {least:g} to {most:g}")
    yield from _of_several(recipe, where)


def _of_several(recipe: Recipe | Overlay, where: str) -> Iterator[UserError]:
    """What has more numbers than one."""
    for share in recipe.milestones or ():
        if not 0 < share < 1:
            yield UserError(f"a milestone is {share:g}", where, "write shares of the epochs, between 0 and 1")
    for group in recipe.groups or ():
        if not group.of or not 0 <= group.rate <= 1e9 or not 0 <= group.decay <= 1e9:
            yield UserError(f"a group is {group}", where, "name parameters; write a rate and a decay of 0 or more")
    for most in recipe.search or ():
        if most < 1:
            yield UserError(f"`search` is {most}", where, "write images and timesteps, 1 or more of each")
    for p in recipe.dropout or ():
        if not 0 <= p < 1:
            yield UserError(f"a dropout is {p:g}", where, "write two probabilities, from 0 to below 1")
    for value in recipe.deviation or ():
        if not 0 < value <= 1e9:
            yield UserError(f"a deviation is {value:g}", where, "write numbers above 0, one a channel")
