"""Two real users of one group, as processes of root can become them; and a folder that both can enter."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GROUP = 61000
FIRST, SECOND, STRANGER = 61001, 61002, 61003
"""User ids, of nobody here; the third is not in the group."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")


@pytest.fixture
def meeting() -> Iterator[Path]:
    """A folder of the group, set-group-ID, within one that anybody may pass through."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        made = Path(name) / "shared"
        made.mkdir()
        os.chown(made, FIRST, GROUP)
        made.chmod(0o2775)
        yield made


def as_user(user: int, do: Callable[[], object], *, umask: int = 0o022) -> str:
    """What `do` returns, as text, called in a process of that user; nothing if it ends there. Fails as `do` does."""
    out, into = os.pipe()
    if (pid := os.fork()) == 0:
        told = "!the process died"
        try:
            os.umask(umask)
            os.setgroups([GROUP] if user != STRANGER else [])
            os.setgid(user)
            os.setuid(user)
            told = str(do())
        except BaseException:
            told = "!" + traceback.format_exc()
        finally:
            os.write(into, told.encode())
            os._exit(0)
    os.close(into)
    with os.fdopen(out) as file:
        told = file.read()
    os.waitpid(pid, 0)
    assert not told.startswith("!"), told[1:]
    return told
