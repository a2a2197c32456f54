"""One input in a process of its own: what is typed, in a world of files, with a time, a memory and a fence.

The fence is Python's own audit: what is opened for writing, made, moved or removed outside of the world, a process that
is signalled, a connection, an unknown command are noted and refused. Nothing is trained: where a verb would, a stand-in
is called that reads the checkpoint and writes a result.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from harness.store.result import Result

LIMIT = 5.0
"""Seconds of processor that an input may take before it counts as a hang."""
PATIENCE = 3
"""Times that, by the clock, in which it does nothing at all; one that waits for its turn is not blamed."""
MEMORY = 3 << 30
"""Bytes that an input may ask for, beyond what is there before it."""
CRASHED, HANGS = 99, 98
"""Exit codes that no verb has."""
COMMANDS = {
    "squeue",
    "sinfo",
    "scontrol",
    "sbatch",
    "scancel",
    "sacct",
    "srun",
    "git",
    "nvidia-smi",
    "cc",
    "gcc",
    "clang",
}
"""That may be called."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Outcome:
    """What came of an input."""

    code: int
    out: str
    err: str
    trespasses: tuple[str, ...]
    seconds: float
    """Of processor."""


def run(argv: list[str], world: Path, shared: Path) -> Outcome:
    """`argv` typed in `world`; `shared` is a folder that all inputs may write, for what is costly and the same."""
    said, told = (world.with_name(f"{world.name}.{name}") for name in ("out", "err"))
    noted = world.with_name(f"{world.name}.noted")
    if (pid := os.fork()) == 0:
        _become(argv, world, shared, said, told, noted)
    code, seconds = _wait(pid)
    texts = [path.read_bytes().decode(errors="surrogateescape") for path in (said, told)]
    trespasses = tuple(noted.read_text(errors="replace").splitlines()) if noted.exists() else ()
    for path in (said, told, noted):
        path.unlink(missing_ok=True)
    return Outcome(code, *texts, trespasses, seconds)


def _wait(pid: int) -> tuple[int, float]:
    """Exit code, and seconds of processor; a process that hangs is ended: it sleeps, whatever else the machine does."""
    ends, seen, still = select.poll(), "", 0
    ends.register(handle := os.pidfd_open(pid), select.POLLIN)
    while not ends.poll(LIMIT * 1000):
        now = _place(pid)
        still = still + 1 if now == seen and not now.startswith("R") else 0
        seen = now
        if still == PATIENCE:
            os.kill(pid, signal.SIGKILL)
    os.close(handle)
    _, status, used = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return HANGS if code in (-signal.SIGXCPU, -signal.SIGKILL) else code, used.ru_utime + used.ru_stime


def _place(pid: int) -> str:
    """Its state, and the ticks of processor that it has had: the same ones again, and it waits for something."""
    state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{state} {rest[10]} {rest[11]}"


def _become(argv: list[str], world: Path, shared: Path, said: Path, told: Path, noted: Path) -> None:
    code = CRASHED
    try:
        for path, number in ((said, 1), (told, 2)):
            handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            os.dup2(handle, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace")
        os.setsid()
        _furnish(world, shared)
        _bound()
        _stand_in()
        _fence([world, shared, Path(os.devnull)], noted)
        code = _typed(argv)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:
                code = code or CRASHED
        os._exit(code)


def _typed(argv: list[str]) -> int:
    from harness.cli import main

    try:
        return main(argv)
    except SystemExit as leaving:  # argparse's own, for --help
        return leaving.code if isinstance(leaving.code, int) else 0


def _furnish(world: Path, shared: Path) -> None:
    os.chdir(world)
    home, temporary = world / "home", world / "temporary"
    os.environ |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "TMPDIR": str(temporary),
        "HARNESS_CACHE": str(shared),
        "COLUMNS": "100",
        "PATH": f"{world / 'slurm/bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
    }
    for name in ("WORLD_SIZE", "RANK", "SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES"):
        os.environ.pop(name, None)
    tempfile.tempdir = None
    sys.argv = ["harness"]


def _bound() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    for kind, most in (
        (resource.RLIMIT_CPU, int(LIMIT) + 1),
        (resource.RLIMIT_DATA, used + MEMORY),
        (resource.RLIMIT_FSIZE, 256 << 20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _stand_in() -> None:
    """For what trains, times or waits; and the shipped tables, where their copies lie."""
    from fuzz import scratch

    from harness import tables
    from harness.data.sets import fashion_mnist
    from harness.jobs import launch
    from harness.measure import bench, cost, footprint, timing
    from harness.train import worker

    tables.folder.__code__ = _tables.__code__  # whoever has imported it has the copies too
    worker.attempt = _attempt
    timing.epoch = lambda *given, **named: 0.5
    footprint.total = lambda *given, **named: 10 << 20
    bench.run = lambda asked, *given: msgspec.structs.replace(scratch.benched(), bench=asked.name, title=asked.title)
    cost.costs = _untimed
    real = launch.run
    launch.run = lambda cells, store, options, *rest: real(cells, store, replace(options, on="inline"), *rest)
    fashion_mnist.DEBIAN = Path("nowhere")  # the real one takes seconds
    webbrowser.open = lambda url, *given: True
    time.sleep = _Sleeper().sleep


def _tables() -> Path:
    return Path("tables").absolute()


def _untimed(*given: Any, **named: Any) -> Any:
    from harness.errors import UserError

    raise UserError("nothing is timed here")


def _attempt(work: Any, beat: Callable[[], None], log: Callable[[str], None]) -> Result:
    """Takes up what was begun, as the real one does, and has come to an end."""
    from fuzz import scratch

    from harness.plugins import load_plugins
    from harness.train.build import network_of
    from harness.train.checkpoint import Checkpoint
    from harness.train.distributed import ALONE
    from harness.train.loop import make_optimiser, resume

    load_plugins(work.plugins)
    folder = work.store.folder(work.cell)
    if list(folder.glob("checkpoint*")):
        network = network_of(work.cell, (1, 32, 32), 10)
        resume(network, make_optimiser(network, work.cell.recipe), Checkpoint(folder, log), ALONE)
    beat()
    log("as if it had been trained")
    return scratch.result_of(work.cell, 70.0)


class _Sleeper:
    """Whoever watches or waits is left to it a few times, then interrupted."""

    def __init__(self, times: int = 4) -> None:
        self._left = times

    def sleep(self, seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt


# --- the fence --------------------------------------------------------------------------------------------------------

ONE_PATH = {
    "os.mkdir": 2,
    "os.rmdir": 1,
    "os.remove": 1,
    "os.truncate": None,
    "os.chmod": 2,
    "os.chown": 3,
    "os.utime": 3,
}
"""Event -> which of its arguments is the folder that the path is within."""
TWO_PATHS = {"os.rename", "os.link", "os.symlink"}
COMMANDING = {"posix", "os", "nt", "subprocess", "builtins", "sys", "shutil", "runpy", "importlib"}
"""Modules whose functions no file may call by being unpickled."""


def _fence(within: Sequence[Path], noted: Path) -> None:
    """From now on and for good: no hook can be taken away."""
    roots = tuple(os.path.realpath(path) for path in within)
    handle = os.open(noted, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    busy = threading.local()

    def look(event: str, given: tuple[Any, ...]) -> None:
        if getattr(busy, "now", False) or not event.startswith(_PREFIXES):
            return
        busy.now = True
        try:
            found = next((what for what in _trespasses(event, given, roots)), None)
        finally:
            busy.now = False
        if found is not None:
            os.write(handle, f"{event}: {found}"[:400].replace("\n", "\\n").encode(errors="replace") + b"\n")
            if event != "pickle.find_class":
                raise PermissionError(errno.EACCES, "outside of the world", str(found))

    sys.addaudithook(look)


_PREFIXES = ("open", "os.", "subprocess.", "socket.", "pickle.")


def _trespasses(event: str, given: tuple[Any, ...], roots: tuple[str, ...]) -> Iterator[str]:
    if event == "open":
        path, _, flags = given
        if isinstance(flags, int) and flags & WRITES and not isinstance(path, int):
            yield from _outside(path, -1, roots, follow=True)
    elif event in ONE_PATH:
        place = ONE_PATH[event]
        if not isinstance(given[0], int) and not (event == "os.mkdir" and os.path.isdir(given[0])):  # noqa: PTH112
            yield from _outside(
                given[0], given[place] if place else -1, roots, follow=event in ("os.chmod", "os.utime")
            )
    elif event in TWO_PATHS:
        if event == "os.rename":
            yield from _outside(given[0], given[2], roots)
        yield from _outside(given[1], given[3] if len(given) > 3 else given[2], roots)
    elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        command = given[1][0] if event == "subprocess.Popen" and not isinstance(given[1], str) else given[0]
        if Path(os.fsdecode(command)).name not in COMMANDS:
            yield repr(command)
    elif event in ("os.kill", "os.killpg"):
        if given[1] != 0 and not _own(given[0]):
            yield f"signal {given[1]} to process {given[0]}"
    elif event in ("socket.connect", "socket.bind"):
        yield repr(given[1])
    elif event == "pickle.find_class" and str(given[0]).partition(".")[0] in COMMANDING:
        yield f"{given[0]}.{given[1]}"


def _own(pid: int) -> bool:
    """Whether this process has started that one."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
    except (OSError, ValueError):
        return False


def _outside(path: Any, folder: Any, roots: tuple[str, ...], *, follow: bool = False) -> Iterator[str]:
    base = f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder >= 0 else "."
    place = Path(os.path.realpath(base)) / os.fsdecode(path)
    real = os.path.realpath(place) if follow else f"{os.path.realpath(place.parent)}/{place.name}"
    if not any(real == root or real.startswith(f"{root}/") for root in roots):
        yield str(place)
