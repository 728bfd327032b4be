"""Updates and slopes in a page: what they are computed from, in true numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.explanation import Explanation
from chainrule.explanation.interactive.entries import entries_of
from chainrule.notation.arithmetic import Quantity, computed
from tests.browsers import browsing
from tests.explanation.sheet import Sheet, unpacked

X, Y = np.array([[1.0, 2.0], [0.5, -3.0]]), np.array([0, 1])
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "penalty": lambda p: optim.SGD(p, lr=0.1, momentum=0.5, weight_decay=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "NAdam": lambda p: optim.NAdam(p, lr=0.01),
}


def learned(name: str, dtype: str = "float64") -> Explanation:
    """An explained step with moments that are not 0: two steps were taken before."""
    cr.manual_seed(0)
    layers = nn.Linear(2, 3, dtype=dtype), nn.Tanh(), nn.Linear(3, 2, dtype=dtype)
    model, loss = nn.Sequential(*layers), nn.CrossEntropyLoss()
    optimizer = OPTIMIZERS[name](model.named_parameters())
    for __ in range(2):
        model.zero_grad()
        loss(model(cr.tensor(X, dtype=dtype)), cr.tensor(Y)).backward()
        optimizer.step()
    return cr.explain(model, X, Y, loss, optimizer)


def differences(numbers: Any, side: Any, parent: Any) -> np.ndarray:
    """∂side/∂parent by central differences of the formula, element by element."""
    at = numbers[parent].array
    h = np.maximum(1e-5 * np.abs(at), 1e-9)
    sides = []
    for moved in (at + h, at - h):
        shifted = {**numbers, parent: Quantity(moved, numbers[parent].kind)}
        sides.append(np.asarray(computed(side, shifted), float))
    return (sides[0] - sides[1]) / (2 * h)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_derivatives_of_updates_are_those_of_their_formulas(name: str) -> None:
    e = learned(name)
    made = entries_of(e)
    sheet, exact, seen = Sheet(made.data), e.exact, 0
    exprs = {symbol.text(): symbol for symbol in exact.numbers}
    equations = {q.name.text(): q for s in exact.sections for q in s.update}
    assert equations
    assert made.updates_left_out == []
    for symbol, equation in equations.items():
        v = made.symbols[symbol].id
        shown = sheet.numbers(v)
        np.testing.assert_allclose(
            shown, exact.numbers[equation.name].array.reshape(-1), rtol=1e-12
        )
        links = [k for k in made.data["links"] if k["to"] == v]
        assert links
        for link in links:
            parent = sheet.values[link["from"]]["symbol"]
            found = unpacked(link["d"]).reshape(-1)
            side = equation.sides[-1]
            wanted = differences(exact.numbers, side, exprs[parent]).reshape(-1)
            scale = np.abs(wanted).max(initial=0) + 1e-12
            np.testing.assert_allclose(found / scale, wanted / scale, atol=2e-5)
            seen += 1
    assert seen >= 8


def test_a_gradient_in_an_update_leads_to_its_chain_rule() -> None:
    made = entries_of(learned("momentum"))
    values = made.data["values"]
    slopes = [v for v in values if "slopeOf" in v]
    assert {v["symbol"] for v in slopes} >= {"∂ℒ/∂W⁽¹⁾", "∂ℒ/∂b⁽²⁾"}
    for v in slopes:
        assert v["symbol"] == f"∂ℒ/∂{values[v['slopeOf']]['symbol']}"
        assert v["shape"] == values[v["slopeOf"]]["shape"]


def test_nothing_beside_it_is_in_the_chain_rule() -> None:
    """The terms of ∂ℒ/∂W are the same with an optimiser as without."""
    e = learned("Adam")
    made, plain = entries_of(e), entries_of(cr.explain(nn_of(e), X, Y, CE))
    sheets = Sheet(made.data), Sheet(plain.data)
    beside = {i for i, v in enumerate(made.data["values"]) if v.get("beside")}
    v, w = made.symbols["W⁽¹⁾"].id, plain.symbols["W⁽¹⁾"].id
    ahead = [t for t in sheets[0].near(v, 3, 1) if t.v not in beside]
    assert [t.d for t in ahead] == [t.d for t in sheets[1].near(w, 3, 1)]


CE = nn.CrossEntropyLoss()


def nn_of(e: Explanation) -> nn.Module:
    layers = nn.Linear(2, 3, dtype="float64"), nn.Tanh(), nn.Linear(3, 2)
    model = nn.Sequential(*layers).to("float64")
    names = ("0.weight", "0.bias", "2.weight", "2.bias")
    model.load_state_dict({name: e[name].value for name in names})
    return model


def test_slopes() -> None:
    """f′(z) of tanh is 1 − a², and its derivative by z is −2a (1 − a²)."""
    e = learned("SGD")
    made = entries_of(e)
    sheet, v = Sheet(made.data), made.symbols["f′(z⁽¹⁾)"].id
    a = np.tanh(e["z1"].value).reshape(-1)
    np.testing.assert_allclose(sheet.numbers(v), 1 - a**2, rtol=1e-12)
    (link,) = [k for k in made.data["links"] if k["to"] == v]
    assert sheet.values[link["from"]]["symbol"] == "z⁽¹⁾"
    np.testing.assert_allclose(unpacked(link["d"]), -2 * a * (1 - a**2), rtol=1e-9)


def test_a_large_layer_is_left_out_and_named() -> None:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(200, 100), nn.ReLU(), nn.Linear(100, 3))
    x = np.random.default_rng(0).normal(size=(2, 200))
    e = cr.explain(model, x, [0, 1], CE, optim.Adam(lr=0.1))
    made = entries_of(e)
    assert made.updates_left_out == ["(W⁽¹⁾)′"]
    assert "(b⁽¹⁾)′" in made.symbols
    assert "can be read and not clicked: (W⁽¹⁾)′." in e.to_html()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["momentum", "RMSprop", "AdamW"])
def test_clicks(name: str, tmp_path: Path) -> None:
    """Each number of each update, clicked: its value and its derivatives are shown."""
    e = learned(name, "float32")
    made, exact = entries_of(e), e.exact
    file = tmp_path / "step.html"
    file.write_text(e.to_html(), "utf-8")
    errors: list[str] = []
    with browsing() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        for section in exact.sections:
            for equation in section.update:
                symbol = equation.name.text()
                v = made.symbols[symbol].id
                cells = page.locator(f'table[data-v="{v}"] td')
                numbers = exact.numbers[equation.name].array.reshape(-1)
                for k in range(cells.count()):
                    cells.nth(k).click()
                    head = page.locator("#path h2").inner_text()
                    assert head.startswith(symbol)
                    assert float(head.rpartition(" = ")[2]) == numbers[k % numbers.size]
                    text = page.locator("#path").inner_text()
                    assert "ℒ of this step is not computed from it." in text
                    assert f"∂{symbol}[" in text
        page.locator("#path").get_by_role("button", name="∂ℒ/∂").first.click()
        assert page.locator("#path h2").inner_text().startswith("∂ℒ/∂")
        assert page.locator("#path .equation").count() >= 2
    assert errors == []
