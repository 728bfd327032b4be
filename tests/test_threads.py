"""Several threads and a child process use the library at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from tests.ways import ENGINES

THREADS = 5


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """What each of some functions gives, all begun at the same moment."""
    start = threading.Barrier(len(jobs))
    made: list[Any] = [None] * len(jobs)

    def run(i: int) -> None:
        start.wait()
        try:
            made[i] = jobs[i]()
        except BaseException as error:
            made[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread waits for ever"
    for result in made:
        if isinstance(result, BaseException):
            raise result
    return made


def test_one_function_is_called_by_many_threads(engine: str) -> None:
    """It is traced, compiled for two sizes and differentiated by all of them."""
    run = cr.compile(lambda x: (x * x).sin().sum(), engine=engine)

    def job(k: int) -> Callable[[], Any]:
        def work() -> None:
            for n in (3, 8, 5, 3) * 6:
                x = np.arange(n) * 0.1 + k
                got = cr.grad(run)(cr.tensor(x))
                np.testing.assert_allclose(got.numpy(), np.cos(x * x) * 2 * x)

        return work

    at_once(*map(job, range(THREADS)))


def test_one_step_is_run_by_many_threads(engine: str) -> None:
    """No step is lost: each adds one to every number, and says how many there were."""
    w, n = cr.tensor(np.zeros(4096, np.float32)), 60

    @cr.compile(engine=engine)
    def step() -> cr.Tensor:
        w.copy_(w + 1)
        return w[0] * 1

    made = at_once(*[lambda: [step().item() for _ in range(n)]] * THREADS)
    assert (w.numpy() == THREADS * n).all()
    assert sorted(k for part in made for k in part) == list(range(1, THREADS * n + 1))


def test_reading_and_evaluating_while_another_thread_trains(engine: str) -> None:
    """Whoever looks sees the weights of one step, in a program of its own too."""
    w, stop = cr.tensor(np.zeros(20_000, np.float32)), threading.Event()

    @cr.compile(engine=engine)
    def step() -> None:
        w.copy_(w + 1)

    look = cr.compile(lambda: (w.min(), w.max()), engine=engine)

    def train() -> None:
        for _ in range(150):
            step()
        stop.set()

    def read() -> int:
        last, count = -1.0, 0
        while not stop.is_set() or count == 0:
            array, count = w.numpy(), count + 1
            assert array.min() == array.max()
            assert array[0] >= last
            last = array[0]
        return count

    def evaluate() -> None:
        last = -1.0
        while not stop.is_set():
            low, high = look()
            assert low.item() == high.item() >= last
            last = low.item()

    at_once(train, read, evaluate, evaluate)
    assert (w.numpy() == 150).all()


@pytest.mark.one_in(2, first=1)
def test_trainers_train_at_once_as_one_after_the_other(engine: str) -> None:
    x = np.random.default_rng(0).standard_normal((64, 6)).astype("f4")
    y = (x.sum(1) > 0).astype("i8")

    def train(seed: int) -> list[np.ndarray]:
        generator = np.random.default_rng(seed)
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        for p in model.parameters():
            p.copy_(generator.standard_normal(p.shape).astype("f4") * 0.3)
        trainer = cr.Trainer(
            model,
            loss=nn.CrossEntropyLoss(),
            optimizer=optim.Adam(lr=1e-2),
            engine=engine,
            seed=seed,
            threads=2 if engine == "native" else None,
        )
        trainer.fit((x, y), epochs=3, batch_size=16, progress=False)
        trainer.evaluate((x, y))
        trained = [p.detach().numpy().copy() for p in model.parameters()]
        return [*trained, trainer.predict(x[:1]), trainer.predict(x)]

    apart = [train(seed) for seed in range(3)]
    together = at_once(*[lambda s=s: train(s) for s in range(3)])
    for mine, wanted in zip(together, apart):
        for a, b in zip(mine, wanted):
            assert (a == b).all()


def test_one_model_answers_many_threads(engine: str) -> None:
    """Each gets the answer to its own question, whatever the others ask for."""
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 300), nn.Tanh(), nn.Linear(300, 7))
    trainer = cr.Trainer(
        model, loss=nn.MSELoss(), optimizer=optim.SGD(lr=0.1), engine=engine
    )
    compiled = cr.compile(model, engine=engine)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((THREADS, 40, 40)).astype("f4")
    sizes = 1, 40, 3, 1
    wanted = [[compiled(x[:n]).numpy().copy() for n in sizes] for x in rows]

    def job(k: int) -> Callable[[], Any]:
        def work() -> None:
            for turn in range(40):
                i = turn % len(sizes)
                x = rows[k][: sizes[i]]
                got = trainer.predict(x) if turn % 3 else compiled(x).numpy()
                np.testing.assert_allclose(got, wanted[k][i], rtol=1e-4, atol=1e-5)

        return work

    at_once(*map(job, range(THREADS)))


def test_python_goes_on_while_machine_code_runs() -> None:
    """A thread within a run holds no lock of the interpreter's.

    Threads are switched by force after a minute only, so the other one goes on because
    the first has let it; and it has long finished before the run has.
    """
    pytest.importorskip("llvmlite")
    w = cr.tensor(np.zeros((256, 256), np.float32))

    @cr.compile(engine="native", threads=1)
    def work(x: cr.Tensor) -> cr.Tensor:
        for _ in range(60):
            x = (x @ w + 1).tanh()
        return x

    big = cr.tensor(np.ones((2048, 256), np.float32))
    work(big)
    running, ended = threading.Event(), threading.Event()

    def run() -> None:
        running.set()
        work(big)
        ended.set()

    saved = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        other = threading.Thread(target=run)
        other.start()
        running.wait()
        counted = 0
        while counted < 1000:
            counted += 1
        assert not ended.is_set(), "nothing went on until the run was over"
    finally:
        sys.setswitchinterval(saved)
        other.join(60)
    assert ended.is_set()


def test_eager_derivatives_in_many_threads() -> None:
    """What a thread switches off (recording) is off in that thread alone."""

    def job(k: int) -> Callable[[], Any]:
        def work() -> None:
            for _ in range(100):
                w = cr.tensor(float(k), requires_grad=True)
                with cr.no_grad():
                    assert not (w * w).requires_grad
                (w * w * w).backward()
                assert w.grad is not None
                assert w.grad.item() == 3 * k * k

        return work

    at_once(*map(job, range(THREADS)))


def test_one_block_is_entered_by_two_threads() -> None:
    """As a function is that ``@cr.no_grad()`` decorates: each thread leaves its own."""
    block, w = cr.no_grad(), cr.tensor(2.0, requires_grad=True)
    one, both, left = threading.Event(), threading.Event(), threading.Event()

    @block
    def within() -> bool:
        return (w * w).requires_grad

    def first() -> bool:
        with block:
            one.set()
            both.wait()
        left.set()
        return (w * w).requires_grad

    def second() -> bool:
        with cr.no_grad():
            one.wait()
            with block, block:
                both.set()
                left.wait()
            return (w * w).requires_grad or within()

    assert at_once(first, second) == [True, False]
    assert (w * w).requires_grad
    assert not within()


ON_SOME_CORES = """
import os, threading, time
import numpy as np
import chainrule as cr
from chainrule.engines import threads

def step(x):
    for _ in range(20):
        x = (x @ x).tanh()
    return x

def workers():
    return [t for t in threading.enumerate() if t.name.startswith("chainrule-")]

cores = list(os.sched_getaffinity(0))
run = cr.compile(step, engine="native")
x = np.ones((256, 256), np.float32)
for count in (1, 2):
    os.sched_setaffinity(0, cores[:count])
    end = time.perf_counter() + 2 * threads.PAUSE  # then a new contest has begun
    while time.perf_counter() < end:
        run(x)
    assert len(workers()) == count - 1, workers()
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="no affinity here, or one core",
)
def test_threads_start_only_where_there_are_cores() -> None:
    """The cores that a process may use are those of now, not those of its start."""
    pytest.importorskip("llvmlite")
    command = [sys.executable, "-c", ON_SOME_CORES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# -- a child process -------------------------------------------------------------------


@pytest.mark.one_in(2, first=1)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_computes_after_a_fork_in_the_middle_of_runs(engine: str) -> None:
    """Another thread is within a run, or holds its lock, when the process forks."""
    w, stop = cr.tensor(np.zeros(50_000, np.float32)), threading.Event()

    @cr.compile(engine=engine, threads=2)
    def step(x: cr.Tensor) -> cr.Tensor:
        w.copy_(w + x)
        return (w - w + x).sum()

    x = cr.tensor(np.ones(50_000, np.float32))
    step(x)
    other = threading.Thread(target=lambda: [step(x) for _ in iter(stop.is_set, True)])
    other.start()
    try:
        for _ in range(8):
            reader, writer = os.pipe()
            child = _forked()
            if child == 0:
                signal.alarm(30)
                right = step(x).item() == 50_000.0
                right &= cr.compile(lambda x: x * 2, engine=engine)(x)[0].item() == 2.0
                os.write(writer, b"1" if right else b"0")
                os._exit(0)
            os.close(writer)
            answer = os.read(reader, 1)
            os.close(reader)
            os.waitpid(child, 0)
            assert answer == b"1", "the child hangs, or is wrong"
    finally:
        stop.set()
        other.join()


@pytest.mark.one_in(2, first=1)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_trains_as_its_parent_would(engine: str) -> None:
    """What the engine has before the fork serves after it: weights, code, threads."""
    x = np.random.default_rng(0).standard_normal((256, 64)).astype("f4")
    y = (x.sum(1) > 0).astype("i8")
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 2))
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=1e-2),
        engine=engine,
        threads=2,
    )

    def go_on() -> float:
        trainer.fit((x, y), epochs=2, batch_size=32, progress=False)
        return float(trainer.evaluate((x, y))["loss"])

    go_on()
    reader, writer = os.pipe()
    child = _forked()
    if child == 0:
        signal.alarm(60)
        try:
            os.write(writer, repr(go_on()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        theirs = answer.read()
    os.waitpid(child, 0)
    assert theirs.decode() == repr(go_on()), "the child hangs, or is wrong"


def _forked() -> int:
    import warnings

    with warnings.catch_warnings():  # that threads are running is what is tested
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def test_a_spawned_process_starts_anew() -> None:
    for engine in ENGINES:
        cr.compile(lambda x: x * 2, engine=engine)(cr.tensor([1.0]))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_doubled, ENGINES) == [[2.0, 4.0]] * len(ENGINES)


def _doubled(engine: str) -> list[float]:
    return cr.compile(lambda x: x * 2, engine=engine)(cr.tensor([1.0, 2.0])).tolist()
