"""Bytes counted against nets whose saved tensors are known."""

from __future__ import annotations

import torch
from torch import nn

from harness.measure.memory import MIB, peak_bytes, saved_bytes


def test_what_a_relu_and_a_linear_layer_save() -> None:
    network = nn.Sequential(nn.Linear(256, 256, bias=False), nn.ReLU())
    x = torch.randn(1024, 256)  # 1 MiB: the linear layer saves its input, ReLU its output; no weight is counted
    assert saved_bytes(lambda: network(x), network) == 2 * MIB


def test_a_storage_is_counted_once() -> None:
    network = nn.Identity()
    x = torch.randn(256, 1024, requires_grad=True)
    assert saved_bytes(lambda: x * x + x.t().t().exp() * 0 + x**2, network) >= MIB
    assert saved_bytes(lambda: x * x, network) == MIB


def test_what_a_result_nobody_uses_has_saved_is_not_counted() -> None:
    x = torch.randn(256, 1024, requires_grad=True)

    def forward() -> torch.Tensor:
        for _ in range(3):
            x.exp()  # saves its result, and goes
        return x.exp().sigmoid()  # the first saves its result, the second as well

    assert saved_bytes(forward, nn.Identity()) == 2 * MIB


def test_the_peak_sees_what_a_step_frees_again() -> None:
    def step() -> None:
        torch.ones(64, MIB // 4).sum()

    peak = peak_bytes(step, torch.device("cpu"))
    assert peak is None or 56 * MIB < peak < 80 * MIB
