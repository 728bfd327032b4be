"""multimodal: the data, the product by hand, where it looks, a kill, the figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import Experiment, multimodal

from .runs import check, needing

RECIPE = "multimodal"

needs_data = needing("easy_vqa", "PIL")


def folder() -> Path:
    return Experiment("multimodal").folder("easy_vqa", "") / "data"


@needs_data
@pytest.mark.parametrize(
    ("part", "n", "asked"), [("train", 4000, 38575), ("test", 1000, 9673)]
)
def test_the_questions(part: str, n: int, asked: int) -> None:
    """Every word and answer has a number; no picture has a question twice."""
    rows = json.loads((folder() / part / "questions.json").read_text("utf-8"))
    assert (len(rows), len({i for _, _, i in rows})) == (asked, n)
    assert {a for _, a, _ in rows} == set(multimodal.ANSWERS)
    words = {word for text, _, _ in rows for word in multimodal.split(text)}
    assert words == set(multimodal.WORDS)
    assert len(set(multimodal.WORDS)) == len(multimodal.WORDS) == 26
    assert len({(text, i) for text, _, i in rows}) == asked


@needs_data
def test_pictures_with_their_questions() -> None:
    import PIL.Image

    data = multimodal.Pictures(folder() / "test", PIL.Image.open, 6)
    rows = json.loads((folder() / "test" / "questions.json").read_text("utf-8"))
    mine = [row for row in rows if row[2] == 3]
    assert data.texts[3] == [text for text, _, _ in mine]
    assert data.asked[3].sum() == len(mine)
    for k, (text, answer, _) in enumerate(mine):
        numbers = [n for n in data.words[3, k] if n]
        assert [multimodal.WORDS[n - 1] for n in numbers] == text.strip("?").split()
        assert multimodal.ANSWERS[data.answers[3, k]] == answer
    with PIL.Image.open(folder() / "test" / "images" / "3.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (data.images[3, 1] == pixels[:, :, 1]).all()
    all_tests = multimodal.Pictures(folder() / "test", PIL.Image.open)
    assert (len(all_tests), int(all_tests.asked.sum())) == (1000, 9673)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("is a green shape present?", "is it there?"),
        ("does the image not contain a circle?", "is it not there?"),
        ("is no blue shape present?", "is it not there?"),
        ("what is the color of the shape?", "which colour?"),
        ("what is the red shape?", "which shape?"),
    ],
)
def test_kinds_of_questions(text: str, kind: str) -> None:
    assert multimodal.kind_of(text) == kind


@pytest.mark.parametrize("engine", ["numpy", "native"])
def test_the_product_by_hand(engine: str) -> None:
    """From the convolutions' maps on, in float64; a question with and one without."""
    rng = np.random.default_rng(0)
    cr.manual_seed(0)
    model = multimodal.Asked()
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


def test_without_a_sense_it_makes_no_difference() -> None:
    rng = np.random.default_rng(1)
    a, b = (cr.tensor(rng.random((1, 3, 64, 64)).astype("f4")) for _ in "12")
    ask, other = (cr.tensor(np.full((1, 1, 9), n, "i4")) for n in (3, 4))
    for sees, hears in ((False, True), (True, False), (True, True)):
        cr.manual_seed(0)
        model = multimodal.Asked(sees, hears)
        told = model(a, ask).numpy()
        assert (np.abs(model(b, ask).numpy() - told).max() > 1e-6) == sees
        assert (np.abs(model(a, other).numpy() - told).max() > 1e-6) == hears


def test_where_it_looks_by_differences() -> None:
    """The largest slope among the colours of a pixel, by difference quotients."""
    rng = np.random.default_rng(2)
    cr.manual_seed(3)
    model = multimodal.Asked()
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
    assert set(result["kinds"]) == set(multimodal.KINDS)
    assert 0.4 < result["accuracy"] <= 1
    assert result["senses"]["both"] == result["accuracy"]
    asked = 1957  # questions of the first 200 pictures
    assert result["wrong"] == round((1 - result["accuracy"]) * asked)
    assert f"{result['wrong']} of {asked} answers are wrong" in whole["text"]
    check(whole, "accuracy", "looks", "unsure")
