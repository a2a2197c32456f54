"""Training in less memory: segments of a network are computed a second time on the way back, instead of being kept.

A segment ends at a neuron: its input and output are spikes, kept as bytes. With "neurons", the outputs of its
convolutions are kept too, and normalisations and neurons alone are repeated; with "everything" nothing else is kept.
The same operations on the same numbers: gradients and statistics are those of "nothing", to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from baselines.parts import moments
from baselines.parts.convolution import outputs_read_from, outputs_written_to
from baselines.parts.moments import Moments
from baselines.parts.neurons import SpikingNeuron

Recompute: TypeAlias = Literal["nothing", "neurons", "everything"]


def forward(body: nn.Module, encode: Callable[[Tensor], Tensor], images: Tensor, recompute: Recompute) -> Tensor:
    """body(encode(images)), segment by segment; of the encoded images, nothing is kept."""
    x = images
    for i, segment in enumerate(segments(body)):
        segment = segment if i else _Encoded(encode, segment)
        parameters = list(segment.parameters())
        places: list[str] = []
        s, b, *told = _Segment.apply(  # type: ignore[misc]
            segment, recompute == "neurons", places, x, getattr(x, "as_bytes", None), *parameters
        )
        if b is not None:
            s.as_bytes = b
        for mean, var, place in zip(told[::2], told[1::2], places, strict=True):
            moments.pass_on(Moments(mean, var, place))
        x = s
    return x


def segments(body: nn.Module) -> Iterator[nn.Module]:
    """Runs of layers, each up to the next that holds neurons. What is no sequence is one segment."""
    if not isinstance(body, nn.Sequential):
        yield body
        return
    first = 0
    for i, layer in enumerate(body, 1):
        if i == len(body) or any(isinstance(module, SpikingNeuron) for module in layer.modules()):
            yield body[first:i]
            first = i


class _Encoded(nn.Module):
    def __init__(self, encode: Callable[[Tensor], Tensor], segment: nn.Module) -> None:
        super().__init__()
        self.encode, self.segment = encode, segment

    def forward(self, images: Tensor) -> Tensor:
        return self.segment(self.encode(images))


class _Segment(torch.autograd.Function):
    """(segment, keep convolutions, places, x, that as bytes or None, parameters...) -> its output, that as bytes.

    Where the moments of the potentials are wanted, those of its layers follow, and their places enter the list.
    """

    @staticmethod
    def forward(ctx, segment, convolutions, places, x, packed, *parameters):  # type: ignore[override]
        if packed is not None:
            x = x.detach()
            x.as_bytes = packed
        ctx.devices = [x.device] if x.is_cuda else []
        ctx.random = torch.get_rng_state(), [torch.cuda.get_rng_state(device) for device in ctx.devices]
        tape: list[Tensor] = []
        with outputs_written_to(tape) if convolutions else nullcontext(), _listening(ctx) as told:
            s = segment(x)
        places += [each.place for each in told]
        b = getattr(s, "as_bytes", None)
        ctx.segment, ctx.packed, ctx.convolutions, ctx.dtype = segment, packed is not None, convolutions, x.dtype
        ctx.save_for_backward(x if packed is None else packed, *tape)
        ctx.parameters = parameters
        ctx.autocast = _autocast(x)
        ctx.set_materialize_grads(False)  # what the loss leaves out adds nothing, not zeros of another memory format
        if b is not None:
            ctx.mark_non_differentiable(b)
        return s, b, *_tensors(told)

    @staticmethod
    def backward(ctx, gs, _, *gtold):  # type: ignore[override]
        kept, *tape = ctx.saved_tensors
        x = (kept.to(ctx.dtype) if ctx.packed else kept.detach()).requires_grad_(ctx.needs_input_grad[3])
        spare = {name: buffer.clone() for name, buffer in ctx.segment.named_buffers()}  # they were updated once already
        with torch.random.fork_rng(ctx.devices), torch.enable_grad(), ctx.autocast:
            seen = x.view_as(
                x
            )  # autocast would round a leaf once for all that read it, and so the sum of its gradients
            if ctx.packed:
                seen.as_bytes = kept
            torch.set_rng_state(ctx.random[0])  # dropout draws what it drew
            for device, state in zip(ctx.devices, ctx.random[1], strict=True):
                torch.cuda.set_rng_state(state, device)
            with outputs_read_from(tape) if ctx.convolutions else nullcontext(), _listening(ctx) as told:
                s = torch.func.functional_call(ctx.segment, spare, (seen,))
        wanted = [tensor for tensor in (x, *ctx.parameters) if tensor.requires_grad]
        reached = [(y, g) for y, g in zip((s, *_tensors(told)), (gs, *gtold), strict=True) if g is not None]
        outputs, given = zip(*reached, strict=True)
        found = iter(torch.autograd.grad(outputs, wanted, given, allow_unused=True))
        gradients = [next(found) if tensor.requires_grad else None for tensor in (x, *ctx.parameters)]
        return None, None, None, gradients[0], None, *gradients[1:]


@contextmanager
def _listening(ctx: Any) -> Iterator[list[Moments]]:
    """To the potentials, if they are wanted when `ctx` goes forward."""
    if not hasattr(ctx, "listens"):
        ctx.listens = moments.wanted()
    tape: list[Moments] = []
    with moments.written_to(tape) if ctx.listens else nullcontext():
        yield tape


def _tensors(told: list[Moments]) -> list[Tensor]:
    return [tensor for each in told for tensor in (each.mean, each.var)]


def _autocast(x: Tensor) -> AbstractContextManager[object]:
    """The autocast of here and now, to enter again; the meta device has none."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind):
        return nullcontext()
    return torch.autocast(kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
