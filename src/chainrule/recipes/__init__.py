"""Recipes: one system a file, readable from top to bottom.

A recipe is a module that uses the public interface alone and offers

    SUMMARY, EPOCHS, BATCH_SIZE, LR      what it is, and its settings
    data(limit)                          training and test data
    network(seed)                        the model with its initial weights
    trainer(model, lr=…, seed=…, …)      the Trainer
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from chainrule.errors import ArgumentError

#: Name → module.
RECIPES = {"mnist": "chainrule.recipes.mnist"}


def names() -> list[str]:
    """The names of all recipes."""
    return sorted(RECIPES)


def find(name: str) -> Any:
    """The module of a recipe.

    Raises:
        ArgumentError: no recipe has that name; the nearest names are suggested.

    >>> find("mnist").EPOCHS
    10
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name.lower(), names(), cutoff=0.5)
        raise ArgumentError(
            f"There is no recipe {name!r}.",
            expected=", ".join(names()),
            got=name,
            fix=f"chainrule train {near[0]}" if near else "chainrule recipes",
        )
    return importlib.import_module(RECIPES[name])
