"""What is submitted to SLURM, recognised as queued, printed by a dry run. Against a stand-in for its commands."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from fake_slurm import FakeSlurm
from stand_in import make_cell, make_failure, make_result
from submitit import SlurmExecutor
from tiny import write_tiny

from harness import cli, slurm
from harness.clusters import Profile
from harness.errors import UserError
from harness.forecast.history import Past
from harness.forecast.time import on_a_cluster
from harness.jobs import queue, remote
from harness.jobs.launch import Watch
from harness.jobs.submit import BUCKETS, How, batches, minutes, script, submit
from harness.spec import Cell
from harness.store import Store

PROFILE = Profile(name="mine", time="12:00:00")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "runs")
    made.prepare()
    return made


def how(store: Store, **profile: object) -> How:
    return How(profile=msgspec.structs.replace(PROFILE, **profile), store_root=store.root, command="python -m harness")


def cells(count: int) -> list[Cell]:
    return [make_cell(seed, timesteps=timesteps) for timesteps in range(1, 1 + -(-count // 3)) for seed in range(3)][
        :count
    ]


def known(cells: list[Cell], *seconds: float) -> dict[Cell, Past]:
    return {
        cell: Past(seconds=time, bytes=1, source="a test")
        for cell, time in zip(cells, seconds * len(cells), strict=False)
    }


def send(some: list[Cell], store: Store, **profile: object) -> tuple[remote.Sent, list[str]]:
    told: list[str] = []
    return remote.send(lambda: some, store, how(store, **profile), told.append), told


# Shapes


def test_one_array_for_each_time_limit_split_at_the_site_s_limit(fake: FakeSlurm) -> None:
    some = cells(12)
    made = batches(some, PROFILE, known(some, 60.0, 7200.0))
    assert [(batch.minutes, len(batch.jobs)) for batch in made] == [(10, 4), (10, 2), (240, 4), (240, 2)]
    assert sorted(cell.key for batch in made for job in batch.jobs for cell in job) == sorted(c.key for c in some)


def test_the_seeds_of_a_row_share_a_job(fake: FakeSlurm) -> None:
    (batch,) = batches(cells(9), msgspec.structs.replace(PROFILE, pack=3), {})
    assert [{cell.timesteps for cell in job} for job in batch.jobs] == [{1}, {2}, {3}]
    assert [[cell.seed for cell in job] for job in batch.jobs] == [[0, 1, 2]] * 3


def test_time_is_the_forecast_with_its_margin_rounded_up() -> None:
    hour = Past(seconds=3600.0, bytes=0, source="")
    assert minutes(hour, PROFILE, 720) == 120  # 1.5 x 60 + 5, in the next bucket
    assert minutes(hour, PROFILE, 100) == 100
    assert minutes(None, PROFILE, 720) == 720
    month = Past(seconds=30 * 86400.0, bytes=0, source="")
    assert minutes(month, PROFILE, 10**6) == 1.5 * 30 * 1440 + 5 > max(BUCKETS)


@pytest.mark.parametrize(("partition", "limit"), [(None, 720), ("short", 30), ("endless", 720)])
def test_time_is_capped_by_the_partition(fake: FakeSlurm, partition: str | None, limit: int) -> None:
    (batch,) = batches(cells(1), msgspec.structs.replace(PROFILE, partition=partition), {})
    assert batch.minutes == limit


def test_an_unknown_partition_is_said(fake: FakeSlurm) -> None:
    fake.set(broken={"scontrol": "slurm_load_partitions error: Invalid partition name specified"})
    with pytest.raises(UserError, match=r"^mine: .*Invalid partition name .*`sinfo` lists the partitions"):
        batches(cells(1), msgspec.structs.replace(PROFILE, partition="none"), {})


def test_slurm_without_a_cluster_is_said_in_plain_words(fake: FakeSlurm) -> None:
    lost = "scontrol: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host"
    fake.set(broken={"scontrol": f"{lost}\nscontrol: fatal: Could not establish a configuration source"})
    slurm.config.cache_clear()
    with pytest.raises(UserError, match=r"knows of no cluster .*login node") as refused:
        slurm.require()
    assert "resolve_ctls" not in str(refused.value)


# Scripts


def options(text: str) -> dict[str, str]:
    lines = [line.removeprefix("#SBATCH --") for line in text.splitlines() if line.startswith("#SBATCH")]
    return {line.partition("=")[0]: line.partition("=")[2].strip("'") for line in lines}


def test_what_the_profile_says_is_asked_for(fake: FakeSlurm, store: Store) -> None:
    profile = {"partition": "short", "account": "me", "qos": "high", "constraint": "a100", "gpus": 1, "cpus": 2}
    profile |= {"memory": "4G", "pack": 3, "parallel": 2, "setup": ("module load cuda",), "environment": {"A": "b c"}}
    profile |= {"extra": {"mail-type": "FAIL", "requeue": False, "exclusive": True}}
    chosen = how(store, **profile)
    (batch,) = batches(cells(9), chosen.profile, {})
    text = script(batch, chosen)
    asked = options(text)
    expected = {"partition": "short", "account": "me", "qos": "high", "constraint": "a100", "gres": "gpu:1"}
    expected |= {"cpus-per-task": "6", "mem": "12288M", "array": "0-2%2", "time": "30", "mail-type": "FAIL"}
    assert expected.items() <= asked.items()
    assert "exclusive" in asked and not {"wckey", "requeue"} & asked.keys() and asked["signal"] == "USR2@120"
    lines = text.splitlines()
    assert lines.index("module load cuda") < lines.index("export A='b c'") < lines.index("export OMP_NUM_THREADS=1")
    assert any(line.startswith(f"export PYTHONPATH={Path.cwd()}") for line in lines)
    assert "export HARNESS_CLUSTER=mine" in lines and "export HARNESS_PLACE=mine" in lines


def test_several_processes_of_one_cell(fake: FakeSlurm, store: Store) -> None:
    chosen = how(store, processes=8, nodes=2, gpus=1, memory="4G")
    (batch,) = batches(cells(1), chosen.profile, {})
    text = script(batch, chosen)
    expected = {"nodes": "2", "ntasks-per-node": "4", "gres": "gpu:4", "mem": "16384M", "cpus-per-task": "1"}
    assert expected.items() <= options(text).items() and "array" not in options(text)
    assert "--kill-on-bad-exit=1" in text


def test_a_short_job_is_warned_in_time(fake: FakeSlurm, store: Store) -> None:
    chosen = how(store, time="2")
    (batch,) = batches(cells(1), chosen.profile, {})
    assert options(script(batch, chosen))["signal"] == "USR2@30"


def test_a_job_submitted_from_a_job_does_not_inherit_it(
    fake: FakeSlurm, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, str] = {}
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1")
    monkeypatch.setenv("SLURM_CONF", "here")
    submit_array = SlurmExecutor.submit_array
    monkeypatch.setattr(
        SlurmExecutor, "submit_array", lambda self, jobs: (seen.update(os.environ), submit_array(self, jobs))[1]
    )
    chosen = how(store)
    (batch,) = batches(cells(2), chosen.profile, {})
    submit(batch, chosen)
    assert seen["SLURM_CONF"] == "here" and "SLURM_MEM_PER_NODE" not in seen
    assert os.environ["SLURM_MEM_PER_NODE"] == "1"


# Submitting, and recognising what was


def test_a_second_run_submits_only_the_rest(fake: FakeSlurm, store: Store) -> None:
    first, told = send(cells(3), store)
    assert [cell.key for cell in first.submitted] == [cell.key for cell in cells(3)]
    assert told == ["submitted 101: 3 cells in 3 jobs, 12 h at the most"]
    second, _ = send(cells(5), store)
    assert second.queued == cells(5)[:3] and second.submitted == cells(5)[3:]
    third, _ = send(cells(5), store)
    assert third.queued == cells(5) and not third.submitted and fake["submitted"] == 2


def test_it_asks_squeue_once(fake: FakeSlurm, store: Store) -> None:
    for count in (1, 2, 3):
        send(cells(count), store)
    before = len(fake.called("squeue"))
    assert len(queue.look(store.root).tasks) == 3
    assert len(fake.called("squeue")) == before + 1 and not fake.called("sacct")


def test_what_is_gone_from_the_queue_is_submitted_again(fake: FakeSlurm, store: Store) -> None:
    send(cells(3), store)
    fake.set(queue=[line for line in fake["queue"] if line["job"] != "101_1"])
    again, _ = send(cells(3), store)
    assert again.submitted == [cells(3)[1]] and again.queued == [cells(3)[0], cells(3)[2]]


def test_a_job_is_known_by_its_name_should_its_number_have_been_lost(fake: FakeSlurm, store: Store) -> None:
    """As when this process is killed between sbatch and noting what it said."""
    send(cells(3), store)
    ((_, array),) = queue.records(store.root)
    queue.record(store.root, msgspec.structs.replace(array, job=""))
    again, _ = send(cells(3), store)
    assert again.queued == cells(3) and {task.job for task in queue.look(store.root).tasks} == {
        "101_0",
        "101_1",
        "101_2",
    }


def test_a_task_says_how_it_fares(fake: FakeSlurm, store: Store) -> None:
    send(cells(2), store)
    fake.set(queue=[{**fake["queue"][0], "state": "RUNNING"}])
    found = queue.look(store.root)
    (task,) = found.tasks
    assert (task.runs, task.seconds_left, task.node, task.restarts) == (True, 86410.0, "n1", 2)
    assert task.place == "fake:101_0" and found.by_cell == {cells(2)[0].key: task}
    assert found.ended[cells(2)[1].key].job == "101_1"


def test_one_that_trains_here_is_not_submitted(fake: FakeSlurm, store: Store) -> None:
    with store.claim(cells(1)[0]):  # type: ignore[union-attr]
        sent, told = send(cells(2), store)
    assert sent.elsewhere == [cells(2)[0]] and sent.submitted == [cells(2)[1]] and "1 job," in told[0]


def test_nothing_is_submitted_while_squeue_does_not_answer(fake: FakeSlurm, store: Store) -> None:
    send(cells(1), store)
    fake.set(broken={"squeue": "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"})
    with pytest.raises(UserError, match="Unable to contact slurm controller"):
        send(cells(2), store)
    assert fake["submitted"] == 1 and queue.look(store.root).tasks[0].state == queue.UNKNOWN


def test_another_cluster_s_jobs_count_as_queued(fake: FakeSlurm, store: Store) -> None:
    send(cells(1), store)
    fake.set(config=fake["config"] | {"ClusterName": "other"})
    slurm.config.cache_clear()
    sent, _ = send(cells(1), store)
    assert sent.queued == cells(1) and "fake cannot be asked from here" in str(sent.problems[0])


def test_what_sbatch_refuses_is_one_line_and_what_it_took_stays(fake: FakeSlurm, store: Store) -> None:
    fake.set(refuse_after=1)
    sent, _ = send(cells(6), store)
    assert len(sent.submitted) == 4 and len(list(queue.records(store.root))) == 1
    (problem,) = sent.problems
    assert "mine: sbatch: QOSMaxSubmitJobPerUserLimit; Job violates accounting/QOS policy" in str(problem)
    with pytest.raises(UserError, match="QOSMax"):
        send(cells(6), store)
    fake.set(refuse_after=None)
    assert send(cells(6), store)[0].submitted == cells(6)[4:]


def test_two_at_once_take_turns(fake: FakeSlurm, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "POLL", 0.01)
    with queue.submitting(store.root) as first, queue.submitting(store.root) as second:
        assert (first, second) == (True, False)
    monkeypatch.setattr(remote, "TURN", 0.05)
    with queue.submitting(store.root), pytest.raises(UserError, match="another `run`"):
        send(cells(1), store)


@pytest.mark.parametrize(
    "field", [{"name": "a\0b"}, {"name": "a,b"}, {"name": "--all"}, {"job": "1;x"}, {"job": "1\n"}]
)
def test_a_record_whose_words_no_scheduler_gave_is_not_handed_to_it(field: dict[str, str], store: Store) -> None:
    array = queue.Array(name="harness-1", profile="p", cluster="c", submitted="now", tasks=(("0" * 16,),), job="7")
    folder = queue.record(store.root, array)
    assert len(list(queue.records(store.root))) == 1
    (folder / "array.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(array, **field)))
    assert not list(queue.records(store.root))


def test_records_go_when_nothing_is_left_to_do(fake: FakeSlurm, store: Store) -> None:
    send(cells(2), store)
    for cell in cells(2):
        store.write_result(make_result(cell))
    remote.tidy(store)
    assert list(queue.records(store.root))  # the jobs are just ending
    fake.set(queue=[])
    remote.tidy(store)
    assert not (store.root / ".jobs").exists()


def test_the_record_of_a_job_that_is_gone_goes_when_its_cells_have_a_newer_one(fake: FakeSlurm, store: Store) -> None:
    send(cells(2), store)
    fake.set(queue=[])
    remote.tidy(store)
    assert len(list(queue.records(store.root))) == 1  # its log may say why
    send(cells(2), store)
    assert len(list(queue.records(store.root))) == 1


# Waiting


def test_following_ends_with_the_cells(fake: FakeSlurm, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "POLL", 0.01)
    monkeypatch.setattr(remote, "ASK_EVERY", 0.0)
    done, failed, lost = cells(3)
    send(cells(3), store)
    store.write_result(make_result(done))
    store.write_failure(make_failure(failed))
    fake.set(queue=[line for line in fake["queue"] if line["job"] != "101_2"])
    told: list[str] = []
    watch = Watch(ended=lambda cell, status: told.append(status))
    ended = remote.follow(cells(3), store, watch)
    assert ended[done.key] == "done" and ended[failed.key] == "failed"
    assert ended[lost.key].startswith("error: job 101_2 has ended without a result of it; what it said: ")
    assert told == list(ended.values())


# The command line


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/mine.toml").write_text('time = "1:00:00"\nparallel = 2\n')
    return [*write_tiny(tmp_path), "--store", str(tmp_path / "runs"), "--on", str(tmp_path / "clusters/mine.toml")]


def test_a_dry_run_prints_the_scripts_and_submits_nothing(
    fake: FakeSlurm, tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", *tiny, "--dry-run", "--seeds", "0,1"]) == 0
    said = capsys.readouterr().out
    assert "#SBATCH --array=0-3%2" in said and "4 to submit" in said and "no number is known yet" in said
    assert not fake.called("sbatch") and not (tmp_path / "runs").exists()


def test_the_forecast_adds_up() -> None:
    some = cells(4)
    profile = msgspec.structs.replace(PROFILE, gpus=2, pack=2, parallel=1)
    lines = on_a_cluster(some, known(some[:3], 3600.0), profile)
    assert "3 x" in lines[1] and "1 h each" in lines[1] and "unknown" in lines[1]
    # 3 cells of an hour, two at once, on 2 GPUs: 1.5 hours of a job, 3 GPU-hours
    assert "3 GPU-hours, about 1 h 30 min with 1 jobs at once" in lines[-1]
    assert "beside 1 cells of which nothing is known" in lines[-1]


def test_a_run_submits_prints_the_table_and_returns(
    fake: FakeSlurm, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", *tiny]) == 0
    said = capsys.readouterr()
    assert "tiny" in said.out and "0/3 seeds" in said.out
    assert "submitted 101: 4 cells in 4 jobs, 1 h at the most" in said.err and "go on without this terminal" in said.err
    assert cli.main(["run", *tiny]) == 0
    assert "6 cells in the queue already" in capsys.readouterr().err and fake["submitted"] == 2


def test_a_refusal_exits_with_2_if_nothing_was_submitted_else_with_1(
    fake: FakeSlurm, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fake.set(refuse_after=0)
    assert cli.main(["run", *tiny]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    fake.set(refuse_after=1)
    assert cli.main(["run", *tiny]) == 1


def test_no_slurm_here_is_one_line(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    slurm.config.cache_clear()
    assert cli.main(["run", *tiny]) == cli.main(["run", *tiny, "--dry-run"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("no SLURM on this machine (no sbatch)" in line for line in lines)


@pytest.mark.parametrize("name", ["a\ntouch stolen\n", "a%j", "50%", "a\\b", "%t/runs", "a\udcff"])
def test_a_store_whose_path_means_something_in_a_script_is_refused(
    name: str, fake: FakeSlurm, tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line break in it would end the comment in which sbatch reads it: the rest ran as a command."""
    tiny[tiny.index("--store") + 1] = str(tmp_path / name)
    for more in ((), ("--dry-run",)):
        assert cli.main(["run", *tiny, *more]) == 2
        said = capsys.readouterr()
        assert "the path of the store has " in said.err and said.err.count("\n") == 1 and not said.out
    assert not fake.called("sbatch")


def test_where_a_profile_came_from_is_told(
    fake: FakeSlurm, tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = f"profile mine: {tmp_path}/clusters/mine.toml"
    assert cli.main(["run", *tiny, "--dry-run"]) == 0
    assert told in capsys.readouterr().out
    assert cli.main(["run", *tiny]) == 0
    assert f"harness: {told}" in capsys.readouterr().err


def test_without_srun_it_is_said_at_once(
    fake: FakeSlurm, tiny: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.slurm.shutil.which", lambda command: None if command == "srun" else command)
    assert cli.main(["run", *tiny]) == 2
    assert "no SLURM on this machine (no srun)" in capsys.readouterr().err
