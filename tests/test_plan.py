"""What a user sees of the plan of a program: schedules and profiles, or a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.engines.native.runtime import profiling, roofline


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "SECONDS", 0.0)
    monkeypatch.setattr(roofline, "SECONDS", 0.0)


def data(rows: int = 40) -> Any:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 6)).astype("f4")
    return x, rng.integers(3, size=rows).astype("i4")


def new_trainer(engine: str = "native", **more: Any) -> cr.Trainer:
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
    rate = optim.OneCycleLR(0.05)
    how: dict[str, Any] = {
        "loss": nn.CrossEntropyLoss(),
        "optimizer": optim.Adam(lr=rate),
    }
    return cr.Trainer(model, engine=engine, **(how | more))


def test_a_compiled_function_shows_its_plan() -> None:
    step = cr.compile(lambda x: (x * x).exp().sum(), engine="native", threads=2)
    assert str(step.schedule) == repr(step.schedule) == "nothing has run yet"
    for rows in (4, 6, 8):
        step(cr.ones(rows, 3))
    first, named = step.schedule
    assert "mul·exp" in str(first)
    assert "for N = 12 on 2 threads" in str(named)  # sizes that grow: the next ones too
    assert str(step.schedule) == f"{first}\n\n{named}"
    shown = [str(program.schedule) for program in step.programs]
    assert shown == [str(first), str(named)]
    assert "mul·exp" in str(step.profile(cr.ones(5, 3)))


def test_the_numpy_engine_has_no_plan_to_show() -> None:
    step = cr.compile(lambda x: x * x, engine="numpy")
    step(cr.ones(3))
    trainer = new_trainer("numpy")
    asked = (
        lambda: step.schedule,
        lambda: step.programs[0].schedule,
        lambda: step.profile(cr.ones(3)),
        lambda: trainer.profile(data()),
    )
    for ask in asked:
        with pytest.raises(errors.EngineError, match="numpy engine makes no schedule"):
            ask()


def test_a_trainer_shows_its_plan_once_it_has_a_program() -> None:
    trainer = new_trainer()
    with pytest.raises(errors.ArgumentError, match="has no program yet"):
        _ = trainer.program
    trainer.fit(data(), epochs=1, batch_size=8, progress=False)
    (schedule,) = trainer.program.schedule
    assert str(schedule).startswith("schedule train for N = 8")
    trainer.evaluate(data())
    names = [s.entry.name for s in trainer.program.schedule]
    assert names == ["train", "evaluate"]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_profile_changes_nothing(when: str) -> None:
    runs: list[Any] = []
    for profiles in (False, True):
        trainer = new_trainer(threads=1)

        class Between(cr.training.Callback):
            def on_epoch(self, trainer: Any) -> None:
                if trainer.epoch == 1:
                    trainer.stop()

        def look(trainer: cr.Trainer = trainer, profiles: bool = profiles) -> None:
            if profiles:
                profile = trainer.profile(data(), batch_size=8)
                assert profile.schedule.sizes == {"N": 8}
                assert profile.steps

        if when == "before":
            look()
        callbacks = [Between()] if when == "between" else []
        trainer.fit(data(), epochs=3, batch_size=8, progress=False, callbacks=callbacks)
        if when != "before":
            look()
        if when == "between":
            trainer.resume(data(), epochs=3, progress=False)
        history = trainer.history.steps["loss"]
        assert trainer.optimizer.steps == len(history)
        weights = trainer.model.state_dict().values()
        runs.append([history, *map(np.array, weights)])
    for mine, wanted in zip(*runs, strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_a_profile_refuses_what_fit_refuses() -> None:
    x, y = data()
    with pytest.raises(errors.ArgumentError, match="batch"):
        new_trainer().profile((x, y), batch_size=41)
    with pytest.raises(errors.ShapeError):
        new_trainer().profile((x[:, :4], y))
