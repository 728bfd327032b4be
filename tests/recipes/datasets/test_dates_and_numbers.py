"""Dates and numbers in words, by independent rules."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes.datasets import dates_and_numbers as language


@pytest.mark.parametrize(
    ("n", "english", "chinese"),
    [
        (0, "zero", "零"),
        (10, "ten", "十"),
        (15, "fifteen", "十五"),
        (40, "forty", "四十"),
        (99, "ninety-nine", "九十九"),
        (100, "one hundred", "一百"),
        (110, "one hundred and ten", "一百一十"),
        (305, "three hundred and five", "三百零五"),
        (1000, "one thousand", "一千"),
        (4078, "four thousand and seventy-eight", "四千零七十八"),
        (5003, "five thousand and three", "五千零三"),
        (6200, "six thousand two hundred", "六千二百"),
        (9010, "nine thousand and ten", "九千零一十"),
        (9999, "nine thousand nine hundred and ninety-nine", "九千九百九十九"),
    ],
)
def test_numbers_in_words(n: int, english: str, chinese: str) -> None:
    assert language.english(n) == english
    assert language.chinese(n) == chinese


def read_chinese(text: str) -> int:
    """The other way round, by adding up."""
    total, digit = 0, 0
    for c in text:
        if c in "千百十":
            total += (digit or 1) * {"千": 1000, "百": 100, "十": 10}[c]
            digit = 0
        else:
            digit = "零一二三四五六七八九".index(c)
    return total + digit


def read_english(text: str) -> int:
    """The other way round, by adding up."""
    total, part = 0, 0
    for word in text.replace("-", " ").replace(" and ", " ").split():
        if word == "hundred":
            part *= 100
        elif word == "thousand":
            total, part = total + 1000 * part, 0
        elif word in language.TENS:
            part += 10 * (2 + language.TENS.index(word))
        else:
            part += language.ONES.index(word)
    return total + part


def test_every_number_reads_back() -> None:
    for n in range(10_000):
        assert read_chinese(language.chinese(n)) == n
        assert read_english(language.english(n)) == n


def test_days_by_the_calendar() -> None:
    """Against strftime, in which English names stand without a locale."""
    for which in range(language.FIRST, language.LAST + 1, 97):
        day = datetime.date.fromordinal(which)
        made = {form: language.pair(form, which) for form in language.FORMS}
        assert {target for _, target in made.values()} == {day.strftime("%Y-%m-%d")}
        first = made["month first"][0]
        assert datetime.datetime.strptime(first, "%B %d, %Y").date() == day
        weekday = made["weekday"][0]
        assert weekday == f"{day:%A}, {day.day} {day:%B} {day.year}"
        assert made["shortened"][0] == f"{day:%b}. {day.day} {day.year}"
        assert made["西元"][0] == f"{day.year}年{day.month}月{day.day}日"
        year = made["民國"][0].removeprefix("民國").split("年")[0]
        assert read_chinese(year) == day.year - 1911
    assert language.pair("漢字", datetime.date(1987, 3, 5).toordinal()) == (
        "一九八七年三月五日",
        "1987-03-05",
    )


@pytest.mark.parametrize(
    ("n", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th")]
)
def test_ordinals(n: int, said: str) -> None:
    assert language.ordinal(n) == said
    assert language.ordinal(n + 20 if n < 11 else n) == (
        said if n == 11 else f"{n + 20}{said[-2:]}"
    )
    assert language.ordinal(13) == "13th"


def test_everything_fits_and_reads_back() -> None:
    days = range(language.FIRST, language.LAST + 1, 93)
    for form in language.ALL:
        for which in range(0, 10_000, 3) if form in language.NUMBERS else days:
            source, target = language.pair(form, which)
            for text, room in (
                (source, language.SOURCE_LENGTH - 1),
                (target, language.TARGET_LENGTH - 2),
            ):
                assert len(language.tokens(text)) <= room
            row = language.encode([target], language.TARGET_LENGTH)[0]
            assert language.decode(row.tolist()) == target


@pytest.mark.parametrize("strange", ["Juno", "é", "<", "·", "八十!", "\x00"])
def test_a_word_of_another_language(strange: str) -> None:
    with pytest.raises(cr.errors.ArgumentError, match="'translate' does not know"):
        language.encode(["March 5", f"5 {strange} 1987"], language.SOURCE_LENGTH)


def test_a_text_that_is_too_long() -> None:
    language.encode(["1" * (language.SOURCE_LENGTH - 1)], language.SOURCE_LENGTH)
    for length, start in (
        (language.SOURCE_LENGTH, False),
        (language.SOURCE_LENGTH - 1, True),
    ):
        with pytest.raises(cr.errors.ArgumentError, match="too long"):
            language.encode(["1" * length], language.SOURCE_LENGTH, start)


def test_the_test_part_is_never_trained_on() -> None:
    train, test = language.split()
    for name, count in (("days", 68_667), ("numbers", 10_000)):
        unseen, seen = ({*part[name].tolist()} for part in (test, train))
        assert len(unseen) == count // 10
        assert not unseen & seen
        assert len(unseen | seen) == count
    pairs = {
        pair
        for form in language.ALL
        for pair in language.pairs(test, form, 10_000, seed=0)
    }
    assert len(pairs) >= 9 * 6_866 + 4 * 1_000
    assert language.pairs(test, "German", 5, 0) != language.pairs(test, "German", 5, 1)
    unseen = {
        language.encode([source], language.SOURCE_LENGTH).tobytes()
        for source, _ in pairs
    }
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows, targets = language.batch(train, 64, rng)
        assert (rows.shape, targets.shape) == ((64, 18), (64, 12))
        assert not {row.tobytes() for row in rows} & unseen
        assert (targets[:, 0] == language.START).all()
