"""Clocks, input and random numbers of a function are refused while it is traced."""

from __future__ import annotations

import cProfile
import datetime as dates
import io
import logging
import os
import pathlib
import random
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from os import urandom
from secrets import token_bytes
from time import perf_counter as seconds
from typing import Any
from uuid import uuid4 as new_id

import numpy as np
import pytest
from numpy import datetime64

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError
from chainrule.training import compile_program

X = cr.tensor([1.0, 2.0, 3.0])


def _takes(x: cr.Tensor, numbers: Any = iter([1.0, 2.0])) -> cr.Tensor:  # noqa: B008
    return x * next(numbers)


def _later() -> int:
    return time.monotonic_ns()


HELD = [0]
GENERATOR = np.random.default_rng(0)
SYSTEM = random.SystemRandom()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_takes, "__defaults__"),
        (lambda x: x * GENERATOR.random(), "draws from 'GENERATOR'"),
        (lambda x: x * random.random(), "draws from 'random'"),
        (lambda x: x * float(np.random.rand()), "draws from 'np'"),  # noqa: NPY002
        (lambda x: x * SYSTEM.random(), "draws from 'SYSTEM'"),
        (lambda x: x * SYSTEM.choice([1.0, 2.0]), "draws from 'SYSTEM'"),
        (lambda x: x * random.SystemRandom().random(), "draws from 'random'"),
        (lambda x, bits=SYSTEM.getrandbits: x * bits(8), "draws from"),
        (lambda x: x * secrets.randbelow(8), "draws from 'secrets'"),
        (lambda x: x * len(token_bytes(2)), "draws from 'the operating system'"),
        (lambda x: x * np.random.default_rng().random(), "the operating system"),
        (lambda x: x * random.Random().random(), r"calls random\.Random"),
        (lambda x: x * urandom(1)[0], r"calls os\.urandom"),
        (lambda x: x * os.urandom(1)[0], r"calls os\.urandom"),
        (lambda x: x * uuid.uuid4().int, r"calls os\.urandom"),
        (lambda x: x * new_id().int, r"calls os\.urandom"),
        (lambda x: x * uuid.uuid1().time_low, r"calls uuid\.uuid1"),
        (lambda x: x * time.time(), r"calls time\.time"),
        (lambda x: x * seconds(), r"calls time\.perf_counter"),
        (lambda x: x * _later(), r"calls time\.monotonic_ns"),
        (lambda x: x * datetime.now().second, r"calls datetime\.now"),
        (lambda x: x * dates.date.today().day, r"calls date\.today"),
        (lambda x: x * os.times().user, r"calls os\.times"),
    ],
)
def test_what_would_happen_once_is_refused(
    engine: str, function: Any, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        cr.compile(function, engine=engine)(X)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x * random.random(), "train draws from 'random'"),
        (lambda x: x * len(token_bytes(2)), "train draws from"),
        (lambda x: x * time.time(), r"train calls time\.time"),
        (lambda x: x * sum(HELD.append(1) or HELD), "train changes 'HELD'"),
    ],
)
def test_entry_points_refuse_it_too(engine: str, function: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        compile_program({"train": function}, {"x": "f32[3]"}, engine=engine)


def test_what_is_typed_is_refused(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("2\n"))
    with pytest.raises(ArgumentError, match="calls input"):
        cr.compile(lambda x: x * float(input()), engine=engine)(X)


def test_clocks_of_packages_and_of_what_is_not_called(engine: str) -> None:
    """A log has the time, and a function that is not called reads no clock."""

    def run(x: cr.Tensor) -> cr.Tensor:
        assert logging.makeLogRecord({}).created > 0
        return x * (2.0 if len(x) else time.time())

    profiler = sys.getprofile()
    for __ in range(2):
        assert cr.compile(run, engine=engine)(X).tolist() == (X * 2).tolist()
    assert sys.getprofile() is profiler


def test_a_model_that_reads_a_clock_is_refused(engine: str) -> None:
    class Clocked(nn.Linear):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return super().forward(x) * time.time()

    trainer = cr.Trainer(
        Clocked(2, 1), loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), engine=engine
    )
    rows = np.ones((32, 2), np.float32)
    with pytest.raises(ArgumentError, match=r"calls time\.time"):
        trainer.fit((rows, rows[:, :1]), epochs=1, progress=False)


def test_a_system_generator_that_is_not_drawn_from(engine: str) -> None:
    """It has no state to compare, so that another thread's draws are none of ours."""
    factor = [2.0]

    def run(x: cr.Tensor) -> cr.Tensor:
        thread = threading.Thread(target=SYSTEM.random)
        thread.start()
        thread.join()
        return x * (factor[0] if SYSTEM and secrets and random.SystemRandom else 0.0)

    compiled = cr.compile(run, engine=engine)
    assert [compiled(X).tolist() for __ in range(2)] == [(X * 2).tolist()] * 2
    assert 0.0 <= SYSTEM.random() < 1.0
    assert len(secrets.token_bytes(4)) == 4


def test_clocks_are_refused_while_cprofile_is_at_work() -> None:
    def read(x: Any) -> Any:
        return x * time.time()

    def reaches(x: Any) -> Any:
        return x * 2 if x is not None else time.time()

    profile = cProfile.Profile()
    profile.enable()
    try:
        with pytest.raises(ArgumentError, match=r"time\.time"):
            cr.compile(read, engine="numpy")(cr.ones(2))
        assert cr.compile(reaches, engine="numpy")(cr.ones(2)).tolist() == [2.0, 2.0]
        sorted([2, 1])
    finally:
        profile.disable()
    assert any("sorted" in str(entry.code) for entry in profile.getstats())


# -- clocks that are read where an argument is left out --------------------------------


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (lambda: time.localtime().tm_sec, "localtime"),
        (lambda: time.localtime(None).tm_sec, "localtime"),
        (lambda: time.localtime(*[]).tm_sec, "localtime"),
        (lambda: time.gmtime().tm_sec, "gmtime"),
        (lambda: len(time.ctime()), "ctime"),
        (lambda: len(time.asctime()), "asctime"),
        (lambda: int(time.strftime("%S")), "strftime"),
        (lambda: np.datetime64("now").astype(int), "datetime64"),
        (lambda: np.datetime64("today", "D").astype(int), "datetime64"),
        (lambda: datetime64("now").astype(int), "datetime64"),
    ],
)
def test_clocks_without_a_time(read: Callable[[], Any], name: str) -> None:
    with pytest.raises(ArgumentError, match=rf"calls \w+\.{name}"):
        cr.compile(lambda x: x * float(read()), engine="numpy")(X)


@pytest.mark.parametrize(
    "read",
    [
        lambda: time.localtime(0).tm_year,
        lambda: time.gmtime(7).tm_sec,
        lambda: len(time.ctime(0)),
        lambda: len(time.asctime(time.gmtime(0))),
        lambda: int(time.strftime("%S", time.gmtime(3))),
        lambda: np.datetime64("2020-01-01").astype(int),
        lambda: len({"now": np.datetime64("2020-01-01", "D")}),
    ],
)
def test_times_that_are_given(read: Callable[[], Any]) -> None:
    run = cr.compile(lambda x: x * float(read()), engine="numpy")
    assert run(X).tolist() == (X * float(read())).tolist()


# -- generators of ``random`` that the system seeds ------------------------------------


class Plain(random.Random):
    """A generator of another name."""


class Made(random.Random):
    """A generator that is made in its own way."""

    def __init__(self) -> None:
        super().__init__()


def _seeded_by_nothing() -> float:
    generator = random.Random(2)
    generator.seed()
    return generator.random()


def _seeded_after_a_draw() -> float:
    generator = random.Random()
    drawn = generator.random()
    generator.seed(3)
    return drawn


def _drawn_within_c() -> float:
    return float(sum(map(random.Random().getrandbits, [8])))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: Plain().random(),
        lambda: Made().gauss(0, 1),
        *(_seeded_by_nothing, _seeded_after_a_draw, _drawn_within_c),
    ],
)
def test_generators_that_the_system_seeds(draw: Callable[[], float]) -> None:
    with pytest.raises(ArgumentError, match=r"calls random\.Random"):
        cr.compile(lambda x: x * draw(), engine="numpy")(X)


def _seeded_later() -> float:
    generator = random.Random()
    generator.seed(3)
    return generator.random()


@pytest.mark.parametrize(
    "draw",
    [
        _seeded_later,
        lambda: random.Random(3).random(),
        lambda: Plain(3).random(),
        lambda: 2.0 if random.Random() else 0.0,
    ],
)
def test_generators_whose_numbers_are_known(draw: Callable[[], float]) -> None:
    run = cr.compile(lambda x: x * draw(), engine="numpy")
    for __ in range(2):
        assert run(X).tolist() == (X * draw()).tolist()


# -- files and threads -----------------------------------------------------------------


def _opened() -> int:
    with open("/dev/urandom", "rb") as file:
        return file.read(1)[0]


@pytest.mark.skipif(not os.path.exists("/dev/urandom"), reason="no such device")
@pytest.mark.parametrize(
    "read",
    [
        _opened,
        lambda: pathlib.Path("/dev/urandom").open("rb").read(1)[0],  # noqa: SIM115
        lambda: np.fromfile("/dev/urandom", np.uint8, 1)[0],
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_devices_of_random_bytes(read: Callable[[], Any]) -> None:
    with pytest.raises(ArgumentError, match="calls open"):
        cr.compile(lambda x: x * float(read()), engine="numpy")(X)
    assert read() >= 0


def _in_a_thread(read: Callable[[], float]) -> float:
    read_there: list[float] = []
    thread = threading.Thread(target=lambda: read_there.append(read()))
    thread.start()
    thread.join()
    return read_there[0]


def _in_a_pool(read: Callable[[], float]) -> float:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: read()).result()


@pytest.mark.parametrize("run", [_in_a_thread, _in_a_pool])
def test_clocks_in_threads_that_are_started(run: Callable[..., float]) -> None:
    before = threading.getprofile()
    with pytest.raises(ArgumentError, match=r"calls time\.time"):
        cr.compile(lambda x: x * run(lambda: time.time()), engine="numpy")(X)
    double = cr.compile(
        lambda x: x * run(lambda: 2.0 if len(x) else time.time()), engine="numpy"
    )
    assert double(X).tolist() == (X * 2).tolist()
    assert threading.getprofile() is before


def test_clocks_in_threads_of_others() -> None:
    """A thread that another thread starts meanwhile is nobody's that is traced."""
    (begun, begin), (ended, end) = os.pipe(), os.pipe()

    def inner() -> None:
        time.time()
        os.write(end, b".")

    def outer() -> None:
        os.read(begun, 1)
        threading.Thread(target=inner).start()

    other = threading.Thread(target=outer)
    other.start()

    def run(x: cr.Tensor) -> cr.Tensor:
        os.write(begin, b".")
        os.read(ended, 1)
        return x * (2.0 if len(x) else time.time())

    profiled: list[str] = []

    def profile(frame: Any, event: str, called: Any) -> None:
        if event == "call" and frame.f_code is inner.__code__:
            profiled.append(event)

    before = threading.getprofile()
    threading.setprofile(profile)  # as a profiler of threads does
    try:
        assert cr.compile(run, engine="numpy")(X).tolist() == (X * 2).tolist()
    finally:
        threading.setprofile(before)
    other.join()
    assert profiled == ["call"]
    for file in (begun, begin, ended, end):
        os.close(file)
