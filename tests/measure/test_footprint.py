"""The memory that a dry run tells: shapes without numbers against what autograd really keeps."""

from __future__ import annotations

import msgspec
import pytest
import torch

import baselines
from baselines.kernels import compiled
from baselines.recompute import Recompute
from harness import data
from harness.measure.footprint import MANY, footprint, total
from harness.measure.memory import saved_bytes
from harness.spec import Cell, Recipe

WITHIN = 0.02
SHAPE = (3, 32, 32)
BATCH = 6
WAYS = ("nothing", "neurons", "everything")

compiler = pytest.mark.skipif(compiled.library() is None, reason="no C compiler here")


def cell(method: str = "mpbn", architecture: str = "resnet20", timesteps: int = 2, **recipe: object) -> Cell:
    given = Recipe(**{"epochs": 1, "width": 0.25, "batch": 32, **recipe})
    return Cell(method=method, architecture=architecture, dataset="digits", timesteps=timesteps, seed=0, recipe=given)


def really_kept(one: Cell, recompute: Recompute) -> int:
    network = baselines.build(
        one.method, one.architecture, shape=SHAPE, classes=10, timesteps=one.timesteps, width=one.recipe.width
    )
    network = network.in_precision(one.recipe.precision).train()
    network.recompute = recompute
    return saved_bytes(lambda: network(torch.randn(BATCH, *SHAPE)), network)


@compiler
@pytest.mark.parametrize("recompute", WAYS)
@pytest.mark.parametrize(
    ("method", "architecture"),
    [("mpbn", "resnet20"), ("mpbn-element", "vgg11"), ("tebn", "resnet20"), ("vanilla", "resnet19"), ("tdbn", "vgg11")],
)
def test_it_is_what_a_real_forward_pass_keeps(method: str, architecture: str, recompute: Recompute) -> None:
    one = cell(method, architecture)
    told = footprint(one, SHAPE, 10, BATCH, recompute).kept
    assert told == pytest.approx(really_kept(one, recompute), rel=WITHIN)


@pytest.mark.parametrize(("method", "timesteps"), [("hybrid-train", 120), ("spike-basedbp", 100)])
def test_long_training_keeps_what_is_told_and_fits_into_much_less(method: str, timesteps: int) -> None:
    """Of T timesteps at once; computed again, spikes alone are kept of a layer, a byte each."""
    one = cell(method, "vgg11", timesteps, width=1 / 32)
    for recompute in ("nothing", "everything"):
        told = footprint(one, SHAPE, 10, BATCH, recompute).kept
        assert told == pytest.approx(really_kept(one, recompute), rel=WITHIN)
    whole, less = (footprint(one, SHAPE, 10, BATCH, way) for way in ("nothing", "everything"))
    assert less.kept < whole.kept / 3 and less.total < whole.total
    assert footprint(cell(method, "vgg11", 2 * timesteps, width=1 / 32), SHAPE, 10, BATCH).kept > 1.9 * whole.kept


@pytest.mark.parametrize(
    ("method", "recompute"), [("hybrid-train", "everything"), ("glif", "nothing"), ("bntt", "neurons")]
)
def test_of_many_timesteps_it_is_counted_along_a_line_that_no_step_leaves(method: str, recompute: Recompute) -> None:
    """Also where parameters or statistics stand for each timestep."""
    one = cell(method, "vgg11", 2 * MANY + 7, width=1 / 32, size=32)
    whole = footprint(one, (1, 32, 32), 10, BATCH, recompute).total
    assert total(one, BATCH, recompute) == pytest.approx(whole, rel=1e-3)


@compiler
def test_an_imagenet_network_of_full_width() -> None:
    """ResNet34, T = 4, at all of its pixels: one image is quick to run here."""
    shape = (3, 224, 224)
    network = baselines.build("mpbn", "resnet34", shape=shape, classes=1000, timesteps=4).train()
    real = saved_bytes(lambda: network(torch.randn(1, *shape)), network)
    one = cell("mpbn", "resnet34", 4, width=1.0)
    assert footprint(one, shape, 1000, 1).kept == pytest.approx(real, rel=WITHIN)
    assert footprint(one, shape, 1000, 128).kept == pytest.approx(128 * real, rel=WITHIN)


@compiler
@pytest.mark.parametrize("recompute", WAYS)
def test_bfloat16_is_no_more(recompute: Recompute) -> None:
    one = cell(precision="bfloat16")
    assert really_kept(one, recompute) <= footprint(one, SHAPE, 10, BATCH, recompute).kept


@compiler
def test_computing_again_never_holds_more_than_is_told() -> None:
    """All that is alive of what was kept at any moment of a real step, the way back included."""
    one = cell(architecture="vgg11")
    network = baselines.build("mpbn", "vgg11", shape=SHAPE, classes=10, timesteps=2, width=0.25).train()
    network.recompute = "everything"
    alive: dict[int, int] = {}
    held = {"most": 0, "now": 0}
    own = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers())}

    class Held:
        def __init__(self, tensor: torch.Tensor) -> None:
            self.tensor, self.storage = tensor, tensor.untyped_storage()._cdata
            alive[self.storage] = alive.get(self.storage, 0) + 1
            if alive[self.storage] == 1 and self.storage not in own:
                held["now"] += tensor.untyped_storage().nbytes()
                held["most"] = max(held["most"], held["now"])

        def __del__(self) -> None:
            alive[self.storage] -= 1
            if alive[self.storage] == 0 and self.storage not in own:
                held["now"] -= self.tensor.untyped_storage().nbytes()

    with torch.autograd.graph.saved_tensors_hooks(Held, lambda one: one.tensor):
        network(torch.randn(BATCH, *SHAPE)).sum().backward()
    told = footprint(one, SHAPE, 10, BATCH, "everything")
    assert told.kept < held["most"] <= told.kept + told.again


def test_the_rest_is_counted_too() -> None:
    network = baselines.build("mpbn", "resnet20", shape=(1, 16, 16), classes=10, timesteps=2, width=0.25)
    parameters = sum(p.numel() for p in network.parameters()) * 4
    buffers = sum(b.numel() * b.element_size() for b in network.buffers())
    for recipe, beside in (({}, 1), ({"momentum": 0.0}, 0), ({"optimiser": "adam"}, 2)):
        found = footprint(cell(**recipe), (1, 16, 16), 10, 4)
        assert found.checkpoint == parameters * (1 + beside) + buffers
        assert found.state == found.checkpoint + parameters
        assert found.total == found.kept + found.state + found.checkpoint and found.again == 0


def test_total_depends_on_neither_seed_nor_samples() -> None:
    one = cell(size=16)
    assert total(one, 4, "nothing") == footprint(one, (1, 16, 16), 10, 4).total
    assert total(msgspec.structs.replace(one, seed=7, data="variant-1"), 4, "nothing") == total(one, 4, "nothing")


def test_what_a_part_does_with_numbers_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines import METHODS
    from baselines.method import Method
    from baselines.network import Network

    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))

    class Peeking:
        def __call__(self, images: torch.Tensor, timesteps: int) -> torch.Tensor:
            return images.repeat(timesteps, 1, 1, 1) * images.max().item()

    METHODS.register("peeking", Method(encoder=Peeking()))
    assert isinstance(baselines.build("peeking", "vgg11", shape=(1, 32, 32), classes=2, timesteps=1), Network)
    assert total(cell("peeking", "vgg11", size=32), 4, "nothing") is None


@pytest.mark.parametrize(("name", "recipe"), [("digits", {}), ("digits", {"size": 20}), ("digits-events", {})])
def test_a_frame_is_told_as_it_is_loaded(name: str, recipe: dict[str, int]) -> None:
    given = Recipe(epochs=1, train_samples=20, test_samples=20, **recipe)
    loaded = data.load(name, None, given, 2, device="cpu")
    assert data.frame(name, given) == (loaded.shape, loaded.classes)


def test_frames_of_the_four_sets() -> None:
    found = {name: data.frame(name, Recipe(epochs=1)) for name in ("cifar10", "cifar100", "imagenet", "cifar10dvs")}
    assert found == {
        "cifar10": ((3, 32, 32), 10),
        "cifar100": ((3, 32, 32), 100),
        "imagenet": ((3, 224, 224), 1000),
        "cifar10dvs": ((2, 48, 48), 10),
    }


@pytest.mark.parametrize(
    ("method", "at_once"), [("spikenorm", 1), ("ottt", 1), ("hybrid-train", 100), ("vanilla", 100)]
)
def test_memory_is_that_of_the_timesteps_that_are_kept_at_once(method: str, at_once: int) -> None:
    long = footprint(cell(method, timesteps=100), SHAPE, 10, BATCH).kept
    assert long == footprint(cell(method, timesteps=at_once), SHAPE, 10, BATCH).kept
    assert total(cell("joint-a-snn", timesteps=2), BATCH, "nothing") is not None
