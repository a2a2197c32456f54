"""``NAME.nir``: the network in NIR (Pedersen et al., Nature Communications 15, 2024), one step of time a call.

NIR's LIF is tau dv/dt = (v_leak - v) + r I, which forward Euler with a step dt turns into
v' = (1 - dt/tau) v + (dt/tau) r I. Ours, u = τ v + x, is that with tau = dt / (1 - τ) and r = ±1 / (1 - τ); it fires
where v > v_threshold, strictly, and is reset to 0, as ours. Where MPBN's λ is negative the folded neuron fires where
-u > θ: r takes the sign, and v is then -u throughout, exactly. Thresholds stand a channel or an element as folding
made them; dt, the number of steps and the readout in the graph's metadata. Currents that meet are edges to one neuron.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from baselines.folding import ConvPerStep, FoldedLeak
from baselines.method import ConvNorm
from baselines.network import Network
from baselines.parts.neurons import Fire, FoldedFire, HardReset, Leak, SpikingNeuron
from baselines.parts.readout import MeanOverTime, Repeat
from baselines.parts.volume import VolumeConv2d
from harness.errors import UserError
from harness.export.as_onnx import missing

DT = 1e-3
"""Seconds a step stands for; only dt/tau has a meaning here."""
LEAVES = (SpikingNeuron, nn.Conv2d, nn.Linear, nn.AvgPool2d, ConvPerStep)


def write(network: Network, images: Tensor, path: Path) -> Path:
    """Raises UserError for a layer that NIR has no node for, by its name."""
    nir = _nir()
    path = path.with_suffix(".nir")
    channels, height, width = images.shape[-3:]
    nir.write(str(path), graph(network, (channels, height, width)))
    return path


def graph(network: Network, shape: tuple[int, int, int]) -> Any:
    """The folded `network` on frames of `shape` as an NIRGraph: a frame in, logits out, at every step."""
    nir = _nir()
    if not isinstance(network.method.readout, MeanOverTime):
        raise _refused("readout", "the scores are not the mean over time")
    if not isinstance(network.method.encoder, Repeat):
        raise _refused(
            "encoder", f"frames come in as {type(network.method.encoder).__name__} codes them, not as they are"
        )
    body = _bare(network.body)
    traced = fx.GraphModule(body, _Tracer().trace(body))
    builder = _Builder(nir, traced, {"input": nir.Input({"input": np.array(shape)})})
    with torch.no_grad():
        builder.run(torch.zeros(network.timesteps, *shape))
    metadata = {"dt": DT, "timesteps": network.timesteps, "readout": "mean of the output over time"}
    return nir.NIRGraph(builder.nodes, builder.edges, metadata=metadata, type_check=False)


def _bare(body: nn.Module) -> nn.Module:
    """A copy in which a convolution stands where it and its normalisation, now folded, stood."""
    body = copy.deepcopy(body)
    for name, module in list(body.named_modules()):
        if isinstance(module, ConvNorm):
            if not isinstance(module.norm, nn.Identity):
                raise _refused(name, "its normalisation is not folded")
            body.set_submodule(name, module.conv)
    return body


class _Tracer(fx.Tracer):
    """Down to what has a node; any module of torch's, or that cannot be traced, is one step."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, LEAVES) or getattr(m, "real_valued", False)
        return known or super().is_leaf_module(m, module_qualified_name)


@dataclass(frozen=True)
class _Value:
    """A tensor of the walk: its value, for the shapes, and the nodes whose sum it is."""

    tensor: Tensor
    sources: tuple[str, ...]


@dataclass
class _Builder:
    """Walks the traced network once and adds node by node."""

    nir: Any
    traced: fx.GraphModule
    nodes: dict[str, Any]
    edges: list[tuple[str, str]] = field(default_factory=list)

    def run(self, frames: Tensor) -> None:
        known: dict[fx.Node, Any] = {}
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                known[node] = _Value(frames, ("input",))
            elif node.op == "output":
                value = known[node.args[0]]
                self._add("output", self.nir.Output({"output": np.array(value.tensor.shape[1:])}), value)
            else:
                known[node] = self._step(node, known)

    def _step(self, node: fx.Node, known: dict[fx.Node, Any]) -> _Value:
        arguments: list[Any] = [known.get(a, a) if isinstance(a, fx.Node) else a for a in node.args]
        if node.op == "call_module":
            (value,) = arguments
            return self._module(str(node.target), value)
        if node.target in (operator.add, torch.add) and all(isinstance(a, _Value) for a in arguments):
            left, right = arguments
            if set(left.sources) & set(right.sources):
                raise _refused(node.name, "a current is added to itself")
            return _Value(left.tensor + right.tensor, (*left.sources, *right.sources))
        if node.target == "mean" and arguments[1:] == [(2, 3)]:
            (value, _) = arguments
            pooled = self._pool(f"{node.name}_pool", value, tuple(value.tensor.shape[2:]))
            return self._flatten(node.name, pooled)
        if node.target == "flatten" and arguments[1:] == [1]:
            return self._flatten(node.name, arguments[0])
        raise _refused(node.name, f"NIR has no node for `{node.target}`")

    def _module(self, name: str, value: _Value) -> _Value:
        module = self.traced.get_submodule(name)
        if isinstance(module, nn.Identity) or _passes(module, value):
            return value
        if isinstance(module, SpikingNeuron):
            return self._put(name, self._lif(name, module, value), value, value.tensor)
        if isinstance(module, VolumeConv2d):
            raise _refused(name, "it reads several steps at once, and NIR goes step by step")
        if isinstance(module, nn.Conv2d):
            return self._put(name, self._conv(name, module, value), value, module(value.tensor))
        if isinstance(module, nn.Linear):
            bias = torch.zeros(module.out_features) if module.bias is None else module.bias
            node = self.nir.Affine(_array(module.weight), _array(bias))
            return self._put(name, node, value, module(value.tensor))
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
            return self._pool(name, value, tuple(value.tensor.shape[2:]))
        if isinstance(module, nn.AvgPool2d):
            if module.ceil_mode or (module.padding not in (0, (0, 0)) and not module.count_include_pad):
                if min(value.tensor.shape[2:]) < min(_numbers(module.kernel_size)):
                    raise _refused(name, "its average pool reaches beyond the map")
                out = module(value.tensor)
                plain = F.avg_pool2d(value.tensor, module.kernel_size, module.stride, module.padding)
                if module.padding not in (0, (0, 0)) or out.shape != plain.shape:
                    raise _refused(name, "its average pool counts borders otherwise than NIR's")
            return self._pool(name, value, module.kernel_size, module.stride, module.padding)
        if isinstance(module, nn.Flatten):
            return self._flatten(name, value)
        raise _refused(name, f"NIR has no node for {type(module).__name__}")

    def _lif(self, name: str, module: SpikingNeuron, value: _Value) -> Any:
        if isinstance(module.charge, FoldedLeak):
            raise _refused(name, "it carries the normalised potential, which folds into a leak and an offset a channel")
        if not (isinstance(module.charge, Leak) and isinstance(module.reset, HardReset)):
            raise _refused(name, "it is no leaky neuron with a hard reset")
        if module.threshold is not None or module.receive is not None or not getattr(module.fire, "strict", True):
            raise _refused(name, "NIR's neuron has no threshold that moves, no gates, and fires above V, not at it")
        if module.carry != "raw" or not isinstance(module.normalise, nn.Identity):
            raise _refused(name, "its potential is normalised, and that does not fold")
        shape, fire, decay = tuple(value.tensor.shape[1:]), module.fire, module.charge.tau
        if isinstance(fire, FoldedFire):
            threshold, sign = fire.threshold, fire.sign
        elif isinstance(fire, Fire):
            threshold, sign = torch.tensor(fire.v_th), None
        else:
            raise _refused(name, f"it fires by a {type(fire).__name__}")
        if decay == 1:
            raise _refused(name, "it does not leak: tau would be infinite")
        resistance = torch.full(shape, 1 / (1 - decay), dtype=torch.float64)
        resistance = resistance if sign is None else resistance * sign.double()
        full = np.full(shape, DT / (1 - decay))
        zero = np.zeros(shape)
        return self.nir.LIF(full, resistance.numpy(), zero, _array(threshold.expand(shape)), zero)

    def _conv(self, name: str, module: nn.Conv2d, value: _Value) -> Any:
        if module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise _refused(name, "it does not pad with zeros")
        bias = torch.zeros(module.out_channels) if module.bias is None else module.bias
        size = (int(value.tensor.shape[2]), int(value.tensor.shape[3]))
        weight, groups = _dense(module)
        geometry = (module.stride, module.padding, module.dilation, groups)
        return self.nir.Conv2d(size, _array(weight), *geometry, _array(bias))

    def _pool(self, name: str, value: _Value, kernel: Any, stride: Any = None, padding: Any = 0) -> _Value:
        pair = [np.array(_numbers(v)) for v in (kernel, stride or kernel, padding)]
        out = F.avg_pool2d(value.tensor, kernel, stride, padding)
        return self._put(name, self.nir.AvgPool2d(*pair), value, out)

    def _flatten(self, name: str, value: _Value) -> _Value:
        node = self.nir.Flatten({"input": np.array(value.tensor.shape[1:])}, 0)
        return self._put(name, node, value, value.tensor.flatten(1))

    def _put(self, name: str, node: Any, value: _Value, out: Tensor) -> _Value:
        return _Value(out, (self._add(name.replace(".", "_"), node, value),))

    def _add(self, name: str, node: Any, value: _Value) -> str:
        self.nodes[name] = node
        self.edges += [(source, name) for source in value.sources]
        return name


def _dense(module: nn.Conv2d) -> tuple[Tensor, int]:
    """Weight and groups; one filter a channel is written out with zeros: NIR's reader takes groups for channels."""
    if not module.groups == module.in_channels == module.out_channels > 1:
        return module.weight, module.groups
    dense = module.weight.new_zeros(module.out_channels, module.in_channels, *module.kernel_size)
    each = torch.arange(module.groups)
    dense[each, each] = module.weight[:, 0]
    return dense, 1


def _passes(module: nn.Module, value: _Value) -> bool:
    """Whether it changes nothing in inference, as dropout."""
    if isinstance(module, LEAVES) or any(True for _ in module.parameters()):
        return False
    probe = torch.randn_like(value.tensor)
    return torch.equal(module(probe), probe)


# --- Read back and run ------------------------------------------------------------------------------------------------


def run(path: Path, names: list[str], images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Scores and spikes of a file, by what stands in it alone: stateless nodes on all frames, neurons in steps."""
    nir = _nir()
    read = nir.read(str(path))
    timesteps, dt = int(read.metadata["timesteps"]), float(read.metadata["dt"])
    frames = images.repeat(timesteps, 1, 1, 1) if images.dim() == 4 else images.flatten(0, 1)
    values: dict[str, Tensor] = {}
    waiting = dict(read.nodes)
    incoming: dict[str, list[str]] = {name: [a for a, b in read.edges if b == name] for name in waiting}
    while waiting:
        name = next(n for n in waiting if all(source in values for source in incoming[n]))
        node = waiting.pop(name)
        x = frames if isinstance(node, nir.Input) else sum(values[source] for source in incoming[name])
        assert isinstance(x, Tensor)
        values[name] = _evaluate(nir, node, x, timesteps, dt)
    scores = values["output"].unflatten(0, (timesteps, -1)).mean(0)
    return scores, {name: values[name.replace(".", "_")] for name in names}


def _evaluate(nir: Any, node: Any, x: Tensor, timesteps: int, dt: float) -> Tensor:
    if isinstance(node, nir.Conv2d):
        x = x.contiguous(memory_format=torch.channels_last)
        weight, bias = (torch.from_numpy(np.asarray(a)) for a in (node.weight, node.bias))
        weight = weight.contiguous(memory_format=torch.channels_last)
        numbers = [_numbers(v) for v in (node.stride, node.padding, node.dilation)]
        return F.conv2d(x, weight, bias, *numbers, int(node.groups))  # type: ignore[arg-type]
    if isinstance(node, nir.Affine):
        return F.linear(x, torch.from_numpy(node.weight), torch.from_numpy(node.bias))
    if isinstance(node, nir.AvgPool2d):
        kernel, stride, padding = (_numbers(v) for v in (node.kernel_size, node.stride, node.padding))
        return F.avg_pool2d(x, kernel, stride, padding)
    if isinstance(node, nir.Flatten):
        return x.flatten(1)
    if isinstance(node, nir.LIF):
        return _lif(node, x, timesteps, dt)
    assert isinstance(node, nir.Input | nir.Output)
    return x


def _lif(node: Any, x: Tensor, timesteps: int, dt: float) -> Tensor:
    """Forward Euler, strict threshold."""
    tensor: Callable[[Any], Tensor] = lambda a: torch.from_numpy(np.asarray(a, dtype=np.float64)).float()  # noqa: E731
    gain, decay, threshold, reset = map(
        tensor, (dt / node.tau * node.r, 1 - dt / node.tau, node.v_threshold, node.v_reset)
    )
    rest = tensor(dt / node.tau * node.v_leak)
    currents = x.unflatten(0, (timesteps, -1))
    v, spikes = torch.zeros_like(currents[0]), []
    for current in currents:
        v = decay * v + gain * current + rest
        fired = v > threshold
        v = torch.where(fired, reset, v)
        spikes.append(fired.to(x.dtype))
    return torch.cat(spikes)


def _numbers(value: Any) -> tuple[int, int]:
    pair = np.broadcast_to(np.asarray(value), (2,))
    return int(pair[0]), int(pair[1])


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())


def _refused(layer: str, why: str) -> UserError:
    return UserError(f"cannot be written in NIR: {why}", f"layer {layer}", "take --to torch or --to onnx")


def _nir() -> Any:
    try:
        import nir
    except ImportError:
        raise missing("nir") from None
    return nir
