"""One file, one name; a name is taken once; one recurrence in the whole tree."""

from __future__ import annotations

import re
from pathlib import Path

import inventory
import pytest

from baselines import ARCHITECTURES, METHODS
from baselines.method import Method

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("registry", [METHODS, ARCHITECTURES], ids=["methods", "architectures"])
def test_every_file_registers_its_own_name(registry) -> None:  # type: ignore[no-untyped-def]
    for name in registry:
        if registry.builtin(name):
            assert registry.get(name) is not None
            assert registry.describe(name).endswith("."), f"{name}: its file should begin with a one-line sentence"


def test_what_is_listed_of_a_method_is_what_it_is() -> None:
    """`list methods` reads it without torch."""
    assert (ROOT / "tables" / "inventory.toml").read_text() == inventory.text(), "type: make inventory"


def test_a_name_is_taken_once() -> None:
    for name in ("mpbn", "taken-by-a-test"):
        if name not in METHODS:
            METHODS.register(name, Method())
        with pytest.raises(ValueError, match=f"method `{name}` is registered already"):
            METHODS.register(name, Method())
    METHODS._entries.pop("taken-by-a-test")


def test_methods_are_values() -> None:
    """Frozen, comparable and equal when rebuilt from the same parts."""
    from dataclasses import FrozenInstanceError, replace

    vanilla, mpbn = METHODS.get("vanilla"), METHODS.get("mpbn")
    assert replace(vanilla) == vanilla != mpbn
    with pytest.raises(FrozenInstanceError):
        vanilla.neuron = mpbn.neuron  # type: ignore[misc]


def test_there_is_one_recurrence() -> None:
    """`charge` is called in one place; the C kernel, its counterpart, is the other file that may hold a time loop."""
    calls = [
        path.name
        for path in (ROOT / "baselines").rglob("*.py")
        for _ in re.findall(r"self\.charge\(", path.read_text())
    ]
    assert calls == ["neurons.py"]


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a\nb", "=1+2", "5", "1e5", "-x", "../x", "a/b", "x" * 49, 5, "a,b", "a|b"]
)
@pytest.mark.parametrize("registry", [METHODS, ARCHITECTURES], ids=["methods", "architectures"])
def test_what_is_no_name_is_refused(registry, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=f"no {registry.kind} can be called .*; write letters"):
        registry.register(name, Method())
    registry.offer(str(name), lambda: None)
    assert str(name) not in registry


@pytest.mark.parametrize("entry", [{}, 1, None, Method], ids=str)
def test_what_is_no_method_is_refused(entry: object) -> None:
    with pytest.raises(TypeError, match=r"method `mine` is a \w+; register a Method"):
        METHODS.register("mine", entry)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="architecture `mine` is a dict"):
        ARCHITECTURES.register("mine", {})  # type: ignore[arg-type]
    assert "mine" not in METHODS and "mine" not in ARCHITECTURES
