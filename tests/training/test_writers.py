"""Who may write checkpoints where: one run a directory, never through a link."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import errors, optim
from chainrule.training import LambdaCallback, checkpoint
from chainrule.training.lock import LOCK, Files, hold

from .conftest import Make, pixels, same

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")

SCRIPT = """if True:
    import sys, time
    import numpy as np
    import chainrule as cr
    from chainrule import nn, optim
    where, epochs, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("f4")
    data = cr.data.Dataset(x, (x[:, 0] > 0).astype("i4"), classes=2)
    cr.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    trainer = cr.Trainer(model, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(),
                         engine="numpy")
    wait = cr.training.LambdaCallback(on_chunk=lambda t: time.sleep(pause))
    cr.training.loop.CHUNK = 0.0
    options = dict(callbacks=wait, progress=False, checkpoint=where)
    options["checkpoint_every"] = 0
    try:
        if len(sys.argv) > 4:
            trainer = cr.Trainer.load(where)
            trainer.resume(data, **options)
        else:
            trainer.fit(data, epochs=epochs, batch_size=8, **options)
    except cr.ChainruleError as error:
        print(error)
        sys.exit(3)
"""


def run(*args: Any, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def until_saved(process: subprocess.Popen[str], directory: Path) -> None:
    while not (directory / checkpoint.FILE).exists() and process.poll() is None:
        time.sleep(0.005)


def test_a_second_run_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    first = run(tmp_path / "run", 1000, 0.01)
    until_saved(first, tmp_path / "run")
    second = run(tmp_path / "run", 1, 0, "resume")
    told, _ = second.communicate()
    first.kill()
    first.communicate()
    assert second.returncode == 3
    assert "Another run writes its checkpoints into this directory" in told
    assert f"process {first.pid} on " in told
    third = run(tmp_path / "run", 1, 0, "resume")  # the lock has gone with the first
    time.sleep(1)
    third.kill()
    assert "Another run" not in third.communicate()[0]


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
    """Processes that all want the same directory, some of which are killed."""
    directory, end = tmp_path / "run", time.monotonic() + seconds
    first = run(directory, 3, 0)
    first.communicate()
    assert first.returncode == 0
    expected = cr.Trainer.load(directory)
    (directory / checkpoint.FILE).unlink()
    told: list[str] = []
    while time.monotonic() < end:
        several = [run(directory, 3, 0.002) for _ in range(3)]
        time.sleep(0.7)
        several[0].kill()
        told += [process.communicate()[0] for process in several]
        if (directory / checkpoint.FILE).exists():
            last = run(directory, 3, 0, "resume")
            told.append(last.communicate()[0])
            loaded = cr.Trainer.load(directory)  # whole and readable
            assert loaded.finished
            assert same(loaded.model, expected.model)
            (directory / checkpoint.FILE).unlink()
    assert not any("cannot be written" in text for text in told)
    assert any("already holds a run" in t or "Another run" in t for t in told)
    left = [p.name for p in directory.iterdir() if p.name != LOCK]
    assert len(left) <= 1, left


def test_several_at_once(tmp_path: Path) -> None:
    together(tmp_path, 3)


@pytest.mark.slow
def test_several_at_once_for_ten_minutes(tmp_path: Path) -> None:
    together(tmp_path, float(os.environ.get("CHAINRULE_SECONDS", "600")))


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


def test_what_is_no_file_is_not_replaced(make: Make, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.SaveError, match="no regular file"):
        make().save(tmp_path / "pipe")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)


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
    stale = tmp_path / f".{checkpoint.FILE}.0123456789abcdef.tmp"
    stale.write_bytes(b"half")
    make().fit(data, epochs=1, progress=False, checkpoint=tmp_path)
    assert not stale.exists()


def test_a_full_disk(make: Make, data: cr.data.Dataset, tmp_path: Path) -> None:
    trainer = make(optimizer=optim.Adam())
    options: Any = {"progress": False, "checkpoint": tmp_path}
    trainer.fit(data, epochs=1, batch_size=16, **options)
    before = (tmp_path / checkpoint.FILE).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(errors.SaveError) as error:
            trainer.fit(data, epochs=2, batch_size=16, **options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for part in ("checkpoint cannot be written", "File too large", "is unharmed"):
        assert part in str(error.value)
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {checkpoint.FILE}
    trainer.resume(data, **options)
    whole = make(optimizer=optim.Adam())
    whole.fit(data, epochs=1, batch_size=16, progress=False)
    whole.fit(data, epochs=2, batch_size=16, progress=False)
    assert same(trainer.model, whole.model)


def test_a_directory_that_nothing_is_written_to_is_taken_away(tmp_path: Path) -> None:
    with hold(tmp_path / "new", Files()) as file:
        assert file == tmp_path / "new" / checkpoint.FILE
        assert (tmp_path / "new" / LOCK).exists()
    assert not (tmp_path / "new").exists()


# -- signals that end the process ------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_ends_the_process(tmp_path: Path, name: str) -> None:
    number = getattr(signal, name)
    process = run(tmp_path / "run", 1000, 0.01)
    until_saved(process, tmp_path / "run")
    time.sleep(0.3)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number, "as it would have without us"
    loaded = cr.Trainer.load(tmp_path / "run")
    assert loaded.optimizer.steps == len(loaded.history) > 0
    assert {p.name for p in (tmp_path / "run").iterdir()} == {checkpoint.FILE}


def test_a_hang_up_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = run(tmp_path / "run", 20, 0.01)
    finally:
        signal.signal(signal.SIGHUP, usual)
    until_saved(process, tmp_path / "run")
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert process.returncode == 0
    assert cr.Trainer.load(tmp_path / "run").finished


def test_a_handler_of_ones_own_is_left_alone(make: Make) -> None:
    noted: list[int] = []
    usual = signal.signal(signal.SIGTERM, lambda number, frame: noted.append(number))
    raise_it = LambdaCallback(on_chunk=lambda t: signal.raise_signal(signal.SIGTERM))
    try:
        make().fit(pixels(50), epochs=1, callbacks=raise_it, progress=False)
    finally:
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        signal.signal(signal.SIGTERM, usual)
    assert noted
