"""Mathematical equations: a symbol, and the expressions equal to it."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.notation.expressions import Expr

_LATEX = {"←": r"\leftarrow"}


@dataclass(frozen=True)
class Equation:
    """A mathematical equation: a symbol and the expressions equal to it, in order.

    Attributes:
        sides: the expressions that are equal, the name first.
        remark: a few words about it.
        key: what it says: ``z``, ``a``, ``delta``, ``dW``, ``db``, ``slope``, ….
        sign: what stands behind the name: ``=``, or ``←`` where the name gets a new
            value.
    """

    sides: tuple[Expr, ...]
    remark: str = ""
    key: str = ""
    sign: str = "="

    @property
    def name(self) -> Expr:
        """The symbol on the left side of an equation."""
        return self.sides[0]

    def latex(self) -> str:
        """Return an equation in LaTeX: ``name = … = …``."""
        rest = " = ".join(side.latex() for side in self.sides[1:])
        sign = _LATEX.get(self.sign, self.sign)
        return f"{self.name.latex()} {sign} {rest}" if rest else self.name.latex()

    def text(self) -> str:
        """Return an equation as plain text: ``name = … = …``."""
        rest = " = ".join(side.text() for side in self.sides[1:])
        return f"{self.name.text()} {self.sign} {rest}" if rest else self.name.text()

    def __str__(self) -> str:
        return self.text()
