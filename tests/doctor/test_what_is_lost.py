"""What a loss, rounding or rare classes take away: found in all guises."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import Diagnosis, examples, space
from chainrule.doctor import standard as networks
from chainrule.doctor.case import Case
from chainrule.doctor.heard import ENDS, heard
from chainrule.doctor.symptoms.constant_columns import constant_columns
from chainrule.doctor.symptoms.rounded_inputs import _grid
from chainrule.errors import ArgumentError
from chainrule.nn import functional as F
from chainrule.training import EarlyStopping
from chainrule.utils.data import DataLoader, TensorDataset

Array = np.ndarray[Any, Any]
Loss = Callable[[Any, Any], Any]
RNG = np.random.default_rng
CLASSES = RNG(0).integers(0, 3, 100).astype(np.int32)
NUMBERS = RNG(1).normal(3, 2, (100, 1)).astype(np.float32)
COLUMNS = RNG(2).normal(size=(100, 3)).astype(np.float32)


def sick(found: Diagnosis) -> list[str]:
    return [f.code for f in found.findings if f.severity == "sick"]


# -- what a loss takes part of ---------------------------------------------------------


def of_size(outputs: Any, targets: Any) -> Any:
    return outputs.square().mean() + 0 * targets.float().mean()


def stretched(outputs: Any, targets: Any) -> Any:
    return (outputs.reshape(-1, 1) - targets.reshape(1, -1)).square().mean()


def of_means(outputs: Any, targets: Any) -> Any:
    return (outputs.mean() - targets.float().mean()).square()


def of_itself(outputs: Any, targets: Any) -> Any:
    return F.cross_entropy(outputs, outputs.detach().argmax(1))


def first_column(outputs: Any, targets: Any) -> Any:
    return (outputs[:, 0] - targets[:, 0]).square().mean()


def first_rows(outputs: Any, targets: Any) -> Any:
    return F.cross_entropy(outputs[:8], targets[:8])


def errors(outputs: Any, targets: Any) -> Any:
    return (outputs.argmax(1) != targets).float().mean()


@pytest.mark.parametrize(
    ("loss", "y", "outputs"),
    [
        (of_size, CLASSES, 3),
        (of_size, NUMBERS, 1),
        (stretched, NUMBERS, 1),
        (of_means, NUMBERS, 1),
        (of_itself, CLASSES, 3),
    ],
)
def test_a_loss_that_pairs_nothing(loss: Loss, y: Array, outputs: int) -> None:
    found = heard(loss, y, (outputs,))
    assert found is not None
    assert not found.pairs
    assert found.losses[0] == pytest.approx(found.losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "columns", "rows"),
    [
        (first_column, COLUMNS, 3, 2 / 3, 0.0),
        (first_rows, CLASSES, 3, 0.0, 7 / 8),
        (errors, CLASSES, 3, 1.0, 1.0),
        (nn.CrossEntropyLoss(ignore_index=0), CLASSES, 3, 0.0, None),
    ],
)
def test_a_loss_of_a_part(
    loss: Loss, y: Array, outputs: int, columns: float, rows: float | None
) -> None:
    found = heard(loss, y, (outputs,))
    assert found is not None
    assert found.pairs
    assert found.deaf_columns == pytest.approx(columns)
    share = float((y[:64] == 0).mean()) if rows is None else rows
    assert found.deaf_rows == pytest.approx(share)


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "end"),
    [
        (nn.CrossEntropyLoss(), CLASSES, 3, ""),
        (nn.CrossEntropyLoss(from_logits=False), CLASSES, 3, "softmax"),
        (nn.NLLLoss(), CLASSES, 3, "log_softmax"),
        (nn.MultiMarginLoss(), CLASSES, 3, ""),
        (nn.CrossEntropyLoss(label_smoothing=0.9), CLASSES, 3, ""),
        (nn.MSELoss(), NUMBERS, 1, ""),
        (nn.L1Loss(), NUMBERS, 1, ""),
        (nn.HuberLoss(1e-4), NUMBERS, 1, ""),
        (nn.MSELoss(), COLUMNS, 3, ""),
        (nn.BCEWithLogitsLoss(), (NUMBERS > 3).astype(np.float32), 1, ""),
        (nn.BCELoss(), (NUMBERS > 3).astype(np.float32), 1, "sigmoid"),
    ],
)
def test_the_usual_losses_hear_all(
    loss: Loss, y: Array, outputs: int, end: str
) -> None:
    found = heard(loss, y, (outputs,), ENDS.get(end))
    assert found is not None
    assert found.pairs
    assert (found.deaf_columns, found.deaf_rows) == (0.0, 0.0)


@pytest.mark.parametrize("loss", [of_size, of_itself])
def test_a_loss_without_targets_is_sick(loss: Loss) -> None:
    trainer, data, given = examples.example(loss=loss)
    found = cr.diagnose(trainer, data, **given)
    assert sick(found)[:1] == ["loss-ignores-targets"]
    assert found.findings[0].component == "loss"
    assert found.findings[0].comparison is not None


def test_numbers_that_a_loss_of_ones_own_stretches_itself() -> None:
    model = examples.mlp(2, 1)
    trainer, data, given = examples.example(model, examples.waves(), loss=stretched)
    assert sick(cr.diagnose(trainer, data, **given))[:1] == ["loss-ignores-targets"]


def test_a_network_of_its_own_targets_is_not_judged_by_others() -> None:
    """Three numbers to two classes: they are no answers, whatever the loss ignores."""
    trainer, data, given = examples.example(examples.mlp(2, 3), loss=of_size)
    assert sick(cr.diagnose(trainer, data, **given)) == []


# -- what rounding leaves --------------------------------------------------------------


def noise(columns: int = 6) -> Array:
    return RNG(3).normal(size=(400, columns))


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda x: np.floor(x / 8) * 8,
        lambda x: np.floor(x / 5),
        lambda x: np.trunc(x / 2) * 2,
    ],
)
def test_what_was_rounded_lies_on_a_grid(spoilt: Any) -> None:
    assert _grid(spoilt(noise())) is not None


@pytest.mark.parametrize(
    "natural",
    [
        lambda x: x,
        lambda x: (x > 0) * 1.0,
        lambda x: np.sign(x),
        lambda x: (x > 0) * 255.0,
        lambda x: np.rint(np.clip(x, -1, 1)),
        lambda x: ((x > 0) - (x > 0).mean(0)) / (x > 0).std(0),
        lambda x: np.floor(x / 0.05) * 0.05,
        lambda x: np.floor(x),
        lambda x: np.abs(np.rint(3 * x)),
    ],
)
def test_codes_and_fine_steps_are_no_grid(natural: Any) -> None:
    assert _grid(natural(noise())) is None


# -- rows ------------------------------------------------------------------------------


def ring(n: int = 900) -> tuple[Array, Array]:
    x = RNG(4).normal(size=(n, 4)).astype(np.float32)
    return x, ((x * x).sum(1) > 3.4).astype(np.int32)


@pytest.mark.parametrize(("share", "expected"), [(0.01, True), (1.0, False)])
def test_a_class_that_is_rare_among_training_rows_alone(
    share: float, expected: bool
) -> None:
    x, y = ring()
    kept = np.flatnonzero((y[:600] == 0) | (RNG(5).uniform(size=600) < share))
    train, held = (Dataset(x[k], y[k], classes=2) for k in (kept, slice(600, None)))
    trainer, data, given = examples.example(examples.mlp(4, width=32), train)
    found = cr.diagnose(trainer, data, validation=held, **given)
    assert ("imbalanced-classes" in sick(found)) == expected


def test_a_rare_class_is_no_fault_where_it_is_as_rare_elsewhere() -> None:
    x, y = ring(3000)
    kept = np.flatnonzero((y == 0) | (np.arange(len(y)) % 20 == 0))
    half = len(kept) // 2
    train, held = (Dataset(x[k], y[k], classes=2) for k in (kept[:half], kept[half:]))
    trainer, data, given = examples.example(examples.mlp(4, width=32), train)
    found = cr.diagnose(trainer, data, validation=held, **given)
    assert ("imbalanced-classes", "risk") in [
        (f.code, f.severity) for f in found.findings
    ]


# -- references that see where things are ----------------------------------------------


class Order(nn.Module):
    """Words with places."""

    def __init__(self) -> None:
        self.words, self.rest = nn.Embedding(12, 4), examples.mlp(24, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.rest(self.words(x).flatten(1))


@pytest.mark.slow
def test_of_words_their_places_are_asked() -> None:
    """Which of two words is first: their counts do not say."""
    draw = RNG(6)
    x, y = draw.integers(2, 12, (900, 6)), draw.integers(0, 2, 900)
    for i in range(900):
        a, b = np.sort(draw.permutation(6)[:2])
        x[i, a], x[i, b] = y[i], 1 - y[i]
    wrong = y.copy()
    wrong[:600] = draw.permutation(y[:600])
    train, held = (
        Dataset(x[s].astype(np.int32), wrong[s].astype(np.int32), classes=2)
        for s in (slice(600), slice(600, None))
    )
    trainer, data, given = examples.example(cr.doctor.examples.drawn(Order), train)
    found = cr.diagnose(trainer, data, validation=held, **given)
    assert "wrong-labels" in sick(found)


@pytest.mark.parametrize("shape", [(144,), (12, 12), (1, 12, 12)])
def test_the_form_of_pictures_is_that_of_the_first_convolution(shape: Any) -> None:
    x = RNG(7).normal(size=(60, *shape)).astype(np.float32)
    y = RNG(8).integers(0, 2, 60).astype(np.int32)
    ahead = {1: [nn.Unflatten(1, (1, 12, 12))], 2: [nn.Unflatten(1, (1, 12))], 3: []}
    model = nn.Sequential(
        *ahead[len(shape)],
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 144, 2),
    )
    trainer, data, given = examples.example(model, Dataset(x, y, classes=2))
    case = Case(trainer, data, **given)
    assert case._form == (1, 12, 12)


def test_steps_are_turned_to_channels_first() -> None:
    x = RNG(7).normal(size=(60, 20, 2)).astype(np.float32)
    y = RNG(8).integers(0, 2, 60).astype(np.int32)
    model = nn.Sequential(
        nn.Transpose(1, 2),
        nn.Conv1d(2, 4, 5, padding=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(80, 2),
    )
    trainer, data, given = examples.example(model, Dataset(x, y, classes=2))
    case = Case(trainer, data, **given)
    assert case._form == (2, 20)
    table = case._features(x)
    assert np.array_equal(table.reshape(60, 2, 20), x.transpose(0, 2, 1))


def test_a_network_without_convolutions_has_no_form() -> None:
    trainer, data, given = examples.example()
    assert Case(trainer, data, **given)._form is None


def test_convolutions_find_what_lies_anywhere() -> None:
    """Crosses and squares at any place, of few rows."""
    draw = RNG(9)
    x, y = draw.normal(0, 0.3, (300, 12, 12)), draw.integers(0, 2, 300)
    shapes = np.array(
        [[[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[1, 1, 1], [1, 0, 1], [1, 1, 1]]]
    )
    for i in range(300):
        a, b = draw.integers(0, 10, 2)
        x[i, a : a + 3, b : b + 3] += 2 * shapes[y[i]] * (8 / (5 + 3 * y[i]))
    flat, hot = x.reshape(300, -1), np.eye(2)[y]
    given = "classes", flat[:200], hot[:200], flat[200:], "numpy", {}
    scores = [
        float((said.argmax(1) == y[200:]).mean())
        for form in (None, (1, 12, 12))
        if (said := networks.answers(*given, form)) is not None
    ]
    assert len(scores) == 2
    assert scores[1] > scores[0] + 0.05
    assert scores[1] > 0.9


# -- what a first try does without -----------------------------------------------------


def test_what_ends_the_run_or_limits_its_answers_is_left_out() -> None:
    class Softsign(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return x / (1 + x.abs())

    model = examples.mlp(2, 1).append(Softsign())
    made = examples.waves()
    rows = Dataset(made.x, made.y * 6)
    stop = EarlyStopping(patience=1, min_delta=100.0)
    make = partial(examples.example, model, rows, loss=nn.MSELoss(), epochs=40)
    trainer, data, given = make()
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=trainer.optimizer, ema_decay=0.9999
    )
    case = Case(trainer, data, callbacks=[stop], **given)
    first = [c.slots[0] for c in space.unusual(case)]
    assert first == ["layer 5", "stopping", "average"]
    parts = [space.component(case.setup, c) for c in space.unusual(case)]
    assert parts == ["activation", "epochs", "optimizer"]


def test_a_plain_setup_has_nothing_unusual() -> None:
    trainer, data, given = examples.example()
    assert list(space.unusual(Case(trainer, data, **given))) == []


def test_a_rate_far_from_the_default_one_is_unusual() -> None:
    """Where steps have a size of their own: that of SGD's is the gradient's."""

    def rates(optimizer: Any) -> list[str]:
        trainer, data, given = examples.example(optimizer=optimizer)
        return [c.after for c in space.unusual(Case(trainer, data, **given))]

    assert rates(optim.Adadelta(lr=0.001)) == ["lr=1"]
    assert rates(optim.Adadelta(lr=0.5)) == []
    assert rates(optim.Adam(lr=1.0)) == ["lr=0.001"]
    assert rates(optim.SGD(lr=0.3)) == []


def test_a_scale_of_zero_is_drawn_anew() -> None:
    def make() -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(2, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 2)
        )

    model = examples.drawn(make)
    nn.init.zeros_(model[1].weight)
    trainer, data, given = examples.example(model)
    found = cr.diagnose(trainer, data, **given)
    assert "constant-weights" in [f.code for f in found.findings]


# -- loaders ---------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "refused"), [(300, False), (40, True)])
def test_a_loader_says_how_large_a_batch_is(rows: int, refused: bool) -> None:
    made = examples.moons()
    some = cr.tensor(np.asarray(made.x[:rows])), cr.tensor(np.asarray(made.y[:rows]))
    loader = DataLoader(TensorDataset(*some), batch_size=50, drop_last=True)
    trainer, __, __ = examples.example()
    found = cr.diagnose(trainer, loader, epochs=30)
    assert ("data-refused" in sick(found)) == refused
    assert found.case is not None
    if refused:
        with pytest.raises(ArgumentError):
            trainer.fit(loader, epochs=1, progress=False)
    else:
        assert (found.case.setup.batch_size, found.case.setup.drop_last) == (50, True)


# -- columns of which nothing is left --------------------------------------------------


def severity_of(lost: int, spread: float) -> str | None:
    """Targets of 10 columns, of which so many are zeros; the others are rarely so."""
    rng = RNG(7)
    x = rng.normal(size=(600, 10)).astype(np.float32)
    y = (x.sum(1) > 0).astype(np.int32)
    x[:, :lost] = 0
    x *= rng.uniform(size=x.shape) < spread
    rows = Dataset(x, y, classes=2)
    trainer, data, more = examples.example(examples.mlp(10), rows)
    found = constant_columns.look(Case(trainer, data, **more))
    return found and found.severity


def test_half_of_the_columns_without_a_number_is_sick_where_the_run_is_far_off() -> (
    None
):
    assert [severity_of(n, 1.0) for n in (0, 4, 5)] == [None, "note", "sick"]


def test_columns_of_rare_words_may_be_empty() -> None:
    assert severity_of(6, 0.05) == "note"
