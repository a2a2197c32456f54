"""What a layer of neurons is, apart from the numbers it learns: two that are alike do the same operations."""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

ATOMS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, type, types.BuiltinFunctionType)
TENSORS = ("_parameters", "_buffers")
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
KNOWN = {*TENSORS, *HOOKS, "_modules", *(name for name in nn.Module().__dict__ if name.startswith("_"))}


class Unknown(Exception):
    """Something whose state cannot be told, or a hook: somebody listens."""


def told(part: Any, seen: dict[int, int] | None = None, root: bool = False) -> Any:
    """Equal for what computes alike, hashable; hooks of the `root` see no more than goes in and out. Raises Unknown."""
    seen = {} if seen is None else seen
    if isinstance(part, (*ATOMS, enum.Enum)):
        return part if part == part else "nan"
    if id(part) in seen:
        return ("again", seen[id(part)])
    seen[id(part)] = len(seen)
    if isinstance(part, Tensor):
        return ("tensor", tuple(part.shape), part.stride(), part.dtype, part.requires_grad)
    if isinstance(part, tuple | list):
        return (type(part), tuple(told(each, seen) for each in part))
    if isinstance(part, Mapping):
        return (type(part), tuple((name, told(each, seen)) for name, each in part.items()))
    if isinstance(part, types.MethodType):
        return ("method", told(part.__func__, seen), told(part.__self__, seen))
    if isinstance(part, types.FunctionType):
        return _of_function(part, seen)
    if isinstance(part, functools.partial):
        return ("partial", told(part.func, seen), told(part.args, seen), told(part.keywords, seen))
    if isinstance(part, nn.Module):
        return _of_module(part, seen, root)
    if hasattr(part, "__dict__") and not isinstance(part, types.ModuleType):
        return (type(part), told(part.__dict__, seen))
    raise Unknown(f"a {type(part).__name__}")


def _of_module(module: nn.Module, seen: dict[int, int], root: bool) -> Any:
    state = module.__dict__
    if not root and any(state[name] for name in HOOKS):
        raise Unknown("a hook")
    own = tuple((name, told(part, seen)) for name, part in state.items() if name not in KNOWN)
    below = tuple((name, told(part, seen)) for kind in (*TENSORS, "_modules") for name, part in state[kind].items())
    return (type(module), own, below)


def _of_function(function: types.FunctionType, seen: dict[int, int]) -> Any:
    """With what it closes over, its defaults, and the plain numbers among the globals that it names."""
    cells = tuple(told(cell.cell_contents, seen) for cell in function.__closure__ or ())
    named = ((name, function.__globals__.get(name)) for name in function.__code__.co_names)
    numbers = tuple((name, part) for name, part in named if isinstance(part, bool | int | float | str))
    return (function.__code__, cells, told((function.__defaults__, function.__kwdefaults__), seen), numbers)
