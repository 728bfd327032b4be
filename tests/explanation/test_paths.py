"""The path of one number: every equation that is printed, worked out from its text."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.explanation import Explanation
from chainrule.explanation.paths import FOLLOWED, ElementPath, Step, Term
from chainrule.text.languages import language
from tests.explanation.models import LAYERS, Words, some_layers
from tests.explanation.random_models import drawn
from tests.explanation.test_checking import CE, explained, sure

_HEAD = re.compile(r"^  (∂ℒ/∂\S+(?:\[[\d, ]*\])?) [=] ")


def printed(text: str) -> list[tuple[str, list[list[str]]]]:
    """The equations of a page: the left side, and the terms of each right side."""
    found: list[tuple[str, list[list[str]]]] = []
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            found.append((head[1], []))
            line = line[head.end() - 2 :]
        elif not (found and re.match(r"^ {4,}[=+] ", line)):
            continue
        sign, _, term = line.strip().partition(" ")
        term = re.sub(r"   \(.*\)$", "", term)
        if sign == "=":
            found[-1][1].append([term])
        else:
            found[-1][1][-1].append(term)
    return found


def faults_of(path: ElementPath) -> list[str]:
    """The equations whose sides differ in a digit, or that say nothing."""
    found: list[str] = []
    known: dict[str, float] = {}
    equations = printed(str(path))
    assert len(equations) == len(path.equations) == len(path.steps)
    for left, sides in equations:
        *terms, (result,) = sides
        known[left] = float(result)
        if not terms:
            continue
        symbols, numbers = terms
        parts = [factor for term in symbols for factor in term.split(" · ")]
        if left in parts or len(symbols) != len(numbers):
            found.append(f"{left} is defined by itself")
        first = math.prod(map(float, numbers[0].split(" · ")))
        rest = [math.prod(map(float, t.split(" · "))) for t in numbers[1:]]
        total = first
        for product in rest:
            total += product
        if total != float(result):
            found.append(f"{left}: {total!r} is not {result}")
        for term, figures in zip(symbols, numbers):
            factor, number = term.split(" · ")[0], figures.split(" · ")[0]
            if factor in known and known[factor] != float(number):
                found.append(f"{left}: {factor} was {known[factor]!r}, is {number}")
    return found


def wrong_values(e: Explanation, path: ElementPath) -> list[str]:
    """The numbers of a path that are not those of the step in float64."""
    found: list[str] = []
    run = e.exact.run
    assert path.loss == float(run.arrays[run.loss])
    for step in path.steps:
        shown = e.exact[step.symbol]
        if shown.value[step.index] != step.value:
            found.append(f"{step.name} = {step.value}")
        size = max(sum(abs(t.product) for t in step.terms), 1e-30)
        wanted = 0.0 if shown.grad is None else float(shown.grad[step.index])
        # Derivative rules of float32 have constants of float32, such as SELU's α.
        if abs(step.gradient - wanted) > 1e-7 * size:
            found.append(f"∂ℒ/∂{step.name} = {step.gradient}, not {wanted}")
    return found


def element(e: Explanation, rng: np.random.Generator) -> tuple[str, tuple[int, ...]]:
    """Some parameter's element."""
    reached = [n for v, n in e.run.tensors.items() if v in e.run.cotangents]
    name = str(rng.choice(reached))
    return name, tuple(int(rng.integers(0, k)) for k in e[name].value.shape)


def held(e: Explanation, rng: np.random.Generator, times: int = 2) -> None:
    for _ in range(times):
        path = e.element(*element(e, rng))
        assert not faults_of(path)
        assert not wrong_values(e, path)
        json.dumps(path.to_json())


def test_terms_are_added_as_a_reader_adds_them() -> None:
    products = (1.0, 1e100, 1.0, -1e100)  # 2 for a sum that carries its errors along
    terms = tuple(Term("z", (i,), p, 1.0) for i, p in enumerate(products))
    assert Step("x", (0,), 0.0, 0.0, terms).summed() == 0.0
    many = (Term("z", (0,), 0.5, 1.0),) * FOLLOWED + terms
    assert Step("x", (0,), 0.0, 0.0, many).summed() == 0.5 * FOLLOWED


@pytest.mark.one_in(4, first=2)
@pytest.mark.parametrize("name", some_layers())
def test_layers(name: str) -> None:
    model, shape = LAYERS[name]
    rng = np.random.default_rng(0)
    n = 2 if name == "BatchNorm1d" else 1
    x = rng.normal(size=(n, *shape))
    held(explained(model, x, [1] * n, CE), rng)


@pytest.mark.one_in(4, first=2)
@pytest.mark.parametrize("seed", range(8))
def test_random_models(seed: int) -> None:
    model, x, y, loss = drawn(seed)
    held(explained(model, x, y, loss), np.random.default_rng(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_many_random_models(seed: int) -> None:
    model, x, y, loss = drawn(seed)
    held(explained(model, x, y, loss), np.random.default_rng(seed), 4)


def test_words() -> None:
    e = explained(Words(), [[1, 2, 3, 3, 0]], [1], CE)
    held(e, np.random.default_rng(0), 6)


def test_what_a_sure_network_has_rounded_away() -> None:
    """∂ℒ/∂z is p − 1; in float32 half of its digits are gone, in the path none."""
    e = sure()
    label = int(e.y.item())
    path = e.element("2.bias", (label,))
    z = e.exact.layer(2).z[:, 0]
    others = np.exp(np.delete(z, label) - z[label])
    wanted = -others.sum() / (1 + others.sum())
    assert path.gradient == pytest.approx(wanted, rel=1e-9)
    assert path.own == (float(e["2.bias"].grad[label]), "float32")
    assert path.own[0] != pytest.approx(wanted, rel=1e-6)
    last = str(path).splitlines()[-1]
    assert "float64" in last
    assert str(np.float32(path.own[0])) in last


def test_forward_lists_values_and_how_they_come_about() -> None:
    e = sure()
    path = e.element("2.weight", (0, int(e.layer(1).a[:, 0].argmax())))
    forward = str(path).split("\n\n")[1].splitlines()[1:]
    assert not any(line.lstrip().startswith("∂") for line in forward)
    z = float(e.exact.layer(2).z[0, 0])
    assert forward[0] == f"  z⁽²⁾[0, 0] = {z!r}   (z⁽²⁾ = W⁽²⁾ a⁽¹⁾ + b⁽²⁾)"
    assert forward[-1] == f"  ℒ = {path.loss!r}   (ℒ = −ln softmax(z⁽²⁾)_y)"


def closed_relu() -> Any:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    model.load_state_dict(
        {
            "0.weight": [[1.0, 1.0], [-1.0, -1.0]],
            "0.bias": [0.0, 0.0],
            "2.weight": [[1.0, 2.0], [3.0, 4.0]],
            "2.bias": [0.0, 0.0],
        }
    )
    return cr.explain(model, [0.5, 1.0], 1, CE)


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_a_closed_relu_says_so(lang: str) -> None:
    e = closed_relu()
    with language(lang):
        text = str(e.element("0.weight", (1, 0)))
    assert "z⁽¹⁾[0, 1] = -1.5" in text
    why = {"en": "is a closed ReLU here: z⁽¹⁾[0, 1] ≤ 0", "zh-TW": "ReLU"}[lang]
    assert why in text
    assert "∂ℒ/∂z⁽¹⁾[0, 1] · ∂z⁽¹⁾[0, 1]/∂W⁽¹⁾[1, 0]" in text
    assert "= 0.0 · 0.5" in text
    open_ = str(e.element("0.weight", (0, 0)))
    assert why not in open_


def test_a_weight_behind_a_closed_relu_says_so() -> None:
    text = str(closed_relu().element("2.weight", (0, 1)))
    assert "every derivative of z⁽²⁾ = W⁽²⁾ a⁽¹⁾ + b⁽²⁾ by W⁽²⁾[0, 1] is 0" in text


def test_the_loss_may_read_a_number_directly_and_otherwise() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))

    def loss(p: Any, y: Any) -> Any:
        penalty = model[2].weight.square().sum()
        return (p - y).square().mean() + 0.1 * penalty

    e = cr.explain(model, [[0.5, 1.0]], [[1.0]], loss)
    path = e.element("2.weight", (0, 1))
    assert not faults_of(path)
    assert not wrong_values(e, path)
    left, (symbols, numbers, _) = printed(str(path))[-1]
    assert left == "∂ℒ/∂W⁽²⁾[0, 1]"
    assert len(symbols) == len(numbers) == 2
    assert sum("ℒ" in s and "∂" not in s for s in symbols) == 1
