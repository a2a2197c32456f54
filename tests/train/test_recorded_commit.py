"""The commit that a result names, or why git does not say; never a place on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import environment


def test_a_git_that_does_not_answer_is_told_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(home: Path, *arguments: str) -> str:
        raise subprocess.TimeoutExpired(["git", "-C", str(home), *arguments], 10)

    monkeypatch.setattr(environment, "_git", slow)
    environment.commit.cache_clear()
    try:
        assert environment.commit() in ("unknown (git: no answer in 10 s)", "")  # empty: no clone
    finally:
        environment.commit.cache_clear()
