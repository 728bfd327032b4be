"""What every room may use and which knows none of them: files, validation, nests.

Nothing here knows tensors, graphs or layers."""
