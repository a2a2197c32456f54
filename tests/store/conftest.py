"""What the tests of a cell's folder are given."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs" / "0123456789abcdef"
    made.mkdir(parents=True)
    return made
