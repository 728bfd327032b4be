"""Changes as they are printed for a Python program: code for its own modules."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import (
    Case,
    Change,
    changes,
    examples,
    initialising,
    rebuilding,
    space,
)
from chainrule.doctor.constructors import loss_shown
from chainrule.doctor.symptoms.labels_without_signal import labels_without_signal
from chainrule.doctor.symptoms.learning_rate_too_small import learning_rate_too_small
from tests.doctor.printed import lines_of, run, unreadable


class Net(nn.Module):
    """A module tree of one's own."""

    def __init__(self) -> None:
        self.first = nn.Linear(2, 4)
        self.body = nn.Sequential(
            *(nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 4, bias=False)),
            *(nn.Sigmoid(), nn.Linear(4, 2)),
        )

    def forward(self, x: Any) -> Any:
        return self.body(self.first(x).relu())


def built(model: Any) -> Any:
    return [
        (type(m).__name__, {k: v for k, v in m.settings().items() if v is not None})
        for m in model.modules()
        if not isinstance(m, Net | nn.Sequential)
    ]


def printed(setup: Any, change: Change) -> Any:
    """The model after what a change prints is put where it says."""
    model = setup.copy().model
    assert "- " in change.diff
    assert "+ " in change.diff
    for line in lines_of(change.after):
        path, sign, code = line.partition(": ")
        if sign and not line.startswith("for "):
            new = eval(code, {"nn": nn, "model": model})
            changes.replaced(model, path, new)
    return model


def made(setup: Any) -> list[Change]:
    hidden = ["body.1", "body.4"]
    found = [
        changes.activation(setup, hidden, nn.ReLU, "x"),
        changes.layer(setup, ["body.4"], lambda: nn.LeakyReLU(0.2), "x"),
        changes.layer(setup, ["body.2"], nn.Identity, "x"),
        changes.layer(setup, ["body.4"], nn.Softmax, "x"),
        changes.between(setup, ["first", "body.0"]),
        changes.between(setup, ["body"]),
        rebuilding.wider(setup),
    ]
    assert None not in found
    return [c for c in found if c is not None]


@pytest.mark.parametrize("i", range(7))
def test_what_is_printed_makes_the_network_that_was_measured(i: int) -> None:
    trainer, data, given = examples.example(Net())
    setup = Case(trainer, data, **given).setup
    change = made(setup)[i]
    copy = setup.copy()
    change.apply(copy)
    assert built(printed(setup, change)) == built(copy.model)


def test_layers_that_are_left_out() -> None:
    trainer, data, given = examples.example(examples.mlp(depth=8))
    setup = Case(trainer, data, **given).setup
    change = rebuilding.shallower(setup)
    assert change is not None
    copy = setup.copy()
    change.apply(copy)
    assert built(printed(setup, change)) == built(copy.model)


def test_losses_and_optimisers_are_code() -> None:
    trainer, data, given = examples.example()
    setup = Case(trainer, data, **given).setup
    change = changes.loss(setup, nn.BCEWithLogitsLoss, "x")
    assert change is not None
    assert change.after == "loss=nn.BCEWithLogitsLoss()"
    assert repr(eval(change.after.partition("=")[2])) == "BCEWithLogitsLoss()"
    code = space.adam(setup, 0.01).after.partition("=")[2]
    assert eval(code).schedule.lr == 0.01


def test_rates_of_groups_are_all_named() -> None:
    model = examples.mlp()
    groups = [{"params": "*.bias", "lr": 0.5}, {"params": "*"}]
    trainer, data, given = examples.example(model, optimizer=optim.SGD(groups, lr=1.0))
    setup = Case(trainer, data, **given).setup
    change = changes.rate_times(setup, 0.1)
    assert change is not None
    assert change.settings is None
    assert 'optimizer.param_groups[0]["lr"]' in change.after


def test_scaled_targets_are_trained_as_printed() -> None:
    """The loss of a network that scales back is that of standardised targets."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype(np.float32)
    y = (500 + 100 * x[:, :1]).astype(np.float32)
    trainer = cr.Trainer(
        nn.Sequential(nn.Linear(3, 1)),
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=0.05),
        engine="numpy",
    )
    train = Dataset(x, y)
    setup = Case(trainer, train, validation=train, epochs=3, batch_size=16).setup
    change = changes.standardised_targets(setup)
    copy = setup.copy()
    change.apply(copy)
    __, loss = change.after.splitlines()
    names = run(setup, change)
    own = cr.Trainer(
        names["model"],
        loss=eval(loss.partition("=")[2], names),
        optimizer=optim.SGD(lr=0.05),
        engine="numpy",
    )
    plan = {"epochs": 3, "batch_size": 16, "progress": False}
    measured = copy.trainer()
    measured.fit(copy.train, **plan)
    own.fit(train, **plan)
    np.testing.assert_allclose(
        own.history.steps["loss"], measured.history.steps["loss"], rtol=1e-3
    )


def test_a_rate_says_what_was_tried_and_what_is_the_fix() -> None:
    trainer, data, given = examples.example(optimizer=optim.SGD(lr=1e-4))
    diagnosis = cr.diagnose(trainer, data, **given)
    found = next(
        f for f in diagnosis.findings if f.code == learning_rate_too_small.code
    )
    assert found.change is not None
    rate = float(found.change.after.partition("=")[2])
    assert found.evidence["factor_of_fix"] * 1e-4 == pytest.approx(rate)


def rare(share: float, rows: int) -> Case:
    """A run that learns nothing of labels that its inputs do not hold."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400 + rows, 2)).astype(np.float32)
    y = np.zeros(400 + rows, np.int32)
    for start, n in ((0, 400), (400, rows)):
        y[start : start + round(share * n)] = 1
    made, held = Dataset(x[:400], y[:400], classes=2), Dataset(x[400:], y[400:])
    trainer, data, given = examples.example(rows=made, validation=held)
    return Case(trainer, data, **given)


def test_a_rare_class_of_few_rows_is_not_called_without_signal() -> None:
    """Of 80 rows two errors above 97 % are 100 %: nothing could show a signal."""
    assert labels_without_signal.rule(rare(0.5, 80)) is not None
    assert labels_without_signal.rule(rare(0.03, 80)) is None


# -- what is printed is code -----------------------------------------------------------


def hinge(p: Any, t: Any) -> Any:
    """A loss of one's own."""
    return (1.0 - p * t).relu().mean()


class Hinge:
    """A loss of one's own that has no words for itself."""

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def __call__(self, p: Any, t: Any) -> Any:
        return (self.margin - p * t).relu().mean()

    def of(self, p: Any, t: Any) -> Any:
        return self(p, t)


@pytest.mark.parametrize(
    ("loss", "shown"),
    [
        (hinge, "loss=hinge"),
        (lambda p, t: hinge(p, t), "loss=lambda p, t: ..."),
        (partial(hinge, t=1.0), "loss=partial(hinge, t=1.0)"),
        (Hinge(), "loss=Hinge(...)"),
        (Hinge().of, "loss=Hinge(...).of"),
        (nn.functional.mse_loss, "loss=nn.functional.mse_loss"),
        (nn.HuberLoss(), "loss=nn.HuberLoss()"),
    ],
)
def test_a_loss_is_named_as_one_writes_it(loss: Any, shown: str) -> None:
    assert loss_shown(loss) == shown


@pytest.mark.parametrize("lr", [1000.0, 123456.0, 1e-5, 0.1 + 0.2])
def test_rates_are_numbers_of_python(lr: float) -> None:
    """A thousand with a comma was a tuple of 1 and 0."""
    trainer, data, given = examples.example(optimizer=optim.SGD(lr=lr))
    setup = Case(trainer, data, **given).setup
    for factor in (0.1, 100.0):
        change = changes.rate_times(setup, factor)
        assert change is not None
        assert not unreadable(change)
        rate = eval(f"dict({change.after})")["lr"]
        assert rate == pytest.approx(lr * factor, rel=1e-8)


class Own(nn.Module):
    """Layers of the library, with a bias and without, and a weight of one's own."""

    def __init__(self) -> None:
        self.first = nn.Linear(2, 4)
        self.weight = nn.Parameter(np.full((4, 4), 9.0, np.float32))
        self.last = nn.Linear(4, 2, bias=False)

    def forward(self, x: Any) -> Any:
        return self.last((self.first(x).relu() @ self.weight).relu())


@pytest.mark.parametrize("relu", [True, False])
def test_weights_are_drawn_as_printed(relu: bool) -> None:
    trainer, data, given = examples.example(Own())
    case = Case(trainer, data, **given)
    assert case.network is not None  # it knows what a weight of one's own sums over
    setup = case.setup
    assert setup.fans
    change = initialising.variance(setup, relu=relu)
    assert not unreadable(change)
    copy = setup.copy()
    change.apply(copy)
    drawn = dict(run(setup, change)["model"].named_parameters())
    before = dict(setup.model.named_parameters())
    for name, p in copy.model.named_parameters():
        a, b = p.numpy(), drawn[name].numpy()
        assert (a != before[name].numpy()).any()
        assert (b != before[name].numpy()).any()
        assert a.any() == b.any()  # biases are 0
        assert not a.any() or 0.3 < a.std() / b.std() < 3


def test_schedules_of_rates_can_be_made() -> None:
    rate = optim.CosineAnnealingLR(0.5, 100)
    groups = [{"params": "*.bias", "lr": rate}, {"params": "*"}]
    for optimizer in (optim.SGD(lr=rate), optim.SGD(groups, lr=1.0)):
        trainer, data, given = examples.example(optimizer=optimizer)
        setup = Case(trainer, data, **given).setup
        change = changes.rate_times(setup, 0.1)
        for one in (*([change] if change else []), space.adam(setup)):
            assert not unreadable(one)
            run(setup, one)
            assert "CosineAnnealingLR" not in one.diff.replace(
                "optim.CosineAnnealingLR", ""
            )
