"""All that was never run where there was no GPU, in eight minutes of one: what holds, what fails, and how fast it is.

    python tests/gpu/run.py                    on a GPU: results/bench/gpu-NAME.json, and the same as a page
    python tests/gpu/run.py --stand-in         a processor in its place, at the smallest sizes: does all of it run?
    python tests/gpu/run.py --only kernels     one section

Each section is a process of its own: one that dies, hangs or is out of time costs itself alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from harness import environment  # noqa: E402

SECONDS = 470
"""Of the eight minutes; what is written at the end wants the rest."""
NO_GPU, INTERRUPTED = 2, 130
COMMAND = "make test-gpu"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stand-in", action="store_true", help="the processor, at the smallest sizes; nothing is kept")
    parser.add_argument("--short", action="store_true", help="a few methods in the place of all")
    parser.add_argument("--only", metavar="SECTION,...", help="these sections; others are left out")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that all of it may take")
    parser.add_argument("--out", type=Path, help="where the record goes; of a stand-in nowhere, unless it is said")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """0: nothing fails; 1: something does; 2: there is no GPU; 130: interrupted."""
    asked = parsed(arguments)
    if not asked.stand_in and not environment.gpus():
        sys.stderr.write(f"no GPU here; type {COMMAND} ARGS=--stand-in to see that all of it runs, on the processor\n")
        return NO_GPU
    prepare(asked.stand_in)
    until = time.monotonic() + asked.seconds
    from gpu import book, sections  # late: they bring torch

    wanted = sections.chosen(asked.only)
    if why := wanted if isinstance(wanted, str) else sections.unable(asked.stand_in):
        sys.stderr.write(f"{why}\n")
        return NO_GPU
    kept = book.Book(asked.out or (None if asked.stand_in else ROOT / "results" / "bench"), asked.stand_in)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for section in wanted:
                kept.add(sections.run(section, asked.stand_in, asked.short, until, Path(scratch)))
                sys.stderr.write(f"{kept.said}\n")
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; the sections that ended are kept\n")
            kept.close(sys.stdout)
            return INTERRUPTED
    return kept.close(sys.stdout)


def prepare(stand_in: bool) -> None:
    """What is read when torch, cuBLAS or Triton are imported."""
    os.environ.setdefault(environment.COMMAND, COMMAND)
    os.environ.pop("BASELINES_BACKEND", None)  # each section has what a run would have
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # so that what imports torch may ask for a GPU
    if stand_in:
        os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TRITON_INTERPRET": "1"}
        environment.limit_threads(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
