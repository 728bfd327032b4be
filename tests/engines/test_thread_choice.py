"""How many threads run: what measures best, on a machine that is made up.

A made-up machine says what a step costs with each number of threads at each moment, so
that no test waits for a real one to be quiet or busy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from chainrule.engines import threads
from chainrule.engines.threads import LOSS, PAUSE, ThreadChoice

Cost = Callable[[int, float], float]  # of a step: (threads, time) → seconds


class Machine:
    """Runs of some steps, whose time passes at once."""

    def __init__(self, cost: Cost, *, steps: int = 1, asked: int | None = None) -> None:
        self.cost, self.steps = cost, steps
        self.choice = ThreadChoice(asked)
        self.now = 0.0

    def run(self, seconds: float) -> Counter[int]:
        """The seconds that each number of threads has run in the next so many."""
        spent: Counter[int] = Counter()
        end = self.now + seconds
        while self.now < end:
            left = self.steps
            while left:
                number, some = 1, left
                measured = left > self.choice.alone
                if measured:
                    number, some = self.choice.take(left)
                took = some * self.cost(number, self.now)
                if measured:
                    self.choice.note(number, some, took)
                spent[number] += took  # type: ignore[assignment]
                self.now += took
                left -= some
                assert some > 0
        return spent


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: 2)


def partition(spent: Counter[int], number: int) -> float:
    return spent[number] / sum(spent.values())


@pytest.mark.parametrize("steps", [1, 7, 400])
@pytest.mark.parametrize(("one", "two"), [(620e-6, 340e-6), (180e-6, 250e-6)])
def test_the_faster_number_runs_nearly_all_the_time(
    one: float, two: float, steps: int
) -> None:
    machine = Machine(lambda n, _: one if n == 1 else two, steps=steps)
    machine.run(0.1)
    best, other = (1, 2) if one < two else (2, 1)
    spent = machine.run(5.0)
    assert partition(spent, best) > 0.9
    assert partition(spent, other) * (1 - min(one, two) / max(one, two)) < 1.5 * LOSS


@pytest.mark.parametrize("steps", [1, 400])
def test_an_odd_moment_at_the_start_is_soon_forgotten(steps: int) -> None:
    """Another process wants a core just while the numbers are tried first."""

    def cost(number: int, now: float) -> float:
        if number == 1:
            return 620e-6
        return 700e-6 if now < 0.03 else 340e-6

    machine = Machine(cost, steps=steps)
    machine.run(0.03)
    machine.run(1.0)
    assert partition(machine.run(1.0), 2) > 0.9


def test_single_slow_runs_decide_nothing() -> None:
    """Each tenth run meets something else, and takes ten times as long."""
    rng = np.random.default_rng(0)

    def cost(number: int, now: float) -> float:
        usual = 620e-6 if number == 1 else 340e-6
        return usual * (10 if rng.random() < 0.1 else 1)

    machine = Machine(cost)
    machine.run(0.2)
    assert partition(machine.run(20.0), 2) > 0.8


def test_it_follows_a_machine_that_changes() -> None:
    """A core is wanted elsewhere, and is free again."""

    def cost(number: int, now: float) -> float:
        busy = 10 <= now < 20
        return 620e-6 if number == 1 else (800e-6 if busy else 340e-6)

    machine = Machine(cost, steps=20)
    machine.run(10.0)
    assert machine.choice.best == 2
    machine.run(1.0)
    assert partition(machine.run(8.0), 1) > 0.9
    machine.run(2.0)
    assert partition(machine.run(8.0), 2) > 0.9


def test_a_run_that_is_shorter_than_a_wake_up_is_never_divided() -> None:
    machine = Machine(lambda n, _: 6e-6 if n == 1 else 1e-6)
    assert machine.run(1.0)[2] == 0


def test_many_short_steps_in_a_run_may_be_divided() -> None:
    machine = Machine(lambda n, _: 6e-6 if n == 1 else 4e-6, steps=5000)
    machine.run(0.1)
    assert partition(machine.run(2.0), 2) > 0.9


@pytest.mark.parametrize("slower", [1.05, 3.0, 100.0])
def test_contests_lose_little(slower: float) -> None:
    """However much slower the others are."""
    machine = Machine(lambda n, _: 1e-3 if n == 1 else slower * 1e-3)
    machine.run(1.0)
    spent = machine.run(40.0)
    lost = spent[2] * (1 - 1 / slower)
    assert lost <= 1.5 * LOSS * sum(spent.values())


def test_cores_that_come_and_go_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The affinity of a process may change at any time."""
    machine = Machine(lambda n, _: 1e-3 / n)
    machine.run(1.0)
    assert machine.choice.best == 2
    for cores, numbers in ((1, {1}), (6, {1, 2, 4, 6}), (2, {1, 2})):
        monkeypatch.setattr(threads, "available_cores", lambda cores=cores: cores)
        machine.run(3.0)
        spent = machine.run(20.0)
        assert set(spent) == numbers
        assert machine.choice.best == cores


@pytest.mark.parametrize("asked", [1, 2, 5])
def test_who_asks_for_a_number_gets_it(asked: int) -> None:
    machine = Machine(lambda n, _: 1e-6 * n, asked=asked)
    assert set(machine.run(0.1)) == {asked}


def test_a_long_run_is_interrupted_where_a_contest_is_due() -> None:
    """One call of many seconds is no reason not to look."""
    changes = 0.5

    def cost(number: int, now: float) -> float:
        return 1e-3 if number == 1 else (2e-3 if now < changes else 0.4e-3)

    machine = Machine(cost, steps=100_000)
    spent = machine.run(1e-9)  # one run
    assert partition(spent, 2) > 0.8
    assert changes > PAUSE
