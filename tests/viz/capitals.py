"""What looks like an abbreviation in a text, and what only looks like one."""

from __future__ import annotations

import re

from chainrule.viz.report import glossary

#: Capitals that are no abbreviations: arguments of commands, names in a program's
#: listing, the letters of two actions, words said loudly, names of projects.
NAMES = {
    *("FOLDER", "SLOPE", "GRADIENT", "dW", "PD", "NOT", "EQUAL"),
    *("CleanRL", "PIL", "ChatGPT", "nanoGPT"),
}
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_CAPITALS = re.compile(r"[A-Z]{2}|[a-z][A-Z]$")


def unexplained(text: str) -> set[str]:
    """The words with capitals side by side, or at the end, that no entry explains.

    >>> sorted(unexplained("an LSTM, two CNNs, MSELoss, a QRS, LeNet, CartPole, FooX"))
    ['FooX', 'QRS']
    """
    words = {word for word in _WORD.findall(text) if _CAPITALS.search(word)}
    return {w for w in words - NAMES if not glossary.abbreviations(w, "en")}
