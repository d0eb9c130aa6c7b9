"""Faults of a path, made on purpose, to see that the sender reports each of them."""
