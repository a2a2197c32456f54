"""What is sent around: a folder for a web host, a branch of Pages, an archive that can be checked, a badge."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from outcomes import result
from reported import planned

from harness.cli import main
from harness.report import archive
from harness.report.markup import element
from harness.store import Store


def git(clone: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=clone, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store at full size: row 1 is reproduced, row 2 lacks a seed. Its figures, which take seconds, are left out."""
    module = sys.modules["harness.report.document"]  # its name is that of the function, too
    monkeypatch.setattr(module, "picture", lambda sight, anchor, draw: element("p", "a figure", id=anchor))
    store = Store(tmp_path / "full")
    lines = planned("table1", None).lines
    for cell, accuracy in zip(lines[0].cells, (90.3, 90.4, 90.6), strict=True):
        store.write_result(result(cell, accuracy))
    for cell in lines[1].cells[:2]:
        store.write_result(result(cell, 92.0))
    return store.root


def ask(*words: str, store: Path) -> int:
    return main([*words, "--store", str(store)])


def test_a_folder_that_any_host_serves(full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site"
    assert ask("publish", str(site), store=full) == 0
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert {"index.html", ".nojekyll", "versions.txt", "data/table1.csv", "data/claims.csv"} <= files
    assert {name for name in files if name.startswith("badges/")} == {"badges/table1-row-1.svg"}, "one has a verdict"
    main(["table", "table1", "--store", str(full), "--format", "csv"])
    assert capsys.readouterr().out.endswith((site / "data/table1.csv").read_text())
    versions = (site / "versions.txt").read_text()
    assert "python==3." in versions and "\nmsgspec==" in versions and "# what trained it" in versions
    assert str(tmp_path) not in "".join((site / name).read_text() for name in files), "no place on this machine is told"
    (site / "badges/table1-row-9.svg").write_text("of a row that had a verdict once")
    assert ask("publish", str(site), store=full) == 0 and not (site / "badges/table1-row-9.svg").exists()


def test_no_folder_of_somebody_else_is_written_into(full: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("mine")
    for words in (("publish", str(tmp_path / "site")), ("publish",), ("publish", "a", "--pages")):
        assert ask(*words, store=full) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "site/index.html").read_text() == "mine"


def test_a_branch_of_pages_beside_what_is_checked_out(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    git(clone, "init", "-q", "-b", "main")
    for key, value in (("user.name", "a"), ("user.email", "a@b")):
        git(clone, "config", key, value)
    (clone / "mine").write_text("work that is not committed")
    monkeypatch.chdir(clone)
    for _ in range(2):
        assert ask("publish", "--pages", store=full) == 0
    first, again = capsys.readouterr().out.split()
    assert first == again == git(clone, "rev-parse", "gh-pages"), "the same report is the same commit"
    assert "index.html" in git(clone, "ls-tree", "--name-only", "gh-pages").split()
    assert git(clone, "status", "--porcelain") == "?? mine" and git(clone, "branch", "--show-current") == "main"
    monkeypatch.chdir(tmp_path)
    assert ask("publish", "--pages", store=full) == 2 and "is no clone" in capsys.readouterr().err


@pytest.fixture(scope="module")
def archived(store: Path, bench: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "kept.zip"
    words = ["archive", str(path), "--preset", "cpu", "--store", str(store), "--bench", str(bench)]
    assert main(words) == 0
    return path


def changed(archive: Path, to: Path, change: dict[str, bytes | None]) -> Path:
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(to, "w") as new:
        held = {name: old.read(name) for name in old.namelist()} | change
        for name, content in held.items():
            if content is not None:
                new.writestr(name, content)
    return to


def test_an_archive_has_all_that_prints_it_again(archived: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(archived) as file:
        names = set(file.namelist())
        text = b"".join(file.read(name) for name in names if not name.startswith(("code/", "store/")))
    wanted = {"README.txt", "report.html", "data/table1.csv", "code/harness/cli.py", "code/tables/table1.toml"}
    assert wanted | {"code/baselines/folding/norms.py", "code/hashes.txt", "bench/latency-cpu.json"} <= names
    assert any(name.startswith("store/") and name.endswith("/result.json") for name in names)
    assert b"--preset cpu" in text and str(archived.parents[1]).encode() not in text
    assert main(["archive", "--check", str(archived)]) == 0
    said = capsys.readouterr().out
    assert "are as harness" in said and "prints the same: " in said and "table1" in said and "claims" in said


def test_a_hole_of_gigabytes_is_no_part_of_an_archive(tmp_path: Path) -> None:
    for name in ("failed.json", "result.json"):
        (tmp_path / name).write_bytes(b"{}")
    os.truncate(tmp_path / "failed.json", 50 << 30)
    assert [(path.name, content) for path, content in archive._read(tmp_path.glob("*"))] == [("result.json", b"{}")]


def test_the_same_store_gives_the_same_archive(archived: Path, store: Path, bench: Path, tmp_path: Path) -> None:
    words = ["--preset", "cpu", "--store", str(store), "--bench", str(bench)]
    assert main(["archive", str(tmp_path / "again.zip"), *words]) == 0
    assert (tmp_path / "again.zip").read_bytes() == archived.read_bytes()


def test_what_was_done_to_an_archive_is_told(
    archived: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(archived) as file:
        one = next(n for n in file.namelist() if n.endswith("result.json") and b"63.5" in file.read(n))
        better = file.read(one).replace(b"63.5", b"73.5")
    changes: list[tuple[dict[str, bytes | None], list[str]]] = [
        ({one: better}, [f"{one}: was changed", "data/table1.csv: harness", "prints it otherwise: 1 of 13 lines"]),
        ({"report.html": None}, ["report.html: is missing"]),
        ({"store/../../evil.json": b"{}"}, ["evil.json: was added"]),
        ({"MANIFEST.json": b"{}"}, ["is no archive, or a damaged one"]),
        ({"MANIFEST.json": None}, ["is no archive: it has no MANIFEST.json"]),
    ]
    for change, said in changes:
        path = changed(archived, tmp_path / "changed.zip", change)
        assert main(["archive", "--check", str(path)]) in (1, 2)
        told = capsys.readouterr().err
        assert all(text in told for text in said), told
    assert not list(tmp_path.rglob("evil.json"))


@pytest.mark.parametrize("content", [b"", b"PK", b"text", None])
def test_what_is_no_archive_is_one_line_and_2(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "a.zip").write_bytes(content)
    assert main(["archive", "--check", str(tmp_path / "a.zip")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_table_of_ones_own_is_in_its_archive(full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = '{ dataset = "cifar10", method = "mpbn", architecture = "resnet20", timesteps = 1, accuracy = 92.0 }'
    own = tmp_path / "mine.toml"
    own.write_text(f'name = "mine"\ntitle = "Mine"\nrow = [{entry}]\n')
    assert ask("archive", str(tmp_path / "a.zip"), str(own), "--bench", "none", store=full) == 0
    own.unlink()
    assert main(["archive", "--check", str(tmp_path / "a.zip")]) == 0
    assert "prints the same: claims, mine" in capsys.readouterr().out


def test_a_badge_says_verdict_n_and_number(full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("badge", "table1", "1", "--out", str(tmp_path / "b.svg"), store=full) == 0
    drawn = ElementTree.fromstring((tmp_path / "b.svg").read_text())
    texts = [node.text for node in drawn.iter() if node.tag.endswith("text")]
    assert texts == ["baseline · ResNet20 · CIFAR-10 · T = 1", "reproduced · n = 3 · 90.43±0.15"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("table1", "2"), "table1: row 2: has no verdict to show: incomplete"),
        (("table1", "3"), "has no verdict to show: incomplete"),
        (("table1", "1", "--preset", "cpu"), "has no verdict to show"),
        (("table1", "99"), "has no row 99"),
        (("table1", "0"), "ROW"),
        (("tabel1", "1"), "did you mean"),
    ],
)
def test_a_row_without_a_verdict_has_no_badge(
    words: tuple[str, ...], said: str, full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("badge", *words, "--out", str(tmp_path / "b.svg"), store=full) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "b.svg").exists()
