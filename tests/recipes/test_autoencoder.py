"""autoencoder against NumPy and scikit-learn, cut short, and to its references."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import recipes, viz
from chainrule.recipes import Experiment, autoencoder, held
from chainrule.training import compile_program

from .cutting import cut_short


def performed(out: Path | None, engine: str = "numpy", again: bool = False) -> Any:
    experiment = Experiment(
        "autoencoder", engine=engine, threads=1, quick=True, out=out
    )
    with contextlib.redirect_stdout(io.StringIO()) as text:
        told = recipes.perform(experiment, again=again)
    return told["result"], text.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One quick run with pictures; ``text`` is what it printed."""
    out = tmp_path_factory.mktemp("autoencoder") / "run"
    result, text = performed(out)
    return {"result": result, "text": text, "out": out}


def test_numbers_of_the_table_are_those_of_the_result(whole: dict[str, Any]) -> None:
    result, text = whole["result"], whole["text"]
    for code, found in result["codes"].items():
        assert f"{code:>10} {found['pca']:6.2f}   {found['network']:7.2f}" in text
    for code, found in result["variational"].items():
        assert found["bound"] == pytest.approx(found["drawn"] + found["kl"])
        (line,) = re.findall(rf"^ +{code} +[\d.]+ +[\d.]+ +([\d.]+)$", text, re.M)
        assert float(line) == pytest.approx(found["bound"], abs=0.006)


def test_even_a_quick_one_learns(whole: dict[str, Any]) -> None:
    codes, bound = whole["result"]["codes"], whole["result"]["variational"]
    x = cr.data.mnist()[1].x[:500]
    nothing = np.square(x - x.mean(0)).sum(1).mean()
    assert codes["30"]["network"] < 0.4 * nothing
    assert codes["2"]["network"] < codes["2"]["pca"] < nothing
    p = np.clip(x.mean(0), 1e-6, 1 - 1e-6)  # one distribution for all images
    alike = -(x * np.log(p) + (1 - x) * np.log1p(-p)).sum(1).mean()
    assert bound["20"]["bound"] < bound["2"]["bound"] < alike


def test_components_are_scikit_learns(rng: np.random.Generator) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    x = (rng.standard_normal((300, 20)) @ rng.standard_normal((20, 20))).astype("f4")
    fresh = rng.standard_normal((50, 20)).astype("f4")
    mine, theirs = autoencoder.Components(x, 5), decomposition.PCA(5).fit(x)
    rebuilt = theirs.inverse_transform(theirs.transform(fresh))
    np.testing.assert_allclose(mine.predict(fresh), rebuilt, rtol=1e-3, atol=1e-3)
    error = np.mean([sum((a - b) ** 2) for a, b in zip(fresh, rebuilt)])
    assert autoencoder.squared_error(fresh, mine.predict(fresh)) == pytest.approx(
        error, rel=1e-4
    )


@pytest.mark.slow
def test_components_are_those_of_the_paper() -> None:
    train, test = (part.x[:] for part in cr.data.mnist())
    rebuilt = autoencoder.Components(train, 30).predict(test)
    assert autoencoder.squared_error(test, rebuilt) == pytest.approx(13.87, abs=0.005)


def test_the_bound_by_hand(rng: np.random.Generator, engine: str) -> None:
    """Its two terms with the ε that the engine draws, in double precision."""
    cr.manual_seed(3)
    model = autoencoder.Variational(16, 4)
    x = rng.random((6, 784)).astype("f4")
    program = compile_program(
        {"terms": lambda x: dict(zip("dk", model.terms(x)))},
        {"x": "f32[6,784]"},
        model=model,
        engine=engine,
        threads=1,
    )
    cr.manual_seed(4)
    made = program.run("terms", {"x": x})
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
    np.testing.assert_allclose(made["d"], drawn, rtol=1e-5)
    np.testing.assert_allclose(made["k"], np.mean(kl), rtol=1e-4)
    images = 1 / (
        1 + np.exp(-linear("decoder.2", np.maximum(linear("decoder.0", z), 0)))
    )
    np.testing.assert_allclose(model.draw(z), images, rtol=1e-4, atol=1e-6)


def test_cut_short_it_goes_on_bit_for_bit(
    whole: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    cut_short(lambda: performed(out, again=True), after=[1, 7, 20])
    assert performed(out, again=True) == (whole["result"], whole["text"])


def test_engines_agree(whole: dict[str, Any]) -> None:
    native, _ = performed(None, engine="native")
    for part, key in (("codes", "network"), ("variational", "bound")):
        for code, found in whole["result"][part].items():
            assert native[part][code][key] == pytest.approx(found[key], rel=0.02)


@pytest.mark.skipif(not viz.can_plot(), reason="needs matplotlib")
def test_the_pictures(whole: dict[str, Any]) -> None:
    for name in ("rebuilt-30", "rebuilt-2", "map", "samples", "plane"):
        assert (whole["out"] / f"{name}.png").stat().st_size > 5000
    assert (whole["out"] / "report.html").exists()


@pytest.mark.slow
def test_the_references() -> None:
    result = autoencoder.run(Experiment("autoencoder", seed=1))
    assert all(row["reached"] for row in held(autoencoder.REFERENCES, result))
