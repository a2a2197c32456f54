"""A TOML file is read once as long as it stays as it is, and anew when it does not."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from harness import decode
from harness.errors import UserErrors

OLD = 1_500_000_000


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was parsed."""
    seen: list[str] = []
    loads = tomllib.loads

    def counted(text: str) -> dict:
        seen.append(text)
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    return seen


def test_once_as_long_as_it_stays(read: list[str], tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text("a = 1\n")
    os.utime(path, (OLD, OLD))
    assert [decode.keys(path) for _ in range(3)] == [frozenset("a")] * 3 and len(read) == 1
    path.write_text("b = 1\n")
    os.utime(path, (OLD, OLD))  # the same size, the same time: the change of its state betrays it
    assert decode.keys(path) == frozenset("b") and len(read) == 2
    path.unlink()
    with pytest.raises(UserErrors, match="cannot read it"):
        decode.keys(path)


def test_one_that_was_just_written_is_not_trusted(read: list[str], tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text("a = 1\n")
    for _ in range(2):
        decode.keys(path)
    assert len(read) == 2
