"""Networks that fire as often as a bench wants, and the picture of time against it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from harness.errors import UserErrors
from harness.measure import bench
from harness.measure.networks import noise, prepared
from harness.measure.spec import Benched, Latency, Setting, Subject, Timing
from harness.render.bench import write
from harness.render.crossing import crossing
from harness.train.proof import recorded

CPU = torch.device("cpu")
SETTING = Setting(architecture="resnet20", width=0.125, timesteps=2, batch=4, rate=0.2)


@pytest.mark.parametrize("subject", [Subject(method="vanilla"), Subject(method="mpbn", folded=True)], ids=str)
def test_every_layer_fires_at_the_rate_of_the_setting(subject: Subject) -> None:
    network = prepared(subject, SETTING, CPU)
    with torch.no_grad(), recorded(network) as spikes:
        network(noise(SETTING, CPU))
    assert len(spikes) == 19
    assert all(float(s.mean()) == pytest.approx(0.2, abs=0.02) for s in spikes.values())


def test_an_event_driven_subject_says_so_and_computes_the_same() -> None:
    subject = Subject(method="mpbn", folded=True)
    events = msgspec.structs.replace(subject, events=True)
    assert (subject.label, events.label) == ("mpbn, folded", "mpbn, folded, events")
    ours, dense = prepared(events, SETTING, CPU), prepared(subject, SETTING, CPU)
    assert any(type(module).__name__ == "EventConv2d" for module in ours.modules())
    with torch.inference_mode():
        torch.testing.assert_close(ours(noise(SETTING, CPU)), dense(noise(SETTING, CPU)), atol=1e-4, rtol=1e-4)


def timings(*ratios: float) -> tuple[Timing, ...]:
    given = {"reference": "a", "clock": "cpu", "low": 1.0, "high": 1.0}
    rates = [(i + 1) / 10 for i in range(len(ratios))]
    settings = [msgspec.structs.replace(SETTING, rate=rate) for rate in rates]
    pairs = list(zip(settings, ratios, strict=True))
    dense = [Timing(setting=s, subject="a", milliseconds=2.0, ratio=1.0, **given) for s, _ in pairs]
    return (*dense, *(Timing(setting=s, subject="b", milliseconds=2 * r, ratio=r, **given) for s, r in pairs))


def test_where_the_lines_cross() -> None:
    assert crossing(timings(0.5, 0.8, 1.2)[3:]) == pytest.approx(0.25)
    assert crossing(timings(0.5, 0.8)[2:]) is None
    assert crossing(timings(1.5, 1.8)[2:]) is None


def test_a_bench_over_rates_has_its_picture(tmp_path: Path) -> None:
    shown = Benched(
        bench="events",
        title="Silence",
        rounds=3,
        timings=timings(0.5, 0.8, 1.2),
        environment={"device": "cpu"},
        when="",
    )
    write(shown, tmp_path / "events-cpu")
    assert "0.25" in (tmp_path / "events-cpu-rates.svg").read_text()
    assert "firing rate 0.1" in (tmp_path / "events-cpu.md").read_text()


def test_the_shipped_bench_goes_from_five_to_fifty_percent(tmp_path: Path) -> None:
    shipped = bench.load("events")
    assert isinstance(shipped, Latency)
    for grid in shipped.grid:
        assert min(grid.rate) == 0.05 and max(grid.rate) == 0.5 and grid.batch == (1, 8)
    assert sum(len(grid.architecture) * len(grid.width) for grid in shipped.grid) == 5
    text = (bench.folder() / "events.toml").read_text().replace("rate = [0.05,", "rate = [1.5,", 1)
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(UserErrors, match="`rate`"):
        bench.load(str(tmp_path / "wrong.toml"))
