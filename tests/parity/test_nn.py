"""Running statistics, states and initialisers against PyTorch."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import nn

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
@pytest.mark.parametrize("shape", [(8, 3), (5, 3, 4), (2, 3)])
def test_running_statistics_of_several_batches(shape, momentum):
    """One batch, with its derivatives, is compared in module_rows.py."""
    ours = nn.BatchNorm1d(3, momentum=momentum, dtype="float64")
    theirs = torch.nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
    rng = np.random.default_rng(0)
    for k, scale in enumerate((1.0, 20.0, 1e4, 1e-3)):
        x = scale * rng.normal(loc=k, size=shape)
        np.testing.assert_allclose(ours(x).numpy(), theirs(torch.tensor(x)).detach())
        for name, wanted in theirs.state_dict().items():
            got = ours.state_dict()[name]
            np.testing.assert_allclose(got, wanted, rtol=1e-12, err_msg=name)


def networks() -> tuple:
    ours = nn.Sequential(
        nn.Embedding(5, 4),
        nn.Flatten(),
        nn.Linear(12, 6),
        nn.BatchNorm1d(6),
        nn.GELU(),
        nn.LayerNorm(6),
        nn.Linear(6, 2),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Embedding(5, 4),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 6),
        torch.nn.BatchNorm1d(6),
        torch.nn.GELU(),
        torch.nn.LayerNorm(6),
        torch.nn.Linear(6, 2),
    )
    return ours, theirs


def test_states_move_both_ways():
    ours, theirs = networks()
    x = np.random.default_rng(0).integers(0, 5, (7, 3))
    theirs(torch.tensor(x))  # moves the running statistics
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    again = networks()[1]
    again.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    for module in (ours, theirs, again):
        module.eval()
    with torch.no_grad():
        wanted = theirs(torch.tensor(x))
        np.testing.assert_array_equal(again(torch.tensor(x)), wanted)
        np.testing.assert_allclose(ours(cr.tensor(x)).numpy(), wanted, atol=1e-5)


# -- initialisation -------------------------------------------------------------------

GAINS = [("linear", None), ("conv2d", None), ("sigmoid", None), ("tanh", None)]
GAINS += [("relu", None), ("selu", None), ("leaky_relu", None), ("leaky_relu", 0.3)]


@pytest.mark.parametrize(("name", "param"), GAINS)
def test_gains(name, param):
    wanted = torch.nn.init.calculate_gain(name, param)
    assert nn.init.calculate_gain(name, param) == pytest.approx(wanted, rel=1e-15)


class Recorder(torch.Tensor):
    """Notes what distribution it is filled from."""

    def uniform_(self, a, b, generator=None):
        self.drawn = ("uniform", a, b)
        return self

    def normal_(self, mean, std, generator=None):
        self.drawn = ("normal", mean, std)
        return self


BY_SIZE = [
    ("xavier_uniform_", {}),
    ("xavier_uniform_", {"gain": 1.7}),
    ("xavier_normal_", {}),
    ("xavier_normal_", {"gain": 0.5}),
    ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": math.sqrt(5)}),
    ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", {}),
    ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "tanh"}),
    ("kaiming_normal_", {"a": 0.5}),
    ("uniform_", {}),
    ("uniform_", {"a": -0.3, "b": 2.0}),
    ("normal_", {}),
    ("normal_", {"mean": 1.5, "std": 0.3}),
]


@pytest.mark.parametrize("shape", [(30, 50), (8, 4, 3, 3)])
@pytest.mark.parametrize(("name", "options"), BY_SIZE)
def test_distributions_are_pytorchs(name, options, shape, monkeypatch):
    drawn = []

    def uniform(*shape, low, high, dtype):
        drawn.append(("uniform", low, high))
        return cr.tensor(np.zeros(shape), dtype=dtype)

    def normal(*shape, mean, std, dtype):
        drawn.append(("normal", mean, std))
        return cr.tensor(np.zeros(shape), dtype=dtype)

    monkeypatch.setattr(nn.init, "uniform", uniform)
    monkeypatch.setattr(nn.init, "randn", normal)
    getattr(nn.init, name)(cr.tensor(np.zeros(shape)), **options)
    theirs = torch.empty(shape).as_subclass(Recorder)
    getattr(torch.nn.init, name)(theirs, **options)
    (mine,) = drawn
    assert mine[0] == theirs.drawn[0]
    np.testing.assert_allclose(mine[1:], theirs.drawn[1:], rtol=1e-14)


SAMPLED: list[tuple[str, dict]] = [
    *BY_SIZE,
    ("trunc_normal_", {"mean": 0.2, "std": 0.5, "a": -0.4, "b": 1.0}),
    ("trunc_normal_", {}),
    ("orthogonal_", {"gain": 1.4}),
    ("constant_", {"val": 0.25}),
    ("zeros_", {}),
    ("ones_", {}),
]


def test_every_initialiser_is_compared_over_all_of_its_arguments() -> None:
    """PyTorch has no lecun_normal_ and lecun_uniform_."""
    names = [name for name in nn.init.__all__ if name != "calculate_gain"]
    functions = {name: getattr(nn.init, name) for name in names}
    assert functions.keys() - {n for n, _ in SAMPLED} == {
        "lecun_normal_",
        "lecun_uniform_",
    }
    for name in {n for n, _ in SAMPLED}:
        tried = {k for n, options in SAMPLED for k in options if n == name}
        arguments = inspect.signature(functions[name]).parameters.keys()
        assert arguments - tried == {"tensor"}, name


@pytest.mark.parametrize(("name", "options"), SAMPLED)
def test_samples_have_pytorchs_statistics(name, options):
    """150,000 numbers of each: mean, deviation, ends and quartiles are alike."""
    cr.manual_seed(0)
    torch.manual_seed(0)
    shape = (300, 500)
    mine = getattr(nn.init, name)(cr.tensor(np.zeros(shape)), **options).numpy()
    theirs = torch.zeros(shape, dtype=torch.float64)
    theirs = getattr(torch.nn.init, name)(theirs, **options).numpy()
    spread = max(float(theirs.std()), 1e-12)
    # Five standard errors of a difference of means over 150,000 numbers: 0.018 σ.
    for statistic in (np.mean, np.std):
        assert abs(statistic(mine) - statistic(theirs)) <= 0.02 * spread, statistic
    for q in (0.25, 0.5, 0.75):
        gap = abs(np.quantile(mine, q) - np.quantile(theirs, q))
        assert gap <= 0.03 * spread, q
    if "uniform" in name:
        assert mine.min() == pytest.approx(theirs.min(), abs=1e-3 * spread)
        assert mine.max() == pytest.approx(theirs.max(), abs=1e-3 * spread)


def test_default_of_linear_is_pytorchs():
    """PyTorch's kaiming_uniform_(a=√5) for W is U(−1/√n, 1/√n), and so is b's."""
    cr.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = nn.Linear(100, 2000), torch.nn.Linear(100, 2000)
    for name, wanted in theirs.state_dict().items():
        mine, wanted = ours.state_dict()[name], wanted.numpy()
        assert mine.min() == pytest.approx(-0.1, abs=2e-4)
        assert wanted.min() == pytest.approx(-0.1, abs=2e-4)
        assert mine.max() == pytest.approx(0.1, abs=2e-4)
        assert mine.std() == pytest.approx(wanted.std(), rel=0.03)
