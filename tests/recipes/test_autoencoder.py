"""autoencoder: the variational bound by hand, and the quick run."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.recipes import autoencoder

from .runs import check

RECIPE = "autoencoder"


def test_numbers_of_the_table_are_those_of_the_result(whole: dict[str, Any]) -> None:
    result, text = whole["result"], whole["text"]
    for code, row in result["codes"].items():
        assert f"{code:>10} {row['pca']:6.2f}   {row['network']:7.2f}" in text
    for code, row in result["variational"].items():
        assert row["bound"] == pytest.approx(row["reconstruction"] + row["kl"])
        (line,) = re.findall(rf"^ +{code} +[\d.]+ +[\d.]+ +([\d.]+)$", text, re.M)
        assert float(line) == pytest.approx(row["bound"], abs=0.006)


def test_the_quick_run(whole: dict[str, Any]) -> None:
    codes, bound = whole["result"]["codes"], whole["result"]["variational"]
    x = cr.data.mnist()[1].x[:500]
    nothing = np.square(x - x.mean(0)).sum(1).mean()
    assert codes["30"]["network"] < codes["30"]["pca"] < nothing
    assert codes["2"]["network"] < codes["2"]["pca"] < nothing
    p = np.clip(x.mean(0), 1e-6, 1 - 1e-6)  # one distribution for all images
    alike = -(x * np.log(p) + (1 - x) * np.log1p(-p)).sum(1).mean()
    assert bound["20"]["bound"] < bound["2"]["bound"] < alike
    check(whole, "reconstructed", "map", "samples", "plane")


def test_the_bound_by_hand(rng: np.random.Generator, engine: str) -> None:
    """Its two terms with the ε that the engine draws, in double precision."""
    cr.manual_seed(3)
    model = autoencoder.Variational(16, 4)
    x = rng.random((6, 784)).astype("f4")
    terms = cr.compile(model.terms, engine=engine, threads=1)
    cr.manual_seed(4)
    made = [term.item() for term in terms(x)]
    cr.manual_seed(4)
    noise = cr.randn(6, 4).numpy().astype("f8")

    weights = {k: np.asarray(v, "f8") for k, v in model.state_dict().items()}

    def linear(name: str, v: np.ndarray) -> np.ndarray:
        return v @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    code = linear("encoder.2", np.maximum(linear("encoder.0", x), 0))
    mean, variance = code[:, :4], np.exp(code[:, 4:])
    z = mean + np.sqrt(variance) * noise
    p = 1 / (1 + np.exp(-linear("decoder.2", np.maximum(linear("decoder.0", z), 0))))
    drawn = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1).mean()
    kl = sum(0.5 * (m * m + v - 1 - np.log(v)) for m, v in zip(mean.T, variance.T))
    np.testing.assert_allclose(made[0], drawn, rtol=1e-5)
    np.testing.assert_allclose(made[1], np.mean(kl), rtol=1e-4)
    images = 1 / (
        1 + np.exp(-linear("decoder.2", np.maximum(linear("decoder.0", z), 0)))
    )
    np.testing.assert_allclose(model.sample(z), images, rtol=1e-4, atol=1e-6)
