"""A run that is recorded, so that a page shows it without a server.

A recording holds the messages that a page of the lab would get: of the moments of a run
the pictures, and answers to the questions that a page asks at them. It trains what it
records from the start, as the same run file always does.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ChainruleError, NonFiniteError
from chainrule.graph.node import Array
from chainrule.lab import protocol, sharing
from chainrule.lab.archive import Archive, Message
from chainrule.lab.maps import weights_of
from chainrule.lab.settings import said_by
from chainrule.lab.state import Stage
from chainrule.lab.steps import Shown, label_of
from chainrule.lab.texts import texts
from chainrule.lab.watching import View, cell, described, samples, standing
from chainrule.runs.session import Origin, Session
from chainrule.text import _
from chainrule.text.catalogue import current
from chainrule.text.languages import LANGUAGES, language
from chainrule.training import Callback, Trainer
from chainrule.version import __version__

#: Moments of a run, and every which of them has samples that are explained.
MOMENTS, EVERY = 40, 6
#: Samples of a part that are explained, and cells of the last confusion matrix of
#: which one is.
ROWS, CELLS = 3, 8
#: Numbers of a sample whose paths are recorded, those of small arrays first.
PATHS = 128
#: Bytes of a recording, compressed.
LARGEST = 4 << 20
#: The files that a recording offers.
FILES = ("toml", "python", "svg")


@dataclass(frozen=True)
class Recording:
    """A recorded run.

    Attributes:
        content: of the recording, for its page; see :mod:`.archive`.
        steps: at which its moments are.
        samples: how many explained samples it holds, of all moments.
        left_out: how many found no room.
        same: whether it ended at the weights of the run that it repeats; None: it
            repeats none.
    """

    content: bytes
    steps: list[int]
    samples: int
    left_out: int
    same: bool | None


@dataclass
class _Moment:
    """A moment of a run: where it stands, its pictures, and answers at it."""

    status: dict[str, Any]
    pictures: dict[str, Message]
    cells: dict[str, Message]
    #: Of each explained sample: the answers without its paths, and those.
    samples: dict[tuple[str, int], tuple[dict[str, Message], dict[str, Message]]]

    @property
    def step(self) -> int:
        return self.status["step"]


def record(
    origin: Origin, most: int = LARGEST, trained: Trainer | None = None
) -> Recording:
    """Train a run from its start, and return it recorded.

    Args:
        origin: a run file, or a recipe that trains one network.
        trained: of the run that is repeated, up to its step; None: a new one.
        most: bytes of the recording; what finds no room is left out, paths and samples
            of the moments between first.

    Raises:
        ChainruleError: a run that cannot be built, or whose data alone are too large.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = Session.begin(origin, Path(folder))
        recorder = Recorder(session, trained)
        recorder.run()
        return recorder.recorded(most)


class Recorder(Callback):
    """The callback that records a run.

    Args:
        session: the run, which has not begun.
        trained: of the run that it repeats.
    """

    everywhere = False

    def __init__(self, session: Session, trained: Trainer | None = None) -> None:
        self.session, self._trained = session, trained
        self._heard: dict[str, Message] = {}
        self.view = View(session, self._tell)
        self._built = self._said_of_network()
        self._start = self._heard_of_data()
        self.moments: list[_Moment] = []
        self._next, self._ratio = 0, 1.25
        self._error: dict[str, Any] | None = None

    def _tell(self, type: str, arrays: Mapping[str, Array], **content: Any) -> None:
        payload = protocol.packed(type, arrays, **content)
        self._heard[type] = protocol.BINARY, payload

    def _said_of_network(self) -> dict[str, Any]:
        origin = self.session.origin
        return {
            "run": said_by(origin),
            "own": None,
            "name": origin.name,
            "text": getattr(origin, "text", ""),
            **described(self.view),
        }

    def _heard_of_data(self) -> list[Message]:
        if self.view.answers.flat:
            self._tell("data", samples(self.session.parts))
        return [*self._heard.values()]

    # -- training ----------------------------------------------------------------------

    def run(self) -> None:
        """Train the run, and record its moments and its end."""
        session, origin = self.session, self.session.origin
        options = origin.fit_options(session.parts.train)
        if self._trained is not None and self._trained.plan is not None:
            options["epochs"] = self._trained.plan.end
        stage = Stage.FINISHED
        try:
            session.trainer.fit(
                session.parts.train,
                **options,
                validation=getattr(session.parts, origin.validation_part),
                validation_name=origin.validation_part,
                callbacks=[*origin.callbacks(session.directory), self],
                progress=False,
            )
        except NonFiniteError as error:
            stage, self._error = Stage.FAILED, protocol.error_of(error)
        if self.moments and self.moments[-1].step == self.view.step:
            del self.moments[-1]  # what comes after the last step counts too
        self._record(stage, last=True)

    def on_start(self, trainer: Any) -> None:
        plan = trainer.plan
        each = None if plan is None else plan.updates_per_epoch
        if plan is not None and each:
            # So that the moments reach to the end, closer at the beginning.
            self._ratio = max(1.01, float(each * plan.end) ** (1 / MOMENTS))
        self.on_chunk(trainer)

    def on_chunk(self, trainer: Any) -> None:
        step, end = self.view.step, self._end()
        if end is not None and step >= end:
            trainer.stop()
            return
        if step >= self._next:
            self._record(Stage.PAUSED)
            self._next = max(step + 1, round(step * self._ratio))
        coming = self._next if end is None else min(end, self._next)
        trainer.pace(steps=coming - step)

    def _end(self) -> int | None:
        """Return the step at which the run ends that is repeated."""
        return None if self._trained is None else self._trained.optimizer.steps

    def _same(self) -> bool | None:
        """Return whether the run has come to the weights of the one it repeats."""
        if self._trained is None:
            return None
        then, now = weights_of(self._trained.model), weights_of(self.view.trainer.model)
        return then.keys() == now.keys() and all(
            np.array_equal(then[name], now[name], equal_nan=True) for name in then
        )

    def _record(self, stage: Stage, *, last: bool = False) -> None:
        """Record the moment that the run is at."""
        view = self.view
        self._heard = {}
        view.show_maps()
        view.show_confusion()
        status = {**standing(view), "stage": stage, "rate": None, "error": self._error}
        moment = _Moment(status, self._heard, self._cells(), {})
        if last or len(self.moments) % EVERY == 0:
            for part, row in self._rows(last=last):
                moment.samples[part, row] = self._explained(part, row)
        self.moments.append(moment)

    # -- answers -----------------------------------------------------------------------

    def _cells(self) -> dict[str, Message]:
        """Return the samples of each cell of the confusion matrix, by question."""
        decisions = self.view.decisions()
        if decisions is None:
            return {}
        name, truths, decided, classes = decisions
        step, found = self.view.step, {}
        for t in range(classes):
            for d in range(classes):
                payload = protocol.said("rows", **cell(name, truths, decided, t, d))
                found[f"cell|{t}|{d}|{step}"] = protocol.TEXT, payload
        return found

    def _rows(self, *, last: bool) -> list[tuple[str, int]]:
        """Return the samples that are explained: of each class the first ones.

        At the end of a run also one of each cell of the confusion matrix, those first
        that are wrong.
        """
        found: dict[tuple[str, int], None] = {}
        decisions = self.view.decisions()
        for part in dict.fromkeys(("train", self.view.part[0])):
            data = getattr(self.session.parts, part)
            rows = range(min(ROWS, len(data)))
            if decisions is not None:
                __, firsts = np.unique(self.view.truths(data), return_index=True)
                rows = sorted(firsts.tolist())[:ROWS]
            found |= {(part, int(row)): None for row in rows}
        if last and decisions is not None:
            name, truths, decided, __ = decisions
            pairs, firsts = np.unique(
                np.stack([truths == decided, truths, decided], 1),
                axis=0,
                return_index=True,
            )
            del pairs  # sorted: wrong ones first
            found |= {(name, int(row)): None for row in firsts[:CELLS]}
        return [*found]

    def _explained(
        self, part: str, row: int
    ) -> tuple[dict[str, Message], dict[str, Message]]:
        """Return the step on a sample, and the paths of its numbers, by question."""
        step, data = self.view.step, getattr(self.session.parts, part)
        answers: dict[str, Message] = {}
        paths: dict[str, Message] = {}
        for lang in LANGUAGES:
            question = f"sample|{part}|{row}|{lang}|{step}"
            with language(lang):
                try:
                    shown = Shown(self.session.trainer, data, row)
                    content, arrays = shown.message()
                except ChainruleError as error:
                    payload = protocol.said("refused", error=protocol.error_of(error))
                    answers[question] = protocol.TEXT, payload
                    continue
                payload = protocol.packed(
                    "sampled",
                    arrays,
                    part=part,
                    rows=len(data),
                    label=label_of(data, row),
                    step=step,
                    **content,
                )
                answers[question] = protocol.BINARY, payload
                for name, index in _clickable(content, arrays):
                    place = ",".join(map(str, index))
                    question = f"element|{part}|{row}|{name}|{place}|{step}"
                    known = paths.get(f"{question}|{LANGUAGES[0]}")
                    if known is None or _words(known[1]):
                        known = protocol.TEXT, _path(shown, name, index)
                    paths[f"{question}|{lang}"] = known
        return answers, paths

    def _files(self) -> dict[str, dict[str, Message]]:
        """Return the network as files, as far as it can be said, by question."""
        found: dict[str, dict[str, Message]] = {}
        for what in FILES:
            answers: dict[str, Message] = {}
            for lang in LANGUAGES:
                try:
                    with language(lang):
                        name, kind, content = sharing.file(self.view, what, None)
                except ChainruleError:
                    break
                data = {"data": np.frombuffer(content, np.uint8)}
                payload = protocol.packed("file", data, name=name, kind=kind)
                answers[f"share|{what}|{lang}"] = protocol.BINARY, payload
            if answers:
                found[what] = answers
        return found

    # -- the whole ---------------------------------------------------------------------

    def recorded(self, most: int) -> Recording:
        """Return what was recorded, as far as there is room for it."""
        archive = Archive(most)
        self._heard = {}
        self.view.show_curves()
        start = archive.add([*self._start, self._heard["curves"]])
        if start is None:
            raise _too_large(most)
        answers: dict[str, list[int]] = {}
        found_room: dict[int, dict[str, Any]] = {}
        for moment in _by_worth(self.moments):
            refs = archive.add([*moment.pictures.values()])
            if refs is not None and archive.answer(answers, moment.cells):
                shown = {"status": moment.status, "messages": refs}
                found_room[moment.step] = shown
            elif not found_room:
                raise _too_large(most)  # a recording that does not show its end
        moments = [found_room[step] for step in sorted(found_room)]
        files = [
            what
            for what, said in self._files().items()
            if archive.answer(answers, said)
        ]
        known: dict[str, dict[int, list[int]]] = {}
        count = 0
        explained = [moment for moment in self.moments if moment.samples]
        for moment in _by_worth(explained):
            if moment.step not in found_room:
                continue
            found = [
                (part, row, paths)
                for (part, row), (said, paths) in moment.samples.items()
                if archive.answer(answers, said)
            ]
            count += len(found)
            for part, row, paths in found:
                known.setdefault(part, {}).setdefault(row, []).append(moment.step)
                archive.answer(answers, paths)
        left_out = sum(len(moment.samples) for moment in self.moments) - count
        steps = [moment["status"]["step"] for moment in moments]
        recorded = {"samples": known, "steps": steps, "files": files}
        index = {
            "hello": self._hello(recorded),
            "built": {**self._built, "recorded": recorded},
            "start": start,
            "moments": moments,
            "answers": answers,
            "refused": _refusals(),
        }
        content = archive.closed(index)
        return Recording(content, steps, count, left_out, self._same())

    def _hello(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "version": __version__,
            "texts": {name: texts(name) for name in LANGUAGES},
            "lang": current(),
            "uploads": [],
            "busy": True,
            "recorded": recorded,
        }


def _by_worth(moments: list[_Moment]) -> list[_Moment]:
    """Return moments: the last one, the first one, those between.

    Those between halve what is left, so that they are spread wherever room ends.
    """
    *others, last = moments
    order = sorted(range(len(others)), key=lambda i: -(i & -i) if i else -math.inf)
    return [last, *(others[i] for i in order)]


def _too_large(most: int) -> ArgumentError:
    return ArgumentError(
        _("This run is too large for a recording."),
        expected=_("at most {n:,} bytes of data, curves and pictures", n=most),
        got=_("more"),
    )


def _clickable(
    content: Mapping[str, Any], arrays: Mapping[str, Array]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the numbers of a sample whose paths are recorded, small arrays first."""
    shapes: dict[str, tuple[int, ...]] = {}
    for step in content["steps"]:
        whole = step.get("shape")
        if step.get("of") and arrays[step["numbers"]].shape == tuple(whole):
            shapes.setdefault(step["of"], tuple(whole))
    left = PATHS
    for name in sorted(shapes, key=lambda n: int(np.prod(shapes[n]))):
        left -= int(np.prod(shapes[name]))
        if left < 0:
            return
        for index in np.ndindex(*shapes[name]):
            yield name, index


def _path(shown: Shown, name: str, index: tuple[int, ...]) -> bytes:
    try:
        return protocol.said("path", **shown.path(name, [*index]))
    except ChainruleError as error:
        return protocol.said("refused", error=protocol.error_of(error))


def _words(path: bytes) -> bool:
    """Return whether there is anything in a path but names and numbers."""
    said = json.loads(path)
    return said["type"] != "path" or any(step["remark"] for step in said["steps"])


def _refusals() -> dict[str, Any]:
    """Return what a page says to questions that its recording does not answer."""
    fix = _("chainrule lab opens the run, and answers every question")
    what = {
        "sample": _("This sample is not in the recording."),
        "element": _("The path of this number is not in the recording."),
        "other": _("A recording does not answer this."),
    }
    return {
        name: {
            "what": protocol.by_language(text),
            "fix": protocol.by_language(fix),
        }
        for name, text in what.items()
    }
