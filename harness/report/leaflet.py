"""What goes out with a report: its numbers as CSV, a badge of each row with a verdict, versions of all that made it."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterator, Sequence

from harness import __version__, environment
from harness.render import render, table_page
from harness.report.badge import badge, has_verdict
from harness.report.document import document
from harness.report.gather import Found, Sight
from harness.report.markup import slug


def parts(found: Found, page: str, step: Callable[[str], None]) -> dict[str, bytes]:
    """Path -> content; `page`: what the report is called. The same store gives the same bytes, versions aside."""
    files = {page: document(found, step), "versions.txt": versions(found), **data(found)}
    for name, sight in _named(found.tables):
        for line in sight.plan.lines:
            if has_verdict(summary := sight.summary(line)):
                files[f"badges/{name}-row-{line.number}.svg"] = badge(sight.plan, line, summary)
    return {name: text.encode() for name, text in files.items()}


def data(found: Found) -> dict[str, str]:
    """What every table says, and the claims, as `--format csv` prints them."""
    told = {name: table_page(sight.plan, sight.outcomes) for name, sight in _named(found.tables)}
    told["claims"] = found.claims
    return {f"data/{name}.csv": render(page, "csv") + "\n" for name, page in told.items()}


def _named(sights: Sequence[Sight]) -> Iterator[tuple[str, Sight]]:
    """Each by a name of its own, with which a file can be called."""
    taken: list[str] = ["claims"]
    for sight in sights:
        name = slug(sight.name.removesuffix(".toml"))
        yield (f"{name}-{taken.count(name) + 1}" if name in taken else name), sight
        taken.append(name)


def versions(found: Found) -> str:
    """Of this program and everything it stands on, here; and of what the results were made with."""
    lines = [f"harness {__version__}" + (f", commit {commit}" if (commit := environment.commit()) else "")]
    lines += ["", "# what printed it", f"python=={platform.python_version()}"]
    held = {
        name.lower(): each.version for each in importlib.metadata.distributions() if (name := each.metadata["Name"])
    }
    lines += [f"{name}=={version}" for name, version in sorted(held.items())]
    made: dict[str, None] = {}
    for result in found.results:
        said = result.environment
        packages = said.get("packages")
        told = [f"commit {said.get('commit', '?')}", f"python {said.get('python', '?')}"]
        told += [f"{k} {v}" for k, v in packages.items()] if isinstance(packages, dict) else []
        made[", ".join(told)] = None
    return "\n".join([*lines, "", "# what trained it", *made]) + "\n"
