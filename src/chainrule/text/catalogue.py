"""The current language of messages, and its catalogue of translations."""

from __future__ import annotations

import os
from contextvars import ContextVar
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gettext

#: Where the catalogues are: ``zh_TW/LC_MESSAGES/chainrule.mo``.
FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "locale")
DOMAIN = "chainrule"

#: The language that was chosen within a block; None: that of the process.
chosen: ContextVar[str | None] = ContextVar("language", default=None)
#: The language that was chosen for the process, all of its threads; None: the system's.
_of_the_process: str | None = None


def current() -> str:
    """Return the current language of messages: ``"en"`` or ``"zh-TW"``.

    It is the one that :mod:`chainrule.text.languages` chose, else that of ``LANGUAGE``,
    ``LC_ALL``, ``LC_MESSAGES``, ``LANG`` or the system's settings; English where none
    of them is Chinese.
    """
    return chosen.get() or _of_the_process or of_the_system()


def choose(name: str | None) -> None:
    """Set the process's message language in all threads; None means the system's."""
    global _of_the_process
    _of_the_process = name
    chosen.set(None)


def normalized(name: str) -> str | None:
    """Return the language code for a name (``zh``, ``ZH_TW.UTF-8``), or None."""
    word = name.replace("_", "-").partition(".")[0].lower()
    if word == "zh" or word.startswith("zh-"):
        return "zh-TW"
    return "en" if word == "en" or word.startswith("en-") else None


@cache
def of_the_system() -> str:
    """Return the language of the environment variables or system settings."""
    import locale  # each import counts in that of the package

    names = [os.environ.get("LANGUAGE", "").partition(":")[0]]
    names += [os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    names.append(locale.getlocale()[0] or "")
    first = next((name for name in names if name), "en")
    return normalized(first) or "en"


def lookup(text: str) -> str:
    """Return an English text's translation into the current language, or itself."""
    name = current()
    return text if name == "en" or not text else _catalogue(name).gettext(text)


def lookup_counted(singular: str, plural: str, n: int) -> str:
    """Return an English text's translation for a count, or the English one."""
    name = current()
    if name == "en":
        return singular if n == 1 else plural
    return _catalogue(name).ngettext(singular, plural, n)


@lru_cache(8)
def _catalogue(name: str) -> gettext.NullTranslations:
    import gettext  # English does not need it, and each import counts

    folder = name.replace("-", "_")
    return gettext.translation(DOMAIN, FOLDER, [folder], fallback=True)
