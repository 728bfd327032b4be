"""easy_vqa: every question and answer, types of questions, padding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chainrule.recipes import Experiment
from chainrule.recipes.datasets import easy_vqa

from ..runs import needing


def folder() -> Path:
    return Experiment("multimodal").folder("easy_vqa", "") / "data"


@needing("easy_vqa", "PIL")
@pytest.mark.parametrize(
    ("part", "n", "asked"), [("train", 4000, 38575), ("test", 1000, 9673)]
)
def test_the_questions(part: str, n: int, asked: int) -> None:
    """Every word and answer has a number; no picture has a question twice."""
    rows = json.loads((folder() / part / "questions.json").read_text("utf-8"))
    assert (len(rows), len({i for _, _, i in rows})) == (asked, n)
    assert {a for _, a, _ in rows} == set(easy_vqa.ANSWERS)
    words = {word for text, _, _ in rows for word in easy_vqa.words_of(text)}
    assert words == set(easy_vqa.WORDS)
    assert len(set(easy_vqa.WORDS)) == len(easy_vqa.WORDS) == 26
    assert len({(text, i) for text, _, i in rows}) == asked


@needing("easy_vqa", "PIL")
def test_pictures_with_their_questions() -> None:
    import PIL.Image

    data = easy_vqa.Pictures(folder() / "test", PIL.Image.open, 6)
    rows = json.loads((folder() / "test" / "questions.json").read_text("utf-8"))
    mine = [row for row in rows if row[2] == 3]
    assert data.texts[3] == [text for text, _, _ in mine]
    assert data.mask[3].sum() == len(mine)
    for k, (text, answer, _) in enumerate(mine):
        numbers = [n for n in data.words[3, k] if n]
        assert [easy_vqa.WORDS[n - 1] for n in numbers] == text.strip("?").split()
        assert easy_vqa.ANSWERS[data.answers[3, k]] == answer
        assert easy_vqa.TYPES[data.types[3, k]] == easy_vqa.type_of(text)
    assert ((data.types >= 0) == (data.mask > 0)).all()
    with PIL.Image.open(folder() / "test" / "images" / "3.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (data.images[3, 1] == pixels[:, :, 1]).all()
    all_tests = easy_vqa.Pictures(folder() / "test", PIL.Image.open)
    assert (len(all_tests), int(all_tests.mask.sum())) == (1000, 9673)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("is a green shape present?", "is it there?"),
        ("does the image not contain a circle?", "is it not there?"),
        ("is no blue shape present?", "is it not there?"),
        ("what is the color of the shape?", "which colour?"),
        ("what is the red shape?", "which shape?"),
    ],
)
def test_types_of_questions(text: str, type_: str) -> None:
    assert easy_vqa.type_of(text) == type_
