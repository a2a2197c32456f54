"""A title of several panels speaks of all of them, not of the first."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_probe_figures import figure, filled

from harness.render import figures, message


def test_the_landscape_of_every_data_set_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def heard(kind, sketch, leads):  # type: ignore[no-untyped-def]
        said.append(message.message(kind, sketch, leads))
        return said[-1]

    monkeypatch.setattr(figures, "message", heard)
    filled(tmp_path / "runs", "figure3")
    assert figure("figure3", tmp_path / "runs", tmp_path / "out") == 0
    (title,) = set(said)
    for words in message.KINDS.values():
        part = next(part for part in title.split(";") if f"with {words}" in part)
        assert part.count(" on CIFAR-10") == 2 and part.count(" on CIFAR-100") == 1
