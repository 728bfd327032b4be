"""speech: the data, masking, the voice print by hand, a kill, the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, speech

from .runs import check, needing

RECIPE = "speech"

needs_data = needing("aeon")

LINES = """\
#A comment, with : and ,
@data
1.0,2.0,3.0:{rest}:2
-1.5,0.5:{short}:9
"""


def test_reading(tmp_path: Path) -> None:
    rest, short = ":".join(["0,1,2"] * 11), ":".join(["3,4"] * 11)
    file = tmp_path / "some.ts"
    file.write_text(LINES.format(rest=rest, short=short), "utf-8")
    utterances, speakers = speech.read(file)
    assert [u.shape for u in utterances] == [(3, 12), (2, 12)]
    assert speakers.tolist() == [1, 8]
    assert utterances[0][:, 0].tolist() == [1, 2, 3]
    assert utterances[1][1].tolist() == [0.5, *[4.0] * 11]
    x = speech.stacked(utterances, utterances)
    assert x.shape == (2, 3, 13)
    assert x[:, :, 12].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert (x[1, 2] == 0).all()
    real = np.concatenate([x[0, :, :12], x[1, :2, :12]])
    np.testing.assert_allclose(real.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(real.std(0), 1, atol=1e-6)


@needs_data
def test_the_utterances_of_the_nine() -> None:
    folder = (
        Experiment("speech").folder("aeon", "aeon") / "datasets/data/JapaneseVowels"
    )
    known, y = speech.read(folder / "JapaneseVowels_TRAIN.ts")
    new, truth = speech.read(folder / "JapaneseVowels_TEST.ts")
    assert np.bincount(y).tolist() == [30] * 9
    assert np.bincount(truth).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = [len(u) for u in known + new]
    assert (min(lengths), max(lengths)) == (7, 29)
    assert len({u.tobytes() for u in known + new}) == 640  # none is in both


@pytest.mark.parametrize("kind", speech.KINDS)
@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_what_follows_the_end_says_nothing(kind: str, engine: str) -> None:
    """Alone, beside a longer one, and with zeros behind: the same scores."""
    rng = np.random.default_rng(0)
    experiment = Experiment(engine=engine, threads=1)
    short, long = rng.standard_normal((7, 12)), rng.standard_normal((15, 12))
    model = speech.trainer(experiment, kind, 0).model.eval()
    scores = cr.compile(model, engine=engine, threads=1)
    alone = scores(cr.tensor(speech.stacked([short], [short, long]))).numpy()
    both = scores(cr.tensor(speech.stacked([short, long], [short, long]))).numpy()
    np.testing.assert_allclose(both[0], alone[0], atol=1e-5)
    assert np.abs(both[1] - both[0]).max() > 1e-3


def test_the_voice_print_by_hand() -> None:
    """μ and σ over the real steps, in float64, from what the windows give."""
    rng = np.random.default_rng(1)
    utterances = [rng.standard_normal((n, 12)) for n in (7, 10)]
    x = speech.stacked(utterances, utterances)
    kind = next(iter(speech.KINDS))
    model: Any = speech.trainer(Experiment(engine="numpy"), kind, 0).model.eval()
    made = model.print(cr.tensor(x)).numpy()
    for row, utterance, told in zip(x, utterances, made):
        h, steps = row[: len(utterance), :12].astype("f8"), len(utterance)
        for window, norm, reach in zip(model.windows, model.norms, (1, 2)):
            w, b = window.weight.numpy(), window.bias.numpy()
            wide = np.pad(h, ((reach, reach), (0, 0)))
            z = b + sum(
                wide[k * reach : k * reach + steps] @ w[:, :, k].T for k in range(3)
            )
            z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
            h = np.maximum(0, z * norm.weight.numpy() + norm.bias.numpy())
        wanted = np.concatenate([h.mean(0), np.sqrt(h.var(0) + 1e-4)])
        np.testing.assert_allclose(told, wanted, atol=1e-4)


def test_two_directions() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((40, 2)) @ np.array([[5, 0, 1, 0], [0, 1, 0, 2]])
    found = speech.flat(vectors)
    apart = vectors - vectors.mean(0)
    _, axes = np.linalg.eigh(apart.T @ apart)
    wanted = np.abs(apart @ axes[:, [-1, -2]])
    np.testing.assert_allclose(np.abs(found), wanted, atol=1e-9)


@needs_data
def test_the_quick_run(whole: dict[str, Any]) -> None:
    result = whole["result"]
    assert result["accuracy"] > 0.7
    confusion = np.array(result["confusion"])
    assert confusion.sum() == 370
    assert result["accuracy"] == pytest.approx(np.trace(confusion) / 370)
    losses = {kind: f["loss"] for kind, f in result["validation"].items()}
    assert result["chosen"] == min(losses, key=lambda kind: losses[kind])
    assert result["padding"] < 1e-5
    assert result["heard"]["29"] == pytest.approx(result["accuracy"])
    assert f"Chosen: {result['chosen']}" in whole["text"]
    check(whole, "voices", "confusion", "prints", "heard")
