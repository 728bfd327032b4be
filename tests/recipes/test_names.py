"""names: the networks by their formulas, sampling, and the quick run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.recipes import Experiment
from chainrule.recipes import given_names as names
from chainrule.recipes.datasets import first_names

from .runs import check, need

RECIPE = "names"

need("names")


def test_the_network_reads_the_last_six_letters() -> None:
    cr.manual_seed(0)
    model = names.Feedforward().eval()
    w = {k: np.asarray(v, float) for k, v in model.state_dict().items()}
    x, _ = first_names.sequences(["christopher", "bo"])
    for row, scores in zip(x, model(cr.tensor(x)).numpy()):
        for t in range(len(row)):
            last = [0] * 6 + row[: t + 1].tolist()
            z = np.concatenate([w["table.weight"][i] for i in last[-6:]])
            z = np.tanh(w["hidden.weight"] @ z + w["hidden.bias"])
            z = w["scores.weight"] @ z + w["scores.bias"]
            assert scores[:, t] == pytest.approx(z, abs=1e-5)


@pytest.mark.parametrize("network", [names.Feedforward, names.Recurrent])
def test_no_letter_to_come_is_read(network: type[nn.Module]) -> None:
    cr.manual_seed(0)
    model = network().eval()
    x, _ = first_names.sequences(["anna", "anne"])
    a, b = model(cr.tensor(x)).numpy()
    assert np.array_equal(a[:, :4], b[:, :4])
    assert not np.allclose(a[:, 4], b[:, 4])


class Fixed(nn.Module):
    """A model whose p(next) is ½, 0.3, 0.2 for the end, a and b, then the end alone."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        z = np.full((*x.shape, 27), -100.0)
        z[..., :3] = np.log([0.5, 0.3, 0.2])
        z[:, 3:, 0] = 100
        return cr.tensor(z).transpose(1, 2)


def test_names_are_drawn_from_p() -> None:
    """Each letter is as frequent as its softmax says."""
    made = names.invent(Fixed(), np.random.default_rng(0), 4000)
    for i in range(3):
        letters = Counter(name[i : i + 1] for name in made if len(name) >= i)
        count = letters.total()
        for letter, p in (("", 0.5), ("a", 0.3), ("b", 0.2)):
            assert abs(letters[letter] / count - p) < 4 * (p * (1 - p) / count) ** 0.5
    assert set("".join(made)) == {"a", "b"}
    assert max(map(len, made)) == 3


def test_a_letter_of_unseen_names(whole: dict[str, Any]) -> None:
    """The bigram's cost, against tables made here, and what is gained on it."""
    parts = first_names.read(Experiment("names").folder("names", "names"))
    results = whole["result"]["models"]
    alpha = results["2-gram"]["alpha"]
    train = parts["train"][:1500]
    pairs = Counter(p for n in train for p in zip("." + n, n + "."))
    firsts = Counter(a for (a, _), k in pairs.items() for _ in range(k))
    costs = [
        -np.log((pairs[a, b] + alpha) / (firsts[a] + 27 * alpha))
        for n in parts["test"]
        for a, b in zip("." + n, n + ".")
    ]
    bigram, network = results["2-gram"]["test"], results["network"]["test"]
    assert bigram == pytest.approx(np.mean(costs), rel=1e-9)
    assert whole["result"]["gain"]["network"] == pytest.approx(bigram - network)
    assert f"network  {network:.3f}" in whole["text"]
    assert network < results["1-gram"]["test"]


def test_the_quick_run(whole: dict[str, Any]) -> None:
    for model in ("network", "gru"):
        samples = whole["result"]["models"][model]["samples"]
        assert set(samples) == {"1", "2"}
        assert f"epoch  2   {', '.join(samples['2'])}" in whole["text"]
    check(whole, "losses", "embeddings")
    assert "1,500 to learn from" in whole["text"]
