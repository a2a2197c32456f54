"""`bench overhead`: every method of the registry that is trained, by its own procedure, and by what it is computed."""

from __future__ import annotations

import msgspec
import pytest
import torch

from baselines import METHODS, kernels
from harness.errors import UserError, UserErrors
from harness.measure import bench, overhead
from harness.measure.computed import NONE, RECORDED, computed_by
from harness.measure.implementations import Stepper
from harness.measure.overhead import Step
from harness.measure.spec import CONTROL, LOOP, Benched, Overhead, Setting, Timing
from harness.render.bench import bench_page
from harness.statements.collect import collect
from harness.statements.evidence import Evidence, Ratio
from harness.statements.spec import Costs

SMALL = Setting(architecture="resnet20", width=0.0625, timesteps=2, batch=2)
CPU = torch.device("cpu")
SMALL_5 = msgspec.structs.replace(SMALL, timesteps=5)
IN_PARTS = "vanilla, 2 × T = 1"
SIZES = {"width": (0.0625,), "batch": (2,), "timesteps": (2,)}


def shipped() -> Overhead:
    found = bench.load("overhead")
    assert isinstance(found, Overhead)
    return found


@pytest.fixture(scope="module")
def done() -> Benched:
    few = bench.narrowed(
        shipped(), SIZES | {"method": ("plif", "ottt", "ann", "spikenorm", "tet", "ms-resnet", "bntt")}, 2
    )
    return bench.run(few, threads=1)


def test_the_shipped_bench_takes_the_whole_registry_at_both_widths() -> None:
    whole = shipped()
    assert whole.subject == tuple(METHODS)
    settings = {
        (setting.width, setting.timesteps) for grid in whole.grid if not grid.subject for setting in grid.settings()
    }
    assert settings == {(0.25, 4), (1.0, 4)}
    trained = {name for name in METHODS if METHODS.get(name).procedure.trains}
    timed = [name for piece in overhead.pieces(whole) if "width 1, T = 4" in piece.title for name in piece.take.args[2]]  # type: ignore[attr-defined]
    assert sorted([*timed, "vanilla"]) == sorted(trained)


def test_each_few_have_the_reference_and_a_control_of_their_own(done: Benched) -> None:
    groups = {timing.group for timing in done.timings}
    assert groups == {"1 of 2", "2 of 2"}
    for group in groups:
        subjects = [t.subject for t in against(done, "vanilla") if t.group == group]
        methods = [name for name in subjects if name != IN_PARTS]
        assert subjects[0] == "vanilla" and subjects[-1] == CONTROL and 3 <= len(methods) <= overhead.TOGETHER + 2
    assert done.notes[-1] == "Without a training step, since only converted: spikenorm."
    assert all(t.figures["MiB saved"] > 0 for t in done.timings if t.subject != CONTROL)
    as_the_training_bench = Stepper("ours", msgspec.structs.replace(SMALL, method="tet"), CPU).memory(CPU)
    (saved,) = {t.figures["MiB saved"] for t in done.timings if t.subject == "tet"}
    assert saved == as_the_training_bench["MiB saved"]


def against(done: Benched, reference: str) -> list[Timing]:
    return [t for t in done.timings if t.reference == reference and t.clock == "cpu"]


def test_a_walk_is_held_against_as_many_steps_of_the_reference_too(done: Benched) -> None:
    """In the same rounds, with a control of its own; the sum itself against the reference."""
    whole, parts = against(done, "vanilla"), against(done, IN_PARTS)
    assert [t.subject for t in parts] == [IN_PARTS, "ottt", CONTROL]
    (of_parts,) = (t for t in whole if t.subject == IN_PARTS)
    (group,) = {t.group for t in (of_parts, *parts)}
    taken = {t.subject: t.milliseconds for t in whole if t.group == group}
    for timing in parts[:2]:
        assert timing.milliseconds == taken[timing.subject]
        assert timing.ratio == pytest.approx(taken[timing.subject] / taken[IN_PARTS])


def test_what_a_step_is_made_of() -> None:
    """Of fewer timesteps at once as many steps as it takes; of more, a second network without neurons that fire."""

    def parts(kept: int) -> tuple[str, list[tuple[int, bool]]]:
        found = overhead.in_parts_of(msgspec.structs.replace(SMALL_5, method="vanilla"), kept, CPU, "ste")
        calls = list[tuple[int, bool]]()
        for part in dict.fromkeys(found.parts):
            fires = computed_by(part) != NONE
            part._with = lambda learner, part=part, fires=fires: calls.append((part.network.timesteps, fires))  # type: ignore[method-assign]
        found()
        return found.title, calls

    assert parts(2) == ("vanilla, 3 × T = 2", [(2, True)] * 3)
    assert parts(1) == ("vanilla, 5 × T = 1", [(1, True)] * 5)
    assert parts(6) == ("vanilla and an ANN of T = 1", [(5, True), (1, False)])


def test_two_networks_are_held_against_one_and_an_ann() -> None:
    few = bench.narrowed(shipped(), SIZES | {"method": ("joint-a-snn",)}, 2)
    found = bench.run(few, threads=1)
    reference = "vanilla and an ANN of T = 1"
    assert [t.subject for t in against(found, reference)] == [reference, "joint-a-snn", CONTROL]


def test_every_row_says_what_computed_it(done: Benched) -> None:
    computed = {t.subject: t.computed for t in done.timings if t.computed}
    fast = kernels.chosen(CPU)
    assert fast is not None and computed["vanilla"] == computed["tet"] == f"19 × {fast.NAME}"
    assert computed["ottt"] == f"19 × {RECORDED}" and computed["ann"] == NONE
    page = bench_page(done)
    assert {record["computed"] for record in page.records} == {*computed.values(), ""}
    timings = tuple(msgspec.structs.replace(t, computed="") for t in done.timings if t.subject != "plif")
    looping = tuple(msgspec.structs.replace(t, computed=f"19 × {LOOP}") for t in done.timings if t.subject == "plif")
    page = bench_page(msgspec.structs.replace(done, timings=timings + looping))
    assert "By a Python loop over the timesteps: plif (1 of 1)." in page.notes
    assert computed_by(Step(msgspec.structs.replace(SMALL, method="mpbn"), CPU, "ste")) == f"19 × {fast.NAME}"


def test_a_step_is_that_of_the_procedure() -> None:
    """Joint A-SNN's trains its ANN too, LTMD's shows the last layer everything twice; the learner leaves no update."""
    for method in ("vanilla", "joint-a-snn", "ltmd-moderate-dropout"):
        step = Step(msgspec.structs.replace(SMALL, method=method), CPU, "ste")
        before = [p.detach().clone() for p in step.network.parameters()]
        step()
        assert all(p.grad is not None for p in step.network.parameters())
        assert all(torch.equal(p, q) for p, q in zip(step.network.parameters(), before, strict=True))


def test_a_claim_takes_the_control_of_its_own_group() -> None:
    def timing(subject: str, group: str, high: float) -> Timing:
        said = {"reference": "vanilla", "clock": "cpu", "milliseconds": 1.0, "ratio": 1.0, "low": 0.99, "high": high}
        return Timing(setting=SMALL, subject=subject, group=group, rounds=40, **said)  # type: ignore[arg-type]

    timings = (timing("mpbn", "1 of 2", 1.05), timing(CONTROL, "1 of 2", 1.01), timing(CONTROL, "2 of 2", 1.3))
    benched = Benched(bench="overhead", title="", rounds=40, timings=timings, environment={}, when="")
    check = Costs(bench="overhead", subject="mpbn", reference="vanilla", below=1.1)
    (ratio,) = collect(check, {}, Evidence(benches=(benched,)))
    assert isinstance(ratio, Ratio) and ratio.control is not None and ratio.control.high == 1.01


def test_narrowed_to_some_methods() -> None:
    small = bench.narrowed(shipped(), SIZES | {"method": ("mpbn",)}, rounds=2)
    assert isinstance(small, Overhead) and small.subject == ("mpbn",) and len(small.grid) == 1
    other = bench.narrowed(shipped(), {"method": ("plif",)}, None)
    assert isinstance(other, Overhead) and len(other.grid) == 2, "not those that are of four methods alone"
    again = bench.narrowed(shipped(), {"timesteps": (4,)}, None)
    assert [grid.subject for grid in again.grid] == [(), ()], "nor any of them twice"
    with pytest.raises(UserError, match="did you mean `mpbn`"):
        bench.narrowed(shipped(), {"method": ("mpnb",)}, None)


def test_subjects_of_a_grid_are_subjects_of_the_bench(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for name, said in (("overhead", "no subject `mpnb`; did you mean `mpbn`"), ("latency", "of `overhead` alone")):
        text = (bench.folder() / f"{name}.toml").read_text().replace("[[grid]]", '[[grid]]\nsubject = ["mpnb"]', 1)
        (tmp_path / "own.toml").write_text(text)
        with pytest.raises(UserErrors) as caught:
            bench.load(str(tmp_path / "own.toml"))
        assert said in str(caught.value)
