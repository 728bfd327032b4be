"""speech: masking, the voice print by hand, the quick run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, speech
from chainrule.recipes.datasets import japanese_vowels
from tests.ways import ENGINES

from .runs import check, needing

RECIPE = "speech"

needs_data = needing("aeon")


@pytest.mark.parametrize("name", speech.NETWORKS)
@pytest.mark.parametrize("engine", ENGINES)
def test_what_follows_the_end_says_nothing(name: str, engine: str) -> None:
    """Alone, beside a longer one, and with zeros behind: the same scores."""
    rng = np.random.default_rng(0)
    experiment = Experiment(engine=engine, threads=1)
    short, long = rng.standard_normal((7, 12)), rng.standard_normal((15, 12))
    model = speech.trainer(experiment, name, 0).model.eval()
    scores = cr.compile(model, engine=engine, threads=1)
    alone = scores(cr.tensor(japanese_vowels.padded([short], [short, long]))).numpy()
    both = scores(
        cr.tensor(japanese_vowels.padded([short, long], [short, long]))
    ).numpy()
    np.testing.assert_allclose(both[0], alone[0], atol=1e-5)
    assert np.abs(both[1] - both[0]).max() > 1e-3


def test_the_voice_print_by_hand() -> None:
    """μ and σ over the real steps, in float64, from what the windows give."""
    rng = np.random.default_rng(1)
    utterances = [rng.standard_normal((n, 12)) for n in (7, 10)]
    x = japanese_vowels.padded(utterances, utterances)
    name = next(iter(speech.NETWORKS))
    model: Any = speech.trainer(Experiment(engine="numpy"), name, 0).model.eval()
    prints = model.voice_print(cr.tensor(x)).numpy()
    for row, utterance, found in zip(x, utterances, prints):
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
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@needs_data
def test_the_quick_run(whole: dict[str, Any]) -> None:
    result = whole["result"]
    assert result["accuracy"] > 0.7
    confusion = np.array(result["confusion"])
    assert confusion.sum() == 370
    assert result["accuracy"] == pytest.approx(np.trace(confusion) / 370)
    losses = {name: f["loss"] for name, f in result["validation"].items()}
    assert result["chosen"] == min(losses, key=lambda name: losses[name])
    assert result["heard"]["29"] == pytest.approx(result["accuracy"])
    assert f"Chosen: {result['chosen']}" in whole["text"]
    check(whole, "voices", "confusion", "prints")
