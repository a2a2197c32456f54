"""What a training step keeps for its backward pass, and how high it drives the process's memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import ref

import torch
from torch import Tensor, nn

MIB = 2**20
Step = Callable[[], object]


def saved_bytes(forward: Callable[[], Tensor], network: nn.Module) -> int:
    """Bytes of the distinct storages that autograd keeps after `forward`, parameters and buffers aside.

    On the meta device too, where storages have a size and no address.
    """
    with saved_until(network) as weigh:
        output = forward()
        saved = weigh()
    del output
    return saved


@contextmanager
def saved_until(network: nn.Module) -> Iterator[Callable[[], int]]:
    """Within, what is given says at any time how many bytes autograd keeps of what was computed since."""
    packed: list[ref[Tensor]] = []

    def pack(tensor: Tensor) -> Tensor:
        saved = tensor.detach()  # a result that its own graph keeps would keep that graph
        packed.append(ref(saved))
        return saved

    def weigh() -> int:
        kept = [saved for each in packed if (saved := each()) is not None]  # not what went with an unused result
        own = {_identity(tensor) for tensor in (*network.parameters(), *network.buffers())}
        sizes = {_identity(tensor): tensor.untyped_storage().nbytes() for tensor in kept}
        return sum(size for identity, size in sizes.items() if identity not in own)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        yield weigh


def _identity(tensor: Tensor) -> int:
    """Of its storage, as long as that lives."""
    return tensor.untyped_storage()._cdata


def peak_bytes(step: Step, device: torch.device) -> int | None:
    """How far `step` drives memory above where it began; None where the system does not say."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        _give_back_free_memory()
        Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the highest resident size so far
        before = _status("VmRSS")
        step()
        return _status("VmHWM") - before
    except (OSError, KeyError):
        return None


def _give_back_free_memory() -> None:
    """What malloc keeps of earlier work would hide a later peak."""
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def _status(name: str) -> int:
    """A size of this process in bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024
