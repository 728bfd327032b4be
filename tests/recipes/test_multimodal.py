"""multimodal: the product by hand, where it looks, the quick run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import multimodal
from chainrule.recipes.datasets import easy_vqa
from tests.ways import ENGINES

from .runs import check, needing

RECIPE = "multimodal"

needs_data = needing("easy_vqa", "PIL")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_product_by_hand(engine: str) -> None:
    """From the convolutions' maps on, in float64; a question with and one without."""
    rng = np.random.default_rng(0)
    cr.manual_seed(0)
    model = multimodal.AnswerNetwork()
    pixels = rng.random((2, 3, 64, 64)).astype("f4")
    words = rng.integers(0, 27, (2, 3, 9)).astype("i4")
    words[0, 1] = 0
    scores = cr.compile(model, engine=engine, threads=1)
    made = scores(cr.tensor(pixels), cr.tensor(words)).numpy()
    a = cr.tensor(pixels - 0.5)
    for i, convolution in enumerate(model.convolutions):
        a = convolution(a).relu()
        a = cr.nn.functional.max_pool2d(a, 2) if i < 2 else a
    maps = a.numpy().astype("f8")
    p = {k: np.asarray(v, "f8") for k, v in model.state_dict().items()}
    assert maps.shape == (2, 64, 8, 8)
    seen = np.concatenate([maps.max((2, 3)), maps.mean((2, 3))], 1)
    seen = (seen - seen.mean(1)[:, None]) / np.sqrt(seen.var(1)[:, None] + 1e-5)
    seen = seen * p["norm.weight"] + p["norm.bias"]
    v = np.tanh(seen @ p["vision.weight"].T + p["vision.bias"])
    table = p["table.weight"].copy()
    table[0] = 0
    for i in range(2):
        for k in range(3):
            q = table[words[i, k]].sum(0)
            q = np.tanh(p["language.weight"] @ q + p["language.bias"])
            h = p["joined.weight"] @ (v[i] * q) + p["joined.bias"]
            wanted = p["scores.weight"] @ np.maximum(0, h) + p["scores.bias"]
            np.testing.assert_allclose(made[i, k], wanted, atol=1e-4)


def test_without_an_input_it_makes_no_difference() -> None:
    rng = np.random.default_rng(1)
    a, b = (cr.tensor(rng.random((1, 3, 64, 64)).astype("f4")) for _ in "12")
    ask, other = (cr.tensor(np.full((1, 1, 9), n, "i4")) for n in (3, 4))
    for image, question in ((False, True), (True, False), (True, True)):
        cr.manual_seed(0)
        model = multimodal.AnswerNetwork(image, question)
        first = model(a, ask).numpy()
        assert (np.abs(model(b, ask).numpy() - first).max() > 1e-6) == image
        assert (np.abs(model(a, other).numpy() - first).max() > 1e-6) == question


def test_where_it_looks_by_differences() -> None:
    """The largest slope among the colours of a pixel, by difference quotients."""
    rng = np.random.default_rng(2)
    cr.manual_seed(3)
    model = multimodal.AnswerNetwork()
    image = rng.integers(0, 256, (3, 64, 64)).astype("u1")
    words = np.array([1, 2, 3, 0, 0, 0, 0, 0, 0], "i4")
    found = multimodal.saliency(model, image, words)
    model = model.to("float64")
    pixels = image[None] / np.float64(255)

    def best(x: np.ndarray) -> float:
        return float(model(cr.tensor(x), cr.tensor(words[None, None])).numpy().max())

    for i, j in ((0, 0), (30, 31), (63, 5)):
        slopes = []
        for colour in range(3):
            up, down = pixels.copy(), pixels.copy()
            up[0, colour, i, j] += 1e-5
            down[0, colour, i, j] -= 1e-5
            slopes.append(abs(best(up) - best(down)) / 2e-5)
        assert found[i, j] == pytest.approx(max(slopes), rel=2e-3, abs=1e-7)


@needs_data
def test_the_quick_run(whole: dict[str, Any]) -> None:
    result = whole["result"]
    assert set(result["types"]) == set(easy_vqa.TYPES)
    assert 0.4 < result["accuracy"] <= 1
    assert result["inputs"]["both"] == result["accuracy"]
    questions = 1957  # questions of the first 200 pictures
    assert result["wrong"] == round((1 - result["accuracy"]) * questions)
    assert f"{result['wrong']} of {questions} answers are wrong" in whole["text"]
    check(whole, "accuracy", "answers")
