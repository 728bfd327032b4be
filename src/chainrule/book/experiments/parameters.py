"""The parameters of a textbook experiment: what may be set, in which range.

An experiment declares each once, and reads its value off the :class:`Setting`. The
command line (``--set``), :func:`chainrule.book.experiments.run` and the lab's sliders
read the same declaration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrule.errors import ArgumentError, nearest
from chainrule.text import _
from chainrule.text.numbers import number


@dataclass(frozen=True)
class Parameter:
    """A number of a textbook experiment that may be set.

    Attributes:
        name: what the command line calls it.
        label: what it is, as a message.
        default: its value where none is given; a whole number takes whole numbers only.
        low, high: its range.
        quick: its value where less is to be done; None: the same.
        logarithmic: whether a slider moves in equal ratios, not in equal steps.
    """

    name: str
    label: str
    default: float
    low: float
    high: float
    quick: float | None = None
    logarithmic: bool = False

    @property
    def whole(self) -> bool:
        """Return whether it takes whole numbers only."""
        return isinstance(self.default, int)

    def checked(self, value: Any) -> float:
        """Return a value of the parameter, which may be given as text.

        Raises:
            ArgumentError: no number, or one that is out of range.

        >>> Parameter("rate", "rate", 0.1, 0.01, 1.0).checked("0.5")
        0.5
        """
        try:
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            found = math.nan
        fits = self.low <= found <= self.high  # not so for NaN
        if not fits or (self.whole and not found.is_integer()):
            bounds = {"low": number(self.low), "high": number(self.high)}
            raise ArgumentError(
                _("{name} cannot have this value.", name=self.name),
                expected=_("a whole number from {low} to {high}", **bounds)
                if self.whole
                else _("a number from {low} to {high}", **bounds),
                got=repr(value)[:80],
            )
        return int(found) if self.whole else found

    def plain(self) -> dict[str, Any]:
        """Return the parameter as JSON data, without its label."""
        return {
            "name": self.name,
            "default": self.default,
            "quick": self.default if self.quick is None else self.quick,
            "low": self.low,
            "high": self.high,
            "whole": self.whole,
            "logarithmic": self.logarithmic,
        }


@dataclass(frozen=True)
class Setting:
    """The settings of a textbook experiment: seed, quick or full, and parameters.

    Attributes:
        seed: of everything that is drawn.
        quick: less of it, within five seconds.
        values: of its parameters, by name; the others have their defaults.
    """

    seed: int = 0
    quick: bool = False
    values: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, parameter: Parameter) -> Any:
        """Return the value of a parameter."""
        usual = parameter.default
        if self.quick and parameter.quick is not None:
            usual = parameter.quick
        return self.values.get(parameter.name, usual)

    def plain(self, parameters: Sequence[Parameter]) -> dict[str, Any]:
        """Return the settings as JSON data, with the value of each parameter."""
        values = {parameter.name: self[parameter] for parameter in parameters}
        return {"seed": self.seed, "quick": self.quick, "parameters": values}


def checked(
    parameters: Sequence[Parameter], given: Mapping[str, Any]
) -> dict[str, float]:
    """Return the values that are given for parameters, each checked.

    Raises:
        ArgumentError: no such parameter, or a value that it cannot have.

    >>> checked([Parameter("rate", "rate", 0.1, 0.01, 1.0)], {"rate": "0.5"})
    {'rate': 0.5}
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in given:
        if name not in known:
            near = nearest(str(name), known)
            raise ArgumentError(
                _("This experiment has no parameter {name}.", name=repr(name)[:80]),
                expected=", ".join(known),
                got=str(name)[:80],
                fix=near and _("{near}=…", near=near),
            )
    return {name: known[name].checked(value) for name, value in given.items()}


def among(values: Sequence[float], chosen: float) -> list[float]:
    """Return values in rising order, with a chosen one that is not among them.

    >>> among([0.1, 1.0], 0.5), among([0.1, 0.5], 0.5)
    ([0.1, 0.5, 1.0], [0.1, 0.5])
    """
    near = [v for v in values if math.isclose(v, chosen, rel_tol=1e-9)]
    return sorted([*values, *([] if near else [chosen])])
