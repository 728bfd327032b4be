"""The result of ``explain`` for a training step, and its output formats."""

from __future__ import annotations

from typing import Any

from chainrule.explanation import interactive, terminal
from chainrule.explanation.content import Explained
from chainrule.explanation.document import Document
from chainrule.explanation.equations import Equation
from chainrule.explanation.page import parts_of
from chainrule.explanation.parts import Part
from chainrule.explanation.worked import Section
from chainrule.text import ngettext, tr
from chainrule.text.languages import language
from chainrule.text.numbers import number


class Explanation(Explained, Document):
    """A training step explained: every z, a, δ, ∂ℒ/∂W and ∂ℒ/∂b with its formula.

    ``print(explanation)`` shows it all, :meth:`show` with colours, a notebook as a
    page; :meth:`to_html`, :meth:`to_markdown`, :meth:`to_latex` and :meth:`to_json`
    write it. ``explanation["2.weight"]`` is one quantity with its gradient, and
    ``explanation.element("2.weight", (5, 17))`` the whole path of one number. What it
    holds is described in :class:`~chainrule.explanation.content.Explained`.

    >>> from chainrule.explanation import example
    >>> example().to_html().count("<math") > 20
    True
    """

    def parts(self) -> list[Part]:
        """Return an explanation's parts: inputs, forward, backward, update, check."""
        return parts_of(self)

    def text(self, width: int | None = None, digits: int = 4) -> str:
        """Return a training step's whole explanation as plain text.

        Args:
            width: in characters; by default the terminal's, at most 100.
            digits: significant digits of each array's largest number.
        """
        with language(self.lang):
            return terminal.text(parts_of(self, digits), width)

    def to_html(self, *, title: str = "", report: str = "") -> str:
        """Return an explanation as an HTML page in which numbers can be clicked.

        Args:
            title: what the page is called; by default by the sizes of the network.
            report: the address of the run's report, which the page then links to.

        It is one file that loads nothing from elsewhere: contents at the side, a
        section a layer that folds, the network's picture with links to the sections. A
        number that is clicked shows its path: what it was computed from, and the chain
        rule from the loss to it, with every local derivative and product, in float64.
        Large networks have the links nearest to the loss, and the page says of which
        values they are left out.
        """
        with language(self.lang):
            return interactive.page(self, title=title, report=report)

    def to_json(self) -> dict[str, Any]:
        """Return an explanation as JSON data, with formulas as text and LaTeX."""
        check = self.check()
        return {
            "loss": self.loss,
            "samples": self.n,
            "sections": [_section(s) for s in self.sections],
            "numbers": {
                name.text(): q.array.tolist() for name, q in self.numbers.items()
            },
            "notes": list(self.notes),
            "check": {
                "ok": check.ok,
                "error": check.error,
                "formulas": len(check.errors),
            },
        }

    def __repr__(self) -> str:
        return tr(
            ngettext(
                "<explanation of {n} layer, ℒ = {loss}: print it>",
                "<explanation of {n} layers, ℒ = {loss}: print it>",
                n=len(self.names.layers),
                loss=number(self.loss),
            )
        )


def _section(section: Section) -> dict[str, Any]:
    return {
        "layer": section.l,
        "modules": list(section.modules),
        "parameters": {name.text(): path for name, path in section.tensors.items()},
        "forward": list(map(_equation, section.forward)),
        "backward": list(map(_equation, section.backward)),
        "update": list(map(_equation, section.update)),
        "loops": [
            {"steps": loop.length, "equations": list(map(_equation, loop.equations))}
            for loop in section.loops
        ],
        "notes": list(section.notes),
    }


def _equation(equation: Equation) -> dict[str, str]:
    data = {"text": equation.text(), "latex": equation.latex()}
    for key in ("key", "remark"):
        if getattr(equation, key):
            data[key] = getattr(equation, key)
    return data
