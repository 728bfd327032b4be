"""Search in a textbook index: text matching, and similar words as suggestions.

Texts are compared as people type them: in any case, full width or not, British or
American, with or without hyphens; ``delta`` finds δ, and 最佳化 the book's 優化. A word
of letters is found where a word begins; if that is nowhere, anywhere.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

#: Letters and signs of formulas by the names that people type.
SIGNS = dict(
    zip(
        (
            *("alpha", "beta", "gamma", "delta", "epsilon", "eta", "theta", "kappa"),
            *("lambda", "mu", "pi", "sigma", "phi"),
            *("partial", "nabla", "infinity", "sqrt"),
        ),
        "αβγδεηθκλμπσφ∂∇∞√",
        strict=True,
    )
)
#: So many words are offered for one that nothing has.
OFFERED = 3

_CHINESE = re.compile("[\u4e00-\u9fff]+")
_LATIN = re.compile("[a-z][a-z0-9]+")


def looks_like_section(word: str) -> bool:
    """Return whether a command's argument looks like a textbook section number.

    >>> [looks_like_section(word) for word in ("3.4.2", "４", "1957", "x", "梯度")]
    [True, True, False, False, False]
    """
    return bool(re.fullmatch(r"\d{1,2}(\.\d*)*", unicodedata.normalize("NFKC", word)))


def folded(text: str) -> str:
    """Return a text normalised for search: case, width, spelling.

    >>> folded("Layer-wise Optimizer ＲｅＬＵ")
    'layer wise optimiser relu'
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub("(?<=[a-z])iz(?=[a-z])", "is", text).replace("最佳化", "優化")
    return re.sub(r"(?<=\w)[-–](?=\w)", " ", text)


def has(text: str, word: str, *, anywhere: bool = False) -> bool:
    """Return whether a text contains a search word, by default at a word's start.

    >>> has("the error term", "err"), has("the error term", "rate")
    (True, False)
    >>> has("it generates", "rate"), has("it generates", "rate", anywhere=True)
    (False, True)
    """
    if word in SIGNS and SIGNS[word] in text:
        return True
    joined = text.replace(" ", "")
    if anywhere or not _LATIN.match(word):
        return word in text or word.replace(" ", "") in joined
    return re.search(f"(?<![a-z0-9]){re.escape(word)}", text) is not None


def matching(texts: Sequence[str], words: Sequence[str]) -> list[int]:
    """Return the indices of the texts that contain all of the search words."""
    indices = list(range(len(texts)))
    for word in map(folded, words):
        at_begin = [i for i in range(len(texts)) if has(texts[i], word)]
        hits = at_begin or [
            i for i in range(len(texts)) if has(texts[i], word, anywhere=True)
        ]
        indices = [i for i in indices if i in set(hits)]
    return indices


def near(word: str, texts: Iterable[str]) -> list[str]:
    """Return words of searched texts that are similar to a word, best first.

    >>> near("momentun", [folded("Momentum and tanh")])
    ['momentum']
    >>> near("梯度消滅", ["梯度消失與爆炸"])[0]
    '梯度消失'
    """
    word = folded(word) or "?"
    known: set[str] = set(SIGNS)
    for text in texts:
        known.update(_LATIN.findall(text))
        for run in _CHINESE.findall(text):
            size = min(len(word), len(run))
            parts = (run[i : i + size] for i in range(len(run) - size + 1))
            known.update(p for p in parts if p[0] == word[0] or p[-1] == word[-1])
    return difflib.get_close_matches(word, sorted(known), OFFERED, 0.6)
