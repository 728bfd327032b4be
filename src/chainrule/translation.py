"""Texts in the language in use.

Texts stand in the code in English. There are two kinds:

* what is made to be read, with ``tr("layer {k} of {depth}", k=2, depth=3)``: the text
  is looked up and its braces are filled, by :mod:`gettext`;
* what is written as an f-string where it arises: the answers of errors (``retold``),
  the lines that recipes print (``reprinted``). The template is found that such a text
  was made from, and the translated template is filled with what stood in its places.
  Code that raises, and a recipe, stay plain.

Traditional Chinese is in ``locale/zh_TW``: ``.po`` files, one for a part of the
package. ``python tools/words.py`` reads the texts and templates off the source, says
which have no line there, and makes ``chainrule.mo`` and ``templates.json`` of them.

This module is below the errors; :mod:`chainrule.language` chooses the language.
"""

from __future__ import annotations

import locale
import os
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gettext

#: The language that was chosen within a block; None: that of the process.
chosen: ContextVar[str | None] = ContextVar("language", default=None)
#: The language that was chosen for the process, all of its threads; None: the system's.
_of_the_process: str | None = None


def current() -> str:
    """The language in use: ``"en"`` or ``"zh-TW"``.

    The one that :mod:`chainrule.language` chose, else that of ``LANGUAGE``, ``LC_ALL``,
    ``LC_MESSAGES``, ``LANG`` or the system's settings; English where none of them is
    Chinese.
    """
    return chosen.get() or _of_the_process or of_the_system()


def choose(name: str | None) -> None:
    """Make it the language of the process, also in threads; None: the system's."""
    global _of_the_process
    _of_the_process = name
    chosen.set(None)


def meant(name: str) -> str | None:
    """The language that a name means (``zh``, ``ZH_TW.UTF-8``), or None."""
    word = name.replace("_", "-").partition(".")[0].lower()
    if word == "zh" or word.startswith("zh-"):
        return "zh-TW"
    return "en" if word == "en" or word.startswith("en-") else None


@cache
def of_the_system() -> str:
    """The language of the environment's variables or the system's settings."""
    names = [os.environ.get("LANGUAGE", "").partition(":")[0]]
    names += [os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    names.append(locale.getlocale()[0] or "")
    given = next((name for name in names if name), "en")
    return meant(given) or "en"


def tr(text: str, /, **values: Any) -> str:
    """``text`` in the language in use, with ``values`` in its braces."""
    made = text if not text or current() == "en" else _catalogue().gettext(text)
    return made.format(**values) if values else made


def retold(text: str) -> str:
    """The text of an error, made of a template, in the language in use.

    A text that no template fits is cut into lines, then sentences; a piece that none
    fits stays as it is.
    """
    return text if current() == "en" else _told("errors", text)


def reprinted(text: str) -> str:
    """The same for what a recipe prints and draws: lines, and cells that are padded.

    A Chinese character takes two columns of a terminal. What is told again within a
    line takes the columns that it took, so that tables still line up.
    """
    return text if current() == "en" else _told("recipes", text)


# What English does not need is imported where it is needed: each import counts.


def _told(kind: str, text: str) -> str:
    from chainrule.retelling import given, told

    try:
        return told(kind, text, given.get())
    except (OSError, RecursionError):  # no templates, or very many pieces: as it is
        return text


@cache
def _catalogue() -> gettext.NullTranslations:
    import gettext

    file = Path(__file__).parent / "locale" / "zh_TW" / "chainrule.mo"
    with file.open("rb") as lines:
        return gettext.GNUTranslations(lines)
