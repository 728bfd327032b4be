"""The base class of optimisers: parameters, groups, the update step, settings.

An optimiser is a rule (a region of ``chainrule.regions.updates``), its moments and the
scalars of a step. What depends on the step alone (the schedule, Adam's bias correction)
is tabulated in float64 and comes in as scalars, and so do all other hyper-parameters:
changing them recompiles nothing.
"""

from __future__ import annotations

import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from chainrule.compilation.guards.fingerprints import fingerprint
from chainrule.compilation.scalars import Scalar
from chainrule.errors import GradientError
from chainrule.graph.build import constant, context, no_grad, recording, role, scope
from chainrule.graph.node import Value
from chainrule.graph.primitive import as_tuple
from chainrule.graph.types import DType
from chainrule.optim import state
from chainrule.optim.arguments import ARGUMENTS, names_of
from chainrule.optim.clipping import as_dtype, total_norm
from chainrule.optim.groups import (
    LIMITS,
    ParamGroup,
    Request,
    as_json,
    options_of,
    share_out,
)
from chainrule.optim.hyper_parameters import Arguments, Rate
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import as_schedule
from chainrule.primitives.elementwise import neg
from chainrule.regions import updates
from chainrule.regions.region import Region
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.util.validation import Check, count

Options = Mapping[str, Any]
#: A region, and the names of the moments that it takes.
Rule = tuple[Region, tuple[str, ...]]
#: Gives a scalar of the present update by its name and dtype.
Supply = Callable[[str, DType], Any]


@functools.lru_cache(maxsize=64)
def _asked(keys: frozenset[str]) -> tuple[list[str], bool]:
    """Return the rates among ``keys``, and whether other scalars are required."""
    rates = [key for key in keys if key.endswith("rate")]
    return rates, not keys or len(keys) > len(rates) + ("number" in keys)


#: Version numbers for the parameters and rules of optimisers, each used once.
_versions = itertools.count()


class Optimizer(Arguments, ABC):
    """Base class of the optimisers.

    An optimiser declares its own arguments as a dataclass declares its fields; they are
    its options, and each has its check in ``chainrule.optim.arguments``.

    Args:
        params: the parameters: an iterable of tensors (``model.parameters()``) or of
            pairs with their names (``model.named_parameters()``), or a list of groups
            as in PyTorch, ``{"params": […], "lr": …}``, where names and patterns may
            stand for tensors. It may be left out where a Trainer supplies the
            parameters.
        lr: the learning rate η, a number or a schedule.
        betas: (β₁, β₂), each in [0, 1).
        eps: ε ≥ 0.
        weight_decay: λ ≥ 0, the weight of an L2 penalty λ‖θ‖²/2: g ← g + λθ.
        decoupled_weight_decay: let θ shrink instead, θ ← (1 − ηλ)θ, as AdamW does.
        maximize: climb instead of descending: g ← −g.
        clip_norm: the largest norm that all gradients together may have, or None.
        clip_value: the largest magnitude that an element of a gradient may have, or
            None. Where both are given values are clipped first: then one infinite
            element does not decide the norm, and the result keeps both limits.

    Attributes:
        steps: how many updates have been made; t of an update rule is steps + 1 for all
            parameters (PyTorch counts each parameter's own updates, which differs only
            where a parameter is without a gradient for some of them).
        schedule: η as a function of the update.
        options: the hyper-parameters that groups do not set otherwise; attributes too.
        param_groups: the groups, see :class:`ParamGroup`.
        params: the parameters by name.
        state: for each parameter's name its moments, tensors like any other state.

    Every hyper-parameter can be changed between two updates without compiling anew
    (``optimizer.lr = 0.01``, ``optimizer.momentum = 0.95``,
    ``optimizer.param_groups[0]["momentum"] = 0.95``). What switches a part of the rule
    on or off (momentum from 0 to 0.9) has a function of ``cr.compile`` traced anew.

    In a compiled function they are read, and not changed: ``optimizer.lr``,
    ``param_groups[0]["lr"]`` and ``optimizer.steps`` are numbers of the graph, which
    are right at each call and in front of each of several steps; where the function
    has read another hyper-parameter, it is traced anew when that has changed. A step
    that is refused, eagerly or compiled, changes neither parameters nor moments, and
    is not counted.

    Raises:
        ArgumentError: no parameters, a hyper-parameter outside of its range, an
            unknown option, a pattern that fits nothing; a change within a function
            that is traced.

    >>> from chainrule import nn, optim
    >>> model = nn.Linear(2, 1)
    >>> optimizer = optim.AdamW([{"params": "bias", "weight_decay": 0.0},
    ...                          {"params": model.named_parameters()}], lr=1e-3)
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.0, 0.01]
    """

    checks: ClassVar[Mapping[str, Check]] = {
        **ARGUMENTS,
        "lr": lambda name, rate: as_schedule(rate),
    }
    #: Whether weight decay lets θ shrink where no option says it.
    decoupled: ClassVar[bool] = False

    def __post_init__(self) -> None:
        given: Any = self._params
        request, self._all = Request(type(self).__name__, given), given is None
        self.flat, self.by_name = request.flat, not request.given
        self.steps, self.params = 0, {}
        self._state: dict[str, dict[str, Tensor]] = {}
        self._version = next(_versions)
        self.param_groups = [
            ParamGroup(self, f"group{i}." if i else "", wanted, own)
            for i, (wanted, own) in enumerate(request.groups)
        ]
        for group in self.param_groups:
            self.check(group.held())
        named = request.named()
        if named is not None:
            self.attach_parameters(named)

    # -- what an optimiser defines -----------------------------------------------------

    @abstractmethod
    def rule(self, o: Options) -> Rule:
        """Return the update region (θ, g, moments…, scalars…) → …, and moment names."""

    @abstractmethod
    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        """Return the rule's scalars at update ``step`` (from 1), in float64."""

    def initial(self, o: Options) -> float:
        """Return the initial value of the moments."""
        return 0.0

    def check(self, o: Options) -> None:
        """Refuse options that contradict each other."""

    def form(self, o: Options) -> tuple[Region, tuple[str, ...], str | None, bool]:
        """Return the options that fix the compiled form of a step, not its numbers.

        Returns:
            The rule, its moments, how θ decays, and whether it climbs.
        """
        shrinks = o.get("decoupled_weight_decay", self.decoupled)
        decay = ("keep" if shrinks else "penalty") if o.get("weight_decay") else None
        return *self.rule(o), decay, o.get("maximize", False)

    # -- its parameters ----------------------------------------------------------------

    @property
    def params(self) -> Mapping[str, Tensor]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The parameters by name."""
        self._note_parts()
        return MappingProxyType(self._params)

    @params.setter
    def params(self, given: Any) -> None:
        self._params = given

    def attach_parameters(
        self, named: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]
    ) -> None:
        """Take a model's parameters and names into the optimiser.

        An optimiser that has parameters keeps them, with their moments, and learns
        their names.

        Args:
            named: all parameters of the model: ``model.named_parameters()``.

        Raises:
            ArgumentError: the optimiser has parameters that are not among them, or a
                pattern of a group fits none of them.
        """
        self.refuse_in_trace("attach_parameters")
        named, held = dict(named), self._params
        moments = {id(p): self._state[name] for name, p in held.items()}
        wanted = [
            [(name, held[name]) for name in group.names] if held else group.wanted
            for group in self.param_groups
        ]
        shares = share_out(wanted, named)
        mine = {name for share in shares for name in share}
        self.params = {name: p for name, p in named.items() if name in mine}
        self._state = {name: moments.get(id(p), {}) for name, p in self.params.items()}
        self._all = len(mine) == len(named)
        for group, share in zip(self.param_groups, shares, strict=True):
            group.names = share
        self._renew_moments()

    def _renew_moments(self) -> None:
        """Create or remove moments as the current options require."""
        made: dict[str, dict[str, Tensor]] = {name: {} for name in self.params}
        for group in self.param_groups:
            start, moments = self.initial(group.held()), self.rule(group.held())[1]
            for name in group.names:
                p, old = self.params[name], self._state[name]
                for moment in moments:
                    t = old.get(moment)
                    if t is None:
                        t = Tensor(np.full(p.shape, start, p.dtype.numpy))
                    t.name = f"{name}.{moment}"
                    made[name][moment] = t
        self._state = made
        self._version = next(_versions)

    @property
    def state(self) -> Mapping[str, Mapping[str, Tensor]]:
        """The moments of each parameter by its name; change one with ``copy_``."""
        self._note_parts()
        moments = {name: MappingProxyType(m) for name, m in self._state.items()}
        return MappingProxyType(moments)

    def _note_parts(self) -> None:
        """Note that the trace depends on the current parameters and update rule."""
        self.note_read(partial(getattr, self, "_version"))

    # -- its hyper-parameters ----------------------------------------------------------

    @property
    def lr(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The learning rate of the next update.

        A number or a schedule may be set. A schedule is a function of the optimiser's
        updates: one that is set after 100 of them goes on from update 100.
        """
        traced = self.traced("own.rate", DType.float32)
        return vars(self)["lr"](self.steps) if traced is None else traced

    @lr.setter
    def lr(self, rate: Rate) -> None:
        vars(self)["lr"] = rate

    @property
    def schedule(self) -> Schedule:
        """The learning rate η as a function of the update number."""
        self.note_read(lambda: fingerprint(vars(self)["lr"]))
        return vars(self)["lr"]

    @schedule.setter
    def schedule(self, schedule: Rate) -> None:
        self.lr = schedule

    @property
    def steps(self) -> int:
        """The number of updates made."""
        if context.trace is None:
            return vars(self)["steps"]
        traced = self.traced("number", DType.int64)
        return vars(self)["steps"] if traced is None else traced

    @steps.setter
    def steps(self, steps: int) -> None:
        self.stand(count("steps", steps))

    def stand(self, steps: int) -> None:
        """Set the number of updates made."""
        vars(self)["steps"] = steps  # no hyper-parameter, whose change is checked

    def traced(self, key: str, dtype: DType) -> Any:
        """Return, while tracing, a scalar of the next update; None otherwise.

        None where there is no such trace: then the number is known.
        """
        trace = context.trace
        if trace is None or trace.is_new(self):
            return None
        value = trace.tabulated(self, key, DType.float64)
        return None if value is None else Scalar(value, dtype)

    @property
    def options(self) -> Options:
        """The default hyper-parameters of all groups, without the rate."""
        self.note_read(self._options)
        return MappingProxyType(self._options())

    def _options(self) -> dict[str, Any]:
        names = options_of(type(self))
        return dict(zip(names, map(vars(self).__getitem__, names)))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("params", "lr") or name not in names_of(type(self)):
            super().__setattr__(name, value)
            return
        self.refuse_in_trace(name)
        with self.changing():
            super().__setattr__(name, value)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Apply all hyper-parameter changes of the block together, or none.

        Where they do not fit, all of them are restored.
        """
        self.refuse_in_trace("param_groups")
        groups: Sequence[ParamGroup] = vars(self).get("param_groups", ())
        owns = [vars(self), *(group.own for group in groups)]
        kept, before = [dict(own) for own in owns], self._forms(groups)
        try:
            yield
            for group in groups:
                self.check(group.held())
            if self._forms(groups) != before:
                self._renew_moments()
        except BaseException:
            for own, then in zip(owns, kept, strict=True):
                own.update(then)
                for name in own.keys() - then.keys():
                    del own[name]
            raise

    def _forms(self, groups: Iterable[ParamGroup]) -> list[Any]:
        limited = [self._limit(name) is not None for name in LIMITS]
        return [(limited, self.form(group.held())) for group in groups]

    def _limit(self, name: str) -> float | None:
        return vars(self).get(name)

    def schedules(self) -> list[Schedule]:
        """Return the schedules of all groups, without repetition."""
        found = [self.schedule, *(group.schedule for group in self.param_groups)]
        return list({id(schedule): schedule for schedule in found}.values())

    def bind_schedules(
        self,
        total_steps: int | None,
        steps_per_epoch: int | None = None,
        *,
        first: int | None = None,
    ) -> None:
        """Set the length of the run in all schedules; see :meth:`Schedule.bind`."""
        self.refuse_in_trace("bind_schedules")
        first = self.steps if first is None else first
        for schedule in self.schedules():
            schedule.bind(total_steps, steps_per_epoch, first=first)

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Reset the number of updates within the block, and restore it after."""
        self.refuse_in_trace("steps")
        held = [(vars(s), dict(vars(s))) for s in self.schedules()]
        steps = self.steps
        try:
            self.stand(0)
            yield
        finally:
            self.stand(steps)
            for now, before in held:
                now.clear()
                now.update(before)

    def observe(self, row: Mapping[str, Any]) -> None:
        """Pass an epoch's results to all schedules; see :meth:`Schedule.observe`."""
        self.refuse_in_trace("observe")
        for schedule in self.schedules():
            schedule.observe(row)

    # -- the step ----------------------------------------------------------------------

    def rows(
        self, steps: int, keys: frozenset[str] = frozenset()
    ) -> dict[str, tuple[float, ...]]:
        """Return the scalars of the next ``steps`` updates by name.

        Args:
            steps: how many.
            keys: their names, where not all of an update are needed. ``number`` is
                that of each, from 0, for who draws random bits in it; η is ``rate``
                behind the prefix of a group, and ``own.rate`` where groups have none.
        """
        numbers = range(first := vars(self)["steps"], first + steps)
        rates, updates = _asked(keys)
        columns: dict[str, tuple[float, ...]] = {}
        if "number" in keys:
            columns["number"] = tuple(numbers)
        if rates:
            of = {f"{group.prefix}rate": group.schedule for group in self.param_groups}
            of["own.rate"] = self.schedule
            for key in rates:
                columns[key] = tuple(map(of[key], numbers))
        if not updates:
            return columns
        for group in self.param_groups:
            if not group.names:
                continue
            o, schedule = group.held(), group.held_schedule()
            rows = map(self._row, numbers, map(schedule, numbers), itertools.repeat(o))
            table = list(rows)
            for key, column in zip(table[0], zip(*map(dict.values, table))):
                columns[group.prefix + key] = column
        own = vars(self)
        for name in LIMITS:
            if (limit := own.get(name)) is not None:
                columns[name] = (limit,) * steps
        return columns

    def _row(self, t: int, lr: float, o: Options) -> dict[str, float]:
        decay = o.get("weight_decay")
        more = {"penalty": decay, "keep": 1 - lr * decay} if decay else {}
        return self.scalars(t + 1, lr, o) | more

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter, after clipping the gradients if requested.

        Parameters without a gradient stay as they are. A step is made whole, or, where
        it is refused, not at all.

        Args:
            closure: computes the loss and calls ``backward()``, where that was not done
                before.

        Returns:
            What ``closure`` returned.

        Raises:
            GradientError: no parameter has a gradient.
        """
        loss = None
        if closure is not None:
            with recording():
                loss = closure()
        gradients = {
            name: p.grad.value for name, p in self._params.items() if p.grad is not None
        }
        if not gradients:
            raise GradientError(
                _("{kind}.step() found no gradients.", kind=type(self).__name__),
                expected=_("a backward() before it"),
                got=_("every .grad is None") if self._params else _("no parameters"),
                fix=_("call loss.backward() first"),
            )
        supply, steps = self._supply()
        changed: list[tuple[Tensor, Value]] = []
        with no_grad(), role("update"):
            if self._limit("clip_value") is not None:
                for name, g in gradients.items():
                    with scope(name.rpartition(".")[0]):
                        limit = supply("clip_value", g.dtype)
                        gradients[name] = updates.clip_value(g, limit)
            factor = None
            if self._limit("clip_norm") is not None:
                norm = total_norm(list(gradients.values()))
                factor = updates.clip_factor(norm, supply("clip_norm", norm.dtype))
            for group in self.param_groups:
                changed += self._updated(group, gradients, factor, supply)
            try:
                self._put(changed, steps)
            except BaseException:  # whatever interrupts it
                self._put(changed, steps)
                raise
        return loss

    def _put(self, changed: Iterable[tuple[Tensor, Value]], steps: int) -> None:
        """Assign the new values of a step, and set the number of updates."""
        for tensor, value in changed:
            tensor.copy_(wrap(value))
        self.stand(steps)

    def _updated(
        self,
        group: ParamGroup,
        gradients: Mapping[str, Value],
        factor: Value | None,
        supply: Supply,
    ) -> Iterator[tuple[Tensor, Value]]:
        """Yield a group's parameters and their moments, each with its new value."""
        o = group.held()
        rule, __, decay, climbs = self.form(o)
        keys = list(self.scalars(1, 1.0, o))
        for name in (name for name in group.names if name in gradients):
            p, moments = self._params[name], self._state[name]
            with scope(name.rpartition(".")[0]):
                values = [p.value, gradients[name]]
                values += [t.value for t in moments.values()]
                values += [supply(group.prefix + key, p.dtype) for key in keys]
                front: dict[str, Value] = {}
                if factor is not None:
                    s = as_dtype(factor, p.dtype)
                    front["scale"] = neg(s) if climbs else s
                elif climbs:
                    front["scale"] = constant(-1.0, p.dtype)
                if decay is not None:
                    front[decay] = supply(group.prefix + decay, p.dtype)
                if front:
                    given = {"rule": rule.name, "by": " ".join(front)}
                    made = updates.adjusted_update(*values, *front.values(), **given)
                else:
                    made = rule(*values)
            yield from zip((p, *moments.values()), as_tuple(made), strict=True)

    def _supply(self) -> tuple[Supply, int]:
        """Return a function for an update's scalars, and the count of updates after it.

        While tracing it is a table, and whoever runs the graph counts.
        """
        trace, steps = context.trace, vars(self)["steps"]
        if trace is not None and not trace.is_new(self):
            step = trace.note_step(self)
            self._note_parts()
            return partial(trace.tabulated, self, step=step), steps
        row = self.rows(1)

        @functools.cache
        def number(key: str, dtype: DType) -> Value:
            return Value(np.array(row[key][0], dtype.numpy))

        return number, steps + 1

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters, see :meth:`Tensor.zero_grad`."""
        for p in self._params.values():
            p.zero_grad(set_to_none)

    # -- as data -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the optimiser's state, for :meth:`load_state_dict`.

        Returns:
            ``"state"``: for each parameter's name its moments as arrays;
            ``"param_groups"``: for each group the names of its parameters, its options
            (with ``"own"``, the names of those that it does not share) and, where it
            has one of its own, its learning rate; ``"options"``, what groups share;
            ``"steps"``, ``"lr"``, ``"clip_norm"``, ``"clip_value"`` and the name of the
            ``"optimizer"``. Rates are settings of schedules, which hold what those
            have learnt.
        """
        return state.state_dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state that an optimiser's ``state_dict`` returned.

        That optimiser must be of the same kind, with parameters of the same names and
        shapes. Moments, the number of updates, rates and all other hyper-parameters
        get the saved values. If anything does not fit, nothing is changed.

        Raises:
            ArgumentError: it belongs to another optimiser.
            ShapeError: a moment of another shape.

        >>> import chainrule as cr
        >>> from chainrule import nn, optim
        >>> layer = nn.Linear(2, 1)
        >>> old = optim.Adam(layer.parameters(), lr=0.01)
        >>> layer(cr.tensor([[1.0, 2.0]])).sum().backward()
        >>> old.step()
        >>> new = optim.Adam(layer.parameters(), lr=0.1)
        >>> new.load_state_dict(old.state_dict())
        >>> new.steps, new.lr
        (1, 0.01)
        """
        state.load_state_dict(self, state_dict)

    def settings(self) -> dict[str, Any]:
        """Return the hyper-parameters and the schedules' state, JSON-able.

        They are the arguments that make such an optimiser anew, and its name.
        Moments and ``steps`` are not among them.
        """
        self.refuse_in_trace("settings")
        limits = {name: self._limit(name) for name in LIMITS}
        made = {"name": type(self).__name__, "lr": self.schedule.settings()}
        made |= as_json(self.options)
        made |= {k: v for k, v in limits.items() if v is not None}
        groups = [group.settings() for group in self.param_groups]
        if not self.flat:
            made["params"] = groups
        elif not self._all:
            made["params"] = groups[0]["params"]
        return made

    def __repr__(self) -> str:
        n = len(self.param_groups)
        groups = "" if self.flat else f", {n} group{'s' * (n > 1)}"
        return f"{super().__repr__()[:-1]}{groups})"
