"""SLURM's commands as one script that keeps its queue in a JSON file: for tests of what is asked and submitted.

The real thing is in `tests/slurm/`; nothing here says that SLURM behaves so, only that we ask it for what we mean to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sinfo", "srun")
SCRIPT = """#!{python} -ES
import json, re, sys
from pathlib import Path
command, given = Path(sys.argv[0]).name, sys.argv[1:]
file = Path({file!r})
if not file.is_file():  # a FIFO would be waited for
    sys.exit("slurm: no controller answers")
state = json.loads(file.read_text())
state["calls"].append([command, *given])

def leave(code=0):
    file.write_text(json.dumps(state))
    sys.exit(code)

if command in state["broken"]:
    print(state["broken"][command], file=sys.stderr)
    leave(1)
if command == "sbatch":
    text = Path(given[0]).read_text()
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.MULTILINE))
    if state["refuse_after"] is not None and state["submitted"] >= state["refuse_after"]:
        print("sbatch: error: QOSMaxSubmitJobPerUserLimit", file=sys.stderr)
        print("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy", file=sys.stderr)
        leave(1)
    state["submitted"] += 1
    number = 100 + state["submitted"]
    last = int(re.match(r"0-(\\d+)", options["array"])[1]) if "array" in options else None
    jobs = [str(number)] if last is None else [f"{{number}}_{{index}}" for index in range(last + 1)]
    state["queue"] += [dict(job=job, name=options["job-name"], state="PENDING") for job in jobs]
    state["scripts"].append(text)
    print(f"Submitted batch job {{number}}")
elif command == "squeue":
    names = given[given.index("--name") + 1].split(",") if "--name" in given else None
    numbers = given[given.index("--jobs") + 1].split(",") if "--jobs" in given else None
    for line in state["queue"]:
        if (names and line["name"] not in names) or (numbers and line["job"] not in numbers):
            continue
        if "--Format" in given:
            values = dict(JobArrayID=line["job"], Name=line["name"], State=line["state"], TimeLeft="1-00:00:10")
            values |= dict(RestartCnt=line.get("restarts", "2"), NodeList="n1", Reason=line.get("reason", "Priority"))
            fields = [field.split(":") for field in given[given.index("--Format") + 1].split(",")]
            print("".join(values[name].ljust(int(width)) for name, width in fields))
        else:
            print(line["state" if "%T" in given else "job"])
elif command == "scontrol" and given[:2] == ["show", "config"]:
    for name, value in state["config"].items():
        print(f"{{name:<24}}= {{value}}")
elif command == "scontrol" and given[:2] == ["show", "partition"]:
    for name, limit in state["partitions"].items():
        if len(given) == 3 or given[3] == name:
            print(f"PartitionName={{name}} Default={{'YES' if name == 'main' else 'NO'}} MaxTime={{limit}} State=UP")
elif command == "sinfo":
    print("\\\\n".join(state["partitions"]))
leave()
"""


class FakeSlurm:
    """Its state, which tests read and change."""

    def __init__(self, folder: Path) -> None:
        self.bin, self._file = folder / "bin", folder / "slurm.json"
        self.bin.mkdir(parents=True)
        config = {"ClusterName": "fake", "MaxArraySize": "4", "AccountingStorageType": "accounting_storage/none"}
        self.set(
            queue=[],
            calls=[],
            scripts=[],
            broken={},
            submitted=0,
            refuse_after=None,
            config=config | {"SLURM_VERSION": "22.05.8"},
            partitions={"main": "2-00:00:00", "short": "00:30:00", "endless": "UNLIMITED"},
        )
        for command in COMMANDS:
            path = self.bin / command
            path.write_text(SCRIPT.format(python=sys.executable, file=str(self._file)))
            path.chmod(0o755)

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._file.read_text())[name]

    def set(self, **changes: Any) -> None:
        known = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._file.write_text(json.dumps(known | changes))

    def called(self, command: str) -> list[list[str]]:
        return [call[1:] for call in self["calls"] if call[0] == command]
