"""gan against PyTorch and sums by hand, cut short, and to its references."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.recipes import Experiment, gan

from .runs import check

RECIPE = "gan"


def test_the_losses_are_those_of_the_probabilities(rng: np.random.Generator) -> None:
    scores = rng.standard_normal((8, 1)).astype("f4")
    p = 1 / (1 + np.exp(-scores.astype("f8")))
    for real, given in ((True, p), (False, 1 - p)):
        said = gan.adversarial_loss(cr.tensor(scores), real).item()
        assert said == pytest.approx(-np.log(given).mean(), rel=1e-5)


def test_one_move_of_each_is_pytorchs(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D, then G against the new D, without dropout; G's batch norm sees both."""
    torch = pytest.importorskip("torch")
    dropout = nn.Dropout
    monkeypatch.setattr(nn, "Dropout", lambda p: dropout(0.0))
    x = cr.data.mnist()[0].x[: gan.BATCH_SIZE]
    experiment = Experiment("gan", engine=engine, threads=1)
    cr.manual_seed(0)
    game, s = gan.GAN(gan.QUICK), gan.QUICK
    adams = gan.adam(game.generator, s), gan.adam(game.discriminator, s)
    train = gan.training_step(experiment, game, *adams, s.beta)

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
    lr = {"lr": s.lr, "betas": gan.BETAS}
    for_g, for_d = (torch.optim.Adam(n.parameters(), **lr) for n in (g, d))
    cr.manual_seed(9)
    made_up = g(torch.tensor(cr.uniform(gan.BATCH_SIZE, gan.NOISE, low=-1.0).numpy()))

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
    d_loss, g_loss = train(x)
    assert d_loss.item() == pytest.approx(loss.item(), rel=1e-4)
    assert g_loss.item() == pytest.approx(other.item(), rel=1e-4)
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
        share = 0.0 if counted else 1 - s.beta
        wanted = began[name] + share * (now.numpy() - began[name])
        np.testing.assert_allclose(mean.numpy(), wanted, atol=1e-6)
    g.eval()
    drawn = gan.generated(experiment, game.generator, 5, seed=1)
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


def test_the_quick_run(whole: dict[str, Any]) -> None:
    made, real = whole["result"]["made"], whole["result"]["real"]
    assert sum(made["shares"]) == pytest.approx(1)
    assert made["digits"] == 10  # and the judge is sure of what it reads
    assert made["confidence"] > 0.85
    assert made["lost"] < 0.2
    assert real["digits"] == 10
    assert real["lost"] < 0.05
    blank = gan.parzen(cr.data.mnist()[1].x[:200], np.zeros((1, 784)), gan.SIGMAS)
    assert made["parzen"] > blank.mean(0).max() + 20
    for told in (made, real):
        assert f"{told['parzen']:.1f} ± {told['error']:.1f}" in whole["text"]
    check(whole, "losses", "growth", "samples", "nearest", "shares")
