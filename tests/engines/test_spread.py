"""Requests for devices: what is refused before any engine is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.engines import capabilities, engine_names
from chainrule.engines.spread import Spread, spread_over
from chainrule.errors import ArgumentError, EngineError
from chainrule.training import compile_program

#: Engines that can run here on one device alone.
ALONE = [name for name in ("native", "numpy", "auto") if not capabilities(name).devices]


def test_nothing_is_asked_for() -> None:
    assert spread_over("numpy", False) is None
    assert spread_over("xla", True) is None


def test_a_number_all_or_a_mesh() -> None:
    assert spread_over("xla", True, 4) == Spread(4)
    assert spread_over("xla", True, "all") == Spread("all")
    assert spread_over("xla", True, np.int64(4)) == Spread(4)
    mesh = {"data": 2, "model": 3}
    assert spread_over("xla", True, None, mesh) == Spread(6, mesh)
    assert spread_over("xla", True, 6, mesh) == Spread(6, mesh)
    assert spread_over("xla", True, "all", mesh) == Spread("all", mesh)
    rows = {"*.weight": ["model", None]}
    made = spread_over("xla", True, None, mesh, rows)
    assert made is not None
    assert made.sharding == {"*.weight": ("model", None)}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"devices": 0}, "number of devices"),
        ({"devices": 1.5}, "number of devices"),
        ({"devices": True}, "number of devices"),
        ({"devices": "some"}, "number of devices"),
        ({"devices": np.array([2])}, "number of devices"),
        ({"devices": np.array([2, 2])}, "number of devices"),
        ({"mesh": {"data": "all"}}, "of at least 1\n"),
        ({"mesh": {}}, "dictionary of the sizes"),
        ({"mesh": [2, 2]}, "dictionary of the sizes"),
        ({"mesh": {"data": 0}}, "number of devices"),
        ({"mesh": {"two words": 2}}, "has a name"),
        ({"devices": 3, "mesh": {"data": 2}}, "another number of devices"),
        ({"sharding": ("data",)}, "dictionary by names"),
        ({"sharding": {"x": "data"}}, "of each axis of an array"),
        ({"sharding": {"x": (0,)}}, "of each axis of an array"),
        ({"sharding": {"x": ("model",)}}, "divided along 'model'"),
        ({"sharding": {"x": ("data", "data")}}, "divided along 'data'"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        spread_over("xla", True, **asked)


@pytest.mark.parametrize("engine", ALONE)
@pytest.mark.parametrize(
    "asked",
    [{"devices": 2}, {"devices": 1}, {"mesh": {"data": 1}}, {"sharding": {}}],
)
def test_engines_of_one_device_say_so(engine: Any, asked: dict[str, Any]) -> None:
    """By each way of making a program, and before anything is compiled."""
    model = nn.Linear(2, 1)

    def trainer() -> Any:
        optimizer = optim.SGD(lr=0.1)
        return cr.Trainer(
            model, loss=nn.MSELoss(), optimizer=optimizer, engine=engine, **asked
        )

    def program() -> Any:
        types = {"x": "f32[N,2]"}
        functions = {"f": lambda x: model(x)}
        return compile_program(functions, types, engine=engine, **asked)

    def function() -> Any:
        return cr.compile(model, engine=engine, **asked)

    for make in (trainer, program, function):
        with pytest.raises(EngineError, match="runs on one device"):
            make()


def test_there_is_an_engine_for_it() -> None:
    assert "xla" in engine_names()
