"""Every registered method leaves the house: as a program of torch, as ONNX, and as NIR or with a clear refusal.

What fires is compared spike by spike, real values to rounding. Methods that fold to like parts are one export; each by
itself, and all as ONNX, in `make test-all`.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import smallest

from baselines import METHODS
from baselines.network import Network
from baselines.parts.poisson import Poisson
from harness.errors import UserError
from harness.export import as_nir, as_onnx, as_torch
from harness.export.network import agreement, folded


def parts(network: Network) -> frozenset[str]:
    """What the folded network consists of, by type."""
    neurons = [type(part).__name__ for n in network.spiking_layers().values() for part in (n.charge, n.reset)]
    return frozenset([*neurons, type(network.method.encoder).__name__, *(type(m).__name__ for m in network.modules())])


def each_kind() -> list[str]:
    """The first method of each kind of folded network; of few steps, which are written out one by one."""
    made = {method: smallest.network(method) for method in reversed(list(METHODS))}
    short = {method: network for method, network in made.items() if network.timesteps == smallest.TIMESTEPS}
    return sorted({parts(folded(network)): method for method, network in short.items()}.values())


def leaves(method: str, form: ModuleType, folder: Path) -> None:
    network, images = smallest.alive(method)
    network, images = folded(network), images[:4].contiguous()
    path = form.write(network, images, folder / "n", spikes=True)
    wrong, compared, difference = agreement(
        network, images, lambda given: form.run(path, list(network.spiking_layers()), given)
    )
    assert wrong == 0 and difference < 1e-4 and (compared > 1000 or not network.spiking_layers())


@pytest.mark.parametrize("method", each_kind())
def test_a_program_of_torch_fires_the_same_spikes(method: str, tmp_path: Path) -> None:
    leaves(method, as_torch, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("form", [as_torch, as_onnx], ids=["torch", "onnx"])
def test_each_by_itself(form: ModuleType, method: str, tmp_path: Path) -> None:
    if form is as_onnx:
        pytest.importorskip("onnxscript"), pytest.importorskip("onnxruntime")
    if form is as_onnx and isinstance(METHODS.get(method).encoder, Poisson):
        with pytest.raises(UserError, match="layer encoder: cannot be written in ONNX"):
            leaves(method, form, tmp_path)
        return
    leaves(method, form, tmp_path)


@pytest.mark.parametrize("method", list(METHODS))
def test_nir_or_a_refusal_that_names_the_layer(method: str, tmp_path: Path) -> None:
    pytest.importorskip("nir")
    network, images = smallest.alive(method)
    network, images = folded(network), images[:4].contiguous()
    try:
        path = as_nir.write(network, images, tmp_path / "n")
    except UserError as refused:
        assert "layer " in str(refused) and "cannot be written in NIR: " in str(refused), str(refused)
        return
    names = list(network.spiking_layers())
    wrong, compared, difference = agreement(network, images, lambda given: as_nir.run(path, names, given))
    assert wrong == 0 and compared > 1000 and difference < 1e-4
