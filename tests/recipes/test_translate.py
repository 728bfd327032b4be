"""translate: its decoding, its loss, and the quick run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.recipes import Experiment, translate
from chainrule.recipes.datasets import dates_and_numbers as language

from .runs import check

RECIPE = "translate"


def small() -> Any:
    cr.manual_seed(0)
    model = translate.Translator()
    for p in model.parameters():
        if p.ndim == 2:
            p.copy_(p.numpy() * 2)  # so that it says more than one word
    return model, Experiment("t", engine="numpy")


def test_greedy_decoding_step_by_step() -> None:
    """The compiled translation is that of an eager loop, token by token."""
    model, experiment = small()
    texts = ["March 5, 1987", "三百零五", "民國七十六年三月五日"]
    rows = language.encode(texts, language.SOURCE_LENGTH)
    results = experiment.compile(cr.no_grad()(model.translate))(rows)
    tokens, attention = (t.numpy() for t in results)
    source, written = cr.tensor(rows), [[language.START] for _ in texts]
    for _ in range(language.TARGET_LENGTH):
        target = cr.tensor(written)
        scores, weights = model.decode(target, model.encode(source), source)
        for row, best in zip(written, scores.numpy()[:, -1].argmax(1)):
            row.append(int(best))
    assert tokens.tolist() == [row[1:] for row in written]
    assert len({*tokens.ravel().tolist()}) > 3
    assert attention == pytest.approx(weights.numpy(), abs=1e-5)
    assert attention.sum(2) == pytest.approx(1, abs=1e-5)
    assert attention[rows[:, None].repeat(language.TARGET_LENGTH, 1) == 0].max() == 0


def test_the_loss_by_hand() -> None:
    """The mean over what has to be written; filler does not count."""
    model, experiment = small()
    pairs = [language.pair("English to digits", n) for n in range(translate.BATCH)]
    source = language.encode([s for s, _ in pairs], language.SOURCE_LENGTH)
    target = language.encode([t for _, t in pairs], language.TARGET_LENGTH, start=True)
    assert target[12].tolist()[:4] == [
        language.START,
        *(language.NUMBER_OF[c] for c in "12"),
        language.END,
    ]
    read = cr.tensor(source)
    z, _ = model.decode(cr.tensor(target[:, :-1]), model.encode(read), read)
    z = z.numpy().astype(float)
    z = z - np.log(np.exp(z).sum(-1, keepdims=True))
    wanted = target[:, 1:]
    costs = -np.take_along_axis(z, wanted[..., None].astype(int), 2)[..., 0]
    sgd = optim.SGD(model.parameters(), lr=0.1)
    loss = translate.training_step(experiment, model, sgd)(source, target)
    assert loss.item() == pytest.approx(costs[wanted != language.PAD].mean(), rel=1e-4)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    result, text = whole["result"], whole["text"]
    assert [sample["step"] for sample in result["samples"]] == [60, 120, 180, 240, 300]
    assert result["exact"] > 0.4  # it learns, however quick
    assert result["samples"][-1]["loss"] < result["samples"][0]["loss"] < 4
    assert set(result["accuracy"]) == set(language.ALL)
    assert result["exact"] == pytest.approx(np.mean(list(result["accuracy"].values())))
    assert "民國七十六年三月五日  →  1987-03-05" in text
    for sample in result["samples"]:
        assert "   ".join(sample["translations"])[:68] in text
    for source, target, translation in result["mistakes"]:
        assert translation != target
        assert source != target
    check(whole, "attention-date", "attention-number")
