"""Pictures are drawn on several cores at once, in processes of their own; with many threads none is forked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are not counted here")
DRAW = """
import os, sys, tempfile
from pathlib import Path
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
from harness import environment
from harness.errors import UserError
from harness.report import drawn, gather
from harness.requests import Asked, Report
environment.cores = lambda: 2
asked = Asked(targets=("figure2", "changes", "inflation"), store=Path("results/cpu"), preset="cpu")
sights = gather(Report(asked=asked)).figures
assert drawn._may_fork()
"""


def drawn(how: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", DRAW + how], cwd=ROOT, env=environment, text=True, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_they_are_those_that_are_drawn_one_by_one_and_this_process_draws_none() -> None:
    told = drawn("""
with drawn.side_by_side(sights) as draw:
    together = [draw(sight) for sight in sights]
assert "matplotlib" not in sys.modules
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
assert together == [drawn.drawn(sight) for sight in sights] and "matplotlib" in sys.modules
print(len(together), len({picture.svg for picture in together}))
""")
    assert told.split() == ["3", "3"]


@pytest.mark.parametrize("ends", ["os._exit(9)", "os.kill(os.getpid(), 9)", "1 / 0"])
def test_where_such_a_process_ends_early_pictures_are_drawn_here(ends: str) -> None:
    told = drawn(f"""
own, here = drawn.drawn, os.getpid()
drawn.drawn = lambda sight: own(sight) if os.getpid() == here else {ends}
with drawn.side_by_side(sights) as draw:
    print(len({{draw(sight).svg for sight in sights}}))
assert "matplotlib" in sys.modules
""")
    assert told.split() == ["3"]


def test_an_error_in_one_is_the_error() -> None:
    told = drawn("""
from harness.render import figures
def fails(*given):
    raise UserError("cannot be drawn", "figure2", "look at it")
figures.inline = fails
drawn._may_fork = lambda: True
try:
    with drawn.side_by_side(sights) as draw:
        draw(sights[0])
except UserError as error:
    print(error)
""")
    assert "cannot be drawn" in told


@pytest.mark.parametrize("refused", ["_may_fork", "_may_keep"])
def test_else_they_are_drawn_one_by_one(refused: str) -> None:
    told = drawn(f"""
drawn.{refused} = lambda: False
with drawn.side_by_side(sights) as draw:
    print(draw is drawn.drawn)
""")
    assert told.split() == ["True"]


def test_kept_ones_and_a_single_one_take_no_process() -> None:
    told = drawn("""
for sight in sights[1:]:
    drawn.drawn(sight)
with drawn.side_by_side(sights) as draw:
    print(draw is drawn.drawn)
""")
    assert told.split() == ["True"]


def test_threads_and_a_cache_that_cannot_be_written_are_seen() -> None:
    told = drawn("""
import threading
over = threading.Event()
other = threading.Thread(target=over.wait)
other.start()
print(drawn._may_fork())
over.set()
other.join()
print(drawn._may_fork(), drawn._may_keep())
file = Path(tempfile.mkdtemp()) / "file"
file.write_text("")
os.environ["XDG_CACHE_HOME"] = str(file)
print(drawn._may_keep())
""")
    assert told.split() == ["False", "True", "True", "False"]
