"""Every back end of the recurrence against the loop in float64: same spikes, gradients and running statistics."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from baselines import METHODS, build, kernels
from baselines.kernels import compiled, dispatch, manual
from baselines.parts.neurons import Carry, FoldedFire, HardReset, Neuron, SpikingNeuron
from baselines.parts.surrogates import STE, SURROGATES

needs_compiler = pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
BACKENDS = [
    pytest.param(manual, id="manual"),
    pytest.param(compiled, id="compiled", marks=needs_compiler),
]
NEURONS = {repr(METHODS.get(name).neuron): METHODS.get(name).neuron for name in METHODS}
NEURONS = {told: neuron for told, neuron in NEURONS.items() if isinstance(neuron, Neuron)}  # one loop over time
SHAPES = [(5, 7, 6), (16, 3, 3), (37, 1, 1), (1, 4, 4), (340, 1, 1)]
"""Channels below, equal to and above the kernel's blocks of 16 to 256; maps of one element."""


def prefer(monkeypatch: pytest.MonkeyPatch, backend: ModuleType | None) -> None:
    monkeypatch.setattr(kernels, "chosen", lambda device: backend)


def randomised(layer: SpikingNeuron) -> SpikingNeuron:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


def agrees(ours: SpikingNeuron, shape: tuple[int, int, int], batch: int = 80) -> None:
    """Spikes, gradients and running statistics of one call, against the loop in float64."""
    reference = copy.deepcopy(randomised(ours)).double()
    x, g = torch.randn(2, ours.timesteps * batch, *shape).unbind()
    a, b = x.clone().requires_grad_(), x.double().requires_grad_()
    s, r = ours(a), reference.loop(b)
    agree = s.double() == r
    assert agree.float().mean() > 0.9999  # a potential within rounding of V may fall either way
    if not agree.all():
        pytest.skip("a spike sat on the threshold: gradients of another spike train are not comparable")
    s.backward(g), r.backward(g.double())

    def close(p: Tensor | None, q: Tensor | None) -> None:
        assert p is not None and q is not None
        assert float((p.double() - q).abs().max()) <= 5e-6 * float(q.abs().max())

    close(a.grad, b.grad)
    for p, q in zip(ours.parameters(), reference.parameters(), strict=True):
        if p.requires_grad:
            close(p.grad, q.grad)
        else:
            assert p.grad is None and q.grad is None
    for p, q in zip(ours.buffers(), reference.buffers(), strict=True):
        close(p, q)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("timesteps", [1, 2, 4])
@pytest.mark.parametrize("method", ["vanilla", "mpbn", "mpbn-element"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_back_end_equals_the_loop(
    backend: ModuleType,
    method: str,
    timesteps: int,
    surrogate: str,
    shape: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prefer(monkeypatch, backend)
    torch.manual_seed(timesteps)
    agrees(METHODS.get(method).neuron.build(shape, timesteps, SURROGATES[surrogate]), shape)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("carry", ["raw", "normalised"])
@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("method", ["vanilla", "mpbn", "mpbn-element"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_back_end_equals_the_loop_in_every_variant(
    backend: ModuleType, method: str, detach: bool, carry: Carry, surrogate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefer(monkeypatch, backend)
    torch.manual_seed(0)
    neuron = replace(METHODS.get(method).neuron, reset=HardReset(detach), carry=carry)
    agrees(neuron.build((19, 3, 3), 3, SURROGATES[surrogate]), (19, 3, 3))


@pytest.mark.parametrize("neuron", NEURONS.values(), ids=NEURONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_registered_neuron(backend: ModuleType, neuron: Neuron, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever path it takes."""
    prefer(monkeypatch, backend)
    torch.manual_seed(1)
    agrees(neuron.build((6, 3, 3), 2, STE()), (6, 3, 3))


def test_the_adjoint_by_hand_is_that_of_autograd() -> None:
    """In float64, where nothing rounds away: to 1e-10."""
    for carry in ("raw", "normalised"):
        for detach in (False, True):
            torch.manual_seed(2)
            neuron = replace(METHODS.get("mpbn").neuron, reset=HardReset(detach), carry=carry)
            layer = randomised(neuron.build((6, 3, 3), 4, SURROGATES["tanh"])).double()
            x, g = torch.randn(2, 4 * 8, 6, 3, 3, dtype=torch.double).unbind()
            a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
            s, r = dispatch.train(manual, layer, a), layer.loop(b)  # type: ignore[arg-type]
            assert torch.equal(s, r)
            parameters = list(layer.parameters())
            for p, q in zip(
                torch.autograd.grad(s, [a, *parameters], g), torch.autograd.grad(r, [b, *parameters], g), strict=True
            ):
                torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_edges_of_the_surrogate_belong_to_it(backend: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    prefer(monkeypatch, backend)
    one, zero = torch.ones(()), torch.zeros(())
    u = torch.stack([zero, -zero, one, torch.nextafter(zero, -one), torch.nextafter(one, 2 * one), one / 2])
    x = u.repeat(16, 1).t().reshape(6, 16, 1, 1).contiguous().requires_grad_()
    METHODS.get("vanilla").neuron.build((16, 1, 1), 1, STE())(x).sum().backward()
    assert x.grad is not None and x.grad[:, 0].flatten().tolist() == [1, 1, 1, 0, 0, 1]


# --- evaluation -------------------------------------------------------------------------------------------------------

finite = st.floats(-4, 4, allow_nan=False, width=32)
scales = st.one_of(finite, st.sampled_from([0.0, 1e-6, -1e-6, 1e-30, -1e-38, 1.0, -1.0]))


@st.composite
def evaluated(draw: st.DrawFn) -> tuple[SpikingNeuron, Tensor]:
    """A layer as it may be after training or folding, and currents, some of them exactly on the threshold."""
    timesteps, side = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    shape = (draw(st.sampled_from([1, 3, 16, 19, 700])), side, side)
    method = draw(st.sampled_from(["vanilla", "mpbn", "mpbn-element"]))
    neuron = replace(METHODS.get(method).neuron, carry=draw(st.sampled_from(["raw", "normalised"])))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    layer = neuron.build(shape, timesteps, STE()).eval()
    kind = draw(st.sampled_from(["as it is", "folded", "folded, signed"]))
    if kind != "as it is":
        places = shape if method == "mpbn-element" else (shape[0], 1, 1)
        theta = torch.randn(places, generator=generator) * draw(st.sampled_from([0.0, 0.5, 4.0]))
        theta.view(-1)[:: draw(st.integers(1, 5))] = draw(st.sampled_from([0.25, -torch.inf, torch.inf]))
        signs = torch.randn(places, generator=generator).sign() if "signed" in kind else torch.ones(places)
        layer.fire, layer.normalise = FoldedFire(theta, signs), torch.nn.Identity()
    elif method != "vanilla":
        with torch.no_grad():
            for p in (*layer.parameters(), *layer.buffers()):
                p.copy_(torch.randn(p.shape, generator=generator))
            layer.normalise.running_var.square_()  # type: ignore[union-attr, operator]
            layer.normalise.weight[:: draw(st.integers(1, 5))] = draw(scales)  # type: ignore[union-attr, index]
    x = torch.randn(timesteps * draw(st.integers(1, 9)), *shape, generator=generator)
    return layer, x.mul(4).round().div(4) if draw(st.booleans()) else x


@pytest.mark.parametrize("backend", BACKENDS)
@given(case=evaluated())
@settings(max_examples=150, deadline=None)
def test_not_one_spike_of_an_evaluation_differs(backend: ModuleType, case: tuple[SpikingNeuron, Tensor]) -> None:
    """The same float32 arithmetic as the loop's, so no tolerance."""
    layer, x = case
    with torch.no_grad():
        assert torch.equal(dispatch.infer(backend, layer, x), layer.loop(x))  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ["vanilla", "mpbn", "mpbn-element"])
def test_an_evaluation_is_served(backend: ModuleType, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines.folding import fold_thresholds

    prefer(monkeypatch, backend)
    network = build(method, "resnet20", shape=(1, 8, 8), classes=10, timesteps=2, width=0.1).eval()
    served: list[str] = []
    infer = backend.infer
    monkeypatch.setattr(backend, "infer", lambda *given: (served.append("layer"), infer(*given))[1])
    with torch.no_grad():
        for form in (network, fold_thresholds(network)):
            served.clear()
            form(torch.randn(2, 1, 8, 8))
            assert len(served) == len(form.spiking_layers())


# --- what is shared ---------------------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("name", ["vanilla", "mpbn", "mpbn-normalised-potential"])
@pytest.mark.parametrize("shape", [(300, 6, 6), (20, 16, 16)], ids=["threads share blocks", "threads share rows"])
def test_threads_do_not_change_a_bit(name: str, shape: tuple[int, int, int]) -> None:
    def step(threads: int) -> list[Tensor]:
        torch.manual_seed(0)
        layer = randomised(METHODS.get(name).neuron.build(shape, 3, SURROGATES["tanh"]))
        x = torch.randn(3 * 8, *shape, requires_grad=True)
        torch.set_num_threads(threads)
        s = layer(x)
        (s * torch.randn_like(s)).sum().backward()
        learned = [p.grad for p in layer.parameters()]
        return [s.detach(), x.grad, *learned, *layer.buffers()]  # type: ignore[list-item]

    before = torch.get_num_threads()
    try:
        once = step(1)
        for _ in range(5):  # a race would not show every time
            assert all(torch.equal(p, q) for p, q in zip(once, step(2), strict=True))
    finally:
        torch.set_num_threads(before)


def test_denormals_survive_loading_the_kernel() -> None:
    """Linking with -ffast-math would flush them to zero in the whole process."""
    compiled.library()
    assert float(torch.tensor(1e-40) * 0.5) > 0


def test_what_is_unusual_takes_the_loop() -> None:
    neuron = METHODS.get("mpbn").neuron
    layer, x = neuron.build((4, 2, 2), 2, STE()), torch.randn(8, 4, 2, 2, requires_grad=True)
    assert dispatch.backend_for(layer, x) is not None
    assert dispatch.backend_for(layer, x.double()) is None
    assert dispatch.backend_for(layer, x[:0]) is None  # a process of several may hold no sample
    assert dispatch.backend_for(replace(neuron, reset=lambda u, s: u - s).build((4, 2, 2), 2, STE()), x) is None
    handle = layer.normalise.register_forward_hook(lambda module, inputs, output: None)
    assert dispatch.backend_for(layer, x) is None  # somebody wants to see the potentials
    handle.remove()
    assert dispatch.backend_for(layer.eval(), x) is None  # a gradient of an evaluation
    assert dispatch.backend_for(layer, x.detach()) is not None


def test_one_value_a_channel_has_no_statistics() -> None:
    layer = METHODS.get("mpbn").neuron.build((4, 1, 1), 2, STE())
    with pytest.raises(ValueError, match="larger batch"):
        layer(torch.randn(2, 4, 1, 1, requires_grad=True))


@pytest.mark.parametrize("name", [*kernels.NAMES, ""])
def test_the_environment_names_the_back_end_and_records_say_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.VARIABLE, name)
    chosen, state = kernels.chosen(torch.device("cpu")), kernels.state("cpu")
    assert state.startswith(kernels.LOOP if chosen is None else chosen.NAME)
    assert (f"{kernels.VARIABLE}={name}" in state) == bool(name)
    if name in ("loop", "manual"):
        assert chosen is (manual if name == "manual" else None)


def test_an_unknown_back_end_is_named_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.VARIABLE, "cuda")
    with pytest.raises(
        ValueError, match="BASELINES_BACKEND is 'cuda': set it to one of loop, manual, compiled, triton"
    ):
        kernels.chosen(torch.device("cpu"))


def test_without_a_compiler_the_next_best_serves_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    monkeypatch.setattr(compiled, "library", lambda: None)
    assert kernels.chosen(torch.device("cpu")) is manual
    assert kernels.state("cpu").endswith("(no C compiler: install gcc or clang to train faster)")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_training_step_of_a_network_agrees(backend: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss of a whole network with the back end and with the loop."""
    losses = []
    for served in (backend, None):
        torch.manual_seed(0)
        prefer(monkeypatch, served)
        network = build("mpbn", "resnet20", shape=(1, 8, 8), classes=10, timesteps=2, width=0.1)
        loss = network.method.objective(network(torch.randn(16, 1, 8, 8)), torch.arange(16) % 10)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
