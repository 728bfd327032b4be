"""Names that are not there lead to those that are."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest

import chainrule as cr
from chainrule import nn
from chainrule.text.languages import language
from chainrule.util.pytorch_hints import MODULES, PACKAGE, TENSORS


@pytest.mark.parametrize(
    ("module", "name", "part"),
    [
        (nn, "Dense", "did you mean nn.Linear?"),
        (nn, "Linaer", "did you mean nn.Linear?"),
        (nn, "Conv4d", "there are nn.Conv1d to Conv3d"),
        (cr, "fit", "cr.Trainer(model, …).fit(…)"),
        (cr, "EarlyStopping", "there is cr.training.EarlyStopping"),
        (cr, "Linear", "there is cr.nn.Linear"),
        (cr, "Adam", "there is cr.optim.Adam"),
        (cr, "trainer", "did you mean cr.Trainer?"),
        (cr, "complex", "here: cr.stack([real, imag], -1)"),
        (cr, "detach", "it is a method of tensors: x.detach(…)"),
        (nn, "RNNBase", "there are nn.RNN, nn.LSTM and nn.GRU"),
        (nn, "LSTMcell", "there are nn.LSTM and nn.LSTMCell"),
        (nn.functional, "max_pool4d", "there are nn.MaxPool1d, nn.MaxPool2d and"),
        (nn.functional, "crossentropy", "did you mean F.cross_entropy?"),
        (nn, "Softmx", "did you mean nn.Softmax?"),
        (nn, "ReLu", "did you mean nn.ReLU?"),
        (nn, "MaxPool4d", "there are nn.MaxPool1d, nn.MaxPool2d and"),
        (nn.Linear(1, 1), "fit", "cr.Trainer(model, …).fit(data)"),
    ],
)
def test_a_name_that_is_not_there(module: Any, name: str, part: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(module, name)
    assert f"has no attribute {name!r}" in str(error.value)
    assert part in str(error.value)


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [
        (nn, "Dense", "模組 'chainrule.nn' 沒有屬性 'Dense'；是不是指 nn.Linear？"),
        (nn.functional, "reluu", "沒有屬性 'reluu'；是不是指 F.relu？"),
        (cr, "complex", "沒有屬性 'complex'；這裡：cr.stack([real, imag], -1)"),
        (cr, "Adam", "沒有屬性 'Adam'；有 cr.optim.Adam"),
        (
            cr.zeros(1),
            "half",
            "'Tensor' 物件沒有屬性 'half'；這裡：x.float(), x.bfloat16()",
        ),
        (
            cr.zeros(1),
            "flip_",
            "'flip_'；這裡：x.copy_(x.flip(…))，或 x = x.flip(…)",
        ),
        (nn.Linear(1, 1), "half", "這裡：model.float() 或 model.double()"),
        (nn.Linear(1, 1), "foo", "'Linear' 物件沒有屬性 'foo'"),
    ],
)
def test_a_name_that_is_not_there_in_chinese(module: Any, name: str, told: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(module, name)
    with language("zh"):
        assert error.value.translated().endswith(told)
    assert "has no attribute" in str(error.value)
    assert error.value.name == name


@pytest.mark.parametrize(
    ("owner", "table"),
    [(cr, PACKAGE), (cr.zeros(1), TENSORS), (nn.Linear(1, 1), MODULES)],
    ids=["package", "tensor", "module"],
)
def test_no_half_sentence_is_told(owner: Any, table: dict[str, str]) -> None:
    """What a name of elsewhere is here is told whole, or it is code."""
    for name, here in table.items():
        with pytest.raises(AttributeError) as error:
            getattr(owner, name)
        assert str(error.value).endswith(f"; here: {here}")
        with language("zh"):
            said = error.value.translated().partition("這裡：")[2]
        assert said
        assert not re.search("[a-z]{2,} [a-z]{2,}", said), said


def test_an_error_about_a_name_is_copied_whole() -> None:
    with pytest.raises(AttributeError) as error:
        cr.complex  # noqa: B018
    same = pickle.loads(pickle.dumps(error.value))
    assert str(same) == str(error.value)
    assert not hasattr(cr, "complex")


@pytest.mark.parametrize("name", ["LRN", "Fuse", "Hurdle"])
def test_a_name_that_nothing_is_like_leads_nowhere(name: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(nn, name)
    assert "did you mean" not in str(error.value)


def test_names_that_are_loaded_late_are_listed() -> None:
    assert {"Trainer", "explain", "summary", "History", "nn"} <= set(dir(cr))
