"""two-two-one against fifty digits: every number, in the result and on the page."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from chainrule.recipes import Experiment, two_two_one
from tests.textbook import oracle
from tests.textbook.oracle import TWO_TWO_ONE, Pass, mpf
from tests.ways import ENGINES


def exact(lr: float = 0.5) -> dict[str, Any]:
    """The whole recipe with 50 digits: one pass, one step of descent, another pass."""
    names = list(TWO_TWO_ONE)
    W1, b1, W2, b2 = map(oracle.exact, TWO_TWO_ONE.values())
    x, y, η = oracle.exact([1.0, 0.5]), oracle.exact([1.0]), mpf(lr)
    one = Pass([(W1, b1, "Sigmoid"), (W2, b2, "Sigmoid")], x, y)
    gradients = [one.dW[1], one.delta[1], one.dW[2], one.delta[2]]

    def step(θ: Any, g: Any) -> Any:
        return [*map(step, θ, g)] if isinstance(θ, list) else θ - η * g

    new = [*map(step, (W1, b1, W2, b2), gradients)]
    after = Pass([(*new[:2], "Sigmoid"), (*new[2:], "Sigmoid")], x, y)
    return {
        "prediction": one.a[2][0],
        "loss": one.loss,
        "layers": [
            {
                "z": one.z[i],
                "a": one.a[i],
                "delta": one.delta[i],
                "dW": one.dW[i],
                "db": one.delta[i],
            }
            for i in (1, 2)
        ],
        "updated": dict(zip(names, new)),
        "prediction_after": after.a[2][0],
        "loss_after": after.loss,
        "promised": η * sum(g**2 for g in flat(gradients)),
    }


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [n for key in sorted(value) for n in flat(value[key])]
    if isinstance(value, list):
        return [n for item in value for n in flat(item)]
    return [value]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_number(engine: str) -> None:
    found = two_two_one.run(Experiment(engine=engine))
    expected = exact()
    made = {key: found[key] for key in expected}
    assert len(flat(made)) == len(flat(expected)) == 32
    for ours, theirs in zip(flat(made), flat(expected)):
        assert abs(ours - theirs) <= 4e-16 * max(1, abs(theirs))
    json.dumps(found)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lr", [0.1, 3.0])
def test_three_ways_are_equal(engine: str, lr: float) -> None:
    found = two_two_one.run(Experiment(engine=engine), lr=lr)
    assert found["difference"] <= 1e-15
    assert found["equal"] is True
    updated = flat(exact(lr)["updated"])
    for ours, theirs in zip(flat(found["updated"]), updated):
        assert abs(ours - theirs) <= 4e-16


def test_a_wrong_step_is_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = two_two_one.by_optimizer
    monkeypatch.setattr(two_two_one, "by_optimizer", lambda lr: right(lr * (1 + 1e-12)))
    found = two_two_one.run(Experiment(engine="numpy"))
    assert 1e-15 < found["difference"] < 1e-12
    assert found["equal"] is False
    off = f"the weights differ from those by hand by {found['difference']:.1e}"
    assert off in capsys.readouterr().out


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+\.\d+", text)]


def test_the_printed_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    found = two_two_one.run(Experiment())
    page = capsys.readouterr().out
    for symbol in ("z⁽¹⁾", "a⁽¹⁾", "z⁽²⁾", "ŷ", "ℒ", "δ⁽²⁾", "δ⁽¹⁾"):
        assert f"  {symbol} = " in page
    for symbol in ("W⁽¹⁾", "b⁽¹⁾", "W⁽²⁾", "b⁽²⁾"):
        assert f"  ∂ℒ/∂{symbol} = " in page
        assert f"  {symbol} ← {symbol} − η ∂ℒ/∂{symbol}\n" in page
    assert "Note to the book: Algorithm 1 (3.5) leaves out the bias" in page

    # Each update in its matrices: what was, η · the gradient, what is.
    update = page.split("the update (3.4.3), η = 0.5")[1].split("\n──")[0]
    gradients = {
        f"{2 * i}.{kind}": layer[key]
        for i, layer in enumerate(found["layers"])
        for kind, key in (("weight", "dW"), ("bias", "db"))
    }
    expected = []
    for name in ("2.weight", "2.bias", "0.weight", "0.bias"):
        parts = (two_two_one.START[name], gradients[name], found["updated"][name])
        rows = [np.reshape(part, (-1, 2 if "weight" in name else 1)) for part in parts]
        for i, (was, gradient, now) in enumerate(zip(*rows)):
            expected += [*was, *([0.5] if i == 0 else []), *gradient, *now]
    assert numbers(update) == pytest.approx(expected, abs=5.1e-7)

    others = page.split("by others")[1].split("── after it")[0]
    said = r"the weights (are those by hand to the last bit|differ .* by \d\.\de-1\d)"
    for way in ("by the optimiser", "by the Trainer"):
        assert re.search(f"{way} +{said}\n", others)

    last = exact()
    ending = page.split("── after it")[1]
    wanted = [
        *(
            last["prediction"],
            last["prediction_after"],
            last["loss"],
            last["loss_after"],
        ),
        *(last["loss"] - last["loss_after"], last["promised"]),
    ]
    assert numbers(ending)[:6] == pytest.approx([float(n) for n in wanted], abs=5.1e-7)
