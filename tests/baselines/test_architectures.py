"""Layer lists: every count of the fact sheet's section 4.9, wiring against SpikingJelly's networks, folding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from baselines import ARCHITECTURES, METHODS, UnknownName, build
from baselines.folding import fold_norm, fold_norms
from baselines.method import Method, Parts
from baselines.network import Network
from baselines.parts.neurons import Leak, Neuron
from baselines.parts.poisson import Poisson
from baselines.parts.potential import MPBN
from baselines.parts.standardised import StandardisedConv2d
from baselines.parts.surrogates import STE
from baselines.parts.wiring import AddAfter, PreActivation
from baselines.procedures.bptt import BPTT
from harness.train.distributed import ALONE
from harness.train.learner import Learner
from harness.train.proof import prove

COUNTS = [
    # architecture, input, classes: conv + FC, the rest, MACs a step (millions), LIF layers, their channels, elements
    ("resnet20", (3, 32, 32), 10, 11_238_090, 9_856, 215.68, 19, 4_032, 319_488),
    ("resnet20", (3, 32, 32), 100, 11_284_260, 9_856, 215.73, 19, 4_032, 319_488),
    ("resnet19", (3, 32, 32), 10, 12_558_730, 10_496, 2285.25, 17, 4_480, 1_441_792),
    ("resnet19", (3, 32, 32), 100, 12_604_900, 10_496, 2285.29, 17, 4_480, 1_441_792),
    ("vgg16", (3, 32, 32), 10, 14_719_818, 8_448, 313.20, 13, 4_224, 276_480),
    ("vgg16", (3, 32, 32), 100, 14_765_988, 8_448, 313.25, 13, 4_224, 276_480),
    ("vgg11", (3, 32, 32), 10, 9_225_610, 5_504, 152.77, 8, 2_752, 151_552),
    ("resnet20-plain", (3, 32, 32), 10, 17_277_322, 12_544, 2587.24, 19, 5_504, 1_507_328),
    ("resnet20", (2, 48, 48), 10, 11_237_514, 9_856, 483.96, 19, 4_032, 718_848),
    ("resnet19", (2, 48, 48), 10, 12_557_578, 10_496, 5139.14, 17, 4_480, 3_244_032),
    ("resnet18", (3, 224, 224), 1000, 11_679_912, 9_600, 1814.07, 17, 3_904, 2_308_096),
    ("resnet34", (3, 224, 224), 1000, 21_780_648, 17_024, 3663.76, 33, 7_616, 3_562_496),
    ("resnet18-sew", (3, 224, 224), 1000, 11_679_912, 9_600, 1814.07, 20, 4_800, 2_483_712),
    ("resnet34-sew", (3, 224, 224), 1000, 21_780_648, 17_024, 3663.76, 36, 8_512, 3_738_112),
    ("resnet18-ms", (3, 224, 224), 1000, 11_684_008, 9_728, 1826.92, 17, 3_904, 2_308_096),
    ("resnet34-ms", (3, 224, 224), 1000, 21_784_744, 17_152, 3676.61, 33, 7_616, 3_562_496),
    ("nf-resnet34", (3, 224, 224), 1000, 21_789_160, 8_512 + 16, 3663.76, 32, 7_104, 2_935_296),
    ("plifnet", (3, 32, 32), 10, 36_715_264, 3_072, 1701.78, 8, None, 985_188),
    ("plifnet-dvs", (2, 128, 128), 10, 17_426_688, 1_024, 847.45, 6, None, 2_787_428),
    ("vgg16-dietsnn", (3, 32, 32), 10, 39_917_248, 0, 338.4, 15, None, 284_672),
    ("vgg16-dietsnn", (3, 32, 32), 100, 40_285_888, 0, 338.8, 15, None, 284_672),
    ("vgg11-hybrid", (3, 32, 32), 100, 21_116_608, 0, 709.66, 11, None, 346_112),
    ("resnet20-dietsnn", (3, 32, 32), 10, 11_253_440, 0, 215.70, 19, 4_032, 319_488),
    ("resnet20-dietsnn", (3, 32, 32), 100, 11_437_760, 0, 215.88, 19, 4_032, 319_488),
    ("resnet11", (3, 32, 32), 10, 17_936_064, 0, 607.86, 10, None, 320_512),
    ("resnet18-cifar", (3, 32, 32), 10, 11_164_362, 9_600, 555.4, 17, 3_904, 557_056),
    ("resnet18-cifar", (3, 32, 32), 100, 11_210_532, 9_600, 555.4, 17, 3_904, 557_056),
    ("resnet34-cifar", (3, 32, 32), 100, 21_311_268, 17_024, 1159.45, 33, 7_616, 966_656),
    ("vggsnn", (2, 48, 48), 10, 9_265_994, 5_504, 1361.65, 8, None, 921_600),
    # Section 4.3, which gives totals and MACs:
    ("resnet19-tet", (3, 32, 32), 10, 12_630_858 - 10_624, 10_624, 2216.5, 18, None, None),
    ("resnet19-tet", (3, 32, 32), 100, 12_653_988 - 10_624, 10_624, 2216.5, 18, None, None),
    ("resnet19-glif", (3, 32, 32), 10, 12_700_544 - 13_312, 13_312, 2285.3, 17, 4_480, 1_441_792),
    ("resnet19-glif", (3, 32, 32), 100, 12_618_112 - 13_312, 13_312, 2285.3, 17, 4_480, 1_441_792),
    ("resnet19-tebn", (3, 32, 32), 100, 14_695_268 - 13_312, 13_312, 2287.4, 17, 4_480, 1_441_792),
    # Not in the sheet; parameters counted on the classes of the cited code, less what belongs to their neurons:
    ("vgg9-bntt", (3, 32, 32), 10, 5_938_880, 2 * 2_176, None, 8, 2_176, None),
    ("vgg11-bntt", (3, 32, 32), 100, 11_724_480, 2 * 6_848, None, 9, 6_848, None),
    ("vgg9-tebn", (3, 32, 32), 10, 6_033_316, 2_304, None, 7, 1_152, None),
    ("liafnet", (2, 48, 48), 10, 1_573_418, 960, None, 5, 992, None),
    ("densenet-ltmd", (3, 32, 32), 10, 6_745_610, 74_560, None, 101, None, None),
]
IDS = [f"{name}-{shape[0]}x{shape[1]}-{classes}" for name, shape, classes, *_ in COUNTS]
WIRINGS = {
    "resnet18-sew": AddAfter(),
    "resnet34-sew": AddAfter(),
    "resnet18-ms": PreActivation(),
    "resnet34-ms": PreActivation(),
}
"""How the cited networks are wired, where the paper's are not."""
POOLING_NEURONS = {"resnet11": (64, 16, 16)}
"""Neurons that are none of the method's, which the sheet does not count."""


class NoNormalisation:
    """What the networks have that the sheet lists with no normalisation."""

    def build(self, channels: int, timesteps: int, v_th: float, branches: int) -> nn.Module:
        return nn.Identity()


def parameters(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("row", COUNTS, ids=IDS)
def test_counts_of_the_fact_sheet(row: tuple) -> None:
    name, shape, classes, kernels, rest, macs, layers, channels, elements = row
    methods = {key: METHODS.get(key) for key in ("vanilla", "mpbn", "mpbn-element")}
    if rest == 0:
        methods = {key: replace(method, normalisation=NoNormalisation()) for key, method in methods.items()}

    if name in WIRINGS:
        methods = {key: replace(method, wiring=WIRINGS[name]) for key, method in methods.items()}

    def on_paper(method: str) -> Network:  # shapes only: nothing is computed
        with torch.device("meta"):
            return build(methods[method], name, shape=shape, classes=classes, timesteps=1).eval()

    network = on_paper("vanilla")
    kernel_modules = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum(p.numel() for m in kernel_modules for p in (m.weight, m.bias) if p is not None) == kernels
    assert parameters(network) == kernels + rest

    seen, multiplications = [], 0

    def count(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal multiplications
        multiplications += output[0].numel() * module.weight[0].numel()  # type: ignore[union-attr, index]

    for module in kernel_modules:
        module.register_forward_hook(count)
    for layer in network.spiking_layers().values():
        layer.register_forward_hook(lambda m, inputs, output: seen.append(output.shape[1:]))
    with torch.no_grad():
        assert network(torch.zeros(1, *shape, device="meta")).shape == (1, 1, classes)
    if name in POOLING_NEURONS:
        seen.remove(POOLING_NEURONS[name])
    assert len(seen) == layers
    sites = {"mpbn": sum(s[0] for s in seen), "mpbn-element": sum(s.numel() for s in seen)}
    assert channels is None or sites["mpbn"] == channels
    assert elements is None or sites["mpbn-element"] == elements
    assert macs is None or multiplications / 1e6 == pytest.approx(macs, abs=0.006 if round(macs, 1) != macs else 0.09)

    # MPBN adds λ and β a channel, or an element.
    for method, added in sites.items():
        assert parameters(on_paper(method)) == kernels + rest + 2 * added


def test_every_architecture_is_counted() -> None:
    builtin = {name for name in ARCHITECTURES if ARCHITECTURES.builtin(name)}
    assert builtin == {name for name, *_ in COUNTS}


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_elements_fit_any_input(architecture: str) -> None:
    """Element-wise MPBN is built for the shape that arrives, where strides and pools do not divide the input."""
    with torch.device("meta"):
        network = build("mpbn-element", architecture, shape=(2, 37, 45), classes=3, timesteps=1, width=0.05).eval()
        with torch.no_grad():
            assert network(torch.zeros(2, 2, 37, 45)).shape == (1, 2, 3)


def train_a_step(network: Network, images: torch.Tensor, labels: torch.Tensor) -> None:
    """One step of SGD; by back-propagation every parameter gets a gradient."""
    learner = Learner(network, torch.optim.SGD(network.parameters(), lr=0.05), ALONE)
    loss, logits = network.method.procedure.step(network.train(), images, labels, learner)
    assert loss.isfinite() and logits.shape == (network.timesteps, len(labels), 3)
    if type(network.method.procedure) is BPTT:
        assert not [name for name, p in network.named_parameters() if p.grad is None]
    assert network.method.readout(logits).shape == (len(labels), 3)


@pytest.mark.parametrize("method", [method for method in METHODS if METHODS.get(method).procedure.trains])
@pytest.mark.parametrize("architecture", ["resnet19-glif", "vgg9-bntt"])
def test_every_method_trains_a_step(method: str, architecture: str) -> None:
    """Still images, and event frames where back-propagation alone trains, and nothing is to become Poisson spikes."""
    torch.manual_seed(0)
    still, frames = torch.randn(4, 2, 32, 32), torch.rand(2, 4, 2, 32, 32)
    takes_frames = type(METHODS.get(method).procedure) is BPTT and not isinstance(METHODS.get(method).encoder, Poisson)
    for images in [still, frames] if takes_frames else [still]:
        network = build(method, architecture, shape=(2, 32, 32), classes=3, timesteps=2, width=0.03)
        train_a_step(network, images, torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize("method", ["vanilla", "mpbn"])
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_every_architecture_trains_folds_and_proves(architecture: str, method: str) -> None:
    """A tiny width, one step; then the harness's own proof, on a network in which every layer is made to fire."""
    torch.manual_seed(1)
    network = build(method, architecture, shape=(2, 32, 32), classes=3, timesteps=2, width=0.04)
    images, labels = torch.randn(4, 2, 32, 32), torch.tensor([0, 1, 2, 0])
    train_a_step(network, images, labels)
    enliven(network, images)
    if method == "vanilla":
        left = [m for m in fold_norms(network).modules() if isinstance(m, StandardisedConv2d | nn.BatchNorm2d)]
        assert not left
    proofs = prove(network, [(images, labels)])
    assert [proof.why for proof in proofs if not proof.passed] == []
    assert len(proofs) == (4 if method == "mpbn" else 2)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_norm_that_stands_alone_folds(method: str) -> None:
    """GLIF's and TEBN's identities, DenseNet's inputs: into a 1x1 convolution a channel."""
    torch.manual_seed(0)
    parts = Parts(method=METHODS.get(method), timesteps=3, surrogate=STE())
    alone = parts.norm(4, branches=2).double()
    with torch.no_grad():
        for tensor in (*alone.parameters(), *alone.buffers()):
            tensor.uniform_(0.5, 2.0) if tensor.is_floating_point() else None
        x = torch.randn(3 * 2, 4, 5, 5, dtype=torch.float64)
        folded = fold_norm(alone.eval().norm, alone.conv)
        torch.testing.assert_close(folded(x), alone(x), rtol=1e-12, atol=1e-12)


def enliven(network: Network, images: torch.Tensor) -> None:
    """Large weights where no normalisation follows; running statistics that are those of `images`."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 4 * module.in_features**-0.5)
        if isinstance(module, StandardisedConv2d):
            nn.init.constant_(module.gain, 4.0), nn.init.constant_(module.bias, 0.5)  # type: ignore[arg-type]
        if isinstance(module, MPBN | nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(images)


def spikingjelly_network(name: str) -> tuple[nn.Module, float]:
    """(the network as SpikingJelly builds it, with IF neurons of threshold 1 or LIF of 0.5; its decay)."""
    from spikingjelly.activation_based import functional, neuron, surrogate
    from spikingjelly.activation_based.model import ms_resnet, sew_resnet

    if name == "resnet18-ms":
        return ms_resnet.ms_resnet18(T=2, num_classes=5), 0.25
    theirs = sew_resnet.sew_resnet18(
        cnf="ADD", num_classes=5, spiking_neuron=neuron.IFNode, surrogate_function=surrogate.Rect()
    )
    functional.set_step_mode(theirs, "m")
    return theirs, 1.0


@pytest.mark.parametrize("name", ["resnet18-sew", "resnet18-ms"])
def test_wiring_equals_spikingjelly(name: str) -> None:
    """The same weights in both, parameter after parameter: the same class scores in training mode, float64."""
    torch.manual_seed(0)
    theirs, decay = spikingjelly_network(name)
    theirs = theirs.double()
    method = Method(neuron=Neuron(charge=Leak(decay), v_th=1.0 if decay == 1 else 0.5), wiring=WIRINGS[name])
    ours = build(method, name, shape=(3, 64, 64), classes=5, timesteps=2).double()
    with torch.no_grad():
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert p.shape == q.shape
            q.uniform_(0.5, 1.5) if q.dim() == 1 else None
            p.copy_(q)
        images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
        scores = theirs(images if name == "resnet18-ms" else images.repeat(2, 1, 1, 1, 1))
        scores = scores.mean(0) if scores.dim() == 3 else scores
        torch.testing.assert_close(ours.predict(images), scores, rtol=1e-9, atol=1e-9)


def test_dropout_keeps_its_mask_over_time() -> None:
    from baselines.parts.dropout import DropoutOverTime

    torch.manual_seed(0)
    layer, x = DropoutOverTime(0.25, 3), torch.ones(3 * 400, 10)
    steps = layer(x).unflatten(0, (3, -1))
    assert torch.equal(steps[0], steps[1]) and torch.equal(steps[0], steps[2])
    assert steps.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (steps == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(layer.eval()(x), x)


def test_voters_of_a_class_are_neighbours() -> None:
    from baselines.architectures._layers import Voting

    spikes = torch.tensor([[1.0, 0, 0, 1, 1, 1]])[:, :, None, None]
    torch.testing.assert_close(Voting(3)(spikes), torch.tensor([[1 / 3, 1.0]]))


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_standardised_weights_and_their_gradients_are_those_of_autograd(kernel: int, memory_format: Any) -> None:
    torch.manual_seed(3)
    layer = StandardisedConv2d(5, 4, kernel).double().to(memory_format=memory_format)
    with torch.no_grad():
        layer.weight.mul_(3).add_(0.7)
        layer.gain.copy_(1 + torch.rand_like(layer.gain))
    learned = [layer.weight, layer.gain]
    var, mean = torch.var_mean(layer.weight, dim=(1, 2, 3), keepdim=True)
    wanted = layer.gain * (layer.weight - mean) / torch.sqrt(var * layer.weight[0].numel() + 1e-4)
    found, g = layer.standardised(), torch.randn_like(wanted)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)
    ours, theirs = (torch.autograd.grad(w, learned, g) for w in (found, wanted))
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-11, atol=1e-12)


def test_standardised_filters_have_no_mean_and_unit_power() -> None:
    torch.manual_seed(0)
    layer = StandardisedConv2d(8, 5, 3).double()
    with torch.no_grad():
        layer.gain.copy_(torch.arange(5.0).view_as(layer.gain))
        weight = layer.standardised()
        assert weight.mean((1, 2, 3)).abs().max() < 1e-12
        power = weight.square().sum((1, 2, 3)) * 71 / 72  # of 72 weights, the variance is the unbiased one
    torch.testing.assert_close(power * 72 / 71, torch.arange(5.0, dtype=torch.float64).square(), rtol=0.02, atol=1e-9)
    with pytest.raises(ValueError, match="single weight"):
        StandardisedConv2d(1, 2, 1)


def test_a_still_image_is_repeated_in_time_major_order() -> None:
    network = build("vanilla", "vgg11", shape=(1, 32, 32), classes=3, timesteps=3, width=0.02).eval()
    images = torch.randn(2, 1, 32, 32)
    repeated = images.expand(3, 2, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(images), network(repeated))


def test_frames_of_another_t_are_refused() -> None:
    network = build("vanilla", "vgg11", shape=(2, 32, 32), classes=3, timesteps=3, width=0.02)
    with pytest.raises(ValueError, match="input has 5 frames, the network 3 timesteps"):
        network(torch.zeros(5, 1, 2, 32, 32))


def test_too_small_an_input_says_so() -> None:
    with pytest.raises(ValueError, match="32 pixels"):
        build("vanilla", "vgg16", shape=(3, 16, 16), classes=3, timesteps=1, width=0.1)


def test_initialisation_follows_the_released_code() -> None:
    """Convolutions N(0, 2 / (k² C_out)), linear N(0, 1 / fan_in) as standard deviation, scales 1 and shifts 0."""
    torch.manual_seed(0)
    network = build("mpbn", "resnet20", shape=(3, 32, 32), classes=100, timesteps=1)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 30_000:
            expected = (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.02)
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(1 / module.in_features, rel=0.02)
            assert not module.bias.any()
        if type(module).__name__ in ("MPBN", "BatchNorm2d"):
            assert (module.weight == 1).all() and not module.bias.any()  # type: ignore[union-attr, operator]


@pytest.mark.parametrize(
    ("kwargs", "kind"), [({"method": "mpnb"}, "method"), ({"architecture": "resnet02"}, "architecture")]
)
def test_an_unknown_name_lists_what_is_known(kwargs: dict[str, str], kind: str) -> None:
    names = {"method": "mpbn", "architecture": "resnet20"} | kwargs
    with pytest.raises(UnknownName, match=f"unknown {kind} `{kwargs[kind]}`; known: "):
        build(names["method"], names["architecture"], shape=(3, 8, 8), classes=2, timesteps=1)


def test_an_unknown_surrogate_lists_what_is_known() -> None:
    with pytest.raises(UnknownName, match="known: ste, tanh"):
        build("mpbn", "resnet20", shape=(3, 8, 8), classes=2, timesteps=1, surrogate="stee")
