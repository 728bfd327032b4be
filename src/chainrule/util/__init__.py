"""Utilities without dependencies: file access, argument validation, nested data.

Nothing here knows tensors, graphs or layers."""
