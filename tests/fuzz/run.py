"""Type ten thousand odd lines into worlds of odd files, and hold every answer to what is promised (SECURITY.md).

    python tests/fuzz/run.py --count 10000 --seed 1      all of them; what fails is kept in .fuzz/
    python tests/fuzz/run.py --seed 1 --only 4711        one of them again
    python tests/fuzz/run.py --again .fuzz/1-4711        as it was kept, whatever the generator makes of it today

An input is its seed and its number: the same everywhere. Never as root: there it goes on as a user without a name.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]
for folder in (ROOT, ROOT / "tests", ROOT / "slurm"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from fuzz import child, commands, mutations, oracle, scratch, warm  # noqa: E402

NOBODY = 65534
KEPT = Path(".fuzz")
STORED = ("result", "result", "result", "cell", "claim", "progress", "failure", "log", "probe", "queue") * 2
"""Kinds of which most is read."""


@dataclass(frozen=True)
class Input:
    """What is typed, and what was done to which files before."""

    number: int
    argv: list[str]
    done: dict[str, str]


@dataclass(frozen=True)
class Ground:
    """Where inputs are tried: the world that all begin from, one that is changed, and what nobody may touch."""

    root: Path

    @property
    def template(self) -> Path:
        return self.root / "template"

    @property
    def world(self) -> Path:
        return self.root / f"world-{os.getpid()}"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def shared(self) -> Path:
        return self.root / "cache"


def prepare(root: Path, *, many: bool = True) -> Ground:
    """Build the world, and go through what is costly once; for `many` inputs, import all there is."""
    ground = Ground(root)
    os.environ |= {"HARNESS_CACHE": str(ground.shared), "MPLCONFIGDIR": str(ground.shared), "OMP_NUM_THREADS": "1"}
    for folder in (ground.shared, ground.outside):
        folder.mkdir(exist_ok=True)
    (ground.outside / "secret.txt").write_text("a secret\n")
    if many:
        warm.everything()
    import torch

    from baselines import kernels

    torch.set_num_threads(1)
    here = Path.cwd()
    scratch.build(ground.template)
    os.chdir(here)
    kernels.state(torch.device("cpu"))  # compiled once
    gc.collect()
    gc.freeze()  # or every fork's first collection would visit, and so copy, all that is imported
    return ground


def make(ground: Ground, seed: int, number: int) -> Input:
    """Fill the world with a copy that is changed as `seed` and `number` say."""
    random = Random(f"{seed}-{number}")
    fill(ground)
    done = {}
    for _ in range(random.choice((0, 1, 1, 1, 2, 3, 6))):
        found = scratch.of_kind(ground.world, random.choice((*scratch.KINDS, *STORED)))
        path = random.choice(found) if found else ground.world
        name = str(path.relative_to(ground.world))
        if found and name not in done:
            done[name] = mutations.mutate(path, random, ground.outside)
    return Input(number, commands.command(random), done)


def fill(ground: Ground) -> None:
    shutil.rmtree(ground.world, ignore_errors=True)
    shutil.copytree(ground.template, ground.world, copy_function=_copy, symlinks=True)
    for command in (ground.world / "slurm/bin").iterdir():
        text = command.read_text().replace(str(ground.template), str(ground.world))
        command.write_text(text)
        command.chmod(0o755)


def _copy(source: str, to: str) -> None:
    """What is only read is linked; a mutation is a file of its own."""
    if "/results/" in source or "/other/" in source or "/slurm/" in source:
        shutil.copyfile(source, to)
    else:
        os.link(source, to)


def judge(ground: Ground, argv: list[str], changed: bool = True) -> Iterator[str]:
    """Type it, and hold the answer to what is promised; then ask for a table, whose numbers are looked at."""
    outcome = child.run(argv, ground.world, ground.shared)
    yield from oracle.broken(argv, outcome)
    yield from touched(ground)
    if changed and argv[0] in ("table", "merge", "status"):
        asked = ["table", "tiny.toml", "--protocol", "protocol.toml", "--format", "json"]
        page = child.run(asked, ground.world, ground.shared)
        if page.code in (0, 1):
            yield from oracle.impossible(ground.world, page.out)


def touched(ground: Ground) -> Iterator[str]:
    """The fence hears what Python does; this is what was done."""
    found = {path.name: path.read_text() for path in ground.outside.iterdir()}
    if found != {"secret.txt": "a secret\n"}:
        yield f"trespass: outside of the world are {sorted(found)} now"
        shutil.rmtree(ground.outside)
        ground.outside.mkdir()
        (ground.outside / "secret.txt").write_text("a secret\n")


def keep(ground: Ground, seed: int, tried: Input, wrong: list[str], kept: Path) -> Path:
    """The input as files: `--again` types it into the same world, whatever the generator has become."""
    place = kept / f"{seed}-{tried.number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    again = make(ground, seed, tried.number)
    for name, how in again.done.items():
        if how not in mutations.INSTEAD:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ground.world / name, place / name)
    said = {"argv": tried.argv, "done": tried.done, "wrong": wrong}
    (place / "input.json").write_text(json.dumps(said, indent=1))
    return place


def again(ground: Ground, place: Path) -> list[str]:
    """What is wrong with an input that was kept, or written by hand."""
    said = json.loads((place / "input.json").read_text())
    fill(ground)
    for name, how in said["done"].items():
        path = ground.world / name
        path.unlink(missing_ok=True)
        if how in mutations.INSTEAD:
            mutations.INSTEAD[how](path, Random(0), ground.outside)
        else:
            shutil.copyfile(place / name, path)
    return list(judge(ground, said["argv"]))


def one(ground: Ground, seed: int, number: int, kept: Path) -> list[str]:
    tried = make(ground, seed, number)
    if wrong := list(judge(ground, tried.argv, bool(tried.done))):
        keep(ground, seed, tried, wrong, kept)
    return wrong


def several(ground: Ground, seed: int, numbers: Sequence[int], kept: Path, until: float) -> Counter[str]:
    """How many were tried, and how often which promise was broken; stops at `until` by the clock."""
    counts: Counter[str] = Counter()
    for number in numbers:
        if time.monotonic() > until:
            break
        wrong = one(ground, seed, number, kept)
        counts["inputs"] += 1
        counts.update(f"{line.partition(':')[0]}" for line in wrong)
        for line in wrong:
            print(f"{seed}-{number} {line}", flush=True)
    shutil.rmtree(ground.world, ignore_errors=True)
    return counts


def at_once(ground: Ground, asked: argparse.Namespace, numbers: Sequence[int]) -> Counter[str]:
    """Shared out among processes, which each have a world of their own."""
    until, pipes = time.monotonic() + asked.seconds, []
    for index in range(asked.jobs):
        out, into = os.pipe()
        if os.fork() == 0:
            try:
                counts = several(ground, asked.seed, numbers[index :: asked.jobs], asked.keep, until)
                os.write(into, json.dumps(counts).encode())
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        os.close(into)
        pipes.append(out)
    total: Counter[str] = Counter()
    for out in pipes:
        with os.fdopen(out) as file:
            total.update(json.loads(file.read() or '{"broken": 1}'))
        os.wait()
    gc.unfreeze()  # nanobind complains of what is never freed
    return total


def parse(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, nargs="*", help="the numbers of inputs")
    parser.add_argument("--again", type=Path, help="the folder of an input that was kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=900.0, help="stop then, however many there were")
    parser.add_argument("--keep", type=Path, default=KEPT, help="where inputs that fail are kept")
    return parser.parse_args(given)


def unprivileged(command: list[str]) -> None:
    """Go on as a user without a name, who can read what root can (Python may lie in root's home) and write nothing."""
    who = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--inh-caps", "+dac_read_search"]
    os.execvp("setpriv", ["setpriv", *who, "--ambient-caps", "+dac_read_search", "--", *command])


def in_memory() -> Path | None:
    """Where a world of sixty folders is made and removed in a millisecond, and commands in it may be executed."""
    shm = Path("/dev/shm")
    fit = shm.is_dir() and os.access(shm, os.W_OK) and not os.statvfs(shm).f_flag & os.ST_NOEXEC
    return shm if fit else None


def main(given: Sequence[str]) -> int:
    asked = parse(given)
    asked.keep = asked.keep.absolute()
    if os.geteuid() == 0:
        asked.keep.mkdir(parents=True, exist_ok=True)
        os.chown(asked.keep, NOBODY, NOBODY)
        unprivileged([sys.executable, str(HERE), *given])
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="harness-fuzz-", dir=in_memory()) as root:
        ground = prepare(Path(root).resolve(), many=asked.again is None)
        if asked.again:
            counts = Counter(inputs=1)
            for line in again(ground, asked.again):
                print(line)
                counts[line.partition(":")[0]] += 1
        else:
            counts = at_once(ground, asked, asked.only or range(asked.count))
    wrong = {name: number for name, number in counts.items() if name != "inputs"}
    took = time.monotonic() - start
    print(f"{counts['inputs']} inputs in {took / 60:.1f} min, seed {asked.seed}: {wrong or 'every promise was kept'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
