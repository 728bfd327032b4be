"""Every experiment done once, with less of everything."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from chainrule import engines
from chainrule.book import experiments
from chainrule.book.experiments import Experiment, find

#: Constants of each experiment that make it quick.
SMALL: dict[str, dict[str, Any]] = {
    "learning-rate": {
        "SAMPLES": 60,
        "RATES": (0.001, 0.5, 30.0),
        "NEGATIVE": -2.0,
        "ITERATIONS": 5,
    },
    "batches": {"EPOCHS": 3, "DRAWS": 50},
    "optimizers": {"RATES": (0.05, 0.3), "STEPS": 150},
    "approximation": {"WIDTHS": (1, 2, 16, 32), "TRIES": 1},
    "depth": {"TENTS": (1, 3), "QUICK_TRIES": 2},
    "relu-sigmoid": {
        "SAMPLES": 256,
        "TESTS": 50,
        "QUICK_EPOCHS": 1,
        "DEPTHS": (1, 2),
        "SOME": 4,
    },
    "vanishing": {"SAMPLES": 16},
    "exploding": {"STEPS": 60},
    "speed": {"QUICK_ROUNDS": 2, "LONG": 1e-4},
}
#: Parameters of each that make it quick.
GIVEN: dict[str, dict[str, Any]] = {
    "learning-rate": {"hidden": 4},
    "approximation": {"steps": 20},
    "depth": {"steps": 10},
    "vanishing": {"depth": 4, "width": 32},
    "speed": {"samples": 4, "inputs": 8, "outputs": 6},
}


#: The engines with the native one first, so that ``auto`` picks NumPy's: a few steps
#: take less time than their compilation.
ENGINES = dict(reversed(engines._registry.items()))


@functools.cache
def _small(name: str) -> Experiment:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_registry", ENGINES)
        for constant, value in SMALL.get(name, {}).items():
            patch.setattr(find(name), constant, value)
        return experiments.run(name, quick=True, **GIVEN.get(name, {}))


@pytest.fixture(params=experiments.names())
def done(request: pytest.FixtureRequest) -> Iterator[Experiment]:
    """Each experiment, small."""
    name, module = request.param, find(request.param)
    made = _small(name)
    with pytest.MonkeyPatch.context() as patch:
        for constant, value in SMALL.get(name, {}).items():
            patch.setattr(module, constant, value)
        yield made


@pytest.fixture
def small() -> Any:
    """The numbers of a small experiment by its name."""
    return lambda name: _small(name).numbers
