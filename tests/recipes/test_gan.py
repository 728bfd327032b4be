"""gan: one step of both networks against PyTorch, and the quick run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.recipes import Experiment, gan
from chainrule.recipes.evaluation.parzen import log_densities

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
    _, train = gan.training_step(experiment, game, s)

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
    drawn = gan.generate(experiment, game.generator, 5, seed=1)
    z = np.random.default_rng([1, 5]).uniform(-1, 1, (5, gan.NOISE)).astype("f4")
    with torch.no_grad():
        said = (g(torch.tensor(z)).numpy() + 1) / 2
    np.testing.assert_allclose(drawn, said, atol=0.02)
    assert game.training


def test_the_quick_run(whole: dict[str, Any]) -> None:
    mean, real = whole["result"]["averaged"], whole["result"]["real"]
    assert sum(mean["shares"]) == pytest.approx(1)
    assert mean["classes"] == 10  # and the judge is sure of what it reads
    assert mean["confidence"] > 0.85
    assert mean["kl"] < 0.2
    assert real["classes"] == 10
    assert real["kl"] < 0.05
    blank = log_densities(cr.data.mnist()[1].x[:200], np.zeros((1, 784)))
    assert mean["parzen"] > blank.mean(0).max() + 20
    for row in (mean, real):
        assert f"{row['parzen']:.1f} ± {row['error']:.1f}" in whole["text"]
    check(whole, "growth", "samples", "nearest")
