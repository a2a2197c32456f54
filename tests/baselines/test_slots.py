"""CONTRIBUTING shows every slot of a method by an example, which is the part that the method beside it has there."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import baselines
from baselines import METHODS
from baselines.method import Method

HERE = Path(baselines.__file__).parent
ROW = re.compile(r"^\| `(\w+)` \| .+ \| `(.+)` \| `([\w-]+)` \|$", re.M)


def names() -> dict[str, Any]:
    """All that parts and procedures define."""
    found: dict[str, Any] = {}
    for path in (*HERE.glob("parts/[!_]*.py"), *HERE.glob("procedures/[!_]*.py")):
        module = importlib.import_module(f"baselines.{path.parent.name}.{path.stem}")
        found |= {k: v for k, v in vars(module).items() if getattr(v, "__module__", module.__name__) == module.__name__}
    return found | {"replace": replace}


def shown() -> Iterator[tuple[str, str, str]]:
    yield from ROW.findall((HERE.parent / "CONTRIBUTING.md").read_text())


def test_every_slot_has_an_example_that_a_method_fills_it_with() -> None:
    known = names()
    assert [slot for slot, *_ in shown()] == [field.name for field in fields(Method) if field.name != "description"]
    for slot, example, method in shown():
        made = eval(example, known)
        assert getattr(METHODS.get(method), slot) == made != getattr(Method(), slot), f"{slot}: {method} has another"
