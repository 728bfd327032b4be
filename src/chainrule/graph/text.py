"""The text form of a computation graph: for people, and parsed into a graph again.

    graph layer(%x: f32[N,784], %0.weight: f32[128,784]) {
      %1: f32[N,128] = dot_general(%x, %0.weight) {dims="ni,oi->no", accumulate=f32}
        ; scope=0 at model.py:12
      return %1
    }

(The tail stands on the same line; it is broken here to fit the page.)

- Inputs go by their names, what nodes compute by numbers. An input without a name has
  a number too; a second input of the same name is printed as ``x~2``.
- A name of letters, digits, ``_``, ``.`` and ``-`` stands bare, any other in quotes.
- Attributes: ``true``, ``7``, ``0.1``, ``inf``, ``nan``, ``"text"``, ``(1, 2)``,
  ``(1,)``, ``f32``, ``4*N``, and ``@name`` for a graph, such as the body of a scan,
  which is printed as a block of its own behind the main one.
- The tail ``; scope=0.attention role=backward at model.py:12`` tells where a node comes
  from. Parts that say nothing (no scope, role forward, no source) are left out.
- Line breaks mean what spaces mean, and ``# …`` is a comment.

:func:`parse` is strict: what it accepts is a graph whose declared types are those of
the primitives' rules. ``to_text(parse(text)) == text`` for every text that
:func:`to_text` wrote. Nodes on which no output depends are not part of a graph, so they
are checked and then dropped.
"""

from __future__ import annotations

from chainrule.graph.text_reader import parse
from chainrule.graph.text_writer import to_text, value_names

__all__ = ["parse", "to_text", "value_names"]
