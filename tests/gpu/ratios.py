"""Training steps and inference side by side on a GPU: ours, the bound, the released semantics, SpikingJelly's kernels.

CUDA events after warm-up, shuffled rounds, an A/A control: `harness/measure/sidebyside.py`. Then what a CUDA graph and
torch.compile would gain, and what bfloat16 and TF32 do.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import msgspec
import torch
from gpu.place import Absent, Found, Place, check, each, measured, told
from torch import Tensor

from harness import environment
from harness.measure import bench, training
from harness.measure.computed import computed_by
from harness.measure.implementations import Stepper
from harness.measure.judge import judged, timer_of
from harness.measure.networks import calibrate, noise, prepared, shape_of
from harness.measure.sidebyside import Work, interleave
from harness.measure.spec import CONTROL, Grid, Setting, Subject, Timing, Training
from harness.spec import Recipe
from harness.train.loop import make_optimiser

WIDTHS, BATCH, ROUNDS = (0.25, 1.0), 128, 20
STEPS = 5
"""Of training, after which losses in two precisions are compared."""
BOUND = 1e-4
"""Relative difference of gradients that a graph may make."""


def steps(place: Place) -> Iterator[Found]:
    """`bench training`, at a GPU's batch."""
    shipped = bench.load("training")
    assert isinstance(shipped, Training)
    grids = tuple(_grid(place.setting(m, width, BATCH)) for m in place.methods for width in WIDTHS)
    few = {"subject": ("ours",), "reference": ("bound",)} if place.short else {}
    whole = msgspec.structs.replace(shipped, grid=tuple(dict.fromkeys(grids)), growth=(), rounds=_rounds(place), **few)
    yield from each(place, {p.title: partial(p.take, place.device, lambda _: None) for p in training.pieces(whole)})  # type: ignore[dict-item]


def _grid(setting: Setting) -> Grid:
    return Grid(**{name: (getattr(setting, name),) for name in Grid.__struct_fields__ if hasattr(setting, name)})


def _rounds(place: Place) -> int:
    return place.size(ROUNDS, 2)


def passes(place: Place) -> Iterator[Found]:
    parts = {}
    for method in place.methods:
        for width, batch in ((1.0, 1), (1.0, BATCH), (0.25, BATCH)):
            setting = place.setting(method, width, batch)
            parts[setting.title] = partial(_passes, setting, place)
    yield from each(place, parts)


def _passes(setting: Setting, place: Place) -> Iterator[Found]:
    def work(name: str) -> Work:
        step = Stepper(name, setting, place.device)
        calibrate(step.network, shape_of(setting))
        step.network.eval()
        return partial(_infer, step.logits)

    folded = prepared(Subject(method=setting.method, folded=True), setting, place.device)
    names = ("bound", "ours") if place.short else ("bound", "ours", "plain loop", "SpikingJelly")
    pieces = {name: work(name) for name in _here(names)}
    pieces["ours, folded"] = partial(_infer, partial(folded, noise(setting, place.device)))
    yield from _judged(setting, pieces, work("bound"), "bound", place)


@torch.inference_mode()
def _infer(logits: Callable[[], Tensor]) -> Tensor:
    return logits()


def _here(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if name != "SpikingJelly" or importlib.util.find_spec("spikingjelly") is not None:
            yield name


def _judged(setting: Setting, work: Mapping[str, Work], again: Work, reference: str, place: Place) -> Iterator[Timing]:
    samples = interleave({**work, CONTROL: again}, _rounds(place), timer_of(place.device))
    yield from judged(setting, samples, reference, samples.pop(CONTROL))


def spikingjelly(place: Place) -> Iterator[Found]:
    """Its fused LIF node by one of its back ends, which is chosen as it is imported: a process each."""
    settings = (place.setting("vanilla", width, BATCH) for width in WIDTHS)
    yield from each(place, {setting.title: partial(_beside_spikingjelly, setting, place) for setting in settings})


def _beside_spikingjelly(setting: Setting, place: Place) -> Iterator[Found]:
    names = ("SpikingJelly", "ours", "bound")
    work = {name: Stepper(name, setting, place.device, "tanh") for name in names}
    again = Stepper("SpikingJelly", setting, place.device, "tanh")
    try:
        again()
    except RuntimeError as error:
        if "No available" in str(error):  # of its own selection: it cannot be had here
            raise Absent(str(error)) from error
        raise
    yield from _judged(setting, work, again, "SpikingJelly", place)


def graphs(place: Place) -> Iterator[Found]:
    yield from _gains("CUDA graph", _graphed, place)


def compiled(place: Place) -> Iterator[Found]:
    yield from _gains("torch.compile", _compiled, place)


def _gains(way: str, make: Callable[[Stepper], Work], place: Place) -> Iterator[Found]:
    parts = {}
    for width in WIDTHS:
        setting = place.setting("mpbn", width, BATCH)
        parts[f"{way}, {setting.title}"] = partial(_gain, way, make, setting, place)
    yield from each(place, parts)


def _gain(way: str, make: Callable[[Stepper], Work], setting: Setting, place: Place) -> Iterator[Found]:
    """A training step, and whether its gradients are still the same: a compiler may sum otherwise, and spikes flip."""
    environment.deterministic()
    plain, other = (Stepper("ours", setting, place.device, "tanh") for _ in range(2))
    work = make(other)
    plain(), work()
    apart = max(_apart(p.grad, q.grad) for p, q in _parameters(plain, other))
    says = f"{way}: gradients as without it, {setting.title}"
    yield check(says, apart <= BOUND, f"{apart:.1e}") if make is _graphed else measured(says, f"{apart:.1e} apart")
    yield from _judged(
        setting, {"ours": plain, way: work}, Stepper("ours", setting, place.device, "tanh"), "ours", place
    )


def _parameters(one: Stepper, other: Stepper) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(one.network.parameters(), other.network.parameters(), strict=True)


def _apart(p: Tensor | None, q: Tensor | None) -> float:
    if p is None or q is None:
        return 0.0 if p is q else float("inf")
    return float((p - q).abs().max() / p.abs().max().clamp(min=1e-6))


def _graphed(step: Stepper) -> Work:
    """Gradients live in the graph's own memory; what replays it reads them from where they always were."""
    if not torch.cuda.is_available():
        return step  # the stand-in has no graphs: the rest of the section runs all the same
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _compiled(step: Stepper) -> Work:
    """By the compiler's own back end for a GPU; the stand-in goes through its front alone, which takes seconds."""
    backend = "inductor" if torch.cuda.is_available() else "eager"
    step.network.forward = torch.compile(step.network.forward, backend=backend)  # type: ignore[method-assign]
    try:
        step()
    except Exception as error:  # what it cannot do is no promise of ours
        raise Absent(f"torch.compile cannot: {told(error)}") from error
    return step


def precisions(place: Place) -> Iterator[Found]:
    parts = {}
    for width in WIDTHS:
        setting = place.setting("mpbn", width, BATCH)
        parts[f"bfloat16, {setting.title}"] = partial(_bfloat16, setting, place)
        parts[f"TF32, {setting.title}"] = partial(_tf32, setting, place)
    yield from each(place, parts)


def _in(precision: str, setting: Setting, place: Place) -> Stepper:
    step = Stepper("ours", setting, place.device, "tanh")
    step.network.in_precision(precision)
    return step


def _bfloat16(setting: Setting, place: Place) -> Iterator[Found]:
    names = ("float32", "bfloat16")
    work = {name: _in(name, setting, place) for name in names}
    by = {name: computed_by(step) for name, step in work.items()}
    yield check("in bfloat16 the same kernels compute the neurons", by["float32"] == by["bfloat16"], by["bfloat16"])
    losses = {name: _losses(_in(name, setting, place)) for name in names}
    apart = max(abs(a - b) for a, b in zip(*losses.values(), strict=True))
    finite = all(loss == loss for loss in losses["bfloat16"])
    yield check(f"in bfloat16 {STEPS} steps have losses, {setting.title}", finite, f"{apart:.1e} nats from float32's")
    yield from _judged(setting, work, _in("float32", setting, place), "float32", place)


def _losses(step: Stepper) -> list[float]:
    optimiser = make_optimiser(step.network, Recipe(epochs=1))
    found = []
    for _ in range(STEPS):
        optimiser.zero_grad(set_to_none=True)
        loss = step.network.loss(step.logits(), step.labels)
        loss.backward()
        optimiser.step()
        found.append(float(loss.detach()))
    return found


def _tf32(setting: Setting, place: Place) -> Iterator[Found]:
    """What torch rounds the factors of float32 convolutions to by itself, beside IEEE's."""
    usual = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    yield measured("convolutions in float32, as torch sets it", usual)
    step = Stepper("ours", setting, place.device, "tanh")
    work = {name: _rounding(name, copy.copy(step)) for name in ("ieee", "tf32")}
    yield from _judged(setting, work, _rounding("ieee", copy.copy(step)), "ieee", place)
    torch.backends.cudnn.conv.fp32_precision = usual  # type: ignore[attr-defined]


def _rounding(how: str, step: Stepper) -> Work:
    def work() -> None:
        torch.backends.cudnn.conv.fp32_precision = how  # type: ignore[attr-defined]
        step()

    return work
