"""Both benches whole, at sizes that take seconds: what is timed is what they say, and the page tells all of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from harness.cli import main
from harness.errors import UserError, UserErrors
from harness.measure import bench
from harness.measure.networks import negate_every_other_scale, noise, prepared
from harness.measure.spec import Benched, Setting, Subject, Training
from harness.measure.training import VARIANTS, Stepper

SMALL = Setting(architecture="resnet20", width=0.0625, timesteps=2, batch=2)
CPU = torch.device("cpu")


def test_latency_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [
        "--architecture",
        "resnet20",
        "--width",
        "0.0625",
        "--timesteps",
        "2",
        "--batch",
        "1",
        "--rounds",
        "3",
        "--format",
        "json",
    ]
    assert main(["bench", "latency", *sizes, "--format", "json", "--out", str(tmp_path)]) == 0
    done = msgspec.json.decode((tmp_path / "latency-cpu.json").read_bytes(), type=Benched)
    shipped = bench.load("latency")
    labels = [shipped.reference.label, *(subject.label for subject in shipped.subject), "A/A control"]
    assert [t.subject for t in done.timings if t.clock == "cpu"] == labels
    assert {t.clock for t in done.timings} == {"cpu", "wall"}
    assert all(0 < t.low <= t.ratio <= t.high and t.milliseconds > 0 for t in done.timings)
    assert str(tmp_path) not in (tmp_path / "latency-cpu.json").read_text()
    records = msgspec.json.decode(capsys.readouterr().out)["rows"]
    assert len(records) == len(done.timings) and records[0]["subject"] == labels[0]


def test_a_folded_subject_is_the_network_it_says() -> None:
    images = noise(2, CPU)
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
    """But for the bound and SpikingJelly, which compute something else."""
    setting = msgspec.structs.replace(SMALL, method="mpbn")
    gradients = {}
    for name in VARIANTS:
        if name not in ("bound", "SpikingJelly"):
            step = Stepper(name, setting, CPU)
            step()
            gradients[name] = torch.cat([p.grad.flatten() for p in step.network.parameters() if p.grad is not None])
    reference = gradients.pop("plain loop")
    for name, gradient in gradients.items():
        error = (gradient - reference).abs().max() / reference.abs().max()
        assert error < 1e-3, (name, float(error))


def test_training_bench_measures_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = bench.load("training")
    assert isinstance(shipped, Training)
    small = bench.narrowed(shipped, {"method": ("mpbn",), "width": (0.0625,), "batch": (2,), "timesteps": (2,)}, 2)
    assert len(small.grid) == 1  # the shipped grids fall together
    told: list[str] = []
    done = bench.run(small, threads=1, tell=told.append)
    assert told == ["mpbn, resnet20, width 0.0625, T = 2, batch 2"]
    saved = {t.subject: t.figures["MiB saved"] for t in done.timings if t.figures}
    assert saved["ours, recompute"] < saved["ours"] < saved["plain loop"]
    assert {t.reference for t in done.timings} == {"bound", "plain loop"}


def test_bad_benches_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="latency"):
        bench.load("latenzy")
    own = tmp_path / "own.toml"
    own.write_text('kind = "latency"\nname = "own"\ntitel = "x"\n')
    with pytest.raises(UserErrors, match="did you mean `title`"):
        bench.load(str(own))
