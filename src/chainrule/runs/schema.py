"""The format of run files: pydantic models of their sections.

Files are checked against these models; the messages, the commented starting file of
``chainrule new`` and the reference page are made from them too. Options of layers,
losses, optimisers, schedules and callbacks are those of their classes and stand nowhere
else.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Le, Len
from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    create_model,
    model_validator,
)

from chainrule import nn, optim, training
from chainrule.errors import ChainruleWarning
from chainrule.nn.arguments import sizes_of
from chainrule.nn.losses.base import Reduction
from chainrule.random import Generator, stream
from chainrule.runs.classes import ClassSection, Family
from chainrule.runs.data_section import BUNDLED, DRAWN, FORMATS, KINDS, Data, read_data
from chainrule.runs.problems import Problem, SectionError, Where, at
from chainrule.runs.section import (
    ClassName,
    Inside,
    Positive,
    Section,
    Text,
    Words,
    option,
)
from chainrule.runs.values import show
from chainrule.text import _
from chainrule.util import atomic_files

__all__ = ["BUNDLED", "DRAWN", "FORMATS", "KINDS", "SECTIONS", "Data", "Run"]

#: Layers that need numbers of the data: ``[model] standardize`` makes them.
SCALING = ("Standardize", "Unstandardize", "LogTarget", "QuantileTarget")
#: Layers that take or give several tensors, or are made of others: no link of a chain.
_SEVERAL = (
    *("Transformer", "TransformerDecoder", "TransformerDecoderLayer", "KVCache"),
    *("TransformerEncoder", "GRUCell", "LSTMCell", "RNNCell", "MultiheadAttention"),
)
_NO_LAYERS = ("Identity", "Module", "ModuleDict", "ModuleList", "Sequential")
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
#: The files of callbacks that write one, where the run's file names none.
FILES = {
    "BestCheckpoint": "best.ckpt",
    "CSVLogger": "log.csv",
    "JSONLinesLogger": "log.jsonl",
}
#: A section that is left out is checked like one that is empty.
_LEFT_OUT: Any = Field({}, validate_default=True)
#: The largest number of weights that a network may have: one GiB of float32.
WEIGHTS_AT_MOST = 2**28
#: Stands for the directory of the run, which is not known yet.
TRIAL = Path("the directory of the run")


@contextmanager
def on_trial() -> Iterator[None]:
    """Suppress warnings and random-state changes within a block, for a trial."""
    with stream(Generator(0)), warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        yield


# -- the network -----------------------------------------------------------------------


class Layer(ClassSection):
    """A layer of the network."""

    title: ClassVar[str] = _("a layer")
    hidden: ClassVar[tuple[str, ...]] = ("dtype", "batch_first")
    inferred: ClassVar[tuple[str, ...]] = INFERRED
    bare_name: ClassVar[bool] = True

    name: ClassName = option("its name", example="ReLU", alias="class")

    @property
    def of_sequences(self) -> bool:
        """Return whether the layer reads sequences, (N, T, features) in a run file."""
        return "batch_first" in inspect.signature(self.constructor).parameters

    def build(self, **more: Any) -> Any:
        """Construct the layer, with samples along the first axis."""
        order = {"batch_first": True} if self.of_sequences else {}
        return super().build(**order, **more)

    def sizes(self) -> dict[str, int | list[int]]:
        """Return the layer's sizes that are set in the file: numbers of units."""
        options = self.options
        return {
            name: options[name]
            for name in sizes_of(self.constructor)
            if name in options
        }

    def open_sizes(self) -> list[str]:
        """Return the names of sizes to infer from the data or the previous layer."""
        known = inspect.signature(self.constructor).parameters
        given = self.model_fields_set
        return [
            name
            for name in sizes_of(self.constructor)
            if name not in given and known[name].default is inspect.Parameter.empty
        ]

    def small(self) -> dict[str, Any]:
        """Return small sizes of the layer for a trial: at most two units or groups."""
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


_Layers = Annotated[
    list[Annotated[Layer, PlainValidator(lambda given: LAYERS.read(given))]],
    Len(1, 1000),
    Words(_("a list of layers")),
]


class Model(Section):
    """The network, from the input to the output. Sizes that follow from the data or
    from the layer before may be left out.
    """

    title: ClassVar[str] = "[model]"

    layers: _Layers = option(
        'the layers: "ReLU", or { class = "Linear", out_features = 64 }',
        example=["Linear"],
    )
    standardize: bool | None = option(
        "give every feature mean 0 and deviation 1, with what the training data say; "
        "where the last layer of a regression is Linear, its output is scaled back; "
        "else true for tables, and for sequences that a recurrent layer reads; of "
        "texts the output alone",
        None,
        example=False,
    )

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        """Check that layers are not too large, and that all sizes can be inferred."""
        sized = [i for i, x in enumerate(self.layers) if "out_features" in x.known()]
        found: dict[Where, Problem] = {}
        total = 0
        for i, layer in enumerate(self.layers):
            if i in sized[:-1] and "out_features" in layer.open_sizes():
                found["layers", i] = Problem(
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
                found["layers", i] = problem
                break
        if found:
            raise SectionError(found)
        return self


def weights_of(sizes: Mapping[str, Any]) -> int:
    """Return the approximate number of weights of a layer with these sizes.

    Layers of sequences have square matrices too.
    """
    flat = [n for size in sizes.values() for n in np.ravel(size).tolist()]
    square = 4 * max(sizes.get("hidden_size", 0), sizes.get("d_model", 0)) ** 2
    return (math.prod(flat) if flat else 0) + square * sizes.get("num_layers", 1)


def with_weights(total: int, layer: Layer, sizes: Mapping[str, Any]) -> int:
    """Return the network's number of weights with a further layer.

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


# -- what it learns by -----------------------------------------------------------------


class Loss(ClassSection):
    """How far a prediction is from the truth."""

    title: ClassVar[str] = "[loss]"
    hidden: ClassVar[tuple[str, ...]] = ("reduction",)

    name: ClassName | None = option(
        "its name; else CrossEntropyLoss for classes, MSELoss for quantities",
        None,
        example="CrossEntropyLoss",
        alias="class",
    )

    def build(self, **more: Any) -> Any:
        """Construct the loss; None if the data determine the loss."""
        return None if self.name is None else super().build(**more)


class Schedule(ClassSection):
    """How the learning rate changes during the run; the optimiser's lr is its peak."""

    title: ClassVar[str] = "[schedule]"
    hidden: ClassVar[tuple[str, ...]] = ("lr", "max_lr")

    name: ClassName = option(
        "its name; Schedule is constant",
        "Schedule",
        example="CosineAnnealingLR",
        alias="class",
    )
    warmup: Positive | None = option(
        "steps over which the rate climbs to its first value", None, example=100
    )

    def of_rate(self, rate: float) -> Any:
        """Construct the learning-rate schedule with rate ``rate``."""
        built = self.build(**{rate_of(self.constructor): rate})
        return built if self.warmup is None else optim.LinearWarmup(built, self.warmup)


class Optimizer(ClassSection):
    """How the weights learn."""

    title: ClassVar[str] = "[optimizer]"
    hidden: ClassVar[tuple[str, ...]] = ("params",)

    name: ClassName = option("its name", "Adam", example="AdamW", alias="class")
    groups: dict[Text, Section] = option(
        "other options for the parameters whose names match a pattern",
        {},
        example={"*.bias": {"weight_decay": 0.0}},
    )

    @classmethod
    def more_fields(cls, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return the key of parameter groups, with the class's options but clipping."""
        own = {k: v for k, v in options.items() if not k.startswith("clip_")}
        group: Any = create_model(f"{name}Group", __base__=Section, **own)
        group.title = _("a group of {name}", name=name)
        return {"groups": (dict[Text, group], cls.model_fields["groups"])}

    def scheduled(self, schedule: Schedule) -> Any:
        """Construct the optimiser with its learning-rate schedule."""
        rate: Any = self.lr  # pyright: ignore[reportAttributeAccessIssue]
        options: dict[str, Any] = {}
        with at("schedule"):
            options["lr"] = schedule.of_rate(rate)
        if self.groups:
            named = [
                {**own.set_values(), "params": k} for k, own in self.groups.items()
            ]
            options["params"] = [*named, {"params": "*"}]
        with at("optimizer"):
            return self.build(**options)


class Callback(ClassSection):
    """What happens between epochs. Any number of times."""

    title: ClassVar[str] = "[[callbacks]]"
    inferred: ClassVar[tuple[str, ...]] = ("path",)

    name: ClassName = option("its name", example="EarlyStopping", alias="class")

    def within(self, directory: Path) -> Any:
        """Construct the callback, with its file inside ``directory``."""
        if self.name not in FILES:
            return self.build()
        given = self.options.get("path", FILES[self.name])
        with at("path"):
            return self.build(
                path=atomic_files.inside(directory, given, _("What the run writes"))
            )


def _known_metrics(names: list[str]) -> list[str]:
    from chainrule.metrics.named import as_metrics

    as_metrics(names)
    return names


_Metrics = Annotated[
    list[Text],
    Len(0, 100),
    AfterValidator(_known_metrics),
    Words(_("a list of names of metrics")),
]
_Probes = Annotated[list[Text], Len(0, 100), Words(_("a list of patterns in quotes"))]


class Training(Section):
    """The run."""

    title: ClassVar[str] = "[training]"

    epochs: Annotated[int, Ge(1), Le(10**9)] = option(
        "passes over the data", 10, example=20
    )
    batch_size: Positive | Literal["all"] | None = option(
        'samples a step; "all" sees every sample in every step; else 32, or all where'
        " there are fewer",
        None,
        example=32,
    )
    drop_last: bool = option(
        "leave out what does not fill a batch", False, example=True
    )
    seed: Annotated[int, Ge(0), Le(2**64 - 1)] = option(
        "of the initial weights, the order of samples and dropout", 0, example=1
    )
    engine: Literal["auto", "native", "numpy"] = option(
        "what computes; auto is native where it can run", "auto", example="numpy"
    )
    threads: Annotated[int, Ge(1), Le(1024)] | None = option(
        "threads of the native engine; else the fastest; results do not depend on it",
        None,
        example=4,
    )
    metrics: _Metrics | None = option(
        "what else to measure: accuracy, balanced_accuracy, f1, roc_auc, top5, "
        "confusion_matrix; r2, mae, mse, rmse; else accuracy for classes, r2 and mae "
        "for quantities",
        None,
        example=["accuracy", "top5"],
    )
    probes: _Probes = option(
        "what to record in every step, by names or patterns",
        [],
        example=["grad_norm/*"],
    )


class Output(Section):
    """What the run leaves."""

    title: ClassVar[str] = "[output]"

    directory: Inside | None = option(
        "where, below this file's directory; one of its own for each run; else "
        "runs/NAME-TIME where the command is given",
        None,
        example="results",
    )


# -- the classes -----------------------------------------------------------------------


def rate_of(schedule: type) -> str:
    """Return the name of a schedule's learning-rate argument, its first.

    >>> rate_of(optim.OneCycleLR)
    'max_lr'
    """
    return next(iter(inspect.signature(schedule).parameters))


def _exported(module: Any, base: type) -> dict[str, type]:
    """Return the subclasses of ``base`` that a module exports."""
    found = {name: getattr(module, name) for name in sorted(module.__all__)}
    return {
        name: made
        for name, made in found.items()
        if isinstance(made, type) and issubclass(made, base)
    }


LAYERS = Family(
    "layer",
    Layer,
    {
        name: made
        for name, made in _exported(nn, nn.Module).items()
        if not issubclass(made, Reduction) and name not in _NO_LAYERS
    },
)
#: Losses that a file cannot build: the base, and that of ``target_transform``.
_NO_LOSSES = ("Loss", "TransformedTargetLoss")
LOSSES = Family(
    "loss",
    Loss,
    {n: c for n, c in _exported(nn, nn.Loss).items() if n not in _NO_LOSSES},
)
OPTIMIZERS = Family("optimiser", Optimizer, optim.OPTIMIZERS)
#: Rates that need no other schedule inside.
_RATES = {n: c for n, c in optim.SCHEDULES.items() if n != "LinearWarmup"}
SCHEDULES = Family("schedule", Schedule, {"Schedule": optim.Schedule, **_RATES})
CALLBACKS = Family(
    "callback",
    Callback,
    {
        name: made
        for name, made in _exported(training, training.Callback).items()
        if name not in ("Callback", "LambdaCallback")
    },
)


# -- the whole -------------------------------------------------------------------------


class Run(Section):
    """All that a run's file says."""

    data: Annotated[Data, PlainValidator(read_data)] = _LEFT_OUT
    model: Model = _LEFT_OUT
    loss: Annotated[Loss, PlainValidator(LOSSES.read)] = _LEFT_OUT
    optimizer: Annotated[Optimizer, PlainValidator(OPTIMIZERS.read)] = _LEFT_OUT
    schedule: Annotated[Schedule, PlainValidator(SCHEDULES.read)] = _LEFT_OUT
    training: Training = _LEFT_OUT
    callbacks: list[Annotated[Callback, PlainValidator(CALLBACKS.read)]] = Field([])
    output: Output = _LEFT_OUT

    @model_validator(mode="after")
    def _together(self) -> Self:
        """Check settings across sections, by a trial construction of the run's parts.

        Layers are tried with few units.
        """
        attempts: list[tuple[Where, Callable[[], Any]]] = [
            ((), lambda: self.optimizer.scheduled(self.schedule)),
            (("loss",), self.loss.build),
        ]
        for i, callback in enumerate(self.callbacks):
            attempts.append((("callbacks", i), partial(callback.within, TRIAL)))
        for i, layer in enumerate(self.model.layers):
            attempts.append(
                (("model", "layers", i), partial(layer.build, **layer.small()))
            )
        found = {problem.where: problem for problem in self._unwatched()}
        for where, attempt in attempts:
            try:
                with on_trial(), at(*where):
                    attempt()
            except Problem as problem:
                found[problem.where] = problem
        if found:
            raise SectionError(found)
        return self

    def _unwatched(self) -> Iterator[Problem]:
        """Yield problems of validation-based settings without a validation part."""
        watching: list[tuple[Where, Any]] = [(("schedule",), self.schedule)]
        watching += ((("callbacks", i), item) for i, item in enumerate(self.callbacks))
        for where, item in watching:
            monitor = str(getattr(item, "monitor", None))
            if (
                monitor.startswith("validation_")
                and self.data.share("validation") == 0.0
            ):
                yield Problem(
                    (*where, "monitor"),
                    _(
                        "{name} cannot watch {monitor!r} without a validation part.",
                        name=item.name,
                        monitor=monitor,
                    ),
                    expected=_(
                        "a part of the data to measure it on, or another number"
                    ),
                    got="validation = 0",
                    fix=_('validation = 0.1 in [data], or monitor = "train_loss" here'),
                )


#: All sections, in the order in which one writes them.
SECTIONS: dict[str, type[Section]] = {
    "data": Data,
    "model": Model,
    "loss": Loss,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "training": Training,
    "callbacks": Callback,
    "output": Output,
}
#: The classes that a section may name.
FAMILIES = {
    "model": LAYERS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "callbacks": CALLBACKS,
}
