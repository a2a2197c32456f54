"""What computes a layer of neurons on a GPU, against the loop in float64 on the processor: spikes and gradients.

Every neuron of the registry; of those that Triton's kernels serve, every variant too. Where there is no GPU, Triton's
interpreter runs the same kernels on the processor.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import torch
from gpu.place import Absent, Found, Place, check, each, measured
from torch import Tensor, nn

from baselines import METHODS, kernels
from baselines.kernels import dispatch
from baselines.method import Parts
from baselines.parts.neurons import FoldedFire, HardReset, SpikingNeuron
from baselines.parts.surrogates import STE, SURROGATES
from harness.measure.computed import computed_by

WORST, LOOPED = 5e-6, 1e-4
"""Relative differences that float32 may make: of a kernel, and of torch's own operations one by one."""
SHAPES = ((5, 3, 2), (16, 2, 2), (70, 1, 1), (3, 1, 4))
"""Maps that fill tiles and maps that do not."""
LARGE = 2**31
"""Entries of all timesteps together: more than 32 bits can count."""
DRAWS = 3
"""Of currents, until no potential lies so near to its threshold that float32 decides otherwise."""
SPARE = 1e-5
"""Share of the entries of a large layer that may be decided otherwise; sums over all of them then differ by 1 %."""
Shape = tuple[int, int, int]


def neurons(place: Place) -> Iterator[Found]:
    if kernels.triton() is None:
        yield from each(place, {"Triton kernels": _no_triton})
    methods = {method: partial(_method, method, place) for method in place.some(METHODS)}
    variants = {"variants": partial(_variants, place), "many tiles": partial(_many_tiles, place)}
    evaluation = {"evaluation": partial(_evaluation, place), "more than 2^31 entries": partial(_large, place)}
    yield from each(place, {**methods, **(variants | evaluation if kernels.triton() is not None else {})})


def _no_triton() -> Iterator[Found]:
    raise Absent("Triton is not installed, or has no GPU that it knows")


def _method(method: str, place: Place) -> Iterator[Found]:
    found = METHODS.get(method)
    surrogate = found.surrogate if hasattr(found.surrogate, "derivative") else STE()

    def make() -> nn.Module:
        layer = Parts(method=found, timesteps=2, surrogate=surrogate).neuron((16, 2, 2))  # type: ignore[arg-type]
        return getattr(layer, "snn", layer)

    worst, by = drawn(make, (16, 2, 2), 2, 9, place.device)
    yield check(method, worst <= (WORST if "Triton" in by else LOOPED), f"{said_of(worst)}, {by}")


def _variants(place: Place) -> Iterator[Found]:
    """Norm, carried potential, detached reset, surrogate, timesteps."""
    worst = 0.0
    cases = itertools.product(["vanilla", "mpbn", "mpbn-element"], ["raw", "normalised"], [False, True])
    others = itertools.cycle(itertools.product(SURROGATES, [3, 1, 2]))
    for number, ((method, carry, detach), (surrogate, timesteps)) in enumerate(zip(cases, others, strict=False)):
        neuron = replace(METHODS.get(method).neuron, carry=carry, reset=HardReset(detach))
        shape = SHAPES[number % len(SHAPES)]
        make = partial(neuron.build, shape, timesteps, SURROGATES[surrogate])
        error, by = drawn(make, shape, timesteps, 9, place.device)
        said = f"{method}, {surrogate}, T = {timesteps}, {carry}{', detached' if detach else ''}"
        worst = max(worst, error)
        if error > WORST or "Triton" not in by:
            yield check(said, False, f"{said_of(error)}, {by}")
    yield check("12 variants of the neurons with kernels", worst <= WORST, f"{said_of(worst)} at worst")


def _many_tiles(place: Place) -> Iterator[Found]:
    """As many parts a column as a large batch has; on a GPU that batch itself."""
    on_gpu = kernels.triton()
    assert on_gpu is not None
    shape, batch = place.size(((64, 32, 32), 64), ((19, 3, 3), 7))
    sizes = place.size({}, {"TILE": 64, "PARTS": 4})
    with patch.multiple(on_gpu, **sizes):
        for method in ("mpbn", "mpbn-element"):
            make = partial(METHODS.get(method).neuron.build, shape, 2, STE())
            bound, spare = place.size((0.01, SPARE), (WORST, 0.0))
            worst, by = drawn(make, shape, 2, batch, place.device, spare)
            yield check(f"{method}, statistics over many tiles", worst <= bound, f"{said_of(worst)}, {by}")


def _evaluation(place: Place) -> Iterator[Found]:
    """Unfolded and folded, on currents many of which sit on a threshold: to the bit."""
    shape = (5, 3, 3)
    for method, carry in itertools.product(["vanilla", "mpbn", "mpbn-element"], ["raw", "normalised"]):
        layer = replace(METHODS.get(method).neuron, carry=carry).build(shape, 2, STE()).eval()
        with torch.no_grad():
            for p in (*layer.parameters(), *layer.buffers()):
                p.copy_(torch.randn(p.shape).abs() - 0.2 * (p.dim() > 1))
        yield check(f"{method}, evaluated, {carry}", evaluated(layer, shape, place.device))
    for places, signs in itertools.product([(5, 1, 1), shape], [torch.ones, lambda p: torch.randn(p).sign()]):
        layer = METHODS.get("vanilla").neuron.build(shape, 2, STE()).eval()
        layer.fire = FoldedFire(torch.randn(places).mul(8).round().div(8), signs(places))
        said = "signed" if signs is not torch.ones else "one sign"
        element = "a channel" if places[1] == 1 else "an element"
        yield check(f"folded, a threshold {element}, {said}", evaluated(layer, shape, place.device))


def drawn(
    make: Callable[[], nn.Module], shape: Shape, timesteps: int, batch: int, device: torch.device, spare: float = 0.0
) -> tuple[float, str]:
    """Of the first currents on which no spike differs, if there are any: what `trained` says."""
    found = math.inf, ""
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        found = trained(make(), shape, timesteps, batch, device, spare)
        if found[0] < math.inf:
            break
    return found


def trained(
    layer: nn.Module, shape: Shape, timesteps: int, batch: int, device: torch.device, spare: float
) -> tuple[float, str]:
    """The largest relative difference of outputs, gradients and statistics, and what computed; infinite where a spike
    differs, a share of `spare` aside."""
    with torch.no_grad():
        for parameter in layer.parameters():
            if isinstance(layer, SpikingNeuron) and layer.threshold is None and layer.receive is None:
                parameter.normal_()
    reference = copy.deepcopy(layer).double()
    x, g = torch.randn(2, timesteps * batch, *shape).unbind()
    layer.to(device)
    a = x.to(device).clone(memory_format=torch.channels_last).requires_grad_()
    b, outputs = x.double().requires_grad_(), []
    by = computed_by(lambda: outputs.append(layer(a))).removeprefix("1 × ")
    (s,), r = outputs, reference(b)
    if error(s, r.detach(), spare) > LOOPED:
        return math.inf, by
    s.backward(g.to(device)), r.backward(g.double())
    pairs = [(a.grad, b.grad), *zip(layer.buffers(), reference.buffers(), strict=True)]
    pairs += [(p.grad, q.grad) for p, q in zip(layer.parameters(), reference.parameters(), strict=True)]
    return max(error(p, q, spare) for p, q in pairs if q is not None), by


def said_of(worst: float) -> str:
    return f"{worst:.1e}" if worst < math.inf else "a spike differs"


def error(p: Tensor | None, q: Tensor, spare: float = 0.0) -> float:
    """The largest difference, over the largest entry; a share of `spare` of the entries aside."""
    if p is None:
        return math.inf
    apart = (p.detach().cpu().double() - q).abs().flatten()
    largest = apart.topk(1 + int(spare * len(apart))).values[-1] if spare else apart.max()
    return float(largest / q.abs().max().clamp(min=1e-30))


def evaluated(layer: SpikingNeuron, shape: Shape, device: torch.device) -> bool:
    """Whether Triton gives the spikes of the loop in float32 on the same device: both round alike."""
    x, layer = torch.randn(layer.timesteps * 3, *shape).mul(8).round().div(8).to(device), layer.to(device)
    with torch.no_grad():
        return torch.equal(dispatch.infer(kernels.triton(), layer, x), layer.loop(x))  # type: ignore[arg-type]


def _large(place: Place) -> Iterator[Found]:
    """Neurons that lie beyond what 32 bits count are computed as those that lie before."""
    if place.stand_in:
        raise Absent("needs a GPU of 48 GiB")
    free, _ = torch.cuda.mem_get_info()
    if free < 48 * 2**30:
        raise Absent(f"needs 48 GiB, {free / 2**30:.0f} are free")
    layer = METHODS.get("vanilla").neuron.build((1024, 1, 1), 4, STE()).to(place.device)
    x = torch.randn(4 * (LARGE // 4 // 1024 + 64), 1024, 1, 1, device=place.device)
    s = layer(x.requires_grad_())
    s.backward(torch.ones_like(s))
    last = x.detach().unflatten(0, (4, -1))[:, -64:].flatten(0, 1).cpu().requires_grad_()
    r = layer.loop(last)
    r.backward(torch.ones_like(r))
    ours = [each.unflatten(0, (4, -1))[:, -64:].flatten(0, 1).cpu() for each in (s.detach(), x.grad)]  # type: ignore[union-attr]
    right = torch.equal(ours[0], r.detach()) and torch.allclose(ours[1], last.grad, atol=1e-6)  # type: ignore[arg-type]
    yield check("more than 2^31 entries", right)
    yield measured("peak of that", f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
