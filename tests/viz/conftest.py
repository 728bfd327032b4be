"""The Trainers, data and reports that the tests of pictures need."""

from tests.training.conftest import Make, data, make

from .reports import write

__all__ = ["Make", "data", "make", "write"]
