"""`new method NAME`: a file to begin with."""

from __future__ import annotations

import re
from pathlib import Path

import baselines
from harness import durable
from harness.errors import UserError

VALID = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
METHOD = '''\
"""{name}: the baseline with potentials that leak less."""  # `list methods` shows this line

from dataclasses import replace

from baselines import METHODS
from baselines.method import Method
from baselines.parts.neurons import LIF, Leak

# A method is a bundle of parts. Name those in which yours is not the baseline; here u(t) = 0.5 v(t-1) + x(t), not 0.25.
# There are more: normalisation=, surrogate=, readout=, objective=, encoder= (baselines/method.py, baselines/parts/).
METHODS.register("{name}", Method(neuron=replace(LIF, charge=Leak(tau=0.5))))
'''


def write_method(name: str, folder: Path = Path()) -> Path:
    """Write ``NAME.py`` into `folder`; the file. Raises UserError for a name that will not do, and where one is."""
    registered = name.replace("_", "-")
    if not VALID.fullmatch(name):
        advice = "small letters and digits, words joined by - or _: my-method"
        raise UserError(f"`{name}` is no name for a method", "new method", advice)
    if registered in baselines.METHODS:
        raise UserError(f"there is a method `{registered}` already", "new method", "choose another name")
    path = folder / f"{name}.py"
    if path.exists():
        raise UserError("is there already; nothing was written", str(path), "choose another name, or remove it")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(METHOD.format(name=registered))
    except OSError as error:
        raise durable.unwritable(path, error) from error
    return path
