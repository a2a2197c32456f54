"""A table, a protocol and a preset of seconds: real data, real training, almost nothing of both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TABLE = """
name = "tiny"
title = "vanilla and MPBN on a few digits"
[[row]]
method = "vanilla"
architecture = "vgg11"
dataset = "digits"
timesteps = 2
accuracy = 50.0
[[row]]
method = "mpbn"
architecture = "vgg11"
dataset = "digits"
timesteps = 2
accuracy = 60.0
"""

CHAIN = """
name = "chain"
title = "What begins from an ANN"
[[row]]
method = "rmp"
architecture = "vggsnn"
dataset = "digits"
timesteps = 40
[[row]]
method = "diet-snn-converted"
architecture = "vggsnn"
dataset = "digits"
timesteps = 3
"""
"""An ANN, what is converted from it, and what is trained after that."""

PROTOCOL = """
name = "tiny"
description = "six epochs on two hundred digits"
[recipe.digits]
epochs = 6
batch = 20
augmentation = ["crop", "flip"]
size = 32
width = 0.06
train_samples = 200
test_samples = 100
"""


def write_tiny(folder: Path, table: str = TABLE, protocol: str = PROTOCOL) -> list[str]:
    """Write the files into `folder`; the arguments that run them."""
    (folder / "tiny.toml").write_text(table)
    (folder / "protocol.toml").write_text(protocol)
    return [str(folder / "tiny.toml"), "--protocol", str(folder / "protocol.toml")]


def harness(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=600)
