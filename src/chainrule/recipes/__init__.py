"""Recipes: one system a file, readable from top to bottom.

A recipe is a module that uses the public interface alone. There are two kinds. A
*training* recipe trains one network on one data set, and the command line adds
checkpoints, a report and resuming:

    SUMMARY, EPOCHS, BATCH_SIZE, LR      what it is, and its settings
    data(limit)                          training and test data
    network(seed)                        the model with its initial weights
    trainer(model, lr=…, seed=…, …)      the Trainer

A *walk-through* shows something step by step: it prints a text, draws its pictures into
the directory ``out`` where there is one, and returns its results, ready for JSON:

    SUMMARY                              what it shows
    run(seed=…, engine=…, threads=…, out=…)

``chainrule train NAME`` runs both kinds, and each file runs by itself:
``python -m chainrule.recipes.mnist``.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Literal

from chainrule.errors import ArgumentError, nearest

#: Name → module, in the order in which one would read them.
RECIPES = {
    "two-two-one": "chainrule.recipes.two_two_one",
    "algorithm1": "chainrule.recipes.algorithm1",
    "xor": "chainrule.recipes.xor",
    "mnist": "chainrule.recipes.mnist",
    "tabular": "chainrule.recipes.tabular",
}


def names() -> list[str]:
    """The names of all recipes, simple ones first.

    >>> names()
    ['two-two-one', 'algorithm1', 'xor', 'mnist', 'tabular']
    """
    return list(RECIPES)


def find(name: str) -> Any:
    """The module of a recipe.

    Raises:
        ArgumentError: no recipe has that name; the nearest name is suggested.

    >>> find("mnist").EPOCHS
    10
    """
    if name not in RECIPES:
        near = nearest(name, RECIPES)
        raise ArgumentError(
            f"There is no recipe {name!r}.",
            expected=", ".join(RECIPES),
            got=name,
            fix=f"chainrule train {near}" if near else "chainrule recipes",
        )
    return importlib.import_module(RECIPES[name])


def kind(recipe: str | ModuleType) -> Literal["training", "walk-through"]:
    """Which kind a recipe is, by name or module: it has a ``run`` or it has not.

    >>> kind("mnist"), kind("xor")
    ('training', 'walk-through')
    """
    module = find(recipe) if isinstance(recipe, str) else recipe
    return "walk-through" if hasattr(module, "run") else "training"
