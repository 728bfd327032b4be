"""The networks of recipes by name, and recipes that have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule.errors import ArgumentError, nearest
from chainrule.recipes.networks.inspection import Inspection, Subject
from chainrule.text import _

#: Recipe → name of a network → what makes it.
_NETWORKS: dict[str, dict[str, Callable[[Inspection], Subject]]] = {}

#: The recipes without a network, and what they have instead.
WITHOUT: Mapping[str, Any] = {
    "q-learning": _(
        "it learns a table, Q(s, a) ← Q(s, a) + α [r + γ maxₐ′ Q(s′, a′) − Q(s, a)]:"
        " 'chainrule train q-learning' prints and draws its numbers"
    )
}


def network(
    recipe: str, name: str
) -> Callable[[Callable[[Inspection], Subject]], Callable[[Inspection], Subject]]:
    """Declare a network of a recipe: decorate the function that makes it.

    Args:
        recipe: the name of the recipe.
        name: of the network, as on the command line. The first one is shown by default.
    """

    def declare(
        function: Callable[[Inspection], Subject],
    ) -> Callable[[Inspection], Subject]:
        _NETWORKS.setdefault(recipe, {})[name] = function
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
    with inspection.silent():
        return known[name](inspection)
