"""Where caches lie: a user without a home has one too, and nobody else can put code into it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from baselines import caches


@pytest.fixture(autouse=True)
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_without_a_home_it_is_a_folder_of_the_users_own(tmp_path: Path) -> None:
    found = caches.folder()
    assert found == caches.folder() == tmp_path / f"snn-caches-{os.getuid()}"
    assert stat.S_IMODE(found.stat().st_mode) == 0o700


def test_one_that_others_could_write_to_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (waiting := tmp_path / f"snn-caches-{os.getuid()}").symlink_to(tmp_path / "theirs")
    assert caches.folder() != waiting and stat.S_IMODE(caches.folder().stat().st_mode) == 0o700
    waiting.unlink()
    waiting.mkdir()
    waiting.chmod(0o777)
    assert caches.folder() != waiting


def test_what_is_asked_for_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert caches.folder() == Path("/there")
