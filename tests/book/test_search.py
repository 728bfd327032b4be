"""Searching the index: what is found, what is near, what a section looks like."""

from __future__ import annotations

import pytest

from chainrule import book
from chainrule.book import searching
from chainrule.errors import ArgumentError


def titles(*words: str, section: str | None = None) -> set[str]:
    return {entry.en for entry in book.search(*words, section=section)}


def test_a_letter_by_its_name() -> None:
    """All formulas with δ, and what is called delta."""
    found = book.search("delta")
    wanted = {e.formula for e in book.entries() if "δ" in e.formula}
    assert wanted
    assert wanted <= {entry.formula for entry in found}
    assert "Vanishing gradients" in {entry.en for entry in found}


@pytest.mark.parametrize("word", ["梯度消失", "VANISHING", "vanish", "ｖａｎｉｓｈ"])
def test_titles_in_both_languages_in_any_case(word: str) -> None:
    assert "Vanishing gradients" in titles(word)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("optimizer", "optimiser"),
        ("initialization", "initialisation"),
        ("backpropagation", "back-propagation"),
        ("cross entropy", "cross-entropy"),
        ("最佳化器", "優化器"),
    ],
)
def test_spellings(one: str, same: str) -> None:
    assert titles(one) == titles(same) != set()


def test_names_notes_and_titles_of_sections() -> None:
    assert "Exploding gradients" in titles("chainrule.Trainer")
    assert "GELU: smooth, today's choice" in titles("0.170")
    assert len(titles("激活函數", section="2.7")) == 5


def test_all_words_are_wanted() -> None:
    assert titles("gradient", "clipping") <= titles("gradient") & titles("clipping")
    assert titles("gradient", "clipping")


def test_a_word_is_found_where_one_begins() -> None:
    for entry in book.search("rate"):
        text = searching.folded(book._text(entry)).replace("_", " ")
        assert any(word.startswith("rate") for word in text.replace("(", " ").split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["sigmiod"], "sigmoid"),
        (["梯度消滅"], "梯度消失"),
        (["gradeint", "descent"], "gradient"),
        (["momentum", "gelu"], "chainrule book momentum"),
        (["qqqqqq"], "fix:      chainrule book"),
        (["(*["], "fix:      chainrule book"),
    ],
)
def test_nothing_is_found(words: list[str], offered: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        book.search(*words)
    assert offered in str(caught.value)
    assert " ".join(words) in str(caught.value)


def test_what_is_offered_is_there() -> None:
    """Each word that is near any misspelt title word is found."""
    texts = [searching.folded(book._text(entry)) for entry in book.entries()]
    for word in ("momentun", "perceptrn", "損失涵數", "反向傳撥", "softmaxx"):
        offered = searching.near(word, texts)
        assert offered, word
        assert all(searching.matching(texts, [near]) for near in offered)
