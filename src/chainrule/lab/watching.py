"""Views of a run for the page: curves, maps, confusion, and weights of the past.

All of it together takes a small share of the work of training: after a picture that
took long the next one waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.data.text import texts_of
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.lab.changing import edits_of, rate_refused
from chainrule.lab.characters import characters_of
from chainrule.lab.curves import Curve, table
from chainrule.lab.maps import SAMPLES, UNITS, ZERO, Answers, confusion, weights_of
from chainrule.lab.models import check_inputs
from chainrule.lab.points import Points, Weights
from chainrule.nn import output_semantics
from chainrule.runs.session import Session
from chainrule.runs.source import Parts
from chainrule.text import _, ngettext

#: The share of CPU time that pictures may take, and how many are made a second at most.
SHARE, RATE = 0.02, 60.0
#: Seconds between two confusion matrices, at least.
PAUSE = 1.0

#: Sends a message: type, arrays, content.
Tell = Callable[..., None]


class Budget:
    """When the next picture may be made, so that all take a share of the work.

    The work is CPU time: on a busy machine a short picture waits for no other program,
    and training does.

    Args:
        share: of the CPU time.
        least: seconds between two of them, at least.
    """

    def __init__(self, share: float = SHARE, least: float = 1 / RATE) -> None:
        self.share, self.least = share, least
        self._work = self._clock = 0.0

    def due(self) -> bool:
        """Return whether a picture may be made now."""
        # The wall clock first: a look at the CPU's takes a call of the system.
        return time.perf_counter() >= self._clock and time.process_time() >= self._work

    def spent(self, begun: float) -> None:
        """Note a picture that was begun at a time of the process's CPU clock."""
        now = time.process_time()
        self._work = now + (now - begun) / self.share
        self._clock = time.perf_counter() + self.least


class View:
    """The views of a session that its pages get.

    Args:
        session: the run.
        tell: sends a message.
    """

    def __init__(self, session: Session, tell: Tell) -> None:
        self.session, self.trainer, self._tell = session, session.trainer, tell
        check_inputs(session.parts.train)
        self.answers = Answers(session.trainer, session.parts.train)
        self.points, self.curve = Points(), Curve()
        x: Any = session.parts.train.x
        self.shape = [*map(int, x.shape[1:])]
        self.texts = texts_of(session.parts.train)
        self.characters = characters_of(session.parts.train)
        reads = self.texts is not None or self.characters is not None
        self.image = None if reads else _image(self.shape)
        #: The step of the past that is looked at; None: now.
        self.looking: int | None = None
        self._seen = 0
        self._looked = 0.0
        self._maps, self._curves = Budget(), Budget(0.01, 0.25)
        self._confused = Budget(0.01, PAUSE)

    @property
    def step(self) -> int:
        """The updates that the run has made."""
        return self.trainer.optimizer.steps

    @property
    def part(self) -> tuple[str, Dataset]:
        """The part of the data that is shown: validation, else test, else training."""
        parts = self.session.parts
        for name in ("validation", "test"):
            part = getattr(parts, name)
            if part is not None and len(part):
                return name, part
        return "train", parts.train

    def note(self) -> None:
        """Keep the weights, where they are a point of the run."""
        self.points.offer(self.step, lambda: weights_of(self.trainer.model))

    def weights(self) -> tuple[int, Weights]:
        """Return the step that is looked at, and its weights."""
        if self.looking is None:
            return self.step, weights_of(self.trainer.model)
        return self.points.at(self.looking)

    # -- pictures ----------------------------------------------------------------------

    def show(self, *, all_of_it: bool = False) -> None:
        """Send what has changed, as far as the time allows; or all of it."""
        now = time.perf_counter()
        if now < self._looked + 1 / RATE and not all_of_it:
            return
        self._looked = now
        self.note()
        if all_of_it or self._curves.due():
            begun = time.process_time()
            self.show_curves()
            self._curves.spent(begun)
        if self.looking is not None and not all_of_it:
            return  # the past stays as it is
        if all_of_it or self._maps.due():
            begun = time.process_time()
            self.show_maps()
            self._maps.spent(begun)
        if all_of_it or self._confused.due():
            begun = time.process_time()
            self.show_confusion()
            self._confused.spent(begun)

    def show_curves(self) -> None:
        """Send the losses of all steps, and the scores of all epochs."""
        history, trainer = self.trainer.history, self.trainer
        if len(history) < self._seen:  # steps that were undone
            self.curve, self._seen = Curve(), 0
        if len(history) > self._seen:
            self.curve.extend(history.since(self._seen)["loss"])
            self._seen = len(history)
        plan = trainer.plan
        each = 0 if plan is None else plan.updates_per_epoch or 0
        updates = [each * row["epoch"] for row in history.epochs]
        arrays = {"steps": self.curve.steps(), "loss": self.curve.numbers()}
        rows = table(history.epochs, updates)
        arrays |= {f"epoch_{name}": column for name, column in rows.items()}
        self._tell("curves", arrays, width=self.curve.width, points=self.points.steps())

    def show_maps(self) -> None:
        """Send what each unit answers over the plane, and the weights between them."""
        step, weights = self.weights()
        arrays = self._weights_of_layers(weights)
        if self.answers.flat:
            arrays |= self.answers.over_plane(weights)
        if arrays:
            self._tell("maps", arrays, step=step, past=self.looking is not None)

    def _weights_of_layers(self, weights: Weights) -> dict[str, Array]:
        """Return W and b of the layers that are drawn unit by unit.

        ``pictures`` are the weights of units that read a picture, as bytes, from the
        bottom row up.
        """
        arrays: dict[str, Array] = {}
        first = self.answers.layers[0] if self.answers.layers else None
        if first is not None and self.image is not None:
            rows = weights[f"{first.module}.weight"][:UNITS]
            if rows.shape[1] == math.prod(self.image):
                pictures = rows.reshape(-1, *self.image)[:, ::-1]
                most = np.abs(pictures).max(axis=(1, 2), keepdims=True)
                share = np.nan_to_num(pictures / np.where(most > 0, most, 1))
                arrays["pictures"] = (share.clip(-1, 1) * 127 + ZERO).astype(np.uint8)
        for k, layer in enumerate(self.answers.layers):
            for name in ("weight", "bias"):
                array = weights.get(f"{layer.module}.{name}")
                if array is not None:
                    part = array[:UNITS, :UNITS] if array.ndim == 2 else array[:UNITS]
                    arrays[f"{name}{k}"] = np.asarray(part, np.float32)
        return arrays

    def show_confusion(self) -> None:
        """Send how often each class was taken for each, where there are classes."""
        found = self.confused()
        if found is None:
            return
        name, matrix, rows = found
        step = self.step if self.looking is None else self.points.at(self.looking)[0]
        self._tell("confusion", {"matrix": matrix}, step=step, part=name, rows=rows)

    def classes(self) -> int | None:
        """Return how many classes the data have; None for quantities."""
        train = self.session.parts.train
        if train.classes is not None:
            return train.classes
        binary = output_semantics.threshold(self.trainer.loss) is not None
        return 2 if binary and train.class_names is not None else None

    def truths(self, part: Dataset) -> Array:
        """Return the class of each sample that a confusion matrix counts."""
        y = np.asarray(part.y[: min(len(part), SAMPLES)])
        if part.classes is not None:
            return y.astype(np.int64)
        return (y.reshape(-1) > 0.5).astype(np.int64)

    def decisions(self) -> tuple[str, Array, Array, int] | None:
        """Return the part of the data, its classes, those decided for, and how many."""
        classes = self.classes()
        if classes is None or classes > 100:
            return None
        name, part = self.part
        decided = self.answers.decided(part, self.weights()[1])
        return name, self.truths(part), decided, classes

    def confused(self) -> tuple[str, Array, int] | None:
        """Return the part of the data, its confusion matrix, and its rows."""
        found = self.decisions()
        if found is None:
            return None
        name, truths, decided, classes = found
        matrix = confusion(truths, decided, classes).astype(np.uint32)
        return name, matrix, len(truths)

    def in_cell(self, truth: int, decided: int) -> dict[str, Any]:
        """Return the first samples of one class that were taken for another.

        Raises:
            ArgumentError: there are no classes.
        """
        if self.classes() is None:
            raise ArgumentError(_("The data have no classes."))
        name, part = self.part
        answers = self.answers.decided(part, self.weights()[1])
        return cell(name, self.truths(part), answers, truth, decided)


def cell(
    part: str,
    truths: Array,
    decisions: Array,
    truth: int,
    decided: int,
    most: int = 24,
) -> dict[str, Any]:
    """Return the first samples of a cell of a confusion matrix, and how many it has."""
    rows = np.flatnonzero((truths == truth) & (decisions == decided))
    return {"part": part, "rows": rows[:most].tolist(), "count": len(rows)}


def _rate(view: View) -> float | None:
    """Return the rate of the next step; None where a schedule waits for the run."""
    try:
        return view.trainer.optimizer.lr
    except ArgumentError:
        return None


def standing(view: View) -> dict[str, Any]:
    """Return where a run stands: its step and epoch, and its last numbers."""
    trainer, plan = view.trainer, view.trainer.plan
    rows = trainer.history.epochs
    return {
        "step": view.step,
        "epoch": trainer.epoch,
        "epochs": None if plan is None else plan.end,
        "looking": view.looking,
        "lr": _rate(view),
        "edits": len(edits_of(trainer)),
        "lr_fixed": rate_refused(view.session) is not None,
        "last": {k: v for k, v in rows[-1].items() if isinstance(v, int | float)}
        if rows
        else None,
        "recent": trainer.history.recent() if len(trainer.history) else None,
    }


def described(view: View) -> dict[str, Any]:
    """Return what a page has to know of a network and its data, as JSON."""
    session, answers = view.session, view.answers
    parts, model = session.parts, session.trainer.model
    train = parts.train
    if view.shape:
        answers.to(
            answers.rows(train, slice(0, 1)), view.weights()[1]
        )  # so that it knows what they mean
    return {
        "layers": [asdict(layer) for layer in answers.layers],
        "inputs": None if answers.inputs is None else [*answers.inputs[1].terms],
        "modules": modules_of(model),
        "parameters": sum(
            int(np.prod(p.shape)) for p in model.parameters() if p.requires_grad
        ),
        "sizes": parts.sizes(),
        "shape": view.shape,
        "image": view.image,
        "texts": None
        if view.texts is None
        else {"units": view.texts.units, "length": view.texts.length},
        "characters": None
        if view.characters is None
        else {
            "length": view.characters.length,
            "start": bool(view.characters.start),
        },
        "classes": view.classes(),
        "class_names": None if train.class_names is None else [*train.class_names],
        "features": None if train.feature_names is None else [*train.feature_names],
        "cut": answers.cut,
        "flat": answers.flat,
        "range": answers.range,
        "part": view.part[0],
        "engine": session.trainer.engine,
        "loss": repr(session.trainer.loss),
        "optimizer": repr(session.trainer.optimizer),
    }


def modules_of(model: Any) -> list[dict[str, Any]]:
    """Return the modules of a network as a page shows them, as JSON.

    They are the innermost ones, and those around them that have parameters of their
    own. The parameters of all are those of the network.
    """
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        path = name.rpartition(".")[0]
        counts[path] = counts.get(path, 0) + int(np.prod(parameter.shape))
    return [
        {
            "path": path,
            "text": repr(module).partition("\n")[0].removesuffix("("),
            "parameters": counts.get(path, 0),
        }
        for path, module in model.named_modules()
        if path in counts or (path and not any(True for __ in module.children()))
    ]


def _image(shape: list[int]) -> list[int] | None:
    """Return the height and width of samples that are grey pictures, or None."""
    if len(shape) == 1:
        side = round(shape[0] ** 0.5)
        return [side, side] if side * side == shape[0] and side >= 8 else None
    if len(shape) == 3 and shape[0] == 1:
        return shape[1:]
    return list(shape) if len(shape) == 2 else None


def samples(parts: Parts, most: int = 2000) -> dict[str, Array]:
    """Return the points of a plane with their truths, for drawing.

    ``x`` and ``y`` are of the training data, ``x_other`` and ``y_other`` of the others.
    """
    others = [_points(p, most) for p in (parts.validation, parts.test) if p is not None]
    x, y = _points(parts.train, most)
    found = {"x": x, "y": y}
    if others:
        found["x_other"] = np.concatenate([points for points, __ in others])
        found["y_other"] = np.concatenate([truths for __, truths in others])
    return found


def _points(part: Dataset, most: int) -> tuple[Array, Array]:
    x: Any = part.x[: min(len(part), most)]
    y = np.asarray(part.y[: len(x)]).reshape(len(x), -1)[:, 0]
    return np.asarray(x, np.float32), y.astype(np.float32)


def read(view: View, pixels: Sequence[int]) -> dict[str, Any]:
    """Return what a network answers to a picture in bytes.

    Raises:
        ArgumentError: its samples are no pictures, or of another size.
    """
    x: Any = view.session.parts.train.x
    shape, image = view.shape, view.image
    if image is None or math.prod(image) != len(pixels):
        raise ArgumentError(
            _("This network does not read such a picture."),
            expected=_("a network whose samples are grey pictures"),
            got=ngettext(
                "{n} pixel for samples of shape {shape}",
                "{n} pixels for samples of shape {shape}",
                n=len(pixels),
                shape=shape,
            ),
        )
    scale = 1 / 255 if x.scale is None else x.scale
    row = (np.array(pixels, np.float32) * np.float32(scale)).reshape(1, *shape)
    answer = view.answers.to(row, view.weights()[1])[0]
    return {"answer": np.ravel(answer).tolist()}
