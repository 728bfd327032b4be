"""What a run is measured against, and cures that are more than one change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import Case, Diagnosis, evidence, examples, reference, space
from chainrule.doctor.asked import are_labels, asked, is_one_hot
from chainrule.doctor.rebuilding import class_outputs, pairs, wider
from chainrule.doctor.setup import run
from chainrule.doctor.symptoms.over_regularised import over_regularised
from chainrule.nn import functional as F

Array = np.ndarray[Any, Any]


def diagnosed(*args: Any, **given: Any) -> Diagnosis:
    trainer, data, more = examples.example(*args, **given)
    return cr.diagnose(trainer, data, **more)


def case(*args: Any, **given: Any) -> Case:
    trainer, data, more = examples.example(*args, **given)
    return Case(trainer, data, **more)


def codes(found: Diagnosis) -> list[str]:
    return [f.code for f in found.findings]


def blobs(centers: int = 8) -> Dataset:
    made = cr.data.blobs(400, centers, seed=0)
    x = np.asarray(made.x[:])
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    return Dataset(x, made.y, classes=centers)


def one_hot(made: Dataset) -> Dataset:
    count = int(np.asarray(made.y).max()) + 1
    return Dataset(made.x, np.eye(count, dtype=np.float32)[made.y])


def sigmoid(outputs: int) -> nn.Sequential:
    return examples.mlp(2, outputs).append(nn.Sigmoid())


def squared(outputs: cr.Tensor, targets: cr.Tensor) -> cr.Tensor:
    return ((outputs - targets) ** 2).mean()


# -- what a score is of ----------------------------------------------------------------


@pytest.mark.one_in(3)
@pytest.mark.parametrize("loss", [nn.BCELoss, nn.BCEWithLogitsLoss, nn.MSELoss])
def test_of_one_hot_targets_the_largest_output_counts(loss: Any) -> None:
    """A network that says no to each of eight classes is right in 7 of 8 decisions."""
    plain = loss is nn.BCEWithLogitsLoss
    model = examples.mlp(2, 8) if plain else sigmoid(8)
    useless = case(model, one_hot(blobs()), loss=loss(), lr=1e-6)
    assert (useless.task, useless.metric) == ("classes", "accuracy")
    assert useless.baseline < 0.3
    assert useless.score is not None
    assert useless.score < 0.5
    assert not diagnosed(model, one_hot(blobs()), loss=loss(), lr=1e-6).healthy
    model = examples.mlp(2, 8) if plain else sigmoid(8)
    assert diagnosed(model, one_hot(blobs()), loss=loss(), lr=0.02, epochs=60).healthy


def test_a_constant_answer_to_several_labels_is_that_of_each_label() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    y = np.stack([x[:, 0] > 1, x[:, 0] > -1], 1).astype(np.float32)
    found = case(sigmoid(2), Dataset(x, y), loss=nn.BCELoss())
    assert found.task == "binary"
    assert 0.75 < found.baseline < 0.95
    assert found.signal is not None
    assert found.signal > found.baseline


def _asked(loss: Any, y: Array, *shape: int) -> tuple[str, float | None]:
    found = asked(loss, y, shape)
    return found.task, found.cut


LABELS = np.arange(60) % 3
HOT = np.eye(3, dtype=np.float32)[LABELS]
COIN = (np.arange(60) % 2).astype(np.float32)[:, None]
SIGNS = 2 * COIN - 1
VALUES = np.random.default_rng(1).normal(size=(60, 1)).astype(np.float32)


def hinge(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    return (1 - p * t).clamp(min=0.0).mean()


def quantile(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    off = t - p
    return (off.clamp(min=0.0) * 0.9 + (-off).clamp(min=0.0) * 0.1).mean()


def correlation(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
    p, t = p - p.mean(), t - t.mean()
    return -(p * t).mean() / (((p * p).mean() * (t * t).mean()).sqrt() + 1e-6)


@pytest.mark.parametrize(
    ("loss", "y", "shape", "task", "cut"),
    [
        (lambda p, t: F.cross_entropy(p, t), LABELS, (3,), "classes", None),
        (lambda p, t: -F.cross_entropy(p, t), LABELS, (3,), "classes", None),
        (lambda p, t: (p * 0).sum(), LABELS, (3,), "unknown", None),
        (lambda p, t: -(t * p.log()).sum(), HOT, (3,), "classes", 0.5),
        (squared, HOT, (3,), "classes", 0.5),
        (F.binary_cross_entropy_with_logits, COIN, (1,), "binary", 0.0),
        (F.binary_cross_entropy, COIN, (1,), "binary", 0.5),
        (squared, COIN, (1,), "binary", 0.5),
        (squared, VALUES, (1,), "quantities", None),
        (squared, VALUES[:, 0], (1,), "quantities", None),
        (lambda p, t: (p - t).abs().mean(), VALUES, (1,), "quantities", None),
        (lambda p, t: -squared(p, t), VALUES, (1,), "unknown", None),
        (quantile, VALUES, (1,), "unknown", None),
        (correlation, VALUES, (1,), "unknown", None),
        (squared, VALUES, (2,), "unknown", None),
        (hinge, SIGNS, (1,), "binary", 0.0),
        (lambda p, t: hinge(p, t) + 0.01 * (p * p).mean(), SIGNS, (1,), "binary", 0.0),
        (lambda p, t: (1 + (-p * t).exp()).log().mean(), SIGNS, (1,), "binary", 0.0),
        (lambda p, t: hinge(p, 2 * t - 1), COIN, (1,), "binary", 0.0),
        (lambda p, t: (-p * t).clamp(min=0.0).mean(), SIGNS, (1,), "unknown", None),
        (squared, SIGNS, (1,), "quantities", None),
    ],
)
def test_what_a_loss_of_ones_own_asks(
    loss: Any, y: Array, shape: tuple[int, ...], task: str, cut: float | None
) -> None:
    assert _asked(loss, y, *shape) == (task, cut)


def test_margins_are_scored_by_their_sign() -> None:
    """A hinge loss is 0 from the margin on: outputs are far beyond the targets."""
    made = examples.moons()
    signs = (2 * made.y[:, None] - 1).astype(np.float32)
    found = diagnosed(examples.mlp(2, 1), Dataset(made.x, signs), loss=hinge)
    assert found.healthy, str(found)
    assert found.case is not None
    assert (found.case.metric, found.case.task) == ("accuracy", "binary")
    assert found.case.score is not None
    assert found.case.score > 0.9
    # Of outputs between 0 and 1 none is on the side of -1.
    short = case(
        nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()), Dataset(made.x, signs), loss=hinge
    )
    share = float((short.setup.held_out.y > 0).mean())
    assert short.score == pytest.approx(share)


def test_rows_of_zeros_and_ones() -> None:
    assert is_one_hot(HOT)
    assert are_labels(HOT)
    assert not is_one_hot(1 - HOT)
    assert are_labels(1 - HOT)
    assert not are_labels(COIN)
    assert not are_labels(HOT * 2)


def test_a_loss_of_ones_own_is_scored_by_what_it_asks() -> None:
    """A share of the loss that is gone says little: here half of it is no learning."""
    wide = Dataset(examples.waves().x, examples.waves().y + 3)
    found = case(examples.mlp(2, 1), wide, loss=squared, lr=1e-3, epochs=4)
    assert found.metric == "r2"
    well = diagnosed(examples.mlp(2, 1), examples.waves(), loss=squared)
    assert well.healthy, str(well)
    ill = diagnosed(examples.mlp(2, 1), examples.waves(), loss=squared, lr=1e-6)
    assert ill.findings[0].code == "learning-rate-too-small"


# -- simple means ----------------------------------------------------------------------


def test_a_linear_fit_is_that_of_the_normal_equations() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 20)) * rng.uniform(0.1, 30, 20) + 5
    y = x @ rng.normal(size=(20, 2)) + 1
    found = reference.by_line(x, y, x)
    assert found is not None
    assert 1 - ((found - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum() > 0.99
    assert reference.by_line(np.zeros((4, 1000)), np.zeros((4, 1)), x[:1]) is None


def test_rows_by_heart_are_the_means_of_equal_rows() -> None:
    x = np.array([[0.0], [1.0], [0.0]])
    y = np.array([[1.0], [5.0], [2.0]])
    assert reference.by_heart(x, y).tolist() == [[1.5], [5.0], [1.5]]


def test_simple_means_know_nothing_of_the_setup() -> None:
    rows = one_hot(blobs(3))
    first = case(sigmoid(3), rows, loss=nn.BCELoss(), lr=1e-6).signal
    assert first == case(sigmoid(3), rows, loss=nn.MSELoss(), lr=10.0).signal


# -- a few rows that are all there is --------------------------------------------------


def xor(epochs: int, **given: Any) -> Diagnosis:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    rows = Dataset(x, (x[:, :1] != x[:, 1:]).astype(np.float32))
    model = examples.drawn(
        lambda: nn.Sequential(
            *(nn.Linear(2, 8), nn.Sigmoid(), nn.Linear(8, 1), nn.Sigmoid())
        )
    )
    given = {"loss": nn.BCELoss(), "epochs": epochs, "batch_size": 4} | given
    return diagnosed(model, rows, **given)


@pytest.mark.slow
def test_four_rows_that_are_not_learnt_are_sick() -> None:
    found = xor(300, optimizer=optim.SGD(lr=0.01))
    assert found.case is not None
    assert found.case.fitted
    assert not found.healthy, str(found)
    assert found.fix()[0].comparison.gain >= 0.4


class Blind(nn.Module):
    """A network that does not look at its inputs."""

    def __init__(self) -> None:
        self.inner = examples.mlp(2, 1)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x * 0.0)


def test_rows_that_are_trained_on_are_not_called_held_out() -> None:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    rows = Dataset(x, x[:, :1])
    loss = nn.BCEWithLogitsLoss()
    blind = diagnosed(Blind(), rows, loss=loss, epochs=9, batch_size=4)
    assert "on 4 training rows" in blind.examined["score"]
    causes = [str(f.cause) for f in blind.findings if f.code == "does-not-learn"]
    assert "by heart" in causes[0], str(blind)
    assert "held-out" not in causes[0]


def test_epochs_cost_what_they_cost() -> None:
    """Of epochs of one step the steps are the smaller part of the time."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    rows = Dataset(x, x[:, :1])
    made = case(examples.mlp(2, 1), rows, loss=squared, epochs=10**6, batch_size=4)
    asked = made.prepared()
    assert made.cost(asked) > 2 * asked.epochs * made.step_cost
    assert made.cost(asked) <= evidence.TRIAL * made.budget.seconds
    assert not made.complete
    few = case(examples.mlp(2, 1), rows, loss=squared, epochs=5, batch_size=4)
    assert few.complete
    assert few.trial.error is None
    assert few.budget.spent == pytest.approx(few.cost(few.prepared()))


def test_runs_without_a_change_are_trained_once_a_seed() -> None:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    made = case(examples.mlp(2, 1), Dataset(x, x[:, :1]), loss=squared, epochs=5)
    assert made.fitted
    runs = list[float | None]()
    usual = made.run_scored

    def scored(setup: Any) -> float | None:
        runs.append(usual(setup))
        return runs[-1]

    made.run_scored = scored  # type: ignore[method-assign]
    first, second = list(space.usual(made))[:2]
    a, b = made.compare(first), made.compare(second)
    assert a is not None
    assert b is not None
    assert a.before == b.before
    assert len(a.after) == evidence.SEEDS
    assert len(runs) == 2 * evidence.SEEDS + evidence.SEEDS - 1


def test_four_rows_that_are_learnt_are_healthy() -> None:
    assert xor(400, lr=0.1).healthy


# -- several things at once ------------------------------------------------------------


def narrow(rate: float, act: Any = nn.Sigmoid) -> tuple[Any, Any, dict[str, Any]]:
    """Return a network with a layer of one unit, and another rate."""

    def make() -> nn.Sequential:
        layers = (nn.Linear(2, 32), act(), nn.Linear(32, 1), act(), nn.Linear(1, 8))
        return nn.Sequential(*layers)

    return examples.example(examples.drawn(make), blobs(), lr=rate, epochs=20)


@pytest.mark.slow
def test_a_layer_of_one_unit_is_made_wider() -> None:
    trainer, rows, given = narrow(0.01, nn.ReLU)
    found = cr.diagnose(trainer, rows, **given)
    assert not found.healthy, str(found)
    fixes = found.fix()
    assert any("out_features=32" in c.after for c in fixes[0].changes), str(fixes)


@pytest.mark.slow
def test_pairs_are_of_changes_that_helped_and_go_together() -> None:
    trainer, rows, given = narrow(1e-5)
    examined = Case(trainer, rows, **given)
    for change in space.usual(examined):
        examined.compare(change)
    made = space.combined(examined)
    assert made
    for change in made:
        assert len(change.parts) > 1
        assert change.single == change.parts
        slots = [slot for part in change.parts for slot in part.slots]
        assert len(slots) == len(set(slots))


def flowers() -> Dataset:
    """Return 150 rows of three kinds, in centimetres, as Fisher's irises are."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    means = [[5.0, 3.4, 1.5, 0.25], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.5, 2.0]]
    x = np.array(means)[y] + rng.normal(size=(150, 4)) * [0.5, 0.33, 0.45, 0.22]
    return Dataset(x.astype(np.float32), y.astype(np.int32), classes=3)


@pytest.mark.slow
def test_where_no_single_change_cures_two_are_found() -> None:
    """Small weights, four units, a sigmoid in front of the softmax, a low rate."""
    layers = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3), nn.Sigmoid()

    def draw() -> None:
        for p in model.parameters():
            nn.init.normal_(p, 0.0, 0.1) if p.ndim > 1 else nn.init.zeros_(p)

    model = nn.Sequential(*layers)
    examples.drawn(draw)
    found = diagnosed(model, flowers(), lr=1e-3, epochs=20, batch_size=5)
    first = found.findings[0]
    assert (first.code, first.severity) == ("does-not-learn", "sick"), str(found)
    assert first.change is not None
    assert len(first.change.parts) > 1
    assert found.case is not None
    alone = [c.gain for c in found.case.compared if not c.change.parts]
    assert first.comparison is not None
    assert first.comparison.gain > max(alone)
    assert found.fix()[0].comparison.gain > 0.2


def test_wider_layers_are_those_that_follow_each_other() -> None:
    setup = case(examples.mlp(2, 2, width=4)).setup
    assert [(p.first, p.second) for p in pairs(setup.model)] == [("0", "2"), ("2", "4")]
    change = wider(setup)
    assert change is not None
    made = setup.copy()
    change.apply(made)
    shapes = [tuple(p.shape) for p in made.model.parameters() if p.ndim > 1]
    assert shapes == [(32, 2), (32, 32), (2, 32)]
    assert run(made).error is None
    assert wider(made) is None
    groups = [{"params": "0.*", "lr": 0.1}, {"params": "*"}]
    grouped = case(examples.mlp(width=4), optimizer=optim.Adam(groups)).setup
    assert wider(grouped) is None


def test_an_output_for_each_class_where_one_was() -> None:
    made = blobs(4)
    column = Dataset(made.x, np.asarray(made.y, np.float32)[:, None])
    found = diagnosed(sigmoid(1), column, loss=nn.BCELoss())
    first = found.findings[0]
    assert (first.code, first.severity) == ("loss-unfit", "sick")
    assert first.comparison is not None
    assert first.comparison.gain > 0.3
    assert found.fix()[0].comparison.gain > 0.3
    assert class_outputs(case().setup, 3) is None


def test_labels_that_were_divided_are_counted_again() -> None:
    made = blobs(4)
    parts = Dataset(made.x, np.asarray(made.y, np.float32) / 255)
    found = diagnosed(examples.mlp(2, 4), parts)
    first = found.findings[0]
    assert (first.code, first.component) == ("labels-out-of-range", "labels")
    assert first.comparison is not None
    assert first.comparison.gain > 0.3


# -- single symptoms that were missed --------------------------------------------------


def test_what_is_too_strong_is_where_it_says() -> None:
    """Of a decay that does no harm and a dropout that does, the dropout is named."""

    def make() -> nn.Sequential:
        drops = nn.Dropout(0.95), nn.Dropout(0.95)
        first = nn.Linear(2, 16), nn.ReLU(), drops[0]
        return nn.Sequential(
            *first, nn.Linear(16, 16), nn.ReLU(), drops[1], nn.Linear(16, 2)
        )

    decayed = optim.AdamW(lr=0.01, weight_decay=0.06)
    found = over_regularised.look(case(examples.drawn(make), optimizer=decayed))
    assert found is not None
    assert found.change is not None
    assert "Identity()" in found.change.after
    assert found.where == "module '2' (Dropout)"


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "optimizer",
    [optim.SGD(lr=0.3, weight_decay=0.05), optim.Adam(lr=0.01, weight_decay=0.05)],
)
def test_a_decay_that_stops_learning_is_named(optimizer: Any) -> None:
    rows = cr.data.circles(300, noise=0.05, seed=0)
    found = diagnosed(rows=rows, optimizer=optimizer, epochs=40)
    assert "over-regularised" in codes(found)[:2], str(found)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("optimizer", [optim.Adam, optim.AdamW])
def test_a_decay_that_does_no_harm_is_not_named(optimizer: Any) -> None:
    found = diagnosed(optimizer=optimizer(lr=0.01, weight_decay=1e-3))
    assert found.healthy, str(found)
    assert "over-regularised" not in codes(found)


def centred(off: float) -> Diagnosis:
    made = examples.moons()
    rows = Dataset(np.asarray(made.x[:]) + np.float32(off), made.y, classes=2)
    return diagnosed(rows=rows, lr=0.003, epochs=10)


def test_columns_far_from_the_middle_are_unscaled() -> None:
    first = centred(40.0).findings[0]
    assert (first.code, first.severity) == ("unscaled-inputs", "sick")
    assert first.evidence["largest_mean_in_deviations"] > 10
    assert "unscaled-inputs" not in codes(centred(0.5))


def test_pairs_of_a_contrastive_loss_are_no_mistake() -> None:
    """It sets all rows against each other, outputs and labels alike."""

    def contrastive(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
        near = ((p[:, None] - p[None]) ** 2).sum(-1)
        same = (t[:, None] == t[None]).float()
        return (same * near + (1 - same) * (1 - near).clamp(min=0.0)).mean()

    found = diagnosed(examples.mlp(2, 2), loss=contrastive, epochs=5)
    assert "targets-broadcast" not in codes(found), str(found)


@pytest.mark.slow
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("end", [True, False])
def test_flat_targets_and_columns_are_named_both_ways(flat: bool, end: bool) -> None:
    made = examples.waves()
    rows = Dataset(made.x, made.y[:, 0] if flat else made.y)
    model = examples.mlp(2, 1)
    model = model.append(nn.Flatten(0)) if end else model
    found = diagnosed(model, rows, loss=squared, epochs=10)
    wrong = flat != end
    assert ("targets-broadcast" in codes(found)) == wrong, str(found)


def test_a_relu_in_front_of_probabilities_gives_way_to_a_sigmoid() -> None:
    """Without anything in its place, the loss would refuse what is no probability."""
    rows = examples.binary(examples.moons())
    for seed in range(4):
        cr.manual_seed(seed)
        layers = nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1), nn.ReLU()
        found = diagnosed(nn.Sequential(*layers), rows, loss=nn.BCELoss())
        for finding in found.findings:
            if finding.code == "relu-output":
                assert finding.change is not None
                assert "Sigmoid()" in finding.change.after
                return
    pytest.fail("relu-output was found for no seed")
