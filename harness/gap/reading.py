"""A log, by what it is: CSV, TensorBoard events, text."""

from __future__ import annotations

from pathlib import Path

from harness import opened
from harness.errors import UserError
from harness.gap import events, table, text
from harness.gap.log import Log

MOST = 256 * 2**20
"""Bytes of a file that are read."""


def read(path: Path, pattern: str = "") -> Log:
    """A CSV, a TensorBoard event file, or text. Raises UserError for what is none of them, or has no accuracy."""
    content = _content(path)
    if events.looks_like(content[:64]):
        log = events.read(content, path)
    elif pattern or path.suffix.lower() not in (".csv", ".tsv"):
        log = text.read(_decoded(content, path), path, pattern)
    else:
        log = table.read(_decoded(content, path), path)
    _check(log, path)
    return log


def _content(path: Path) -> bytes:
    """Of a file; of a folder, its event files, one after another as they were begun."""
    files = sorted(path.glob("*tfevents*")) if path.is_dir() else [path]
    if not files:
        raise UserError("is a folder without event files", str(path), "give the log itself")
    try:
        return b"".join(opened.read(file, MOST) for file in files)
    except OSError as error:
        raise UserError(f"cannot be read ({(error.strerror or str(error)).lower()})", str(path)) from None


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError("is no text, and no TensorBoard event file", str(path), "give a log") from None


def _check(log: Log, path: Path) -> None:
    if not log.accuracy:
        raise UserError("has no test accuracy", str(path), "say where with --pattern, or name its column test_accuracy")
    for value in (*log.accuracy, *log.train_accuracy):
        if not 0 <= value <= 100:
            raise UserError(
                f"has an accuracy of {value:g}", str(path), "percent or shares are read, 0 to 100 or 0 to 1"
            )
