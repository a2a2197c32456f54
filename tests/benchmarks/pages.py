"""What large pages change of a training step. `python tests/benchmarks/pages.py [ROUNDS]` prints a table.

Pages are a matter of a whole process, so this times processes: in every round each kind once alone and once with its
like on every other core, in an order drawn anew, small pages twice (A/A).
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

STEPS, THROWN_AWAY = 8, 2
METHOD, WIDTH, BATCH = "mpbn", 0.25, 100
TIMESTEPS = (4,)
SMALL, CONTROL, TORCH, ALL = "4 KiB", "4 KiB, again", "2 MiB, torch's tensors", "2 MiB, all"
TOLD = {
    SMALL: {},
    CONTROL: {},
    TORCH: {"THP_MEM_ALLOC_ENABLE": "1"},
    ALL: {"THP_MEM_ALLOC_ENABLE": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
}


def step(timesteps: int) -> None:
    """Prints the median of the wall time of a step in seconds, and the MiB that lay in large pages."""
    import time

    import torch

    from baselines.kernels.traced import layers
    from harness import environment
    from harness.measure.overhead import Step
    from harness.measure.spec import Setting

    torch.set_num_threads(1)
    environment.keep_memory()
    setting = Setting(method=METHOD, architecture="resnet20", width=WIDTH, timesteps=timesteps, batch=BATCH)
    once, took = Step(setting, torch.device("cpu"), "ste"), []
    with layers.at_once():
        for _ in range(THROWN_AWAY + STEPS):
            began = time.perf_counter()
            once()
            took.append(time.perf_counter() - began)
    told = Path("/proc/self/smaps_rollup").read_text().splitlines()
    large = next(int(line.split()[1]) for line in told if line.startswith("AnonHugePages"))
    print(statistics.median(took[THROWN_AWAY:]), large // 1024)


def at_once(kind: str, processes: int, timesteps: int) -> tuple[float, int]:
    """Seconds of a step, the slower of the `processes`, and MiB in large pages."""
    given = {name: value for name, value in os.environ.items() if name not in TOLD[ALL]}
    command = [sys.executable, __file__, "step", str(timesteps)]
    begun = [
        subprocess.Popen(command, env={**given, **TOLD[kind], "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    said = [process.communicate()[0].split() for process in begun]
    if any(process.returncode for process in begun):
        raise SystemExit(f"a step in pages of {kind} failed")
    return max(float(seconds) for seconds, _ in said), max(int(large) for _, large in said)


def table(rounds: int) -> Iterator[str]:
    from harness import environment
    from harness.measure.sidebyside import ratio

    told = environment.describe()
    yield f"Training step of {METHOD}, ResNet20 of width {WIDTH}, batch {BATCH}, one thread a process: wall time over"
    yield f"that in pages of 4 KiB. Medians of {rounds} rounds with bootstrap intervals; in each a process gives the"
    yield f"median of {STEPS} steps, and of those at once the slowest counts."
    yield f"Command: python tests/benchmarks/pages.py {rounds}; {told['cpu']}, {told['cores']} cores,"
    yield f"torch {told['packages']['torch']}, commit {told['commit']}"
    yield ""
    yield "| T | at once | pages of | ms | over 4 KiB [95 %] | MiB in large pages |"
    yield "| --: | --: | :-- | --: | --: | --: |"
    settings = [(timesteps, processes) for timesteps in TIMESTEPS for processes in (1, environment.cores())]
    pieces = [(kind, processes, timesteps) for timesteps, processes in settings for kind in TOLD]
    found: dict[tuple[str, int, int], list[tuple[float, int]]] = {piece: [] for piece in pieces}
    draw = random.Random(0)
    for number in range(rounds):
        draw.shuffle(pieces)
        for piece in pieces:
            found[piece].append(at_once(*piece))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    for timesteps, processes in settings:
        for kind in TOLD:
            mine, small = (np.array([s for s, _ in found[k, processes, timesteps]]) for k in (kind, SMALL))
            over = ratio(mine, small) if kind != SMALL else ""
            large = max(mib for _, mib in found[kind, processes, timesteps])
            yield f"| {timesteps} | {processes} | {kind} | {1000 * np.median(mine):.0f} | {over} | {large} |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["step"]:
        step(int(sys.argv[2]))
    else:
        for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else 6):
            print(line, flush=True)
