"""The XLA engine: a program's graphs, lowered through JAX's public functions."""
