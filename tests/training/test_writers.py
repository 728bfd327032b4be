"""Who may write checkpoints where: one run a directory, never through a link."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import stat
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.training import BestCheckpoint, LambdaCallback, checkpoint
from chainrule.training.lock import LOCK, Files, RunDirectory

from .conftest import Make, pixels, raising, same, small_network, without_time
from .test_loop import bits, example

fcntl: Any = pytest.importorskip("fcntl", reason="needs POSIX")

#: Signals that may end a run at any moment.
ENDINGS = np.array([signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])


def train(where: Path, told: Path, epochs: int, pause: float) -> None:
    """A run that waits after each step, or what is left of it where epochs are 0.

    It locks a file beside its directory while it trains, and ends with 9 where that is
    locked; what the library refuses it writes down, and ends with 3.
    """
    guard = os.open(f"{where}.guard", os.O_RDWR | os.O_CREAT)

    def alone(trainer: cr.Trainer) -> None:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(9)

    wait = LambdaCallback(
        on_start=alone,
        on_chunk=lambda trainer: time.sleep(pause),
        on_end=lambda trainer: fcntl.flock(guard, fcntl.LOCK_UN),
    )
    options: Any = {"callbacks": wait, "progress": False, "checkpoint": where}
    options["checkpoint_every"] = 0
    data = pixels(64)
    try:
        if epochs:
            optimizer = optim.Adam()
            model, loss = small_network(), nn.CrossEntropyLoss()
            trainer = cr.Trainer(model, loss=loss, optimizer=optimizer, engine="numpy")
            trainer.fit(data, epochs=epochs, batch_size=8, **options)
        else:
            cr.Trainer.load(where).resume(data, **options)
    except cr.ChainruleError as error:
        told.write_text(str(error))
        os._exit(3)


class Run:
    """Such a run in a child process, which is forked with everything imported.

    Attributes:
        told: what the library has refused it.
    """

    def __init__(self, where: Path, epochs: int, pause: float) -> None:
        where.parent.mkdir(exist_ok=True)
        self._told = where.with_name(f"{time.monotonic_ns()}.txt")
        fork = multiprocessing.get_context("fork")
        arguments = where, self._told, epochs, pause
        self.process: Any = fork.Process(target=train, args=arguments)
        with warnings.catch_warnings():  # of threads, which the child does not have
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process.start()

    def send(self, number: int) -> None:
        if self.process.is_alive():
            os.kill(self.process.pid, number)

    def end(self) -> int:
        """Wait for its end; how it ended."""
        self.process.join()
        self.told = self._told.read_text() if self._told.exists() else ""
        return self.process.exitcode


def until_saved(run: Run, directory: Path, steps: int = 0) -> None:
    """Wait for a checkpoint, after so many steps."""
    file = directory / checkpoint.FILE
    while run.process.is_alive():
        if file.exists() and checkpoint.read(file)[0]["updates"] >= steps:
            return
        time.sleep(0.005)


@pytest.mark.usefixtures("single_steps")
def test_a_second_run_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    first = Run(tmp_path / "run", 1000, 0.01)
    until_saved(first, tmp_path / "run")
    second = Run(tmp_path / "run", 0, 0)
    assert second.end() == 3
    first.send(signal.SIGKILL)
    first.end()
    assert "Another run writes its checkpoints into this directory" in second.told
    assert f"process {first.process.pid} on " in second.told
    before = (tmp_path / "run" / checkpoint.FILE).read_bytes()
    third = Run(tmp_path / "run", 0, 0)  # the lock has gone with the first
    while (tmp_path / "run" / checkpoint.FILE).read_bytes() == before:
        assert third.process.is_alive()
    third.send(signal.SIGKILL)
    third.end()
    assert not third.told


def test_within_one_process(make: Make, data: cr.data.Dataset, tmp_path: Path) -> None:
    def inner(trainer: cr.Trainer) -> None:
        loaded = cr.Trainer.load(tmp_path)
        with pytest.raises(errors.ArgumentError, match="another run of this process"):
            loaded.resume(data, progress=False, checkpoint=tmp_path)

    look = LambdaCallback(on_chunk=inner)
    make().fit(data, epochs=1, callbacks=look, progress=False, checkpoint=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {checkpoint.FILE}


def test_a_checkpoint_that_has_gone_on_since(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    """Of two who loaded the same the later does not undo what the first has done."""
    trainer = make(optimizer=optim.Adam())
    options: Any = {"progress": False, "checkpoint": tmp_path}
    trainer.fit(data, epochs=2, batch_size=16, **options)
    first, second = cr.Trainer.load(tmp_path), cr.Trainer.load(tmp_path)
    first.fit(data, epochs=1, **options)
    before = (tmp_path / checkpoint.FILE).read_bytes()
    with pytest.raises(errors.ArgumentError, match="of another run or later"):
        second.fit(data, epochs=1, **options)
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert second.epoch == 2


def together(tmp_path: Path, seconds: float) -> None:
    """Processes that all want the same directory, and are killed, and go on.

    Temporary files of others, and links of their names, are planted in the directory.
    """
    directory, end = tmp_path / "run", time.monotonic() + seconds
    dice = np.random.default_rng(0)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    assert Run(directory, 3, 0).end() == 0
    expected = cr.Trainer.load(directory)
    file = directory / checkpoint.FILE
    file.unlink()
    runs = refused = finished = 0
    while time.monotonic() < end or not (refused and finished):
        planted = directory / f".{checkpoint.FILE}.{dice.bytes(8).hex()}.tmp"
        if dice.random() < 0.5:
            planted.symlink_to(precious)
        else:
            planted.write_bytes(dice.bytes(100))
        several = []
        for _ in range(3):
            several.append(Run(directory, 0 if file.exists() else 3, 0.002))
            time.sleep(dice.uniform(0, 0.03))
        if not file.exists():
            until_saved(several[0], directory)
        for run in several[: dice.integers(1, 4)]:
            time.sleep(dice.uniform(0, 0.05))
            run.send(dice.choice(ENDINGS))
            if file.exists():
                checkpoint.read(file)  # whole at any moment
        for run in several:
            assert run.end() in (0, 3, *-ENDINGS), run.told
            assert (
                not run.told
                or "already holds a run" in run.told
                or "Another run writes its checkpoints" in run.told
            )
            refused += bool(run.told)
        runs += len(several)
        if file.exists() and dice.random() < 0.5:
            last = Run(directory, 0, 0)
            assert last.end() == 0, last.told
            loaded = cr.Trainer.load(directory)
            assert loaded.finished
            assert same(loaded.model, expected.model)
            losses = [t.history.steps["loss"].tolist() for t in (loaded, expected)]
            assert losses[0] == losses[1]
            file.unlink()
            finished += 1
            left = [p.name for p in directory.iterdir() if p.name != LOCK]
            assert not left, "nothing gathers"
    assert precious.read_text() == "precious"
    print(f"{runs} runs, {refused} refused, {finished} times to the end")


@pytest.mark.slow
@pytest.mark.usefixtures("single_steps")
def test_several_at_once(tmp_path: Path) -> None:
    together(tmp_path, float(os.environ.get("CHAINRULE_SECONDS", "15")))


# -- files -----------------------------------------------------------------------------


def test_never_through_a_link(make: Make, tmp_path: Path) -> None:
    other = tmp_path / "precious.txt"
    other.write_text("precious")
    link = tmp_path / "run.ckpt"
    link.symlink_to(other)
    make().save(link)
    assert other.read_text() == "precious"
    assert not link.is_symlink()
    cr.Trainer.load(link)


def test_a_run_directory_with_a_link(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    nowhere = tmp_path / "nowhere"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / checkpoint.FILE).symlink_to(nowhere)
    with pytest.raises(errors.ArgumentError, match="already holds a run"):
        make().fit(data, epochs=1, progress=False, checkpoint=tmp_path / "run")
    assert not nowhere.exists()
    (tmp_path / "run" / checkpoint.FILE).unlink()
    (tmp_path / "run" / LOCK).symlink_to(nowhere)
    with pytest.raises(errors.SaveError, match="cannot be locked"):
        make().fit(data, epochs=1, progress=False, checkpoint=tmp_path / "run")
    assert not nowhere.exists()


def test_the_mode_is_that_of_any_new_file(make: Make, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        make().save(tmp_path / "run.ckpt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run.ckpt").stat().st_mode) == 0o640


def test_what_a_kill_has_left_is_swept_up(
    make: Make, data: cr.data.Dataset, tmp_path: Path
) -> None:
    best = BestCheckpoint(tmp_path / "best.ckpt", "train_loss")
    for name in (checkpoint.FILE, "best.ckpt"):
        (tmp_path / f".{name}.0123456789abcdef.tmp").write_bytes(b"half")
    link = tmp_path / f".{checkpoint.FILE}.0123456789abcdee.tmp"
    link.symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f".{checkpoint.FILE}.of another kind.tmp").mkdir()
    make().fit(data, epochs=1, callbacks=best, progress=False, checkpoint=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f".{checkpoint.FILE}.of another kind.tmp",
        "best.ckpt",
        checkpoint.FILE,
        "precious",
    ]
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_disk_without_a_byte_left(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the lock can be written: refused, and a later run has the directory."""
    place = tmp_path / "run"
    options: Any = {"epochs": 1, "batch_size": 16, "progress": False}

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("write", "truncate"):
        trainer = make()
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(errors.SaveError, match="cannot be locked"):
                trainer.fit(pixels(50), checkpoint=place, **options)
        assert trainer.epoch == 0
        assert not place.exists()
    trainer.fit(pixels(50), checkpoint=place, **options)
    assert (place / checkpoint.FILE).exists()


@pytest.mark.one_in(2)
@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kind", ["fit", "loop"])
def test_a_disk_that_fills_up_in_the_middle(
    make: Make, tmp_path: Path, kind: str, engine: str
) -> None:
    """The old checkpoint is whole; with space again the run goes on bit for bit."""
    directory, data = tmp_path / "run", pixels(50)
    options: Any = {"checkpoint": directory, "checkpoint_every": 0}
    full: list[bytes] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def filled(standing: Any) -> None:
        if standing.state.updates == 3 and not full:
            full.append((directory / checkpoint.FILE).read_bytes())
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    def start(run: Any, **options: Any) -> Any:
        if kind == "loop":
            return run.run(epochs=2, **options)
        if run.plan is None:
            return run.fit(data, epochs=2, batch_size=16, progress=False, **options)
        return run.resume(data, progress=False, **options)

    fills = LambdaCallback(on_chunk=filled)
    if kind == "loop":
        module = example("loop_gan")
        module.STEPS = 6
        hit, whole = module.make(engine), module.make(engine)
        hit.callbacks.append(fills)
    else:
        hit, whole = make(engine=engine), make(engine=engine)
        options["callbacks"] = fills
    try:
        for _ in range(2):  # it is still full the second time
            with raising(errors.SaveError, "cannot be written", "File too large"):
                start(hit, **options)
            assert (directory / checkpoint.FILE).read_bytes() == full[0]
            assert {path.name for path in directory.iterdir()} == {checkpoint.FILE}
            history = hit.history
            steps = sum(len(history.steps_of(e)["loss"]) for e in history.entries)
            assert hit.state.updates == steps <= 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    if kind == "fit":
        loaded = cr.Trainer.load(directory)
        assert loaded.optimizer.steps == 2
    else:
        loaded = module.make(engine)
        loaded.load(directory)
    start(hit, **options)
    start(whole)
    start(loaded)
    assert checkpoint.read(directory / checkpoint.FILE)
    for run in (hit, loaded):
        assert without_time(run.history.epochs) == without_time(whole.history.epochs)
        if kind == "fit":
            assert same(run.model, whole.model)
        else:
            assert bits(run) == bits(whole)
    assert {path.name for path in directory.iterdir()} == {checkpoint.FILE}


def test_a_directory_that_nothing_is_written_to_is_taken_away(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "new", Files()) as held:
        assert held.mine() == tmp_path / "new" / checkpoint.FILE
        assert (tmp_path / "new" / LOCK).exists()
    assert not (tmp_path / "new").exists()


# -- forks and threads -----------------------------------------------------------------


def forked(act: Callable[[], Any]) -> str:
    """What a child process says to an error of ours, or what else comes of it."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            act()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.mark.slow
@pytest.mark.usefixtures("single_steps")
def test_a_child_that_is_forked_in_the_middle(
    make: Make, tmp_path: Path, engine: str
) -> None:
    """It has not the directory, takes nothing away at its end, and may load it."""
    data, place = pixels(50), tmp_path / "run"
    options: Any = {"progress": False, "checkpoint_every": 0}
    told: list[str] = []

    def fork(trainer: cr.Trainer) -> None:
        if trainer.optimizer.steps == 2:
            told.append(forked(lambda: trainer._loop._save()))  # type: ignore
            told.append(forked(lambda: trainer._loop._directory.__exit__()))  # type: ignore
            told.append(forked(lambda: go_on(cr.Trainer.load(place))))
            assert (place / LOCK).exists(), "it is the parent's"
        if trainer.optimizer.steps == 3:
            told.append(forked(lambda: cr.Trainer.load(place).evaluate(data)))

    def go_on(trainer: cr.Trainer) -> None:
        trainer.resume(data, checkpoint=place, **options)

    trainer, whole = make(engine=engine), make(engine=engine)
    callback = LambdaCallback(on_chunk=fork)
    trainer.fit(
        data, epochs=2, batch_size=16, callbacks=callback, checkpoint=place, **options
    )
    assert "forked from" in told[0]
    assert "Another run writes its checkpoints" in told[0]
    assert told[1] == told[3] == "nothing"
    assert f"process {os.getpid()} on " in told[2]
    assert {path.name for path in place.iterdir()} == {checkpoint.FILE}
    whole.fit(data, epochs=2, batch_size=16, progress=False)
    assert same(trainer.model, whole.model)
    assert forked(lambda: go_on(cr.Trainer.load(place))) == "nothing", "it is free now"


# -- signals that end the process ------------------------------------------------------


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_ends_the_process(tmp_path: Path, name: str) -> None:
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # nohup leaves SIGHUP ignored
    run = Run(tmp_path / "run", 1000, 0.001)
    signal.signal(number, before)
    until_saved(run, tmp_path / "run", steps=1)
    run.send(number)
    assert run.end() == -number, "as it would have without us"
    loaded = cr.Trainer.load(tmp_path / "run")
    assert loaded.optimizer.steps == len(loaded.history) > 0
    assert {p.name for p in (tmp_path / "run").iterdir()} == {checkpoint.FILE}


@pytest.mark.slow
@pytest.mark.usefixtures("single_steps")
def test_a_hang_up_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run = Run(tmp_path / "run", 20, 0.001)
    finally:
        signal.signal(signal.SIGHUP, usual)
    until_saved(run, tmp_path / "run")
    run.send(signal.SIGHUP)
    assert run.end() == 0
    assert cr.Trainer.load(tmp_path / "run").finished
