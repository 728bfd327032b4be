"""Schedules: rates by hand, runs of a Trainer's kind, state, messages."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from chainrule import optim
from chainrule.errors import ArgumentError, ChainruleWarning
from tests.mistakes import explained

EPOCH = {"steps_per_epoch": 4}


def again(schedule: optim.Schedule) -> optim.Schedule:
    """The schedule after a checkpoint."""
    return optim.build_schedule(json.loads(json.dumps(schedule.settings())))


EVERY = [
    optim.StepLR(0.1, 2, **EPOCH),
    optim.MultiStepLR(0.1, [1, 3], 0.5, **EPOCH),
    optim.ExponentialLR(0.1, 0.9, unit="step"),
    optim.CosineAnnealingLR(0.1, 10, 0.01, unit="step"),
    optim.OneCycleLR(0.1, 20),
    optim.LinearWarmup(optim.StepLR(0.1, 2, **EPOCH), 3),
    optim.LinearWarmup(0.1, 3, 0.5),
    optim.LinearWarmup(optim.LinearWarmup(0.1, 2), 3),
    optim.ReduceLROnPlateau(0.1, patience=2),
    optim.PiecewiseConstantLR(0.1, [1, 3], [0.3, 0.01], **EPOCH),
]


MARK = [0, 0, 4]


def resumed(name: str, **settings) -> optim.Schedule:
    return optim.build_schedule({"name": name, "lr": 1.0, **settings})


# -- formulas ------------------------------------------------------------------------


def test_rates_by_hand() -> None:
    two = [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    assert optim.StepLR(0.8, 2, 0.5, unit="step").values(6).tolist() == two
    marks = optim.MultiStepLR(0.8, [1, 4], 0.5, unit="step")
    assert marks.values(6).tolist() == [0.8, 0.4, 0.4, 0.4, 0.2, 0.2]
    falling = optim.ExponentialLR(0.8, 0.5, unit="step")
    assert falling.values(3).tolist() == [0.8, 0.4, 0.2]
    cosine = optim.CosineAnnealingLR(1.0, 4, 0.2, unit="step")
    half = 0.4 * (1 + math.sqrt(0.5)) + 0.2
    wanted = [1.0, half, 0.6, 1.2 - half, 0.2]
    np.testing.assert_allclose(cosine.values(5), wanted, rtol=1e-14)


def test_one_cycle() -> None:
    schedule = optim.OneCycleLR(1.0, pct_start=0.5, div_factor=10, final_div_factor=100)
    with pytest.raises(ArgumentError, match="total_steps"):
        schedule(0)
    schedule.bind(101)
    schedule.bind(7)
    assert schedule.total_steps == 101, "the first run decides"
    peak = 0.5 * 101 - 1
    assert schedule(0) == pytest.approx(0.1)
    assert schedule(100) == pytest.approx(0.001)
    assert schedule(500) == schedule(100)
    assert schedule(25) == pytest.approx(
        1 + (0.1 - 1) / 2 * (1 + math.cos(math.pi * 25 / peak))
    )
    rates = schedule.values(101)
    top = int(np.argmax(rates))
    assert (np.diff(rates[: top + 1]) >= 0).all()
    assert (np.diff(rates[top:]) <= 0).all()


def test_a_cosine_after_a_warm_up_ends_with_the_run() -> None:
    schedule = optim.LinearWarmup(optim.CosineAnnealingLR(1.0, unit="step"), steps=20)
    assert schedule.total_steps is None
    schedule.bind(100, 10)
    assert schedule.total_steps == 100
    assert schedule(60) == pytest.approx(0.5)
    assert schedule(100) == pytest.approx(0.0, abs=1e-15)


# -- what a run tells them -------------------------------------------------------------


def test_a_run_says_how_long_an_epoch_is() -> None:
    schedule = optim.StepLR(1.0, 2, 0.5)
    schedule.bind(40, 4)
    assert schedule.values(17)[[0, 7, 8, 15, 16]].tolist() == [1, 1, 0.5, 0.5, 0.25]
    given = optim.StepLR(1.0, 2, 0.5, steps_per_epoch=1)
    given.bind(40, 4)
    assert given(2) == 0.5, "what was given stays"
    unknown = optim.StepLR(1.0, 2, 0.5, unit="step")
    unknown.bind(None, None)
    assert unknown(2) == 0.5


def test_a_later_run_may_have_other_batches() -> None:
    """Two epochs of 10 updates, then epochs of 5: epoch 2 begins at update 20."""
    schedule = optim.ExponentialLR(1.0, 0.5)
    schedule.bind(20, 10)
    assert schedule(19) == 0.5
    schedule.bind(30, 5, first=20)
    assert [schedule(t) for t in (20, 24, 25, 29)] == [0.25, 0.25, 0.125, 0.125]
    again_bound = again(schedule)
    assert [again_bound(t) for t in (20, 24, 25)] == [0.25, 0.25, 0.125]


def test_a_later_run_may_have_other_batches_after_a_warm_up_too() -> None:
    schedule = optim.LinearWarmup(optim.ExponentialLR(1.0, 0.5), 10)
    schedule.bind(30, 10)
    schedule.bind(40, 5, first=30)
    assert [schedule(t) for t in (29, 30, 34, 35)] == [0.5, 0.25, 0.25, 0.125]


def test_an_epoch_cut_short_counts_as_one() -> None:
    schedule = optim.ExponentialLR(1.0, 0.5)
    schedule.bind(30, 10)
    schedule.bind(33, 10, first=13)  # interrupted in its second epoch, begun anew
    assert [schedule(t) for t in (13, 22, 23)] == [0.25, 0.25, 0.125]


def test_a_cosine_takes_the_length_of_the_run() -> None:
    by_epoch, by_step = (
        optim.CosineAnnealingLR(1.0, unit=u) for u in ("epoch", "step")
    )
    for schedule in (by_epoch, by_step):
        with pytest.raises(ArgumentError, match="how long the run is"):
            schedule(0)
        schedule.bind(40, 10)
        schedule.bind(80, 10, first=40)
        assert schedule.total_steps == 40, "a run beyond it is to be refused"
        assert again(schedule).total_steps == 40
        assert again(schedule)(25) == schedule(25)
    assert by_epoch(25) == by_epoch(20) == pytest.approx(0.5)
    assert by_step(30) == pytest.approx((1 + math.cos(0.75 * math.pi)) / 2)
    given = optim.CosineAnnealingLR(1.0, 3)
    given.bind(40, 10)
    assert given.total_steps is None, "it goes on beyond T_max"


def test_a_hand_written_loop_is_told_what_is_missing() -> None:
    with pytest.raises(ArgumentError, match=r'steps_per_epoch=n // batch.*"step"'):
        optim.StepLR(0.1, 2)(0)


# -- on a plateau ----------------------------------------------------------------------


def test_a_plateau_reached_after_an_interruption() -> None:
    losses = [1.0, 0.9, 0.95, 0.94, 0.93, 0.92, 0.91, 0.905, 0.904]
    for cut in range(len(losses)):
        whole = optim.LinearWarmup(
            optim.ReduceLROnPlateau(1.0, factor=0.5, patience=1, cooldown=1), 5
        )
        part = again(whole)
        for i, loss in enumerate(losses):
            if i == cut:
                part = again(part)
            whole.observe({"validation_loss": loss})
            part.observe({"validation_loss": loss})
            assert part(9) == whole(9)
            assert part(2) == whole(2)
        assert whole(9) == 0.25


def test_what_is_watched_shows_through_a_warm_up() -> None:
    inner = optim.ReduceLROnPlateau(0.1, "validation_accuracy", mode="max")
    for schedule in (inner, optim.LinearWarmup(inner, 5)):
        assert (schedule.monitor, schedule.mode) == ("validation_accuracy", "max")
    constant = optim.Schedule(0.1)
    assert (constant.monitor, constant.mode) == (None, None)


def test_infinity_and_nan_are_no_improvement() -> None:
    schedule = optim.ReduceLROnPlateau(1.0, patience=0)
    schedule.observe({"validation_loss": 1.0})
    schedule.observe({"validation_loss": math.nan})
    assert schedule(0) == pytest.approx(0.1)
    schedule.observe({"validation_loss": math.inf})
    assert schedule(0) == pytest.approx(0.01)
    fresh = optim.ReduceLROnPlateau(1.0)
    fresh.observe({"validation_loss": math.nan})
    assert again(fresh).settings() == fresh.settings()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"epoch": 1, "train_loss": 0.5}, r"validation=…"),
        ({"validation_los": 0.5}, "did you mean 'validation_los'"),
        ({"validation_loss": [1.0]}, r"got: +\[1\.0\]"),
        ({"validation_loss": None}, "nothing"),
    ],
)
def test_what_is_watched_must_be_there(row, words) -> None:
    with pytest.raises(ArgumentError, match=words):
        optim.ReduceLROnPlateau(0.1).observe(row)


# -- as data ---------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", EVERY, ids=repr)
def test_there_and_back(schedule: optim.Schedule) -> None:
    made = again(schedule)
    assert type(made) is type(schedule)
    assert made.settings() == schedule.settings()
    assert repr(made) == repr(schedule)
    assert made.values(25).tolist() == schedule.values(25).tolist()


def test_every_schedule_is_tried() -> None:
    assert {type(s).__name__ for s in EVERY} | {"Schedule"} == set(optim.SCHEDULES)
    assert set(optim.SCHEDULES) <= set(optim.__all__)
    assert all(getattr(optim, name) is kind for name, kind in optim.SCHEDULES.items())


def test_a_rate_that_grows_beyond_all_numbers_is_infinite() -> None:
    growing = optim.ExponentialLR(0.1, 2.0, unit="step")
    assert growing(1000) == 0.1 * 2.0**1000
    assert growing(2000) == math.inf


class Halving(optim.Schedule):
    """A schedule of the user's own, which keeps its argument by another name."""

    def __init__(self, lr: float, every: int = 1) -> None:
        super().__init__(lr)
        self.each = every

    def __call__(self, step: int) -> float:
        return self.lr * 0.5 ** (step // self.each)


def test_arguments_that_nobody_knows_are_not_left_out_in_silence() -> None:
    schedule = Halving(0.5, every=2)
    assert repr(schedule) == "Halving(lr=0.5)"
    with pytest.raises(ArgumentError, match="no attribute every"):
        schedule.settings()
    schedule.every = schedule.each
    own = {"Halving": Halving}
    assert optim.build_schedule(schedule.settings(), own)(3) == schedule(3) == 0.25


def test_repr_says_what_was_given() -> None:
    assert repr(optim.Schedule(0.1)) == "Schedule(lr=0.1)"
    assert repr(EVERY[6]) == "LinearWarmup(schedule=0.1, steps=3, start_factor=0.5)"
    assert repr(EVERY[5]).startswith(
        "LinearWarmup(schedule=StepLR(lr=0.1, step_size=2, "
    )


# -- messages --------------------------------------------------------------------------


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "optim.Schedule(math.nan)": "finite",
        "optim.Schedule(math.inf)": "finite",
        "optim.Schedule(10 ** 400)": "finite",
        "optim.Schedule('0.1')": "finite",
        "optim.Schedule(True)": "finite",
        "optim.StepLR(0.1, 0)": "step_size ≥ 1",
        "optim.StepLR(0.1, 1.5)": "step_size",
        "optim.StepLR(0.1, 1, -1.0)": "gamma > 0",
        "optim.StepLR(0.1, 1, math.inf)": "gamma > 0",
        "optim.StepLR(optim.SGD(), 30)": r"lr=optim\.StepLR\(0\.1, ",
        "optim.StepLR(0.1, 1, unit='epochs')": "did you mean 'epoch'",
        "optim.StepLR(0.1, 1, unit=3)": "unit='epoch' or unit='step'",
        "optim.StepLR(0.1, 1, steps_per_epoch=0)": "steps_per_epoch ≥ 1",
        "optim.PiecewiseConstantLR(0.1, [2], [])": "finite numbers",
        "optim.PiecewiseConstantLR(0.1, [2], 0.1)": "finite numbers",
        "optim.PiecewiseConstantLR(0.1, [2], [math.nan])": "finite number",
        "optim.PiecewiseConstantLR(0.1, [2, 3], [0.1])": "go together",
        "optim.PiecewiseConstantLR(0.1, [0], [0.1])": "whole numbers ≥ 1",
        "optim.MultiStepLR(0.1, [])": "larger than the one before",
        "optim.MultiStepLR(0.1, [3, 3])": "larger than the one before",
        "optim.MultiStepLR(0.1, [5, 3])": "larger than the one before",
        "optim.MultiStepLR(0.1, 3)": "larger than the one before",
        "optim.MultiStepLR(0.1, [0.5])": r"got: +milestones=\[0\.5\]",
        "optim.MultiStepLR(0.1, [0, 3])": "whole numbers ≥ 1",
        "optim.ExponentialLR(0.1, 0.0)": "gamma > 0",
        "optim.CosineAnnealingLR(0.1, 0)": "T_max ≥ 1",
        "optim.CosineAnnealingLR(0.1, 5, -0.1)": "eta_min ≥ 0",
        "optim.CosineAnnealingLR(0.1, 5, '0')": "eta_min ≥ 0",
        "optim.OneCycleLR(0.1, 0)": "total_steps ≥ 1",
        "optim.OneCycleLR(0.1, pct_start=2)": "share",
        "optim.OneCycleLR(0.1, div_factor=0)": "div_factor > 0",
        "optim.OneCycleLR(0.1, final_div_factor=-1)": "final_div_factor > 0",
        "optim.LinearWarmup(0.1, 0)": "steps ≥ 1",
        "optim.LinearWarmup(0.1, 5, 0.0)": "0 < start_factor ≤ 1",
        "optim.LinearWarmup(0.1, 5, 1.5)": "0 < start_factor ≤ 1",
        "optim.LinearWarmup('x', 5)": "finite",
        "optim.ReduceLROnPlateau(0.1, factor=1.0)": "0 ≤ factor < 1",
        "optim.ReduceLROnPlateau(0.1, mode='low')": "mode='min' or mode='max'",
        "optim.ReduceLROnPlateau(0.1, patience=-1)": "patience ≥ 0",
        "optim.ReduceLROnPlateau(0.1, threshold=-1.0)": "threshold ≥ 0",
        "optim.ReduceLROnPlateau(0.1, threshold_mode='r')": "threshold_mode",
        "optim.ReduceLROnPlateau(0.1, cooldown=0.5)": "cooldown ≥ 0",
        "optim.ReduceLROnPlateau(0.1, min_lr=-1)": "min_lr ≥ 0",
        "optim.ReduceLROnPlateau(0.1, 3)": "history.epochs",
        "optim.build_schedule({'name': 'StepLr'})": "did you mean 'StepLR'",
        "optim.build_schedule({})": "called None is not known",
        "optim.build_schedule('StepLR')": "settings of a schedule",
        "resumed('StepLR', size=3)": "takes no argument 'size'",
        "resumed('StepLR', step_size=3, state={'mark': [1]})": "cannot go on",
        "resumed('StepLR', step_size=3, state=[1])": "cannot go on",
        "resumed('StepLR', step_size=3, state={'lr': 1.0})": "cannot go on",
        "resumed('ExponentialLR', gamma=1, unit='step', state={'mark': MARK})": "go on",
        "resumed('ReduceLROnPlateau', state={'bad_epochs': 1, 'cooling': 0})": "go on",
        "resumed('ReduceLROnPlateau', state={'lr': 'x'})": "cannot go on|finite number",
    },
}
test_mistakes_are_explained = explained(MISTAKES, globals())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: optim.Schedule(0.0), "leaves the weights as they are"),
        (lambda: optim.Schedule(-0.1), "climbs the loss"),
        (lambda: optim.SGD(lr=-1), "climbs the loss"),
        (lambda: optim.Adam(lr=optim.ExponentialLR(0, 0.5)), "leaves the weights"),
        (lambda: optim.AdamW([{"params": "*", "lr": 0}]), "leaves the weights"),
    ],
)
def test_rates_that_do_not_descend_are_allowed_with_a_warning(call, words) -> None:
    with pytest.warns(ChainruleWarning, match=words) as caught:
        call()
    assert [w.filename for w in caught] == [__file__], "it names the user's own line"


class Sawtooth(optim.Schedule):
    """A schedule of the user's own, declared as the others are."""

    teeth: int = 4

    def __call__(self, step: int) -> float:
        return self.lr * (1 - step % self.teeth / self.teeth)


def test_schedules_of_ones_own_declare_their_arguments() -> None:
    decorated = dataclasses.dataclass(eq=False, repr=False)(Sawtooth)
    for kind in (Sawtooth, decorated):
        assert kind(1.0).values(5).tolist() == [1.0, 0.75, 0.5, 0.25, 1.0]
        assert repr(kind(1.0, 2)) == "Sawtooth(lr=1.0, teeth=2)"
        settings = kind(1.0, 2).settings()
        made = optim.build_schedule(settings, {"Sawtooth": kind})
        assert made.settings() == settings == {"name": "Sawtooth", "lr": 1, "teeth": 2}


def test_arguments_are_checked_when_they_are_set_too() -> None:
    schedule = optim.StepLR(0.5, 2, unit="step")
    schedule.gamma = 0.25
    assert schedule(2) == 0.125
    with pytest.raises(ArgumentError, match="gamma > 0"):
        schedule.gamma = -1.0
    assert schedule.gamma == 0.25
