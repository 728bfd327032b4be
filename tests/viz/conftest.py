"""The Trainers and data that pictures are drawn of."""

from tests.training.conftest import Make, data, make

__all__ = ["Make", "data", "make"]
