"""Environments side by side: what a step means, going back, what is refused."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from chainrule import errors
from chainrule.training import Environments


class Walk:
    """A walk on whole numbers from a random place; over at 5 or −5, cut after 8."""

    def reset(self, *, seed: int | None = None) -> Any:
        if seed is not None:
            self.np_random = np.random.default_rng(seed)
        self.at, self.steps = int(self.np_random.integers(-2, 3)), 0
        return np.array([self.at, 0.0]), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        slip = self.np_random.random() < 0.2
        self.at += (-1 if slip else 1) * (1 if action else -1)
        seen = np.array([self.at, self.steps])
        return seen, self.at / 4, abs(self.at) >= 5, self.steps >= 8, {}


def by_hand(seed: int, index: int, count: int, actions: list[int]) -> list[Any]:
    """What one environment gives: (after, reward, ended, cut, next seen) a step."""
    walk = Walk()
    seeds = np.random.SeedSequence(seed).generate_state(count)
    walk.reset(seed=int(seeds[index]))
    walk.reset()
    rows = []
    for action in actions:
        after, reward, ended, cut, _ = walk.step(action)
        seen = walk.reset()[0] if ended or cut else after
        rows.append((after, reward, ended, cut, seen))
    return rows


def test_each_is_what_it_is_alone() -> None:
    actions = np.random.default_rng(0).integers(2, size=(100, 3))
    walks = Environments(Walk, 3, seed=7)
    alone = [by_hand(7, i, 3, actions[:, i].tolist()) for i in range(3)]
    gained, lengths, told = [0.0] * 3, [0] * 3, []
    for t, row in enumerate(actions):
        moved = walks.step(row)
        for i in range(3):
            after, reward, ended, cut, seen = alone[i][t]
            assert moved.after[i].tolist() == after.tolist()
            assert walks.seen[i].tolist() == seen.tolist()
            assert (moved.rewards[i], moved.terminated[i], moved.truncated[i]) == (
                *(reward, ended),
                cut,
            )
            gained[i], lengths[i] = gained[i] + reward, lengths[i] + 1
            if ended or cut:
                told.append((3 * (t + 1), gained[i], lengths[i]))
                gained[i], lengths[i] = 0.0, 0
    assert walks.steps == 300
    assert walks.episodes == told
    assert {8} < {length for *_, length in told}  # some ended, some were cut short


def names() -> list[Any]:
    others = "CartPole-v1", "Acrobot-v1", "Pendulum-v1", "FrozenLake-v1"
    return [Walk, *(pytest.param(name, id=name) for name in others)]


def drawn(make: Any, dice: np.random.Generator, count: int) -> Any:
    if make == "Pendulum-v1":
        return dice.uniform(-2, 2, (count, 1)).astype(np.float32)
    return dice.integers(2, size=count)


@pytest.mark.parametrize("make", names())
@pytest.mark.parametrize("steps", [0, 1, 7, 130])
def test_written_down_and_read_it_goes_on_bit_for_bit(make: Any, steps: int) -> None:
    if isinstance(make, str):
        pytest.importorskip("gymnasium")
    dice = np.random.default_rng(1)
    first, second = Environments(make, 2, seed=3), Environments(make, 2, seed=4)
    for _ in range(steps):
        first.step(drawn(make, dice, 2))
    state = first.state()
    arrays = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
    plain = {k: v for k, v in state.items() if k not in arrays and k != "actions"}
    assert json.loads(json.dumps(plain)) == plain
    second.load_state({**state, **json.loads(json.dumps(plain))})
    for _ in range(250):
        actions = drawn(make, dice, 2)
        for one, other in zip(first.step(actions), second.step(actions)):
            assert one.tobytes() == other.tobytes()
        assert first.seen.tobytes() == second.seen.tobytes()
    assert first.episodes == second.episodes
    assert first.episodes or make == "Acrobot-v1"  # 500 steps may not end one


def test_a_state_does_not_move_on() -> None:
    walks = Environments(Walk, 2, seed=0)
    walks.step(np.array([1, 0]))
    state = walks.state()
    seen, steps = walks.seen.copy(), len(state["actions"][0])
    for _ in range(20):
        walks.step(np.array([1, 0]))
    walks.load_state(state)
    assert np.array_equal(walks.seen, seen)
    assert (walks.steps, walks.episodes, steps) == (2, [], 1)


class Hidden(Walk):
    """Some of its randomness is its own."""

    dice = np.random.default_rng(0)

    def step(self, action: Any) -> Any:
        seen, *rest = super().step(action)
        return seen + self.dice.random(), *rest


def test_an_environment_that_does_not_repeat_itself() -> None:
    hidden = Environments(Hidden, seed=0)
    hidden.step(np.array([1]))
    with pytest.raises(errors.CheckpointError, match="Hidden does not repeat itself"):
        hidden.load_state(hidden.state())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["reward", "observation"])
def test_numbers_that_are_not_finite(what: str, bad: float) -> None:
    class Broken(Walk):
        def step(self, action: Any) -> Any:
            seen, reward, *rest = super().step(action)
            broken = (seen + bad, reward) if what == "observation" else (seen, bad)
            return *broken, *rest

    with pytest.raises(errors.NonFiniteError) as caught:
        Environments(Broken).step(np.array([1]))
    assert f"Broken gave a {what} that is no finite number" in str(caught.value)
    assert "at step 1 of an episode" in str(caught.value)


def test_large_numbers_are_finite() -> None:
    class Far(Walk):
        def step(self, action: Any) -> Any:
            seen, *rest = super().step(action)
            return seen * 0 + 1e30, *rest  # its square is none in float32

    with np.errstate(over="ignore"):
        assert Environments(Far).step(np.array([1])).after.tolist() == [
            [np.float32(1e30)] * 2
        ]


def test_without_gymnasium(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(errors.ArgumentError) as caught:
        Environments("CartPole-v1")
    assert "pip install 'chainrule[rl]'" in str(caught.value)
    assert Environments(Walk, 2).seen.shape == (2, 2)  # needs none


def test_no_such_environment() -> None:
    pytest.importorskip("gymnasium")
    with pytest.raises(errors.ArgumentError) as caught:
        Environments("CartPol-v1")
    assert "makes no environment 'CartPol-v1'" in str(caught.value)
    assert "did you mean 'CartPole-v1'?" in str(caught.value)


def test_what_is_seen_must_be_numbers() -> None:
    class Words(Walk):
        def reset(self, *, seed: int | None = None) -> Any:
            return {"place": super().reset(seed=seed)[0]}, {}

    with pytest.raises(errors.ArgumentError, match="Words is no array of numbers"):
        Environments(Words)
    with pytest.raises(errors.ArgumentError, match="count"):
        Environments(Walk, 0)


def test_playing_changes_nothing() -> None:
    walks = Environments(Walk, 4, seed=5)
    for _ in range(3):
        walks.step(np.array([1, 0, 1, 0]))
    before, seen = walks.state(), []
    returns, lengths = walks.play(lambda rows: (rows[:, 0] > 0) * 1, seen.append)
    assert walks.state()["began"] == before["began"]
    assert np.array_equal(walks.seen, before["seen"])
    again, _ = walks.play(lambda rows: (rows[:, 0] > 0) * 1)
    assert again.tolist() == returns.tolist()
    assert len(seen) == lengths[0] + 1
    assert returns[0] == pytest.approx(sum(place / 4 for place, _ in seen[1:]))
    assert all(0 < n <= 8 for n in lengths)
    assert [steps for _, steps in seen] == list(range(lengths[0] + 1))
