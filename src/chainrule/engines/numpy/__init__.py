"""The NumPy engine: a graph as Python statements on preallocated arrays."""
