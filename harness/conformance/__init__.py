"""`check FILE`: does a table resolve, does a method do all that a method of this house does? In seconds."""

from __future__ import annotations

from collections.abc import Iterator

from harness.conformance.finding import Finding
from harness.errors import UserError
from harness.requests import Asked


def check(asked: Asked) -> Iterator[Finding]:
    """One finding after the other, as they are made, of every file named. Raises UserError for what is no such file."""
    for name in asked.targets:
        if name.endswith(".toml"):
            from harness.conformance import table as kind
        elif name.endswith(".py"):
            from harness.conformance import method as kind
        else:
            raise UserError(f"`{name}` is neither a table nor a method", "check", "give FILE.toml or FILE.py")
        yield from kind.check(name, asked)
