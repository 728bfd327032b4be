"""The section ``[model]`` of a run's file, and its layers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Len
from pydantic import Field, PlainValidator, model_validator

from chainrule import nn
from chainrule.nn.arguments import sizes_of
from chainrule.nn.losses.base import Reduction
from chainrule.nn.mixing import Mixture
from chainrule.runs.classes import ClassSection, Family, exported
from chainrule.runs.problems import Problem, SectionError, Where
from chainrule.runs.section import ClassName, Section, Words
from chainrule.runs.values import show
from chainrule.text import _

#: Layers that need numbers of the data: ``[model] standardize`` makes them.
SCALING = ("Standardize", "Unstandardize", "LogTarget", "QuantileTarget")
#: Layers that take or give several tensors, or are made of others: no link of a chain.
_SEVERAL = (
    *("Transformer", "TransformerDecoder", "TransformerDecoderLayer", "KVCache"),
    *("TransformerEncoder", "GRUCell", "LSTMCell", "RNNCell", "MultiheadAttention"),
)
_NO_LAYERS = ("Identity", "Module", "ModuleDict", "ModuleList", "Sequential")
_NO_LAYERS = (*_NO_LAYERS, "ParameterDict", "ParameterList")
_NO_LAYERS = (*_NO_LAYERS, *SCALING, *_SEVERAL)
#: Sizes that follow from the data or from the layer before.
INFERRED = (
    "in_features",
    "input_size",
    "num_embeddings",
    "out_features",
    "in_channels",
    "d_model",
    "embed_dim",
    "num_features",
    "num_channels",
    "normalized_shape",
)
#: The largest number of weights that a network may have: one GiB of float32.
WEIGHTS_AT_MOST = 2**28


class Layer(ClassSection):
    """A layer in the model section of a run file: its class and options.

    Attributes:
        class: its name
    """

    title: ClassVar[str] = _("a layer")
    hidden: ClassVar[tuple[str, ...]] = ("device", "dtype", "batch_first")
    inferred: ClassVar[tuple[str, ...]] = INFERRED
    bare_name: ClassVar[bool] = True

    name: ClassName = Field(alias="class", examples=["ReLU"])

    @property
    def of_sequences(self) -> bool:
        """Return whether a run file's layer reads sequences, (N, T, features)."""
        return "batch_first" in inspect.signature(self.constructor).parameters

    def build(self, **more: Any) -> Any:
        """Construct the layer of a run file, with samples along the first axis."""
        order = {"batch_first": True} if self.of_sequences else {}
        return super().build(**order, **more)

    def sizes(self) -> dict[str, int | list[int]]:
        """Return the sizes of a layer (numbers of units) that the run file sets."""
        options = self.options
        return {
            name: options[name]
            for name in sizes_of(self.constructor)
            if name in options
        }

    def open_sizes(self) -> list[str]:
        """Return the names of a layer's sizes that are to be inferred from data."""
        known = inspect.signature(self.constructor).parameters
        written = self.model_fields_set
        return [
            name
            for name in sizes_of(self.constructor)
            if name not in written and known[name].default is inspect.Parameter.empty
        ]

    def small(self) -> dict[str, Any]:
        """Return small sizes of a run file's layer, for a trial construction."""
        cut = (
            self.options.get(name)
            for name in ("num_groups", "groups", "nhead", "num_heads")
        )
        units = min(2 * next(filter(None, cut), 1), 2**20)
        few: dict[str, Any] = dict.fromkeys(self.open_sizes(), units)
        for name, size in self.sizes().items():
            many = isinstance(size, list)
            few[name] = [min(n, units) for n in size] if many else min(size, units)
        if "padding_idx" in self.options:
            few["padding_idx"] = 0
        return few


LAYERS = Family(
    _("layer"),
    Layer,
    {
        name: layer
        for name, layer in exported(nn, nn.Module).items()
        if not issubclass(layer, Reduction | Mixture)
        and name not in _NO_LAYERS
        and not name.startswith("Lazy")  # sizes that a file leaves out are inferred
    },
)

_Layers = Annotated[
    list[Annotated[Layer, PlainValidator(LAYERS.read)]],
    Len(1, 1000),
    Words(_("a list of layers")),
]


class Model(Section):
    """The network, from the input to the output. Sizes that follow from the data or
    from the layer before may be left out.

    Attributes:
        layers: the layers: "ReLU", or { class = "Linear", out_features = 64 }
        standardize: give every feature mean 0 and deviation 1, with what the training
            data say; where the last layer of a regression is Linear, its output is
            scaled back; else true for tables, and for sequences that a recurrent layer
            reads; of texts the output alone
    """

    title: ClassVar[str] = "[model]"

    layers: _Layers = Field(examples=[["Linear"]])
    standardize: bool | None = Field(None, examples=[False])

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        """Check the layers of a run file: not too large, and sizes can be inferred."""
        sized = [i for i, x in enumerate(self.layers) if "out_features" in x.known()]
        problems: dict[Where, Problem] = {}
        total = 0
        for i, layer in enumerate(self.layers):
            if i in sized[:-1] and "out_features" in layer.open_sizes():
                problems["layers", i] = Problem(
                    (),
                    _("{name} needs the key 'out_features'.", name=layer.name),
                    expected=_(
                        "out_features = …, the number of its outputs; "
                        "only the last layer's follows from the data"
                    ),
                    got=show({"class": layer.name, **layer.options}),
                    fix=f'{{ class = "{layer.name}", out_features = 64 }}',
                )
            try:
                total = with_weights(total, layer, layer.sizes())
            except Problem as problem:
                problems["layers", i] = problem
                break
        if problems:
            raise SectionError(problems)
        return self


def weights_of(sizes: Mapping[str, Any]) -> int:
    """Return the approximate number of weights of a run file's layer by its sizes.

    Layers of sequences have square matrices too.
    """
    flat = [n for size in sizes.values() for n in np.ravel(size).tolist()]
    square = 4 * max(sizes.get("hidden_size", 0), sizes.get("d_model", 0)) ** 2
    return (math.prod(flat) if flat else 0) + square * sizes.get("num_layers", 1)


def with_weights(total: int, layer: Layer, sizes: Mapping[str, Any]) -> int:
    """Return a run file's number of weights with a further layer; refuse too many.

    Raises:
        Problem: they would not fit into memory.
    """
    weights = weights_of(sizes)
    if total + weights > WEIGHTS_AT_MOST:
        raise Problem(
            (),
            _("{name} would be too large.", name=layer.name),
            expected=_(
                "at most {WEIGHTS_AT_MOST:,} weights in the whole network",
                WEIGHTS_AT_MOST=WEIGHTS_AT_MOST,
            ),
            got=_(
                "{weights:,} in this layer, {total_weights:,} up to here",
                weights=weights,
                total_weights=total + weights,
            ),
            fix=_("make it smaller; nothing was allocated"),
        )
    return total + weights
