"""`make vouch`: compute the traces anew; where none has moved, the code as it is now is what the numerics vouch for.

python tests/numerics/vouch.py                  refuses if a number moved
python tests/numerics/vouch.py --raise mpbn     one was meant to: the cells of `mpbn` (or `all`) get new keys
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from baselines.kernels import compiled
from harness import durable
from harness.identity import vouched

HERE = Path(__file__).parent
TRACES = HERE / "traces.json"
CLOSE = 1e-9
"""Relative; another processor's rounding in float64 stays far below it, a change of a formula far above."""


def moved(old: Mapping[str, Sequence[float]], new: Mapping[str, Sequence[float]]) -> list[str]:
    """Names of the traces in both that are not the same."""
    return [name for name in old if name in new and not same(old[name], new[name])]


def same(old: Sequence[float], new: Sequence[float]) -> bool:
    return len(old) == len(new) and all(
        abs(a - b) <= CLOSE * max(1.0, abs(a)) for a, b in zip(old, new, strict=True)
    )  # False for NaN


def unraised(names: Iterable[str], raised: Iterable[str]) -> list[str]:
    """Those of the moved traces whose cells would keep their keys."""
    raised = set(raised)
    return [name for name in names if vouched.ALL not in raised and _entry(name) not in raised]


def _entry(name: str) -> str | None:
    """The method, architecture or data set that alone has this trace; None for what all cells share."""
    kind, _, entry = name.partition(" ")
    return entry if kind in ("method", "architecture", "dataset") else None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--raise", dest="raised", action="append", default=[], metavar="NAME")
    raised = parser.parse_args(arguments).raised

    import traces

    old = json.loads(TRACES.read_text()) if TRACES.exists() else {"traces": {}, "bits": {}}
    new: dict[str, Any] = {"traces": {name: compute() for name, compute in traces.everything()}, "bits": old["bits"]}
    here = traces.machine()
    named = [*(m for m in traces.METHODS if traces.METHODS.builtin(m)), *traces.SYSTEMS]
    bits = {f"method {m}": traces.bits(m) for m in named}
    if compiled.library() is not None:
        bits["recipe one pass"] = traces.bits("mpbn", one_pass=True)
    known = old["bits"].get(here, {})
    rounded = [name for name in known if name in bits and bits[name] != known[name]]
    if still := unraised(dict.fromkeys([*moved(old["traces"], new["traces"]), *rounded]), raised):
        told = "\n  ".join(f"{name}{' (bits of float32)' if name in rounded else ''}" for name in still)
        print(f"moved:\n  {told}\nif that is meant: make vouch ARGS='--raise NAME'", file=sys.stderr)
        return 1
    if not known:
        print(f"bits not compared, no trace is of this kind of machine yet: {here}", file=sys.stderr)
    new["bits"][here] = bits
    before = json.loads(vouched.LOCK.read_text())["raised"] if vouched.LOCK.exists() else {}
    counts = {**before, **{name: before.get(name, 0) + 1 for name in raised}}
    durable.write(TRACES, _text(new))
    durable.write(vouched.LOCK, _text(msgspec.to_builtins(vouched.Vouched(raised=counts, files=vouched.hashes()))))
    print(f"vouched for: {len(vouched.hashes())} files, {len(new['traces'])} traces")
    return 0


def _text(content: object) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


if __name__ == "__main__":
    sys.exit(main())
