"""Procedures: how a network comes to be trained, one idea a file. The loop that drives them knows none by name."""
