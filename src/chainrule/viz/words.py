"""The texts of charts and reports in each language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

Words = Mapping[str, str]
LANGUAGES = ("en", "zh-TW")


@lru_cache
def read_words(language: str) -> Words:
    """Return all texts of reports in a language by key; parts as ``key.part``.

    A recipe's results are ``results.NAME``, each by its name in ``metrics.json``.

    >>> read_words("en")["glance"], read_words("zh-TW")["glance"]
    ('At a glance', '總覽')
    """
    file = resources.files("chainrule.viz").joinpath(f"templates/{language}.toml")
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    words = dict(document["words"])
    words |= {f"results.{key}": text for key, text in document["results"].items()}
    for key, texts in document["sections"].items():
        words[key] = texts.pop("title")
        words |= {f"{key}.{part}": text for part, text in texts.items()}
    return words
