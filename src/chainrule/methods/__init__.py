"""The base classes of the tensor, and its declared methods."""
