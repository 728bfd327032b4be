"""Data sets: features and labels, stored as they came until a batch is gathered."""

from chainrule.data.dataset import Column, Dataset
from chainrule.data.mnist import mnist

__all__ = ["Column", "Dataset", "mnist"]
