"""``python -m harness VERB ...``"""

import gc
import sys
from importlib.util import find_spec
from pathlib import Path


def hidden() -> str:
    """What stands in the working folder in the way of our own `baselines`, which lies beside this package."""
    spec = find_spec("baselines")
    found = Path(spec.origin).resolve().parent if spec is not None and spec.origin else Path("baselines")
    return "" if found == Path(__file__).resolve().parents[1] / "baselines" else str(found)


if __name__ == "__main__":  # a job's process may import this module
    if place := hidden():
        print(f"harness: {place}: hides the package `baselines`; rename it, or type from elsewhere", file=sys.stderr)
        sys.exit(2)
    gc.set_threshold(100_000)  # a large store is told by as many objects, and none of them is garbage
    from harness.cli import main

    sys.exit(main())
