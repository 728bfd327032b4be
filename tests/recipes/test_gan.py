"""gan against PyTorch and sums by hand, cut short, and to its references."""

from __future__ import annotations

import contextlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, recipes, viz
from chainrule.recipes import Experiment, gan, held

from .cutting import cut_short


def performed(out: Path | None, engine: str = "numpy", again: bool = False) -> Any:
    experiment = Experiment("gan", engine=engine, threads=1, quick=True, out=out)
    with contextlib.redirect_stdout(io.StringIO()) as text:
        told = recipes.perform(experiment, again=again)
    return told["result"], text.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One quick run with pictures; ``text`` is what it printed."""
    out = tmp_path_factory.mktemp("gan") / "run"
    result, text = performed(out)
    return {"result": result, "text": text, "out": out}


def test_the_losses_are_those_of_the_probabilities(rng: np.random.Generator) -> None:
    scores = rng.standard_normal((8, 1)).astype("f4")
    p = 1 / (1 + np.exp(-scores.astype("f8")))
    for real, given in ((True, p), (False, 1 - p)):
        said = gan.versus(cr.tensor(scores), real).item()
        assert said == pytest.approx(-np.log(given).mean(), rel=1e-5)


def test_one_move_of_each_is_pytorchs(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D, then G against the new D, without dropout; G's batch norm sees both."""
    torch = pytest.importorskip("torch")
    dropout = nn.Dropout
    monkeypatch.setattr(nn, "Dropout", lambda p: dropout(0.0))
    x = cr.data.mnist()[0].x[: gan.BATCH_SIZE]
    experiment = Experiment("gan", engine=engine, threads=1, quick=True)
    game, loop = gan.game_loop(experiment, x)

    def theirs(network: Any) -> Any:
        layers = []
        for layer in network:
            if isinstance(layer, nn.Linear):
                outputs, inputs = layer.weight.shape
                made = torch.nn.Linear(inputs, outputs, bias=layer.bias is not None)
            elif isinstance(layer, nn.BatchNorm1d):
                made = torch.nn.BatchNorm1d(layer.weight.shape[0])
            elif isinstance(layer, nn.LeakyReLU):
                made = torch.nn.LeakyReLU(0.2)
            else:
                made = torch.nn.Tanh() if isinstance(layer, nn.Tanh) else None
            if made is not None and (own := layer.state_dict()):
                tensors = {k: torch.tensor(np.asarray(v)) for k, v in own.items()}
                made.load_state_dict(tensors, strict=False)
            layers += [made] * (made is not None)
        return torch.nn.Sequential(*layers)

    g, d = theirs(game.generator), theirs(game.discriminator)
    began = {name: t.numpy().copy() for name, t in game.mean.named_tensors()}
    lr = {"lr": gan.QUICK_LR, "betas": gan.BETAS}
    for_g, for_d = (torch.optim.Adam(n.parameters(), **lr) for n in (g, d))
    cr.manual_seed(9)
    made_up = g(torch.tensor(gan.noise(gan.BATCH_SIZE).numpy()))

    bce = torch.nn.functional.binary_cross_entropy_with_logits
    ones, zeros = torch.ones(len(x), 1), torch.zeros(len(x), 1)
    seen, taken = d(2 * torch.tensor(x) - 1), d(made_up.detach())
    loss = bce(seen, ones) + bce(taken, zeros)
    for_d.zero_grad()
    loss.backward()
    for_d.step()
    other = bce(d(made_up), ones)
    for_g.zero_grad()
    other.backward()
    for_g.step()

    cr.manual_seed(9)
    made = loop.program.run("play", {"x": x})
    assert float(made["loss"]) == pytest.approx(loss.item(), rel=1e-4)
    assert float(made["generator"]) == pytest.approx(other.item(), rel=1e-4)
    for mine, yours in ((game.generator, g), (game.discriminator, d)):
        ours = [p.numpy() for p in mine.parameters()]
        torchs = [p.detach().numpy() for p in yours.parameters()]
        assert len(ours) == len(torchs)
        for a, b in zip(ours, torchs):
            far = np.abs(a - b) > 1e-4  # Adam's first step is η sign(g)
            assert far.mean() < 0.002
    for (name, mean), (_, now) in zip(
        game.mean.named_tensors(), game.generator.named_tensors()
    ):
        counted = name.endswith("num_batches_tracked")
        share = 0.0 if counted else 1 - gan.QUICK_KEPT
        wanted = began[name] + share * (now.numpy() - began[name])
        np.testing.assert_allclose(mean.numpy(), wanted, atol=1e-6)
    g.eval()
    drawn = gan.drawn(loop, 5, seed=1)["last"]
    z = np.random.default_rng([1, 5]).uniform(-1, 1, (5, gan.NOISE)).astype("f4")
    with torch.no_grad():
        said = (g(torch.tensor(z)).numpy() + 1) / 2
    np.testing.assert_allclose(drawn, said, atol=0.02)
    assert game.training


def test_the_likelihood_by_hand(rng: np.random.Generator) -> None:
    x, centres = rng.random((260, 7)), rng.random((30, 7))
    sigmas = np.array([0.1, 0.5])
    found = gan.parzen(x, centres, sigmas)
    assert found.shape == (260, 2)
    for i in (0, 249, 250, 259):
        for j, s in enumerate(sigmas):
            total = 0.0
            for centre in centres:
                square = sum((a - b) ** 2 for a, b in zip(x[i], centre))
                total += math.exp(-square / (2 * s**2)) / (2 * math.pi * s**2) ** 3.5
            assert found[i, j] == pytest.approx(math.log(total / 30), rel=1e-9)


def test_far_from_all_samples_it_is_still_a_number() -> None:
    (found,) = gan.parzen(np.ones((1, 784)), np.zeros((2, 784)), np.array([0.1]))[0]
    assert found == pytest.approx(-784 / 0.02 - 392 * math.log(2 * math.pi * 0.01))


def test_sigma_is_chosen_by_validation_images(rng: np.random.Generator) -> None:
    """Samples of N(0, σ²): around one centre the best σ is the deviation."""
    made = np.zeros((1, 50))
    validation, test = (s * rng.standard_normal((400, 50)) for s in (0.2, 0.35))
    told = gan.likelihood(made, validation, test)
    assert told["sigma"] == pytest.approx(0.2, rel=0.04)
    ln = -np.square(test).sum(1) / (2 * told["sigma"] ** 2)
    ln -= 25 * np.log(2 * np.pi * told["sigma"] ** 2)
    assert told["parzen"] == pytest.approx(ln.mean())
    assert told["error"] == pytest.approx(ln.std(ddof=1) / 20)


def test_what_the_judge_counts() -> None:
    class Judge:
        def predict(self, images: Any, output: str) -> np.ndarray:
            assert output == "probabilities"
            rows = np.full((200, 10), 0.02)
            rows[np.arange(200), np.repeat([3, 8], [150, 50])] = 0.82
            return rows

    told = gan.counted(Judge(), np.zeros((200, 784)))  # type: ignore[arg-type]
    assert told["shares"] == [0, 0, 0, 0.75, 0, 0, 0, 0, 0.25, 0]
    assert told["digits"] == 2
    assert told["confidence"] == pytest.approx(0.82)
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert told["lost"] == pytest.approx(math.log(10) - entropy)


def test_even_a_quick_one_draws(whole: dict[str, Any]) -> None:
    made, real = whole["result"]["made"], whole["result"]["real"]
    assert sum(made["shares"]) == pytest.approx(1)
    assert real["digits"] == 10
    assert real["lost"] < 0.05
    blank = gan.parzen(cr.data.mnist()[1].x[:200], np.zeros((1, 784)), gan.SIGMAS)
    assert made["parzen"] > blank.mean(0).max() + 20
    for told in (made, real):
        assert f"{told['parzen']:.1f} ± {told['error']:.1f}" in whole["text"]


def test_cut_short_it_goes_on_bit_for_bit(
    whole: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    cut_short(lambda: performed(out, again=True), after=[2, 9, 6])
    assert performed(out, again=True) == (whole["result"], whole["text"])
    assert performed(out, again=True) == (whole["result"], whole["text"])  # all read
    if viz.can_plot():
        for name in ("growth", "nearest"):
            file = f"{name}.png"
            assert (out / file).read_bytes() == (whole["out"] / file).read_bytes()


def test_engines_agree(whole: dict[str, Any]) -> None:
    """A game goes its own way after a rounding; it ends up as good."""
    native, _ = performed(None, engine="native")
    for key in ("parzen", "sigma", "error"):
        assert native["real"][key] == pytest.approx(whole["result"]["real"][key])
    assert native["made"]["parzen"] == pytest.approx(
        whole["result"]["made"]["parzen"], abs=30
    )


@pytest.mark.skipif(not viz.can_plot(), reason="needs matplotlib")
def test_the_pictures(whole: dict[str, Any]) -> None:
    for name in ("losses", "growth", "samples", "nearest", "shares"):
        assert (whole["out"] / f"{name}.png").stat().st_size > 5000
    assert (whole["out"] / "report.html").exists()


@pytest.mark.slow
def test_the_references() -> None:
    result = gan.run(Experiment("gan", seed=2))
    assert all(r["reached"] for r in held(gan.REFERENCES, result))
    for key in ("parzen", "confidence"):
        assert result["made"][key] > result["last"][key]
    assert result["made"]["lost"] < result["last"]["lost"]
