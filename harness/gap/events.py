"""A log as TensorBoard's event file: records of scalars, whose tags say what they are."""

from __future__ import annotations

import math
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.errors import UserError
from harness.gap.log import Log, by_epoch, earliest, percent

HEAD = 12
"""Bytes before a record: its length, and a checksum."""
TAGS = {
    "accuracy": (r"(test|val\w*)\W*_?(top_?1|acc)", r"^(te|test|val)/.*acc", r"^acc(uracy)?(1|@1|_?top_?1)?$"),
    "train_accuracy": (r"tr(ain)?\w*\W*_?(top_?1|acc)",),
    "rate": (r"(^|\W|_)(lr|learning_?rate)\b",),
}
"""Quantity -> patterns of its tag, in this order."""
STEPPED = r"tr(ain)?\w*\W*_?(loss|acc)"
"""Tags that may be written at steps of the optimiser."""


def looks_like(content: bytes) -> bool:
    """Whether it begins with a record of the version of such files."""
    return b"brain.Event:" in content[:64]


def read(content: bytes, path: Path) -> Log:
    """Raises UserError where TensorBoard is not installed, or no tag is one of accuracies."""
    scalars = _scalars(content, path)
    columns = {quantity: tag for quantity in TAGS if (tag := _tag(quantity, scalars))}
    if "accuracy" not in columns:
        raise UserError("has no tag of test accuracies", str(path), f"there are {', '.join(sorted(scalars)) or 'none'}")
    accuracy = by_epoch(scalars[columns["accuracy"]])
    train, rates = (scalars.get(columns.get(name, ""), []) for name in ("train_accuracy", "rate"))
    told = re.search(r"(?:^|[_\-/])T[_=]?(\d{1,4})(?:[_\-/.]|$)", str(path))
    return Log(
        kind="TensorBoard events",
        first=earliest(scalars[columns["accuracy"]]),
        accuracy=percent(accuracy),
        train_accuracy=percent(by_epoch(train)) if len(train) == len(accuracy) else (),
        rates=by_epoch(rates) if len(rates) == len(accuracy) else (),
        batches=_batches(scalars, len(accuracy)),
        timesteps=int(told[1]) if told else None,
        columns=columns,
    )


def _scalars(content: bytes, path: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (step, value), in the order of the file."""
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event
    except ImportError:
        raise UserError(
            "is a TensorBoard event file, which needs tensorboard", str(path), "pip install tensorboard"
        ) from None
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for record in _records(content):
        try:
            event = Event.FromString(record)
        except DecodeError:
            raise UserError("is damaged", str(path), "copy it again from where it comes") from None
        for value in event.summary.value:
            number = value.simple_value if value.HasField("simple_value") else _of_tensor(value)
            if number is not None and math.isfinite(number):
                found[value.tag].append((event.step, number))
    return found


def _of_tensor(value: object) -> float | None:
    """As newer writers put a scalar."""
    tensor = getattr(value, "tensor", None)
    if tensor is None or tensor.tensor_shape.dim:
        return None
    if tensor.float_val:
        return float(tensor.float_val[0])
    return struct.unpack("<f", tensor.tensor_content)[0] if len(tensor.tensor_content) == 4 else None


def _records(content: bytes) -> Iterator[bytes]:
    """What is whole of them: the last one may still be under way."""
    at = 0
    while at + HEAD <= len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        if at + HEAD + length + 4 > len(content):
            return
        yield content[at + HEAD : at + HEAD + length]
        at += HEAD + length + 4


def _tag(quantity: str, scalars: Mapping[str, Sequence[object]]) -> str:
    """The tag that the first pattern finds; of several the one that was written most often."""
    for pattern in TAGS[quantity]:
        tags = [tag for tag in scalars if re.search(pattern, tag, re.I) and "max" not in tag and "best" not in tag]
        if tags:
            return max(tags, key=lambda tag: len(scalars[tag]))
    return ""


def _batches(scalars: Mapping[str, Sequence[tuple[int, float]]], epochs: int) -> int | None:
    """Of an epoch, from tags that are written at steps of the optimiser; None where all are written once an epoch."""
    stepped = [pairs for tag, pairs in scalars.items() if re.search(STEPPED, tag, re.I) and len(pairs) > 2 * epochs]
    if not epochs or not stepped:
        return None
    steps = [step for pairs in stepped for step, _ in pairs]
    return round((max(steps) - min(steps)) / epochs)
