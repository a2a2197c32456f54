"""Jobs: never more than asked for, none twice, none lost. Real submitit processes, with work that costs nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import stand_in
from stand_in import make_cell

from harness import environment
from harness.jobs import launch
from harness.jobs.launch import Options, Watch
from harness.process import alive
from harness.spec import Cell
from harness.store import Store

PLACES = ("inline", "local")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), str(Path.cwd())]))


@pytest.fixture(autouse=True)
def leave_the_environment_alone() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


def spans(store: Store) -> list[tuple[float, int]]:
    """(time, +1 or -1) for each beginning and end of training."""
    lines = (line.split() for line in (store.root / "trained.txt").read_text().splitlines())
    return sorted((float(when), 1 if what == "begins" else -1) for _, when, what in lines)


@pytest.mark.parametrize("on", PLACES)
def test_every_cell_is_trained_once_and_told(store: Store, on: str) -> None:
    cells = [make_cell(seed) for seed in range(3)]
    told: list[str] = []
    watch = Watch(
        began=lambda cell: told.append(f"began {cell.seed}"), ended=lambda cell, s: told.append(f"{s} {cell.seed}")
    )
    ended = launch.run(cells, store, Options(on=on, jobs=1), watch, stand_in.train)
    assert ended == {cell.key: "done" for cell in cells}
    assert told == [f"{what} {seed}" for seed in range(3) for what in ("began", "done")]
    assert all(store.result(cell) for cell in cells)


def most_at_once(store: Store) -> int:
    running, most = 0, 0
    for _, change in spans(store):
        running += change
        most = max(most, running)
    assert running == 0
    return most


def test_never_more_than_jobs_at_once(store: Store) -> None:
    launch.run([make_cell(seed) for seed in range(5)], store, Options(jobs=2), job=stand_in.train)
    assert 1 <= most_at_once(store) <= 2


@pytest.mark.parametrize("number", [1, 2])
def test_jobs_that_begin_together_do_not_race_for_a_cell(store: Store, number: int) -> None:
    cells = [make_cell(seed) for seed in range(number)]
    paused: list[int] = []
    watch = Watch(paused=lambda cell: paused.append(cell.seed))
    launch.run(cells, store, Options(jobs=2), watch, stand_in.claim_late)
    begun = (store.root / "begun.txt").read_text().split()
    assert len(begun) >= number and set(begun[:2]) == {cell.key for cell in cells}
    assert number > 1 or len(begun) == 1, "one cell, two jobs"
    assert not paused, "said to wait while it is trained"


@pytest.mark.parametrize("on", PLACES)
def test_a_failed_cell_does_not_stop_the_others(store: Store, on: str) -> None:
    cells = [make_cell(seed) for seed in range(3)]
    ended = launch.run(cells, store, Options(on=on, jobs=2), job=stand_in.fail_odd_seeds)
    assert [ended[cell.key] for cell in cells] == ["done", "failed", "done"]


@pytest.mark.parametrize("on", PLACES)
def test_a_mistake_of_ours_is_a_line_and_a_log_not_a_debugger(store: Store, on: str) -> None:
    cell = make_cell()
    ended = launch.run([cell], store, Options(on=on), job=stand_in.stumble)
    assert ended[cell.key] == "error: ValueError: a mistake of the harness itself"
    assert "in stumble" in store.log(cell).read_text()


@pytest.mark.parametrize("on", PLACES)
def test_what_a_job_prints_is_in_its_log(store: Store, on: str, capfd: pytest.CaptureFixture[str]) -> None:
    cell = make_cell()
    launch.run([cell], store, Options(on=on, threads=3), job=stand_in.show_threads)
    assert "threads 3" in store.log(cell).read_text()
    assert "threads" not in "".join(capfd.readouterr())


def given_on_request() -> bool:
    """Whether Linux gives large pages to those who ask, and to no others."""
    with contextlib.suppress(OSError):
        return "[madvise]" in environment.PAGES.read_text()
    return False


@pytest.mark.skipif(not given_on_request(), reason="this system gives large pages to all, or to none")
def test_a_jobs_memory_is_in_large_pages(store: Store) -> None:
    cell = make_cell()
    launch.run([cell], store, Options(), job=stand_in.show_large_pages)
    of_torch, of_malloc = map(int, store.log(cell).read_text().split("large pages ")[1].split()[:2])
    assert of_torch > 48 and of_malloc > 48, "of 64 MiB each"


@pytest.mark.skipif(not given_on_request(), reason="this system gives large pages to all, or to none")
def test_where_no_process_is_begun_torch_asks_for_large_pages(store: Store) -> None:
    cell = make_cell()
    code = f"""
import stand_in
from harness.jobs.launch import Options, run
from harness.store import Store
run([stand_in.make_cell()], Store({str(store.root)!r}), Options(on="inline"), job=stand_in.show_large_pages)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    of_torch, _ = map(int, store.log(cell).read_text().split("large pages ")[1].split()[:2])
    assert of_torch > 48, "of 64 MiB"


@pytest.mark.parametrize(
    ("mine", "given"),
    [
        (None, "glibc.malloc.hugetlb=1"),
        ("glibc.malloc.check=0", "glibc.malloc.check=0:glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0"),
    ],
)
def test_what_the_user_tells_glibc_is_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch, mine: str | None, given: str
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if mine is not None:
        monkeypatch.setenv("GLIBC_TUNABLES", mine)
    launch.run([cell := make_cell()], store, Options(), job=stand_in.show_large_pages)
    assert f"tunables {given}\n" in store.log(cell).read_text()
    assert os.environ.get("GLIBC_TUNABLES") == mine


def test_gpus_are_handed_out(store: Store) -> None:
    cells = [make_cell(seed) for seed in range(2)]
    launch.run(cells, store, Options(jobs=2, gpus=("4", "GPU-abc")), job=stand_in.wait_for_another)
    logs = sorted(store.log(cell).read_text().split("gpu ")[1].split()[0] for cell in cells)
    assert logs == ["4", "GPU-abc"]


def test_gpus_are_seen_without_torch() -> None:
    assert environment.gpus({"CUDA_VISIBLE_DEVICES": "2,3"}) == ("2", "3")
    assert environment.gpus({"CUDA_VISIBLE_DEVICES": ""}) == environment.gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == ()


def test_a_killed_process_is_followed_by_another(store: Store) -> None:
    cell = make_cell()
    assert launch.run([cell], store, Options(), job=stand_in.die_at_first) == {cell.key: "done"}


def test_one_that_always_dies_is_recorded_as_killed(store: Store) -> None:
    cell = make_cell()
    assert launch.run([cell], store, Options(), job=stand_in.die_always) == {cell.key: "failed"}
    failure = store.failure(cell)
    assert failure is not None and failure.kind == "killed" and "3 times" in failure.reason


def test_a_cell_claimed_elsewhere_is_waited_for(store: Store) -> None:
    cell = make_cell()
    held = store.claim(cell)
    assert held is not None
    seen: list[int] = []

    def elsewhere(cells: object) -> None:
        seen.append(len(list(cells)))  # type: ignore[call-overload]
        if len(seen) == 3:
            store.write_result(stand_in.make_result(cell), held)
            held.release()

    assert launch.run([cell], store, Options(), Watch(elsewhere=elsewhere), stand_in.die_always) == {cell.key: "done"}
    assert seen[:3] == [1, 1, 1]


def test_submitits_files_are_tidied(store: Store) -> None:
    launch.run([make_cell()], store, Options(), job=stand_in.train)
    assert not (store.root / ".jobs").exists()


RUN = """
import sys, stand_in
from pathlib import Path
from harness.jobs import launch
from harness.store import Store
cells = [stand_in.make_cell(seed) for seed in range(2)]
launch.run(cells, Store(Path(sys.argv[1])), launch.Options(on=sys.argv[2], jobs=2), job=getattr(stand_in, sys.argv[3]))
"""


@contextlib.contextmanager
def front(store: Store, on: str, job: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(store.root), on, job],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job has it ignored
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(holds, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.parametrize("on", PLACES)
def test_ctrl_c_stops_the_jobs_and_frees_their_cells(store: Store, on: str) -> None:
    """As a terminal does it: the signal goes to the whole process group."""
    jobs = 2 if on == "local" else 1
    with front(store, on, "train_slowly") as process:
        wait_for(lambda: len(list(store.root.glob("*/claim"))) == jobs)
        wait_for(lambda: len(list(store.root.glob("*/progress.json"))) == jobs)
        holders = [held.pid for seed in range(2) if (held := store.holder(make_cell(seed)))]
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert not any(alive(pid) for pid in holders)
    assert not list(store.root.glob("*/claim*"))
    assert not (store.root / ".jobs").exists()


def test_jobs_outlive_the_process_in_front(store: Store) -> None:
    """Killed with its whole process group, as when a terminal closes: the cells that run are finished."""
    cells = [make_cell(seed) for seed in range(2)]
    with front(store, "local", "train_until_told") as process:
        wait_for(lambda: len(list(store.root.glob("*/claim"))) == 2)
        os.killpg(process.pid, signal.SIGKILL)
    (store.root / "go").touch()
    wait_for(lambda: all(store.result(cell) for cell in cells))
    assert launch.run(cells, store, Options(), job=stand_in.die_always) == {cell.key: "done" for cell in cells}


def test_what_a_dead_run_left_behind_counts_among_the_jobs_at_once(store: Store) -> None:
    with front(store, "local", "train_until_told") as process:
        wait_for(lambda: len(list(store.root.glob("*/claim"))) == 2)
        os.killpg(process.pid, signal.SIGKILL)
    submitted: list[int] = []

    def look(cells: object) -> None:
        submitted.append(len(list(store.root.glob(".jobs/*/*_submitted.pkl"))))
        if len(submitted) == 5:
            (store.root / "go").touch()

    cells = [make_cell(seed) for seed in range(4)]
    ended = launch.run(cells, store, Options(jobs=2), Watch(elsewhere=look), stand_in.train)
    assert set(ended.values()) == {"done"} and submitted[:5] == [2] * 5 and most_at_once(store) <= 2


def test_two_runs_at_once_train_each_cell_once(store: Store) -> None:
    with front(store, "local", "train") as one, front(store, "inline", "train") as two:
        assert one.wait(timeout=30) == two.wait(timeout=30) == 0
    begun = [line.split()[0] for line in (store.root / "trained.txt").read_text().splitlines() if "begins" in line]
    assert sorted(begun) == sorted(make_cell(seed).key for seed in range(2))


@pytest.mark.parametrize("on", PLACES)
def test_a_percent_sign_in_the_path_is_no_pattern(on: str, tmp_path: Path) -> None:
    """submitit would put the numbers of its jobs there, and leave folders called so behind."""
    store = Store(tmp_path / "%j of %A, %t %a 50%")
    store.prepare()
    ended = launch.run([make_cell()], store, Options(on=on, jobs=1), job=stand_in.train)
    assert list(ended.values()) == ["done"]
    assert [path.name for path in tmp_path.iterdir()] == [store.root.name] and not (store.root / ".jobs").exists()


def test_so_many_jobs_as_there_are_cells(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(launch.Front, "loop", lambda self, folder: asked.append(self._options.jobs))
    for cells, jobs in (([make_cell()], 10**20), ([], 5)):
        launch.run(cells, store, Options(jobs=jobs), job=stand_in.train)
    assert asked == [1, 1]


def test_an_interpreter_that_cannot_be_started_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (python := tmp_path / "python").write_text("")
    monkeypatch.setattr(sys, "executable", str(python))
    (status,) = launch.run([make_cell()], store, Options(on="local", jobs=1), job=stand_in.train).values()
    assert status == f"error: {python}: cannot be started (permission denied)"


# Cells that begin from cells


def chain(seed: int) -> list[Cell]:
    """ANN, conversion, fine-tuning, so to say."""
    first = make_cell(seed, "ann")
    second = msgspec.structs.replace(make_cell(seed, "rmp"), origin=first)
    return [first, second, msgspec.structs.replace(make_cell(seed, "tuned"), origin=second)]


@pytest.mark.parametrize("on", PLACES)
def test_what_others_begin_from_is_trained_before_them(store: Store, on: str) -> None:
    cells = [*chain(0), *chain(1)]
    ended = launch.run(cells, store, Options(on=on, jobs=2), job=stand_in.train)
    assert ended == {cell.key: "done" for cell in cells}
    when = {line.split()[0]: line.split()[1:] for line in (store.root / "trained.txt").read_text().splitlines()}
    order = [key for key, (_, what) in when.items() if what == "ends"]
    for one in (chain(0), chain(1)):
        places = [order.index(cell.key) for cell in one]
        assert places == sorted(places)
    lines = [line.split() for line in (store.root / "trained.txt").read_text().splitlines()]
    ends = {key: float(at) for key, at, what in lines if what == "ends"}
    begins = {key: float(at) for key, at, what in lines if what == "begins"}
    assert len(lines) == 2 * len(cells), "none twice"
    assert all(ends[c.origin.key] <= begins[c.key] for c in cells if c.origin is not None)


@pytest.mark.parametrize("on", PLACES)
def test_a_failed_origin_blocks_all_that_begin_from_it(store: Store, on: str) -> None:
    cells = [*chain(0), *chain(1)]  # seed 1 fails
    told: dict[str, str] = {}
    watch = Watch(ended=lambda cell, status: told.update({cell.key: status}))
    ended = launch.run(cells, store, Options(on=on, jobs=2), watch, stand_in.fail_odd_seeds)
    assert [ended[cell.key] for cell in cells] == ["done"] * 3 + ["failed", "blocked", "blocked"]
    assert told == ended


def test_an_origin_that_failed_before_blocks_at_once(store: Store) -> None:
    first, second, third = chain(1)
    store.write_failure(stand_in.make_failure(first))
    assert launch.run([second, third], store, Options(), job=stand_in.train) == dict.fromkeys(
        (second.key, third.key), "blocked"
    )


def test_an_origin_that_is_there_is_begun_from_at_once(store: Store) -> None:
    first, second, _ = chain(0)
    store.write_result(stand_in.make_result(first))
    assert launch.run([second], store, Options(), job=stand_in.train) == {second.key: "done"}
