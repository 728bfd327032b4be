"""Every equation of a page holds to the digits that are printed."""

from __future__ import annotations

import re

import numpy as np
import pytest

from chainrule.html.arrays import spelled
from tests.explanation.digits import faults_of_page, unit
from tests.explanation.models import LAYERS, some_layers
from tests.explanation.random_models import drawn
from tests.explanation.test_checking import CE, explained, sure


@pytest.mark.parametrize("scale", [1.0, 40.0, 160.0, 320.0])
def test_a_sure_network(scale: float) -> None:
    e = sure(scale)
    assert not faults_of_page(e)
    section = str(e).partition("── loss")[2].partition("── backward")[0]
    *_, loss = re.findall(r"= (\S+)$", section, re.M)
    assert abs(float(loss) - e.exact.loss) <= unit(loss)


@pytest.mark.one_in(4, first=1)
@pytest.mark.parametrize("name", some_layers())
def test_layers(name: str) -> None:
    model, shape = LAYERS[name]
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, *shape))
    assert not faults_of_page(explained(model, x, [1, 0], CE))


@pytest.mark.one_in(4, first=1)
@pytest.mark.parametrize("seed", range(8))
def test_random_models(seed: int) -> None:
    model, x, y, loss = drawn(seed)
    assert not faults_of_page(explained(model, x, y, loss))


def test_digits_that_rounding_has_spoiled_are_left_out() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        exact = rng.normal() * 10.0 ** rng.uniform(-12, 6)
        off = abs(exact) * 10.0 ** rng.uniform(-8, 1)
        value = exact + off * rng.uniform(-1, 1)
        ((text,),) = spelled(np.array([[value]]), off=np.array([[abs(value - exact)]]))
        assert abs(float(text) - exact) <= unit(text) * (1 + 1e-6), (text, exact, value)
    assert spelled(np.array([[0.0]]), off=np.array([[3e-8]])) == [["0e-07"]]
    assert spelled(np.array([[1.0, 0.0]]), off=np.array([[0.0, 0.0]])) == [["1", "0"]]
