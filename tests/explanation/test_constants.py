"""Arrays that stand in the graph itself: every c and i of a formula is defined."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "upsample": (lambda: nn.Upsample(scale_factor=2), (1, 1, 2, 2)),
    "large": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 1, 8, 8)),
    "average": (lambda: nn.AdaptiveAvgPool2d(2), (1, 1, 3, 3)),
    "rotary": (lambda: nn.RotaryPositions(4), (2, 3, 4)),
    "sinusoidal": (lambda: nn.SinusoidalPositions(4), (1, 9, 4)),
    "causal": (lambda: nn.CausalSelfAttention(4, 2), (2, 3, 4)),
}


def explained(layer: Any, shape: tuple[int, ...]) -> Any:
    cr.manual_seed(0)
    model = nn.Sequential(layer)
    x = np.random.default_rng(0).standard_normal(shape).astype("f4")
    y = np.zeros(model(cr.tensor(x)).shape, "f4")
    return cr.explain(model, x, y, nn.MSELoss())


@pytest.mark.parametrize("name", LAYERS)
def test_what_a_formula_names_is_shown(name: str) -> None:
    make, shape = LAYERS[name]
    e = explained(make(), shape)
    text = str(e)
    used = set(re.findall(r"[ci][₁-₉]", "\n".join(q.text() for q in e.equations())))
    assert used
    defined = re.findall(r"(?m)^ .*?([ci][₁-₉]) = ", text.partition("── ")[0])
    assert sorted(defined) == sorted(used)
    assert "explain.constant" not in text
    assert e.check().ok
    for symbol in used:
        number = ord(symbol[1]) - ord("₀")
        latex = f"{symbol[0]}_{{{number}}} = "
        assert latex in e.to_markdown()
        assert latex in e.to_latex()
    definitions = re.findall(r'<div class="eq given[^"]*">.*?</div>', e.to_html(), re.S)
    assert len(definitions) >= 2 + len(used)


def test_the_numbers_are_those_of_the_layer() -> None:
    """Each row of the average's c says where a row of the image goes."""
    e = explained(nn.AdaptiveAvgPool2d(2), (1, 1, 3, 3))
    (name,) = e.constants
    np.testing.assert_allclose(e.numbers[name].array, [[0.5, 0], [0.5, 0.5], [0, 0.5]])


def test_nothing_is_shown_that_no_formula_names() -> None:
    e = cr.explain(nn.Sequential(nn.Linear(2, 1)), [[1.0, 2.0]], [[0.0]], nn.MSELoss())
    assert not re.search(r"[ci][₁-₉] = ", str(e))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.GroupNorm(1, 2, affine=False), (1, 2, 3)),
        (nn.BatchNorm2d(2, affine=False), (2, 2, 2, 2)),
        (nn.LayerNorm(3, elementwise_affine=False), (1, 2, 3)),
        (nn.InstanceNorm1d(2), (1, 2, 3)),
    ],
)
def test_a_norm_without_its_own_numbers(layer: Any, shape: tuple[int, ...]) -> None:
    e = explained(layer, shape)
    hat = next(q.text() for q in e.equations() if "var" in q.text())
    assert "1 ⊙" not in hat
    assert not hat.endswith("+ 0")
    assert e.check().ok


@pytest.mark.one_in(2)
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(
    ("layer", "width"),
    [
        (lambda: nn.TransformerEncoderLayer(4, 1, 8), 4),
        (lambda: nn.TransformerEncoderLayer(4, 2, 8), 4),
        (lambda: nn.CausalSelfAttention(2, 1), 2),
    ],
)
def test_attention_of_one_head_or_one_step(layer: Any, width: int, n: int) -> None:
    """Sums over one element vanish, and with them an axis: the numbers fit still."""
    assert explained(layer(), (n, 3, width)).check().ok
