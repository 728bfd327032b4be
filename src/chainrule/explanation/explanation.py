"""What ``explain`` gives, and how it is shown."""

from __future__ import annotations

from chainrule.explanation.content import Explained
from chainrule.explanation.page import page, show
from chainrule.formatting import number
from chainrule.language import tr


class Explanation(Explained):
    """Every z, a, δ, ∂ℒ/∂W and ∂ℒ/∂b of one step, and all in between.

    ``print(explanation)`` shows it all, :meth:`show` with colours, a notebook as a
    page. ``explanation["2.weight"]`` is one quantity with its gradient, and
    ``explanation.element("2.weight", (5, 17))`` the whole path of one number. What it
    holds is described in :class:`~chainrule.explanation.content.Explained`.
    """

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
        return tr(
            "<explanation of {many} layers, ℒ = {loss}: print it>",
            many=len(self.names.layers),
            loss=number(self.loss),
        )

    def show(self) -> None:
        """Print it, with colours where standard output is a terminal."""
        show(self)
