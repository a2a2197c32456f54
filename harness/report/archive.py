"""A store with its report and all that is needed to print it again in years: one zip file. `checking.py` checks one.

MANIFEST.json   what was asked, and the SHA-256 of every other file
README.txt      how to print it again
report.html, data/, badges/, versions.txt
store/          what the cells recorded; no weights, no logs
bench/, named/  records of benches; tables, presets, protocols that were files of one's own
code/           the source that printed it, with its locks
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shlex
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

import baselines
from harness import __version__, durable, opened, tables
from harness.report.gather import Found, published
from harness.report.leaflet import parts
from harness.requests import Asked, Report
from harness.store import Store

EPOCH = (1980, 1, 1, 0, 0, 0)
"""No file says when it was packed: the same store gives the same bytes."""
LOCKS = ("pyproject.toml", "constraints.txt", "hashes.txt", "README.md", "LICENSE", "Makefile")
README = """\
What was measured, and all that is needed to print it again.

report.html     open it in any browser; it fetches nothing
data/           the tables and claims as CSV
store/          what every training run recorded
code/           the source that made report and tables (versions.txt: with what)

To print it again, with the Python and the packages of versions.txt:

    cd code
    python -m venv .venv
    .venv/bin/pip install --require-hashes -r hashes.txt
    .venv/bin/pip install --no-deps .
    .venv/bin/python -m harness report --store ../store {options}

To see that nothing was changed, with any later version of this program: python -m harness archive --check THIS_FILE
"""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    harness: str
    targets: tuple[str, ...]
    preset: str | None
    protocol: str | None
    seeds: tuple[int, ...]
    only: tuple[str, ...]
    mixed: bool
    plugin: tuple[str, ...]
    files: dict[str, str]
    """Path -> SHA-256."""

    def asked(self, store: Path, own: Mapping[str, Path]) -> Asked:
        """`own`: the files among what was named, where they lie now."""
        there = {name: str(path) for name, path in own.items()}
        return Asked(
            targets=tuple(there.get(target, target) for target in self.targets),
            preset=there.get(self.preset or "", self.preset),
            protocol=there.get(self.protocol or "", self.protocol),
            seeds=self.seeds,
            only=self.only,
            mixed=self.mixed,
            store=store,
        )


def pack(found: Found, request: Report, path: Path, step: Callable[[str], None]) -> None:
    """Write the archive. Raises UserError."""
    asked = request.asked
    contents = {**parts(found, "report.html", step), **dict(_store(Store(asked.store))), **dict(_code())}
    contents |= {f"bench/{path.name}": content for path, content in _read(request.bench.glob("*.json"))}
    named = dict(_named(asked))
    contents |= {
        f"named/{name}": content for name, path in named.items() for _, content in _read([Path(path).resolve()])
    }
    said = {name: published(value) for name in ("preset", "protocol") if (value := getattr(asked, name))}
    words = [*map(published, asked.targets), *(word for name, value in said.items() for word in (f"--{name}", value))]
    options = shlex.join(words)
    contents["README.txt"] = README.format(options=options).encode()
    manifest = Manifest(
        harness=__version__,
        targets=tuple(map(published, asked.targets)),
        preset=said.get("preset"),
        protocol=said.get("protocol"),
        seeds=asked.seeds,
        only=asked.only,
        mixed=asked.mixed,
        plugin=found.shown.plugin,
        files={name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())},
    )
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in [("MANIFEST.json", msgspec.json.encode(manifest)), *sorted(contents.items())]:
            file.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    durable.make_folder(path.parent)
    durable.write(path, held.getvalue())


def _named(asked: Asked) -> Iterator[tuple[str, str]]:
    """Tables, presets, protocols that are files of one's own: what they are called here, and where they lie."""
    for given in (*asked.targets, asked.preset, asked.protocol):
        if given and given.endswith(".toml"):
            yield published(given), given


def _store(store: Store) -> Iterator[tuple[str, bytes]]:
    for cell in store.cells():
        for path, content in _read((store.root / cell.key).glob("*.json")):
            yield f"store/{cell.key}/{path.name}", content


def _read(paths: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """Of the files among them; what is none, or far too large for a record, no page has read either."""
    for path in sorted(paths):
        with contextlib.suppress(OSError):
            yield path, opened.read(path)


def _code() -> Iterator[tuple[str, bytes]]:
    """As it lies in a clone; a wheel carries `tables/` within `harness`, and no locks."""
    packages = [Path(module.__file__ or "").parent for module in (baselines, tables)]
    home = packages[1].parent
    roots = [*dict.fromkeys(packages)] + ([home / "tables"] if tables.folder() == home / "tables" else [])
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so":
                yield f"code/{path.relative_to(root.parent).as_posix()}", path.read_bytes()
    for name in LOCKS:
        if (home / name).is_file():
            yield f"code/{name}", (home / name).read_bytes()
