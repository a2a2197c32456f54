"""Weights that cannot be those of the cell: a line that names the file, whatever is wrong with it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness import durable
from harness.errors import UserError
from harness.measure.weights import restore
from harness.store.probes import fingerprint
from harness.train.checkpoint import serialised


def network() -> Any:
    return nn.Linear(3, 2)


def state(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    return network().state_dict() | changes


def whole() -> bytes:
    return serialised(state())


def nothing(path: Path) -> None:
    path.unlink()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def linked(path: Path) -> None:
    path.rename(path.with_name("private"))
    path.symlink_to("private")


ODD: dict[str, tuple[bytes | Callable[[Path], None], str]] = {
    "empty": (b"", "does not hold"),
    "no archive": (b"weights", "does not hold"),
    "cut off": (whole()[:-200], "does not hold"),
    "overwritten": (whole()[:300] + b"\0" * 600 + whole()[900:], "does not hold"),
    "another pickle": (pickle.dumps(print), "does not hold"),
    "a list": (serialised([1, 2]), "does not hold"),
    "a number": (serialised(1), "does not hold"),
    "missing": (serialised({"weight": torch.zeros(2, 3)}), "does not hold"),
    "of another network": (serialised(state(weight=torch.zeros(4, 4))), "does not hold"),
    "no tensor": (serialised(dict.fromkeys(state(), "x")), "does not hold"),
    "NaN": (serialised(state(bias=torch.full((2,), torch.nan))), "holds numbers that are not finite, in bias"),
    "infinite": (serialised(state(weight=torch.full((2, 3), torch.inf))), "not finite, in weight"),
    "a FIFO": (fifo, r"cannot be read \(a fifo\)"),
    "a link": (linked, r"cannot be read \(a link\)"),
    "gone": (nothing, "cannot be read"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_wrong_is_a_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(whole())
    odd, told = ODD[kind]
    if isinstance(odd, bytes):
        path.write_bytes(odd)
    else:
        odd(path)
    with pytest.raises(UserError, match=told) as caught:
        restore(network(), path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_right_is_known_by_its_fingerprint(tmp_path: Path) -> None:
    made, path = network(), tmp_path / "weights.pt"
    durable.write(path, serialised(state(bias=torch.ones(2))))
    assert restore(made, path) == fingerprint(path.read_bytes())
    assert torch.equal(made.bias, torch.ones(2))
