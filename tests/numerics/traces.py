"""What this project's own code computes, in small: the numbers that may not move unless the numerics are raised.

A trace is a whole training of a tiny network through the real loop, on samples that are computed and not drawn, in
float64, where another processor changes a few last bits and no spike; beside it, in float32, the very bits, which one
kind of processor repeats and another does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import torch

from baselines import ARCHITECTURES, METHODS, SYSTEMS, build, kernels, one_pass
from baselines.parts.surrogates import SURROGATES
from harness import environment
from harness.data import Data, load
from harness.data.augment import AUGMENTATIONS, Augmentation, chosen
from harness.data.base import Samples
from harness.data.fingerprint import combine, digests
from harness.data.memory import SHUFFLED, MemorySplit, Order, normalisation
from harness.spec import Group, Recipe
from harness.tables import load_origins
from harness.train.checkpoint import Checkpoint
from harness.train.loop import train

RECIPE = Recipe(epochs=2, batch=4, augmentation=("crop", "flip"), precision="float64")
WIDTH = 1 / 16
CAREFUL = {"optimiser": "amsgrad", "lr": 1e-4}
GENTLE = {
    "joint-a-snn": {"lr": 0.001},
    **dict.fromkeys(("diet-snn-system", "diet-snn-system-stem", "hybrid-train-system", "plif-system"), CAREFUL),
}
"""What four samples a batch would make diverge."""
AWAKE = {"timesteps": 64, "width": 1 / 8}
"""Of converted networks: in fewer steps, or channels, deep layers do not wake."""
BEGUN = {
    "tet-system-inherited": "tet-system",
    **dict.fromkeys(("diet-snn-system", "diet-snn-system-stem", "hybrid-train-system"), "ann"),
}
"""System -> what it begins from; of the methods `tables/origins.toml` says it."""
BRIEF = {name: {"search": (4, 64)} for name, origin in BEGUN.items() if origin == "ann"}
CHANGES = {
    "adam": {"optimiser": "adam", "lr": 0.01},
    "all decayed": {"decayed": "all", "weight_decay": 0.01},
    "constant rate": {"schedule": "constant"},
    "no momentum": {"momentum": 0.0},
    "amsgrad": {"optimiser": "amsgrad", "lr": 0.01},
    "steps": {"schedule": "steps", "milestones": (0.5,), "factor": 0.2},
    "exponential": {"schedule": "exponential", "factor": 0.5},
    "period, ahead": {"period": 3, "ahead": 1},
    "smoothing": {"smoothing": 0.1},
    "not shuffled": {"shuffled": False},
    "no partial batch": {"partial_batch": False, "batch": 5},
    "groups": {"groups": (Group(of=("bias",), rate=0.1, decay=0.01),)},
}


def everything() -> Iterator[tuple[str, Callable[[], list[float]]]]:
    """(name, what computes its trace) of all that enters the numbers of a cell."""
    for method in METHODS:
        if METHODS.builtin(method):
            yield f"method {method}", lambda m=method: trained(m)
    for system in SYSTEMS:
        yield f"method {system}", lambda m=system: trained(m)
    for architecture in ARCHITECTURES:
        if ARCHITECTURES.builtin(architecture):
            yield f"architecture {architecture}", lambda a=architecture: wired(a)
    for surrogate in SURROGATES:
        yield f"surrogate {surrogate}", lambda s=surrogate: trained("mpbn", surrogate=s)
    for name, change in CHANGES.items():
        yield f"recipe {name}", lambda c=change: trained("mpbn", **c)
    for name in AUGMENTATIONS:
        yield f"augmentation {name}", lambda n=name: augmented(AUGMENTATIONS[n])
    yield "dataset digits", lambda: shown("digits")


def trained(method: str, **change: object) -> list[float]:
    """Losses of two epochs, and sums over the weights after them."""
    recipe = msgspec.structs.replace(RECIPE, **change)
    network, losses = _train(method, recipe)
    return [*losses, *_sums(network)]


def wired(architecture: str) -> list[float]:
    """Parameters, logits and gradients of one batch at T = 1.

    With a norm on the potential, so that every layer fires, and every parameter moved: none hides at its first 0 or 1.
    """
    environment.seed_everything(0)
    network = build("mpbn", architecture, shape=(3, 32, 32), classes=10, timesteps=1, width=1 / 16).double()
    for parameter in network.parameters():
        shift = torch.arange(parameter.numel(), dtype=torch.float64).cos() / 8
        parameter.data += shift.reshape(parameter.shape)
    frames = torch.from_numpy(_pixels(4, 3, 32)).double() / 255
    logits = network(frames[None] if not network.shows_the_same_at_every_step(frames) else frames)
    (logits.square().mean()).backward()
    gradients = sum(float(p.grad.abs().sum()) for p in network.parameters() if p.grad is not None)
    return [float(sum(p.numel() for p in network.parameters())), float(logits.detach().abs().sum()), gradients]


def augmented(augmentation: Augmentation) -> list[float]:
    """Sums over a batch of bytes, by place and by value."""
    split = _split(16, (augmentation,))
    pixels = torch.cat([images for images, _ in split.epoch(0, 0, 8)]).double()
    weights = torch.arange(pixels.numel(), dtype=torch.float64).reshape(pixels.shape).cos()
    return [float(pixels.sum()), float((pixels * weights).sum())]


def shown(dataset: str) -> list[float]:
    """Sums over the first training batch of a bundled data set."""
    data = load(dataset, None, Recipe(epochs=1, batch=8), 2, device="cpu")
    images, labels = next(iter(data.train.epoch(0, 0, 8)))
    return [float(images.double().sum()), float(labels.sum()), float(data.train.samples), float(data.test.samples)]


def bits(method: str, **change: object) -> str:
    """Of the weights after a training in float32, as cells are trained: 16 hex."""
    network, losses = _train(method, msgspec.structs.replace(RECIPE, precision="float32", **change))
    digest = hashlib.sha256(repr(losses).encode())
    for tensor in network.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def machine() -> str:
    """What the bits depend on."""
    told = environment.versions(["torch"])["torch"]
    return f"{environment.cpu_model()}, {torch.backends.cpu.get_cpu_capability()}, torch {told}, {kernels.state()}"


def _train(method: str, recipe: Recipe) -> tuple[torch.nn.Module, list[float]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        environment.seed_everything(0)
        origin = load_origins().get(method)
        recipe = recipe if origin is None or not origin.method else origin.after(recipe)
        recipe = msgspec.structs.replace(recipe, **GENTLE.get(method, {}), **BRIEF.get(method, {}))
        size = AWAKE if _converted(method) else {"timesteps": 2, "width": WIDTH}
        network = build(
            method,
            "resnet20",
            shape=(3, 8, 8),
            classes=10,
            surrogate=recipe.surrogate,
            **size,
        ).in_precision(recipe.precision)
        if recipe.one_pass:
            one_pass.join(network.body, torch.device("cpu"))
        order = Order(recipe.shuffled, recipe.partial_batch)
        splits = {"train": _split(12, chosen(recipe.augmentation), order), "test": _split(8, ())}
        data = Data(name="computed", classes=10, shape=(3, 8, 8), identity="official", **splits)
        with TemporaryDirectory() as folder:
            state = train(network, data, recipe, 0, Checkpoint(Path(folder)), weights=_begun(method, recipe))
    finally:
        torch.set_num_threads(threads)
    return network, [*state.curve.train_loss, *state.curve.test_loss]


def _begun(method: str, recipe: Recipe) -> dict[str, torch.Tensor] | None:
    """Weights of what cells of `method` begin from, fresh."""
    origin = load_origins().get(method)
    name = BEGUN.get(method, origin.method if origin is not None else "")
    if not name:
        return None
    width = AWAKE["width"] if _converted(method) else WIDTH
    network = build(name, "resnet20", shape=(3, 8, 8), classes=10, timesteps=1, surrogate=recipe.surrogate, width=width)
    return dict(network.in_precision(recipe.precision).state_dict())


def _converted(method: str) -> bool:
    return getattr(METHODS.get(method).procedure, "balance", None) is not None


def _sums(network: torch.nn.Module) -> list[float]:
    kept = {name: t for name, t in network.state_dict().items() if not name.endswith("noise")}  # a seed, and huge
    tensors = [t.double().flatten() for t in kept.values()]
    weights = torch.cat(tensors)
    return [float(weights.abs().sum()), float((weights * torch.arange(len(weights), dtype=torch.float64).cos()).sum())]


def _split(samples: int, augmentations: tuple[Augmentation, ...], order: Order = SHUFFLED) -> MemorySplit:
    pixels, labels = _pixels(samples, 3, 8), np.arange(samples) % 10
    made = Samples(pixels, labels)
    return MemorySplit(
        images=torch.from_numpy(made.images),
        labels=torch.from_numpy(made.labels),
        fingerprint=combine(digests(made.images, made.labels)),
        augmentations=augmentations,
        order=order,
        **normalisation((0.5,) * 3, (0.25,) * 3, torch.device("cpu")),
    )


def _pixels(samples: int, channels: int, size: int) -> np.ndarray:
    """uint8, computed: no generator's version matters."""
    index = np.arange(samples * channels * size * size, dtype=np.uint64)
    return ((index * 2654435761 >> 7) % 256).astype(np.uint8).reshape(samples, channels, size, size)
