"""The language of Chainrule's messages: English or Traditional Chinese.

It is the one that was set, or else the locale's.

>>> from chainrule.text import tr
>>> with language("zh"):
...     tr("layer {k} of {depth}", k=2, depth=3)
'第 2 層，共 3 層'
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from chainrule.errors import ArgumentError
from chainrule.text import _
from chainrule.text.catalogue import choose, chosen, current, normalized

LANGUAGES = ("en", "zh-TW")


def known(name: str | None) -> str:
    """Return the language code for a name: ``zh``, ``ZH_TW.UTF-8``, ``en``.

    Args:
        name: None for the one in use.

    Raises:
        ArgumentError: for another one.
    """
    if name is None:
        return current()
    language = normalized(name) if isinstance(name, str) else None
    if language is None:
        raise ArgumentError(
            _("Chainrule does not speak this language."),
            expected=_("'en' or 'zh-TW'"),
            got=repr(name),
        )
    return language


def set_language(name: str | None) -> None:
    """Set the language of messages in all threads; None means the system's.

    Raises:
        ArgumentError: for one that is not known.

    Errors are in English where Python shows them. The command line, reports and
    notebooks show them in this language, as ``error.translated()`` does:

    >>> import chainrule as cr
    >>> cr.set_language("zh-TW")
    >>> try:
    ...     cr.zeros(-1)
    ... except cr.errors.ShapeError as error:
    ...     print(error.translated())
    形狀由各軸的大小組成。
      應為： ≥ 0 的整數，例如 (2, 3)
      實際： (-1,)
    >>> cr.set_language("en")
    """
    choose(None if name is None else known(name))


def speak(name: str) -> None:
    """Set the language of messages until the surrounding block ends."""
    chosen.set(known(name))


@contextmanager
def language(name: str | None) -> Generator[str]:
    """Use a language for messages within a block; None means the current one."""
    token = chosen.set(known(name))
    try:
        yield current()
    finally:
        chosen.reset(token)
