"""What the documents tell a reader to type works as it stands there, in a copy of the clone."""

from __future__ import annotations

import csv
import functools
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import stand_in
from PIL import Image

from baselines import METHODS as METHODS_HERE
from harness import arguments, cli, environment, plugins, requests
from harness.jobs import launch

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md")
WALK = "docs/first-hour.md"


def blocks(document: str, language: str = "") -> list[str]:
    """The fenced blocks of a language; those without one are commands, trees and output."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / document).read_text(encoding="utf-8"), re.M | re.S)


def named(document: str, language: str) -> Iterator[tuple[str, str]]:
    """Blocks that are files: the path in their first line (``# my_method.py``), and the lines after it."""
    for block in blocks(document, language):
        first, _, text = block.partition("\n")
        path = first.removeprefix("# ")
        assert re.fullmatch(r"[\w/]+\.(py|toml)", path), f"{document}: say in its first line what file this is: {first}"
        yield path, text


METHODS = [(d, *block) for d in DOCUMENTS for block in named(d, "python") if "METHODS.register" in block[1]]
MOVED = "baselines/methods/mpbn_tdbn.py"
"""Where CONTRIBUTING.md lets a reader move the method."""
FILES = {path: text for language in ("python", "toml") for path, text in named("CONTRIBUTING.md", language)}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Importable from there alone; its smoke runs are of one epoch."""
    for folder in ("harness", "baselines", "tables"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    smoke = tmp_path / "tables/presets/smoke.toml"
    smoke.write_text(one_epoch(smoke.read_text()))
    return tmp_path


def one_epoch(text: str) -> str:
    changed, count = re.subn(r"^epochs = \d+$", "epochs = 1", text, flags=re.M)
    assert count
    return changed


def python(clone: Path, *arguments: str) -> str:
    environment = {**os.environ, "HARNESS_CACHE": str(clone / "cache")}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(clone: Path, *arguments: str) -> list[dict[str, str]]:
    """The rows of the table that is printed after training."""
    options = ("--seeds", "0", "--on", "inline", "--format", "csv")
    printed = python(clone, "-m", "harness", "run", *arguments, *options)
    return list(csv.DictReader(io.StringIO(printed)))


@pytest.mark.parametrize(("document", "file", "text"), METHODS, ids=[document for document, _, _ in METHODS])
def test_a_method_in_one_file_gets_rows_of_its_own(document: str, file: str, text: str, clone: Path) -> None:
    (clone / file).write_text(text)
    (name,) = re.findall(r'METHODS\.register\("(.+?)"', text)
    only = f"method={name},timesteps=1"
    rows = train(clone, "table1", "--preset", "smoke", "--only", only, "--plugin", str(clone / file))
    assert [(row["method"], row["paper_accuracy"], row["n"]) for row in rows] == [(name, "", "1")] * 2


def test_the_method_moved_in_is_a_built_in(clone: Path) -> None:
    (clone / MOVED).write_text(FILES["my_method.py"])
    assert re.search(r"^mpbn-tdbn +MPBN, on currents", python(clone, "-m", "harness", "list", "methods"), re.M)
    assert "normalisation=TdBN(" in python(
        clone, "-c", "from baselines import METHODS; print(METHODS.get('mpbn-tdbn'))"
    )


def test_a_data_set_with_its_recipe_and_a_table_of_it(clone: Path) -> None:
    (clone / "harness/data/sets/leaves.py").write_text(FILES["harness/data/sets/leaves.py"])
    with (clone / "tables/protocols/paper.toml").open("a") as protocol:
        protocol.write(one_epoch(FILES["tables/protocols/paper.toml"]) + "width = 0.25\n")
    (clone / "my_table.toml").write_text(FILES["my_table.toml"])
    random = np.random.default_rng(0)
    for split, kind, number in np.ndindex(2, 4, 8):
        folder = clone / "data/leaves" / ("train", "test")[split] / f"kind{kind}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (row,) = train(clone, "my_table.toml", "--only", "method=mpbn")
    assert (row["dataset"], row["paper_accuracy"], row["n"]) == ("leaves", "91.20", "1")


def test_adding_takes_less_than_ten_lines() -> None:
    lines = {path: sum(bool(line) for line in text.splitlines()) for path, text in FILES.items()}
    dataset = lines.pop("harness/data/sets/leaves.py") + lines.pop("tables/protocols/paper.toml")
    assert sorted(lines) == ["my_method.py", "my_table.toml"]
    assert max(dataset, *lines.values()) < 10


def test_the_first_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Line after line, in one folder; jobs train nothing, and `check` is tried in tests/conformance."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "worker", stand_in.train)
    monkeypatch.setattr(requests.How, "__init__", functools.partialmethod(_inline, requests.How.__init__))
    monkeypatch.setattr(METHODS_HERE, "_entries", {m: METHODS_HERE.get(m) for m in METHODS_HERE})
    monkeypatch.setattr(plugins, "_LOADED", {})
    monkeypatch.setenv(environment.COMMAND, "")
    lines = [line.split("#")[0].strip() for block in blocks(WALK) for line in block.splitlines()]
    assert lines[1] == "make demo"
    lines[1] = re.findall(r"-m (harness run .*?) \$\(ARGS\)", (ROOT / "Makefile").read_text())[0]
    for line in lines[1:]:
        words = shlex.split(line.removeprefix("python -m "))
        assert words[0] == "harness"
        if words[1] not in ("check", "doctor", "figure"):  # seconds each, and tried elsewhere
            assert cli.main(words[1:]) == 0, capsys.readouterr().err
    assert "leaky" in (tmp_path / "report.html").read_text()


def _inline(self: requests.How, init: Callable[..., None], **given: object) -> None:
    init(self, **{**given, "on": "inline"})


@pytest.mark.parametrize("document", [*DOCUMENTS, WALK])
def test_commands_can_be_typed(document: str) -> None:
    lines = [line.strip() for block in blocks(document) for line in block.splitlines()]
    typed = [re.split(r" {2,}| #", line)[0] for line in lines if line.startswith("python -m harness ")]
    assert typed
    for command in typed:
        arguments.parse(shlex.split(command)[3:])  # raises UserError
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    made = re.findall(r"^(?:\w+=\S+ )?make (\w+)", "\n".join(lines), re.M)
    assert made and set(made) <= set(targets)


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_files_that_are_spoken_of_exist(document: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.M | re.S)
    spoken = set(re.findall(r"`([\w./-]+)`", text))
    paths = {path for path in spoken if "/" in path and (ROOT / path.partition("/")[0]).is_dir()}
    paths |= {path for path in spoken if re.fullmatch(r"\.?[\w-]+\.(md|txt|yaml)", path)}
    paths |= set(re.findall(r"\]\(([\w./-]+)\)", text))  # links
    assert not [path for path in paths - {MOVED} if not (ROOT / path).exists()]


def test_the_tree_is_the_trees() -> None:
    (tree,) = [block for block in blocks("README.md") if re.search(r"^harness/ ", block, re.M)]
    folders, shown = [ROOT], []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        del folders[depth + 1 :]
        for name in re.split(r" {2,}", line.strip())[0].split():
            shown.append(folders[depth] / name)
        folders.append(shown[-1])
    assert not [path for path in shown if not path.exists()]
    packages = {path.parent for path in ROOT.glob("*/__init__.py")}
    assert packages and packages <= set(shown)
