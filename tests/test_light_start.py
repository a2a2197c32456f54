"""Asking costs nothing: no verb but those that train, or report on the machine, may import what is heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.arguments import KINDS

HEAVY = {"torch", "torchvision", "matplotlib", "pandas", "sklearn", "timm", "submitit", "tonic"}
LIGHTER = {*HEAVY, "numpy", "scipy", "rich"}
SCRIPT = """
import sys
from harness.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as leaving:  # --help
    code = leaving.code
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def imported(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "verb",
    [
        "",
        "run",
        "compare",
        "export",
        "new",
        "table",
        "figure",
        "claims",
        "report",
        "status",
        "list",
        "show",
        "logs",
        "cancel",
        "merge",
        "doctor",
        "completion",
        "help",
    ],
)
def test_help_is_light(verb: str) -> None:
    assert not imported(*verb.split(), "--help") & {*LIGHTER, "msgspec"}


def test_version_is_light() -> None:
    assert not imported("--version") & {*LIGHTER, "msgspec"}


@pytest.mark.parametrize("kind", KINDS)
def test_list_is_light(kind: str) -> None:
    assert not imported("list", kind) & (HEAVY if kind == "datasets" else LIGHTER)


SHOWING = [("table", "table2"), ("claims",), ("status",), ("show", "protocol")]


@pytest.mark.parametrize("arguments", SHOWING)
def test_showing_an_empty_store_imports_nothing_that_counts(arguments: tuple[str, ...], tmp_path) -> None:
    assert not imported(*arguments, "--store", str(tmp_path)) & {*HEAVY, "numpy", "scipy"}


@pytest.mark.parametrize("verb", [("table", "table1"), ("claims",)], ids=["table", "claims"])
def test_results_are_judged_without_what_computes(verb: tuple[str, ...]) -> None:
    store = Path(__file__).parents[1] / "results" / "cpu"
    assert not imported(*verb, "--preset", "cpu", "--store", str(store)) & {*HEAVY, "numpy", "scipy"}


FIRST = """
import sys
from pathlib import Path
from harness.store import Store
from harness.verbs.doctor import examine
print(next(examine(Store(Path(sys.argv[1])), None)))
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_doctor_speaks_before_it_looks(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FIRST, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "python" in done.stdout and not set(done.stderr.split()) & {*HEAVY, "numpy", "scipy"}
