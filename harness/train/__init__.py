"""One cell from its specification to its result, in one process or in several that share every batch."""
