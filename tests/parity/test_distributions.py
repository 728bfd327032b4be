"""Distributions agree with ``torch.distributions``: numbers, derivatives, draws.

Everything is in float64 and agrees to 1e-10, eager and compiled on both engines. Draws
are other random numbers of the same distribution: their moments agree, and their
distribution function by the test of Kolmogorov and Smirnov.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError
from tests.ways import ENGINES

pytestmark = pytest.mark.parity

HERE, THERE = cr.distributions, torch.distributions
rng = np.random.default_rng(0)


def above(*shape: int) -> np.ndarray[Any, Any]:
    return rng.uniform(0.5, 2.0, shape)


def chances(*shape: int) -> np.ndarray[Any, Any]:
    drawn = rng.uniform(0.1, 0.9, shape)
    return drawn / drawn.sum(-1, keepdims=True) if shape[-1:] == (5,) else drawn


REALS, SIZES = rng.normal(size=(4, 3)), above(4, 3)
FACTORS = np.tril(rng.normal(size=(2, 3, 3)), -1) + np.eye(3) * above(2, 1, 3)
COVARIANCE = FACTORS @ FACTORS.transpose(0, 2, 1)
BITS = rng.integers(0, 2, (4, 3)).astype(float)
CLASSES = rng.integers(0, 5, (4, 3))

Named = dict[str, np.ndarray[Any, Any]]
#: A distribution, two sets of parameters, and values in the support of the first.
CASES: list[tuple[str, Named, Named, Any]] = [
    (
        "Normal",
        {"loc": REALS, "scale": SIZES},
        {"loc": REALS[0], "scale": above(3)},
        rng.normal(size=(4, 3)),
    ),
    (
        "Normal",
        {"loc": REALS[0], "scale": above(1)},
        {"loc": REALS, "scale": SIZES},
        0.5,
    ),
    (
        "LogNormal",
        {"loc": REALS, "scale": SIZES},
        {"loc": REALS[1], "scale": above(3)},
        above(4, 3),
    ),
    (
        "Uniform",
        {"low": REALS, "high": REALS + 2},
        {"low": REALS - above(3), "high": REALS + 3},
        REALS + rng.uniform(0.1, 1.9, (4, 3)),
    ),
    ("Exponential", {"rate": SIZES}, {"rate": above(3)}, above(2, 4, 3)),
    (
        "Laplace",
        {"loc": REALS, "scale": SIZES},
        {"loc": REALS[2], "scale": above(3)},
        rng.normal(size=(4, 3)),
    ),
    (
        "Gamma",
        {"concentration": SIZES, "rate": above(3)},
        {"concentration": above(4, 3), "rate": above(4, 3)},
        above(2, 4, 3),
    ),
    (
        "Beta",
        {"concentration1": SIZES + 1, "concentration0": above(3) + 1},
        {"concentration1": above(4, 3), "concentration0": above(4, 3)},
        rng.uniform(0.1, 0.9, (4, 3)),
    ),
    (
        "Dirichlet",
        {"concentration": above(4, 5) + 1},
        {"concentration": above(5)},
        chances(4, 5),
    ),
    ("Bernoulli", {"probs": chances(4, 3)}, {"probs": chances(4, 3)}, BITS),
    ("Bernoulli", {"logits": REALS}, {"logits": REALS[::-1].copy()}, BITS),
    ("Categorical", {"probs": chances(4, 3, 5)}, {"probs": chances(5)}, CLASSES),
    (
        "Categorical",
        {"logits": rng.normal(size=(3, 5))},
        {"probs": chances(3, 5)},
        CLASSES,
    ),
    (
        "MultivariateNormal",
        {"loc": REALS[:2], "scale_tril": FACTORS},
        {"loc": REALS[0], "covariance_matrix": COVARIANCE},
        rng.normal(size=(4, 2, 3)),
    ),
    (
        "MultivariateNormal",
        {"loc": REALS[:2], "covariance_matrix": COVARIANCE},
        {"loc": REALS[0], "precision_matrix": COVARIANCE[::-1].copy()},
        rng.normal(size=3),
    ),
    (
        "MultivariateNormal",
        {"loc": REALS[0], "precision_matrix": COVARIANCE[0]},
        {"loc": REALS[1], "scale_tril": FACTORS[1]},
        rng.normal(size=(5, 3)),
    ),
]
IDS = [f"{name}-{'-'.join(first)}-{i}" for i, (name, first, *__) in enumerate(CASES)]
#: What PyTorch has and we have not.
MISSING = {("Gamma", "cdf")}
#: PyTorch's ψ′ is right to 1e-9.
ROUGH = {"Gamma", "Beta", "Dirichlet"}
#: What distributions tell of themselves, without arguments.
FACTS = ("mean", "variance", "stddev", "mode", "entropy", "perplexity")
each = pytest.mark.parametrize(("name", "first", "second", "value"), CASES, ids=IDS)


def facts(d: Any, q: Any, value: Any, kl: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """Every number that a distribution tells, by name; what it has not is left out."""
    made: dict[str, Any] = {"log_prob": d.log_prob(value), "kl": kl(d, q)}
    for name in FACTS:
        try:
            made[name] = getattr(d, name)
            made[name] = made[name]() if callable(made[name]) else made[name]
        except (NotImplementedError, ChainruleError):
            made.pop(name, None)
    for name, at in (("cdf", value), ("icdf", None)):
        try:
            made[name] = getattr(d, name)(at if at is not None else made["cdf"])
        except (NotImplementedError, ChainruleError, KeyError):
            made.pop(name, None)
    return made


def tensors(library: Any, arrays: Named, tracked: bool = False) -> dict[str, Any]:
    return {k: library.tensor(a, requires_grad=tracked) for k, a in arrays.items()}


def close(mine: Any, theirs: Any, what: str, tolerance: float = 1e-10) -> None:
    x, y = mine.detach().numpy(), theirs.detach().numpy()
    assert (x.shape, x.dtype) == (y.shape, y.dtype), what
    np.testing.assert_allclose(x, y, tolerance, tolerance, err_msg=what)


@each
def test_numbers(name: str, first: Named, second: Named, value: Any) -> None:
    def ours(value: Any, **arrays: Any) -> dict[str, Any]:
        mine = {k: arrays[k] for k in first}
        others = {k: arrays[f"other_{k}"] for k in second}
        d, q = (getattr(HERE, name)(**p) for p in (mine, others))
        return facts(d, q, value, HERE.kl_divergence)

    d, q = (getattr(THERE, name)(**tensors(torch, p)) for p in (first, second))
    there = facts(d, q, torch.tensor(value), THERE.kl_divergence)
    both = first | {f"other_{k}": a for k, a in second.items()}
    for how in (ours, *(cr.compile(ours, engine=e) for e in ENGINES)):
        here = how(cr.tensor(value, dtype=np.asarray(value).dtype), **tensors(cr, both))
        for fact, number in there.items():
            if (name, fact) not in MISSING:
                close(here[fact], number, fact)


@each
def test_derivatives(name: str, first: Named, second: Named, value: Any) -> None:
    def total(library: Any, made: Any, kl: Any, p: Any, q: Any) -> list[Any]:
        d, other = made(**p), made(**q)
        terms = d.log_prob(library.tensor(value)).sum() + kl(d, other).sum()
        (terms + d.entropy().sum()).backward()
        # PyTorch has numbers above the diagonal too, which is not read.
        return [
            x.grad.tril() if name == "scale_tril" else x.grad
            for name, x in (*p.items(), *q.items())
        ]

    mine = [tensors(cr, p, tracked=True) for p in (first, second)]
    other = [tensors(torch, p, tracked=True) for p in (first, second)]
    here = total(cr, getattr(HERE, name), HERE.kl_divergence, *mine)
    there = total(torch, getattr(THERE, name), THERE.kl_divergence, *other)
    for a, b in zip(here, there, strict=True):
        close(a, b, name, 1e-8 if name in ROUGH else 1e-10)


@each
def test_draws(name: str, first: Named, second: Named, value: Any) -> None:
    cr.manual_seed(0)
    n = 4000
    d = getattr(HERE, name)(**tensors(cr, first))
    q = getattr(THERE, name)(**tensors(torch, first))
    drawn = d.sample((n,))
    assert drawn.shape == (n, *d.batch_shape, *d.event_shape)
    assert not drawn.requires_grad
    x = drawn.numpy()
    if name == "Categorical":
        shares = np.stack([(x == k).mean(0) for k in range(5)], -1)
        np.testing.assert_allclose(shares, q.probs.numpy(), atol=4 * 0.5 / n**0.5)
        return
    mean, std = q.mean.numpy(), q.stddev.numpy()
    error = np.abs(x.mean(0) - mean) / (std / n**0.5)
    assert error.max() < 4.5
    if name == "Bernoulli":
        return
    if name in ("Beta", "Dirichlet"):
        np.testing.assert_allclose(x.std(0), std, rtol=0.08)
        return
    if name == "MultivariateNormal":
        found = np.einsum("nbi,nbj->bij", x - mean, x - mean) if x.ndim == 3 else None
        if found is not None:
            wanted = q.covariance_matrix.numpy()
            np.testing.assert_allclose(found / n, wanted, atol=0.15 * wanted.max())
        return
    ordered = torch.tensor(np.sort(x, 0))
    expected = q.cdf(ordered).numpy()
    steps = (np.arange(n) + 0.5).reshape(-1, *(1 for __ in d.batch_shape)) / n
    assert np.abs(expected - steps).max() < 2.0 / n**0.5


@each
def test_draws_with_derivatives(
    name: str, first: Named, second: Named, value: Any
) -> None:
    cr.manual_seed(0)
    parameters = tensors(cr, first, tracked=True)
    d = getattr(HERE, name)(**parameters)
    if not d.has_rsample:
        with pytest.raises(ChainruleError, match="has no rsample"):
            d.rsample()
        return
    x = d.rsample((7,))
    x.sum().backward()
    assert all(p.grad is not None for p in parameters.values())


@each
def test_expand(name: str, first: Named, second: Named, value: Any) -> None:
    d = getattr(HERE, name)(**tensors(cr, first))
    wide = d.expand((2, *d.batch_shape))
    assert wide.batch_shape == (2, *d.batch_shape)
    close(wide.entropy()[1], torch.tensor(d.entropy().numpy()), name)
    assert wide.sample((3,)).shape == (3, *wide.batch_shape, *d.event_shape)


def test_independent_axes_are_summed() -> None:
    here = HERE.Independent(HERE.Normal(cr.tensor(REALS), cr.tensor(SIZES)), 1)
    base = THERE.Normal(torch.tensor(REALS), torch.tensor(SIZES))
    there = THERE.Independent(base, 1)
    assert (here.batch_shape, here.event_shape) == ((4,), (3,))
    close(here.log_prob(cr.tensor(REALS)), there.log_prob(torch.tensor(REALS)), "")
    close(here.entropy(), there.entropy(), "entropy")
    close(here.variance, there.variance, "variance")
    close(
        HERE.kl_divergence(here, here), THERE.kl_divergence(there, there), "divergence"
    )
    assert here.rsample((5,)).shape == (5, 4, 3)
    assert here.expand((2, 4)).log_prob(cr.tensor(REALS)).shape == (2, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: HERE.Normal(0.0, -1.0),
        lambda: HERE.Normal(float("nan"), 1.0),
        lambda: HERE.Uniform(1.0, 0.0),
        lambda: HERE.Exponential(0.0),
        lambda: HERE.Bernoulli(1.5),
        lambda: HERE.Bernoulli(),
        lambda: HERE.Bernoulli(0.5, 0.5),
        lambda: HERE.Categorical(cr.tensor([0.0, 0.0])),
        lambda: HERE.Categorical(0.5),
        lambda: HERE.Categorical(cr.tensor([0.5, 0.5])).log_prob(2),
        lambda: HERE.Bernoulli(0.5).log_prob(0.5),
        lambda: HERE.Exponential(1.0).log_prob(-1.0),
        lambda: HERE.Uniform(0.0, 1.0).log_prob(2.0),
        lambda: HERE.Normal(cr.zeros(3), 1.0).log_prob(cr.zeros(2)),
        lambda: HERE.MultivariateNormal(cr.zeros(2)),
        lambda: HERE.MultivariateNormal(cr.zeros(2), cr.eye(3)),
        lambda: HERE.MultivariateNormal(cr.zeros(2), -cr.eye(2)),
        lambda: HERE.Independent(HERE.Normal(0.0, 1.0), 1),
        lambda: HERE.kl_divergence(HERE.Normal(0.0, 1.0), HERE.Exponential(1.0)),
        lambda: HERE.Categorical(cr.tensor([0.5, 0.5])).cdf(0),
    ],
)
def test_what_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ChainruleError):
        call()


def test_unchecked_arguments_are_taken() -> None:
    assert HERE.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    outside = HERE.Uniform(0.0, 1.0, validate_args=False).log_prob(2.0)
    assert outside.item() == -np.inf


def test_a_compiled_function_refuses_when_it_runs() -> None:
    @cr.compile
    def entropy(scale: Any) -> Any:
        return HERE.Normal(0.0, scale).entropy()

    entropy(cr.tensor(1.0))
    with pytest.raises(ArgumentError, match="out of its range"):
        entropy(cr.tensor(-1.0))


def test_draws_of_a_tiny_concentration_are_numbers() -> None:
    """Gamma draws of α = 10⁻⁴ are below 10⁻³⁰⁰, and their shares 0 or 1."""
    cr.manual_seed(0)
    drawn = cr.distributions.Beta(1e-4, 1e-4).sample((400,)).numpy()
    assert np.isfinite(drawn).all()
    assert (np.minimum(drawn, 1 - drawn) < 1e-6).mean() > 0.98
    assert abs(drawn.mean() - 0.5) < 0.15
