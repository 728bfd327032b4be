"""Names, shapes, samples and messages of ``cr.check_work``, and its report."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DTypeError,
    NonFiniteError,
    ShapeError,
)

X, Y = [1.0, 0.5], [1.0, -0.5]
MANY_X = np.array([[1.0, 0.5], [0.2, -0.3], [-1.0, 0.7]])
MANY_Y = np.array([[1.0, -0.5], [0.0, 1.0], [0.5, 0.5]])


@pytest.fixture
def model() -> nn.Module:
    made = nn.Sequential(
        nn.Linear(2, 3, dtype="float64"), nn.Tanh(), nn.Linear(3, 2, dtype="float64")
    )
    made.load_state_dict(
        {
            "0.weight": [[0.1, 0.4], [-0.2, 0.3], [0.5, -0.6]],
            "0.bias": [0.1, -0.1, 0.2],
            "2.weight": [[0.5, -0.6, 0.3], [0.2, 0.1, -0.4]],
            "2.bias": [0.2, 0.1],
        }
    )
    return made


def numbers(model: nn.Module, x: Any = X, y: Any = Y) -> dict[str, Any]:
    batch = np.ndim(x) > 1
    return cr.derive(model, batch=batch).evaluate(model, x, y, lr=0.1)


def check(model: nn.Module, answers: Any, x: Any = X, y: Any = Y, **more: Any) -> Any:
    return cr.check_work(model, x, y, "half_squared", answers, **more)


# -- names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key", "symbol"),
    [
        ("δ2", "delta2", "δ⁽²⁾"),
        ("z^(1)", "z1", "z⁽¹⁾"),
        ("h1", "a1", "a⁽¹⁾"),
        ("y_hat", "a2", "ŷ"),
        ("dL/dW1", "dW1", "∂ℒ/∂W⁽¹⁾"),
        ("2.weight.grad", "dW2", "∂ℒ/∂W⁽²⁾"),
        ("0.bias", "b1", "(b⁽¹⁾)′"),
        ("W_new1", "W1", "(W⁽¹⁾)′"),
        ("L", "loss", "ℒ"),
        (r"\delta^{(1)}", "delta1", "δ⁽¹⁾"),
        (r"\hat y", "a2", "ŷ"),
        (r"\hat{y}", "a2", "ŷ"),
    ],
)
def test_names(model: nn.Module, name: str, key: str, symbol: str) -> None:
    report = check(model, {name: numbers(model)[symbol]}, lr=0.1)
    assert [m.key for m in report.marks] == [key]
    assert report.ok
    assert report[name].key == key


def test_an_unknown_name_gets_the_nearest(model: nn.Module) -> None:
    with pytest.raises(ArgumentError, match="did you mean 'delta1'"):
        check(model, {"detla1": 1})


def test_a_name_twice(model: nn.Module) -> None:
    with pytest.raises(ArgumentError, match="'z1', 'z⁽¹⁾'"):
        check(model, {"z1": [1, 2, 3], "z⁽¹⁾": [1, 2, 3]})


def test_a_mark_that_is_not_there(model: nn.Module) -> None:
    with pytest.raises(ArgumentError, match="no answer for a1"):
        check(model, {"z1": [1, 2, 3]})["a1"]


# -- what is no answer -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "kind", "words"),
    [
        ({}, ArgumentError, "no answers"),
        ({"z1": ["?", "", None]}, ArgumentError, "all blank"),
        ({"z1": ["?", 1, 2]}, ArgumentError, "1 of them blank"),
        ([1], ArgumentError, "Answers are numbers with names"),
        ({"z1": [1, float("nan"), 2]}, NonFiniteError, "z1[1] = nan"),
        ({"z1": 10**400}, NonFiniteError, "finite"),
        ({"z1": "1e999"}, NonFiniteError, "finite"),
        ({"z1": ["a", 1, 2]}, DTypeError, "z1[0] = 'a'"),
        ({"z1": [True, 1, 2]}, DTypeError, "True"),
        ({"z1": {"a": 1}}, DTypeError, "must be numbers"),
        ({"z1": "1/0"}, DTypeError, "1/0"),
        ({"z1": [[1, 2], [3]]}, ShapeError, "unequal"),
        ({"z1": []}, ShapeError, "or none"),
        ({"W1": [[1, 2]]}, ArgumentError, "without η"),
    ],
)
def test_refused(model: nn.Module, answers: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind) as caught:
        check(model, answers)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "more",
    [
        {"lr": "x"},
        {"lr": float("nan")},
        {"lr": [1, 2]},
        {"lr": 0.1, "optimizer": optim.SGD(lr=0.1)},
        {"lr": 0},
        {"lr": -0.1},
        {"lr": True},
        {"lr": np.True_},
        {"optimizer": "adam"},
        {"optimizer": optim.Adam},
        {"optimizer": optim.Adamax(lr=0.1)},
        {"optimizer": optim.SGD(lr=0.1, clip_norm=1.0)},
        {"optimizer": optim.Adam(lr=0.1, amsgrad=True)},
        {"optimizer": optim.SGD([cr.tensor([1.0], requires_grad=True)], lr=0.1)},
        {"samples": "diagonal"},
        {"lang": "fr"},
    ],
)
def test_refused_options(model: nn.Module, more: dict[str, Any]) -> None:
    with pytest.raises(ChainruleError):
        check(model, {"W1": [[1, 2]]}, **more)


def test_other_networks_and_losses_are_refused(model: nn.Module) -> None:
    with pytest.raises(ArgumentError):
        cr.check_work(nn.Sequential(nn.Conv2d(1, 1, 1)), X, Y, "mse", {"z1": 1})
    with pytest.raises(ArgumentError):
        cr.check_work(model, X, Y, "huber", {"z1": 1})
    with pytest.raises(ArgumentError, match="no such class"):
        cr.check_work(model, X, [7], nn.CrossEntropyLoss(), {"z1": 1})


def test_the_optimiser_gives_its_rate(model: nn.Module) -> None:
    answers = {"W1": numbers(model)["(W⁽¹⁾)′"]}
    assert check(model, answers, optimizer=optim.SGD(lr=0.1)).ok
    assert not check(model, answers, optimizer=optim.SGD(lr=0.2)).ok


# -- shapes ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1)])
def test_one_sample_in_any_form(model: nn.Module, shape: tuple[int, ...]) -> None:
    assert check(model, {"z1": numbers(model)["z⁽¹⁾"].reshape(shape)}).ok


def test_a_transposed_matrix_is_a_slip(model: nn.Module) -> None:
    found = numbers(model)
    answers = {"dW1": found["∂ℒ/∂W⁽¹⁾"].T, "W1": found["(W⁽¹⁾)′"]}
    report = check(model, answers, lr=0.1)
    assert report.first == "dW1"
    assert [f.name for f in report["dW1"].slips] == ["transposed"]
    assert report["W1"].status == "right"  # it was meant rightly


@pytest.mark.parametrize("answer", [5.0, [1, 2], [[1, 2, 3], [4, 5, 6]]])
def test_another_shape_is_wrong(model: nn.Module, answer: Any) -> None:
    report = check(model, {"delta1": answer, "dW1": numbers(model)["∂ℒ/∂W⁽¹⁾"]})
    assert report["delta1"].status == "wrong"
    assert "are meant" in report.text()
    assert report["dW1"].status == "right"


def test_single_numbers() -> None:
    model = nn.Sequential(nn.Linear(1, 1, dtype="float64"))
    model.load_state_dict({"0.weight": [[2.0]], "0.bias": [1.0]})
    answers = {"z1": 7, "a1": [7], "L": 18, "delta1": [[6]], "dW1": 18, "db1": 6}
    assert cr.check_work(model, 3.0, 1.0, "half_squared", answers).ok


# -- several samples -------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("x_turned", [False, True])
def test_rows_and_columns(model: nn.Module, turned: bool, x_turned: bool) -> None:
    found = numbers(model, MANY_X, MANY_Y)
    x, y = (MANY_X.T, MANY_Y.T) if x_turned else (MANY_X, MANY_Y)
    names = {"z1": "z⁽¹⁾", "z2": "z⁽²⁾", "delta2": "δ⁽²⁾"}
    answers = {k: found[s].T if turned else found[s] for k, s in names.items()}
    assert check(model, answers, x, y).ok  # z1 is square: 3 samples, 3 neurons


def test_everything_square_is_found_out_by_its_numbers(model: nn.Module) -> None:
    found = numbers(model, MANY_X[:2], MANY_Y[:2])
    for turned in (False, True):
        z, d = found["z⁽²⁾"], found["δ⁽²⁾"]
        answers = {"z2": z.T if turned else z, "delta2": d.T if turned else d}
        assert check(model, answers, MANY_X[:2], MANY_Y[:2]).ok
        assert check(model, answers, MANY_X[:2].T, MANY_Y[:2].T).ok


def test_refused_where_both_ways_make_sense(model: nn.Module) -> None:
    x, y = MANY_X[:2], MANY_Y[:2]
    found = numbers(model, x, y)
    # As many answers are right either way, but not the same ones.
    answers = {"z2": found["z⁽²⁾"], "delta2": found["δ⁽²⁾"].T}
    with pytest.raises(ArgumentError, match="rows or in the columns"):
        check(model, answers, x, y)
    assert check(model, answers, x, y, samples="rows").first == "z2"


def test_errors_of_each_samples_own_loss(model: nn.Module) -> None:
    found = numbers(model, MANY_X, MANY_Y)
    answers = {
        "delta2": 3 * found["δ⁽²⁾"],
        "delta1": 3 * found["δ⁽¹⁾"],
        "dW1": found["∂ℒ/∂W⁽¹⁾"],
    }
    report = check(model, answers, MANY_X, MANY_Y)
    assert report.ok
    assert report["delta2"].remarks == ("per_sample",)
    answers["dW1"] = 3 * found["∂ℒ/∂W⁽¹⁾"]
    report = check(model, answers, MANY_X, MANY_Y)
    assert report.first == "delta2"
    assert "other_mean" in [f.name for f in report["delta2"].slips]


# -- the report ------------------------------------------------------------------------


def slipped(model: nn.Module) -> Any:
    found = numbers(model)
    delta = model[2].weight.numpy().T @ found["δ⁽²⁾"]  # pyright: ignore
    return check(model, {"delta2": found["δ⁽²⁾"], "delta1": delta})


def test_the_report_in_all_forms(model: nn.Module) -> None:
    report = slipped(model)
    text = report.text()
    assert "The first wrong one is δ⁽¹⁾" in text
    assert "f′ is missing" in text
    assert "δ⁽¹⁾ = (W⁽²⁾)ᵀ δ⁽²⁾" in text
    for form in (report.to_html(), report._repr_html_(), report.to_markdown()):
        assert "f′ is missing" in form
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert (data["ok"], data["first"], data["right"]) == (False, "delta1", 1)
    assert data["marks"][1]["slips"][0]["slip"] == "missing"
    assert "WorkReport" in repr(report)


def test_in_chinese(model: nn.Module) -> None:
    found = numbers(model)
    report = check(model, {"z1": found["z⁽¹⁾"] * 2.5}, lang="zh-TW")
    assert "第一個錯的是 z⁽¹⁾" in report.verdict()
    assert report.lang == "zh-TW"
    assert "likely" not in report.text().lower()


def test_nothing_is_changed(model: nn.Module) -> None:
    before = {k: np.array(v) for k, v in model.state_dict().items()}
    slipped(model)
    after = model.state_dict()
    assert all((np.array(after[k]) == v).all() for k, v in before.items())


def test_slips_that_coincide_are_all_named() -> None:
    """With two samples a factor of 2 is that of n as well."""
    model = nn.Sequential(nn.Linear(1, 1, dtype="float64"))
    model.load_state_dict({"0.weight": [[2.0]], "0.bias": [1.0]})
    report = cr.check_work(
        model, [[1.0], [2.0]], [[0.0], [0.0]], "half_squared", {"L": 17.0}
    )
    assert {f.name for f in report["L"].slips} >= {"factor_two", "other_mean"}


def test_a_group_with_a_rate_of_its_own_is_refused(model: nn.Module) -> None:
    groups = [{"params": model[0].parameters(), "lr": 1.0}]
    groups.append({"params": model[2].parameters()})
    optimizer = optim.SGD(groups, lr=0.1)
    with pytest.raises(ArgumentError, match="same for all parameters"):
        check(model, {"z1": [0.0, 0.0]}, optimizer=optimizer)


def test_one_wrong_delta_judges_itself_alone() -> None:
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Linear(2, 2, dtype="float64"), nn.Sigmoid(), nn.Linear(2, 1, dtype="float64")
    )
    x, y = rng.normal(size=(2, 2)), rng.normal(size=(2, 1))
    found = numbers(net, x, y)
    answers = {
        "delta2": 2 * found["δ⁽²⁾"],
        "delta1": found["δ⁽¹⁾"],
        "dW1": found["∂ℒ/∂W⁽¹⁾"],
    }
    report = check(net, answers, x, y)
    assert report["delta2"].status == "wrong"
    assert report["delta1"].status == "right"
    assert report.first == "delta2"


def test_a_list_within_itself(model: nn.Module) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ShapeError):
        check(model, {"z1": endless})
