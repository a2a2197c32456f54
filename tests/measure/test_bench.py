"""Both benches whole, at sizes that take seconds: what is timed is what they say, and the page tells all of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from harness.cli import main
from harness.errors import UserError, UserErrors
from harness.measure import bench
from harness.measure.implementations import VARIANTS, Stepper
from harness.measure.judge import timer_of
from harness.measure.networks import negate_every_other_scale, noise, prepared
from harness.measure.spec import Benched, Grid, Latency, Setting, Subject, Training

SMALL = Setting(architecture="resnet20", width=0.0625, timesteps=2, batch=2)
CPU = torch.device("cpu")


def test_latency_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = bench.load("latency")
    assert isinstance(shipped, Latency)
    own = tmp_path / "own.toml"
    head = (bench.folder() / "latency.toml").read_text().partition("[[grid]]")[0]
    one = 'architecture = ["resnet20"]\nwidth = [0.0625]\ntimesteps = [2]\nbatch = [1]\nrounds = 3\n'
    own.write_text(f"{head}[[grid]]\n{one}")
    assert main(["bench", str(own), "--format", "json", "--out", str(tmp_path)]) == 0
    done = msgspec.json.decode((tmp_path / "latency-cpu.json").read_bytes(), type=Benched)
    labels = [shipped.reference.label, *(subject.label for subject in shipped.subject), "A/A control"]
    assert [t.subject for t in done.timings if t.clock == "cpu"] == labels
    assert {t.clock for t in done.timings} == {"cpu", "wall"}
    assert all(0 < t.low <= t.ratio <= t.high and t.milliseconds > 0 for t in done.timings)
    assert str(tmp_path) not in (tmp_path / "latency-cpu.json").read_text()
    two = msgspec.structs.replace(done, environment=done.environment | {"threads": 2})
    assert bench.record(two, tmp_path).name == "latency-cpu-2-threads.json"
    page = msgspec.json.decode(capsys.readouterr().out)
    records = page["rows"]
    assert len(records) == len(done.timings) and records[0]["subject"] == labels[0]
    (tmp_path / "latency-cpu.svg").unlink()
    assert main(["bench", str(tmp_path / "latency-cpu.json"), "--format", "csv"]) == 0  # told and drawn again
    assert capsys.readouterr().out.count('"mpbn-element, folded"') == 2
    assert "A/A control" in (tmp_path / "latency-cpu.svg").read_text()
    assert (tmp_path / "latency-cpu.md").read_text().count("| A/A control |") == 2


def test_several_threads_are_timed_by_the_wall() -> None:
    before = torch.get_num_threads()
    try:
        for threads, clocks in ((1, ["cpu", "wall"]), (2, ["wall", "cpu"])):
            torch.set_num_threads(threads)
            assert list(timer_of(CPU)(lambda: None)) == clocks
    finally:
        torch.set_num_threads(before)


def test_a_folded_subject_is_the_network_it_says() -> None:
    images = noise(SMALL, CPU)
    for signed in (False, True):
        plain = prepared(Subject(method="mpbn", signed=signed), SMALL, CPU)
        folded = prepared(Subject(method="mpbn", signed=signed, folded=True), SMALL, CPU)
        assert not plain.training and not any("norm" in name.split(".")[-1] for name, _ in folded.named_buffers())
        with torch.inference_mode():
            torch.testing.assert_close(folded(images), plain(images), atol=1e-4, rtol=1e-4)
    negative = prepared(Subject(method="mpbn", signed=True), SMALL, CPU)
    weights = [m.normalise.weight for m in negative.spiking_layers().values()]
    assert all((w[::2] < 0).all() and (w[1::2] > 0).all() for w in weights)
    negate_every_other_scale(negative)
    assert all((w > 0).all() for w in weights)


def test_every_implementation_of_a_training_step_takes_the_same_gradient() -> None:
    """But for the bound and SpikingJelly, which compute something else, and bfloat16, which rounds."""
    setting = msgspec.structs.replace(SMALL, method="mpbn")
    gradients = {}
    for name in VARIANTS:
        if name not in ("bound", "SpikingJelly", "ours, bfloat16"):
            step = Stepper(name, setting, CPU)
            step()
            gradients[name] = torch.cat([p.grad.flatten() for p in step.network.parameters() if p.grad is not None])
    reference = gradients.pop("plain loop")
    for name, gradient in gradients.items():
        error = (gradient - reference).abs().max() / reference.abs().max()
        assert error < 1e-3, (name, float(error))


def test_the_step_in_bfloat16_rounds_its_convolutions() -> None:
    step = Stepper("ours, bfloat16", msgspec.structs.replace(SMALL, method="mpbn"), CPU)
    seen = set()
    for module in step.network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, given, y: seen.add(y.dtype))
    step()
    assert seen == {torch.bfloat16}


def test_training_bench_measures_time_memory_and_growth(tmp_path: Path) -> None:
    shipped = bench.load("training")
    assert isinstance(shipped, Training) and len(shipped.growth) == 3
    assert all(len(grid.varied) == 1 for grid in shipped.growth)
    sizes = {"method": ("mpbn",), "width": (0.0625,), "batch": (2,), "timesteps": (2,)}
    small = bench.narrowed(shipped, sizes, rounds=2)
    assert len(small.grid) == 1  # the shipped grids fall together
    over = Grid(architecture=("resnet20",), width=(0.0625,), timesteps=(1, 4), batch=(2,), method=("mpbn",))
    target = msgspec.structs.replace(shipped.target[-1], width=0.0625, timesteps=2, batch=2)
    changed = {"growth": (over,), "target": (target,), "subject": ("ours", "ours, recompute"), "grows": ("ours",)}
    told: list[str] = []
    done = bench.run(msgspec.structs.replace(small, **changed), threads=1, tell=told.append)
    assert told == ["1 of 2: mpbn, resnet20, width 0.0625, T = 2, batch 2", "2 of 2: growth over timesteps"]
    saved = {t.subject: t.figures["MiB saved"] for t in done.timings if t.figures}
    assert saved["ours, recompute"] < saved["ours"] < saved["plain loop"] < saved["released semantics"]
    assert {t.reference for t in done.timings} == {"bound", "plain loop", "released semantics"}
    assert [(g.what, g.sizes) for g in done.growth] == [("milliseconds", (1, 4)), ("MiB saved", (1, 4))]
    assert done.growth[1].exponent == pytest.approx(1, abs=0.05)  # what is saved is linear in T
    assert [(m.target.says, m.verdict) for m in done.targets] == [("saved activations with recompute", "met")]
    assert bench.read(bench.record(done, tmp_path)) == done


def test_the_shipped_latency_bench_covers_what_the_paper_names() -> None:
    shipped = bench.load("latency")
    assert isinstance(shipped, Latency) and min(grid.rounds or shipped.rounds for grid in shipped.grid) >= 100
    settings = [setting for grid in shipped.grid for setting in grid.settings()]
    for architecture in ("resnet20", "resnet19", "vgg16", "resnet18", "resnet34"):
        covered = {(s.timesteps, s.batch > 1) for s in settings if s.architecture == architecture}
        assert covered == {(t, larger) for t in (1, 2, 4) for larger in (False, True)}
    bounds = {subject.label: subject.within for subject in shipped.subject}
    assert bounds["mpbn, folded"] == 0.02
    assert bounds["mpbn, signed, folded"] == bounds["mpbn-element, folded"] == 0.04


def test_bad_benches_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        bench.read(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(UserError, match="no record of a bench"):
        bench.read(tmp_path / "broken.json")
    with pytest.raises(UserError, match="latency"):
        bench.load("latenzy")
    own = tmp_path / "own.toml"
    own.write_text('kind = "latency"\nname = "own"\ntitel = "x"\n')
    with pytest.raises(UserErrors, match="did you mean `title`"):
        bench.load(str(own))
    shipped = (bench.folder() / "training.toml").read_text()
    own.write_text(shipped.replace("timesteps = [1, 2, 4, 8]", "timesteps = [4]").replace("at_least = 2.5\n", ""))
    with pytest.raises(UserErrors) as caught:
        bench.load(str(own))
    assert "growth 1: varies nothing; give several" in str(caught.value)
    assert "target 1: asks for nothing" in str(caught.value)
