"""Small experiments on a textbook's questions, with tables, pictures and answers.

An experiment is a module of this package, which uses the framework as anybody would:

    SECTIONS        of the book
    FORMULA         what is done, in a line
    LEFT            how many columns of the table are words
    SIZE            of the picture: width and height in inches
    PARAMETERS      what may be set: a :class:`Parameter` each
    about(setting)  an :class:`About`: title, question, what is done
    measure(setting)   the numbers: plain data, in no language
    table(results)    headings and rows, made of the numbers
    answer(results)   sentences (:class:`Finding`), made of the numbers
    draw(figure, results)   the picture, made of the numbers

``chainrule explore NAME`` does one; :func:`run` returns it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from chainrule.book.experiments.experiment import (
    About,
    Experiment,
    Finding,
    outline,
    performed,
)
from chainrule.book.experiments.parameters import Parameter, Setting, checked
from chainrule.errors import ArgumentError, nearest
from chainrule.text import _, translated
from chainrule.util import validation

__all__ = [
    "EXPERIMENTS",
    "About",
    "Experiment",
    "Finding",
    "Parameter",
    "Setting",
    "checked",
    "experiments",
    "find",
    "names",
    "run",
]

#: Name → module, in the order in which one would do them.
EXPERIMENTS = {
    "convergence": "chainrule.book.experiments.convergence",
    "learning-rate": "chainrule.book.experiments.learning_rate",
    "batches": "chainrule.book.experiments.batches",
    "optimizers": "chainrule.book.experiments.optimizers",
    "approximation": "chainrule.book.experiments.approximation",
    "depth": "chainrule.book.experiments.depth",
    "symmetry": "chainrule.book.experiments.symmetry",
    "relu-sigmoid": "chainrule.book.experiments.relu_sigmoid",
    "vanishing": "chainrule.book.experiments.vanishing",
    "exploding": "chainrule.book.experiments.exploding",
    "speed": "chainrule.book.experiments.speed",
}


def names() -> list[str]:
    """Return the names of all textbook experiments.

    >>> names()[:2]
    ['convergence', 'learning-rate']
    """
    return list(EXPERIMENTS)


def find(name: str) -> ModuleType:
    """Return the Python module of a textbook experiment, by name.

    Raises:
        ArgumentError: no experiment has that name; the nearest name is suggested.

    >>> find("convergence").SECTIONS
    ('2.10', '2.6.2')
    """
    module = EXPERIMENTS.get(name) if isinstance(name, str) else None
    if module is None:
        near = nearest(str(name), EXPERIMENTS)
        raise ArgumentError(
            _("There is no experiment {name}.", name=repr(name)),
            expected=", ".join(EXPERIMENTS),
            got=str(name),
            fix=_("chainrule explore {near}", near=near)
            if near
            else _("chainrule explore"),
        )
    return importlib.import_module(module)


def experiments() -> list[dict[str, Any]]:
    """Return each textbook experiment's name, title, question, formula, parameters.

    >>> experiments()[0]["sections"]
    ['2.10', '2.6.2']
    """
    return [
        {
            "name": name,
            **outline(find(name)),
            "parameters": [
                {**parameter.plain(), "label": translated(parameter.label)}
                for parameter in find(name).PARAMETERS
            ],
        }
        for name in names()
    ]


def run(
    name: str,
    *,
    seed: int = 0,
    quick: bool = False,
    out: str | Path | None = None,
    **parameters: float,
) -> Experiment:
    """Run a textbook experiment by name.

    Args:
        name: one of :func:`names`.
        seed: of everything that is drawn.
        quick: less of it, where all of it takes more than five seconds.
        out: a folder for its picture and numbers; None writes nothing.
        parameters: of the experiment's own, see :func:`experiments`.

    Raises:
        ArgumentError: an unknown name or parameter, a value that it cannot have, or no
            seed.
        SaveError: ``out`` cannot be written.

    >>> found = run("convergence")
    >>> found.numbers["limit"]
    0.5
    >>> found.answer[0].expected
    ''
    >>> run("convergence", kappa=4.0).numbers["kappa"]
    4.0
    """
    module = find(name)
    setting = Setting(
        validation.seed("seed", seed),
        validation.truth("quick", quick),
        checked(module.PARAMETERS, parameters),
    )
    experiment = performed(name, module, setting)
    if out is not None:
        experiment.save(out)
    return experiment
