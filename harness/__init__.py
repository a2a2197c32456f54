"""The experiment engine: planning, running, recording, showing. Knows no method, architecture or table by name.

import harness
harness.table("table1", preset="smoke")     # as `python -m harness table table1 --preset smoke`; docs/python.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from harness.errors import UserError
    from harness.interface import claims, compare, load_network, results, run, table

__all__ = ["UserError", "__version__", "claims", "compare", "load_network", "results", "run", "table"]


def __getattr__(name: str) -> object:
    """The public functions, when they are first asked for: importing the package costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module("harness.errors" if name == "UserError" else "harness.interface"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
