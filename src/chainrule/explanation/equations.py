"""An equation: a name and what it equals."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.notation.expressions import Expr


@dataclass(frozen=True)
class Equation:
    """A formula: a name and what it equals, step by step.

    Attributes:
        sides: the expressions that are equal, the name first.
        remark: a few words about it.
        key: what it says: ``z``, ``a``, ``delta``, ``dW``, ``db``, ``slope``, ….
    """

    sides: tuple[Expr, ...]
    remark: str = ""
    key: str = ""

    @property
    def name(self) -> Expr:
        """What the formula defines."""
        return self.sides[0]

    def latex(self) -> str:
        """``name = … = …`` in LaTeX."""
        return " = ".join(side.latex() for side in self.sides)

    def text(self) -> str:
        """``name = … = …`` for the terminal."""
        return " = ".join(side.text() for side in self.sides)

    def __str__(self) -> str:
        return self.text()
