"""Neurons that no kernel was written for: kernels are made of their own loop, and give its very bits."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from recorded_layers import HAND, NONE, RECORDED, currents, fresh, layer_of, left_to_torch, served  # noqa: F401
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from baselines import METHODS, build
from baselines.kernels import VARIABLE, compiled
from baselines.kernels.traced import arithmetic, layers, proved
from baselines.parts import moments, surrogates
from baselines.parts.after import Followed
from baselines.parts.leak_corrected import WhereFired
from baselines.parts.neurons import LIF, Fire, HardReset, Leak, Neuron, SoftReset, SpikingNeuron
from baselines.parts.potential import ChannelMPBN, ElementMPBN
from baselines.parts.rectifier import Rectified as ReLU
from baselines.parts.spike_time import Delay, Through

pytestmark = pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")
SHAPES = [(5, 7, 6), (16, 4, 4), (70, 2, 3), (37, 1, 1), (1, 4, 4), (600, 1, 1)]
"""Channels below, equal to and above a kernel's piece; maps of one element."""
SURROGATES = [
    surrogates.STE(),
    surrogates.Tanh(),
    surrogates.Rectangle(),
    surrogates.Triangle(0.3),
    surrogates.ArcTan(),
    surrogates.Sigmoid(),
    surrogates.SoftStep(2.0),
    WhereFired(),
    Through(),
]


def same_as_loop(layer: nn.Module, x: Tensor) -> None:
    """Bits of outputs, gradients and buffers, by kernels that are not believed beforehand."""
    assert served(layer, x) == RECORDED
    differing = proved.differing(layer, x, lambda layer, x: layers.run(layer, x, layer.loop), True)
    assert not differing


@pytest.mark.parametrize("method", list(METHODS))
def test_no_registered_neuron_is_left_to_the_loop(method: str) -> None:
    """Which path serves it in training, and there is no fourth."""
    layer, x = layer_of(method, (6, 3, 3)), currents((6, 3, 3))
    neuron = METHODS.get(method).neuron
    rectifies = isinstance(getattr(layer, "neuron", layer), ReLU)
    plain = isinstance(neuron, Neuron) and type(neuron.reset) is HardReset and type(neuron.charge) is Leak
    plain = plain and neuron.strict and layer_of(method, (6, 3, 3)).__dict__.get("threshold") is None
    assert served(layer, x) in ((NONE,) if rectifies else (HAND, RECORDED))
    if served(layer, x) == HAND:
        assert plain


@pytest.mark.parametrize("method", list(METHODS))
def test_a_recorded_neuron_gives_the_bits_of_its_loop(method: str) -> None:
    for shape in SHAPES[:2]:
        layer, x = layer_of(method, shape), currents(shape)
        torch.manual_seed(0)
        if served(layer, x) == RECORDED:
            same_as_loop(layer, x)


@pytest.mark.parametrize("method", list(METHODS))
def test_gradients_are_those_of_autograd_in_float64(method: str) -> None:
    """Through the layer and what follows it; the loop's own float32 is as near, no nearer."""
    torch.manual_seed(4)
    layer, x = layer_of(method, (6, 3, 3)), currents((6, 3, 3), batch=8)
    if served(layer, x) != RECORDED:
        return  # test_kernel.py
    exact, y = copy.deepcopy(layer).double(), x.detach().double().requires_grad_()
    s, r = layer(x), exact.loop(y)  # type: ignore[operator]
    assert torch.allclose(s.double(), r, atol=1e-6), "a spike sat on the threshold: draw another seed"
    g = torch.randn_like(s)
    learned, exactly = ([p for p in each.parameters() if p.requires_grad] for each in (layer, exact))
    ours = torch.autograd.grad(s, [x, *learned], g, allow_unused=True)
    theirs = torch.autograd.grad(r, [y, *exactly], g.double(), allow_unused=True)
    for p, q in zip(ours, theirs, strict=True):
        assert (p is None) == (q is None)
        if p is not None and q is not None:
            assert float((p.double() - q).abs().max()) <= 5e-6 * max(float(q.abs().max()), 1e-3)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_a_surrogate_is_data(surrogate: surrogates.Surrogate) -> None:
    """Every kind of the registry."""
    same_as_loop(replace(LIF, strict=False).build((16, 4, 4), 2, surrogate), currents((16, 4, 4), 2))


@pytest.mark.parametrize("reset", [HardReset(True), SoftReset(), SoftReset(amount=0.7, detach=True)], ids=repr)
def test_every_reset(reset: HardReset | SoftReset) -> None:
    neuron = replace(LIF, reset=reset, strict=False)
    same_as_loop(neuron.build((16, 4, 4), 3, surrogates.STE()), currents((16, 4, 4), 3))


def test_another_number_is_the_same_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(k: float) -> SpikingNeuron:
        return replace(LIF, v_th=0.3 + k / 100, strict=False).build((6, 3, 3), 2, surrogates.Tanh(k))

    same_as_loop(build(2.5), currents((6, 3, 3), 2))
    monkeypatch.setattr(compiled.subprocess, "run", lambda *_, **__: pytest.fail("compiled once more"))
    same_as_loop(build(2.6), currents((6, 3, 3), 2))
    same_as_loop(build(2.6), currents((5, 2, 9), 2))  # nor does another shape need one


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("method", ["plif", "glif", "liaf-net", "lsnn"])
@pytest.mark.parametrize("timesteps", [1, 3])
def test_at_every_size(method: str, timesteps: int, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    same_as_loop(layer_of(method, shape, timesteps), currents(shape, timesteps))


def test_a_norm_on_the_potential_keeps_its_statistics() -> None:
    """Beside a reset that the kernel by hand does not know."""
    neuron = replace(LIF, normalise=ChannelMPBN(), reset=SoftReset())
    same_as_loop(neuron.build((6, 3, 3), 3, surrogates.STE()), currents((6, 3, 3), 3))


@pytest.mark.parametrize("norm", [ChannelMPBN(), ElementMPBN()], ids=repr)
def test_some_gradients_take_what_was_kept_for_all(norm: object) -> None:
    """Though their recording is shorter: what the kernels left between two operations has other numbers there."""
    layer = replace(LIF, normalise=norm, reset=SoftReset()).build((6, 3, 3), 2, surrogates.STE())
    layer.shows_potential = True
    x, found = currents((6, 3, 3), 2), []
    for way in ("forward", "loop"):
        y = getattr(copy.deepcopy(layer), way)(x)
        tangent = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
        found += [torch.autograd.grad(each, x, tangent, retain_graph=True)[0] for each in (y, y.potential)]
    assert served(layer, x) == RECORDED
    assert proved._same(found[0], found[2]) and proved._same(found[1], found[3])


def test_threads_share_the_work_and_change_no_bit() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for method in ("glif", "diet-snn"):
            same_as_loop(layer_of(method, (32, 12, 12)), currents((32, 12, 12)))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("told", [("mean",), ("var",), ("mean", "var")], ids=str)
def test_moments_go_out_with_their_gradients(told: tuple[str, ...]) -> None:
    """Of an objective that reads some of them, beside the spikes or alone."""
    layer = LIF.build((6, 3, 3), 3, surrogates.STE())
    for spikes in (True, False):

        def step(call: str, spikes: bool = spikes) -> list[Tensor]:
            x, tape = currents((6, 3, 3), 3), list[moments.Moments]()
            with moments.written_to(tape):
                s = getattr(layer, call)(x)
            loss = sum(getattr(tape[0], name).square().sum() for name in told) + (s.sum() if spikes else 0)
            assert [each.place for each in tape] == ["map"]
            return [s.detach(), *torch.autograd.grad(loss, x)]  # type: ignore[list-item]

        torch.manual_seed(0)
        ours = step("forward")
        torch.manual_seed(0)
        assert all(torch.equal(p, q) for p, q in zip(ours, step("loop"), strict=True))
    with moments.written_to([]):
        assert served(layer, currents((6, 3, 3), 3)) == RECORDED


@pytest.mark.parametrize("method", ["plif", "lsnn", "inflor-snn", "glif"])
def test_an_evaluation_is_served_too(method: str) -> None:
    layer, x = layer_of(method, (6, 3, 3)).eval(), currents((6, 3, 3)).detach()
    with torch.no_grad():
        assert served(layer, x) == RECORDED
        assert torch.equal(layer(x), layer.loop(x))  # type: ignore[operator]


# --- a neuron of a user's own -----------------------------------------------------------------------------------------

MINE = """
class Mine(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.leak = nn.Parameter(torch.full((channels, 1, 1), 0.3))

    def forward(self, v, x):
        return torch.where(v > 0, self.leak * v, 0.1 * v) + x


class Rectifying:
    def build(self, shape):
        return Mine(shape[0])


METHOD = replace(METHODS.get("vanilla"), neuron=replace(LIF, charge=Rectifying(), reset=lambda u, s: u - 0.6 * s))
"""


def test_a_neuron_of_a_users_file_is_on_the_fast_path() -> None:
    written = {"METHODS": METHODS, "LIF": LIF, "nn": nn, "torch": torch, "replace": replace, "__name__": "mine"}
    exec(MINE, written)
    torch.manual_seed(0)
    network = build(written["METHOD"], "resnet20", shape=(1, 8, 8), classes=10, timesteps=2, width=0.1)  # type: ignore[arg-type]
    network.loss(network(torch.randn(4, 1, 8, 8)), torch.arange(4)).backward()
    assert layers._known and all(known.ready for known in layers._known.values())
    same_as_loop(network.spiking_layers()["1"], currents((6, 8, 8), 2))


@dataclass(frozen=True)
class Charge:
    of: object

    def __call__(self, v: Tensor, x: Tensor) -> Tensor:
        return self.of(v, x)  # type: ignore[operator]


def asks(v: Tensor, x: Tensor) -> Tensor:
    return x + v if float(x.sum()) > 0 else x


def outer(v: Tensor, x: Tensor) -> Tensor:
    return v + x * torch.ones(1, 3, 1, 1)


@pytest.mark.parametrize("charge", [asks, outer], ids=["asks for a number", "makes a tensor of its own"])
def test_what_cannot_be_recorded_stays_in_the_loop(charge: object) -> None:
    layer, x = replace(LIF, charge=Charge(charge)).build((3, 4, 4), 2, surrogates.STE()), currents((3, 4, 4), 2)
    found = layers.serve(layer, x)
    assert found is not None and found.refused and not found.ready
    assert torch.equal(layer(x), layer.loop(x))


def test_a_product_under_autocast_stays_in_the_loop() -> None:
    """Which rounds it; a recording would not."""
    mixing = Charge(lambda v, x: v * 0.5 + (x.flatten(1) @ x.flatten(1).t()).mean() * 0.1 + x)
    layer, x = replace(LIF, charge=mixing).build((3, 4, 4), 2, surrogates.STE()), currents((3, 4, 4), 2)
    assert served(layer, x) == RECORDED
    with torch.autocast("cpu", torch.bfloat16):
        found = layers.serve(layer, x)
        assert found is not None and "autocast" in found.refused
        assert torch.equal(layer(x), layer.loop(x))


class Halved(nn.Module):
    """Of the first step's spikes."""

    def forward(self, s: Tensor) -> Tensor:
        first, *others = s.unflatten(0, (3, -1)).unbind()
        return torch.cat([first * 0.5, *others])


def test_steps_of_which_some_are_spikes_are_no_bytes() -> None:
    x = currents((3, 4, 4), 3)
    layer = Followed(replace(LIF, strict=False).build((3, 4, 4), 3, surrogates.STE()), Halved())
    same_as_loop(layer, x)
    assert not hasattr(layer(x), "as_bytes")
    whole = Followed(replace(LIF, strict=False).build((3, 4, 4), 3, surrogates.STE()), Delay(3))
    same_as_loop(whole, x)
    y = whole(x)
    assert torch.equal(y.as_bytes.float(), y) and y.any()


@pytest.mark.parametrize(
    "charge",
    [
        lambda v, x: v + torch.round(x * 3),
        lambda v, x: v + x.detach().to(torch.int32).to(torch.float32),
        lambda v, x: v + x * (x.detach().abs() + 1).view(torch.int32).to(torch.float32),
        lambda v, x: v + x * (x.detach().round() * 2.0**23 + 127 * 2.0**23).to(torch.int32).view(torch.float32),
    ],
    ids=["rounded", "cut", "bits", "of bits"],
)
def test_numbers_by_their_bits(charge: object) -> None:
    same_as_loop(replace(LIF, charge=Charge(charge)).build((6, 3, 3), 2, surrogates.STE()), currents((6, 3, 3), 2))


def test_nothing_is_computed_of_integers() -> None:
    """Which C would turn into floats sooner than torch does."""
    charge = Charge(lambda v, x: v + x * (x.detach().to(torch.int32) * 3).to(torch.float32))
    layer = replace(LIF, charge=charge).build((3, 4, 4), 2, surrogates.STE())
    found = layers.serve(layer, currents((3, 4, 4), 2))
    assert found is not None and "int32 between two kernels" in found.refused


def test_what_changes_between_two_calls_is_seen() -> None:
    """A number that a neuron keeps, or finds among its globals, is no constant."""
    state = {"leak": 0.5}
    layer = replace(LIF, charge=Charge(lambda v, x: state["leak"] * v + x)).build((3, 4, 4), 2, surrogates.STE())
    x = currents((3, 4, 4), 2)
    for leak in (0.5, 0.9, 0.1):
        state["leak"] = leak
        assert torch.equal(layer(x), layer.loop(x))
    layer.fire.v_th = 0.1  # type: ignore[union-attr]
    assert torch.equal(layer(x), layer.loop(x))


def test_who_listens_within_is_heard() -> None:
    layer, heard = replace(LIF, strict=False).build((3, 4, 4), 2, surrogates.STE()), list[object]()
    layer.fire.register_forward_hook(lambda *call: heard.append(call[2]))
    layer(currents((3, 4, 4), 2))
    assert len(heard) == 2
    around = Followed(replace(LIF, strict=False).build((3, 4, 4), 2, surrogates.STE()), nn.Identity())
    around.neuron.register_forward_hook(lambda *call: heard.append(call[2]))
    around(currents((3, 4, 4), 2))
    assert len(heard) == 3


def test_who_counts_or_exports_operations_sees_them() -> None:
    layer, x = replace(LIF, strict=False).build((3, 4, 4), 2, surrogates.STE()), currents((3, 4, 4), 2)
    layer(x)
    assert layers.serve(layer, FakeTensorMode().from_tensor(x.detach())) is None
    with FlopCounterMode(display=False):
        assert layers.serve(layer, x) is None
    assert served(layer, x) == RECORDED


def lying(tensor: Tensor, stride: tuple[int, ...]) -> Tensor:
    return torch.empty_strided(tensor.shape, stride).copy_(tensor)


@pytest.mark.parametrize("method", list(METHODS))
def test_whatever_the_order_of_memory_it_is_the_loop_s(method: str) -> None:
    """Of a map of one place it has two names; gradients come in another from a flattened map, or spread from a mean.
    Sums over channels go by it, and convolutions further on."""
    spread = (lambda g: g.contiguous(), lambda g: g[..., :1, :1].expand(g.shape))
    named = [lambda t, s=s: lying(t, s) for s in ((37, 1, 37, 37), (37, 1, 1, 1))]
    cases = [((6, 3, 3), lambda x: x, g) for g in spread] + [((37, 1, 1), x, g) for x in named for g in named]
    for shape, x_lies, g_lies in cases:
        layer, x = layer_of(method, shape, 2), x_lies(currents(shape, 2).detach()).requires_grad_()
        if served(layer, x) != RECORDED:
            return
        outcomes = []
        for way in ("forward", "loop"):
            torch.manual_seed(0)
            y = getattr(copy.deepcopy(layer), way)(x)
            (gx,) = torch.autograd.grad(y, x, g_lies(torch.randn(y.shape)))
            outcomes.append((y.detach(), gx))
        assert all(map(proved._same, *outcomes))


def test_an_analog_output_costs_no_pass_over_memory_of_its_own() -> None:
    left = left_to_torch(layer_of("liaf-net", (6, 3, 3)), currents((6, 3, 3)))
    assert left == ["aten.sigmoid.default", "aten.scalar_tensor.default", *["aten.sum.default"] * 4]  # of the leak


def test_a_kernel_with_other_bits_is_not_believed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(arithmetic.C, "sub", "{0} - {1} * 1.0000001f")
    layer, x = replace(LIF, strict=False).build((6, 3, 3), 3, surrogates.STE()), currents((6, 3, 3), 3)
    found = layers.serve(layer, x)
    assert found is not None and "other bits than the loop's" in found.refused
    assert torch.equal(layer(x), layer.loop(x))


# --- from when on -----------------------------------------------------------------------------------------------------


def test_kernels_are_made_once_the_loop_has_taken_as_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By a clock of this test: each call of the loop takes 0.03 s."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clock = iter(range(10**6))
    monkeypatch.setattr(layers.time, "perf_counter", lambda: 0.03 * next(clock))
    layers._at_once.set(False)
    layer, x = replace(LIF, strict=False).build((6, 3, 3), 2, surrogates.STE()), currents((6, 3, 3), 2)

    def calls() -> int:
        for call in range(1000):
            served = layers.serve(layer, x)
            if served is not None and served.ready:
                return call
            layer(x)
        return math.inf  # type: ignore[return-value]

    recording, compiling = (math.ceil(bound / 0.03) for bound in (layers.RECORDING, layers.COMPILING))
    assert calls() == pytest.approx(recording + compiling, abs=2)
    layers.forget()
    assert calls() == recording  # compiled they are already


def test_without_a_compiler_and_where_another_is_asked_for_the_loop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = replace(LIF, strict=False).build((6, 3, 3), 2, surrogates.STE()), currents((6, 3, 3), 2)
    for backend in ("loop", "manual", "triton"):
        monkeypatch.setenv(VARIABLE, backend)
        assert layers.serve(layer, x) is None
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(compiled, "compiler", lambda: None)
    assert layers.serve(layer, x) is None


def test_one_fire_and_the_rest_of_the_loop_are_not_copied() -> None:
    """The recording is of `loop`: no second recurrence stands in the kernels' folder."""
    folder = Path(layers.__file__).parent
    text = "".join(file.read_text() for file in folder.glob("*.py"))
    assert "v_th" not in text and "tau" not in text and Fire.__name__ not in text
