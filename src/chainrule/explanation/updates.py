"""Formulas of an optimiser's update of a parameter, with moments and numbers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from chainrule.explanation.equations import Equation
from chainrule.explanation.naming import Names
from chainrule.explanation.run import Run
from chainrule.explanation.signs import PRIME
from chainrule.graph.node import Array, Node, Value
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
from chainrule.notation.within import parts
from chainrule.optim.rule import letters_of

#: Hyper-parameters as the book and the papers write them.
_SCALARS: dict[str, Expr] = {
    "lr": f.symbol("η"),
    "momentum": f.symbol("μ"),
    "alpha": f.symbol("α"),
    "rho": f.symbol("ρ"),
    "eps": f.symbol("ε"),
    "penalty": f.symbol("λ"),
    "l1": Script(f.symbol("λ"), below=Number(1)),
    "beta1": Script(f.symbol("β"), below=Number(1)),
    "beta2": Script(f.symbol("β"), below=Number(2)),
    "rest1": 1 - Script(f.symbol("β"), below=Number(1)),
    "rest2": 1 - Script(f.symbol("β"), below=Number(2)),
    "step": Script(f.symbol("η"), below=Atom("t")),
    "keep": Atom(r"(1 - \eta\lambda)", "(1 − ηλ)"),
}


def scalar(name: str) -> Expr:
    """Return the symbol of an optimiser's hyper-parameter, such as η for ``lr``."""
    word = name.rpartition(".")[2]
    return _SCALARS.get(word) or Atom(r"\text{" + word.replace("_", r"\_") + "}", word)


def scalars_of(run: Run) -> dict[Value, Expr]:
    """Return the symbols of a step's hyper-parameters; η₁, η₂ if groups differ."""
    named = {v: scalar(name) for v, (name, _) in run.scalars.items() if name}
    if scalar("alpha") in named.values():
        rest, share = scalar("rest"), 1 - scalar("alpha")
        named = {
            v: share if expression == rest else expression
            for v, expression in named.items()
        }
    numbers = defaultdict[Expr, set[float]](set)
    for value, expression in named.items():
        numbers[expression].add(run.scalars[value][1])
    return {
        value: expression
        if len(numbers[expression]) == 1
        else _of_group(expression, _group(run.scalars[value][0]))
        for value, expression in named.items()
    }


def _group(name: str) -> int:
    """Return the number (from 1) of the parameter group of a hyper-parameter."""
    match = re.match(r"group(\d+)\.", name)
    return 1 + int(match[1]) if match else 1


def _of_group(symbol: Expr, group: int) -> Expr:
    """Return a hyper-parameter's symbol with its parameter group's number: η₂."""
    if isinstance(symbol, Script) and symbol.below is not None:
        return Script(symbol.base, below=Listing((symbol.below, Number(group))))
    if isinstance(symbol, Atom | Script):
        return Script(symbol, below=Number(group))
    return symbol.replaced(
        {e: _of_group(e, group) for e in parts(symbol) if isinstance(e, Atom | Script)}
    )


def updated(
    node: Node, parameter: Value, names: Names, numbers: dict[Expr, Quantity]
) -> Iterator[Equation]:
    """Yield the equations of a parameter's update by an optimiser; add its numbers.

    Moments carry the parameter's symbol, and new ones a prime:
    m′ = β₁ m + (1 − β₁) ∂ℒ/∂W,  W′ = W − η m′.
    """
    run, symbol = names.run, names.of[parameter]
    formula = node.primitive.formula
    assert formula is not None
    letters = letters_of(node.primitive, node.attrs)
    scalars = scalars_of(run)
    inputs = [
        _written(
            v, letters[i] if i < len(letters) else "", symbol, names, numbers, scalars
        )
        for i, v in enumerate(node.inputs)
    ]
    result = formula(*inputs, **node.attrs)
    items = result.items if isinstance(result, Listing) else (result,)
    parts = [item.items for item in items if isinstance(item, Relation)]
    renamed = {name: Script(name, PRIME, symbol) for name, *_ in parts}

    results = [run.arrays[v] for v in node.outputs if v is not None]
    for name, value in parts:
        side = tidy(value.replaced(renamed))
        numbers_of = computed(side, numbers)
        exact = next((a for a in results[1:] if _same(a, numbers_of)), numbers_of)
        numbers[renamed[name]] = Quantity(exact)
        yield Equation((renamed[name], side))
    new = Script(symbol, PRIME)
    numbers[new] = Quantity(results[0])
    yield Equation((new, tidy(items[-1].replaced(renamed))), key="update")


def _written(
    value: Value,
    letter: str,
    symbol: Expr,
    names: Names,
    numbers: dict[Expr, Quantity],
    scalars: Mapping[Value, Expr],
) -> Expr:
    """Return the symbol of an update's input: moment, hyper-parameter or gradient."""
    run = names.run
    if value in run.slots:
        name: Expr = Script(f.symbol(letter), below=symbol)
        numbers.setdefault(name, Quantity(run.arrays[value]))
        return name
    expression = scalars.get(value)
    if expression is not None:
        if isinstance(expression, Atom) or type(expression) is Script:
            numbers.setdefault(expression, Quantity(np.asarray(run.arrays[value])))
        return expression
    return names.writer.draft(value)


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-6, atol=0))
