"""Methods of installed packages: found by their entry points, imported late, keyed as `--plugin` keys them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KEYS = """
import json, sys
from pathlib import Path
from harness import plugins, tables; from harness.verbs import session
from harness.plan import plan
table = tables.load_table(Path(sys.argv[1]))
context = session.context_of(tables.load_protocol("paper"), None, (0,), plugins.load_plugins(sys.argv[2:]))
made = plan(table, context)
print(json.dumps([[line.row.method, [cell.key for cell in line.cells], line.blank, line.added] for line in made.lines]))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
TABLE = """
name = "t"
title = "t"
row = [{ dataset = "cifar10", method = "theirs", architecture = "resnet20", timesteps = 1 }]
"""
METHOD = "from baselines.method import Method\nTHEIRS = Method()\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder as site-packages is: one package of two files, installed."""
    (tmp_path / "theirs_pkg").mkdir()
    (tmp_path / "theirs_pkg" / "__init__.py").write_text('"""Theirs."""\n')
    (tmp_path / "theirs_pkg" / "neuron.py").write_text(METHOD)
    (tmp_path / "t.toml").write_text(TABLE)
    install(tmp_path, "theirs_pkg", "theirs = theirs_pkg.neuron:THEIRS")
    return tmp_path


def install(site: Path, package: str, *points: str) -> None:
    folder = site / f"{package}-1.5.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
    (folder / "entry_points.txt").write_text("\n".join(["[snn_harness.methods]", *points, ""]))


def python(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=site)


def planned(site: Path, *plugins: str) -> tuple[list, set[str]]:
    done = python(site, "-c", KEYS, "t.toml", *plugins)
    assert done.returncode == 0, done.stderr
    lines, modules = done.stdout.splitlines()
    return json.loads(lines), set(modules.split())


def test_it_is_listed_without_being_imported(site: Path) -> None:
    (site / "theirs_pkg" / "neuron.py").write_text("raise RuntimeError('too early')\n")
    done = python(site, "-m", "harness", "list", "methods")
    assert done.returncode == 0 and not done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("theirs ")]
    assert "theirs_pkg 1.5" in line


def test_it_is_not_imported_where_no_table_names_it(site: Path) -> None:
    (site / "t.toml").write_text(TABLE.replace("theirs", "mpbn"))
    (line,), modules = planned(site)
    assert len(line[1]) == 1 and "torch" not in modules and "theirs_pkg" not in modules


def test_it_trains_where_a_table_names_it_and_its_source_is_in_the_key(site: Path) -> None:
    (line,), _ = planned(site)
    assert line[0] == "theirs" and len(line[1]) == 1 and not line[3]
    (site / "theirs_pkg" / "neuron.py").write_text(METHOD + "# another thought\n")
    assert planned(site)[0][0][1] != line[1]


def test_its_key_is_that_of_the_same_package_as_a_plugin(site: Path) -> None:
    (site / "theirs_pkg" / "__init__.py").write_text(
        "from baselines import METHODS\nfrom theirs_pkg.neuron import THEIRS\nMETHODS.register('theirs', THEIRS)\n"
    )
    assert planned(site)[0][0][1] == planned(site, "theirs_pkg")[0][0][1]


def test_it_is_built_by_its_name(site: Path) -> None:
    build = "import baselines; from harness.plugins import load_plugins; load_plugins(());"
    build += "print(baselines.build('theirs', 'vgg11', shape=(3, 32, 32), classes=10, timesteps=1, width=.1).method)"
    done = python(site, "-c", build)
    assert done.stdout.startswith("Method("), done.stderr


def test_an_entry_point_that_registers_nothing_is_one_line(site: Path) -> None:
    (site / "theirs_pkg" / "neuron.py").write_text("THEIRS = 1\n")
    done = python(site, "-c", "import baselines; from harness import plugins; plugins.load_plugins(())\n"
                  "try: baselines.METHODS.get('theirs')\nexcept plugins.UserError as error: print(error)")  # fmt: skip
    assert done.stdout.startswith("entry point theirs of theirs_pkg 1.5: registers no method `theirs`"), done.stderr


def test_a_name_that_is_taken_is_told_and_not_used(site: Path) -> None:
    install(site, "greedy", "mpbn = theirs_pkg.neuron:THEIRS")
    done = python(site, "-m", "harness", "list", "methods")
    assert done.returncode == 0
    assert done.stderr == "harness: package greedy 1.5: the name `mpbn` is taken; this method is not used\n"
    assert not any("greedy" in line for line in done.stdout.splitlines())
