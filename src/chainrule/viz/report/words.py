"""What the report says: for each language a file ``<language>.toml``.

``[words]`` are terms and captions. ``[sections.<key>]`` has for each section its
``title``, what there is to ``see`` in it, and where the ``book`` treats it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from chainrule.errors import ArgumentError, nearest

Words = Mapping[str, str]
LANGUAGES = ("en", "zh-TW")


def words(language: str) -> Words:
    """All texts of a language; those of a section are ``key`` and ``key.see``, ….

    Raises:
        ArgumentError: a language that there is no report in.

    >>> words("en")["glance"], words("zh-TW")["glance"]
    ('At a glance', '總覽')
    """
    if language not in LANGUAGES:
        near = nearest(str(language), LANGUAGES)
        raise ArgumentError(
            f"There is no report in the language {language!r}.",
            expected=" or ".join(map(repr, LANGUAGES)),
            got=repr(language),
            fix=f"did you mean {near!r}?" if near else "lang='en'",
        )
    return _read(language)


def sentences(table: Words, *parts: str) -> str:
    """Parts as sentences one after the other; a single one has no full stop.

    >>> sentences(words("en"), "loss"), sentences(words("en"), "loss", "3 are shown")
    ('loss', 'loss. 3 are shown.')
    """
    if len(parts) == 1:
        return parts[0]
    return "".join(map(table["sentence"].format, parts)).rstrip()


@lru_cache
def _read(language: str) -> Words:
    file = resources.files("chainrule.viz.report").joinpath(f"{language}.toml")
    held = tomllib.loads(file.read_text(encoding="utf-8"))
    found = dict(held["words"])
    for key, texts in held["sections"].items():
        found[key] = texts.pop("title")
        found |= {f"{key}.{part}": text for part, text in texts.items()}
    return found
