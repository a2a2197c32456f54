"""What docs/cluster.md tells a reader to type works as it stands there, on the test cluster, in a clone of the clone.

What is made smaller is the clone's own: its tables have two rows, its recipes one epoch of a narrow network.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from stage import Stage

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/cluster.md"
SMALL = "epochs = 3\nbatch = 16\nwidth = 0.2"
KINDS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
WHO = ["-c", "user.name=a test", "-c", "user.email=test@example.org"]
SCRIPT = "set -ex -o pipefail\n"
"""What comes before the page's lines: the first that fails ends it, and each is said."""


def commands(page: Path) -> list[str]:
    """Lines of a page's blocks without a language."""
    blocks = re.findall(r"^```\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_a_cluster_by_hand() -> None:
    """The commands of slurm/README.md, but the one that installs packages, and those that begin with `make`."""
    lines = [line for line in commands(ROOT / "slurm/README.md") if line.startswith(("python ", "eval ", "sinfo"))]
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = os.environ | {"TMPDIR": folder, "PATH": path}
        done = subprocess.run(
            ["bash"],
            input=SCRIPT + "\n".join(lines),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert len(lines) == 4 and done.returncode == 0, done.stderr
    assert "idle n[1-2]" in done.stdout


def test_the_page_as_it_stands(stage: Stage) -> None:
    (stage.folder / "home").mkdir()
    origin(stage.folder / "origin")
    images(stage.folder / "data/cifar10")
    given = {
        "HOME": "home",
        "EDITOR": editor(stage.folder),
        "REPOSITORY": "origin",
        "OTHER_STORE": "other",
        "HARNESS_CACHE": "cache",
    }
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    lines = commands(PAGE)
    (logs,) = (line for line in lines if " logs " in line)
    before = {
        "make setup": stand_in(),
        logs: f"for _ in $(seq 300); do {logs} > /dev/null && break; sleep 1; done",  # a reader looks when it has begun
        'python -m harness merge "$OTHER_STORE"': 'cp -r results/runs "$OTHER_STORE"',
    }
    assert set(before) <= set(lines)
    done = subprocess.run(
        ["bash"],
        input=SCRIPT + "".join(f"{before.get(line, '')}\n{lenient(line)}\n" for line in lines),
        cwd=stage.folder,
        env=environment | {name: str(stage.folder / value) for name, value in given.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert not stage.jobs()
    rows = (stage.folder / "snn/table1.csv").read_text().splitlines()
    assert len(rows) == 3 and all(row.split(",")[10] == "3" for row in rows[1:]), rows


def lenient(line: str) -> str:
    """What is printed before it is complete ends with 1."""
    return f"{{ {line}\n}} || test $? = 1" if line.endswith("so far") else line


def origin(folder: Path) -> None:
    """The clone as it is now, its tables and recipes made smaller, committed."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in os.fsdecode(listed.stdout).splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    table, paper, smoke = (
        folder / "tables" / name for name in ("table1.toml", "protocols/paper.toml", "presets/smoke.toml")
    )
    lines = table.read_text().splitlines()
    rows = [line for line in lines if "timesteps = 2" in line and 'cifar10"' in line]
    assert len(rows) == 2
    table.write_text("\n".join(line for line in lines if "timesteps" not in line or line in rows))
    paper.write_text(re.sub(r"^epochs = 400\nbatch = 128$", SMALL, paper.read_text(), flags=re.M))
    smoke.write_text(re.sub(r"^epochs = \d+$", "epochs = 1", smoke.read_text(), flags=re.M))
    for command in (["init", "--quiet"], ["add", "."], [*WHO, "commit", "--quiet", "-m", "smaller"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def editor(folder: Path) -> str:
    """Writes into a profile what a user would."""
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' 'partition = \"main\"' 'data = \"{folder}/data\"' >> \"$1\"\n")
    path.chmod(0o755)
    return path.name


def stand_in() -> str:
    """Shell lines: an environment that `make setup` finds ready; making one takes minutes, .ci/run does."""
    python = shlex.quote(sys.executable)
    return f"""
mkdir -p .venv/bin
printf '#!/bin/sh\\nexec %s "$@"\\n' {python} > .venv/bin/python
chmod +x .venv/bin/python
echo 'PATH=$PWD/.venv/bin:$PATH' > .venv/bin/activate
touch .venv/.ready
"""


def images(folder: Path) -> None:
    """Noise, in the place of CIFAR-10."""
    random = np.random.default_rng(0)
    for split, kind, number in np.ndindex(2, len(KINDS), 8):
        path = folder / ("train", "test")[split] / KINDS[kind] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
