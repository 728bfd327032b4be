"""dqn: one step of learning by hand, what is remembered, kills, its pictures."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, recipes, viz
from chainrule.recipes import Experiment, dqn
from chainrule.training import Loop

pytest.importorskip("gymnasium")
TINY = replace(dqn.QUICK, steps=1300, start=300, follow=100, room=700, episodes=3)
ENGINES = ["numpy", "native"]


def made(engine: str, how: dqn.Settings = TINY) -> tuple[dqn.Agent, Any]:
    if engine == "native":
        pytest.importorskip("llvmlite")
    cr.manual_seed(0)
    agent = dqn.Agent(4, 2)
    return agent, dqn.compiled(agent, 4, 2, how, engine=engine, threads=1)


def memories(seed: int, rows: int) -> np.ndarray:
    dice = np.random.default_rng(seed)
    x = dice.standard_normal((rows, 11))
    x[:, 8], x[:, 10] = dice.integers(2, size=rows), dice.integers(2, size=rows)
    return x.astype(np.float32)


def worths(weights: dict[str, Any], seen: np.ndarray) -> np.ndarray:
    """The network, in NumPy's float64."""
    w = {k: np.asarray(v, np.float64) for k, v in weights.items()}
    h = np.maximum(seen @ w["0.weight"].T + w["0.bias"], 0)
    h = np.maximum(h @ w["2.weight"].T + w["2.bias"], 0)
    return h @ w["4.weight"].T + w["4.bias"]


def loss_by_hand(online: Any, target: Any, rows: np.ndarray) -> float:
    total = 0.0
    rows = rows.astype(np.float64)
    now, later = worths(online, rows[:, :4]), worths(target, rows[:, 4:8])
    for row, q, after in zip(rows, now, later):
        action, reward, ended = int(row[8]), row[9], row[10]
        y = reward if ended else reward + TINY.discount * max(after)
        total += (y - q[action]) ** 2 / len(rows)
    return total


@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_of_learning_by_hand(engine: str) -> None:
    agent, program = made(engine)
    rows = memories(0, TINY.batch)
    for k in range(3):  # so that the two networks differ
        program.run("learn", {"rows": memories(5 + k, TINY.batch)})
    online, target = agent.online.state_dict(), agent.target.state_dict()
    before = loss_by_hand(online, target, rows)
    fresh, other = made(engine)
    fresh.online.load_state_dict(online)
    fresh.target.load_state_dict(target)
    assert other.run("learn", {"rows": rows})["loss"] == pytest.approx(before, rel=1e-5)
    # Adam's first step is −η · sign of the gradient, where that is not tiny.
    seen = 0
    for name in ("0.weight", "2.bias", "4.weight"):
        for at in ((0, 0), (1, 3), (1, 1)) if "weight" in name else ((0,), (5,)):
            ends = []
            for h in (1e-5, -1e-5):
                moved = {k: np.array(v, np.float64) for k, v in online.items()}
                moved[name][at] += h
                ends.append(loss_by_hand(moved, target, rows))
            slope = (ends[0] - ends[1]) / 2e-5
            change = fresh.online.state_dict()[name][at] - online[name][at]
            if abs(slope) > 1e-4:
                seen += 1
                assert change == pytest.approx(-TINY.lr * np.sign(slope), rel=2e-2)
    assert seen >= 4
    for name, array in fresh.target.state_dict().items():
        assert np.array_equal(array, target[name])  # it has not moved
    other.run("follow", {})
    for name, array in fresh.target.state_dict().items():
        assert np.array_equal(array, fresh.online.state_dict()[name])


@pytest.mark.parametrize("engine", ENGINES)
def test_acting_by_hand(engine: str) -> None:
    agent, program = made(engine)
    seen = memories(1, 50)[:, :4]
    worth = worths(agent.online.state_dict(), seen)
    for rows in (seen, seen[:1]):
        told = program.run("act", {"seen": rows})
        assert told["action"].tolist() == worth[: len(rows)].argmax(1).tolist()
        assert told["worth"] == pytest.approx(worth[: len(rows)].max(1), rel=1e-4)


def test_epsilon() -> None:
    how = dqn.Settings()
    found = dqn.epsilon(np.array([0, 125_000, 250_000, 400_000]), how)
    assert found == pytest.approx([1.0, 0.525, 0.05, 0.05])


def test_what_is_remembered() -> None:
    """Rows follow one another; an episode that is cut short has not ended."""
    how = replace(TINY, room=1000, start=100, steps=100_000)
    source = dqn.Experience("CartPole-v1", 2, how, 3)
    source.bind(made("numpy")[1])
    source.act(600)
    rows = source.memory[:600].copy()
    ends = {end: length for end, _, length in source.world.episodes}
    for t in range(599):
        ended = t + 1 in ends
        assert rows[t, 10] == ended
        assert np.array_equal(rows[t, 4:8], rows[t + 1, :4]) == (not ended)
        assert rows[t, 9] == 1
    assert set(rows[:, 8]) == {0, 1}
    assert not source.memory[600:].any()
    source.act(500)  # over the end, to its beginning
    assert source.world.steps == 1100
    assert not np.array_equal(source.memory[:100], rows[:100])
    assert np.array_equal(source.memory[100:600], rows[100:600])


def test_a_memory_that_is_too_large() -> None:
    with pytest.raises(errors.ArgumentError, match=r"does not fit this machine"):
        dqn.room(10**13, 11)
    allowed = recipes.memory() // (16 * 11)  # of some, others may take or free a part
    with pytest.raises(errors.ArgumentError, match=r"does not fit this machine"):
        dqn.room(3 * allowed, 11)
    assert dqn.room(10, 3).shape == (10, 3)


def test_an_environment_whose_reward_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium

    step = gymnasium.envs.classic_control.CartPoleEnv.step

    def broken(self: Any, action: int) -> Any:
        seen, _, *rest = step(self, action)
        return seen, float("nan"), *rest

    monkeypatch.setattr(gymnasium.envs.classic_control.CartPoleEnv, "step", broken)
    monkeypatch.setattr(dqn, "QUICK", TINY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gymnasium says so too
        with pytest.raises(errors.NonFiniteError, match=r"reward of .* is no finite"):
            dqn.run(Experiment("dqn", quick=True, engine="numpy"))


@pytest.mark.parametrize("engine", ENGINES)
def test_killed_it_goes_on_bit_for_bit(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "native":
        pytest.importorskip("llvmlite")
    monkeypatch.setattr(dqn, "QUICK", TINY)
    monkeypatch.setattr(viz, "can_plot", lambda: False)
    how = {"quick": True, "seed": 1, "engine": engine, "threads": 1}
    whole = recipes.perform(Experiment("dqn", **how))["result"]
    stops = iter([2, 17, 40, 41, 77, 109])
    take = dqn.Experience.take
    at = next(stops)

    def stopping(self: dqn.Experience, state: Any, most: int) -> Any:
        nonlocal at
        if state.updates == at:
            at = next(stops, -1)
            raise KeyboardInterrupt
        return take(self, state, most)

    monkeypatch.setattr(dqn.Experience, "take", stopping)
    lives = 1
    while True:
        try:
            experiment = Experiment(
                "dqn", out=tmp_path / "d", checkpoint_every=0, **how
            )
            found = recipes.perform(experiment, again=True)["result"]
            break
        except KeyboardInterrupt:
            lives += 1
    assert found == whole
    assert lives >= 5


def test_the_best_of_them_is_kept() -> None:
    agent, program = made("numpy")
    scores = iter([1.0, 3.0, 2.0])

    class Tests:
        def play(self, act: Any) -> Any:
            return np.array([next(scores)]), None

    best: Any = dqn.Best(agent, Tests())  # type: ignore[arg-type]
    loop = Loop(program, "learn", dqn.Experience("CartPole-v1", 2, TINY, 0))
    bias = agent.online[4].bias
    for number in (1.0, 2.0, 3.0):
        bias.copy_(np.full(2, number, np.float32))
        best.on_epoch(loop)
    assert best.scores == [1.0, 3.0, 2.0]
    assert best.weights["4.bias"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("sign", [1, -1])
def test_what_came_of_an_episode(sign: int) -> None:
    class Program:
        def run(self, entry: str, inputs: Any) -> Any:
            assert inputs["seen"].shape == (1, 4)
            return {"worth": np.array([5.0])}

    how = replace(TINY, discount=0.5)
    frames = [np.zeros(4, np.float32)] * 5
    told = dqn.calibration(Program(), frames, sign * 3.0, how)
    assert told == {"expected": 5.0, "came": sign * (1 + 0.5 + 0.25)}


def test_a_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = recipes.perform(Experiment("dqn", quick=True, out=tmp_path / "d"))["result"]
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 88
    for name in dqn.NAMES:
        assert len(told[name]["scores"]) == dqn.QUICK.tests
        assert f"{name}: 4000 steps" in text
        if viz.can_plot():
            assert (tmp_path / "d" / f"{name}.gif").read_bytes().startswith(b"GIF8")
            assert (tmp_path / "d" / f"{name}-returns.png").stat().st_size > 5000
    if viz.can_plot():
        page = (tmp_path / "d" / "report.html").read_text("utf-8")
        assert page.count("data:image/gif") == 2
        assert page.count("data:image/png") == 4


@pytest.mark.slow
def test_to_its_references() -> None:
    told = recipes.perform(Experiment("dqn"))
    assert all(figure["reached"] for figure in told["references"])
