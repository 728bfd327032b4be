"""The book's explorations for the page: what may be set, and what one run has found.

A run is that of :mod:`chainrule.book.experiments`; its sentences, table and picture are
its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from chainrule import viz
from chainrule.book import experiments
from chainrule.errors import ChainruleWarning
from chainrule.graph.node import Array
from chainrule.lab import protocol
from chainrule.text import _
from chainrule.text.languages import LANGUAGES, language


@cache
def outlines() -> dict[str, list[dict[str, Any]]]:
    """Return what there is to explore, in every language."""
    made: dict[str, list[dict[str, Any]]] = {}
    for name in LANGUAGES:
        with language(name):
            made[name] = experiments.experiments()
    return made


class Explorer:
    """Runs of explorations, of which the last is kept: it is told in any language."""

    def __init__(self) -> None:
        self._last: experiments.Experiment | None = None

    def explored(
        self, message: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what an exploration has found: as JSON, and its picture's bytes.

        Raises:
            ChainruleError: no such exploration, or a parameter that it has not.
        """
        with (
            language(message["lang"]),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always", ChainruleWarning)
            found = self._run(message)
            picture = found.png() if viz.can_plot() else b""
            content = found.plain()
        del content["numbers"]
        said = [w.message for w in caught if issubclass(w.category, ChainruleWarning)]
        notes = [protocol.error_of(each) for each in said if not isinstance(each, str)]
        if not picture:
            what = protocol.by_language(_("There is no picture."))
            fix = protocol.by_language(_("pip install 'chainrule[plot]'"))
            notes.append({"what": what, "fix": fix})
        arrays = {"picture": np.frombuffer(picture, np.uint8)}
        return {**content, "notes": notes}, arrays

    def _run(self, message: Mapping[str, Any]) -> experiments.Experiment:
        module = experiments.find(message["name"])
        given = experiments.checked(module.PARAMETERS, message["values"])
        setting = experiments.Setting(message["seed"], message["quick"], given)
        last = self._last
        if last is None or (last.name, last.setting) != (message["name"], setting):
            values: dict[str, Any] = given
            last = self._last = experiments.run(
                message["name"], seed=setting.seed, quick=setting.quick, **values
            )
        return last
