"""Which tensor's rounding is it that bfloat16 costs? Each alone, in float32 otherwise: MPBN, T = 1, preset smoke.

python tests/benchmarks/roundings.py OUT.jsonl SEEDS [VARIANT...]    a line a training: seed, variant, best and last %
"""

from __future__ import annotations

import json
import sys
import tempfile
import types
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import baselines
from harness import environment, tables
from harness.data import load
from harness.requests import Asked
from harness.spec import Recipe
from harness.train.checkpoint import Checkpoint
from harness.train.loop import train
from harness.verbs.looking import look

PLACES = ("inputs", "weights", "outputs", "gradient of outputs", "gradient of inputs", "gradient of weights")
"""Of convolutions: what autocast rounds, the whole way."""
AS_IT_IS, AUTOCAST, NOTHING, HEAD = "as cells are", "autocast", "nothing", "classifier"
VARIANTS = (AS_IT_IS, AUTOCAST, NOTHING, *PLACES, HEAD)
ONLY = ("method=mpbn,timesteps=1,dataset=cifar10",)


def rounded(tensor: Tensor, place: str, on: Iterable[str]) -> Tensor:
    return tensor.bfloat16().float() if place in on else tensor


class Convolution(torch.autograd.Function):
    """In float32, but for the places that are `on`."""

    @staticmethod
    def forward(ctx, x, w, module, on):  # type: ignore[override]
        x, w = rounded(x, "inputs", on), rounded(w, "weights", on)
        ctx.save_for_backward(x, w)
        ctx.module, ctx.on = module, on
        return rounded(F.conv2d(x, w, None, module.stride, module.padding), "outputs", on)

    @staticmethod
    def backward(ctx, g):  # type: ignore[override]
        (x, w), m, on = ctx.saved_tensors, ctx.module, ctx.on
        wanted = (ctx.needs_input_grad[0], True, False)
        like = (m.stride, m.padding, m.dilation, False, (0, 0), m.groups, wanted)
        g = rounded(g, "gradient of outputs", on)
        gx, gw, _ = torch.ops.aten.convolution_backward(g, x, w, None, *like)
        gx = None if gx is None else rounded(gx, "gradient of inputs", on)
        return gx, rounded(gw, "gradient of weights", on), None, None


def rounding(network: nn.Module, on: tuple[str, ...]) -> None:
    """From now on, in every convolution; the classifier as a whole, by autocast."""

    def convolve(self: nn.Conv2d, x: Tensor) -> Tensor:
        return Convolution.apply(x, self.weight, self, on)  # type: ignore[return-value]

    def classify(self: nn.Linear, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=HEAD in on):
            return F.linear(x, self.weight, self.bias).float()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            way = convolve if isinstance(module, nn.Conv2d) else classify
            module.forward = types.MethodType(way, module)  # type: ignore[method-assign]


def trained(variant: str, seed: int, recipe: Recipe) -> dict[str, object]:
    data = load("digits", None, recipe, 1, device="cpu")
    environment.seed_everything(seed)
    given = {"shape": data.shape, "classes": data.classes, "surrogate": recipe.surrogate, "width": recipe.width}
    network = baselines.build("mpbn", "resnet20", timesteps=1, **given)  # type: ignore[arg-type]
    network.in_precision("bfloat16" if variant == AUTOCAST else "float32")
    if variant not in (AS_IT_IS, AUTOCAST):
        rounding(network, (variant,))
    with tempfile.TemporaryDirectory() as folder:
        accuracy = train(network, data, recipe, seed, Checkpoint(Path(folder))).curve.test_accuracy
    return {"seed": seed, "variant": variant, "best": max(accuracy), "last": accuracy[-1]}


def main(out: str, seeds: str, *variants: str) -> None:
    environment.limit_threads(1)
    torch.set_num_threads(1)
    asked = Asked(targets=("table1",), preset="smoke", only=ONLY, seeds=(0,), store=Path("nowhere"), data=Path())
    (recipe,) = {cell.recipe for plan in look(asked, tables.load_table).plans for cell in plan.cells}
    for seed in map(int, seeds.split(",")):
        for variant in variants or VARIANTS:
            with Path(out).open("a") as file:
                file.write(f"{json.dumps(trained(variant, seed, recipe))}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
