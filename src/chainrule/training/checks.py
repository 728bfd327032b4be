"""Checks of arguments, data and the whole run before a Trainer begins to train.

Data sets look at their numbers themselves (:mod:`chainrule.data`), and losses at their
targets; here is what only shows where these, the model and the optimiser meet. What
sizes of numbers suit a network is looked at in :mod:`.sanity_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from chainrule import nn
from chainrule.data import Dataset, Stream
from chainrule.data.adapter import Rows, kinds
from chainrule.errors import ArgumentError, DTypeError, warn
from chainrule.graph.types import DType
from chainrule.nn import Module
from chainrule.nn.first_use import Use, first_use
from chainrule.optim import RuleOptimizer
from chainrule.text import _, ngettext
from chainrule.training import sanity_checks
from chainrule.training.state import Plan, RunState
from chainrule.util.validation import did_you_mean, whole


def one_source(others: tuple[Any, ...]) -> None:
    """Refuse ``fit(x, y)``, features apart from targets, or positional ``epochs``."""
    if not others:
        return
    fix = _("fit((x, y), epochs=…), or fit(cr.data.Dataset(x, y), epochs=…)")
    if len(others) == 1 and isinstance(others[0], int):
        fix = f"fit(train, epochs={others[0]})"
    raise ArgumentError(
        _("fit takes all of its data as one argument, and the rest by name."),
        expected="fit(train, epochs=…)",
        got=ngettext(
            "{n} argument without a name",
            "{n} arguments without a name",
            n=len(others) + 1,
        ),
        fix=fix,
    )


def mixed_precision(precision: Any, model: Module) -> Literal["bf16-mixed"] | None:
    """Check a Trainer's precision, and that the model has what it is mixed with.

    Raises:
        ArgumentError: another precision than ``"bf16-mixed"`` or None.
        DTypeError: parameters that are not float32.
    """
    if precision is None:
        return None
    if precision != "bf16-mixed":
        own = isinstance(precision, str) and precision.endswith("true")
        raise ArgumentError(
            _("A Trainer computes in the model's dtype, or in mixed precision."),
            expected='precision=None, "bf16-mixed"',
            got=f"precision={precision!r:.40}",
            fix=_("model.to(dtype) for another dtype of the whole model")
            if own
            else 'precision="bf16-mixed"',
        )
    for name, p in model.named_parameters():
        if p.dtype is not DType.float32:
            raise DTypeError(
                _("Mixed precision keeps weights in float32."),
                expected="float32",
                got=_("{dtype} of {name}", dtype=p.dtype.name, name=name),
                fix="model.float()",
            )
    return "bf16-mixed"


def schedule(optimizer: RuleOptimizer, plan: Plan) -> None:
    """Refuse a run that is longer than its learning-rate schedule is defined for."""
    total, done = plan.total_updates, optimizer.steps
    for lr_schedule in optimizer.schedules():
        if total is None:
            try:
                lr_schedule(done)
            except ArgumentError as error:
                raise ArgumentError(
                    _(
                        "How long a stream is shows at its end, and {kind} needs "
                        "it from the start.",
                        kind=type(lr_schedule).__name__,
                    ),
                    expected=error.expected,
                    got=error.got,
                    fix=error.fix,
                ) from error
        elif (
            lr_schedule.total_steps is not None
            and lr_schedule.total_steps < done + total
        ):
            raise ArgumentError(
                _("The learning-rate schedule ends before the run does."),
                expected=f"total_steps ≥ {done + total}",
                got=_(
                    "total_steps={total_steps}, of which {done} are done",
                    total_steps=lr_schedule.total_steps,
                    done=done,
                ),
                fix=_(
                    "resume() finishes an interrupted run; for a new run make "
                    "a new Trainer whose schedule has total_steps=None or the "
                    "right number"
                ),
            )


def extended(
    plan: Plan, epochs: Any, state: RunState, optimizer: RuleOptimizer
) -> Plan:
    """Return the plan of a resumed run with a new total number of epochs.

    Raises:
        ArgumentError: fewer epochs than it has done; a schedule that was planned for
            another length.
    """
    epochs = whole("epochs", epochs)
    done, each = state.epoch - plan.first, plan.updates_per_epoch
    longer = replace(plan, epochs=epochs)
    if epochs == plan.epochs:
        return longer
    if epochs <= done:
        raise ArgumentError(
            _("A run ends behind the epochs that it has done."),
            expected=f"epochs > {done}",
            got=f"epochs={epochs}",
            fix=_(
                "ask for {done} or more, counted from the start of the run",
                done=done + 1,
            ),
        )
    if each is None:
        return longer
    first = optimizer.steps - plan.updates(state.step) - done * each
    before, after = plan.epochs * each, epochs * each
    for lr_schedule in optimizer.schedules():
        end = lr_schedule.total_steps
        if end is not None and (end == first + before or end < first + after):
            raise ArgumentError(
                ngettext(
                    "The learning rate was planned for {n} epoch: each step of {kind} "
                    "so far depends on that.",
                    "The learning rate was planned for {n} epochs: each step of {kind} "
                    "so far depends on that.",
                    n=plan.epochs,
                    kind=type(lr_schedule).__name__,
                ),
                expected=_("epochs={epochs}, as the run was begun", epochs=plan.epochs),
                got=f"epochs={epochs}",
                fix=ngettext(
                    "begin a new run of {n} epoch, or give these weights to a Trainer "
                    "with a constant rate, whose runs can go on",
                    "begin a new run of {n} epochs, or give these weights to a Trainer "
                    "with a constant rate, whose runs can go on",
                    n=epochs,
                ),
            )
    return longer


def monitored(
    who: str, monitor: str, columns: Mapping[str, str | None], mode: str | None = ""
) -> None:
    """Refuse to monitor a quantity that a run's history will not contain.

    Args:
        who: the class that does.
        monitor: the key of the column.
        columns: the keys, each with what is better: ``"max"``, ``"min"``, or None.
        mode: what was said about that; None for nothing, which a function as a metric
            needs.
    """
    if monitor in columns:
        if columns[monitor] is not None or mode is not None:
            return
        raise ArgumentError(
            _(
                "Nobody has said whether more of {monitor!r} is better.",
                monitor=monitor,
            ),
            expected='mode="min" or mode="max"',
            got=_("a function as a metric, and no mode"),
            fix=f'{who}({monitor!r}, mode="min")',
        )
    fix = did_you_mean(monitor, columns, "monitor='train_loss'")
    if monitor.startswith("validation_") and "validation_loss" not in columns:
        fix = _("pass validation=… to fit, or monitor='train_loss'")
    raise ArgumentError(
        _(
            "{who} cannot watch {monitor!r:.80}: the run does not measure it.",
            who=who,
            monitor=monitor,
        ),
        expected=_("one of {columns}", columns=", ".join(columns)),
        got=f"{monitor!r:.80}",
        fix=fix,
    )


def monitors(optimizer: RuleOptimizer, columns: Mapping[str, str | None]) -> None:
    """Refuse a schedule that monitors a quantity which the run does not measure."""
    for lr_schedule in optimizer.schedules():
        monitor = getattr(lr_schedule, "monitor", None)
        if isinstance(monitor, str):
            monitored(type(lr_schedule).__name__, monitor, columns)
            if columns[monitor] == "max" and lr_schedule.mode == "min":
                warn(
                    _(
                        "{kind} would reduce the rate while {monitor} improves: "
                        "more of it is better.",
                        kind=type(lr_schedule).__name__,
                        monitor=monitor,
                    ),
                    expected='mode="max"',
                    got='mode="min"',
                    fix=f'monitor="{monitor}", mode="max"',
                )


def same_data(plan: Plan, data: Dataset | Stream, checksum: int) -> None:
    """Refuse to resume a run on other data than it was started with."""
    streams = isinstance(data, Stream)
    rows = None if streams else len(data)
    if streams != (plan.block is not None):
        got, was = (
            (_("a stream"), _("a data set"))
            if streams
            else (_("a data set"), _("a stream"))
        )
    elif checksum == plan.checksum and (streams or rows == plan.rows):
        return
    else:
        was, got = (
            _("the CRC-32 {checksum:08x}", checksum=plan.checksum),
            f"{checksum:08x}",
        )
        if rows is not None and plan.rows is not None:
            was, got = (
                ngettext(
                    "{n} row with {was}", "{n} rows with {was}", n=plan.rows, was=was
                ),
                ngettext("{n} row with {got}", "{n} rows with {got}", n=rows, got=got),
            )
    raise ArgumentError(
        _("A run resumes exactly only on the data that it was trained on."),
        expected=was,
        got=got,
        fix=_(
            "pass the same training data in the same order; for other data "
            "start a new run with fit()"
        ),
    )


def suitable(data: Dataset | Stream, model: Module, loss: Any, batch_size: int) -> None:
    """Warn, before a run, of features and targets that do not suit the model.

    Of a stream only the types are looked at, of several inputs nothing.
    """
    of = kinds(data)
    if of.x != "x" or of.y != "y":
        return
    row = of.types["x"].shape
    if isinstance(data, Dataset) and first_use(model, row) is not Use.INDICES:
        sanity_checks.warn_of(data, model, loss)
    if batch_size > 1 or len(row) != 1:
        return
    for path, module in model.named_modules():
        if isinstance(module, nn.BatchNorm1d):
            warn(
                _(
                    "BatchNorm1d '{path}' normalises over the batch, and batches "
                    "of one sample have no variance: its output is β whatever the "
                    "input.",
                    path=path,
                ),
                expected=_("batch_size of 2 or more"),
                got="batch_size=1",
                fix=_("a larger batch_size, or nn.LayerNorm"),
            )


def same_scale(trained: Mapping[str, float] | None, data: Rows) -> None:
    """Warn of unscaled integer features where the training data were scaled."""
    of = kinds(data)
    for name, scale in (trained or {}).items():
        kind = of.types.get(name)
        if kind is None or name in of.scales or not kind.dtype.is_integer:
            continue
        warn(
            _("The training data were scaled, and these are not."),
            expected=_(
                "scale={trained}, or features that are scaled already", trained=scale
            ),
            got=_("{stored} and no scale", stored=kind.dtype.numpy),
            fix=_(
                "cr.data.Dataset(x, y, scale={trained}), or for predict "
                "cr.data.Column(x, scale={trained})",
                trained=scale,
            ),
        )


def unweighted(*weights: Any) -> None:
    """Refuse weights of rows where a transform makes others of them."""
    if any(weight is not None for weight in weights):
        raise ArgumentError(
            _("A row that batch_transform has changed has no weight of its own."),
            expected=_("a run without sample_weight and class_weight"),
            got=_("weights, and batch_transform"),
            fix=_("leave one of them out"),
        )


def accumulation(batches: Any, size: int, rows: int | None, drop_last: bool) -> int:
    """Return how many batches make up an update, checked.

    Raises:
        ArgumentError: no count; more rows than there are, where smaller updates are
            left out.
    """
    count = whole("accumulate_grad_batches", batches)
    if drop_last and rows is not None and count * size > rows:
        raise ArgumentError(
            _("No update would be made: the only one is smaller, and left out."),
            expected=ngettext(
                "up to {n} row an update", "up to {n} rows an update", n=rows
            ),
            got=f"accumulate_grad_batches={count}, batch_size={size}",
            fix=_("drop_last=False, or fewer batches an update"),
        )
    return count


def batch_size_of(loader: Any, asked: int | None) -> int | None:
    """Return the batch size of a loader, which a Trainer takes over.

    Raises:
        ArgumentError: another one was passed too.
    """
    if loader.batch_size is not None and asked not in (32, loader.batch_size):
        raise ArgumentError(
            _("The loader says how large a batch is."),
            expected=f"batch_size={loader.batch_size}",
            got=f"batch_size={asked!r:.40}",
            fix=_("leave it out of fit(…)"),
        )
    return asked if loader.batch_size is None else loader.batch_size
