"""The compiled programs of a Trainer: one for training, others as data ask for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.compiled import CompiledProgram, Traced
from chainrule.data import Column, Dataset
from chainrule.graph.node import Array
from chainrule.graph.types import ArrayType, as_dtype, resolve
from chainrule.nn.losses import check_labels
from chainrule.training.entries import Step, classes_of
from chainrule.training.plan import Data

#: Samples that evaluation and prediction take at a time.
EVALUATION_BATCH = 1000


@dataclass
class Prepared:
    """A program, and which data it takes.

    Attributes:
        program: with the entry ``predict``, and ``evaluate`` where there is a target.
        row: the shape of one row of features.
        target: the type of one row of targets; None for prediction alone.
        key: what else a training program was made for.
    """

    program: CompiledProgram
    row: tuple[int, ...]
    target: ArrayType | None
    key: Any = None


class Programs:
    """Programs over the state of one Trainer, traced and compiled when first needed.

    At most two are held: the one of the last run, and one for data of another shape.
    Tensors know which program has their newest numbers.

    Args:
        step: what to trace.
        engine: the engine's name.
        threads: for the engine.

    Attributes:
        seconds: spent on tracing and compiling so far.
    """

    def __init__(self, step: Step, engine: str, threads: int | None) -> None:
        self.step, self.engine, self.threads = step, engine, threads
        self.training: Prepared | None = None
        self.other: Prepared | None = None
        self._spent = 0.0

    @property
    def seconds(self) -> float:
        """Seconds spent on tracing and compiling so far."""
        held = [p for p in (self.training, self.other) if p is not None]
        return self._spent + sum(p.program.executable.seconds_compile for p in held)

    def fit_program(self, data: Data, validation: Dataset | None) -> CompiledProgram:
        """The program that trains on ``data``; data that cannot work are refused.

        Raises:
            ShapeError: rows that do not fit the model, named by its first layer.
            ArgumentError: labels outside the classes that the model scores.
        """
        row, target = data.x.shape[1:], _target(data.y)
        key = (data.x.shape, data.x.dtype, data.scale)
        known = self.training
        if known is None or (known.row, known.target, known.key) != (row, target, key):
            self._drop("training")
            self.training = known = self._prepare(row, data.y, data)
        _check(known.program.traced["predict"], data.y)
        if validation is not None:
            self._for(validation.x, validation.y)
        return known.program

    def evaluate(self, data: Dataset, size: int) -> dict[str, float]:
        """Loss and accuracy over ``data``."""
        prepared = self._for(data.x, data.y)
        loss, correct, counted = 0.0, 0.0, False
        for part, x in self._batches(data.x, size):
            out = prepared.program.run("evaluate", {"x": x, "y": data.y[part]})
            loss += float(out["loss"]) * len(x)
            counted = "correct" in out
            correct += float(out.get("correct", 0.0))
        measured = {"loss": loss / len(data)}
        return measured | ({"accuracy": correct / len(data)} if counted else {})

    def predict(self, x: Column, size: int) -> Array:
        """The model's output for each row."""
        prepared = self._for(x, None)
        made = [
            prepared.program.run("predict", {"x": rows})
            for _, rows in self._batches(x, size)
        ]
        if made:
            return np.concatenate(made)
        value = prepared.program.program.entries["predict"].graph.outputs[0]
        return np.zeros(resolve(value.shape, 0), value.dtype.numpy)

    def _batches(self, x: Column, size: int) -> Iterator[tuple[slice, Array]]:
        dtype = self.step.dtype.numpy
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            yield part, np.ascontiguousarray(x[part].astype(dtype, copy=False))

    def _for(self, x: Column, y: Array | None) -> Prepared:
        """A program that evaluates (with y) or predicts on rows like these."""
        row, target = x.shape[1:], None if y is None else _target(y)
        for known in (self.training, self.other):
            if known is not None and known.row == row:
                if y is None:
                    return known
                if known.target == target:
                    _check(known.program.traced["predict"], y)
                    return known
        self._drop("other")
        self.other = self._prepare(row, y)
        return self.other

    def _prepare(
        self, row: tuple[int, ...], y: Array | None, data: Data | None = None
    ) -> Prepared:
        started = time.perf_counter()
        traced: list[Traced] = [self.step.predict(row)]
        target = None if y is None else _target(y)
        if y is not None and target is not None:
            _check(traced[0], y)
            traced.append(self.step.evaluate(row, target))
        key = None
        if data is not None:
            traced.append(self.step.train(data.x, data.y, data.scale))
            key = (data.x.shape, data.x.dtype, data.scale)
        self._spent += time.perf_counter() - started
        program = CompiledProgram(traced, engine=self.engine, threads=self.threads)
        return Prepared(program, row, target, key)

    def _drop(self, name: str) -> None:
        """Let a program go, once its tensors have fetched their numbers."""
        held: Prepared | None = getattr(self, name)
        if held is not None:
            for t in held.program.tensors.values():
                t.numpy()
            self._spent += held.program.executable.seconds_compile
            setattr(self, name, None)


def _check(predict: Traced, y: Array) -> None:
    """Refuse labels outside the classes that the model scores."""
    classes = classes_of(predict.entry.graph.outputs[0].shape, _target(y))
    if classes is not None:
        check_labels(y, classes)


def _target(y: Array) -> ArrayType:
    return ArrayType(y.shape[1:], as_dtype(y.dtype))
