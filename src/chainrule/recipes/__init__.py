"""Recipes: complete example programs, one deep learning system in each file.

A recipe is a module that uses the public interface alone. There are two kinds. A
*training* recipe trains one network on one data set, and the command line adds
checkpoints, a report and resuming:

    SUMMARY, EPOCHS, BATCH_SIZE, LR      what it is, and its settings
    data(limit)                          training and test data
    network(seed)                        the model with its initial weights
    trainer(model, lr=…, seed=…, …)      the Trainer; that of ``mnist`` for all digits
    pictures(experiment, model)          of the trained network, where there are some

A *study* does whatever shows its system: it trains several networks, compares, plays.
It is read from top to bottom: data, model, a training loop, a picture. It prints a text
and returns its results, ready for JSON:

    SUMMARY                              what it shows
    run(experiment, …)                   the lesson

The :class:`Experiment` has what a lesson should not write: the engine, the steps of a
loop that outlives a kill (``for step in experiment.steps(…)``), stored results, and the
report with its pictures. The folder ``experiment`` has all of it. What is not the
lesson stands beside it: readers of data in ``datasets``, baselines and measures in
``evaluation``, drawings in ``pictures``. ``networks`` declares the networks of studies,
a function each, for ``chainrule explain``.

Both kinds may have REFERENCES, figures of the literature that a full run is compared
with, and SECONDS, what the full run takes.

``chainrule train NAME`` runs both kinds, and each file runs by itself:
``python -m chainrule.recipes.mnist``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Literal

from chainrule.data.files import memory
from chainrule.engines import resolve_engine
from chainrule.errors import ArgumentError, nearest
from chainrule.recipes.batches import by_batches, shuffled
from chainrule.recipes.experiment import (
    Experiment,
    Reference,
    compared,
    quick_note,
    worded,
)
from chainrule.recipes.lessons import lesson
from chainrule.recipes.vocabulary import numbered
from chainrule.text import _
from chainrule.util.validation import known_names

__all__ = [
    "RECIPES",
    "Experiment",
    "Reference",
    "by_batches",
    "compared",
    "find",
    "kind",
    "memory",
    "names",
    "numbered",
    "perform",
    "quick_note",
    "shuffled",
    "worded",
]

#: Name → module, in the order in which one would read them.
RECIPES = {
    "two-two-one": "chainrule.recipes.two_two_one",
    "algorithm1": "chainrule.recipes.algorithm1",
    "xor": "chainrule.recipes.xor",
    "mnist": "chainrule.recipes.mnist",
    "tabular": "chainrule.recipes.tabular",
    "rules": "chainrule.recipes.rules",
    "classical": "chainrule.recipes.classical",
    "lenet": "chainrule.recipes.lenet",
    "cnn": "chainrule.recipes.cnn",
    "hierarchy": "chainrule.recipes.hierarchy",
    "own-images": "chainrule.recipes.own_images",
    "transfer": "chainrule.recipes.transfer",
    "autoencoder": "chainrule.recipes.autoencoder",
    "dbn": "chainrule.recipes.dbn",
    "gan": "chainrule.recipes.gan",
    "clustering": "chainrule.recipes.clustering",
    "rnn": "chainrule.recipes.rnn",
    "names": "chainrule.recipes.given_names",
    "gpt": "chainrule.recipes.gpt",
    "translate": "chainrule.recipes.translate",
    "text": "chainrule.recipes.text",
    "speech": "chainrule.recipes.speech",
    "timbre": "chainrule.recipes.timbre",
    "music": "chainrule.recipes.music",
    "multimodal": "chainrule.recipes.multimodal",
    "q-learning": "chainrule.recipes.q_learning",
    "dqn": "chainrule.recipes.dqn",
    "ppo": "chainrule.recipes.ppo",
}


def names() -> list[str]:
    """Return the names of all recipes (example programs), the simplest first.

    >>> names()[:4]
    ['two-two-one', 'algorithm1', 'xor', 'mnist']
    """
    return list(RECIPES)


def find(name: str) -> Any:
    """Return the Python module of a recipe (example program), by name.

    Raises:
        ArgumentError: no recipe has that name; the nearest name is suggested.

    >>> find("mnist").EPOCHS
    10
    """
    if name not in RECIPES:
        near = nearest(name, RECIPES)
        raise ArgumentError(
            _("There is no recipe {name!r}.", name=name),
            expected=", ".join(RECIPES),
            got=name,
            fix=_("chainrule train {near}", near=near)
            if near
            else _("chainrule recipes"),
        )
    return importlib.import_module(RECIPES[name])


def kind(recipe: str | ModuleType) -> Literal["training", "study"]:
    """Return a recipe's kind: ``"study"`` if its module has ``run``, or ``"training"``.

    >>> kind("mnist"), kind("xor")
    ('training', 'study')
    """
    module = find(recipe) if isinstance(recipe, str) else recipe
    return "study" if hasattr(module, "run") else "training"


def _check_options(experiment: Experiment, module: Any) -> None:
    """Refuse a recipe that is no study, and options that its ``run`` does not have."""
    if kind(module) != "study":
        raise ArgumentError(
            _(
                "The recipe {name!r} trains one network, and is no study.",
                name=experiment.name,
            ),
            expected=_("a recipe with a function run(experiment)"),
            got=experiment.name,
            fix=_("chainrule train {name}", name=experiment.name),
        )
    __, *takes = inspect.signature(module.run, eval_str=True).parameters.values()
    known = {parameter.name: parameter.annotation for parameter in takes}
    known_names(
        _("An option of the recipe {name!r}", name=experiment.name),
        experiment.options,
        known,
    )
    for option, value in experiment.options.items():
        flag = type(value) is bool and known[option] is not bool
        if flag or not isinstance(value, known[option]):
            raise ArgumentError(
                _(
                    "The recipe {name!r} cannot take this {option}.",
                    name=experiment.name,
                    option=option,
                ),
                expected=getattr(known[option], "__name__", str(known[option])),
                got=f"{option}={value!r:.80}",
            )


def perform(
    experiment: Experiment,
    *,
    again: bool = False,
    networks: Mapping[str, Callable[[], tuple[Any, Any, bool]]] | None = None,
) -> dict[str, Any]:
    """Run an example recipe of the kind *study* from its first line to its report.

    Args:
        experiment: the recipe's name, and the settings of the run.
        again: whether its directory may hold it already; it continues then.
        networks: its networks by name, each a function that returns the model, what a
            picture of it is given, and whether it has learned; the report shows them,
            and says how to explain them.

    A run that is refused before its first stage leaves nothing in its directory.

    Returns:
        settings, ``result``, ``references`` and ``seconds``, as in ``metrics.json``.

    Raises:
        ArgumentError: the directory holds a run; whatever the recipe refuses.
        KeyboardInterrupt: Ctrl-C, once the stage under way is saved.
    """
    module = find(experiment.name)
    _check_options(experiment, module)
    resolve_engine(experiment.engine)
    with experiment.running(again=again):
        result = module.run(experiment, **experiment.options)
    return experiment.finish(
        result,
        getattr(module, "REFERENCES", ()),
        summary=module.SUMMARY,
        seconds=getattr(module, "SECONDS", None),
        lesson=lesson(experiment.name, module),
        module=RECIPES.get(experiment.name, ""),
        networks=networks or {},
    )
