"""The experiment engine: planning, running, recording, showing. Knows no method, architecture or table by name."""

__version__ = "0.1.0"
