"""Runs in child processes that are killed with SIGKILL and go on.

A child is forked from a process in which all is imported and compiled, so that a life
takes little more than its training. It is killed at a moment of the code that is drawn
beforehand.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.training import checkpoint

from .conftest import without_time
from .moments import FILES, Moments


def life(run: Callable[[Path], Any], directory: Path, at: int | None = None) -> int:
    """Begin a run in a child process, or go on with it; returns the process.

    Args:
        run: trains, with ``directory`` for its checkpoints.
        directory: where messages go too, into a file beside it.
        at: the moment at which the child kills itself; None: never.
    """
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    sys.stdout.flush()
    with warnings.catch_warnings():  # of threads, which the child does not have
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    code = 1
    die = partial(os.kill, os.getpid(), signal.SIGKILL)
    try:
        if at is None:
            run(directory)
        else:
            Moments(FILES, number=at, act=die).call(lambda: run(directory))
        code = 0
    except BaseException:
        directory.with_suffix(".txt").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def ended(child: int, directory: Path) -> bool:
    """Wait for a child; whether it came to its end, and was not killed."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    messages = directory.with_suffix(".txt")
    assert status == 0, messages.read_text() if messages.exists() else status
    return True


def content(file: Path) -> dict[str, Any]:
    """All that a checkpoint holds, times aside."""
    document, arrays = checkpoint.read(file)
    plain = {k: v for k, v in document.items() if k not in ("epochs", "seconds")}
    numbers = {k: (a.dtype, a.shape, a.tobytes()) for k, a in arrays.items()}
    return {**numbers, "document": plain, "rows": without_time(document["epochs"])}


def contents(directory: Path) -> dict[str, dict[str, Any] | None]:
    """What a run has left: of checkpoints what they hold, of other files the name."""
    files = directory.iterdir()
    return {p.name: content(p) if p.suffix == ".ckpt" else None for p in files}


def check_left(directory: Path) -> Any:
    """Check that what a killed child leaves is whole, and return its position."""
    position = None
    if (directory / checkpoint.FILE).exists():
        document = content(directory / checkpoint.FILE)["document"]
        position = document["epoch"], document["step"]
    if directory.exists():
        left = [p for p in directory.iterdir() if p.suffix == ".tmp"]
        assert len(left) <= 2, "what is left lying about gathers"
    return position


def killed_at_moments(
    run: Callable[[Path], Any], place: Path, times: int, rounds: int = 1
) -> None:
    """Kill a run so many times, each time at a moment of the code that is drawn.

    Args:
        run: trains, or goes on with what is in the directory that it gets, to the end.
        place: for directories.
        times: how many kills.
        rounds: how many runs are killed so, one after the other.
    """
    dice, moments = np.random.default_rng(0), Moments(FILES)
    moments.call(lambda: run(place / "whole"))
    expected = contents(place / "whole")
    assert checkpoint.FILE in expected
    for number in range(rounds):
        directory, positions = place / f"cut{number}", set[Any]()
        # Within the first half of what is left, so that something is left each time.
        for _ in range(times):
            at = int(dice.integers(1, moments.total // 2 ** (len(positions) + 1)))
            assert not ended(life(run, directory, at), directory)
            positions.add(check_left(directory))
        assert ended(life(run, directory), directory)
        assert contents(directory) == expected
