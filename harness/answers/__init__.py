"""What each verb says of what it was asked, and with which exit code it ends. Each calls one function, and renders."""

OK, INCOMPLETE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
"""All that was asked for is there; something failed or is missing; bad input; interrupted."""
