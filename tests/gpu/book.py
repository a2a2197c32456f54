"""The record of a run: one file and one page, written anew after every section."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import msgspec
from gpu.ratios import ROUNDS
from gpu.sections import Done

from harness.measure import bench
from harness.measure.spec import Benched
from harness.render import render
from harness.render.bench import bench_pages, write
from harness.render.tried import tally

TITLE, STOOD_IN = "On a GPU", "On a processor, in the place of a GPU"


class Book:
    """`out` is the folder of records; None keeps nothing."""

    def __init__(self, out: Path | None, stand_in: bool) -> None:
        self._out, self.said = out, ""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.benched = Benched(
            bench="gpu",
            title=STOOD_IN if stand_in else TITLE,
            rounds=ROUNDS,
            timings=(),
            environment={},
            when=now,
            stand_in=stand_in,
        )

    def add(self, done: Done) -> None:
        name, kept, old = done.section.name, done.kept, self.benched
        checks = tuple(msgspec.structs.replace(each, section=name) for each in kept.checks)
        timings = (msgspec.structs.replace(each, group=name) for each in kept.timings)
        self.benched = msgspec.structs.replace(
            old,
            checks=(*old.checks, *checks),
            timings=(*old.timings, *timings),
            speeds=(*old.speeds, *kept.speeds),
            environment=kept.environment if "device" in kept.environment else old.environment,
        )
        parts = [tally(checks), f"{len(kept.timings)} timings" if kept.timings else ""]
        parts += [f"{len(kept.speeds)} speeds" if kept.speeds else ""]
        failed = [f"\n  {each.says}: {each.detail}" for each in checks if each.outcome == "fails"]
        self.said = f"{name}: {', '.join(filter(None, parts))} ({done.seconds:.0f} s){''.join(failed)}"
        if self._out is not None and self.benched.environment:
            bench.record(self.benched, self._out)

    def close(self, stream: TextIO) -> int:
        """Print the page, write it beside the record; 1 where something fails."""
        environment = self.benched.environment
        if environment:
            pages = bench_pages(self.benched)
            stream.write("\n\n".join(render(page, "terminal") for page in pages[:1]) + "\n")
        if self._out is not None and environment:
            path = bench.record(self.benched, self._out)
            for file in (path, *write(self.benched, path.with_suffix(""))):
                stream.write(f"{file.name}\n")
        stream.write(f"{tally(self.benched.checks)}\n")
        return int(any(check.outcome == "fails" for check in self.benched.checks) or not environment)
