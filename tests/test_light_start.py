"""Asking costs nothing: no verb but those that train, or report on the machine, may import what is heavy."""

from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize("arguments", [("table", "table2"), ("claims",), ("status",), ("show", "protocol")])
def test_showing_an_empty_store_imports_no_torch(arguments: tuple[str, ...], tmp_path) -> None:
    assert not imported(*arguments, "--store", str(tmp_path)) & HEAVY
