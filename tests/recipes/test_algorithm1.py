"""algorithm1 against the book's words, a plain loop of floats, and faults put in."""

from __future__ import annotations

import inspect
import json
import math
import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.random import permutation
from chainrule.recipes import Experiment
from chainrule.recipes import algorithm1 as recipe
from chainrule.recipes import textbook as book
from chainrule.recipes.evaluation import same_training
from tests.ways import ENGINES

#: The steps as the book prints them, with the formulas on one line.
STEPS = (
    "1️⃣ 初始化參數：隨機生成 W⁽ˡ⁾, b⁽ˡ⁾",
    "2️⃣ 輸入資料：將訓練樣本 x 傳入網絡",
    "3️⃣ 前向傳播：a⁽ˡ⁾ = f(W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾)　直到輸出層得到 ŷ",
    "4️⃣ 計算損失：ℒ = ℒ(ŷ, y)",
    "5️⃣ 反向傳播：從輸出層開始遞迴計算：",
    "δ⁽ᴸ⁾ = ∇_ŷ ℒ ⊙ f′(z⁽ᴸ⁾)",
    "δ⁽ˡ⁾ = ((W⁽ˡ⁺¹⁾)ᵀ δ⁽ˡ⁺¹⁾) ⊙ f′(z⁽ˡ⁾)",
    "6️⃣ 更新權重：W⁽ˡ⁾ ← W⁽ˡ⁾ − η δ⁽ˡ⁾ (a⁽ˡ⁻¹⁾)ᵀ",
    "7️⃣ 重複步驟 2–6，直到收斂。",
)
XOR = cr.data.Dataset(
    np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float),
    np.array([[0.1], [0.9], [0.9], [0.1]]),
)


def experiment(engine: str = "numpy", seed: int = 0) -> Experiment:
    return Experiment(engine=engine, seed=seed)


def small_page(**changes: Any) -> dict[str, Any]:
    page = {
        "sizes": [2, 2, 1],
        "f": {1: book.σ, 2: book.σ},
        "loss": book.half_square,
        "samples": XOR,
        "η": 2.0,
        "tolerance": 1e-4,
        "most_epochs": 50,
        "seed": 3,
    }
    return page | changes


def test_the_page_has_the_books_steps_in_order() -> None:
    text = inspect.getsource(recipe.algorithm1)
    places = [
        text.index(step) for step in ("【Algorithm 1】前向與反向傳播訓練流程", *STEPS)
    ]
    assert places == sorted(places)
    assert "b[l] = b[l] - η * δ[l]" in text
    assert len(re.findall("Note to the book", text)) == 3


def by_floats(page: dict[str, Any], epochs: int) -> tuple[Any, list[float]]:
    """2 → 2 → 1 with sigmoids, one float at a time.

    Returns:
        The nine parameters after each epoch, and its loss.
    """
    W, b = book.initialise([2, 2, 1], page["seed"])
    w11, w12, w21, w22 = W[1].ravel().tolist()
    c1, c2 = b[1].ravel().tolist()
    v1, v2 = W[2].ravel().tolist()
    c, η = b[2].item(), page["η"]
    rows = [(0, 0, 0.1), (0, 1, 0.9), (1, 0, 0.9), (1, 1, 0.1)]
    states, losses = [], []
    for epoch in range(epochs):
        total = 0.0
        for i in permutation(4, page["seed"], epoch):
            x1, x2, y = rows[i]
            h1 = 1 / (1 + math.exp(-(w11 * x1 + w12 * x2 + c1)))
            h2 = 1 / (1 + math.exp(-(w21 * x1 + w22 * x2 + c2)))
            out = 1 / (1 + math.exp(-(v1 * h1 + v2 * h2 + c)))
            total += (out - y) ** 2 / 2
            d = (out - y) * out * (1 - out)
            e1, e2 = v1 * d * h1 * (1 - h1), v2 * d * h2 * (1 - h2)
            v1, v2, c = v1 - η * d * h1, v2 - η * d * h2, c - η * d
            w11, w12, c1 = w11 - η * e1 * x1, w12 - η * e1 * x2, c1 - η * e1
            w21, w22, c2 = w21 - η * e2 * x1, w22 - η * e2 * x2, c2 - η * e2
        losses.append(total / 4)
        states.append([w11, w12, w21, w22, c1, c2, v1, v2, c])
    return np.array(states), losses


def parameters(W: dict[int, Any], b: dict[int, Any]) -> list[float]:
    return np.concatenate([a.ravel() for a in (W[1], b[1], W[2], b[2])]).tolist()


def test_the_page_against_a_loop_of_floats() -> None:
    page = small_page()
    W, b, losses, stopped = recipe.algorithm1(**page)
    expected, expected_losses = by_floats(page, 50)
    assert stopped == "cap"
    assert len(losses) == 50
    assert losses == pytest.approx(expected_losses, rel=1e-13)
    assert parameters(W, b) == pytest.approx(expected[-1].tolist(), rel=1e-13)


def test_the_stopping_rule() -> None:
    """It stops after the first epoch in which no weight moved by more than that."""
    page = small_page(most_epochs=3000, tolerance=2e-3)
    W, b, losses, stopped = recipe.algorithm1(**page)
    assert stopped == "tolerance"
    states = by_floats(page, len(losses))[0]
    moved = np.abs(np.diff(states, axis=0))[:, [0, 1, 2, 3, 6, 7]].max(1)
    assert moved[-1] <= 2e-3 < moved[:-1].min()
    assert parameters(W, b) == pytest.approx(states[-1].tolist(), rel=1e-11)
    *_, again = recipe.algorithm1(**page | {"most_epochs": len(losses) - 1})
    assert again == "cap"


SLOWER = [("numpy", 0), ("numpy", 2), ("native", 2)]


@pytest.mark.parametrize(
    ("engine", "seed"),
    [
        ("native", 0),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOWER),
    ],
)
def test_the_small_network_equals_the_trainers(
    engine: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found = recipe.small(experiment(engine, seed))
    assert found["difference"] <= 1e-12
    assert found["equal"] is True
    assert found["engine"] == engine
    assert found["trainer_loss"] == pytest.approx(found["last_loss"], rel=1e-9)
    assert found["stopped_by"] == "tolerance"
    assert found["last_loss"] < 1e-5 < 0.05 < found["first_loss"]
    assert found["steps"] == 4 * found["epochs"]
    page = capsys.readouterr().out
    assert "stopped by the tolerance" in page
    assert "equal up to rounding" in page
    outputs = [float(n) for n in re.findall(r"ŷ = (\d\.\d{4})", page)]
    assert outputs == pytest.approx([0.1, 0.9, 0.9, 0.1], abs=0.01)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_digits_network_equals_the_trainers(
    engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = recipe.large(experiment(engine, 1), *recipe.digits(200))
    assert found["difference"] <= 1e-12
    assert found["equal"] is True
    assert (found["steps"], found["stopped_by"]) == (600, "cap")
    assert found["trainer_loss"] == pytest.approx(found["last_loss"], rel=1e-9)
    assert 0.5 < found["test_accuracy"] < 0.95
    page = capsys.readouterr().out
    assert "stopped by the cap" in page
    both = [
        [float(n) for n in re.findall(r"-?\d\.\d{4}", line)]
        for line in page.splitlines()
        if line.startswith(("    Jᵀ ∇_ŷ ℒ", "    ŷ − y"))
    ]
    assert len(both[0]) == 10
    assert both[0] == both[1]
    assert sum(n < 0 for n in both[0]) == 1


def test_the_tables_of_derivatives() -> None:
    """f′ and ∇ℒ against central differences."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(4, 1)), np.eye(4)[:, [2]]
    steps = np.eye(4) * 1e-6
    for f, slope in book.SLOPE.items():
        columns = [(f(z + s[:, None]) - f(z - s[:, None])) / 2e-6 for s in steps]
        jacobian = np.concatenate(columns, axis=1)
        made = slope(z) if f is book.softmax else np.diagflat(slope(z))
        np.testing.assert_allclose(made, jacobian, atol=1e-9)
    ŷ = book.softmax(z)
    for loss, gradient in book.GRADIENT.items():
        numbers = [
            (loss(ŷ + s[:, None], y) - loss(ŷ - s[:, None], y)) / 2e-6 for s in steps
        ]
        np.testing.assert_allclose(gradient(ŷ, y).ravel(), numbers, atol=1e-7)


def test_a_wrong_derivative_is_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = book.SLOPE[book.σ]
    monkeypatch.setitem(book.SLOPE, book.σ, lambda z: right(z) * (1 + 1e-9))
    monkeypatch.setattr(recipe, "MOST_EPOCHS", 20)
    found = recipe.small(experiment())
    assert found["difference"] > 1e-12
    assert found["equal"] is False
    assert "NOT EQUAL" in capsys.readouterr().out


def test_a_long_run_says_what_rounding_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipe, "MOST_EPOCHS", 20)
    monkeypatch.setattr(same_training, "EQUAL", 0.0)
    recipe.small(experiment())
    assert "rounding alone" not in capsys.readouterr().out
    monkeypatch.setattr(same_training, "MANY", 79)
    recipe.small(experiment())
    assert "(In 80 steps rounding alone can come to that" in capsys.readouterr().out


def test_another_order_of_samples_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = book.columns
    monkeypatch.setattr(book, "columns", lambda s, seed, e: right(s, seed + 1, e))
    monkeypatch.setattr(recipe, "MOST_EPOCHS", 20)
    assert recipe.small(experiment())["equal"] is False


def test_a_run_that_ends_beside_the_solution_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipe, "MOST_EPOCHS", 5)
    found = recipe.small(experiment())
    assert found["stopped_by"] == "cap"
    page = capsys.readouterr().out
    assert "it has not come to the solution" in page


def test_the_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipe, "MOST_EPOCHS", 20)
    found = recipe.run(Experiment(), limit=20)
    assert set(found["networks"]) == {"3.2.2", "3.2.3"}
    assert found["networks"]["3.2.3"]["samples"] == 20
    assert all(part["equal"] for part in found["networks"].values())
    json.dumps(found)
    page = capsys.readouterr().out
    assert inspect.getsource(recipe.algorithm1) in page
    assert "3.4.3 calls one update an epoch" in page


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_no_images_is_refused(
    limit: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once: nothing is computed or shown."""
    with pytest.raises(cr.ChainruleError, match="take"):
        recipe.run(Experiment(engine="numpy"), limit=limit)
    assert capsys.readouterr().out == ""


def test_samples_come_as_columns() -> None:
    data = cr.data.Dataset(np.arange(6.0).reshape(3, 2), [2, 0, 1], classes=3)
    seen = [
        (x.ravel().tolist(), y.ravel().tolist()) for x, y in book.columns(data, 0, 0)
    ]
    assert sorted(seen) == [
        ([0.0, 1.0], [0.0, 0.0, 1.0]),
        ([2.0, 3.0], [1.0, 0.0, 0.0]),
        ([4.0, 5.0], [0.0, 1.0, 0.0]),
    ]
    x, y = next(book.columns(data, 0, 0))
    assert (x.shape, y.shape) == ((2, 1), (3, 1))
