"""Whether an archive is as it was packed, and whether this program prints the same of it. None of its code is run."""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from harness import __version__, durable
from harness.errors import UserError
from harness.report.archive import Manifest
from harness.report.gather import gather
from harness.report.leaflet import data
from harness.requests import Report

MOST = 2**32
"""Bytes that an archive may unpack to."""
ADVICE = "name one that `archive` wrote"
UNPACKED = ("store", "bench", "named")
"""What is printed again is made of these; the rest is only compared."""


def check(path: Path) -> tuple[list[str], list[UserError]]:
    """What is as it was, and what is not. Raises UserError for what is no archive."""
    contents, manifest = _read(path)
    wrong = list(_changed(path, contents, manifest))
    told = [] if wrong else [f"{len(manifest.files)} files are as harness {manifest.harness} packed them"]
    if manifest.plugin:
        return [*told, f"not printed again: methods of {', '.join(manifest.plugin)}, whose code is not run"], wrong
    try:
        again = _printed_again(contents, manifest)
    except UserError as error:
        return told, [*wrong, UserError(f"cannot be printed by harness {__version__}: {error}", str(path))]
    held = {name: content for name, content in contents.items() if name.startswith("data/")}
    names = sorted(held.keys() | again.keys())
    if same := [Path(name).stem for name in names if held.get(name) == again.get(name)]:
        told.append(f"harness {__version__} prints the same: {', '.join(same)}")
    for name in (name for name in names if held.get(name) != again.get(name)):
        what = f"harness {__version__} prints it otherwise: {_difference(held.get(name), again.get(name))}"
        wrong.append(UserError(what, f"{path}: {name}"))
    return told, wrong


def _read(path: Path) -> tuple[dict[str, bytes], Manifest]:
    try:
        with zipfile.ZipFile(path) as file:
            if sum(each.file_size for each in file.infolist()) > MOST:
                raise UserError(f"unpacks to more than {MOST >> 30} GiB", str(path), ADVICE)
            contents = {each.filename: file.read(each) for each in file.infolist() if not each.is_dir()}
        return contents, msgspec.json.decode(contents.pop("MANIFEST.json"), type=Manifest)
    except FileNotFoundError:
        raise UserError("there is no such file", str(path), ADVICE) from None
    except KeyError:
        raise UserError("is no archive: it has no MANIFEST.json", str(path), ADVICE) from None
    except Exception as error:  # zipfile and zlib raise whatever a damaged byte leads them to
        if isinstance(error, UserError):
            raise
        raise UserError(f"is no archive, or a damaged one ({error})", str(path), ADVICE) from None


def _changed(path: Path, contents: Mapping[str, bytes], manifest: Manifest) -> Iterator[UserError]:
    for name in sorted(contents.keys() | manifest.files.keys()):
        if name not in contents:
            yield UserError("is missing", f"{path}: {name}")
        elif name not in manifest.files:
            yield UserError("was added", f"{path}: {name}")
        elif hashlib.sha256(contents[name]).hexdigest() != manifest.files[name]:
            yield UserError("was changed", f"{path}: {name}")


def _printed_again(contents: Mapping[str, bytes], manifest: Manifest) -> dict[str, bytes]:
    """Path -> the data files, as this program makes them of the archived store."""
    with tempfile.TemporaryDirectory() as place:
        own: dict[str, Path] = {}
        for name, content in contents.items():
            parts = PurePosixPath(name).parts
            if parts[:1] and parts[0] in UNPACKED and ".." not in parts and "\\" not in name:
                path = Path(place, *parts)
                durable.make_folder(path.parent)
                path.write_bytes(content)
                own |= {"/".join(parts[1:]): path} if parts[0] == "named" else {}
        durable.make_folder(Path(place, "store"))
        found = gather(Report(asked=manifest.asked(Path(place, "store"), own), bench=Path(place, "bench")))
    return {name: text.encode() for name, text in data(found).items()}


def _difference(old: bytes | None, new: bytes | None) -> str:
    if old is None or new is None:
        return "then it was not there" if old is None else "now it is not there"
    before, after = (list(csv.reader(io.StringIO(text.decode(errors="replace")))) for text in (old, new))
    lines = max(len(before), len(after))
    same = sum(a == b for a, b in zip(before, after, strict=False))
    return f"{lines - same} of {lines} lines"
