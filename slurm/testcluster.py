#!/usr/bin/env python3
"""A private SLURM cluster of two nodes on this machine, to try jobs on: real daemons, own ports, nothing installed.

    python slurm/testcluster.py start      # prints how to use it
    eval "$(python slurm/testcluster.py env)"
    sinfo
    python slurm/testcluster.py stop

It needs the programs of SLURM and munge (Debian: slurm-wlm, munge), and `n1` and `n2` as names of this machine in
/etc/hosts, which root's `start` writes there. Several clusters, each in its own --folder, live side by side.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NODES = ("n1", "n2")
PROGRAMS = {"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm"}
"""Program -> Debian package."""
HOSTS = Path("/etc/hosts")
MARK = "SLURM_TESTCLUSTER"
"""Variable in the environment of all that runs on the cluster; its value is the cluster's folder."""
LONGEST_SOCKET = 107
"""Bytes in the name of a Unix socket."""

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CryptoType=crypto/munge
# cred_expire is also how long a requeued job waits before it may begin again; SLURM's own two minutes are long to watch
AuthInfo=socket={folder}/munge.socket,cred_expire={requeue_delay}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
GresTypes=gpu

# What a site may do to a job: small arrays, preemption, nodes that are lost and come back
MaxArraySize={array_size}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
KillWait=5
SlurmctldTimeout=20
SlurmdTimeout=15
ReturnToService=2
InactiveLimit=0
MinJobAge=60
DefMemPerCPU=256

# More CPUs and GPUs than the machine has: the jobs are small
SlurmdParameters=config_overrides
{nodes}
PartitionName=main  Nodes=ALL Default=YES MaxTime=0:30:0 DefaultTime=0:10:0 PriorityTier=2 PreemptMode=OFF
PartitionName=spot  Nodes=ALL MaxTime=1-0 DefaultTime=0:10:0 PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=urgent Nodes=ALL MaxTime=1-0 DefaultTime=0:10:0 PriorityTier=9 PreemptMode=OFF
PartitionName=brief Nodes=ALL MaxTime=0:1:0 DefaultTime=0:1:0 PriorityTier=2 PreemptMode=OFF
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=64000 Gres=gpu:2"


class Unavailable(Exception):
    """No cluster can be had here; one line that says why and what to do."""


class Cluster:
    """The cluster in `folder`, running or not."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).resolve()
        self.configuration = self.folder / "slurm.conf"

    @property
    def env(self) -> dict[str, str]:
        """What a command needs in its environment to speak to this cluster."""
        return {"SLURM_CONF": str(self.configuration)}

    def start(self, *, cpus: int = 4, array_size: int = 20, requeue_delay: int = 5, patience: float = 60) -> None:
        """Until both nodes are idle. `array_size` is SLURM's MaxArraySize: one more than the largest task number.

        Raises Unavailable: a program is missing, a name is, the folder's is too long, a daemon does not come up.
        """
        check(self.folder)
        if self.answers():
            return
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        for folder in (self.folder, self.folder / "state", *(self.folder / f"spool.{node}" for node in NODES)):
            folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self._write_key()
        self._write_configuration(cpus, array_size, requeue_delay)
        self._spawn("munged", *self._munge_options())
        self._wait("munged", lambda: (self.folder / "munge.socket").exists(), patience)
        self._spawn("slurmctld", "-D", "-c", "-f", str(self.configuration))
        for node in NODES:
            self.start_node(node)
        self._wait("slurmctld", lambda: self.states() == {"idle"}, patience)

    def stop(self) -> None:
        """Cancel what runs and end every process of the cluster, also one whose daemons have died."""
        if not self.configuration.exists():
            return
        if self.answers():
            self.run("scancel", "--full", "--user", pwd.getpwuid(os.getuid()).pw_name)
            deadline = time.monotonic() + 10
            while self.run("squeue", "--noheader").stdout and time.monotonic() < deadline:
                time.sleep(0.2)
        end(self._processes, signal.SIGTERM, patience=3)
        end(self._processes, signal.SIGKILL, patience=10)

    def answers(self) -> bool:
        return self.configuration.exists() and self.run("scontrol", "ping").returncode == 0

    def states(self) -> set[str]:
        """Of the nodes, as `sinfo` says."""
        return set(self.run("sinfo", "--noheader", "--Node", "--format=%T").stdout.split())

    def start_node(self, node: str) -> None:
        self._spawn("slurmd", "-D", "-N", node, "-f", str(self.configuration), name=node)

    def kill_node(self, node: str, number: int = signal.SIGKILL) -> None:
        """End the node's slurmd; what it had started lives on, as on a real node."""
        pid = int((self.folder / f"{node}.daemon").read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end(lambda: [pid] if alive(pid) else [], number, patience=5)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env={**os.environ, **self.env}, capture_output=True, text=True, check=False)

    def _spawn(self, program: str, *options: str, name: str = "") -> None:
        environment = {**os.environ, **self.env, MARK: str(self.folder)}
        with (self.folder / f"{name or program}.out").open("a") as output:
            told = subprocess.run(  # no child of ours, so that it needs no care
                ["/bin/sh", "-c", 'setsid "$@" >&2 & echo $!', "sh", str(find(program)), *options],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                check=True,
            )
        (self.folder / f"{name or program}.daemon").write_bytes(told.stdout)

    def _wait(self, program: str, ready: Callable[[], bool], patience: float) -> None:
        deadline = time.monotonic() + patience
        while not ready():
            daemons = [int(path.read_text()) for path in self.folder.glob("*.daemon")]
            if time.monotonic() > deadline or not all(map(alive, daemons)):
                said = "\n".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.out"))
                self.stop()
                raise Unavailable(f"the cluster did not come up ({program}): see {self.folder}/*.log\n{said}")
            time.sleep(0.2)

    def _processes(self) -> list[int]:
        """The daemons, and all that jobs have started."""
        marks = {f"{MARK}={self.folder}".encode()}
        job = {f"SLURM_CONF={self.configuration}".encode()}
        found = []
        for pid, variables in environments():
            if marks & variables or (job & variables and any(v.startswith(b"SLURM_JOB_ID=") for v in variables)):
                found.append(pid)
        return [pid for pid in found if pid != os.getpid()]

    def _munge_options(self) -> Iterator[str]:
        yield from ("--foreground", "--force", f"--key-file={self.folder}/munge.key")
        for name in ("socket", "pid-file", "log-file", "seed-file"):
            yield f"--{name}={self.folder}/munge.{name.removesuffix('-file')}"

    def _write_key(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)

    def _write_configuration(self, cpus: int, array_size: int, requeue_delay: int) -> None:
        port, *ports = free_ports(1 + len(NODES))
        host = socket.gethostname().partition(".")[0]
        nodes = (NODE.format(name=node, host=host, port=p, cpus=cpus) for node, p in zip(NODES, ports, strict=True))
        text = CONFIGURATION.format(
            host=host,
            port=port,
            user=pwd.getpwuid(os.getuid()).pw_name,
            folder=self.folder,
            requeue_delay=requeue_delay,
            array_size=array_size,
            nodes="\n".join(nodes),
        )
        self.configuration.write_text(text.lstrip())
        for number, device in enumerate(("null", "zero")):  # they stand in for GPUs: SLURM wants devices
            (self.folder / f"gpu{number}").symlink_to(f"/dev/{device}")
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-1]\n")
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")


@contextlib.contextmanager
def cluster(folder: Path | str, **options: int) -> Iterator[Cluster]:
    """Runs within the context. Raises Unavailable."""
    running = Cluster(folder)
    running.start(**options)
    try:
        yield running
    finally:
        running.stop()


def check(folder: Path) -> None:
    """Raises Unavailable if no cluster can be started in `folder`."""
    missing = sorted({package for program, package in PROGRAMS.items() if find(program) is None})
    if missing:
        raise Unavailable(f"SLURM is not installed here; Debian and Ubuntu: apt-get install {' '.join(missing)}")
    if len(os.fsencode(folder / "munge.socket")) > LONGEST_SOCKET:
        raise Unavailable(f"{folder}: too long a name for a socket in it; give a shorter --folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "slurm.conf").exists():
        raise Unavailable(f"{folder} holds something else, which would be lost; give another --folder")
    names = {name for line in HOSTS.read_text().splitlines() for name in line.partition("#")[0].split()[1:]}
    wanted = [name for name in NODES if name not in names]
    if wanted:
        line = f"127.0.0.1 {' '.join(wanted)}"
        try:
            with HOSTS.open("a") as file:
                file.write(f"\n{line}\n")
        except OSError:
            how = f"echo {line} | sudo tee -a {HOSTS}"
            raise Unavailable(f"{HOSTS} does not know {' and '.join(wanted)}; type: {how}") from None


def find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin")


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def environments() -> Iterator[tuple[int, set[bytes]]]:
    """Process number and variables of all processes that can be read."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), set((entry / "environ").read_bytes().split(b"\0"))


def alive(pid: int) -> bool:
    """Also false for one that has ended and whose parent has not asked."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def end(processes: Callable[[], list[int]], number: int, patience: float) -> None:
    """Signal them until none is left or patience is."""
    deadline = time.monotonic() + patience
    while (left := [pid for pid in processes() if alive(pid)]) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(0.3)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("start", "stop", "env", "status", "check"))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / f"testcluster-{os.getuid()}")
    options = parser.parse_args(arguments)
    one = Cluster(options.folder)
    if options.verb in ("start", "check"):
        try:
            one.start() if options.verb == "start" else check(one.folder)
        except Unavailable as reason:
            print(reason, file=sys.stderr)
            return 2
    if options.verb == "start":
        print(f"two nodes are up; to use them, type:\n{exports(one)}")
    elif options.verb == "stop":
        one.stop()
    elif options.verb == "check":
        print("a cluster can be started here")
    elif not one.answers():
        print(f"no cluster runs in {one.folder}; type: python slurm/testcluster.py start", file=sys.stderr)
        return 1
    elif options.verb == "env":
        print(exports(one))
    else:
        print(one.run("sinfo").stdout + one.run("squeue").stdout, end="")
    return 0


def exports(one: Cluster) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in one.env.items())


if __name__ == "__main__":
    sys.exit(main())
