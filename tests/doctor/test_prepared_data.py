"""What preparation took from data, and what no gradient or sense reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import Diagnosis, examples
from chainrule.doctor.asked import applies_sigmoid, is_endless
from chainrule.doctor.symptoms.missing_values import _gaps, _stands_out
from chainrule.doctor.symptoms.rows_scaled_alone import _scaled
from chainrule.nn import functional as F

RNG = np.random.default_rng


def diagnosed(model: Any = None, rows: Any = None, **given: Any) -> Diagnosis:
    trainer, data, more = examples.example(model, rows, **given)
    return cr.diagnose(trainer, data, **more)


def sick(found: Diagnosis) -> list[str]:
    return [f.code for f in found.findings if f.severity == "sick"]


# -- missing values --------------------------------------------------------------------


@pytest.mark.parametrize("value", [-999.0, 9999.0, 1e6, -99.0])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_number_that_stands_for_missing_ones(value: float, share: float) -> None:
    rows = RNG(0).normal(size=(600, 5))
    rows[RNG(1).uniform(size=600) < share, 2] = value
    assert _stands_out(rows) == value


@pytest.mark.parametrize(
    "rows",
    [
        RNG(0).normal(size=(600, 4)),
        RNG(0).standard_cauchy(size=(600, 4)),  # outliers, each of its own
        RNG(0).lognormal(0, 2, size=(600, 4)),
        RNG(0).integers(0, 3, (600, 4)).astype(float),
        (RNG(0).uniform(size=(600, 4)) < 0.05).astype(float),
        np.maximum(RNG(0).normal(size=(600, 4)), 0),  # mostly 0 and not far
        np.minimum(RNG(0).normal(size=(600, 4)), 1.5),  # cut off at its range
    ],
    ids=["normal", "Cauchy", "lognormal", "codes", "rare", "rectified", "clipped"],
)
def test_numbers_that_repeat_within_their_column_are_none(rows: Any) -> None:
    assert _stands_out(rows) is None


def test_medians_in_their_place_are_tried() -> None:
    rows = _gaps(-999.0)
    before = np.array(rows.x[:])
    found = diagnosed(rows=rows, epochs=20)
    first = found.findings[0]
    assert (first.code, first.severity) == ("missing-values", "sick")
    assert first.evidence["number_that_repeats"] == -999.0
    assert first.evidence["columns_with_it"] == 2
    assert "np.where(x == -999" in first.diff
    assert np.array_equal(rows.x[:], before)  # nothing of the user's changes


# -- parts that were scaled by their own numbers ---------------------------------------


def standard(x: Any, by: Any = None) -> Any:
    """Return columns with mean 0 and deviation 1, by the numbers of some rows."""
    by = x if by is None else by
    return ((x - by.mean(0)) / by.std(0)).astype(np.float32)


def drifted() -> tuple[Any, Any, Any, Any]:
    """Return rows and targets of two parts; the later ones lie elsewhere."""
    x = RNG(0).uniform(0, 1, (500, 3)).astype(np.float32)
    x[300:] += 1.5
    y = (x.sum(1, keepdims=True) ** 2).astype(np.float32)
    y = (y - y.mean()) / y.std()
    return x[:300], y[:300], x[300:], y[300:]


def test_parts_that_were_standardised_by_themselves() -> None:
    """The later rows have lost where they lie; and know themselves what they are."""
    x, y, held, truth = drifted()
    model = examples.mlp(3, 1)
    given: dict[str, Any] = {"loss": nn.MSELoss(), "epochs": 60}
    later = Dataset(standard(held), truth)
    found = diagnosed(model, Dataset(standard(x), y), validation=later, **given)
    assert sick(found)[0] == "inputs-differ"
    assert "by its own numbers" in str(found)


def test_standardised_parts_of_one_kind() -> None:
    x, y = examples.waves(600).x[:], examples.waves(600).y
    y = (y + RNG(1).normal(0, 0.5, y.shape)).astype(np.float32)  # which leaves room
    given: dict[str, Any] = {"loss": nn.MSELoss(), "epochs": 20}
    rows = Dataset(standard(x[:400]), y[:400])
    parts = {
        "alone": Dataset(standard(x[400:]), y[400:]),
        "alike": Dataset(standard(x[400:], x[:400]), y[400:]),
        "the same": rows,
    }
    said: dict[str, str | None] = {}
    for name, held in parts.items():
        found = diagnosed(examples.mlp(2, 1), rows, validation=held, **given)
        levels = {f.code: f.severity for f in found.findings}
        said[name] = levels.get("inputs-differ")
    assert said == {"alone": "risk", "alike": None, "the same": None}


# -- rows scaled alone -----------------------------------------------------------------


def unit(x: Any) -> Any:
    return x / np.sqrt((x * x).sum(1, keepdims=True))


def test_rows_of_one_length_or_one_range() -> None:
    x = RNG(0).normal(size=(200, 5))
    ranged = (x - x.min(1, keepdims=True)) / np.ptp(x, 1, keepdims=True)
    assert _scaled(unit(x)) == "rows_of_length_1"
    assert _scaled(ranged) == "rows_from_0_to_1"
    assert _scaled(np.sign(x[:, :1])) == "rows_of_length_1"
    for other in (x, unit(x) * RNG(1).uniform(0.5, 1, (200, 1)), x * 0):
        assert _scaled(other) is None
    assert _scaled(np.eye(5)[RNG(0).integers(0, 5, 200)]) is None  # codes of a class
    columns = (x - x.min(0)) / np.ptp(x, 0)
    assert _scaled(columns) is None
    assert _scaled((RNG(0).uniform(size=(200, 6)) < 0.5).astype(float)) is None


# -- gradients -------------------------------------------------------------------------


class Parts(nn.Module):
    """A network with a part of which its outputs use nothing."""

    def __init__(self, cut: str) -> None:
        self.cut = cut
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 2)
        self.spare = nn.Linear(3, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.first(x).tanh()
        if self.cut == "detach":
            h = h.detach()
        elif self.cut == "sign":
            h = h.sign().detach() + 0 * self.spare(h).sum()
        return self.last(h)


@pytest.mark.parametrize(
    ("cut", "names"),
    [
        ("detach", {"first.weight", "first.bias", "spare.weight", "spare.bias"}),
        ("nothing", {"spare.weight", "spare.bias"}),
        ("sign", set()),
    ],
)
def test_parameters_that_no_gradient_reaches(cut: str, names: set[str]) -> None:
    found = diagnosed(Parts(cut), epochs=20, lr=0.5)
    assert found.case is not None
    assert {*found.case.without_gradient} == names
    noted = [f for f in found.findings if f.code == "parameters-without-gradient"]
    assert bool(noted) is bool(names)


# -- a sigmoid in a loss of one's own --------------------------------------------------

LOSSES = {
    "softplus": lambda z, y: (F.softplus(z) - z * y).mean(),
    "sum": lambda z, y: 3 * (F.softplus(z) - z * y).sum(),
    "log of sigmoid": lambda z, y: (
        -(y * z.sigmoid().log() + (1 - y) * (1 - z.sigmoid()).log()).mean()
    ),
    "of signs": lambda z, y: F.softplus(-(2 * y - 1) * z).mean(),
}
OTHERS = {
    "of shares": lambda p, y: (
        -(y * (p + 1e-7).log() + (1 - y) * (1 - p + 1e-7).log()).mean()
    ),
    "squares": lambda p, y: ((p - y) ** 2).mean(),
    "hinge": lambda z, y: (1 - (2 * y - 1) * z).clamp(min=0.0).mean(),
}


@pytest.mark.parametrize("name", [*LOSSES, *OTHERS])
def test_a_loss_of_scores_is_known_by_its_values(name: str) -> None:
    y = RNG(0).integers(0, 2, (60, 1)).astype(np.float32)
    assert applies_sigmoid((LOSSES | OTHERS)[name], y, (1,)) is (name in LOSSES)
    assert not applies_sigmoid(LOSSES["sum"], y, (2,))
    assert not applies_sigmoid(LOSSES["sum"], y + 1, (1,))


def test_a_sigmoid_in_front_of_it_is_one_too_many() -> None:
    rows = examples.binary(examples.moons())
    model = examples.mlp(2, 1).append(nn.Sigmoid())
    found = diagnosed(
        model, rows, loss=LOSSES["softplus"], optimizer=optim.Adam(lr=0.01)
    )
    assert found.findings[0].code == "output-activation-twice"
    assert not found.healthy
    shares = examples.mlp(2, 1).append(nn.Sigmoid())
    well = diagnosed(
        shares, rows, loss=OTHERS["of shares"], optimizer=optim.Adam(lr=0.01)
    )
    assert "output-activation-twice" not in [f.code for f in well.findings]


def _scores(z: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
    return (F.softplus(z) - z * y).mean()


def _margin(p: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
    return (1 - p * (2 * y - 1)).clamp(min=0.0).mean()


@pytest.mark.parametrize(
    ("name", "loss", "endless"),
    [
        ("of scores", _scores, True),
        ("wrong sign", lambda p, y: -((p - y) ** 2).mean(), False),
        ("products", lambda p, y: -(p * y).mean(), True),
        ("squares", lambda p, y: ((p - y) ** 2).mean(), False),
        ("distances", lambda p, y: (p - y).abs().mean(), False),
        (
            "quantile",
            lambda p, y: cr.maximum(0.9 * (y - p), 0.1 * (p - y)).mean(),
            False,
        ),
        ("counts", lambda p, y: (p.clamp(max=80).exp() - p * y.abs()).mean(), False),
        ("cosine", lambda p, y: -(p * y).sum() / (p * p).sum().sqrt(), False),
        ("margin", _margin, False),
        (
            "squared margin",
            lambda p, y: (1 - p * y).clamp(min=0).square().mean(),
            False,
        ),
        ("bounded", lambda p, y: 1 - (-((p - y) ** 2)).exp().mean(), False),
        ("capped", lambda p, y: (p - y).abs().clamp(max=1.0).mean(), False),
        ("logarithms", lambda p, y: (p - (y.abs() + 1).log()).square().mean(), False),
        ("of size", lambda p, y: (p.square() - y.square()).square().mean(), False),
    ],
)
def test_a_loss_without_a_least_value(name: str, loss: Any, endless: bool) -> None:
    y = RNG(0).normal(size=(64, 1)).astype(np.float32)
    assert is_endless(loss, y, (1,)) is endless
    assert not is_endless(loss, np.sign(y), (1,))
    assert not is_endless(loss, y, (3,))


def _masked(z: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
    known = (y >= 0).float()
    return (known * (F.softplus(z) - z * y)).sum() / known.sum()


TERNARY = RNG(3).integers(-1, 2, (600, 1)).astype(np.float32)
RETURNS = RNG(4).normal(size=(600, 1)).astype(np.float32)
OF_THREE = RETURNS.reshape(200, 3)


@pytest.mark.parametrize(
    ("loss", "y", "sides"),
    [
        (_margin, RETURNS, True),
        (lambda p, y: (1 - p * y).clamp(min=0).square().mean(), RETURNS, True),
        (lambda p, y: -(p.tanh() * y).mean(), RETURNS, True),  # what it earns
        (_masked, TERNARY, False),
        (lambda p, y: F.softplus(-p * y).mean(), TERNARY, False),
        (
            lambda p, y: -(F.softmax(p, -1) * y).sum(-1).mean(),
            OF_THREE,
            False,
        ),
        (lambda p, y: ((p - y) ** 2).mean(), RETURNS, False),
        (lambda p, y: (p - y).abs().clamp(max=1.0).mean(), RETURNS, False),
        (_scores, RETURNS, False),  # has no end
    ],
)
def test_a_loss_that_asks_for_sides_is_a_risk_and_no_more(
    loss: Any, y: Any, sides: bool
) -> None:
    x = np.concatenate([y, RNG(5).normal(size=y.shape)], 1).astype(np.float32)
    model = examples.mlp(x.shape[1], y.shape[1])
    found = diagnosed(
        model, Dataset(x, y), loss=loss, epochs=8, optimizer=optim.Adam(lr=0.01)
    )
    assert found.case is not None
    assert found.case.asks_sides is sides
    unfit = [f.severity for f in found.findings if f.code == "loss-unfit"]
    assert unfit == (["risk"] if sides else ["sick"] if loss is _scores else [])


def test_cross_entropy_of_quantities_is_the_wrong_loss() -> None:
    found = diagnosed(examples.mlp(2, 1), examples.waves(), loss=_scores, epochs=30)
    first = found.findings[0]
    assert (first.code, first.severity) == ("loss-unfit", "sick")
    assert "MSELoss" in first.diff


def test_a_margin_of_probabilities_has_its_sign_between_0_and_1() -> None:
    rows = examples.binary(examples.moons())
    model = examples.mlp(2, 1).append(nn.Sigmoid())
    found = diagnosed(model, rows, loss=_margin, optimizer=optim.Adam(lr=0.02))
    assert found.case is not None
    assert found.case.score is not None
    assert found.case.score > 0.8
    assert found.healthy


def test_scores_that_happen_to_lie_between_0_and_1_have_their_sign_at_0() -> None:
    rows = examples.binary(examples.moons())
    model = examples.mlp(2, 1)
    for p in model.parameters():
        nn.init.zeros_(p)
    nn.init.constant_([*model.parameters()][-1], 0.3)
    found = diagnosed(
        model,
        rows,
        loss=lambda z, y: F.softplus(z).mean() - (z * (0.9 * y + 0.05)).mean(),
        optimizer=optim.SGD(lr=1e-6),
        epochs=1,
    )
    assert found.case is not None
    assert found.case.answers is not None
    assert found.case.answers.all()


# -- nothing that can be found ---------------------------------------------------------


def test_rows_that_were_reshaped_teach_nothing() -> None:
    x = RNG(0).normal(size=(500, 6)).astype(np.float32)
    made = Dataset(x.T.reshape(x.shape), (x[:, :1] * 2 - x[:, 1:2]), classes=None)
    found = diagnosed(examples.mlp(6, 1), made, loss=nn.MSELoss(), epochs=10)
    assert sick(found) == ["labels-without-signal"]
    assert found.findings[0].evidence["r2_of_constant_answer"] == 0
    right = Dataset(x, x[:, :1] * 2 - x[:, 1:2])
    assert diagnosed(examples.mlp(6, 1), right, loss=nn.MSELoss(), epochs=10).healthy
