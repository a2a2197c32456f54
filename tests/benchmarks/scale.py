"""What `status`, `table`, `claims` and `export` take as a store grows from 1,000 to 100,000 results.

python tests/benchmarks/scale.py FOLDER OUT: FOLDER is filled, OUT.csv, .svg and .png are written (`make scale`).
Processor seconds and peak memory of each verb as a process of its own: the first time, without an index, and again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from commons import extend

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
ROUNDS = 3
VERBS = {
    "status": ["status"],
    "table": ["table", "table1", "--preset", "cpu"],
    "claims": ["claims", "--preset", "cpu"],
    "export": ["export"],
}
BOUND = 3.0
"""Processor seconds, again, at the largest."""


class Cost(NamedTuple):
    results: int
    verb: str
    first: float
    """Processor seconds without an index."""
    again: tuple[float, ...]
    memory: float
    """MiB at most, the first time or again."""


def measure(root: Path, cache: Path, results: int, verb: str) -> Cost:
    shutil.rmtree(cache, ignore_errors=True)
    words = [*VERBS[verb], "--store", str(root), *(["--out", str(root.parent / "out")] if verb == "export" else [])]
    costs = [_run(words, cache) for _ in range(1 + ROUNDS)]
    return Cost(results, verb, costs[0][0], tuple(seconds for seconds, _ in costs[1:]), max(mib for _, mib in costs))


WAIT = """
import os, subprocess, sys
running = subprocess.Popen([sys.executable, "-m", "harness", *sys.argv[1:]], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(running.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
"""In a small process of its own: the kernel counts the memory of whoever starts a process as that one's."""


def _run(words: list[str], cache: Path) -> tuple[float, float]:
    """Processor seconds, and MiB."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", WAIT, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    code, seconds, mib = map(float, done.stdout.split())
    assert code in (0, 1), words
    return seconds, mib


def table(costs: list[Cost]) -> str:
    lines = ["results,verb,first_s," + ",".join(f"again_{n}_s" for n in range(1, ROUNDS + 1)) + ",peak_mib"]
    for cost in costs:
        lines.append(
            ",".join(
                [str(cost.results), cost.verb, *(f"{s:.2f}" for s in (cost.first, *cost.again)), f"{cost.memory:.0f}"]
            )
        )
    return "\n".join(lines) + "\n"


def picture(costs: list[Cost], told: str) -> dict[str, bytes]:
    from harness.measure.growth import power_law
    from harness.measure.spec import Setting
    from harness.render import look
    from harness.render.growth import panel

    title = "Growth of a store: what asking it takes"
    subtitle = ["Processor seconds and peak memory; medians, and the power law through them. " + told]
    figure, axes = look.frame(title, subtitle, [""] * 3, size=(3.2, 2.8))
    kinds = {
        "the first time, no index yet: s": lambda cost: [cost.first],
        "again: s": lambda cost: cost.again,
        "peak memory: MiB": lambda cost: [cost.memory],
    }
    for axis, (what, of) in zip(axes, kinds.items(), strict=True):
        grown = []
        for verb in VERBS:
            mine = [cost for cost in costs if cost.verb == verb]
            sizes = [cost.results for cost in mine]
            place = Setting(architecture="", width=1.0, timesteps=1, batch=1)
            grown.append(power_law(verb, "results", place, sizes, what, [of(cost) for cost in mine]))
        look.styled(panel)(axis, grown, list(VERBS))
        axis.set_ylabel(what)
        axis.set_xlabel("results in the store")
    return look.files(figure, title)


def main(folder: Path, out: Path) -> None:
    from harness import environment

    costs = []
    assert not (folder / "runs").exists(), "it grows from nothing"
    for results in SIZES:
        extend(folder / "runs", results)
        for verb in VERBS:
            costs.append(measure(folder / "runs", folder / "cache", results, verb))
            sys.stdout.write(f"{costs[-1]}\n")
            sys.stdout.flush()
            out.with_suffix(".csv").write_text(table(costs))
    said = environment.describe()
    told = f"{said['cpu']}, {said['cores']} cores, commit {said['commit']}."
    for suffix, content in picture(costs, told).items():
        if suffix in ("svg", "png"):
            out.with_suffix(f".{suffix}").write_bytes(content)
    for cost in costs:
        if cost.results == SIZES[-1]:
            best = min(cost.again)
            sys.stdout.write(
                f"{cost.verb}: {best:.2f} s, at most {BOUND:g}: {'reached' if best <= BOUND else 'missed'}\n"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
