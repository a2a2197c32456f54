"""The few functions of TensorFlow 1 that LSNN's cell calls, said in torch, under the names that it imports."""

from __future__ import annotations

import sys
import types
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from typing import Any

import torch
from torch import Tensor, nn


def variable(value: Any, dtype: Any = None, name: str = "", trainable: bool = True) -> Tensor:
    tensor = torch.as_tensor(value, dtype=dtype)
    return nn.Parameter(tensor) if trainable else tensor


def custom_gradient(function: Any) -> Any:
    """`function` gives its value and what makes the gradients of its arguments of that of its value."""

    class Given(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *given):  # type: ignore[override]
            value, ctx.gradient = function(*given)
            return value

        @staticmethod
        def backward(ctx, g):  # type: ignore[override]
            return ctx.gradient(g)[0], None

    return Given.apply


def floats(of: Any) -> Tensor:
    return torch.as_tensor(of, dtype=torch.float64)


def module(name: str, **content: object) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__spec__ = ModuleSpec(name, None)  # torch looks for it, in whatever is called so
    made.__dict__.update(content)
    sys.modules[name] = made
    return made


def install() -> None:
    torch.Tensor.get_shape = lambda self: self.shape  # type: ignore[attr-defined]
    module(
        "tensorflow",
        __version__="1.12",
        float32=torch.float64,
        int64=torch.int64,
        contrib=types.SimpleNamespace(rnn=types.SimpleNamespace(BasicRNNCell=object)),
        name_scope=lambda name: nullcontext(),
        variable_scope=lambda name: nullcontext(),
        Variable=variable,
        custom_gradient=custom_gradient,
        ones=torch.ones,
        zeros=lambda shape, dtype: torch.zeros(tuple(shape), dtype=dtype),
        zeros_like=lambda x: torch.zeros_like(floats(x)),
        cast=lambda x, dtype: torch.as_tensor(x).to(dtype),
        exp=lambda x: floats(x).exp(),
        abs=torch.abs,
        greater=lambda a, b: a > b,
        equal=lambda a, b: a == b,
        maximum=lambda x, least: x.clamp(min=least),
        identity=lambda x, name="": x,
        where=lambda condition, x, y: torch.where(torch.as_tensor(condition), x, y),
        stack=lambda tensors, axis: torch.stack(tensors, axis),
        shape=lambda x: x.shape,
        reshape=lambda x, shape: x.reshape(shape),
        matmul=torch.matmul,
        transpose=lambda x, perm: x.permute(*map(int, perm)),
        expand_dims=lambda x, axis: x.unsqueeze(axis),
        concat=lambda tensors, axis, name="": torch.cat(tensors, axis),
    )
    module("tensorflow.python"), module("tensorflow.python.ops")
    module("tensorflow.python.framework", function=None), module("tensorflow.python.framework.ops", Tensor=Tensor)
    module("tensorflow.python.ops.variables", Variable=variable, RefVariable=type(None))


def install_toolbox(einsum: object, roll: object) -> None:
    """What the cell imports of its own repository, executed before it."""
    for name in ("lsnn", "lsnn.toolbox", "lsnn.toolbox.tensorflow_einsums"):
        module(name)
    module("lsnn.toolbox.rewiring_tools", weight_sampler=None)
    module("lsnn.toolbox.tensorflow_einsums.einsum_re_written", einsum_bi_ijk_to_bjk=einsum)
    module("lsnn.toolbox.tensorflow_utils", tf_roll=roll)
