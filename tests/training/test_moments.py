"""An exception at any moment whatever of a run leaves one that goes on bit for bit."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.training import BestCheckpoint, EarlyStopping, checkpoint
from chainrule.training.interrupt import Interrupt

from .conftest import Make, pixels
from .interruptions import KINDS, unclosed
from .killing import contents
from .moments import FILES, Moments, Place, traceable
from .test_data_adapter import stream_of
from .test_exceptions import made
from .test_loop import bits, example

pytestmark = [
    unclosed,
    pytest.mark.usefixtures("single_steps"),
    pytest.mark.skipif(os.name != "posix", reason="needs POSIX"),
    traceable,
]
SIGNALS = [getattr(signal, n, signal.SIGINT) for n in ("SIGINT", "SIGTERM", "SIGHUP")]


class Fit:
    """A Trainer's second run, so that nothing is compiled; it may be called again."""

    def __init__(self, make: Make, engine: str, place: Path) -> None:
        cr.manual_seed(0)
        self.place, self.trainer = place, made(make, engine)
        self.data = self.samples()
        stop = EarlyStopping("train_loss", patience=3, min_delta=0.01)
        best = BestCheckpoint(place / "best.ckpt", "train_loss")
        self.options: dict[str, Any] = {"validation": pixels(20, 1), "progress": False}
        self.trainer.fit(self.data, epochs=1, batch_size=20, **self.options)
        self.options |= {"callbacks": [stop, best], "checkpoint": place}
        self.options["checkpoint_every"] = 0
        self.first = self.trainer.plan

    def samples(self) -> Any:
        return pixels(40)

    def __call__(self) -> None:
        if self.trainer.plan is self.first:
            self.trainer.fit(self.data, epochs=3, batch_size=20, **self.options)
        else:
            self.trainer.resume(self.data, **self.options)

    def made(self) -> Any:
        model = self.trainer.model.state_dict().items()
        loss = self.trainer.history.steps["loss"].tobytes()
        return {k: v.tobytes() for k, v in model}, loss, contents(self.place)


class Streams(Fit):
    """The same on a stream, which goes back to where it was."""

    def samples(self) -> Any:
        return stream_of(pixels(40))


class Acts:
    """The example with an environment, a replay buffer and two entry points."""

    def __init__(self, make: Make, engine: str, place: Path) -> None:
        module = example("loop_actor")
        module.STEPS = 10
        self.place, self.loop = place, module.make(engine)
        self.loop.run(epochs=1)

    def __call__(self) -> None:
        self.loop.run(epochs=2, checkpoint=self.place, checkpoint_every=0)

    def made(self) -> Any:
        return bits(self.loop), contents(self.place)


def swept(kind: Any, make: Make, engine: str, place: Path, tries: slice) -> int:
    """Raise at some of all moments, one a run; returns how many there are to try.

    Each place of the code is one, when it is met first, last, or in between.
    """
    dice = np.random.default_rng(0)
    whole = kind(make, engine, place / "whole")
    moments = Moments(FILES)
    moments.call(whole)
    expected = whole.made()
    assert checkpoint.FILE in expected[-1]
    waiting: list[tuple[Place, int]] = []
    for found, met in moments.met.items():
        if found == (Interrupt.__exit__.__code__, -1):
            continue  # handlers stay where not one instruction of it runs
        waiting.append(
            (found, (1, met, int(dice.integers(1, met + 1)))[len(waiting) % 3])
        )
    dice.shuffle(waiting)  # type: ignore[arg-type]
    handlers = [signal.getsignal(number) for number in SIGNALS]
    chosen = waiting[tries]
    for i, at in enumerate(chosen):
        run = kind(make, engine, place / str(i))
        error = KINDS[i % len(KINDS)]
        where = f"{at[0][0].co_filename}, {at[0][0].co_name}, {at[0][1]}, {at[1]}"
        moments = Moments(FILES, at, error)
        try:
            moments.call(run)
        except error:
            pass
        else:
            assert moments.met.get(at[0], 0) < at[1], f"swallowed at {where}"
        try:
            run()
            assert run.made() == expected, where
        except cr.ChainruleError as refusal:
            raise AssertionError(where) from refusal
        assert [signal.getsignal(number) for number in SIGNALS] == handlers, where
    print(f"{len(chosen)} moments of {len(waiting)} at {len(moments.met)} places")
    return len(waiting)


@pytest.mark.parametrize("kind", [Fit, Streams, Acts])
def test_some_moments(kind: Any, make: Make, tmp_path: Path) -> None:
    swept(kind, make, "numpy", tmp_path, slice(3))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Fit, Streams, Acts])
def test_all_moments(
    kind: Any, make: Make, engine: str, tmp_path: Path, turn: int | None
) -> None:
    """Under ``--part`` a sixth of them, another one each time."""
    tries = slice(None) if turn is None else slice(turn % 6, None, 6)
    assert swept(kind, make, engine, tmp_path, tries) > 300
