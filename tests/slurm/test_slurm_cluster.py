"""The test cluster itself: it is what a site is, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import testcluster
from stage import Stage, until

SCRIPT = Path(testcluster.__file__)


def test_two_clusters_side_by_side_and_no_process_is_left(cluster: testcluster.Cluster) -> None:
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        with testcluster.cluster(Path(folder) / "other") as other:
            assert cluster.states() == other.states() == {"idle"}
            job = other.run("sbatch", "--nodes=2", "--output=/dev/null", "--wrap", "srun sleep 1000")
            assert job.returncode == 0, job.stderr
            until(lambda: other.run("squeue", "--noheader", "--states=R").stdout != "", 30, "the job did not start")
            assert cluster.run("squeue", "--noheader").stdout == ""
            mine = other._processes()
            assert len(mine) >= 4
        assert not other.answers() and other._processes() == [] and not any(map(testcluster.alive, mine))
        assert cluster.states() == {"idle"}


def test_an_urgent_job_takes_the_place_of_another(stage: Stage) -> None:
    """It is told by the signal it asked for, then requeued, and begins again by itself."""
    heard = stage.folder / "heard"
    script = f"trap 'echo told >> {heard}; exit 0' USR2; while :; do sleep 0.1; done"
    whole = ("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=4", "--output=/dev/null")
    told = ("--partition=spot", "--signal=USR2@60", "--requeue")
    (said,) = stage.said("sbatch", *whole, *told, "--wrap", f'srun bash -c "{script}"')
    job = said.split()[-1]
    until(lambda: stage.jobs("RUNNING") == [job], 30, "the job did not start")
    (said,) = stage.said("sbatch", *whole, "--partition=urgent", "--wrap", "sleep 1")
    urgent = said.split()[-1]
    until(lambda: urgent in stage.jobs("RUNNING"), 60, "nothing was preempted")
    assert heard.read_text().split() == ["told"] * 2  # one of each node


def test_a_lost_node_comes_back(stage: Stage, short: bool) -> None:
    if short:
        pytest.skip("it takes SLURM half a minute to miss a node")
    stage.cluster.kill_node("n2")
    until(lambda: "down" in {state.rstrip("*") for state in stage.cluster.states()}, 90, "nobody missed the node")
    stage.cluster.start_node("n2")
    until(lambda: stage.cluster.states() == {"idle"}, 60, "the node did not come back")


def test_missing_programs_are_named_in_one_line(tmp_path: Path) -> None:
    script = SCRIPT.read_text().replace("/usr/local/sbin:/usr/sbin:/sbin", "/nowhere")
    (tmp_path / "testcluster.py").write_text(script)
    command = [sys.executable, str(tmp_path / "testcluster.py"), "start", "--folder", str(tmp_path / "cluster")]
    done = subprocess.run(command, env={**os.environ, "PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "SLURM is not installed here; Debian and Ubuntu: apt-get install munge slurm-wlm\n"


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(testcluster.Unavailable, match="give a shorter --folder"):
        testcluster.Cluster(tmp_path / ("x" * 100)).start()


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(testcluster.Unavailable, match="give another --folder"):
        testcluster.Cluster(tmp_path).start()
    assert (tmp_path / "thesis.tex").exists()
