"""Convolutions that work for the spikes they are given, and not for the silence: `events.c` behind a torch layer.

For inference. Equal to the dense sum up to rounding, whatever of the three ways computes it: dense (oneDNN), an
addition a spike, or tables of four bits. Which is the fastest is measured on the layer's own first input of a size.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from baselines.kernels import compiled

Way = Literal["dense", "add", "look_up"]
TABLES = 1 << 17
"""Bytes of tables at most: beyond the innermost caches they lose."""
REPEATS = 5
"""Timings of which the shortest counts."""


class Events(ctypes.Structure):
    """The C struct of the same name."""

    _fields_ = (*((name, ctypes.c_long) for name in (*"NHWIYXOK", "stride", "pad")), ("threads", ctypes.c_int))


@dataclass(frozen=True)
class Costs:
    """Seconds of one call at one size; those of events without the packing, which comes first."""

    pack: float
    dense: float
    silent: float
    """Of `add` where there is no spike."""
    spike: float
    """More for each."""
    look_up: float

    def cheapest(self, spikes: int) -> Way:
        costs: dict[Way, float] = {
            "dense": self.dense,
            "add": self.silent + self.spike * spikes,
            "look_up": self.look_up,
        }
        return min(costs, key=lambda way: costs[way])

    @property
    def hopeless(self) -> bool:
        """Whether dense wins even where nobody fires."""
        return self.dense <= self.pack + min(self.silent, self.look_up)


def can_serve(conv: nn.Module) -> bool:
    """A convolution whose bits fill bytes, and whose outputs fill a vector."""
    if type(conv).forward is not nn.Conv2d.forward or not isinstance(conv, nn.Conv2d) or compiled.library() is None:
        return False
    kernel, stride, pad = (set(each) for each in (conv.kernel_size, conv.stride, conv.padding))
    square = len(kernel) == len(stride) == len(pad) == 1 and "same" not in pad and conv.padding_mode == "zeros"
    plain = square and set(conv.dilation) == {1} and conv.groups == 1
    fits = conv.in_channels % 8 == 0 and conv.out_channels % 16 == 0
    places = conv.in_channels * math.prod(conv.kernel_size)
    return plain and fits and places < 2**16 and conv.weight.device.type == "cpu"


class EventConv2d(nn.Conv2d):
    """The same convolution. Without gradients, on channels-last spikes on the CPU, by the cheapest way."""

    def __init__(self, conv: nn.Conv2d) -> None:
        """Shares the weights of `conv`."""
        given = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding)
        super().__init__(*given, bias=conv.bias is not None, device="meta")  # type: ignore[arg-type]
        self.weight, self.bias = conv.weight, conv.bias
        self.forced: Way | None = None
        self.costs: dict[tuple[torch.Size, torch.dtype, int], Costs] = {}
        self.real_valued = False
        """Its input was once something else than spikes."""
        self.way: Way = "dense"
        """That it took last."""
        self._prepared: dict[tuple[Way, torch.dtype, int, int], Tensor] = {}

    def forward(self, input: Tensor) -> Tensor:
        if not self._suits(input):
            return super().forward(input)
        key = (input.shape, input.dtype, torch.get_num_threads())
        costs = self.costs.get(key)
        if self.forced == "dense" or (costs is not None and costs.hopeless and not self.forced):
            self.way = "dense"
            return super().forward(input)
        events = self._events(input)
        bits, spikes = self._pack(events, input)
        if spikes < 0:
            self.real_valued, self.way = True, "dense"
            return super().forward(input)
        if costs is None and spikes and not self.forced:
            costs = self.costs[key] = self._measure(events, input, bits, spikes)
        self.way = self.forced or (costs.cheapest(spikes) if costs else "add")
        return super().forward(input) if self.way == "dense" else self._run(self.way, events, bits, input)

    def _suits(self, x: Tensor) -> bool:
        known = x.dtype in (torch.float32, torch.float64) and x.dtype == self.weight.dtype and x.device.type == "cpu"
        return (
            known
            and not self.real_valued
            and x.dim() == 4
            and x.numel() > 0
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and x.is_contiguous(memory_format=torch.channels_last)
        )

    def _events(self, x: Tensor) -> Events:
        (batch, channels, high, wide), kernel = x.shape, self.kernel_size[0]
        stride, pad = self.stride[0], int(self.padding[0])
        out = ((size + 2 * pad - kernel) // stride + 1 for size in (high, wide))
        sizes = (batch, high, wide, channels, *out, self.out_channels, kernel, stride, pad)
        return Events(*sizes, torch.get_num_threads())

    def _pack(self, events: Events, x: Tensor) -> tuple[Tensor, int]:
        row = -(-(events.W + 2 * events.pad) * events.I // 8)
        bits = torch.zeros(events.N * (events.H + 2 * events.pad) * row + 16, dtype=torch.uint8)
        return bits, _function("pack", x.dtype)(ctypes.byref(events), x.data_ptr(), bits.data_ptr())

    def _run(self, way: Way, events: Events, bits: Tensor, x: Tensor) -> Tensor:
        y = torch.empty((events.N, events.O, events.Y, events.X), dtype=x.dtype, memory_format=torch.channels_last)
        bias = None if self.bias is None else self.bias.data_ptr()
        rows = self._rows(way)
        _function(way, x.dtype)(ctypes.byref(events), bits.data_ptr(), rows.data_ptr(), bias, y.data_ptr())
        return y

    def _rows(self, way: Way) -> Tensor:
        """The weights in the order that `way` reads them, made anew where they have changed."""
        version = -1 if self.weight.is_inference() else self.weight._version
        key = (way, self.weight.dtype, self.weight.data_ptr(), version)
        if key not in self._prepared:
            rows = self.weight.detach().permute(2, 3, 1, 0).reshape(-1, self.out_channels)
            self._prepared = {known: kept for known, kept in self._prepared.items() if known[1:] == key[1:]}
            self._prepared[key] = tables(rows) if way == "look_up" else blocks(rows)
        return self._prepared[key]

    def _measure(self, events: Events, x: Tensor, bits: Tensor, spikes: int) -> Costs:
        silence = torch.zeros_like(bits)
        silent = _seconds(lambda: self._run("add", events, silence, x))
        spent = _seconds(lambda: self._run("add", events, bits, x))
        small = self.out_channels <= 32 and self.weight.numel() * 4 * x.element_size() <= TABLES
        return Costs(
            pack=_seconds(lambda: self._pack(events, x)),
            dense=_seconds(lambda: super(EventConv2d, self).forward(x)),
            silent=silent,
            spike=max(0.0, spent - silent) / max(1, spikes),
            look_up=_seconds(lambda: self._run("look_up", events, bits, x)) if small else math.inf,
        )


def blocks(rows: Tensor) -> Tensor:
    """(bits, O) -> flat, blocks of as many outputs as are summed at once, each (bits, outputs)."""
    return torch.cat([part.reshape(-1) for part in rows.split(list(_widths(rows.shape[1])), dim=1)])


def _widths(outputs: int) -> Iterator[int]:
    while outputs:
        width = next(width for width in (128, 64, 32, 16) if width <= outputs)
        yield width
        outputs -= width


def tables(rows: Tensor) -> Tensor:
    """(bits, O) -> (bits / 4, 16, O): the sum of the rows whose bits are set in 0 to 15."""
    four = rows.unflatten(0, (-1, 4))
    chosen = torch.arange(16)[:, None] >> torch.arange(4) & 1
    return torch.einsum("mb,gbo->gmo", chosen.to(rows.dtype), four).contiguous()


def _seconds(work: Callable[[], object]) -> float:
    def once() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return min(once() for _ in range(REPEATS))


def _function(name: str, dtype: torch.dtype) -> Callable[..., int]:
    function = getattr(compiled.library(), f"{name}_{'float' if dtype == torch.float32 else 'double'}")
    if function.argtypes is None:
        pointers = (ctypes.c_void_p,) * (2 if name == "pack" else 4)
        function.argtypes = (ctypes.POINTER(Events), *pointers)
        function.restype = ctypes.c_long if name == "pack" else None
    return function
