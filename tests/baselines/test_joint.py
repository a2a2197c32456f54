"""Joint A-SNN: shared factors, the loss and its gradients as the cited code gives them; two networks in one body."""

from __future__ import annotations

import pytest
import torch
from test_procedure_spots import Plain, near
from torch import Tensor

from baselines import METHODS, build
from baselines.folding import fold_norms
from baselines.network import Network
from baselines.parts.joint import NeuronOfEach, NormOfEach, SharedConv2d, SharedLinear, as_ann
from baselines.parts.surrogates import Rectangle
from baselines.procedures.joint import Distillation, Joint, Seen


def test_factors_of_a_convolution() -> None:
    conv = SharedConv2d(2, 3, 3, 1, 1)
    conv.factorise(((torch.arange(54.0) - 20) / 30).view(3, 2, 3, 3))
    assert conv.sigma_snn.shape == (3, 3, 2)
    near(conv.sigma_snn[0, 0], [1.4356520, 0.0037916])
    wanted = [-0.6666666, -0.4666666, -0.2666667, -0.0666667, 0.1333334, 0.3333331, 0.5333336, 0.7333335, 0.9333332]
    near(conv.weight_of(conv.sigma_ann)[0, 0], wanted)


def test_the_neuron() -> None:
    neuron = METHODS.get("joint-a-snn").neuron.build((1, 1, 1), 5, Rectangle(1.0))
    assert isinstance(neuron, NeuronOfEach)
    x = torch.tensor([0.45, 0.4, 0.9, -0.2, 0.6]).view(5, 1, 1, 1).requires_grad_()
    o = neuron(x)
    near(o, [0.0, 1.0, 1.0, 0.0, 1.0])
    (o.flatten() * torch.arange(1.0, 6.0)).sum().backward()
    near(x.grad, [1.2271032, 1.6516602, 2.71875, 1.25, 5.0])  # type: ignore[arg-type]
    with as_ann():
        near(neuron(x), [0.45, 0.4, 0.9, 0.0, 0.6])


def of_the_sheet() -> tuple[Seen, Seen]:
    heads = ([1.0, 0.5, -1.0], [0.2, 0.1, 0.0], [0.3, -0.2, 0.5], [0.0, 1.0, 0.4])
    ann = [torch.tensor([head], requires_grad=True) for head in heads]
    features = [torch.tensor([[0.5, -0.5]], requires_grad=True) for _ in range(4)]

    def spiking(part: Tensor) -> Tensor:
        return (1.5 * part.detach() - 0.1).requires_grad_()

    snn = Seen([spiking(y) for y in ann], [spiking(f) for f in features], torch.empty(0))
    return Seen(ann, features, torch.empty(0)), snn


def test_the_loss_and_its_gradients() -> None:
    ann, snn = of_the_sheet()
    loss = Distillation(beta=1e-6)(ann, snn, torch.tensor([1]))
    assert loss.item() == pytest.approx(14.9199419, abs=2e-5)
    loss.backward()
    wanted = {
        "snn head 0": (snn.logits[0], [0.6038941, -0.6194753, 0.0155812]),
        "ann head 0": (ann.logits[0], [0.5166873, -0.5866133, 0.0699260]),
        "ann head 1": (ann.logits[1], [0.3066760, -0.6086428, 0.3019667]),
        "snn head 1": (snn.logits[1], [0.3476391, -0.6022837, 0.2546445]),
    }
    for tensor, values in wanted.values():
        near(tensor.grad, values)  # type: ignore[arg-type]
    assert snn.features[0].grad is not None
    assert snn.features[0].grad.flatten().tolist() == pytest.approx([3e-7, 0.0], abs=1e-9)
    assert ann.features[0].grad is None, "the ANN does not learn of the SNN"


def tiny() -> Network:
    torch.manual_seed(0)
    return build("joint-a-snn", "resnet18-cifar", shape=(2, 8, 8), classes=3, timesteps=3, width=1 / 16).double()


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(6, 2, 8, 8, dtype=torch.float64), torch.arange(6) % 3


def test_a_step_reaches_every_parameter_of_both_networks() -> None:
    network, hand = tiny().train(), None
    hand = Plain(network)
    _, logits = network.method.procedure.step(network, *batch(), hand)
    assert logits.shape == (3, 6, 3) and hand.updates == 1
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
    assert list(network.heads) == ["3", "5", "7"]  # type: ignore[arg-type]


def test_the_snn_s_statistics_are_a_step_s_and_the_ann_s_its_own() -> None:
    norm = NormOfEach(2, 3, 1e-5, 0.1).double().train()
    x = torch.randn(3 * 4, 2, 5, 5, dtype=torch.float64)
    for step in norm(x).unflatten(0, (3, 4)):
        torch.testing.assert_close(step.mean((0, 2, 3)), torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    assert int(norm.snn.num_batches_tracked) == 3 and int(norm.ann.num_batches_tracked) == 0  # type: ignore[arg-type]
    with as_ann():
        norm(x)
    assert int(norm.ann.num_batches_tracked) == 1  # type: ignore[arg-type]


def test_linear_layers_begin_alike_and_learn_apart() -> None:
    network = tiny()
    layers = [module for module in network.modules() if isinstance(module, SharedLinear)]
    assert len(layers) == 4 and all(torch.equal(layer.weight, layer.weight_ann) for layer in layers)
    images, labels = batch()
    network.method.procedure.step(network.train(), images, labels, Plain(network))
    assert all(not torch.equal(layer.weight.grad, layer.weight_ann.grad) for layer in layers)  # type: ignore[arg-type]


def test_inference_is_the_snn_alone_and_folds_into_plain_convolutions() -> None:
    network = tiny()
    network.method.procedure.step(network.train(), *batch(), Plain(network))
    network.eval()
    images, _ = batch()
    folded = fold_norms(network)
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-10, atol=1e-10)
    assert not any(isinstance(module, SharedConv2d) for module in folded.body.modules())


def test_a_network_without_stages_has_no_heads() -> None:
    network = build("joint-a-snn", "vgg11", shape=(2, 32, 32), classes=3, timesteps=2, width=1 / 32)
    assert len(network.heads) == 0  # type: ignore[arg-type]
    hand = Plain(network.train())
    assert isinstance(network.method.procedure, Joint)
    network.method.procedure.step(network, torch.randn(4, 2, 32, 32), torch.arange(4) % 3, hand)
    assert hand.updates == 1
