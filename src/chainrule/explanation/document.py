"""The base class of documents that are shown as text, HTML, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from chainrule.errors import ArgumentError
from chainrule.explanation import html, latex, terminal
from chainrule.explanation.parts import Part
from chainrule.text import _
from chainrule.text.languages import language
from chainrule.util import atomic_files

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

    def save(self, path: str | Path) -> Path:
        """Save a document as a file: ``.html``, ``.md``, ``.tex`` or ``.txt``.

        Raises:
            ArgumentError: another ending.
            SaveError: the file cannot be written.
        """
        path = Path(path)
        ways: dict[str, Callable[[], str]] = {
            ".html": self.to_html,
            ".md": self.to_markdown,
            ".tex": self.to_latex,
            ".txt": lambda: self.text() + "\n",
        }
        if path.suffix not in ways:
            raise ArgumentError(
                _("A document is saved as a page, as Markdown, LaTeX or text."),
                expected=", ".join(ways),
                got=path.suffix or str(path),
                fix=str(path.with_suffix(".html")),
            )
        content = ways[path.suffix]().encode()
        atomic_files.make_directory(path.parent)
        atomic_files.replace(path, content, _("document"))
        return path

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
