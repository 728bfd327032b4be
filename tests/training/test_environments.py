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
            assert walks.observations[i].tolist() == seen.tolist()
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


@pytest.mark.one_in(3)
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
        assert first.observations.tobytes() == second.observations.tobytes()
    assert first.episodes == second.episodes
    assert first.episodes or make == "Acrobot-v1"  # 500 steps may not end one


def test_a_state_does_not_move_on() -> None:
    walks = Environments(Walk, 2, seed=0)
    walks.step(np.array([1, 0]))
    state = walks.state()
    seen, steps = walks.observations.copy(), len(state["actions"][0])
    for _ in range(20):
        walks.step(np.array([1, 0]))
    walks.load_state(state)
    assert np.array_equal(walks.observations, seen)
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
    assert f"The {what} of the environment Broken is no finite number" in str(
        caught.value
    )
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
    assert Environments(Walk, 2).observations.shape == (2, 2)  # needs none


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
    assert np.array_equal(walks.observations, before["observations"])
    again, _ = walks.play(lambda rows: (rows[:, 0] > 0) * 1)
    assert again.tolist() == returns.tolist()
    assert len(seen) == lengths[0] + 1
    assert returns[0] == pytest.approx(sum(place / 4 for place, _ in seen[1:]))
    assert all(0 < n <= 8 for n in lengths)
    assert [steps for _, steps in seen] == list(range(lengths[0] + 1))


class Odd(Walk):
    """What it gives can be spoilt, once or for good."""

    spoil: Any = None  # of the tuple that step gives, makes another one
    made = 0

    def __init__(self) -> None:
        self.number, Odd.made = Odd.made, Odd.made + 1

    def step(self, action: Any) -> Any:
        told = super().step(action)
        return told if Odd.spoil is None else Odd.spoil(self.number, told)


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> type[Odd]:
    monkeypatch.setattr(Odd, "made", 0)
    monkeypatch.setattr(Odd, "spoil", None)
    return Odd


def fails(number: int, told: Any) -> Any:
    raise OSError("the simulator has gone")


SPOILT = {
    "reward": lambda n, told: (told[0], np.nan, *told[2:]) if n == 1 else told,
    "seen": lambda n, told: (told[0] * np.nan, *told[1:]) if n == 2 else told,
    "within": lambda n, told: fails(n, told) if n == 1 else told,
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("what", SPOILT)
@pytest.mark.parametrize("steps", [0, 1, 6, 7, 40])
def test_after_an_error_it_is_as_before_the_step(
    odd: Any, what: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved and read, or simply stepped again: bit for bit what never failed."""
    dice = np.random.default_rng(steps)
    rows = [dice.integers(2, size=3) for _ in range(steps + 60)]
    failed, twin = Environments(odd, 3, seed=5), Environments(Walk, 3, seed=5)
    for row in rows[:steps]:
        failed.step(row)
        twin.step(row)
    monkeypatch.setattr(Odd, "spoil", staticmethod(SPOILT[what]))
    for _ in range(2):
        with pytest.raises((errors.NonFiniteError, OSError)):
            failed.step(rows[steps])
    with pytest.raises((errors.NonFiniteError, OSError)):
        failed.play(lambda seen: np.zeros(len(seen), int))
    monkeypatch.setattr(Odd, "spoil", None)
    read = Environments(Walk, 3, seed=9)
    read.load_state(failed.state())
    for row in rows[steps:]:
        wanted = twin.step(row)
        for other in (failed, read):
            for one, two in zip(wanted, other.step(row)):
                assert one.tobytes() == two.tobytes()
            assert other.observations.tobytes() == twin.observations.tobytes()
    assert failed.episodes == read.episodes == twin.episodes
    assert failed.steps == read.steps == twin.steps


def test_a_new_episode_that_cannot_begin(odd: Any) -> None:
    """A step whose reset gives NaN is as if it had not been."""
    walks, twin = Environments(odd, 3, seed=5), Environments(Walk, 3, seed=5)
    right, bad = Odd.reset, []

    def reset(self: Any, **how: Any) -> Any:
        seen, info = right(self, **how)
        return (seen * np.nan if bad else seen), info

    odd.reset = reset
    try:
        row = np.array([1, 0, 1])
        while not twin.step(row).truncated.any():
            if len(walks.episodes) == len(twin.episodes):
                walks.step(row)
        bad.append(True)
        with pytest.raises(errors.NonFiniteError, match="at step 0 of an episode"):
            [walks.step(row) for _ in range(20)]
        bad.clear()
        while walks.steps < twin.steps:
            walks.step(row)
    finally:
        del odd.reset
    assert walks.observations.tobytes() == twin.observations.tobytes()
    assert walks.episodes == twin.episodes


def test_numbers_that_are_not_finite_at_the_beginning() -> None:
    class Nowhere(Walk):
        def reset(self, *, seed: int | None = None) -> Any:
            seen, info = super().reset(seed=seed)
            return seen * np.nan, info

    with pytest.raises(errors.NonFiniteError, match="at step 0 of an episode"):
        Environments(Nowhere)


@pytest.mark.parametrize("what", ["reward", "seen"])
def test_numbers_that_are_not_finite_while_it_plays(
    odd: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = Environments(odd, 3)
    monkeypatch.setattr(Odd, "spoil", staticmethod(SPOILT[what]))
    with pytest.raises(errors.NonFiniteError, match="at step 1 of an episode"):
        walks.play(lambda seen: np.zeros(len(seen), int))


@pytest.mark.parametrize(
    "actions",
    [
        np.array([1, 0, 1]),
        np.array([1]),
        np.array(1),
        np.zeros((0,), int),
        [1, 0],
        (1, 0),
        1,
        None,
    ],
)
def test_an_action_for_each(actions: Any) -> None:
    walks = Environments(Walk, 2, seed=0)
    for step in (walks.step, lambda a: walks.play(lambda seen: a)):
        with pytest.raises(errors.ArgumentError, match="no actions for 2"):
            step(actions)
    before = walks.state()
    walks.step(np.array([1, 0]))
    assert before["steps"] == 0
    with pytest.raises(errors.ArgumentError, match="no actions for 2"):
        walks.step(actions)  # once right ones are known, too


@pytest.mark.parametrize(
    ("name", "actions", "said"),
    [
        ("Pendulum-v1", np.array([1, 1]), "no actions for 2"),
        ("Pendulum-v1", np.array([[1], [1]]), "of real numbers"),
        ("Pendulum-v1", np.zeros((2, 2), np.float32), "no actions for 2"),
        ("Pendulum-v1", np.zeros(2, np.float32), "no actions for 2"),
        ("CartPole-v1", np.zeros(2, np.float32), "does not take this action"),
        ("CartPole-v1", np.array([0, 2]), "does not take this action"),
        ("CartPole-v1", np.zeros((2, 1), int), "no actions for 2"),
    ],
)
def test_actions_of_another_space(name: str, actions: Any, said: str) -> None:
    pytest.importorskip("gymnasium")
    worlds = Environments(name, 2, seed=0)
    with pytest.raises(errors.ArgumentError, match=said):
        worlds.step(actions)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told[:4], "step"),
        (lambda told: None, "step"),
        (lambda told: (told[0], "2", *told[2:]), "one number"),
        (lambda told: (told[0], None, *told[2:]), "one number"),
        (lambda told: (told[0], np.ones(1), *told[2:]), "one number"),
        (lambda told: (told[0][:1], *told[1:]), "has changed its shape"),
        (lambda told: (1.0, *told[1:]), "has changed its shape"),
        (lambda told: ({"a": 1}, *told[1:]), "no array of numbers"),
        (lambda told: (np.array(["a", "b"]), *told[1:]), "no array of numbers"),
    ],
)
def test_a_step_of_another_interface(
    odd: Any, change: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = Environments(odd, 2)
    monkeypatch.setattr(Odd, "spoil", staticmethod(lambda n, told: change(told)))
    with pytest.raises(errors.ArgumentError, match=said):
        walks.step(np.array([1, 1]))


class Old(Walk):
    """Of the interface before gymnasium."""

    def reset(self) -> Any:  # type: ignore[override]
        return super().reset(seed=0)[0]


class Bare(Walk):
    def reset(self, *, seed: int | None = None) -> Any:
        return super().reset(seed=seed)[0]


class Diceless(Walk):
    def reset(self, *, seed: int | None = None) -> Any:
        told = super().reset(seed=seed or 0)
        del self.np_random
        return told


class Legacy(Walk):
    def reset(self, *, seed: int | None = None) -> Any:
        told = super().reset(seed=seed or 0)
        self.np_random = np.random.RandomState(0)
        return told


@pytest.mark.parametrize("make", [Old, Bare, Diceless, Legacy, object])
def test_another_interface(make: Any) -> None:
    with pytest.raises(errors.ArgumentError, match="no environment of gymnasium's"):
        Environments(make)


def test_actions_are_noted_not_their_array() -> None:
    """An array that is used again for the next actions changes no past."""

    class Slide(Walk):
        def step(self, action: Any) -> Any:
            return super().step(float(action[0]) > 0)

    slides, row = Environments(Slide, 2, seed=0), np.ones((2, 1))
    slides.step(row)
    row[:] = -1
    slides.step(row)
    Environments(Slide, 2, seed=1).load_state(slides.state())


@pytest.mark.parametrize("reward", [1, True, np.float32(1), np.int64(1), np.True_])
def test_rewards_are_numbers_of_any_kind(
    odd: Any, reward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = Environments(odd, 2)
    monkeypatch.setattr(
        Odd, "spoil", staticmethod(lambda n, told: (told[0], reward, *told[2:]))
    )
    assert walks.step(np.array([1, 1])).rewards.tolist() == [1, 1]
