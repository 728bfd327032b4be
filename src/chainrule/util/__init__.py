"""Utilities without dependencies on other packages: files, validation, nests.

Nothing here knows tensors, graphs or layers."""
