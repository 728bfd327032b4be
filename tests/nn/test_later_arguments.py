"""An argument of a layer that is set later is refused where its constructor refuses."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

F = nn.functional

#: Layers whose state is their arguments, with arguments where some are needed.
LAYERS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"), (2,)),
    **dict.fromkeys(("AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "PixelShuffle"), (2,)),
    **dict.fromkeys(("CELU", "ELU", "GELU", "Hardtanh", "LeakyReLU", "Softplus"), ()),
    **dict.fromkeys(("Hardshrink", "Softshrink", "CrossEntropyLoss", "HuberLoss"), ()),
    "Threshold": (0.0, 1.0),
    "Upsample": (None, 2),
}
VALUES = [-1, 0, 1, 3, 0.25, -0.5, 7.5, math.nan, True, None, "x", "sum", "bilinear"]


def accepts(build: Any) -> bool:
    try:
        build()
    except cr.ChainruleError:
        return False
    return True


@pytest.mark.parametrize("name", LAYERS)
def test_what_the_constructor_refuses_is_refused_later(name: str) -> None:
    kind, refused = getattr(nn, name), 0
    names = list(inspect.signature(kind).parameters)
    for argument in names:
        if argument not in vars(kind(*LAYERS[name])):
            continue
        for value in VALUES:
            arguments = dict(zip(names, LAYERS[name])) | {argument: value}
            layer = kind(*LAYERS[name])
            built = accepts(lambda a=arguments: kind(**a))
            assert accepts(lambda m=layer, a=argument, v=value: setattr(m, a, v)) == (
                built
            ), f"{argument}={value!r}"
            refused += not built
    assert refused


def test_a_refused_argument_leaves_the_layer_as_it_was() -> None:
    layer = nn.GELU()
    with pytest.raises(cr.ChainruleError, match="GELU"):
        layer.approximate = "Tanh"
    assert layer.approximate == "none"


def test_a_negative_zero_is_another_argument() -> None:
    x = cr.tensor([-1.0])
    for low in (-0.0, 0.0, -0.0):
        made = F.hardtanh(x, low, 3.0).numpy()
        assert np.signbit(made) == np.signbit(low)
