"""Training samples in the order of the set, without a partial batch, or normalised by a recipe's own constants."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.data import load
from harness.errors import UserError
from harness.spec import Recipe


def batches(epoch: int = 0, start: int = 0, **fields: object) -> list[tuple[torch.Tensor, torch.Tensor]]:
    said = {"epochs": 1, "batch": 64, "train_samples": 150, "test_samples": 20} | fields
    return list(load("digits", None, Recipe(**said), 1, device="cpu").train.epoch(3, epoch, said["batch"], start=start))


def labels(*args: int, **fields: object) -> list[int]:
    return torch.cat([labels for _, labels in batches(*args, **fields)]).tolist()


def test_unshuffled_is_the_same_in_every_epoch() -> None:
    assert labels(0, shuffled=False) == labels(1, shuffled=False) != labels(0)
    assert labels(0) != labels(1)
    assert sorted(labels(0)) == sorted(labels(0, shuffled=False))


def test_the_partial_batch_may_be_left_out() -> None:
    assert [len(labels) for _, labels in batches()] == [64, 64, 22]
    assert [len(labels) for _, labels in batches(partial_batch=False)] == [64, 64]
    for one, two in zip(batches(partial_batch=False), batches(), strict=False):
        torch.testing.assert_close(one[0], two[0])  # the others are as they were


def test_a_resumed_epoch_goes_on_where_it_was() -> None:
    whole, rest = batches(shuffled=False, augmentation=("flip",)), batches(0, 1, shuffled=False, augmentation=("flip",))
    for one, two in zip(whole[1:], rest, strict=True):
        torch.testing.assert_close(one[0], two[0], rtol=0, atol=0)


def test_no_whole_batch_is_said() -> None:
    with pytest.raises(UserError, match="150 samples make no whole batch of 200"):
        batches(batch=200, partial_batch=False)


def test_a_recipes_own_constants() -> None:
    own, usual = batches(mean=(0.25,), deviation=(0.5,)), batches()
    shown = usual[0][0] * 0.318643 + 0.305824
    np.testing.assert_allclose(own[0][0].numpy(), ((shown - 0.25) / 0.5).numpy(), atol=1e-5)


@pytest.mark.parametrize("field", ["mean", "deviation"])
def test_constants_of_another_number_of_channels_are_said(field: str) -> None:
    with pytest.raises(UserError, match=f"`{field}` has 3 numbers.*write 1, one a channel"):
        batches(**{field: (0.5, 0.5, 0.5)})


def test_events_have_no_such_constants() -> None:
    with pytest.raises(UserError, match=r"`mean = .*` means nothing for digits-events"):
        load("digits-events", None, Recipe(epochs=1, mean=(0.5, 0.5)), 2, device="cpu")
