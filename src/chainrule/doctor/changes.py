"""The changes that symptoms propose: each makes one thing otherwise in a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor.constructors import (
    code,
    constructors,
    loss_shown,
    rate_shown,
    schedule_shown,
    table,
)
from chainrule.doctor.finding import Change
from chainrule.doctor.initialising import initialised, keep_variance
from chainrule.doctor.setup import Setup
from chainrule.errors import ChainruleError
from chainrule.graph.node import Array
from chainrule.nn import Module, output_semantics
from chainrule.optim import RuleOptimizer
from chainrule.optim.schedule import Schedule
from chainrule.text import _, joined

# -- learning rate and optimiser -------------------------------------------------------


def rate_times(setup: Setup, factor: float) -> Change | None:
    """Return the change that multiplies all learning rates; None where none has one."""
    if factor == 1:
        return None
    schedule = setup.optimizer.schedule
    rate = peak(schedule)
    if rate is None or rate <= 0 or peak(scaled(schedule, factor)) != rate * factor:
        return None

    def apply(setup: Setup) -> None:
        for store in (setup.optimizer.defaults, *(g.own for g in _groups(setup))):
            if "lr" in store:
                store["lr"] = scaled(store["lr"], factor)

    what = _("a lower learning rate") if factor < 1 else _("a higher learning rate")
    before, after = f"lr={rate_shown(rate)}", f"lr={rate_shown(rate * factor)}"
    groups = [(i, g.own["lr"]) for i, g in enumerate(_groups(setup)) if "lr" in g.own]
    told: dict[str, dict[str, Any]] = {"optimizer": {"lr": _short(rate * factor)}}
    bounds = _bounds(schedule)
    if bounds:
        told["schedule"] = {k: _short(v * factor) for k, v in bounds.items()}
        before += "".join(f", {k}={rate_shown(v)}" for k, v in bounds.items())
        after += "".join(f", {k}={rate_shown(v * factor)}" for k, v in bounds.items())
    for i, own in groups:
        place = f'\noptimizer.param_groups[{i}]["lr"]: '
        before += f"{place}{schedule_shown(own)}"
        after += f"{place}{schedule_shown(scaled(own, factor))}"
    told = {} if groups else told
    return Change(what, before, after, apply, slots=("rate",), settings=told or None)


def _bounds(schedule: Any) -> dict[str, float]:
    """Return the least rates of a schedule, which are multiplied with its peak."""
    inner = getattr(schedule, "schedule", schedule)
    known = {n: getattr(inner, n, None) for n in ("min_lr", "eta_min")}
    return {n: v for n, v in known.items() if isinstance(v, float) and v}


def _short(rate: float) -> float:
    """Return a rate without the digits that multiplying has left."""
    return float(f"{rate:.9g}")


def peak(schedule: Any) -> float | None:
    """Return the rate that a schedule was made with; None where it names none."""
    for name in ("lr", "max_lr"):
        if isinstance(rate := getattr(schedule, name, None), float):
            return rate
    return None


def _groups(setup: Setup) -> list[Any]:
    return list(setup.optimizer.param_groups)


def scaled(schedule: Any, factor: float) -> Any:
    """Return a schedule whose rates are multiplied by a factor."""
    arguments = dict(schedule.arguments())
    for name in ("lr", "max_lr", "base_lr", "min_lr", "eta_min"):
        if isinstance(arguments.get(name), float):
            arguments[name] *= factor
    for name in arguments:
        if isinstance(nested := getattr(schedule, name, None), Schedule):
            arguments[name] = scaled(nested, factor)
    return type(schedule)(**arguments)


def option(setup: Setup, name: str, value: Any, what: str) -> Change | None:
    """Return the change of a hyper-parameter of the optimiser; None: it has none."""
    defaults = setup.optimizer.defaults
    if name not in defaults:
        return None

    def apply(setup: Setup) -> None:
        setup.optimizer.defaults[name] = value
        for group in _groups(setup):
            if name in group.own:
                group.own[name] = value
        setup.optimizer.renew_moments()

    before, after = f"{name}={defaults[name]!r}", f"{name}={value!r}"
    own = any(name in group.own for group in _groups(setup))
    told = None if own else {"optimizer": {name: value}}
    return Change(what, before, after, apply, slots=(name, "optimizer"), settings=told)


def optimizer(setup: Setup, make: Callable[[], RuleOptimizer]) -> Change:
    """Return the change of the optimiser, with its rate."""

    def apply(setup: Setup) -> None:
        setup.optimizer = make()
        setup.optimizer.attach_parameters(dict(setup.model.named_parameters()))

    new = make()
    before, after = (_shown(o) for o in (setup.optimizer, new))
    return Change(
        _("another optimiser"),
        before,
        after,
        apply,
        slots=("optimizer", "rate"),
        settings={
            "optimizer": {"class": type(new).__name__, "lr": peak(new.schedule)},
            "schedule": {},
        },
    )


def _shown(optimizer: RuleOptimizer) -> str:
    """Return an optimiser as one writes it: what differs from its defaults, and lr."""
    kind, given = type(optimizer), dict(optimizer.defaults)
    usual = kind().defaults
    told = [f"lr={schedule_shown(given.pop('lr'))}"]
    told += [f"{k}={v!r}" for k, v in given.items() if usual.get(k) != v]
    name = f"{'optim.' if hasattr(optim, kind.__name__) else ''}{kind.__name__}"
    return f"optimizer={name}({', '.join(told)})"


def clipped(setup: Setup) -> Change:
    """Return the change that clips the norm of all gradients at 1."""
    before = setup.optimizer.defaults.get("clip_norm")

    def apply(setup: Setup) -> None:
        setup.optimizer.defaults["clip_norm"] = 1.0

    what = _("gradients clipped at norm 1")
    shown = f"clip_norm={before!r}"
    return Change(
        what,
        shown,
        "clip_norm=1.0",
        apply,
        slots=("clip_norm",),
        settings={"optimizer": {"clip_norm": 1.0}},
    )


# -- the network -----------------------------------------------------------------------


def replaced(model: Module, path: str, new: Module) -> None:
    """Put a module in another one's place, at a path of a model."""
    head, __, name = path.rpartition(".")
    parent = model.get_submodule(head) if head else model
    if isinstance(parent, nn.Sequential | nn.ModuleList) and name.isdecimal():
        parent[int(name)] = new
    else:
        setattr(parent, name, new)


def layer(
    setup: Setup, paths: Sequence[str], make: Callable[[], Module], what: str
) -> Change | None:
    """Return the change that puts another module without parameters in some places."""
    modules = dict(setup.model.named_modules())
    if not paths or any(path not in modules or not path for path in paths):
        return None
    new = make()
    before = constructors(setup.model, paths)
    after = constructors(setup.model, paths, lambda __: f"nn.{new!r}")

    def apply(setup: Setup) -> None:
        for path in paths:
            replaced(setup.model, path, make())
        setup.optimizer.attach_parameters(dict(setup.model.named_parameters()))

    told = dict.fromkeys(paths, table(new))
    return Change(what, before, after, apply, slots=_places(paths), layers=told)


def _places(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"layer {path}" for path in paths)


def activation(
    setup: Setup, paths: Sequence[str], make: Callable[[], Module], what: str
) -> Change | None:
    """Return the change of activations, with initial weights that suit the new ones."""
    change = layer(setup, paths, make, what)
    if change is None:
        return None
    relu = isinstance(make(), nn.ReLU | nn.LeakyReLU)

    def apply(setup: Setup) -> None:
        change.apply(setup)
        keep_variance(setup, relu=relu)

    code, layers = initialised(setup.model, setup.fans, relu=relu)
    after = joined("\n", [change.after, code])
    slots = (*change.slots, "weights")
    told = {**(change.layers or {}), **layers}
    return replace(change, after=after, apply=apply, slots=slots, layers=told)


def between(setup: Setup, paths: Sequence[str]) -> Change | None:
    """Return the change that puts a ReLU behind some modules."""
    modules = dict(setup.model.named_modules())
    if not paths or any(p not in modules or not p for p in paths):
        return None

    def apply(setup: Setup) -> None:
        for path in paths:
            own = setup.model.get_submodule(path)
            replaced(setup.model, path, nn.Sequential(own, nn.ReLU()))
        setup.optimizer.attach_parameters(dict(setup.model.named_parameters()))

    model = setup.model
    before = constructors(model, paths)
    after = constructors(
        model, paths, lambda p: f"nn.Sequential({code(model, p)}, nn.ReLU())"
    )
    what = _("a nonlinearity between the layers")
    told = {p: ({}, {"class": "ReLU"}) for p in paths}
    return Change(what, before, after, apply, slots=_places(paths), layers=told)


def loss(setup: Setup, make: Callable[[], Any], what: str) -> Change | None:
    """Return the change of the loss."""
    try:
        new = make()
    except ChainruleError:
        return None

    def apply(setup: Setup) -> None:
        setup.loss, setup.other_loss = make(), True

    before, after = loss_shown(setup.loss), loss_shown(new)
    told = {"loss": table(new)[0]} if after.startswith("loss=nn.") else None
    return Change(what, before, after, apply, slots=("loss",), settings=told)


# -- data and plan ---------------------------------------------------------------------


#: What a run file says of features, and of targets, with mean 0 and deviation 1.
STANDARDISED = {"model": {"standardize": True}}


def standardised(setup: Setup, axes: tuple[int, ...] = (0,)) -> Change:
    """Return the change that standardises the features, by the training rows.

    Args:
        setup: what is changed.
        axes: along which numbers are of the same feature; see
            :func:`~chainrule.doctor.features.shared_axes`.
    """

    def measured(x: Array) -> tuple[Array, Array]:
        x = np.asarray(x, np.float64)
        mean, deviation = (f(x, axes, keepdims=True) for f in (np.mean, np.std))
        return mean, np.where(deviation > 0, deviation, 1.0)

    def apply(setup: Setup) -> None:
        mean, scale = measured(setup.train.x[:])
        setup.train, setup.held_out = (
            _with_x(part, ((np.asarray(part.x[:]) - mean) / scale).astype(np.float32))
            for part in (setup.train, setup.held_out)
        )

    what, shape = _("standardised features"), setup.train.x.shape
    slots = ("inputs",)
    if axes == tuple(range(len(shape) - 1)):
        # As the layer has it: the last axis is that of the features.
        rows = "train.x" if len(shape) == 2 else f"train.x[:].reshape(-1, {shape[-1]})"
        after = f"nn.Sequential(nn.Standardize.of({rows}), model)"
        return Change(what, "model", after, apply, slots=slots, settings=STANDARDISED)
    if len(axes) == len(shape):
        mean, scale = (part.item() for part in measured(setup.train.x[:]))
        after = f"x = (x - {mean:.9g}) / {scale:.9g}"
    else:
        kept, known = f"{axes}, keepdims=True", "train.x[:]"
        after = (
            f"std = {known}.std({kept})\n"
            f"x = (x - {known}.mean({kept})) / np.where(std > 0, std, 1)"
        )
    return Change(what, "x", after, apply, slots=slots)


def standardised_targets(setup: Setup) -> Change:
    """Return the change that standardises the targets; scores are not affected."""

    def apply(setup: Setup) -> None:
        y = np.asarray(setup.train.y, np.float64)
        mean, deviation = y.mean(0), y.std(0)
        scale = np.where(deviation > 0, deviation, 1.0)
        for name in ("train", "held_out"):
            part = getattr(setup, name)
            y = ((np.asarray(part.y, np.float64) - mean) / scale).astype(np.float32)
            setattr(setup, name, Dataset(part.x, y))

    before = "model"
    after = "model = nn.Sequential(model, nn.Unstandardize.of(train.y))"
    loss = setup.loss
    if isinstance(loss, nn.Loss) and output_semantics.is_regression(loss):
        # The loss is that of standardised targets, as here; else gradients would grow
        # with the square of their deviation.
        before += f"\nloss=nn.{loss!r}"
        after += f"\nloss=nn.TransformedTargetLoss(nn.{loss!r}, model[-1])"
    what = _("standardised targets")
    return Change(what, before, after, apply, slots=("targets",), settings=STANDARDISED)


def targets_shaped(setup: Setup, shape: tuple[int, ...]) -> Change:
    """Return the change that gives the targets of each row another shape."""
    given = setup.train.y.shape[1:]

    def apply(setup: Setup) -> None:
        for name in ("train", "held_out"):
            part = getattr(setup, name)
            y = np.asarray(part.y).reshape(len(part), *shape)
            setattr(setup, name, Dataset(part.x, y, classes=part.classes))

    sizes = ", ".join(map(str, (-1, *shape)))
    what = _("targets of the shape of the outputs")
    before = f"y  # {('N', *given)}".replace("'", "")
    return Change(what, before, f"y.reshape({sizes})", apply, slots=("shape",))


def unstopped(setup: Setup) -> Change:
    """Return the change that lets the run go on to its last epoch."""
    before = "\n".join(
        f"EarlyStopping({stop.monitor!r}, patience={stop.patience}, "
        f"min_delta={stop.min_delta:g})"
        for stop in setup.stopping
    )

    def apply(setup: Setup) -> None:
        setup.stopping = ()

    what = _("no early stopping")
    return Change(what, before, "callbacks=[]", apply, slots=("stopping",))


def unaveraged(setup: Setup) -> Change:
    """Return the change that judges the weights themselves, and not their average."""

    def apply(setup: Setup) -> None:
        setup.decay = None

    what, before = _("no average of the weights"), f"ema_decay={setup.decay!r}"
    return Change(what, before, "ema_decay=None", apply, slots=("average",))


def _with_x(data: Dataset, x: Any) -> Dataset:
    return Dataset(x, data.y, classes=data.classes)


def plan(setup: Setup, what: str, **values: int) -> Change:
    """Return the change of epochs or of the batch size."""
    before = ", ".join(f"{k}={getattr(setup, k)}" for k in values)
    times = max(1, values.get("epochs", setup.epochs) // setup.epochs)
    after = ", ".join(f"{k}={v}" for k, v in values.items())

    def apply(setup: Setup) -> None:
        for key, value in values.items():
            setattr(setup, key, value)

    times *= max(1, setup.batch_size // values.get("batch_size", setup.batch_size))
    told = {"training": dict(values)}
    return Change(what, before, after, apply, times, tuple(values), told)


# -- several together ------------------------------------------------------------------

#: In this order changes are made: what others rest on comes first.
ORDER = (
    *(
        "requires_grad",
        "rows",
        "width",
        "depth",
        "outputs",
        "shape",
        "weights",
        "layer",
    ),
    *("loss", "inputs", "targets"),
    *("optimizer", "rate"),
)


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return changes in the order in which they can be made together."""

    def place(change: Change) -> int:
        kinds = [slot.partition(" ")[0] for slot in change.slots]
        # An activation with its weights goes before what wraps layers.
        return min((ORDER.index(k) for k in kinds if k in ORDER), default=len(ORDER))

    return tuple(sorted(changes, key=place))


def compatible(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return those changes that go together: of two that exclude each other the first.

    >>> def no(setup): pass
    >>> low = Change("", "", "lr=0.1", no, slots=("rate",))
    >>> high = Change("", "", "lr=1", no, slots=("rate",))
    >>> compatible([low, high]) == (low,)
    True
    """
    taken: set[str] = set()
    kept: list[Change] = []
    for change in changes:
        if not taken & set(change.slots):
            kept.append(change)
            taken.update(change.slots)
    return ordered(kept)


def together(changes: Sequence[Change]) -> Change:
    """Return several changes as one."""
    if len(changes) == 1:
        return changes[0]

    def apply(setup: Setup) -> None:
        for change in changes:
            change.apply(setup)

    return Change(
        _("{n} changes together", n=len(changes)),
        "\n".join(c.before for c in changes if c.before),
        "\n".join(c.after for c in changes if c.after),
        apply,
        max((c.times for c in changes), default=1),
        tuple(slot for c in changes for slot in c.slots),
        parts=tuple(changes),
    )
