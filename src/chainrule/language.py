"""The language in which Chainrule speaks to people.

Texts stand in the code in English; ``tr`` gives them in the language in use, which is
the one that was set, or else the locale's. Traditional Chinese is in ``locale/zh_TW``:
``.po`` files, one for a part of the package, and the ``.mo`` file that
``python tools/words.py`` makes of them, read with :mod:`gettext`.

>>> with language("zh"):
...     tr("layer {k} of {depth}", k=2, depth=3)
'第 2 層，共 3 層'
"""

from __future__ import annotations

import gettext
import locale
import os
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from chainrule.errors import ArgumentError

LANGUAGES = ("en", "zh-TW")

_chosen: ContextVar[str | None] = ContextVar("language", default=None)


def tr(text: str, /, **values: Any) -> str:
    """``text`` in the language in use, with ``values`` in its braces."""
    made = _catalogue(current()).gettext(text) if text else text
    return made.format(**values) if values else made


def current() -> str:
    """The language in use: ``"en"`` or ``"zh-TW"``.

    That of :func:`set_language` or :func:`language`, else that of ``LANGUAGE``,
    ``LC_ALL``, ``LC_MESSAGES``, ``LANG`` or the system's settings; English where none
    of them is Chinese.
    """
    return _chosen.get() or _of_the_system()


def known(name: str | None) -> str:
    """The language that a name means: ``zh``, ``zh-tw``, ``ZH_TW.UTF-8``, ``en``.

    Args:
        name: None for the one in use.

    Raises:
        ArgumentError: for another one.
    """
    if name is None:
        return current()
    found = _meant(name) if isinstance(name, str) else None
    if found is None:
        raise ArgumentError(
            "Chainrule does not speak this language.",
            expected="'en' or 'zh-TW'",
            got=repr(name),
        )
    return found


def set_language(name: str | None) -> None:
    """Speak this language from here on; None: that of the locale.

    Raises:
        ArgumentError: for one that is not known.

    >>> set_language("zh-TW"); current()
    'zh-TW'
    >>> set_language(None)
    """
    _chosen.set(None if name is None else known(name))


@contextmanager
def language(name: str | None) -> Generator[str]:
    """Speak a language within the block; None: the one in use."""
    token = _chosen.set(known(name))
    try:
        yield current()
    finally:
        _chosen.reset(token)


def _meant(name: str) -> str | None:
    word = name.replace("_", "-").partition(".")[0].lower()
    if word == "zh" or word.startswith("zh-"):
        return "zh-TW"
    return "en" if word == "en" or word.startswith("en-") else None


@cache
def _of_the_system() -> str:
    names = [os.environ.get("LANGUAGE", "").partition(":")[0]]
    names += [os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    names.append(locale.getlocale()[0] or "")
    given = next((name for name in names if name), "en")
    return _meant(given) or "en"


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    if name == "en":
        return gettext.NullTranslations()
    from importlib import resources  # which loads much

    folder = resources.files("chainrule").joinpath("locale", name.replace("-", "_"))
    with folder.joinpath("chainrule.mo").open("rb") as file:
        return gettext.GNUTranslations(file)
