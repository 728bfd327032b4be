"""Docstrings for the site's reference: examples as code, roles as code or links.

An extension of griffe, by which mkdocstrings reads the package. Docstrings are written
for ``help()``: examples begin with ``>>>``, and other objects stand in Sphinx' roles.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`[~!]?([^`<]+?)`")
EXAMPLE = re.compile(r"(?:^[ \t]*(?:>>>|\.\.\.).*\n?(?:^(?![ \t]*$).*\n?)*)+", re.M)


def markdown(text: str) -> str:
    """Return a docstring as Markdown."""
    text = ROLE.sub(r"`\1`", text)
    return EXAMPLE.sub(lambda m: f"\n```pycon\n{m[0].strip()}\n```\n", text)


class Docstrings(griffe.Extension):
    """Rewrite each docstring as Markdown when the package is loaded."""

    def on_object(self, *, obj: Any, **__: Any) -> None:
        """Rewrite the docstring of one object; without one it is not shown."""
        if obj.name.startswith("__"):
            obj.docstring = None  # Python calls it, not a reader
        elif obj.is_attribute and "property" not in obj.labels:
            obj.docstring = None  # that of its type
        elif obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
