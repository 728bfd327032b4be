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
        (nn, "Conv2d", "no convolutions"),
        (cr, "fit", "cr.Trainer(model, …).fit(…)"),
        (cr, "EarlyStopping", "there is cr.training.EarlyStopping"),
        (cr, "Linear", "there is cr.nn.Linear"),
        (cr, "Adam", "there is cr.optim.Adam"),
        (cr, "trainer", "did you mean cr.Trainer?"),
        (cr, "cuda", "here: nothing, all tensors are on the CPU"),
        (cr, "detach", "it is a method of tensors: x.detach(…)"),
        (nn, "NLLLoss", "did you mean nn.CrossEntropyLoss?"),
        (nn, "ModuleList", "did you mean nn.Sequential?"),
    ],
)
def test_a_name_that_is_not_there(module: Any, name: str, part: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(module, name)
    assert f"has no attribute {name!r}" in str(error.value)
    assert part in str(error.value)


def test_names_that_are_loaded_late_are_listed() -> None:
    assert {"Trainer", "explain", "summary", "History", "nn"} <= set(dir(cr))
