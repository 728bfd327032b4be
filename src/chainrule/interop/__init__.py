"""Doors to files and libraries of others: `serialization` saves and loads tensors."""
