"""What ``explain`` gives: layers with formulas and numbers, as data and as text."""

from __future__ import annotations

from chainrule.explanation.checking import Check, check_layers
from chainrule.explanation.layers import Layers
from chainrule.explanation.page import page, show
from chainrule.formatting import number


class Explanation(Layers):
    """Every z, a, δ, ∂ℒ/∂W and ∂ℒ/∂b of one step: formulas and numbers.

    ``print(explanation)`` shows it all; :meth:`show` does so with colours. What it
    holds is described in :class:`~chainrule.explanation.layers.Layers`.
    """

    def check(self) -> Check:
        """Work the shown numbers out again, by hand so to speak; see :class:`Check`.

        >>> from chainrule.explanation import example
        >>> example().check().ok
        True
        """
        return check_layers(self.network, self.layers)

    def text(self, width: int | None = None, digits: int = 4) -> str:
        """The whole explanation as plain text.

        Args:
            width: in characters; by default the terminal's, at most 100.
            digits: significant digits of each array's largest number.
        """
        return "\n".join(line for _, line in page(self, width, digits))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        many = len(self.layers)
        return f"<explanation of {many} layers, ℒ = {number(self.loss)}: print it>"

    def show(self) -> None:
        """Print it, with colours where standard output is a terminal."""
        show(self)
