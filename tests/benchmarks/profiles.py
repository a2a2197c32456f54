"""`make profile`: where a training step and the printing of a table spend their time, as text for results/bench/.

python tests/benchmarks/profiles.py training|engine [FILE]
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import pstats
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROWS = 15
RESULTS = 10_000
STEPS = 10


def heading(what: str) -> Iterator[str]:
    from harness import environment

    told = environment.describe()
    yield what
    yield f"command: make profile; {told['cpu']}, {told['cores']} cores, threads {told['threads']}, {told['device']}"
    yield f"Python {told['python']}, torch {told['packages']['torch']}, commit {told['commit']}"
    yield ""


def training() -> str:
    """ResNet20 with MPBN, width 16, T = 4, batch 32, 32x32: forward, loss, backward, step; one thread."""
    from harness import environment

    environment.limit_threads(1)
    import torch
    from torch.profiler import ProfilerActivity, profile

    import baselines
    from baselines import kernels
    from harness.spec import Recipe
    from harness.train.loop import make_optimiser

    torch.set_num_threads(1)
    environment.keep_memory()
    torch.manual_seed(0)
    network = baselines.build("mpbn", "resnet20", shape=(3, 32, 32), classes=10, timesteps=4, width=0.25).train()
    optimiser = make_optimiser(network, Recipe(epochs=1))
    images, labels = torch.randn(32, 3, 32, 32), torch.arange(32) % 10

    def step() -> None:
        loss = network.method.objective(network(images), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    for _ in range(3):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(STEPS):
            step()
    table = seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=ROWS, max_name_column_width=50)
    head = f"{training.__doc__} {STEPS} steps, the {ROWS} largest by their own time.\nneurons: {kernels.state()}"
    return "\n".join([*heading(head), table.strip(), ""])


def engine() -> str:
    """`table table1` over a store of 10,000 results of 15 kB each, from the arguments to the page."""
    import msgspec
    from stand_in import make_cell, make_result

    from harness.cli import main
    from harness.store import Store

    with tempfile.TemporaryDirectory() as root:
        store = Store(Path(root) / "runs")
        for number in range(RESULTS):
            cell = make_cell(number % 5, method=f"method{number // 5}", epochs=100)
            folder = store.folder(cell)
            folder.mkdir(parents=True)
            (folder / "result.json").write_bytes(msgspec.json.encode(make_result(cell, proofs=3)))
            (folder / "cell.json").write_bytes(msgspec.json.encode(cell))
        seen = cProfile.Profile()
        with contextlib.redirect_stdout(io.StringIO()):
            seen.enable()
            main(["table", "table1", "--preset", "smoke", "--store", str(store.root)])
            seen.disable()
    text = io.StringIO()
    pstats.Stats(seen, stream=text).strip_dirs().sort_stats("tottime").print_stats(ROWS)
    pstats.Stats(seen, stream=text).strip_dirs().sort_stats("cumulative").print_stats(ROWS)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*heading(str(engine.__doc__)), *lines, ""])


PROFILES = {"training": training, "engine": engine}


def write(name: str, path: Path | None) -> None:
    text = "\n".join(line.rstrip() for line in PROFILES[name]().splitlines()) + "\n"
    if path is None:
        sys.stdout.write(text)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
