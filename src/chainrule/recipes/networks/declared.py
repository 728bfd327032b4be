"""The networks of recipes by name, and recipes that have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.errors import ArgumentError, nearest
from chainrule.recipes.experiment import Experiment
from chainrule.recipes.networks.inspection import Inspection, Subject
from chainrule.text import _


@dataclass(frozen=True)
class _Declared:
    """A network of a recipe: what makes it, and whether runs keep it."""

    made: Callable[[Inspection], Subject]
    kept: bool


#: Recipe → name of a network → what makes it.
_NETWORKS: dict[str, dict[str, _Declared]] = {}

#: The recipes without a network, and what they have instead.
WITHOUT: Mapping[str, Any] = {
    "q-learning": _(
        "it learns a table, Q(s, a) ← Q(s, a) + α [r + γ maxₐ′ Q(s′, a′) − Q(s, a)]:"
        " 'chainrule train q-learning' prints and draws its numbers"
    )
}


def network(
    recipe: str, name: str, *, kept: bool = True
) -> Callable[[Callable[[Inspection], Subject]], Callable[[Inspection], Subject]]:
    """Declare a network of a recipe: decorate the function that makes it.

    Args:
        recipe: the name of the recipe.
        name: of the network, as on the command line. The first one is shown by default.
        kept: whether a run of the recipe keeps the network, and not its figures alone.
    """

    def declare(
        function: Callable[[Inspection], Subject],
    ) -> Callable[[Inspection], Subject]:
        _NETWORKS.setdefault(recipe, {})[name] = _Declared(function, kept)
        return function

    return declare


def networks_of(recipe: str) -> list[str]:
    """Return the names of a study's networks, the first one the most telling.

    >>> from chainrule.recipes import networks
    >>> networks.networks_of("gan")
    ['generator', 'discriminator', 'judge']
    """
    return list(_NETWORKS.get(recipe, ()))


def inspected(inspection: Inspection, name: str | None = None) -> Subject:
    """Return a network of a study, with its data and loss.

    Args:
        inspection: of the study.
        name: of the network; None for the first one.

    Raises:
        ArgumentError: the study has no network, or none of that name.
    """
    known = _NETWORKS.get(inspection.name, {})
    if not known:
        raise ArgumentError(
            _("The recipe {name!r} has no network.", name=inspection.name),
            expected=_("a recipe that trains a network"),
            got=WITHOUT.get(inspection.name, inspection.name),
        )
    if name is None:
        name = next(iter(known))
    if name not in known:
        near = nearest(name, known)
        raise ArgumentError(
            _(
                "The recipe {recipe!r} has no network {name!r}.",
                recipe=inspection.name,
                name=name,
            ),
            expected=", ".join(known),
            got=repr(name),
            fix=f"--network {near}" if near else None,
        )
    if not known[name].kept:
        inspection.begins_only()
    with inspection.silent():
        return known[name].made(inspection)


def pictured(run: Experiment) -> dict[str, Callable[[], tuple[Any, Any, bool]]]:
    """Return the networks that a run of a study has trained, for their pictures.

    Args:
        run: of the study, with its directory.

    Returns:
        by its name for each a function that returns the network, a sample, and True;
        or, where runs keep no network, one that has not learned, a sample's shape
        alone, and False.
    """
    return {name: partial(_pictured, run, name) for name in networks_of(run.name)}


def _pictured(run: Experiment, name: str) -> tuple[Any, Any, bool]:
    assert run.out is not None
    if _NETWORKS[run.name][name].kept:
        subject = inspected(Inspection.of(run.out), name)
        x = subject.rows([0])[0]
        several = isinstance(x, tuple)
        data = Dataset(x, np.zeros(1, np.float32)) if several else x
        return subject.model, data, True
    settings = {"seed": run.seed, "quick": run.quick, "options": run.options}
    subject = inspected(Inspection(run.name, engine=run.engine, **settings), name)
    shape = tuple(map(int, np.shape(subject.rows([0])[0])[1:]))
    return subject.model, shape, False
