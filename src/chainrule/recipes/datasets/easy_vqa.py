"""A visual question answering data set: pictures of a shape, with questions.

4,000 pictures of 64 × 64 with 38,575 questions to learn from, and 1,000 with 9,673 to
test with. No picture occurs twice.

Source: Zhou 2019, "easy-VQA".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.text import _

ANSWERS = ("yes", "no", "rectangle", "circle", "triangle")
ANSWERS += ("red", "green", "blue", "yellow", "gray", "teal", "black", "brown")
#: The words of questions, numbered from 1; number 0 is padding.
WORDS = ("a", "color", "contain", "does", "image", "in", "is", "no", "not", "of")
WORDS += ("present", "shape", "the", "there", "what", *ANSWERS[2:])
TYPES = (
    _("is it there?"),
    _("is it not there?"),
    _("which colour?"),
    _("which shape?"),
)
#: Questions of a picture, and words of a question, at most.
QUESTIONS, LENGTH = 21, 9


class Pictures:
    """Pictures with their questions and answers, padded to arrays, for training.

    Args:
        folder: ``data/train`` or ``data/test`` of the package easy_vqa.
        open_image: ``PIL.Image.open``.
        count: the number of pictures; None: all.

    Attributes:
        images: uint8 (n, 3, 64, 64).
        words: int32 (n, QUESTIONS, LENGTH), numbers of words, 0 for padding.
        answers: int32 (n, QUESTIONS), numbers of ANSWERS.
        mask: float32 (n, QUESTIONS), 1 for a question, 0 for padding.
        types: int32 (n, QUESTIONS), numbers of TYPES; −1 for padding.
        texts: the questions of each picture.
    """

    def __init__(
        self, folder: Path, open_image: Callable[[Path], Any], count: int | None = None
    ) -> None:
        rows = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
        n = len({picture for __, __, picture in rows}) if count is None else count
        self.images = np.empty((n, 3, 64, 64), np.uint8)
        for i in range(n):
            with open_image(folder / "images" / f"{i}.png") as image:
                self.images[i] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        self.words = np.zeros((n, QUESTIONS, LENGTH), np.int32)
        self.answers = np.zeros((n, QUESTIONS), np.int32)
        self.mask = np.zeros((n, QUESTIONS), np.float32)
        self.types = np.full((n, QUESTIONS), -1, np.int32)
        self.texts: list[list[str]] = [[] for __ in range(n)]
        for text, answer, i in rows:
            if i < n:
                k = len(self.texts[i])
                numbers = [1 + WORDS.index(word) for word in words_of(text)]
                self.words[i, k, : len(numbers)] = numbers
                self.answers[i, k] = ANSWERS.index(answer)
                self.types[i, k] = TYPES.index(type_of(text))
                self.mask[i, k] = 1
                self.texts[i].append(text)

    def __len__(self) -> int:
        return len(self.images)


def words_of(text: str) -> list[str]:
    """Return the words of a question about a picture.

    >>> words_of("what is the red shape?")
    ['what', 'is', 'the', 'red', 'shape']
    """
    return text.rstrip("?").split()


def type_of(text: str) -> str:
    """Return the type of a question about a picture, one of TYPES.

    >>> type_of("what is the red shape?")
    'which shape?'
    """
    words = words_of(text)
    if words[0] == "what":
        return "which colour?" if "color" in words else "which shape?"
    negated = "not" in words or "no" in words
    return "is it not there?" if negated else "is it there?"
