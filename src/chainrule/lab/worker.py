"""The training process of one run: it does what a page asks, and trains in between.

It reads messages from standard input and writes messages to what was its standard
output; whatever else prints goes to standard error. It ends where its input ends, and
what was trained is saved before.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    ChainruleWarning,
)
from chainrule.graph.node import Array
from chainrule.lab import answers, protocol
from chainrule.lab.changing import edits_of, rate, told, weight
from chainrule.lab.from_file import FromFile
from chainrule.lab.models import Target
from chainrule.lab.settings import Own, of_file, opened, origin_said, said_by
from chainrule.lab.state import Stage, after
from chainrule.lab.steps import Shown
from chainrule.lab.watching import (
    View,
    described,
    modules_of,
    samples,
    standing,
)
from chainrule.runs.session import Session
from chainrule.text import _
from chainrule.training import Callback
from chainrule.util import atomic_files

#: Seconds of a chunk while a page watches, and between two checkpoints.
CHUNK, SAVE = 0.025, 60.0
#: Seconds between two reports of where training stands.
REPORT = 0.1
CHECKPOINT = "last.ckpt"


class Watch(Callback):
    """The callback by which a page sees a run, and stops it.

    Args:
        worker: of the process.
    """

    everywhere = False

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def on_start(self, trainer: Any) -> None:
        self._worker.between_chunks()

    def on_chunk(self, trainer: Any) -> None:
        self._worker.between_chunks()


class Worker:
    """A training process: a run, and what a page asks of it.

    Args:
        inbox: where messages come from; None is their end.
        out: where messages go.
    """

    def __init__(self, inbox: queue.Queue[Any], out: Any) -> None:
        self.inbox, self._out = inbox, out
        self.stage = Stage.READY
        self.session: Session | None = None
        self.view: View | None = None
        self.shown: Shown | None = None
        self.error: dict[str, Any] | None = None
        self.ending = False
        self.explorer: Any = None
        self._paced: int | None = 0  # steps of a chunk, as last asked for
        self._until = 0  # the update up to which steps were asked for
        self._saved_step, self._saved_at = -1, time.monotonic()
        self._reported = 0.0
        self._speed: tuple[float, int] = (time.perf_counter(), 0)
        self._rate = 0.0

    # -- saying ------------------------------------------------------------------------

    def say(self, type: str, **content: Any) -> None:
        """Send a message."""
        self._write(protocol.TEXT, protocol.said(type, **content))

    def tell(self, type: str, arrays: Mapping[str, Array], **content: Any) -> None:
        """Send a message with arrays."""
        self._write(protocol.BINARY, protocol.packed(type, arrays, **content))

    def _write(self, kind: int, payload: bytes) -> None:
        try:
            self._out.write(protocol.framed(kind, payload))
            self._out.flush()
        except (OSError, ValueError):  # the server is gone: what is trained is kept
            self.ending = True

    def report(self) -> None:
        """Say where the run stands."""
        assert self.view is not None
        now, then = time.perf_counter(), self._speed
        if now - then[0] >= 0.5:
            self._rate = max(0, self.view.step - then[1]) / (now - then[0])
            self._speed = now, self.view.step
        self.say(
            "status",
            **standing(self.view),
            stage=self.stage,
            rate=self._rate if self.stage is Stage.TRAINING else 0.0,
            error=self.error,
        )
        self._reported = now

    # -- the run -----------------------------------------------------------------------

    def begin(self, message: Mapping[str, Any]) -> None:
        """Build the network that a page asks for, and show it.

        A network that was opened without data is shown as it is: there is no run yet.

        Raises:
            ChainruleError: it cannot be built.
        """
        folder, out = Path(message["folder"]), Path(message["out"])
        own = Own.of(message.get("own"))
        target = Target.of(message.get("open") or "")
        if target is not None:
            own = Own.of_model(message["open"])
            origin = self._opened(target, folder, own)
            if origin is None:
                self.ending = True
                return
            self.session = origin.begun(out)
        elif message.get("open"):
            self.session = opened(message["open"], out)
            own = Own.by(self.session.origin)
        elif message.get("restore") and not of_file(message["run"]):
            self.session = Session.restore(out)
        else:
            origin = origin_said(message["run"], folder, own)
            if not isinstance(origin, FromFile):
                self.session = Session.begin(origin, out)
            elif message.get("restore"):
                self.session = origin.restored(out)
            else:
                self.session = origin.begun(out)
        if self.session.begun:
            self.stage = Stage.PAUSED
            trained = self.session.trainer
            if trained.plan is not None and trained.plan.end <= trained.epoch:
                self.stage = Stage.FINISHED
        edits_of(self.session.trainer)  # or a checkpoint says what no lab has noted
        self.view = View(self.session, self.tell)
        self.say(
            "built",
            run=said_by(self.session.origin) or message.get("run"),
            own=None if own is None else own.to_dict(),
            name=self.session.origin.name,
            text=getattr(self.session.origin, "text", ""),
            **described(self.view),
        )
        if self.view.answers.flat:
            self.tell("data", samples(self.session.parts))
        self.view.show(all_of_it=True)
        self.report()
        if message.get("restore"):  # who asked for it asked to train further
            self.stage = Stage.TRAINING

    def _opened(self, target: Target, folder: Path, own: Own) -> FromFile | None:
        """Show the network of a file; return what a run of its own data begins with."""
        origin = origin_said(target.proposed(), folder, own)
        assert isinstance(origin, FromFile)
        found = origin.opened
        self.say(
            "opened",
            own=own.to_dict(),
            modules=modules_of(found.model),
            **found.picture(),
            **found.described(),
        )
        return origin if found.parts is not None else None

    def run(self) -> None:
        """Do what is asked until the input ends; save what was trained."""
        try:
            while not self.ending:
                if self.stage is Stage.TRAINING or self._steps_left():
                    self._train()
                else:
                    self._wait()
        finally:
            self.save()

    def _train(self) -> None:
        """Train until the run is over, or fails."""
        session = self.session
        assert session is not None
        assert self.view is not None
        trainer, origin = session.trainer, session.origin
        common: dict[str, Any] = {
            "validation": getattr(session.parts, origin.validation_part),
            "callbacks": [*origin.callbacks(session.directory), Watch(self)],
            "progress": False,
        }
        options = origin.fit_options(session.parts.train)
        self._paced = 0  # a new loop has its own pace
        try:
            if trainer.plan is None:
                options["validation_name"] = origin.validation_part
                trainer.fit(session.parts.train, **options, **common)
            elif trainer.plan.end > trainer.epoch:
                trainer.resume(session.parts.train, **common)
            else:
                end = trainer.plan.end + options["epochs"]
                trainer.resume(session.parts.train, epochs=end, **common)
            if not self.ending:
                self.stage = Stage.FINISHED
        except KeyboardInterrupt:
            self.ending = True
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of a forward
            if not isinstance(error, ChainruleError):
                traceback.print_exc()
            self.stage, self.error = Stage.FAILED, protocol.error_of(error)
        self._until = 0
        self._rest()

    def _steps_left(self) -> int:
        return 0 if self.view is None else max(0, self._until - self.view.step)

    def between_chunks(self) -> None:
        """Hear what is asked, show what has changed; wait while the run is paused."""
        assert self.view is not None
        while True:
            with contextlib.suppress(queue.Empty):
                self.answer(self.inbox.get_nowait())
                continue
            break
        if self.stage is Stage.TRAINING and not self.ending:
            self.view.show()
            if time.perf_counter() - self._reported >= REPORT:
                self.report()
            if time.monotonic() - self._saved_at > SAVE:
                self.save()
        elif not self._steps_left() and not self.ending:
            self._rest()
            while not (
                self.stage is Stage.TRAINING or self._steps_left() or self.ending
            ):
                self._wait()
        trainer = self.view.trainer
        if self.ending:
            trainer.stop()
        elif (steps := self._steps_left() or None) != self._paced or steps:
            trainer.pace(steps=steps, seconds=CHUNK)
            self._paced = steps

    def _rest(self) -> None:
        """Show all there is, and keep it."""
        assert self.view is not None
        self.view.show(all_of_it=True)
        self.report()
        self.save()

    def _wait(self) -> None:
        self.answer(self.inbox.get())

    def save(self) -> None:
        """Write the checkpoint, where something was trained since the last one."""
        session = self.session
        self._saved_at = time.monotonic()
        if session is None or session.trainer.optimizer.steps in (0, self._saved_step):
            return
        try:
            session.directory.mkdir(parents=True, exist_ok=True)
            session.trainer.save(session.directory / CHECKPOINT)
            text = getattr(session.origin, "text", None)
            if text is not None:
                text = told(session.trainer) + text
                atomic_files.replace(
                    session.directory / "run.toml", text.encode(), _("run file")
                )
        except (ChainruleError, OSError) as error:
            self.say("refused", id=None, error=protocol.error_of(error))
            return
        self._saved_step = session.trainer.optimizer.steps
        path = str(session.directory / CHECKPOINT)
        self.say("saved", path=path, step=self._saved_step)

    def changed(self) -> None:
        """Tell what the run is now, after a change between two steps; keep it."""
        origin = self.begun().session.origin
        self._saved_step = -1  # what was saved is another run
        self.say("changed", run=said_by(origin), text=getattr(origin, "text", ""))
        if self.stage is not Stage.TRAINING:
            self.save()
        self.report()

    # -- answers -----------------------------------------------------------------------

    def answer(self, message: Mapping[str, Any] | None) -> None:
        """Do what a message asks; what cannot be done is said to its page."""
        if message is None:
            self.ending = True
            return
        id = message.get("id")
        try:
            ANSWERS[message["type"]](self, message)
        except ChainruleError as error:
            self.say("refused", id=id, error=protocol.error_of(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - shown
            traceback.print_exc()
            self.say("refused", id=id, error=protocol.error_of(error))

    def begun(self) -> View:
        """Return the views of the run; refuse where there is none."""
        if self.view is None:
            raise ArgumentError(_("There is no network yet."), fix=_("build one"))
        return self.view

    def go(self, message: Mapping[str, Any]) -> None:
        """Train, pause, or make some steps."""
        view, asked = self.begun(), message["type"]
        self.stage = after(self.stage, asked)
        self._until = view.step + message["steps"] if asked == "step" else 0
        if asked in ("train", "step", "again"):
            self._speed, self.error = (time.perf_counter(), view.step), None
        if view.looking is not None and asked != "pause":
            view.looking = None
            view.show(all_of_it=True)
        self.report()


ANSWERS: dict[str, Callable[[Worker, Mapping[str, Any]], None]] = {
    **dict.fromkeys(("train", "pause", "step", "again"), Worker.go),
    "rate": rate,
    "weight": weight,
    **answers.ANSWERS,
}


def main() -> None:
    """Run the process: the first message says what is built."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what prints does not disturb the messages
    inbox: queue.Queue[Any] = queue.Queue()
    worker = Worker(inbox, out)

    # Without a buffer, whose lock the thread would hold when Python ends. What reads
    # from the terminal, as a file of one's own may, finds nothing, and no message.
    pipe = open(os.dup(0), "rb", buffering=0, closefd=False)  # noqa: SIM115
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def read() -> None:
        while (message := protocol.read_framed(pipe)) is not None:
            inbox.put(protocol.head_of(*message))
        inbox.put(None)

    threading.Thread(target=read, daemon=True).start()

    def copied() -> None:  # a process that a file of one's own has forked says nothing
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), out.fileno())
        worker.inbox = queue.Queue()
        worker.inbox.put(None)

    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=copied)

    def warned(message: Any, category: Any, *rest: Any, **more: Any) -> None:
        if issubclass(category, ChainruleWarning):
            worker.say("warned", warning=protocol.error_of(message))

    warnings.simplefilter("always", ChainruleWarning)
    warnings.showwarning = warned
    first = inbox.get()
    if first is None:
        return
    if first["type"] == "explore":
        while first is not None:
            worker.answer(first)
            first = inbox.get()
        return
    builds = first["type"] == "begin"
    try:
        if not builds:
            from chainrule.lab import errands  # and the doctor

            type, answer = errands.ERRANDS[first["type"]](first)
            worker.say(type, id=first["id"], **answer)
            return
        worker.begin(first)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001
        refused = "unbuilt" if builds else "refused"
        if isinstance(error, ChainruleError):
            said = protocol.problems_of(error)
        else:
            traceback.print_exc()
            said = protocol.error_of(error)
        worker.say(refused, id=first.get("id"), error=said)
        return
    worker.run()


if __name__ == "__main__":
    main()
