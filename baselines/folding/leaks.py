"""MPBN whose neuron carries the normalised potential, into leak, offset and threshold: equal up to rounding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.folding.copied import copied
from baselines.network import Network
from baselines.parts.neurons import Fire, FoldedFire, Leak, SpikingNeuron
from baselines.parts.potential import MPBN


class FoldedLeak(nn.Module):
    """y(t) = α v(t-1) + x(t) + b, one α and b a channel or element; b would join the bias of the convolution before."""

    decay: Tensor
    offset: Tensor

    def __init__(self, decay: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("decay", decay)
        self.register_buffer("offset", offset)

    def forward(self, v: Tensor, x: Tensor) -> Tensor:
        return self.decay * v + (x + self.offset)


def fold_leaks(network: Network) -> Network:
    """A copy in which MPBN whose neuron carries z(t) has become leak, offset and threshold. Equal up to rounding."""

    def fold(module: nn.Module) -> None:
        if has_foldable_leak(module):
            assert isinstance(module, SpikingNeuron) and isinstance(module.normalise, MPBN)
            assert isinstance(module.charge, Leak) and isinstance(module.fire, Fire)
            leak, module.fire = folded_leak(module.normalise, module.charge.tau, module.fire.v_th)
            module.charge, module.normalise, module.carry = leak, nn.Identity(), "raw"

    return copied(network, fold)


def has_foldable_leak(module: nn.Module) -> bool:
    """A layer of neurons with MPBN that carries z(t)."""
    return isinstance(module, SpikingNeuron) and isinstance(module.normalise, MPBN) and module.carry == "normalised"


@torch.no_grad()
def folded_leak(norm: MPBN, tau: float, v_th: float) -> tuple[FoldedLeak, FoldedFire]:
    """The neuron that fires as one which carries z(t), without MPBN.

    With the slope a = λ / sqrt(σ² + ε), z = a (u - μ) + β. In y = z / a, u(t) = τ z(t-1) (1 - s(t-1)) + x(t) becomes
    y(t) = aτ · y(t-1) (1 - s(t-1)) + x(t) + (β/a - μ): a leak of aτ and an offset. It fires where z > V, which is
    sign(a) · y > V / |a|. Where a is zero, or so small that this overflows, z = β: the neuron fires always or never.
    Raises ValueError if a parameter is not finite.
    """
    if not all(torch.isfinite(p).all() for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)):
        raise ValueError("an MPBN parameter or statistic is not finite: nothing to fold")
    lam, beta, mu, var = (
        p.double().view(norm.shape) for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    a = lam / torch.sqrt(var + norm.eps)
    decay, offset, theta = (p.to(norm.weight.dtype) for p in (a * tau, beta / a - mu, v_th / a.abs()))
    constant = ~(torch.isfinite(offset) & torch.isfinite(theta))
    decay, offset = decay.masked_fill(constant, 0.0), offset.masked_fill(constant, 0.0)
    always_or_never = torch.where(beta > v_th, -torch.inf, torch.inf).to(theta)
    sign = torch.where(a < 0, -1.0, 1.0).to(theta)
    return FoldedLeak(decay, offset), FoldedFire(torch.where(constant, always_or_never, theta), sign)
