"""Results on disk: what is kept of a cell, who is at work on it, and all results as one table."""

from harness.store.cells import Store

__all__ = ["Store"]
