"""Names that are not there lead to those that are."""

from __future__ import annotations

from typing import Any

import pytest

import chainrule as cr
from chainrule import nn


@pytest.mark.parametrize(
    ("module", "name", "part"),
    [
        (nn, "Dense", "did you mean nn.Linear?"),
        (nn, "Linaer", "did you mean nn.Linear?"),
        (nn, "Conv3d", "there are nn.Conv1d, nn.Conv2d"),
        (cr, "fit", "cr.Trainer(model, …).fit(…)"),
        (cr, "EarlyStopping", "there is cr.training.EarlyStopping"),
        (cr, "Linear", "there is cr.nn.Linear"),
        (cr, "Adam", "there is cr.optim.Adam"),
        (cr, "trainer", "did you mean cr.Trainer?"),
        (cr, "cuda", "here: nothing, all tensors are on the CPU"),
        (cr, "detach", "it is a method of tensors: x.detach(…)"),
        (nn, "RNNBase", "there are nn.RNN, nn.LSTM and nn.GRU"),
        (nn, "LSTMcell", "there are nn.LSTM and nn.LSTMCell"),
        (nn.functional, "max_pool3d", "there are nn.MaxPool1d and nn.MaxPool2d"),
        (nn.functional, "crossentropy", "did you mean F.cross_entropy?"),
        (nn, "Softmx", "did you mean nn.Softmax?"),
        (nn, "ReLu", "did you mean nn.ReLU?"),
        (nn, "MaxPool3d", "there are nn.MaxPool1d and nn.MaxPool2d"),
        (nn.Linear(1, 1), "fit", "cr.Trainer(model, …).fit(data)"),
    ],
)
def test_a_name_that_is_not_there(module: Any, name: str, part: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(module, name)
    assert f"has no attribute {name!r}" in str(error.value)
    assert part in str(error.value)


@pytest.mark.parametrize("name", ["LRN", "Fold", "Hurdle"])
def test_a_name_that_nothing_is_like_leads_nowhere(name: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(nn, name)
    assert "did you mean" not in str(error.value)


def test_names_that_are_loaded_late_are_listed() -> None:
    assert {"Trainer", "explain", "summary", "History", "nn"} <= set(dir(cr))
