"""The same numbers for a test, whichever tests ran before it."""

import pytest

import chainrule as cr
from tests.explanation.networks import rng

START = rng.bit_generator.state


@pytest.fixture(autouse=True)
def _seeded():
    rng.bit_generator.state = START
    cr.manual_seed(0)
