"""Conversions: thresholds against a loop written out in float64, rates against activations, reset against reset."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from baselines import METHODS, build
from baselines.architectures._vgg import POOL, vgg
from baselines.method import Method, Parts
from baselines.network import Network
from baselines.parts.balanced import Balanced, BalancedRatio
from baselines.parts.neurons import HardReset, Leak, Neuron, SoftReset
from baselines.parts.readout import Repeat
from baselines.parts.surrogates import STE
from baselines.procedures.balancing import Balance, Largest, Percentile, gathered, set_threshold
from baselines.procedures.conversion import Conversion
from baselines.procedures.procedure import Start
from baselines.procedures.transplant import transplant


def start(images: Tensor, weights: dict[str, Tensor] | None = None, told: list[str] | None = None) -> Start:
    return Start(weights=weights, images=lambda: iter([images]), tell=(told if told is not None else []).append)


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_thresholds_and_spikes_are_those_of_a_written_out_loop(reset: str) -> None:
    """Two layers and a read-out, float64: search, then T steps, with nothing of this project in it."""
    torch.manual_seed(3)
    w1, w2, w3 = torch.randn(6, 4).double(), torch.randn(5, 6).double(), torch.randn(3, 5).double()
    x = torch.rand(7, 4).double()
    steps = 23

    def run(v: list[float], upto: int) -> tuple[Tensor, Tensor]:
        """Largest current of layer `upto`, and the mean of the read-out."""
        u, largest, out = [torch.zeros(7, 6).double(), torch.zeros(7, 5).double()], torch.tensor(0.0), 0.0
        for _ in range(steps):
            y = x
            for layer, w in enumerate((w1, w2)):
                current = y @ w.T
                if layer == upto:
                    largest = torch.maximum(largest.double(), current.max())
                u[layer] = u[layer] + current
                s = (u[layer] >= v[layer]).double()
                u[layer] = u[layer] * (1 - s) if reset == "hard" else u[layer] - v[layer] * s
                y = v[layer] * s
            out = out + y @ w3.T
        return largest, torch.as_tensor(out) / steps

    wanted: list[float] = []
    for layer in range(2):
        wanted.append(float(run([*wanted, 1e9, 1e9][:2], layer)[0]))
    neuron = Neuron(
        charge=Leak(1.0),
        v_th=0.0,
        threshold=Balanced(),
        strict=False,
        reset=HardReset() if reset == "hard" else SoftReset(),
    )
    method = replace(METHODS.get("rmp"), encoder=Repeat(), neuron=neuron)
    network = of_linear_layers(method, (w1, w2, w3), steps)
    assert isinstance(method.procedure, Conversion)
    told: list[str] = []
    method.procedure.balance(network, start(x[:, :, None, None], told=told))
    assert told == ["threshold of layer 1 of 2", "threshold of layer 2 of 2"]
    found = [float(layer.threshold.w) for layer in network.spiking_layers().values()]  # type: ignore[union-attr, arg-type]
    assert found == pytest.approx(wanted, abs=1e-12)
    with torch.no_grad():
        mean = network(x[:, :, None, None]).mean(0)
    torch.testing.assert_close(mean, run(found, 9)[1], rtol=0, atol=1e-9)


@pytest.fixture
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("name", ["rmp", "spikenorm"])
def test_neurons_convert_as_spikingjelly_s(name: str) -> None:
    """Its rule takes V from the ANN's activations, ours alone of the first layer; of those V, the same outputs.

    A spike weighs V there as here; `v_reset` is None where a spike subtracts V.
    """
    from spikingjelly.activation_based import ann2snn, functional, neuron

    torch.manual_seed(4)
    images, steps = torch.rand(6, 3, 8, 8), 40
    convolutions = [nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.Conv2d(5, 7, 3, padding=1, bias=False)]
    linear = nn.Linear(7 * 4, 4, bias=False)
    tail = [nn.AvgPool2d(2), nn.Flatten(), linear]
    ann = nn.Sequential(convolutions[0], nn.ReLU(), nn.AvgPool2d(2), convolutions[1], nn.ReLU(), *tail)
    reset = None if name == "rmp" else 0.0
    recipe = ann2snn.RateCodingRecipe([images], mode="Max", neuron_factory=lambda v: neuron.IFNode(v_reset=reset))
    theirs = ann2snn.Converter(recipe).convert(copy.deepcopy(ann)).double()
    hooks = [ann[place](ann[:place](images)).max().detach() for place in (1, 4)]

    method = replace(METHODS.get(name), encoder=Repeat())
    parts = Parts(method=method, timesteps=steps, surrogate=STE())
    first, second = parts.neuron((5, 8, 8)), parts.neuron((7, 4, 4))
    body = nn.Sequential(convolutions[0], first, nn.AvgPool2d(2), convolutions[1], second, *tail)
    network = Network(method, body, steps).double().eval()
    assert isinstance(method.procedure, Conversion)
    method.procedure.balance(network, start(images))
    layers = list(network.spiking_layers().values())
    assert float(layers[0].threshold.w) == pytest.approx(float(hooks[0]), abs=1e-12)  # type: ignore[union-attr, arg-type]
    with torch.no_grad():
        for layer, v in zip(layers, hooks, strict=True):
            set_threshold(network, layer, v)
        functional.reset_net(theirs)
        for ours in network(images):
            torch.testing.assert_close(ours, theirs(images), rtol=0, atol=1e-9)


class Layer(nn.Module):
    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.w.T)[:, :, None, None]


def of_linear_layers(method: Method, weights: tuple[Tensor, ...], timesteps: int) -> Network:
    parts = Parts(method=method, timesteps=timesteps, surrogate=STE())
    layers: list[nn.Module] = []
    for w in weights[:-1]:
        layers += [Layer(w), parts.neuron((len(w), 1, 1))]
    return Network(method, nn.Sequential(*layers, Layer(weights[-1]), nn.Flatten()), timesteps).double().eval()


def small(method: Method, timesteps: int) -> Network:
    """Three convolutions and a pool."""
    parts = Parts(method=method, timesteps=timesteps, surrogate=STE())
    return Network(method, vgg(parts, (3, 8, 8), 10, 1.0, layers=(8, 8, POOL, 16)), timesteps)


def converted(reset: str, timesteps: int) -> tuple[Network, Network, Tensor]:
    """The ANN, what became of it, and images that balanced it."""
    torch.manual_seed(0)
    ann = small(METHODS.get("ann"), 1)
    network = small(replace(METHODS.get(reset), encoder=Repeat()), timesteps)  # no noise: the conversion's own error
    images = torch.rand(16, 3, 8, 8)
    network.method.procedure.begin(network, start(images, dict(ann.state_dict())))
    return ann.eval(), network.eval(), images


@pytest.fixture(scope="module")
def soft() -> tuple[Network, Network, Tensor]:
    return converted("rmp", 256)


def test_rates_approach_the_activations(soft: tuple[Network, Network, Tensor]) -> None:
    """V · rate of every neuron of the first layers is the clipped activation, up to V / T and the delay of filling."""
    ann, network, images = soft
    names = list(network.spiking_layers())[:3]
    active: dict[str, Tensor] = {}
    relus = [(name, module) for name, module in ann.body.named_modules() if isinstance(module, nn.ReLU)]
    for (_, module), name in zip(relus, names, strict=False):
        module.register_forward_hook(lambda m, x, y, name=name: active.__setitem__(name, y))
    total: dict[str, Tensor] = {}
    for name in names:
        layer = network.spiking_layers()[name]
        layer.register_forward_hook(
            lambda m, x, s, name=name: total.__setitem__(name, total.get(name, 0) + s.unflatten(0, (-1, 16)).sum(0))
        )
    with torch.no_grad():
        ann(images)
        for _ in network.walk(images, 16):
            pass
    for name in names:
        v = float(network.spiking_layers()[name].threshold.w)  # type: ignore[union-attr, arg-type]
        clipped = active[name].clamp(max=v)
        assert (total[name] * v / network.timesteps - clipped).abs().max() < 0.05 * v, name


def test_soft_reset_is_nearer_to_the_ann_than_hard_reset_and_nearer_the_longer(
    soft: tuple[Network, Network, Tensor],
) -> None:
    ann, network, images = soft
    hard = converted("spikenorm", 256)[1]
    with torch.no_grad():
        wanted = ann(images)[0]
        by_t = [(y.mean(0) - wanted).norm() / wanted.norm() for y in network.so_far(images, [32, 64, 128, 256])]
        *_, last = hard.so_far(images, [256])
    assert by_t == sorted(by_t, reverse=True) and by_t[-1] < 0.1
    assert by_t[-1] < (last.mean(0) - wanted).norm() / wanted.norm()


@pytest.mark.parametrize(("share", "numbers", "wanted"), [(0.997, 1000, 996), (0.997, 10, 9)])
def test_percentile_as_diet_snn_s_code_takes_it(share: float, numbers: int, wanted: int) -> None:
    assert Percentile(share)(torch.arange(numbers).float()) == wanted


def test_thresholds_are_scaled_in_the_end_alone() -> None:
    torch.manual_seed(1)
    weights = (torch.randn(6, 4).double(), torch.randn(5, 6).double(), torch.randn(3, 5).double())
    neuron = Neuron(charge=Leak(1.0), v_th=1.0, threshold=BalancedRatio(), reset=SoftReset())
    method = replace(METHODS.get("rmp"), encoder=Repeat(), neuron=neuron, after=None)
    found = []
    for scale in (1.0, 0.7):
        network = of_linear_layers(method, weights, 9)
        Balance(scale=scale, statistic=Largest())(network, start(torch.rand(7, 4, 1, 1).double().clamp(0.5, 0.5)))
        found.append([float(layer.threshold.w) for layer in network.spiking_layers().values()])  # type: ignore[union-attr, arg-type]
    assert found[1] == pytest.approx([0.7 * v for v in found[0]])


def test_what_cannot_be_converted_says_why() -> None:
    network = build("rmp", "resnet20", shape=(3, 8, 8), classes=10, timesteps=4, width=1 / 16)
    with pytest.raises(ValueError, match="was given none"):
        transplant(network, None)
    with pytest.raises(ValueError, match="has no place in this network"):
        transplant(network, {"stranger": torch.zeros(1)})
    with pytest.raises(ValueError, match="no positive current"):
        Balance()(network, start(torch.zeros(2, 3, 8, 8)))


def test_gathered_takes_whole_batches() -> None:
    batches = [torch.zeros(4, 1, 1, 1)] * 5
    assert [len(gathered(batches, samples)) for samples in (1, 4, 11, 12, 99)] == [4, 4, 8, 12, 20]
