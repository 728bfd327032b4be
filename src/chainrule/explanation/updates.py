"""What an optimiser does to a parameter, with its moments and numbers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np

from chainrule.explanation.equations import Equation
from chainrule.explanation.naming import Names
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import lookup
from chainrule.notation import functions as f
from chainrule.notation.arithmetic import Quantity, computed
from chainrule.notation.expressions import (
    Atom,
    Expr,
    Listing,
    Number,
    Relation,
    Script,
)
from chainrule.notation.tidy import tidy

PRIME = Atom(r"\prime", "′")
#: Hyper-parameters as the book and the papers write them.
_SCALARS: dict[str, Expr] = {
    "lr": f.symbol("η"),
    "momentum": f.symbol("μ"),
    "alpha": f.symbol("α"),
    "rho": f.symbol("ρ"),
    "eps": f.symbol("ε"),
    "penalty": f.symbol("λ"),
    "beta1": Script(f.symbol("β"), below=Number(1)),
    "beta2": Script(f.symbol("β"), below=Number(2)),
    "rest1": 1 - Script(f.symbol("β"), below=Number(1)),
    "rest2": 1 - Script(f.symbol("β"), below=Number(2)),
    "step": Script(f.symbol("η"), below=Atom("t")),
}


def scalar(name: str) -> Expr:
    """How a hyper-parameter is written."""
    word = name.rpartition(".")[2]
    return _SCALARS.get(word) or Atom(r"\text{" + word.replace("_", r"\_") + "}", word)


def updated(
    node: Node, parameter: Value, names: Names, numbers: dict[Expr, Quantity]
) -> Iterator[Equation]:
    """The equations of one parameter's update; their numbers are added to ``numbers``.

    Moments carry the parameter's symbol, and new ones a prime:
    m′ = β₁ m + (1 − β₁) ∂ℒ/∂W,  W′ = W − η m′.
    """
    run, symbol = names.run, names.of[parameter]
    formula = node.primitive.formula
    assert formula is not None
    letters = _letters(node)
    inputs = [
        _written(v, letters[i] if i < len(letters) else "", symbol, names, numbers)
        for i, v in enumerate(node.inputs)
    ]
    made = formula(*inputs, **node.attrs)
    items = made.items if isinstance(made, Listing) else (made,)
    parts = [item.items for item in items if isinstance(item, Relation)]
    renamed = {name: Script(name, PRIME, symbol) for name, *_ in parts}

    results = [run.arrays[v] for v in node.outputs if v is not None]
    for name, value in parts:
        side = tidy(value.replaced(renamed))
        found = computed(side, numbers)
        exact = next((a for a in results[1:] if _same(a, found)), found)
        numbers[renamed[name]] = Quantity(exact)
        yield Equation((renamed[name], side))
    new = Script(symbol, PRIME)
    numbers[new] = Quantity(results[0])
    yield Equation((new, tidy(items[-1].replaced(renamed))), key="update")


def _letters(node: Node) -> list[str]:
    """What a rule calls its inputs."""
    rule = lookup(node.attrs["rule"]) if "rule" in node.attrs else node.primitive
    assert rule.formula is not None
    found = list(inspect.signature(rule.formula).parameters)
    return ["w" if name == "top" else name for name in found]


def _written(
    value: Value,
    letter: str,
    symbol: Expr,
    names: Names,
    numbers: dict[Expr, Quantity],
) -> Expr:
    """An input of an update rule: a moment, a hyper-parameter, θ or its gradient."""
    run = names.run
    if value in run.slots:
        name: Expr = Script(f.symbol(letter), below=symbol)
        numbers.setdefault(name, Quantity(run.arrays[value]))
        return name
    if value in run.scalars and run.scalars[value][0]:
        made = scalar(run.scalars[value][0])
        if isinstance(made, Atom) or type(made) is Script:
            numbers.setdefault(made, Quantity(np.asarray(run.arrays[value])))
        return made
    return names.writer.draft(value)


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-6, atol=0))
