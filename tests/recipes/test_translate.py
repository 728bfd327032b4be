"""translate: its language by independent rules, its decoding, and a killed run."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, translate

from .runs import check

RECIPE = "translate"


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
    assert translate.english(n) == english
    assert translate.chinese(n) == chinese


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
        elif word in translate.TENS:
            part += 10 * (2 + translate.TENS.index(word))
        else:
            part += translate.ONES.index(word)
    return total + part


def test_every_number_reads_back() -> None:
    for n in range(10_000):
        assert read_chinese(translate.chinese(n)) == n
        assert read_english(translate.english(n)) == n


def test_days_by_the_calendar() -> None:
    """Against strftime, in which English names stand without a locale."""
    for which in range(translate.FIRST, translate.LAST + 1, 97):
        day = datetime.date.fromordinal(which)
        made = {form: translate.pair(form, which) for form in translate.FORMS}
        assert {target for _, target in made.values()} == {day.strftime("%Y-%m-%d")}
        first = made["month first"][0]
        assert datetime.datetime.strptime(first, "%B %d, %Y").date() == day
        weekday = made["weekday"][0]
        assert weekday == f"{day:%A}, {day.day} {day:%B} {day.year}"
        assert made["shortened"][0] == f"{day:%b}. {day.day} {day.year}"
        assert made["西元"][0] == f"{day.year}年{day.month}月{day.day}日"
        year = made["民國"][0].removeprefix("民國").split("年")[0]
        assert read_chinese(year) == day.year - 1911
    assert translate.pair("漢字", datetime.date(1987, 3, 5).toordinal()) == (
        "一九八七年三月五日",
        "1987-03-05",
    )


@pytest.mark.parametrize(
    ("n", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th")]
)
def test_ordinals(n: int, said: str) -> None:
    assert translate.ordinal(n) == said
    assert translate.ordinal(n + 20 if n < 11 else n) == (
        said if n == 11 else f"{n + 20}{said[-2:]}"
    )
    assert translate.ordinal(13) == "13th"


def test_everything_fits_and_reads_back() -> None:
    days = range(translate.FIRST, translate.LAST + 1, 31)
    for form in translate.ALL:
        for which in range(10_000) if form in translate.NUMBERS else days:
            source, target = translate.pair(form, which)
            for text, room in (
                (source, translate.READ - 1),
                (target, translate.WRITTEN - 2),
            ):
                assert len(translate.tokens(text)) <= room
            row = translate.encode([target], translate.WRITTEN)[0]
            assert translate.decode(row.tolist()) == target


@pytest.mark.parametrize("strange", ["Juno", "é", "<", "·", "八十!", "\x00"])
def test_a_word_of_another_language(strange: str) -> None:
    with pytest.raises(cr.errors.ArgumentError, match="'translate' does not know"):
        translate.encode(["March 5", f"5 {strange} 1987"], translate.READ)


def test_a_text_that_is_too_long() -> None:
    translate.encode(["1" * (translate.READ - 1)], translate.READ)
    for length, start in ((translate.READ, False), (translate.READ - 1, True)):
        with pytest.raises(cr.errors.ArgumentError, match="too long"):
            translate.encode(["1" * length], translate.READ, start)


def test_the_unseen_are_never_seen() -> None:
    parts = translate.split()
    for name, count in (("days", 68_667), ("numbers", 10_000)):
        unseen, seen = (set(parts[which][name].tolist()) for which in (True, False))
        assert len(unseen) == count // 10
        assert not unseen & seen
        assert len(unseen | seen) == count
    unseen = {
        translate.encode([translate.pair(form, int(i))[0]], translate.READ).tobytes()
        for form in translate.ALL
        for i in parts[True]["numbers" if form in translate.NUMBERS else "days"]
    }
    for update in range(20):
        rows, _ = translate.batch(parts[False], update, 0)
        assert not {row.tobytes() for row in rows} & unseen


def small() -> Any:
    cr.manual_seed(0)
    model = translate.Translator()
    for p in model.parameters():
        if p.ndim == 2:
            p.copy_(p.numpy() * 2)  # so that it says more than one word
    return model, Experiment("t", engine="numpy")


def test_greedy_decoding_step_by_step() -> None:
    """The compiled loop says what a loop in Python says, token by token."""
    model, experiment = small()
    texts = ["March 5, 1987", "三百零五", "民國七十六年三月五日"]
    rows = translate.encode(texts, translate.READ)
    translated = experiment.compile(cr.no_grad()(model.translate))(rows)
    said, attention = (t.numpy() for t in translated)
    source, written = cr.tensor(rows), [[translate.START] for _ in texts]
    for _ in range(translate.WRITTEN):
        so_far = cr.tensor(written)
        scores, looks = model.write(so_far, model.read(source), source)
        for row, best in zip(written, scores.numpy()[:, -1].argmax(1)):
            row.append(int(best))
    assert said.tolist() == [row[1:] for row in written]
    assert len({*said.ravel().tolist()}) > 3
    assert attention == pytest.approx(looks.numpy(), abs=1e-5)
    assert attention.sum(2) == pytest.approx(1, abs=1e-5)
    assert attention[rows[:, None].repeat(translate.WRITTEN, 1) == 0].max() == 0


def test_the_loss_by_hand() -> None:
    """The mean over what has to be written; filler does not count."""
    model, experiment = small()
    pairs = [translate.pair("English to digits", n) for n in range(translate.BATCH)]
    source = translate.encode([s for s, _ in pairs], translate.READ)
    target = translate.encode([t for _, t in pairs], translate.WRITTEN, start=True)
    assert target[12].tolist()[:4] == [
        translate.START,
        *(translate.NUMBER_OF[c] for c in "12"),
        translate.END,
    ]
    read = cr.tensor(source)
    z, _ = model.write(cr.tensor(target[:, :-1]), model.read(read), read)
    z = z.numpy().astype(float)
    z = z - np.log(np.exp(z).sum(-1, keepdims=True))
    wanted = target[:, 1:]
    costs = -np.take_along_axis(z, wanted[..., None].astype(int), 2)[..., 0]
    adamw = translate.adamw(model, 10)
    loss = translate.training_step(experiment, model, adamw)(source, target)
    assert loss.item() == pytest.approx(costs[wanted != translate.PAD].mean(), rel=1e-4)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result, text = whole["result"], whole["text"]
    assert [note["step"] for note in result["notes"]] == [20, 40, 60]
    assert result["notes"][-1]["loss"] < result["notes"][0]["loss"] < 4
    assert set(result["right"]) == set(translate.ALL)
    assert result["exact"] == pytest.approx(np.mean(list(result["right"].values())))
    assert "民國七十六年三月五日  →  1987-03-05" in text
    for note in result["notes"]:
        assert "   ".join(note["made"])[:68] in text
    for source, target, made in result["wrong"]:
        assert made != target
        assert source != target
    check(whole, "attention-date", "attention-number")
