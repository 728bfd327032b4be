"""What is chance in a run, what ends it early, and labels that are no labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import (
    Case,
    Change,
    Comparison,
    chance,
    changes,
    draws,
    evidence,
    examples,
    initialising,
)
from chainrule.doctor.symptoms.weights_badly_scaled import weights_badly_scaled
from chainrule.runs import diagnosing
from chainrule.training import EarlyStopping, LambdaCallback


def case(*args: Any, **given: Any) -> Case:
    trainer, data, more = examples.example(*args, **given)
    return Case(trainer, data, **more)


# -- seeds -----------------------------------------------------------------------------


def test_weights_are_drawn_anew_where_their_rule_is_known() -> None:
    made = case(examples.mlp())
    for how in (None, nn.init.kaiming_normal_, nn.init.xavier_normal_):
        for p in made.setup.model.parameters():
            if p.ndim > 1 and how is not None:
                how(p)
        before = [p.numpy().copy() for p in made.setup.model.parameters()]
        change = draws.other_draw(made.setup)
        assert change is not None
        other = made.prepared(change, seed=7).model
        for p, q in zip(before, other.parameters(), strict=True):
            if p.ndim > 1:
                assert not np.array_equal(p, q.numpy())
                assert p.std() == pytest.approx(q.numpy().std(), rel=0.5)
    nn.init.constant_(next(made.setup.model.parameters()), 0.3)
    assert draws.other_draw(made.setup) is None


def test_what_cures_the_worst_seed_alone_is_no_cure() -> None:
    made = case(epochs=3)
    draws = iter([1.0, 0.4, 0.4])
    made.run_scored = lambda setup: next(draws)  # type: ignore[method-assign]
    change = Change("a change", "a", "b", lambda setup: None)
    found = chance.compared(made, [0.9, 0.3, 0.9], change)
    assert found is not None
    assert found.before == (0.9, 0.3, 0.9)
    assert found.after == (0.4, 1.0, 0.4)
    assert evidence.severity(found) != "sick"
    made.run_scored = lambda setup: 0.3  # type: ignore[method-assign]
    assert chance.compared(made, [0.9, 0.3, 0.9], change) is None


def test_the_shorter_the_runs_the_larger_the_gain() -> None:
    change = Change("a change", "a", "b", lambda setup: None)
    for share, least in ((1.0, 0.1), (0.5, 0.15), (1e-9, 0.2)):
        for gain, found in ((least - 0.01, "risk"), (least + 0.01, "sick")):
            scores = (0.5,), (0.5 + gain,)
            made = Comparison(change, "accuracy", *scores, 0.1, 0.0, share)
            assert evidence.severity(made) == found


@pytest.mark.parametrize(("lr", "rises"), [(0.05, False), (1e4, True)])
def test_runs_that_only_begin_prove_nothing_sick(lr: float, rises: bool) -> None:
    """Unless the loss rises far beyond the first one."""
    made = case(examples.mlp(2), epochs=200, lr=lr)
    steps = made.setup.steps // 200
    made.__dict__["trial_steps"] = steps
    assert 0 < made.prepared().steps < evidence.BEGINNING * made.setup.steps
    assert (made.share > 0) is rises
    change = Change("a change", "a", "b", lambda setup: None)
    found = Comparison(change, "accuracy", (0.1,), (0.9,), 0.1, 0.0, made.share)
    assert evidence.severity(found) == ("sick" if rises else "risk")


# -- early stopping --------------------------------------------------------------------


def forever(**given: Any) -> tuple[Case, EarlyStopping]:
    stop = EarlyStopping("validation_loss", patience=2, **given)
    return case(epochs=400, lr=0.05, callbacks=[stop]), stop


def test_trial_runs_are_stopped_as_the_run_would_be() -> None:
    made, stop = forever()
    record = made.trial
    assert record.stopped
    assert len(record.rows) < 400
    assert "stopped early" in made.examined["trial_run"]
    assert (stop.best, stop.waited, stop.stopped) == (None, 0, False)
    trainer, data, more = examples.example(lr=0.05)
    train, rest = data.split(0.8, seed=0)
    own = EarlyStopping("validation_loss", patience=2)
    more |= {"epochs": made.prepared().epochs, "progress": False}
    trainer.fit(train, validation=rest, callbacks=[own], **more)
    assert trainer.epoch == len(record.rows)
    assert trainer.evaluate(rest)["loss"] == pytest.approx(stop_loss(made, rest))


def stop_loss(made: Case, rows: Any) -> float:
    assert made.trial.trainer is not None
    return float(made.trial.trainer.evaluate(rows)["loss"])


def test_of_callbacks_only_early_stopping_takes_part() -> None:
    called: list[int] = []
    watch = LambdaCallback(on_epoch=lambda trainer: called.append(trainer.epoch))
    stop = EarlyStopping("validation_accuracy", patience=2)
    trainer, data, more = examples.example(epochs=2)
    found = cr.diagnose(trainer, data, callbacks=[watch, stop], **more)
    assert not called
    assert "validation_accuracy" in found.not_examined["stopping"]


def test_a_run_file_is_diagnosed_with_its_early_stopping(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        """
        [data]
        source = "moons"
        [model]
        layers = [{ class = "Linear", out_features = 8 }, "ReLU", "Linear"]
        [loss]
        class = "CrossEntropyLoss"
        [optimizer]
        class = "Adam"
        lr = 0.05
        [training]
        epochs = 400
        engine = "numpy"
        [[callbacks]]
        class = "EarlyStopping"
        patience = 2
        """,
        encoding="utf-8",
    )
    found = diagnosing.diagnosed(str(file))
    assert "stopped early" in found.examined["trial_run"]


@pytest.mark.parametrize("drop", [True, False])
def test_a_run_file_is_diagnosed_with_its_drop_last(tmp_path: Path, drop: bool) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        f"""
        [data]
        source = "moons"
        [model]
        layers = [{{ class = "Linear", out_features = 8 }}, "ReLU", "Linear"]
        [loss]
        class = "CrossEntropyLoss"
        [optimizer]
        class = "Adam"
        lr = 0.05
        [training]
        epochs = 20
        batch_size = 50
        drop_last = {str(drop).lower()}
        engine = "numpy"
        """,
        encoding="utf-8",
    )
    found = diagnosing.diagnosed(str(file))
    assert found.case is not None
    assert found.case.setup.drop_last is drop
    rows = len(found.case.trial.setup.train)
    per_epoch = rows // 50 if drop else -(-rows // 50)
    assert rows % 50
    assert len(found.case.trial.losses) == found.case.prepared().epochs * per_epoch


def test_rows_that_the_doctor_holds_out_do_not_shorten_the_run() -> None:
    made = case(examples.mlp(), epochs=10, batch_size=8)
    assert made.part is not None
    assert len(made.part) < len(made.train)
    assert made.prepared().steps == pytest.approx(made.setup.steps, rel=0.05)
    assert made.complete
    whole = case(examples.mlp(), epochs=10, batch_size=300)
    assert whole.prepared().steps == whole.setup.steps == 10


# -- labels ----------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1 / 255, 0.1, 2.0, 500.0])
@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss, nn.BCELoss])
def test_two_labels_of_which_none_is_1_were_scaled(loss: Any, scale: float) -> None:
    made = examples.binary(examples.moons())
    model = examples.mlp(2, 1)
    model = model.append(nn.Sigmoid()) if loss is nn.BCELoss else model
    y = (np.asarray(made.y) * scale).astype(np.float32)
    trainer, data, more = examples.example(model, Dataset(made.x, y), loss=loss())
    found = cr.diagnose(trainer, data, **more)
    first = found.findings[0]
    assert (first.code, first.severity) == ("labels-out-of-range", "sick")
    assert "before they were scaled" in first.fix
    assert first.change is not None
    cured = Case(trainer, data, **more).setup
    first.change.apply(cured)
    assert np.array_equal(np.asarray(cured.train.y), np.asarray(made.y))


def test_smoothed_labels_of_one_side_are_labels() -> None:
    made = examples.binary(examples.moons())
    y = (np.asarray(made.y) * 0.9).astype(np.float32)
    given = {"loss": nn.BCEWithLogitsLoss(), "epochs": 40}
    trainer, data, more = examples.example(
        examples.mlp(2, 1), Dataset(made.x, y), **given
    )
    assert cr.diagnose(trainer, data, **more).healthy


def test_labels_of_which_most_are_wrong_are_named_without_a_cure() -> None:
    """Leaving out contradicted rows does not help where next to none is right."""
    blobs = cr.data.blobs(600, 6, seed=0)
    train, held = blobs.split(0.6, seed=0)
    drawn = np.random.default_rng(0)
    y = np.asarray(train.y).copy()
    wrong = drawn.uniform(size=len(y)) < 0.75
    y[wrong] = drawn.integers(0, 6, int(wrong.sum()))
    trainer, data, more = examples.example(
        examples.mlp(2, 6, width=64),
        Dataset(train.x, y, classes=6),
        optimizer=optim.Adam(lr=0.02),
        epochs=60,
        validation=held,
    )
    found = cr.diagnose(trainer, data, **more)
    assert ("wrong-labels", "sick") in [(f.code, f.severity) for f in found.findings]


# -- weights of layers that multiply by several matrices -------------------------------


class Last(nn.Module):
    """A recurrent layer, or attention, whose last step gives two scores."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer, self.out = layer, nn.Linear(8, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        if isinstance(self.layer, nn.MultiheadAttention):
            return self.out(self.layer(x, x, x)[0][:, -1])
        return self.out(self.layer(x)[0][:, -1])


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.RNN(8, 8, batch_first=True),
        lambda: nn.LSTM(8, 8, batch_first=True),
        lambda: nn.GRU(8, 8, batch_first=True, bidirectional=False),
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
    ],
)
@pytest.mark.parametrize("size", [0.0001, 30.0])
def test_such_weights_are_drawn_anew_where_they_are_strange(
    make: Any, size: float
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6, 8)).astype(np.float32)
    rows = Dataset(x, (x[:, :, 0].sum(1) > 0).astype(np.int32), classes=2)
    cr.manual_seed(0)
    usual, strange = Last(make()), Last(make())
    for name, p in strange.layer.named_parameters():
        if p.ndim > 1 and "out_proj" not in name:
            nn.init.normal_(p, 0.0, size)
    drawn = []
    for model in (usual, strange):
        own = {n: p.numpy().copy() for n, p in model.layer.named_parameters()}
        made = case(model, rows)
        change = initialising.variance(made.setup, relu=True)
        new = dict(made.prepared(change).model.named_parameters())
        first = max((n for n in own if "out_proj" not in n), key=lambda n: own[n].size)
        drawn.append(not np.array_equal(own[first], new[f"layer.{first}"].numpy()))
        spread = float(new[f"layer.{first}"].numpy().std())
        assert 0.05 < spread < 1.0
        kind = type(model.layer).__name__
        assert (f"layer: as {kind} draws them" in change.after) is drawn[-1]
    assert drawn == [False, True]


def test_fresh_weights_of_such_layers_are_not_strange() -> None:
    class Own(nn.GRU):
        pass

    for seed in range(40):
        cr.manual_seed(seed)
        model = nn.Sequential(nn.GRU(8, 8), nn.LSTM(6, 8), nn.RNN(8, 32))
        assert initialising._odd(model) == frozenset(), seed
    own = nn.Sequential(Own(8, 8), nn.GRU(8, 8))
    shared = nn.Sequential(own[1], own[1])
    for p in (*own[0].parameters(), *own[1].parameters()):
        nn.init.normal_(p, 0.0, 30.0)
    assert initialising._odd(own) == {"1"}  # the other one draws as nobody knows
    assert initialising._odd(shared) == {"0"}


def test_weights_of_a_recurrent_layer_that_are_huge_are_named() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 6, 8)).astype(np.float32)
    rows = Dataset(x, (x[:, :, 0].sum(1) > 0).astype(np.int32), classes=2)
    cr.manual_seed(0)
    model = Last(nn.GRU(8, 8, batch_first=True))
    for p in model.layer.parameters():
        if p.ndim > 1:
            nn.init.normal_(p, 0.0, 30.0)
    found = weights_badly_scaled.look(case(model, rows))
    assert found is not None
    assert found.severity == "sick"
    assert "'layer.weight_" in str(found.where)


def test_what_learns_late_is_not_sick_by_a_trial_that_was_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its whole run is made before that is said, where the budget reaches."""
    slow = optim.SGD(lr=0.01), "risk"
    never = optim.SGD(lr=1e-5), "sick"
    monkeypatch.setattr(Case, "trial_steps", 40)
    for optimizer, level in (slow, never):
        made = case(optimizer=optimizer, epochs=150)
        faster = changes.optimizer(made.setup, partial(optim.Adam, lr=0.01))
        found, best = made.judge(faster)
        assert evidence.severity(best) == "sick"  # by the trial alone
        assert found == level
        assert "whole_run" in made.examined


def test_a_whole_run_beyond_the_budget_is_not_made() -> None:
    made = case(epochs=10_000)
    assert not made.complete
    assert made.whole_score is None
    assert "whole_run" not in made.examined
