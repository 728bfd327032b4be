"""Answers of a network and each of its units: over a plane, and to samples.

Functions of the weights and of rows, compiled once: the weights may be those of now or
of the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.compilation.modes import mode
from chainrule.data import Dataset
from chainrule.data.column import Column
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.lab.characters import characters_of
from chainrule.nn import (
    BasisExpansion,
    Linear,
    Module,
    Sequential,
    output_semantics,
)
from chainrule.nn.stateless import replaced
from chainrule.nn.traced import called, outputs_of
from chainrule.tensor import Tensor, tensor
from chainrule.training import Trainer
from chainrule.training.feeding import fed

#: Points of a map along each axis, and how far it reaches beyond the data.
GRID, MARGIN = 48, 0.15
#: Units of a layer, and layers, that a page draws one by one.
UNITS, LAYERS = 16, 8
#: Samples of a confusion matrix, and of one call.
SAMPLES, BATCH = 5000, 1000
#: What an answer means, the first that a network has.
_MEANINGS = ("probabilities", "values", "output", "logits")
#: The byte of a map that stands for 0; 1 and 255 are the largest number of a layer.
ZERO = 128


@dataclass(frozen=True)
class Layer:
    """A layer of a chain of dense layers, as the page draws it.

    Attributes:
        module: the path of the linear layer.
        output: the path of what gives the layer's answer, its activation.
        units: how many.
        kind: the classes behind the linear layer; its own where there is none.
    """

    module: str
    output: str
    units: int
    kind: str


def dense_layers(model: Module) -> list[Layer]:
    """Return the layers of a chain of small dense layers; none of other networks."""
    if not isinstance(model, Sequential):
        return []
    layers: list[Layer] = []
    for path, module in model.named_children():
        if any(True for __ in module.children()):
            return []
        if isinstance(module, Linear):
            layers.append(Layer(path, path, module.out_features, type(module).__name__))
        elif any(True for __ in module.parameters()) and not layers:
            return []
        elif layers:
            last, kind = layers[-1], type(module).__name__
            kind = kind if last.output == last.module else f"{last.kind}, {kind}"
            layers[-1] = replace(last, output=path, kind=kind)
    return layers if len(layers) <= LAYERS else []


def expansion(model: Module) -> tuple[str, BasisExpansion] | None:
    """Return the expansion of the features right before the first dense layer."""
    before: tuple[str, Module] | None = None
    for path, module in model.named_children():
        if isinstance(module, Linear):
            break
        before = path, module
    if before is None or not isinstance(before[1], BasisExpansion):
        return None
    return before[0], before[1]


def weights_of(model: Module) -> dict[str, Array]:
    """Return copies of a model's parameters and buffers by name."""
    return {name: tensor.numpy().copy() for name, tensor in model.named_tensors()}


class Answers:
    """The answers of a network to rows, by weights.

    Args:
        trainer: of the network.
        train: its training data, whose range a map has.

    Attributes:
        layers: that are drawn unit by unit.
        inputs: the functions of the two features that the first of them reads, and
            the path of what gives them; None: the features themselves.
        cut: of a network with one output for two classes: the answer above which it
            decides for the second one; known when it has answered once.
    """

    def __init__(self, trainer: Trainer, train: Dataset) -> None:
        self.model, self.loss, self.cut = trainer.model, trainer.loss, 0.5
        self.names = [name for name, __ in self.model.named_tensors()]
        self.layers = dense_layers(self.model)
        x: Any = train.x
        self.flat = tuple(x.shape[1:]) == (2,)
        #: Whether it answers at each place of a text: (N, T, characters).
        self.places = characters_of(train) is not None
        self.range = _range(x[:]) if self.flat else None
        self._plane = _plane(self.range) if self.range is not None else None
        if self.layers and not self._as_wide_as_told(train):
            self.layers = []
        found = expansion(self.model) if self.layers and self.flat else None
        self.inputs = found if found and len(found[1].terms) <= UNITS else None
        engine: Any = trainer.engine
        # Arrays go into what takes tensors while it is traced.
        self._inside: Any = cr.compile(self._trace_inside, engine=engine, threads=1)
        self._output: Any = cr.compile(self._trace_output, engine=engine, threads=1)

    def _as_wide_as_told(self, train: Dataset) -> bool:
        """Return whether each layer answers with its units: GLU has half of them."""
        row = tensor(np.asarray(self.rows(train, slice(0, 1))))
        with (
            no_grad(),
            np.errstate(all="ignore"),
            mode(self.model, training=False),
            outputs_of(self.model) as captures,
        ):
            called(self.model, row)
        heard = {c.path: c.output.shape for c in captures}
        return all(heard.get(k.output) == (1, k.units) for k in self.layers)

    # -- traced ------------------------------------------------------------------------

    def _trace_inside(self, rows: Tensor, *weights: Tensor) -> list[Tensor]:
        with (
            replaced(self.model, dict(zip(self.names, weights))),
            mode(self.model, training=False),
        ):
            with outputs_of(self.model) as captures:
                output = self.model(rows)
            heard = {c.path: c.output for c in captures}
            units = [heard[layer.output] for layer in self.layers if _small(layer)]
            if self.inputs is not None:
                units.append(heard[self.inputs[0]])
            return [self._meaning(output), *units]

    def _trace_output(self, rows: Tensor, *weights: Tensor) -> Tensor:
        with (
            replaced(self.model, dict(zip(self.names, weights))),
            mode(self.model, training=False),
        ):
            return self._meaning(self.model(rows))

    def _meaning(self, output: Tensor) -> Tensor:
        meanings = output_semantics.meanings(output, self.model, self.loss)
        kind = next(k for k in _MEANINGS if k in meanings)
        self.cut = 0.5 if kind == "probabilities" else 0.0
        return meanings[kind].transpose(1, 2) if self.places else meanings[kind]

    # -- asked -------------------------------------------------------------------------

    def over_plane(self, weights: Mapping[str, Array]) -> dict[str, Array]:
        """Return the answers over the plane of two features, as bytes.

        ``output`` of shape (outputs, GRID, GRID), ``layer0`` … of drawn layers, and
        ``inputs``, the functions of the features that they read, where there are some;
        each with ``scale``, what the largest byte stands for. Rows go up.
        """
        assert self._plane is not None
        output, *units = self._inside(self._plane, *self._given(weights))
        names = [f"layer{i}" for i, layer in enumerate(self.layers) if _small(layer)]
        arrays: dict[str, Array] = {}
        scales: list[float] = []
        for name, answer in zip(("output", *names, "inputs"), (output, *units)):
            numbers = answer.numpy()
            scale = float(np.abs(numbers).max(initial=0)) or 1.0
            if not np.isfinite(scale):
                scale = 1.0
            scaled = np.nan_to_num(numbers * (127 / scale), posinf=127, neginf=-127)
            bytes_ = (scaled.clip(-127, 127) + ZERO).astype(np.uint8)
            arrays[name] = bytes_.T.reshape(-1, GRID, GRID)
            scales.append(scale)
        arrays["scale"] = np.array(scales, np.float32)
        return arrays

    def to(self, rows: Array, weights: Mapping[str, Array]) -> Array:
        """Return the network's answers to rows: probabilities, or values."""
        given = self._given(weights)
        parts = [
            self._output(rows[i : i + BATCH], *given).numpy()
            for i in range(0, len(rows), BATCH)
        ]
        return np.concatenate(parts)

    def decided(self, part: Dataset, weights: Mapping[str, Array]) -> Array:
        """Return the classes that a network decides for, of at most SAMPLES rows."""
        rows = self.rows(part, slice(0, min(len(part), SAMPLES)))
        answers = self.to(rows, weights)
        if answers.ndim == 2 and answers.shape[1] > 1:
            return answers.argmax(1)
        return (answers.reshape(-1) > self.cut).astype(np.int64)

    def rows(self, part: Dataset, chosen: Any) -> Array:
        """Return some rows of a data set as the network takes them."""
        x: Any = part.x
        return fed(self.model, x.part(chosen)) if isinstance(x, Column) else x[chosen]

    def _given(self, weights: Mapping[str, Array]) -> list[Array]:
        return [weights[name] for name in self.names]


def confusion(truths: Array, decided: Array, classes: int) -> Array:
    """Return how often each class was decided for samples of each class.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    places = truths.astype(np.int64) * classes + decided
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes)


def _small(layer: Layer) -> bool:
    return layer.units <= UNITS


def _range(x: Array) -> list[float]:
    """Return the square around the data: left, right, bottom, top."""
    low, high = x.min(0), x.max(0)
    middle, half = (low + high) / 2, float((high - low).max()) / 2 or 1.0
    half *= 1 + MARGIN
    return [
        float(middle[0] - half),
        float(middle[0] + half),
        float(middle[1] - half),
        float(middle[1] + half),
    ]


def _plane(range: list[float]) -> Array:
    left, right, bottom, top = range
    across = np.linspace(left, right, GRID)
    up = np.linspace(bottom, top, GRID)
    x, y = np.meshgrid(across, up)
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
