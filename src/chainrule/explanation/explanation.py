"""The result of ``explain``, and its output formats."""

from __future__ import annotations

from typing import Any

from chainrule.explanation import documents, html
from chainrule.explanation.content import Explained
from chainrule.explanation.page import page, show
from chainrule.text import tr
from chainrule.text.languages import language
from chainrule.text.numbers import number


class Explanation(Explained):
    """An explanation of one step: every z, a, δ, ∂ℒ/∂W and ∂ℒ/∂b with its formula.

    ``print(explanation)`` shows it all, :meth:`show` with colours, a notebook as a
    page; :meth:`to_html`, :meth:`to_markdown`, :meth:`to_latex` and :meth:`to_json`
    write it. ``explanation["2.weight"]`` is one quantity with its gradient, and
    ``explanation.element("2.weight", (5, 17))`` the whole path of one number. What it
    holds is described in :class:`~chainrule.explanation.content.Explained`.
    """

    def text(self, width: int | None = None, digits: int = 4) -> str:
        """Return the whole explanation as plain text.

        Args:
            width: in characters; by default the terminal's, at most 100.
            digits: significant digits of each array's largest number.
        """
        with language(self.lang):
            return "\n".join(line for _, line in page(self, width, digits))

    def __str__(self) -> str:
        return self.text()

    def to_html(self) -> str:
        """Return the explanation as a complete HTML page, with formulas in MathML.

        >>> from chainrule.explanation import example
        >>> example().to_html().count("<math") > 20
        True
        """
        with language(self.lang):
            return html.document(self)

    def _repr_html_(self) -> str:
        """Return the explanation as HTML for a notebook."""
        with language(self.lang):
            return html.fragment(self)

    def to_markdown(self) -> str:
        """Return the explanation as Markdown, with formulas between ``$$``."""
        with language(self.lang):
            return documents.markdown(self)

    def to_latex(self) -> str:
        """Return the explanation as a LaTeX document (XeLaTeX if it is in Chinese)."""
        with language(self.lang):
            return documents.latex(self)

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON data, with formulas as text and LaTeX."""
        return documents.data(self)

    def __repr__(self) -> str:
        return tr(
            "<explanation of {many} layers, ℒ = {loss}: print it>",
            many=len(self.names.layers),
            loss=number(self.loss),
        )

    def show(self) -> None:
        """Print the explanation, with colours if standard output is a terminal."""
        with language(self.lang):
            show(self)
