"""Optuna prunes trials, and what is left of them is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import errors
from chainrule.tracking import OptunaPruning
from tests.training.test_loop import example

from .conftest import STEPS, dataset, fit, trainer

pytestmark = pytest.mark.parity
optuna = pytest.importorskip("optuna", reason="needs optuna: pip install it")
optuna.logging.set_verbosity(optuna.logging.ERROR)


class Below(optuna.pruners.BasePruner):
    """Prunes every trial at one epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def prune(self, study: Any, trial: Any) -> bool:
        return trial.last_step >= self.epoch


def study(epoch: int) -> Any:
    return optuna.create_study(direction="minimize", pruner=Below(epoch))


def test_a_pruned_trial_leaves_the_trainer_usable(tmp_path: Path) -> None:
    made: list[cr.Trainer] = []

    def objective(trial: Any) -> float:
        made.append(trainer())
        fit(OptunaPruning(trial), made[-1], epochs=4, checkpoint=tmp_path / "run")
        raise AssertionError("it was pruned")

    search = study(2)
    search.optimize(objective, n_trials=1)
    (trial,) = search.trials
    assert trial.state is optuna.trial.TrialState.PRUNED
    (cut,) = made
    rows = cut.history.epochs
    assert trial.intermediate_values == {r["epoch"]: r["validation_loss"] for r in rows}
    assert (cut.epoch, cut.optimizer.steps) == (2, 2 * STEPS)
    assert cr.Trainer.load(tmp_path / "run").epoch == 2
    cut.resume(dataset(), validation=dataset(), progress=False)
    whole = fit([], epochs=4)
    assert cut.history.steps["loss"].tobytes() == whole.history.steps["loss"].tobytes()


def test_a_good_trial_comes_to_its_end() -> None:
    search = study(10)
    search.optimize(
        lambda t: fit(OptunaPruning(t, "train_loss")).history.recent(), n_trials=2
    )
    assert [t.state.name for t in search.trials] == ["COMPLETE"] * 2
    assert [*search.trials[0].intermediate_values] == [1, 2, 3]


@pytest.mark.slow
def test_the_example_finds_good_settings() -> None:
    made = example("search").run(trials=12, epochs=20)
    assert made["accuracy"] > 0.85  # of 1/3 for guessing
    assert 0 < made["pruned"] < 12
    assert made["best"]["lr"] > 1e-3


def test_what_it_cannot_report() -> None:
    trial = study(2).ask()
    with pytest.raises(errors.ArgumentError, match="validation_los"):
        fit(OptunaPruning(trial, "validation_los"))
    with pytest.raises(errors.ArgumentError, match="trial is of another kind"):
        OptunaPruning(study(2))


@pytest.mark.parametrize(
    ("directions", "monitor"),
    [
        (["maximize"], "validation_loss"),
        (["minimize"], "validation_accuracy"),
        (["minimize", "maximize"], "validation_loss"),
    ],
)
def test_a_study_of_another_direction(directions: list[str], monitor: str) -> None:
    """It would prune the best trials, and say nothing."""
    trial, made = optuna.create_study(directions=directions).ask(), trainer()
    with pytest.raises(errors.ArgumentError, match="another direction"):
        fit(OptunaPruning(trial, monitor), made)
    assert made.optimizer.steps == 0


def test_directions_that_fit() -> None:
    trial = optuna.create_study(direction="maximize").ask()
    assert fit(OptunaPruning(trial, "validation_accuracy"), epochs=1).finished
    fixed = optuna.trial.FixedTrial({})
    assert fit(OptunaPruning(fixed), epochs=1).finished
