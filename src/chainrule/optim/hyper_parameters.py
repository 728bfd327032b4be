"""The hyper-parameters of an optimiser, as attributes that traces can read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY
from functools import partial
from types import MappingProxyType
from typing import Any, cast

from chainrule.compilation.guards.fingerprints import fingerprint
from chainrule.compilation.scalars import Scalar
from chainrule.graph.context import context
from chainrule.graph.types import DType
from chainrule.optim.arguments import Declared, limit, names_of, option
from chainrule.optim.groups import LIMITS, ParamGroup, select_options
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import as_schedule
from chainrule.tensor import Tensor
from chainrule.util.blocks import Block
from chainrule.util.validation import count, maybe, number

Options = Mapping[str, Any]
#: The types that ``params=`` takes.
Params = Iterable[Tensor | tuple[str, Tensor] | str | Mapping[str, Any]]
#: A learning rate, a schedule, or the settings of one.
Rate = float | Schedule | Mapping[str, Any]


class _Arguments(Declared):
    """The common arguments of all optimisers: parameters, rate, clipping limits."""

    params: Params | None = None
    lr: Rate = option(default=1e-3, check=lambda name, lr: as_schedule(lr))
    _: KW_ONLY
    maximize: bool = False
    clip_norm: float | None = option(default=None, check=maybe(limit))
    clip_value: float | None = option(default=None, check=maybe(limit))
    l1_penalty: float | None = option(
        default=None, check=maybe(partial(number, least=0))
    )


class HyperParameters(_Arguments, ABC):
    """Base class of optimisers: hyper-parameters, schedules, number of updates.

    The values live in ``defaults`` and, where a group has its own, in its ``own``. A
    function that reads one while it is traced is traced anew where it has changed.
    """

    # Without an annotation, for it is no argument.
    param_groups = cast("Sequence[ParamGroup]", ())

    # -- what an optimiser defines -----------------------------------------------------

    def check(self, o: Options) -> None:
        """Refuse an optimiser's hyper-parameters that contradict each other."""

    @abstractmethod
    def form(self, o: Options) -> Any:
        """Return the key of the compiled form of an optimiser's update."""

    @abstractmethod
    def renew_moments(self) -> None:
        """Create or remove an optimiser's moments, as its hyper-parameters require."""

    # -- reading -----------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        """Return an optimiser's hyper-parameter as its attribute."""
        defaults: Mapping[str, Any] = vars(self).get("defaults", {})
        if name not in defaults:
            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}")
        self.note_read(partial(defaults.get, name))
        return defaults[name]

    @property
    def lr(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The learning rate of the optimiser's next update.

        A number or a schedule may be set. A schedule is a function of the optimiser's
        updates: one that is set after 100 of them goes on from update 100.
        """
        traced = self.traced_scalar("own.rate", DType.float32)
        return self.defaults["lr"](self.steps) if traced is None else traced

    @lr.setter
    def lr(self, rate: Rate) -> None:
        self.defaults["lr"] = rate

    @property
    def schedule(self) -> Schedule:
        """The optimiser's learning-rate schedule, η by the number of the update."""
        self.note_read(lambda: fingerprint(self.defaults["lr"]))
        return self.defaults["lr"]

    @schedule.setter
    def schedule(self, schedule: Rate) -> None:
        self.lr = schedule

    @property
    def steps(self) -> int:
        """The number of updates that the optimiser has done."""
        if context.trace is None:
            return vars(self)["steps"]
        traced = self.traced_scalar("number", DType.int64)
        return vars(self)["steps"] if traced is None else traced

    @steps.setter
    def steps(self, steps: int) -> None:
        self.set_steps(count("steps", steps))

    def set_steps(self, steps: int) -> None:
        """Set the optimiser's number of updates, without a check."""
        vars(self)["steps"] = steps

    def traced_scalar(self, key: str, dtype: DType) -> Any:
        """Return, while tracing, a scalar of the optimiser's next update.

        None where there is no such trace: then the number is known.
        """
        trace = context.trace
        if trace is None or trace.is_new(self):
            return None
        value = trace.tabulated(self, key, DType.float64)
        return None if value is None else Scalar(value, dtype)

    @property
    def options(self) -> Options:
        """The optimiser's default hyper-parameters, without the learning rate."""
        self.note_read(self._options)
        return MappingProxyType(self._options())

    def _options(self) -> dict[str, Any]:
        return select_options(self, self.defaults)

    # -- changing ----------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("params", "lr") or name not in names_of(type(self)):
            super().__setattr__(name, value)
            return
        self.refuse_in_trace(name)
        with self.changing():
            self.defaults[name] = self.checked(name, value)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Apply an optimiser's hyper-parameter changes in the block together, or none.

        Where they do not fit, all of them are restored.
        """
        self.refuse_in_trace("param_groups")
        stores = [self.defaults, *(group.own for group in self.param_groups)]
        saved, before = [dict(store) for store in stores], self._forms()
        try:
            yield
            for group in self.param_groups:
                self.check(group.current())
            if self._forms() != before:
                self.renew_moments()
        except BaseException:
            for store, values in zip(stores, saved, strict=True):
                store.clear()
                store.update(values)
            raise

    def _forms(self) -> list[Any]:
        limited = [self.defaults.get(name) is not None for name in LIMITS]
        return [(limited, self.form(group.current())) for group in self.param_groups]

    # -- schedules ---------------------------------------------------------------------

    def schedules(self) -> list[Schedule]:
        """Return the learning-rate schedules of all parameter groups, each once."""
        schedules = [self.schedule, *(group.schedule for group in self.param_groups)]
        return list({id(schedule): schedule for schedule in schedules}.values())

    def bind_schedules(
        self,
        total_steps: int | None,
        steps_per_epoch: int | None = None,
        *,
        first: int | None = None,
    ) -> None:
        """Set the run's length in all learning-rate schedules (``Schedule.bind``)."""
        self.refuse_in_trace("bind_schedules")
        first = self.steps if first is None else first
        for schedule in self.schedules():
            schedule.bind(total_steps, steps_per_epoch, first=first)

    def observe(self, row: Mapping[str, Any]) -> None:
        """Pass an epoch's results to all learning-rate schedules."""
        self.refuse_in_trace("observe")
        for schedule in self.schedules():
            schedule.observe(row)

    def rewound(self) -> Block:
        """Set the optimiser's number of updates to 0 within the block, then restore."""
        self.refuse_in_trace("steps")
        return _Rewound(self)


class _Rewound(Block):
    """The block of :meth:`HyperParameters.rewound`."""

    def __init__(self, optimizer: HyperParameters) -> None:
        self.optimizer = optimizer

    def saved(self) -> tuple[int, list[tuple[dict[str, Any], dict[str, Any]]]]:
        schedules = self.optimizer.schedules()
        return self.optimizer.steps, [(vars(s), dict(vars(s))) for s in schedules]

    def change(self) -> None:
        self.optimizer.set_steps(0)

    def undo(self, saved: tuple[int, list[tuple[Any, Any]]]) -> None:
        steps, schedules = saved
        self.optimizer.set_steps(steps)
        for attributes, before in schedules:
            attributes.clear()
            attributes.update(before)
