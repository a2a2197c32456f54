"""A report as a folder that any static host serves, or as a commit on a branch of Pages; nothing is sent anywhere."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from harness import durable
from harness.errors import UserError
from harness.report.gather import Found
from harness.report.leaflet import parts

Step = Callable[[str], None]
"""Told what is being done."""
BRANCH = "gh-pages"
OURS = "versions.txt"
"""By which a folder is known to be one of ours, whose files may be replaced."""


def publish(found: Found, folder: Path, step: Step) -> list[Path]:
    """Write it; the files. Raises UserError for a folder that holds something else."""
    if folder.exists() and not folder.is_dir():
        raise UserError("is no folder", str(folder), "name one that is new or empty")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / OURS).is_file():
        raise UserError("holds other files", str(folder), "name a folder that is new or empty")
    contents = files(found, step)
    for stale in folder.glob("badges/*.svg"):  # a row may have lost its verdict
        if stale.relative_to(folder).as_posix() not in contents:
            stale.unlink()
    return write(contents, folder)


def files(found: Found, step: Step) -> dict[str, bytes]:
    return {**parts(found, "index.html", step), ".nojekyll": b""}


def write(contents: Mapping[str, bytes], folder: Path) -> list[Path]:
    for name, content in contents.items():
        durable.make_folder((folder / name).parent)
        durable.write(folder / name, content)
    return [folder / name for name in contents]


def commit(found: Found, step: Step, clone: Path = Path()) -> str:
    """Put it on the branch, beside what is checked out, which stays; the commit. Raises UserError without a clone."""
    with tempfile.TemporaryDirectory() as place:
        write(files(found, step), Path(place))
        run = _git(clone, Path(place), Path(place).with_suffix(".index"))
        try:
            run("add", "--all", "--force", ".")
            tree = run("write-tree")
            parent = _parent(run)
            if parent and run("rev-parse", f"{parent}^{{tree}}") == tree:
                return parent
            made = run("commit-tree", tree, *(["-p", parent] if parent else []), "-m", "Report")
            run("update-ref", f"refs/heads/{BRANCH}", made, *([parent] if parent else []))
            return made
        except (OSError, subprocess.CalledProcessError) as error:
            told = str(getattr(error, "stderr", "") or error).strip().splitlines()
            advice = "go to a clone of yours, or publish to a folder"
            raise UserError(told[-1] if told else "git failed", "publish --pages", advice) from None
        finally:
            Path(place).with_suffix(".index").unlink(missing_ok=True)


def _git(clone: Path, tree: Path, index: Path) -> Callable[..., str]:
    """git with a work tree and an index of their own: nothing of the clone's own is touched."""
    found = subprocess.run(
        ["git", "rev-parse", "--absolute-git-dir"], cwd=clone, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise UserError("is no clone", "publish --pages", "go to a clone of yours, or publish to a folder")
    where = {"GIT_DIR": found.stdout.strip(), "GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(index)}

    def run(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=tree, env={**os.environ, **where}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return run


def _parent(run: Callable[..., str]) -> str:
    try:
        return run("rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCH}")
    except subprocess.CalledProcessError:
        return ""
