"""The base class of documents that are shown as text, HTML, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.explanation import html, latex, terminal
from chainrule.explanation.parts import Part
from chainrule.text.languages import language

#: Characters of HTML that a notebook gets; ``to_html`` gives all.
NOTEBOOK = 500_000


class Document:
    """A document of parts, shown as text, HTML, Markdown or LaTeX."""

    lang: str

    def parts(self) -> Sequence[Part]:
        """Return a document's parts: headings, sentences, formulas, numbers, tables."""
        raise NotImplementedError

    def text(self, width: int | None = None) -> str:
        """Return a document as plain text, at most ``width`` characters wide.

        By default it is as wide as the terminal, and at most 100.
        """
        with language(self.lang):
            return terminal.text(self.parts(), width)

    def __str__(self) -> str:
        return self.text()

    def show(self) -> None:
        """Print a document, with colours if standard output is a terminal."""
        with language(self.lang):
            terminal.show(self.parts())

    def to_html(self) -> str:
        """Return a document as a complete HTML page, with formulas in MathML."""
        with language(self.lang):
            return html.page(self.parts())

    def _repr_html_(self) -> str:
        """Return a document as HTML for a notebook, of bounded size."""
        with language(self.lang):
            return html.fragment(self.parts(), NOTEBOOK)

    def to_markdown(self) -> str:
        """Return a document as Markdown, with formulas between ``$$``."""
        with language(self.lang):
            return latex.markdown(self.parts())

    def to_latex(self) -> str:
        """Return a document as LaTeX (XeLaTeX if it is in Chinese)."""
        with language(self.lang):
            return latex.latex(self.parts())
