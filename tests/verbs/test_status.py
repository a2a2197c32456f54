"""`status`: what is said of a cell in every state it can be in, at any size, once or again and again."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from fake_slurm import FakeSlurm
from reported import planned
from stand_in import make_cell, make_failure, make_result
from tiny import harness, write_tiny

from harness import arguments, process
from harness.cli import main
from harness.errors import UserError
from harness.jobs import fronts, queue
from harness.jobs.queue import Array, Queue
from harness.plan import plan_cells
from harness.spec import Cell
from harness.store import Store
from harness.store.holder import Holder
from harness.store.result import Progress
from harness.verbs import standings, status
from harness.verbs.entry import Entry, Sight
from harness.verbs.status import Standing
from harness.verbs.watch import watch

RETRY = "python -m harness run KEY --retry failed"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


def submitted(store: Store, *tasks: tuple[Cell, ...], name: str = "harness-1", job: str = "70") -> Path:
    """A record as `run --on CLUSTER` leaves it."""
    keys = tuple(tuple(cell.key for cell in cells) for cells in tasks)
    store.announce(cell for cells in tasks for cell in cells)
    return queue.record(
        store.root, Array(name=name, profile="mine", cluster="fake", submitted="now", tasks=keys, job=job)
    )


def line(job: str, state: str, *, name: str = "harness-1", **more: str) -> dict[str, str]:
    """Of the fake squeue."""
    return {"job": job, "name": name, "state": state, "restarts": "0", "reason": "None"} | more


def claimed(store: Store, cell: Cell, *, job: str = "", restarts: int = 0, epoch: int = 2, left: float = 90.0) -> None:
    """As by a process of another host."""
    store.announce([cell])
    held = Holder(host="node7", pid=5, born="1", since=0.0, token="7" * 16, job=job, restarts=restarts)
    (store.folder(cell) / "claim").write_bytes(msgspec.json.encode(held))
    said = Progress(
        epoch=epoch, epochs=3, accuracy=81.2, images_per_second=1234.0, seconds_left=left, host="node7", pid=5
    )
    store.write_progress(cell, said)


def entry(store: Store, cell: Cell) -> Entry:
    jobs = queue.look(store.root)
    sight = Sight(store=store, queue=jobs, retry=lambda cell, task: RETRY)
    return sight.entry(cell, store.outcome(cell))


# A cell


def test_done_and_failed_and_missing(store: Store) -> None:
    done, failed, missing = (make_cell(seed) for seed in range(3))
    store.write_result(make_result(done, accuracy=91.5))
    store.write_failure(make_failure(failed))
    assert (entry(store, done).kind, entry(store, done).line) == ("done", "91.50 % in 1 s")
    found = entry(store, failed)
    assert found.kind == "failed" and found.text == (
        f"diverged at epoch 2: the loss became nan in epoch 2; log: {store.log(failed)}; retry: {RETRY}"
    )
    assert (entry(store, missing).kind, entry(store, missing).text) == ("missing", "")


def test_a_command_too_long_to_read_is_left_to_the_advice_beneath(store: Store) -> None:
    failed = make_cell(0)
    store.write_failure(make_failure(failed))
    sight = Sight(store=store, queue=queue.look(store.root), retry=lambda cell, task: f"{RETRY} --data {'x' * 300}")
    found = sight.entry(failed, store.outcome(failed))
    assert found.text == f"diverged at epoch 2: the loss became nan in epoch 2; log: {store.log(failed)}"
    assert found.retry.endswith("x" * 300), "as --format json has it"


def test_what_others_say_is_told_in_a_line_that_can_be_read(store: Store) -> None:
    ann, page = make_cell(0, "ann"), "a word " * 400
    begun = msgspec.structs.replace(make_cell(0, "rmp"), origin=ann)
    store.write_failure(msgspec.structs.replace(make_failure(ann), reason=page))
    for cell in (ann, begun):
        assert len(entry(store, cell).text) < 500 and page in entry(store, cell).reason


def test_blocked_by_what_it_begins_from(store: Store) -> None:
    """However far back; with the reason, and what to type for the one that failed."""
    ann = make_cell(0, "ann")
    middle = msgspec.structs.replace(make_cell(0, "rmp"), origin=ann)
    last = msgspec.structs.replace(make_cell(0, "tuned"), origin=middle)
    assert entry(store, last).text == ""
    store.write_failure(make_failure(ann))
    for cell in (middle, last):
        told = entry(store, cell)
        assert told.kind == "missing" and told.notable
        assert told.text == (
            f"blocked: {ann.key} {ann.label}, which it begins from, failed: the loss became nan in epoch 2; "
            f"retry: {RETRY}"
        )
    store.forgive(ann)
    store.write_result(make_result(ann))
    assert entry(store, middle).text == ""


def test_running_on_another_host(store: Store) -> None:
    claimed(store, make_cell())
    found = entry(store, make_cell())
    assert found.kind == "running"
    assert found.text == "epoch 2/3, 81.20 %, 1,234 images/s, 1 min 30 s left, on node7 (process 5)"


def test_running_in_a_job(store: Store, fake: FakeSlurm) -> None:
    cell = make_cell()
    submitted(store, (cell,), (make_cell(1),))
    fake.set(queue=[line("70_0", "RUNNING", restarts="2"), line("70_1", "PENDING", reason="Resources")])
    claimed(store, cell, job="fake:70_0", restarts=2, left=2 * 86400.0)
    found = entry(store, cell)
    assert (found.kind, found.job, found.node, found.preempted) == ("running", "70_0", "n1", 2)
    assert found.text == (
        "epoch 2/3, 81.20 %, 1,234 images/s, 2 d left, job 70_0 on n1, the job's time ends in 1 d, preempted ×2"
    )


@pytest.mark.parametrize(
    ("state", "restarts", "reason", "text"),
    [
        ("PENDING", "0", "Priority", "job 70, Priority"),
        ("PENDING", "0", "None", "job 70, pending"),
        ("PENDING", "3", "BeginTime", "job 70, preempted ×3, had reached epoch 2/3, BeginTime"),
        ("RUNNING", "0", "None", "job 70, starting on n1"),
    ],
)
def test_queued(store: Store, fake: FakeSlurm, state: str, restarts: str, reason: str, text: str) -> None:
    cell = make_cell()
    submitted(store, (cell,))
    fake.set(queue=[line("70", state, restarts=restarts, reason=reason)])
    if restarts != "0":  # its process was killed, and its claim still seems to beat
        claimed(store, cell, job="fake:70", restarts=2)
    found = entry(store, cell)
    assert (found.kind, found.text) == ("queued", text)


def test_a_job_that_began_again_does_not_run_what_it_ran(store: Store, fake: FakeSlurm) -> None:
    submitted(store, (make_cell(),))
    fake.set(queue=[line("70", "RUNNING", restarts="1")])
    claimed(store, make_cell(), job="fake:70", restarts=0)
    assert entry(store, make_cell()).kind == "queued"


def test_a_job_that_is_gone_does_not_run(store: Store, fake: FakeSlurm) -> None:
    folder = submitted(store, (make_cell(),))
    claimed(store, make_cell(), job="fake:70")
    (folder / "70_0_log.out").write_text("slurmstepd: error: Detected 1 oom_kill event\nsubmitit INFO x\n\n")
    found = entry(store, make_cell())
    assert found.kind == "missing" and found.notable
    assert found.text == (
        "job 70 ended without a result: slurmstepd: error: Detected 1 oom_kill event; "
        f"stopped at epoch 2/3, to be gone on with; log: {(folder / '70_0_log.out')}"
    )
    (folder / "70_0_log.out").write_text("a bar without a line feed " * 100)
    assert len(entry(store, make_cell()).text) < 300 + len(str(folder))
    (folder / "cancelled").write_text("70\n")
    assert entry(store, make_cell()).text.startswith("job 70 was cancelled; stopped at epoch 2/3")


def test_a_silent_squeue_takes_nothing_away(store: Store, fake: FakeSlurm) -> None:
    running, waiting = make_cell(0), make_cell(1)
    submitted(store, (running,), (waiting,))
    claimed(store, running, job="fake:70_0")
    fake.set(broken={"squeue": "slurm_load_jobs error: Unable to contact slurm controller"})
    assert entry(store, running).kind == "running"
    assert (entry(store, waiting).kind, entry(store, waiting).text) == (
        "queued",
        "job 70_1, its cluster cannot be asked",
    )


def test_waiting_in_a_run_of_this_host(store: Store) -> None:
    folder = fronts.folder_of(store.root, os.getpid(), process.born(os.getpid()))
    folder.mkdir(parents=True)
    fronts.announce(folder, [make_cell(0).key, make_cell(1).key])
    sight = Sight(store=store, waiting={key: f.pid for f in fronts.fronts(store.root) for key in f.cells})
    assert sight.entry(make_cell(0), None).text == f"in the run of process {os.getpid()} here"
    (front,) = fronts.fronts(store.root)
    fronts.ask_to_leave(front, [make_cell(0).key])
    assert [f.cells for f in fronts.fronts(store.root)] == [{make_cell(1).key}]
    folder.rename(fronts.folder_of(store.root, os.getpid(), "1"))  # another's process number
    assert not list(fronts.fronts(store.root))


# A table


def test_what_needs_somebody_comes_first_and_nothing_is_counted_twice(store: Store, fake: FakeSlurm) -> None:
    done, failed, running, *queued, missing = cells = [make_cell(seed) for seed in range(7)]
    store.write_result(make_result(done)), store.write_failure(make_failure(failed))
    claimed(store, running)
    submitted(store, *((cell,) for cell in queued))
    reasons = ("Priority", "Resources", "Priority")
    fake.set(queue=[line(f"70_{n}", "PENDING", reason=reason) for n, reason in enumerate(reasons)])
    sight = Sight(store=store, queue=queue.look(store.root))
    entries = tuple(sight.entry(cell, store.outcome(cell)) for cell in cells)
    standing = Standing(plan=plan_cells(cells), entries=entries, command="python -m harness run tiny")
    assert standing.going
    assert status.headline([standing, standing]) == "1 of 7 cells done, 1 failed, 1 running, 3 queued, 1 missing"
    assert status.overview([standing])[1][3:] == ("1", "1", "3", "1", "1")
    rows = status.details(standing, every=False)
    assert [row[0] for row in rows] == ["failed", "running", "queued"]
    assert rows[-1][2:] == ("3 cells", "3 jobs: 2 Priority, 1 Resources")
    kinds = [row[0] for row in status.details(standing, every=True)]
    assert kinds == ["failed", "running", "queued", "queued", "queued", "missing", "done"]
    text = status.page([standing], every=False)
    assert text.startswith("1 of 7 cells done") and text.endswith("python -m harness run tiny --retry failed")
    assert missing.key not in text


def test_a_users_table_is_found_by_what_it_left(tmp_path: Path, store: Store, capsys: pytest.CaptureFixture) -> None:
    """Without being named; and its failed cell's command can be typed as it stands."""
    store.write_failure(make_failure(make_cell(seed=7)))
    assert main(["status", "--store", str(store.root)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("0 of 1 cells done, 1 failed")
    (command,) = re.findall(r"retry: python -m harness (.*)$", out, re.M)
    assert command == f"run {make_cell(seed=7).key} --retry failed --store {store.root}"
    assert arguments.parse(command.split()).how.retry == "failed"


def test_the_same_failure_is_told_once(store: Store, capsys: pytest.CaptureFixture) -> None:
    for seed in range(3):
        store.write_failure(make_failure(make_cell(seed)))
    store.write_failure(msgspec.structs.replace(make_failure(make_cell(3)), reason="another"))
    assert main(["status", "--store", str(store.root)]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  failed")]
    said = [re.sub(r"[0-9a-f]{16}", "KEY", line.split("  ")[-1]) for line in lines]
    retry = f"retry: python -m harness run KEY --retry failed --store {store.root}"
    assert said.count(f"the same; {retry}") == 2 and sum("the loss became nan" in line for line in said) == 1
    assert sum("another" in line for line in said) == 1 and len(lines) == 4


def test_what_was_asked_for_is_shown_and_no_table_besides(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture
) -> None:
    """Other tables have rows of it, too: nobody began those."""
    cells = [cell for cell in planned("table1", "smoke").cells if cell.timesteps == 1]
    store.announce(cells)
    for cell in cells[1:]:
        store.write_result(make_result(cell))
    assert main(["status", "--store", str(store.root)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{len(cells) - 1} of {len(cells)} cells done, 1 missing")
    assert re.findall(r"^(\w+) +smoke +paper", out, re.M) == ["table1"]
    (command,) = re.findall(r"train what is missing: python -m harness (.*)$", out, re.M)
    asked = arguments.parse(shlex.split(command))
    assert asked.asked.only == ("timesteps=1",) and asked.asked.targets == ("table1",)


def test_the_place_of_the_last_jobs_is_in_what_to_type(tmp_path: Path, store: Store, fake: FakeSlurm) -> None:
    table = write_tiny(tmp_path)
    asked = arguments.parse(["status", *table, "--store", str(store.root), "--seeds", "0"]).asked
    (standing,) = standings.look(asked).standings
    assert "--on" not in standing.command
    cells = [found.cell for found in standing.entries]
    submitted(store, *((cell,) for cell in cells))
    store.write_failure(make_failure(cells[0]))
    (standing,) = standings.look(asked).standings
    protocol = table[-1]
    assert standing.command == (
        f"python -m harness run {table[0]} --protocol {protocol} --store {store.root} --on mine"
    )
    assert standing.entries[0].retry.endswith(f"--retry failed --on mine --store {store.root}")


def test_json_names_what_a_script_would_want(store: Store, fake: FakeSlurm, capsys: pytest.CaptureFixture) -> None:
    submitted(store, (make_cell(),), (make_cell(1),))
    fake.set(queue=[line("70_0", "RUNNING", restarts="1"), line("70_1", "PENDING", reason="Priority")])
    claimed(store, make_cell(), job="fake:70_0", restarts=1)
    assert main(["status", "--format", "json", "--store", str(store.root)]) == 0
    (table,) = json.loads(capsys.readouterr().out)
    assert [table[kind] for kind in status.KINDS] == [0, 1, 1, 0, 0]
    running, waiting = sorted(table["cells"], key=lambda cell: cell["job"])
    wanted = {"state": "running", "node": "n1", "epoch": 2, "accuracy": 81.2, "seconds": 90.0, "preempted": 1}
    assert wanted.items() <= running.items()
    assert (waiting["state"], waiting["reason"]) == ("queued", "Priority")


def test_damaged_files_and_silent_clusters_are_said(store: Store, fake: FakeSlurm, capsys) -> None:
    store.write_result(make_result(make_cell()))
    (store.folder(make_cell()) / "result.json").write_bytes(b"{")
    submitted(store, (make_cell(1),))
    fake.set(broken={"squeue": "slurm_load_jobs error: Unable to contact slurm controller"})
    assert main(["status", "--store", str(store.root)]) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "result.json" in said[0] and "Unable to contact" in said[1]


def test_a_thousand_jobs_take_one_call_of_squeue(store: Store, fake: FakeSlurm) -> None:
    """And little work: two seconds of processor are allowed for all of `status`, Python's start included."""
    cells = [make_cell(seed, timesteps=steps) for steps in range(1, 251) for seed in range(4)]
    submitted(store, *((cell,) for cell in cells))
    waiting = [line(f"70_{n}", "PENDING", reason="Priority", restarts=str(n % 2)) for n in range(600)]
    running = [line(f"70_{n}", "RUNNING", name="harness-1") for n in range(600, 1000)]
    fake.set(queue=[*waiting, *running])
    for number, cell in enumerate(cells[600:], start=600):
        claimed(store, cell, job=f"fake:70_{number}")
    before = os.times()
    done = harness("status", "--store", store.root, "--format", "json")
    after = os.times()
    (table,) = json.loads(done.stdout)
    assert [table[kind] for kind in status.KINDS] == [0, 400, 600, 0, 0]
    assert sum(cell.get("preempted", 0) for cell in table["cells"]) == 300
    assert len(fake.called("squeue")) == 1
    seconds = after.children_user - before.children_user + after.children_system - before.children_system
    assert seconds < 2.0


# Again and again


def test_on_a_pipe_a_watch_prints_until_nothing_is_to_come() -> None:
    looks, said = iter([("one", True), ("two", True), ("three", False)]), []
    watch(lambda: next(looks), 0.01, said.append)
    assert said == ["one", "two", "three"]


def test_a_watch_of_what_is_over_looks_once(store: Store, capsys: pytest.CaptureFixture) -> None:
    store.write_result(make_result(make_cell()))
    started = time.monotonic()
    assert main(["status", "--watch", "60", "--store", str(store.root)]) == 0
    assert time.monotonic() - started < 30 and capsys.readouterr().out.count("1 of 1 cells done") == 1


def test_ctrl_c_leaves_a_watch_without_a_word(store: Store) -> None:
    claimed(store, make_cell())
    command = [sys.executable, "-m", "harness", "status", "--watch", "1", "--store", str(store.root)]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    assert "1 running" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=60)
    assert (watching.returncode, said) == (130, "")


def test_on_a_terminal_a_watch_stays_in_place(store: Store) -> None:
    """It ends by itself when the cell is done, the last state on the screen once."""
    claimed(store, make_cell())
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "harness", "status", "--watch", "1", "--store", str(store.root)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
    watching = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = io.BytesIO()
    reader = threading.Thread(target=_read, args=(ours, shown))
    reader.start()
    deadline = time.monotonic() + 60
    while b"1 running" not in shown.getvalue():
        assert time.monotonic() < deadline, shown.getvalue()
        time.sleep(0.05)
    (store.folder(make_cell()) / "claim").unlink()
    store.write_result(make_result(make_cell()))
    assert watching.wait(timeout=60) == 0
    reader.join()
    text = shown.getvalue().decode()
    assert "Ctrl-C leaves" in text and "\x1b[1A" in text  # the cursor goes up again
    last = text.rpartition("1 of 1 cells done")[2]
    assert "running  queued" in last and "Ctrl-C" not in last


def _read(descriptor: int, into: io.BytesIO) -> None:
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            os.close(descriptor)
            return
        into.write(data)


@pytest.mark.parametrize("text", ["0", "tiny", "nan", "-3"])
def test_a_period_that_is_none_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match="is no number of seconds from 1 on"):
        arguments.parse(["status", "--watch", text])


def test_an_empty_queue_is_asked_nothing(store: Store, fake: FakeSlurm) -> None:
    assert queue.look(store.root) == Queue() and not fake["calls"]


# What to type


def test_a_failed_cell_is_tried_again_where_it_failed(
    fake: FakeSlurm, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the record of its job is gone, as all of its cells have ended."""
    from harness.train import worker

    monkeypatch.setenv("HARNESS_PLACE", "my site.toml")
    failed = worker.describe_failure(make_cell(0), RuntimeError("x"))
    store.write_failure(failed)
    assert failed.place == "my site.toml"
    monkeypatch.delenv("HARNESS_PLACE")
    store.write_failure(worker.describe_failure(make_cell(1), RuntimeError("x")))
    (standing,) = standings.look(arguments.parse(["status", "--store", str(store.root)]).asked).standings
    typed = {entry.cell.seed: entry.retry for entry in standing.entries}
    assert f"run {make_cell(0).key} --retry failed --on 'my site.toml' --store" in typed[0]
    assert f"run {make_cell(1).key} --retry failed --store" in typed[1]
