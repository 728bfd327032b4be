"""What tensors can do: the base classes of the tensor, and its declared methods."""
