"""Numbers that the cited repositories give, run as they are: Hybrid-Train, Diet-SNN, OTTT; and OTTT against BPTT."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from baselines import METHODS, build
from baselines.kernels.traced import layers
from baselines.method import Method, Parts
from baselines.network import Network
from baselines.parts import carried, leaks, standardised, thresholds
from baselines.parts.balanced import BalancedRatio
from baselines.parts.leak_corrected import WhereFired, correction
from baselines.parts.neurons import Leak, Neuron, SoftReset
from baselines.parts.objectives import PerStepOneHot
from baselines.parts.readout import Repeat
from baselines.parts.spike_time import LeakThenSubtract, SpikeTimed, Through
from baselines.parts.surrogates import Sigmoid, Surrogate, Triangle
from baselines.parts.traced import TracedConv2d, TracedLinear, linear, trace
from baselines.procedures.balancing import Balance
from baselines.procedures.bptt import BPTT
from baselines.procedures.procedure import Start

IMAGE = torch.tensor([[[[1.0, 0.5], [-1.0, 0.25]]]])


class Plain:
    """An optimiser's hand that keeps the gradients."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.updates = network, 0

    def zero(self) -> None:
        self.network.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor, logits: Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        self.updates += 1


def small_net(method: Method, timesteps: int, surrogate: Surrogate) -> tuple[Network, list[nn.Module]]:
    """1x1 convolution 1 -> 2, average pool, 2 hidden neurons, 2 outputs; and the three layers with weights."""
    parts = Parts(method=method, timesteps=timesteps, surrogate=surrogate)
    conv, fc0, fc3 = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 2, 1, bias=False), nn.Linear(2, 2, bias=False)
    conv.weight.data = torch.tensor([0.6, -0.4]).view(2, 1, 1, 1)
    fc0.weight.data = torch.tensor([[1.1, 0.2], [0.5, -0.3]]).view(2, 2, 1, 1)
    fc3.weight.data = torch.tensor([[1.0, -1.0], [0.5, 2.0]])
    layers = (conv, parts.neuron((2, 2, 2)), nn.AvgPool2d(2), fc0, parts.neuron((2, 1, 1)), nn.Flatten(), fc3)
    return Network(method, nn.Sequential(*layers), timesteps), [conv, fc0, fc3]


def set_v(network: Network, *values: float) -> None:
    for layer, value in zip(network.spiking_layers().values(), values, strict=True):
        layer.threshold.w.data.fill_(value)  # type: ignore[union-attr, operator]


def gradients(layers: list[nn.Module]) -> list[Tensor]:
    return [layer.weight.grad.flatten() for layer in layers]  # type: ignore[union-attr, operator]


def hybrid(leak: float, threshold: thresholds.Threshold) -> Method:
    neuron = Neuron(charge=Leak(1.0), v_th=1.0, threshold=threshold, reset=LeakThenSubtract(leak))
    return replace(METHODS.get("hybrid-train"), encoder=Repeat(), neuron=neuron)


def near(found: Tensor, wanted: list[float]) -> None:
    torch.testing.assert_close(found.detach().flatten(), torch.tensor(wanted), rtol=0, atol=1e-5)


def test_hybrid_train_with_its_linear_surrogate() -> None:
    network, layers = small_net(hybrid(1.0, BalancedRatio()), 6, Triangle(0.3))
    set_v(network, 0.5, 0.4)
    out = network(IMAGE).sum(0)[0]
    out[0].backward()
    near(out, [2.0, 3.5])
    conv, fc0, fc3 = gradients(layers)
    near(conv, [-0.5868983, -0.2452500])
    near(fc0, [0.1289063, 0.0, -1.6289063, -0.6796875])
    near(fc3, [3.0, 1.0, 0.0, 0.0])


def test_hybrid_train_with_its_spike_time_gradient_and_a_leak() -> None:
    from baselines.parts.spike_time import SpikeTime

    network, layers = small_net(hybrid(0.9, SpikeTime()), 6, Through())
    set_v(network, 0.5, 0.4)
    out = network(IMAGE).sum(0)[0]
    out[0].backward()
    near(out, [2.0, 3.5])
    near(gradients(layers)[0], [1.9546082, -0.1894038])


def test_hybrid_train_searches_its_thresholds() -> None:
    network, _ = small_net(hybrid(1.0, BalancedRatio()), 6, Triangle(0.3))
    Balance()(network, Start(weights=None, images=lambda: iter([IMAGE]), tell=lambda words: None))
    found = [float(layer.threshold.w) for layer in network.spiking_layers().values()]  # type: ignore[union-attr, arg-type]
    assert found == pytest.approx([0.6, 0.875], abs=1e-6)


def test_delay_and_spike_times_are_carried_on_a_walk() -> None:
    from baselines.parts.spike_time import SpikeTime

    network, _ = small_net(hybrid(0.9, SpikeTime()), 6, Through())
    set_v(network, 0.5, 0.4)
    for chunk in (1, 4):
        assert torch.equal(torch.cat(list(network.walk(IMAGE, chunk))), network(IMAGE))


def test_the_spike_time_gradient_underflows_as_in_float32() -> None:
    """0.3 exp(-Δt)^0.01, in float64 networks too; 0 from Δt = 104 on, and for a neuron that never fired."""
    own = SpikeTimed(0.3, 0.01, 1.0, 1)
    wanted = {1: 0.2970150, 10: 0.2714512, 50: 0.1819592, 80: 0.1347987, 87: 0.1256855, 90: 0.1219709, 100: 0.1103825}
    wanted |= {103: 0.1068038, 104: 0.0, 105: 0.0, 999: 0.0, 0: 0.0}  # a memory of 0: not fired yet
    for dtype in (torch.float32, torch.float64):
        for dt, gradient in wanted.items():
            z = torch.ones(1, dtype=dtype, requires_grad=True)
            own.to(dtype)(z, torch.full((1,), float(dt), dtype=dtype)).sum().backward()
            assert z.grad is not None
            assert float(z.grad) == pytest.approx(gradient, abs=1e-6)


def test_the_linear_surrogate() -> None:
    found = Triangle(0.3).derivative(torch.tensor([-1.5, -0.5, 0.0, 0.25, 0.999, 2.0]) + 1, 1.0)
    near(found, [0.0, 0.15, 0.3, 0.225, 0.0003, 0.0])


def test_diet_snn_with_its_leaks_and_thresholds() -> None:
    neuron = Neuron(charge=leaks.Free(1.0), v_th=1.0, threshold=thresholds.Free(), reset=SoftReset(detach=True))
    network, layers = small_net(replace(METHODS.get("diet-snn-converted"), neuron=neuron), 5, Triangle(0.3))
    set_v(network, 0.5, 0.4)
    neurons = list(network.spiking_layers().values())
    for layer, leak in zip(neurons, (0.9, 0.8), strict=True):
        layer.charge.lam.data.fill_(leak)  # type: ignore[attr-defined]
    out = network(IMAGE).sum(0)[0]
    out[0].backward()
    near(out, [3.0, 4.0])
    conv, fc0, _ = gradients(layers)
    near(conv, [-0.5835686, -0.4457635])
    near(fc0, [0.3400124, 0.1172812, -2.1328492, -0.8808308])
    near(torch.stack([layer.threshold.w.grad for layer in neurons]), [0.3436716, 1.0117636])  # type: ignore[union-attr, misc]
    near(torch.stack([layer.charge.lam.grad for layer in neurons]), [-0.1086432, -0.6246125])  # type: ignore[attr-defined]


# OTTT


def test_ottt_s_neuron_trace_and_weight() -> None:
    """One neuron, a 1x1 weight behind it, loss sum of t y(t); every step back-propagated by itself."""
    neuron = Neuron(charge=Leak(0.5), v_th=1.0, strict=False, reset=SoftReset(detach=True)).build(
        (1, 1, 1), 4, Sigmoid()
    )
    w = torch.tensor([[1.3]], requires_grad=True)
    layer, walk = nn.Identity(), carried.Walk(detach=True)
    spikes, outputs, gx, gw = [], [], [], []
    for t, value in enumerate((0.7, 0.8, 1.9, 0.2), start=1):
        x = torch.tensor([[[[value]]]], requires_grad=True)
        with carried.on(walk):
            s = neuron(x)
            a = trace(layer, 0.5, s.flatten(1))
            assert a is not None
            y = linear(s.flatten(1), a, w, None)
        (t * y).sum().backward()
        spikes.append(s)
        outputs.append(y)
        assert x.grad is not None and w.grad is not None
        gx.append(x.grad)
        gw.append(w.grad.clone())
    near(torch.cat(spikes), [0.0, 1.0, 1.0, 0.0])
    near(torch.cat(outputs), [0.0, 1.3, 1.3, 0.0])
    near(torch.cat(gx), [0.9250510, 2.3793561, 0.3033688, 3.6005788])
    near(torch.cat(gw), [0.0, 2.0, 6.5, 9.5])


def test_scaled_weight_standardisation() -> None:
    conv = TracedConv2d(2, 1, 3)
    conv.weight.data = ((torch.arange(18.0) - 5) / 10).view(1, 2, 3, 3)
    near(conv.standardised().flatten()[:6], [-0.3752805, -0.3311298, -0.2869792, -0.2428286, -0.1986779, -0.1545273])


def as_defined(layer: TracedConv2d | TracedLinear, x: Tensor, a: Tensor) -> Tensor:
    """The value at x, the gradient of weight and bias at a, that of x at x: by autograd alone."""

    def apply(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        if isinstance(layer, TracedLinear):
            return nn.functional.linear(x, weight, bias)
        return nn.functional.conv2d(x, weight, bias, layer.stride, layer.padding)  # type: ignore[arg-type]

    weight, bias = layer.standardised() if isinstance(layer, TracedConv2d) else layer.weight, layer.bias
    assert bias is not None
    of_trace = apply(a, weight, bias)
    return apply(x, weight.detach(), bias.detach()) + (of_trace - of_trace.detach())


@pytest.mark.parametrize("kernel", [0, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_forward_gives_the_bits_of_the_two_of_the_definition(kernel: int, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    layer = TracedConv2d(5, 7, kernel, 2 - kernel // 3) if kernel else TracedLinear(5 * 36, 7)
    walk, a = carried.Walk(detach=True), torch.zeros(())
    for _ in range(3):
        s = (torch.rand(4, 5, 6, 6) > 0.7).float().contiguous(memory_format=torch.channels_last) * 2.74
        x = (s if kernel else s.flatten(1)).requires_grad_()
        a = 0.5 * a + x.detach()
        found = list[list[Tensor]]()
        for way in (layer, partial(as_defined, layer, a=a)):
            with carried.on(walk), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                y = way(x)
            g = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(y.dtype)
            found.append([y.detach(), *torch.autograd.grad(y, [x, *layer.parameters()], g)])
        assert len(found[0]) == (5 if kernel else 4)
        assert all(torch.equal(p, q) and p.dtype == q.dtype for p, q in zip(*found, strict=True))


def test_a_convolution_is_computed_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    network, images, labels = one_layer(3)
    calls = list[int]()
    for name in ("conv2d", "linear"):
        own = getattr(nn.functional, name)
        monkeypatch.setattr(nn.functional, name, lambda *given, own=own: (calls.append(1), own(*given))[1])
    learned(network, images, labels, online=True)
    assert len(calls) == 2 * 3


def test_weights_are_standardised_once_a_walk_unless_they_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bits of doing it again at every step, on the way back too."""
    torch.manual_seed(0)
    layer, calls = TracedConv2d(3, 4, 3), list[int]()
    own = standardised.standardise
    monkeypatch.setattr(standardised, "standardise", lambda *given: (calls.append(1), own(*given))[1])
    walk = carried.Walk(detach=True)
    for moved in (False, False, True, False):
        if moved:
            with torch.no_grad():
                layer.weight.mul_(1.5).add_(0.1)
        with carried.on(walk):
            found = layer.standardised()
        counted, wanted, g = len(calls), layer.standardised(), torch.randn(layer.weight.shape)
        assert len(calls) == counted + 1, "there is no walk"
        assert torch.equal(found, wanted)
        learned = [layer.weight, layer.gain]
        ours, theirs = (torch.autograd.grad(w, learned, g) for w in (found, wanted))
        assert all(torch.equal(p, q) for p, q in zip(ours, theirs, strict=True))
    assert len(calls) == 2 + 4, "twice in the walk, and each time without one"


def one_layer(timesteps: int) -> tuple[Network, Tensor, Tensor]:
    """A convolution, neurons, a linear layer, in float64; images and labels."""
    torch.manual_seed(2)
    method = replace(METHODS.get("ottt"), surrogate=Sigmoid(), objective=PerStepOneHot())
    parts = Parts(method=method, timesteps=timesteps, surrogate=Sigmoid())
    conv = method.synapse.convolution(2, 4, 3, 1, bias=True)
    tail = method.synapse.linear(4 * 16, 3, bias=True)
    network = Network(method, nn.Sequential(conv, parts.neuron((4, 4, 4)), nn.Flatten(), tail), timesteps).double()
    return network, 3 * torch.rand(5, 2, 4, 4).double(), torch.arange(5) % 3


def learned(network: Network, images: Tensor, labels: Tensor, online: bool) -> dict[str, Tensor]:
    hand = Plain(network)
    (network.method.procedure if online else BPTT()).step(network, images, labels, hand)
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def test_online_is_bptt_where_there_is_no_time() -> None:
    one, two = (learned(*one_layer(1), online=online) for online in (True, False))
    assert one.keys() == two.keys() and any(float(g.abs().sum()) for g in one.values())
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-12, atol=1e-12)


def test_online_gradients_are_the_paper_s_where_there_is_time() -> None:
    """Of the first layer what BPTT would give were the potential's past a constant; of the second the traces'."""
    network, images, labels = one_layer(4)
    online, whole = learned(network, images, labels, True), learned(network, images, labels, False)
    assert not torch.allclose(online["body.0.weight"], whole["body.0.weight"])
    trace, wanted = torch.zeros(5, 64).double(), torch.zeros(3, 64).double()
    network.zero_grad()
    logits = network(images).detach().requires_grad_()
    network.loss(logits, labels).backward()
    assert logits.grad is not None
    seen: list[Tensor] = []
    hook = network.body[3].register_forward_pre_hook(lambda m, x: seen.append(x[0]))  # type: ignore[index]
    network(images)
    hook.remove()
    for s, g in zip(seen[0].detach().unflatten(0, (4, 5)), logits.grad, strict=True):
        trace = 0.5 * trace + s
        wanted += g.T @ trace
    torch.testing.assert_close(online["body.3.weight"], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("method", "updates"), [("ottt", 1), ("ottt-o", 4)])
def test_weights_move_once_a_batch_or_at_every_step(method: str, updates: int) -> None:
    network, images, labels = one_layer(4)
    network.method = replace(network.method, procedure=METHODS.get(method).procedure)
    hand = Plain(network)
    network.method.procedure.step(network, images, labels, hand)
    assert hand.updates == updates


class Kept:
    """A tensor that is kept for the way back, as long as it is."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def most_kept(run: Callable[[], object]) -> int:
    """Numbers that are kept for the way back at once, at most."""
    alive, most = [0], [0]

    def drop(count: int) -> None:
        alive[0] -= count

    def pack(tensor: Tensor) -> Kept:
        alive[0] += tensor.numel()
        most[0] = max(most[0], alive[0])
        kept = Kept(tensor)
        weakref.finalize(kept, drop, tensor.numel())
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        run()
    return most[0]


def test_online_keeps_no_more_for_more_timesteps() -> None:
    def kept(timesteps: int, online: bool) -> int:
        torch.manual_seed(0)
        network = build("ottt", "resnet20", shape=(2, 8, 8), classes=3, timesteps=timesteps, width=1 / 16)
        images, labels = torch.rand(12, 2, 8, 8), torch.arange(12) % 3
        return most_kept(lambda: learned(network, images, labels, online))

    with layers.at_once():  # a kernel keeps other numbers than the loop, and would take over on the way
        kept(2, True)
        online = [kept(timesteps, True) for timesteps in (2, 8, 32)]
    assert len(set(online)) == 1, online
    assert kept(32, False) > 3 * online[0]


# Spike-basedBP


def test_spike_based_gradients_and_their_correction() -> None:
    """3 inputs, one neuron, one output that leaks; T = 4, target 1."""
    method = METHODS.get("spike-basedbp")
    parts = Parts(method=method, timesteps=4, surrogate=method.surrogate)  # type: ignore[arg-type]
    first, second = nn.Conv2d(3, 1, 1, bias=False), nn.Linear(1, 1, bias=False)
    first.weight.data = torch.tensor([0.7, 0.3, -0.2]).view(1, 3, 1, 1)
    second.weight.data = torch.tensor([[1.5]])
    body = nn.Sequential(first, parts.neuron((1, 1, 1)), nn.Flatten(), second)
    network = Network(replace(method, encoder=Repeat()), body, 4)
    x = torch.tensor([[0.9, 0.2, 1.0], [0.8, 0.9, 0.0], [0.1, 0.6, 0.4], [1.2, 0.7, 0.2]]).view(4, 1, 3, 1, 1)
    logits = network(x)
    near(logits, [0.0, 1.5, 0.0, 1.5])
    near(method.readout(logits), [0.7351122])
    loss = network.loss(logits, torch.zeros(1, dtype=torch.long))
    near(loss, [0.0701656])
    loss.backward()
    near(first.weight.grad, [-0.5900673, -0.4720538, -0.3147025])  # type: ignore[arg-type]
    near(second.weight.grad, [-0.2648878])  # type: ignore[arg-type]


def test_the_correction_of_a_neuron() -> None:
    found = correction(torch.tensor([0.0, 0.5, 2.5, 1.0]), torch.tensor([0.0, 1.0, 3.0, 1.0]), 0.99)
    near(found, [0.0, 0.9949749, 0.9916247, 0.9899496])
    near(correction(torch.tensor([1.980100]), torch.tensor([2.0]), 0.99), [0.9900497])


def test_spike_based_neurons() -> None:
    neuron = METHODS.get("spike-basedbp").neuron.build((4, 1, 1), 2, WhereFired())  # type: ignore[union-attr]
    u = torch.tensor([0.5, 1.0, 1.0001, 2.0]).view(1, 4, 1, 1)
    assert torch.equal(neuron(torch.cat([u, torch.zeros_like(u)]))[0].flatten(), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    x = u.clone().requires_grad_()
    v = neuron.reset(x, (x > 1).float())
    near(neuron.charge(v, torch.zeros_like(v)), [0.495, 0.99, 0.0, 0.0])
    neuron.charge(v, torch.zeros_like(v)).sum().backward()
    near(x.grad, [1.0, 1.0, 0.0, 0.0])  # type: ignore[arg-type]


def test_a_pooling_layer_passes_gradients_where_it_fired_and_no_others() -> None:
    network = build("spike-basedbp", "resnet11", shape=(2, 8, 8), classes=3, timesteps=2, width=1 / 32)
    pooling = next(layer for layer in network.spiking_layers().values() if layer.fire.v_th == 0.75)
    x = torch.tensor([0.5, 0.8, 0.3, 0.1]).view(2, 2, 1, 1).requires_grad_()
    (pooling(x).unflatten(0, (2, 1)) * torch.tensor([1.0, 2.0]).view(2, 1, 1, 1, 1)).sum().backward()
    near(x.grad, [2.0, 1.0, 2.0, 0.0])  # type: ignore[arg-type]
