"""Everything that any verb imports, imported once: every input is then a fork that costs milliseconds."""

from __future__ import annotations

import importlib
import pkgutil

import baselines
import harness

LATE = (
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg",
    "nir",
    "pandas",
    "pyarrow.parquet",
    "rich.live",
    "rich.progress",
    "scipy.stats",
    "sklearn.datasets",
    "submitit",
    "webbrowser",
)


def everything() -> None:
    for package in (baselines, harness):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(("__main__", "on_gpu")):
                importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
