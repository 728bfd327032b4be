"""The format of run files, as pydantic models of their sections.

Files are checked against these models; the messages, the commented starting file of
``chainrule new`` and the reference page are made from them too. Options of layers,
losses, optimisers, schedules and callbacks are those of their classes and stand nowhere
else.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge, Le, Len
from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    create_model,
    model_validator,
)

from chainrule import nn, optim, tracking, training
from chainrule.errors import ChainruleWarning
from chainrule.random import Generator, stream
from chainrule.runs.classes import ClassSection, Family, exported
from chainrule.runs.data_section import BUNDLED, DRAWN, FORMATS, KINDS, Data, read_data
from chainrule.runs.layers import LAYERS, Model
from chainrule.runs.problems import Problem, SectionError, Where, at
from chainrule.runs.section import (
    ClassName,
    Inside,
    Positive,
    Section,
    Text,
    Words,
)
from chainrule.text import _
from chainrule.util import atomic_files

__all__ = ["BUNDLED", "DRAWN", "FORMATS", "KINDS", "SECTIONS", "Data", "Run"]

#: The argument of callbacks that write files, and where to if the run's file is silent.
FILES = {
    "BestCheckpoint": ("path", "best.ckpt"),
    "CSVLogger": ("path", "log.csv"),
    "JSONLines": ("path", "log.jsonl"),
    "TensorBoard": ("log_dir", "tensorboard"),
}
#: A section that is left out is checked like one that is empty.
_LEFT_OUT: Any = Field({}, validate_default=True)
#: Stands for the directory of the run, which is not known yet.
TRIAL = Path("the directory of the run")


@contextmanager
def on_trial() -> Iterator[None]:
    """Suppress warnings and random draws within a block, for a trial construction."""
    with stream(Generator(0)), warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        yield


# -- what it learns by -----------------------------------------------------------------


class Loss(ClassSection):
    """The loss: the distance of a prediction from the truth.

    Attributes:
        class: its name; else CrossEntropyLoss for classes, MSELoss for quantities
    """

    title: ClassVar[str] = "[loss]"
    hidden: ClassVar[tuple[str, ...]] = ("reduction",)

    name: ClassName | None = Field(None, alias="class", examples=["CrossEntropyLoss"])

    def build(self, **more: Any) -> Any:
        """Construct the run file's loss; None if the data determine it."""
        return None if self.name is None else super().build(**more)


class Schedule(ClassSection):
    """The learning rate's course during the run; the optimiser's lr is its peak.

    Attributes:
        class: its name; Schedule is constant
        warmup: steps over which the rate climbs to its first value
    """

    title: ClassVar[str] = "[schedule]"
    hidden: ClassVar[tuple[str, ...]] = ("lr", "max_lr")

    name: ClassName = Field("Schedule", alias="class", examples=["CosineAnnealingLR"])
    warmup: Positive | None = Field(None, examples=[100])

    def of_rate(self, rate: float) -> Any:
        """Construct the run file's learning-rate schedule, with a rate."""
        built = self.build(**{rate_of(self.constructor): rate})
        return built if self.warmup is None else optim.LinearWarmup(built, self.warmup)


class Optimizer(ClassSection):
    """The optimiser: the rule by which the weights learn.

    Attributes:
        class: its name
        groups: other options for the parameters whose names match a pattern
    """

    title: ClassVar[str] = "[optimizer]"
    hidden: ClassVar[tuple[str, ...]] = ("params",)

    name: ClassName = Field("Adam", alias="class", examples=["AdamW"])
    groups: dict[Text, Section] = Field(
        {}, examples=[{"*.bias": {"weight_decay": 0.0}}]
    )

    @classmethod
    def more_fields(cls, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return the optimiser section's field of parameter groups."""
        own = {k: v for k, v in options.items() if not k.startswith("clip_")}
        group: Any = create_model(f"{name}Group", __base__=Section, **own)
        group.title = _("a group of {name}", name=name)
        return {"groups": (dict[Text, group], cls.model_fields["groups"])}

    def scheduled(self, schedule: Schedule) -> Any:
        """Construct the run file's optimiser with its learning-rate schedule."""
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
    """A callback: an action between epochs. Any number of times.

    Attributes:
        class: its name
    """

    title: ClassVar[str] = "[[callbacks]]"
    inferred: ClassVar[tuple[str, ...]] = ("path",)
    # Where numbers are sent is for who runs the file to say, not for who wrote it.
    hidden: ClassVar[tuple[str, ...]] = ("tracking_uri",)

    name: ClassName = Field(alias="class", examples=["EarlyStopping"])

    def within(self, directory: Path) -> Any:
        """Construct a run file's callback, which writes inside ``directory``."""
        if self.name not in FILES:
            return self.build()
        argument, usual = FILES[self.name]
        path = self.options.get(argument, usual)
        with at(argument):
            what = _("What the run writes")
            return self.build(**{argument: atomic_files.inside(directory, path, what)})


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
    """The training run: its length, batches, seed and engine.

    Attributes:
        epochs: passes over the data
        batch_size: samples a step; "all" sees every sample in every step; else 32, or
            all where there are fewer
        drop_last: leave out what does not fill a batch
        seed: of the initial weights, the order of samples and dropout
        engine: what computes; auto is native where it can run
        threads: threads of the native engine; else the fastest; results do not depend
            on it
        devices: devices that the engine xla divides each batch over, or all; else one,
            or those of all processes
        precision: "bf16-mixed" computes the network's products as of bfloat16
        metrics: what else to measure: accuracy, balanced_accuracy, f1, roc_auc, top5,
            confusion_matrix; r2, mae, mse, rmse; else accuracy for classes, r2 and mae
            for quantities
        probes: what to record in every step, by names or patterns
    """

    title: ClassVar[str] = "[training]"

    epochs: Annotated[int, Ge(1), Le(10**9)] = Field(10, examples=[20])
    batch_size: Positive | Literal["all"] | None = Field(None, examples=[32])
    drop_last: bool = Field(False, examples=[True])
    seed: Annotated[int, Ge(0), Le(2**64 - 1)] = Field(0, examples=[1])
    engine: Literal["auto", "native", "numpy", "xla"] = Field(
        "auto", examples=["numpy"]
    )
    threads: Annotated[int, Ge(1), Le(1024)] | None = Field(None, examples=[4])
    devices: Positive | Literal["all"] | None = Field(None, examples=[4])
    precision: Literal["bf16-mixed"] | None = Field(None, examples=["bf16-mixed"])
    metrics: _Metrics | None = Field(None, examples=[["accuracy", "top5"]])
    probes: _Probes = Field([], examples=[["grad_norm/*"]])


class Output(Section):
    """The files that the run leaves.

    Attributes:
        directory: where, below this file's directory; one of its own for each run; else
            runs/NAME-TIME where the command is given
    """

    title: ClassVar[str] = "[output]"

    directory: Inside | None = Field(None, examples=["results"])


# -- the classes -----------------------------------------------------------------------


def rate_of(schedule: type) -> str:
    """Return the name of a schedule class's learning-rate argument.

    >>> rate_of(optim.OneCycleLR)
    'max_lr'
    """
    return next(iter(inspect.signature(schedule).parameters))


#: Losses that a file cannot build: the base, and that of ``target_transform``.
_NO_LOSSES = ("Loss", "TransformedTargetLoss")
LOSSES = Family(
    _("loss"),
    Loss,
    {n: c for n, c in exported(nn, nn.Loss).items() if n not in _NO_LOSSES},
)
OPTIMIZERS = Family(_("optimiser"), Optimizer, optim.OPTIMIZERS)
#: Rates that need no other schedule inside.
_RATES = {n: c for n, c in optim.SCHEDULES.items() if n != "LinearWarmup"}
SCHEDULES = Family(_("schedule"), Schedule, {"Schedule": optim.Schedule, **_RATES})
#: Callbacks that a file cannot build: bases, and what needs an object of Python's.
_NO_CALLBACKS = ("Callback", "LambdaCallback", "OptunaPruning", "Tracker")
CALLBACKS = Family(
    _("callback"),
    Callback,
    {
        name: callback
        for module in (training, tracking)
        for name, callback in exported(module, training.Callback).items()
        if name not in _NO_CALLBACKS
    },
)


# -- the whole -------------------------------------------------------------------------


class Run(Section):
    """The whole of a run file: all of its sections."""

    data: Annotated[Data, PlainValidator(read_data)] = _LEFT_OUT
    model: Model = _LEFT_OUT
    loss: Annotated[Loss, PlainValidator(LOSSES.read)] = _LEFT_OUT
    optimizer: Annotated[Optimizer, PlainValidator(OPTIMIZERS.read)] = _LEFT_OUT
    schedule: Annotated[Schedule, PlainValidator(SCHEDULES.read)] = _LEFT_OUT
    training: Training = _LEFT_OUT
    callbacks: list[Annotated[Callback, PlainValidator(CALLBACKS.read)]] = Field([])
    output: Output = _LEFT_OUT

    @model_validator(mode="after")
    def _check_across_sections(self) -> Self:
        """Check a run file across its sections, by a trial construction.

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
        problems = {problem.where: problem for problem in self._unwatched()}
        for where, attempt in attempts:
            try:
                with on_trial(), at(*where):
                    attempt()
            except Problem as problem:
                problems[problem.where] = problem
        if problems:
            raise SectionError(problems)
        return self

    def _unwatched(self) -> Iterator[Problem]:
        """Yield problems of a run file that monitors validation without its data."""
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
