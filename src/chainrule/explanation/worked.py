"""A traced training step with equations in sections, and numbers by symbol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chainrule.explanation.equations import Equation
from chainrule.explanation.loops import Loop
from chainrule.explanation.naming import Names
from chainrule.explanation.run import Run
from chainrule.notation.arithmetic import Quantity
from chainrule.notation.expressions import Expr


@dataclass(frozen=True, eq=False)
class Section:
    """A section of an explanation: equations of one layer and its activations.

    Attributes:
        l: the number of the layer as the book counts; 0 for what comes before the
            first, and None for the loss.
        modules: the paths of the modules that compute it.
        tensors: the parameters that belong to it, by symbol, with their names in the
            ``state_dict``.
        forward, backward, update: the equations, in the order in which they are worked
            out.
        notes: remarks for the reader.
        loops: the loops within, each opened.
    """

    l: int | None  # noqa: E741  (the book's letter)
    modules: tuple[str, ...]
    tensors: Mapping[Expr, str]
    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    update: tuple[Equation, ...] = ()
    notes: tuple[str, ...] = ()
    loops: tuple[Loop, ...] = ()

    def equations(self) -> Iterator[Equation]:
        """Yield all equations of an explanation's section."""
        yield from self.forward
        yield from self.backward
        yield from self.update

    @property
    def by_key(self) -> dict[str, Equation]:
        """The first equation of each key in an explanation's section."""
        equations: dict[str, Equation] = {}
        for equation in self.equations():
            if equation.key:
                equations.setdefault(equation.key, equation)
        return equations

    @property
    def formulas(self) -> dict[str, str]:
        r"""The formulas of an explanation's section in LaTeX, by key.

        >>> from chainrule.explanation import example
        >>> print(example().layer(1).formulas["z"])
        z^{(1)} = W^{(1)} x + b^{(1)}
        """
        return {key: e.latex() for key, e in self.by_key.items()}

    @property
    def texts(self) -> dict[str, str]:
        """The formulas of an explanation's section as plain text, by key.

        >>> from chainrule.explanation import example
        >>> print(example().layer(1).texts["z"])
        z⁽¹⁾ = W⁽¹⁾ x + b⁽¹⁾
        """
        return {key: e.text() for key, e in self.by_key.items()}


@dataclass(frozen=True, eq=False, repr=False)
class Worked:
    """A traced training step with its equations and numbers.

    Attributes:
        run: the step.
        names: the names of its values.
        sections: the layers and what belongs to them, first what comes before layer 1,
            last the loss.
        numbers: the numbers of every symbol.
    """

    run: Run
    names: Names
    sections: tuple[Section, ...]
    numbers: Mapping[Expr, Quantity]

    def equations(self) -> Iterator[Equation]:
        """Yield all equations of an explained training step, section by section."""
        for section in self.sections:
            yield from section.equations()
