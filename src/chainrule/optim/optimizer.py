"""What all optimisers have in common: parameters, groups, the step, settings.

Each update rule is a region (``chainrule.regions.updates``), so it is part of the
step's graph. What depends on the step alone (the schedule, Adam's bias correction) is
tabulated in float64 and comes in as scalars, and so do all other hyper-parameters:
changing them recompiles nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, GradientError
from chainrule.graph.build import context, no_grad, role, scope
from chainrule.graph.node import Array, Value
from chainrule.graph.types import DType
from chainrule.optim import state
from chainrule.optim.checks import above_zero
from chainrule.optim.clipping import as_dtype, total_norm, widest
from chainrule.optim.groups import (
    ParamGroup,
    as_json,
    foreign,
    matching,
    name_tensors,
    read_request,
    share_out,
)
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import as_schedule
from chainrule.regions import updates
from chainrule.tensor import Tensor, wrap

#: What ``params=`` may be.
Params = Iterable[Tensor] | Iterable[Mapping[str, Any]] | Iterable[str]
#: A learning rate, a schedule, or the settings of one.
Rate = float | Schedule | Mapping[str, Any]
#: Options by patterns of names, or a list of dictionaries whose "params" are patterns.
Groups = Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]]
#: Gives a scalar of the present update by its name; also by its name and dtype.
Scalars = Callable[[str], Value]
Supply = Callable[[str, DType], Value]


class Optimizer(ABC):
    """Base of the optimisers.

    Args:
        params: the parameters: an iterable of tensors (``model.parameters()``), or a
            list of groups as in PyTorch, ``{"params": […], "lr": …}``. It may be left
            out where a Trainer supplies the parameters; then names and patterns may
            stand for tensors.
        lr: the learning rate η, a number or a schedule.
        options: the other hyper-parameters, by name.
        clip_norm: the largest norm that all gradients together may have, or None.
        clip_value: the largest magnitude that an element of a gradient may have, or
            None. Where both are given values are clipped first: then one infinite
            element does not decide the norm, and the result keeps both limits.
        groups: options for the parameters whose names fit a pattern:
            ``{"*.bias": {"weight_decay": 0.0}}``; the first pattern that fits counts.

    Attributes:
        steps: how many updates have been made; t of an update rule is steps + 1 for all
            parameters (PyTorch counts each parameter's own updates, which differs only
            where a parameter is without a gradient for some of them).
        schedule: η as a function of the update.
        options: the hyper-parameters that groups do not set otherwise.
        param_groups: the groups, see :class:`ParamGroup`; the first one holds what no
            pattern fits.
        params: the parameters by name.
        state: for each parameter's name its moments, tensors like any other state.

    Every hyper-parameter can be changed between two updates without compiling anew
    (``optimizer.lr = 0.01``, ``optimizer.clip_norm = 0.5``,
    ``optimizer.param_groups[0]["momentum"] = 0.95``). What switches a part of the rule
    on or off (momentum from 0 to 0.9) is refused once a compiled step uses it.

    Raises:
        ArgumentError: no parameters, a hyper-parameter outside of its range, an
            unknown option, a pattern that fits nothing.

    >>> from chainrule import nn, optim
    >>> model = nn.Linear(2, 1)
    >>> optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1,
    ...                         groups={"bias": {"weight_decay": 0.0}})
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.1, 0.0]
    """

    def __init__(
        self,
        params: Params | None = None,
        *,
        lr: Rate,
        options: Mapping[str, Any] | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        self.schedule = as_schedule(lr)
        self.options = self.check(dict(options or {}))
        self.steps = 0
        self.params: dict[str, Tensor] = {}
        self.state: dict[str, dict[str, Tensor]] = {}
        self._traced = False
        self._limits: dict[str, float | None] = {"clip_norm": None, "clip_value": None}
        self.clip_norm, self.clip_value = clip_norm, clip_value
        request = read_request(type(self).__name__, params, groups)
        self._universe = request.universe
        self._subset = False
        asked = list(request.groups)
        wanted = [(None, {}), *asked] if request.main else asked
        self.param_groups = [
            ParamGroup(self, f"group{i}." if i else "", names, own)
            for i, (names, own) in enumerate(wanted)
        ]
        tensors = request.tensors()
        if tensors is not None:
            self.bind(name_tensors(tensors))

    # -- its parameters ----------------------------------------------------------------

    def bind(self, params: Mapping[str, Tensor]) -> None:
        """Take charge of these parameters, with fresh moments.

        Raises:
            ArgumentError: a pattern of a group that fits none of them.
        """
        if self._universe is not None:
            names = {n for wanted in self._universe for n in matching(wanted, params)}
            self._subset = len(names) < len(params)
            params = {name: p for name, p in params.items() if name in names}
        shares = share_out(self.param_groups, params)
        held = {name for share in shares for name in share}
        for group, share in zip(self.param_groups, shares, strict=True):
            group.tensors = [params[name] for name in share]
        self.params = {name: p for name, p in params.items() if name in held}
        self.state = {name: {} for name in self.params}
        for group in self.param_groups:
            self.renew_moments(group)

    def adopt(self, named: Mapping[str, Tensor]) -> None:
        """Take charge of a model's parameters, under the model's names.

        An optimiser that has parameters keeps them, with their moments, and learns
        their names.

        Args:
            named: all parameters of the model by name.

        Raises:
            ArgumentError: the optimiser has parameters that are not among them, or a
                pattern of a group fits none of them.
        """
        if not self.params:
            self.bind(named)
            return
        names = {id(p): name for name, p in named.items()}
        if any(id(p) not in names for p in self.params.values()):
            raise foreign(", ".join(self.params))
        renamed = {old: names[id(p)] for old, p in self.params.items()}
        self.params = {renamed[old]: p for old, p in self.params.items()}
        self.state = {renamed[old]: m for old, m in self.state.items()}
        self._subset = len(self.params) < len(named)
        for name, moments in self.state.items():
            for moment, t in moments.items():
                t.name = f"{name}.{moment}"

    def renew_moments(self, group: ParamGroup) -> None:
        """Give the parameters of a group the moments that its options ask for."""
        wanted = self.moments(group.options)
        mine = {id(t) for t in group.tensors}
        for name, p in self.params.items():
            if id(p) not in mine:
                continue
            old, self.state[name] = self.state[name], {}
            for moment in wanted:
                t = old.get(moment)
                if t is None:
                    start = self.initial(moment, group.options)
                    t = Tensor(np.full(p.shape, start, p.dtype.numpy))
                t.name = f"{name}.{moment}"
                self.state[name][moment] = t

    # -- its hyper-parameters ----------------------------------------------------------

    @property
    def lr(self) -> float:
        """The learning rate of the next update.

        A number or a schedule may be set. A schedule is a function of the optimiser's
        updates: one that is set after 100 of them goes on from update 100.
        """
        return self.schedule(self.steps)

    @lr.setter
    def lr(self, rate: Rate) -> None:
        self.schedule = as_schedule(rate)

    @property
    def clip_norm(self) -> float | None:
        """The largest norm of all gradients together; None: no limit."""
        return self._limits["clip_norm"]

    @clip_norm.setter
    def clip_norm(self, limit: float | None) -> None:
        self._limits["clip_norm"] = self.checked_limit("clip_norm", limit)

    @property
    def clip_value(self) -> float | None:
        """The largest magnitude of an element of a gradient; None: no limit."""
        return self._limits["clip_value"]

    @clip_value.setter
    def clip_value(self, limit: float | None) -> None:
        self._limits["clip_value"] = self.checked_limit("clip_value", limit)

    def checked_limit(self, name: str, limit: float | None) -> float | None:
        """``clip_norm`` or ``clip_value`` as it would be kept; nothing changes yet."""
        if limit is not None:
            limit = above_zero(name, limit)
        if (limit is None) != (self._limits[name] is None):
            self.refuse_after_tracing(name, limit)
        return limit

    def refuse_after_tracing(self, name: str, value: Any) -> None:
        """Refuse to switch a part of the update on or off that is compiled already."""
        if not self._traced:
            return
        kind = type(self).__name__
        fix = f"make a new {kind} and compile anew"
        if name in self._limits:
            fix += f"; a limit that may come later starts as {kind}(…, {name}=math.inf)"
        raise ArgumentError(
            f"{name} would change the update rule, and a compiled step has it.",
            expected="a number in place of another: values change, parts do not",
            got=f"{name}={value!r}",
            fix=fix,
        )

    def schedules(self) -> list[Schedule]:
        """The schedules of all groups, each once, the optimiser's own first."""
        found = [self.schedule, *(group.schedule for group in self.param_groups)]
        return list({id(schedule): schedule for schedule in found}.values())

    def bind_schedules(
        self,
        total_steps: int | None,
        steps_per_epoch: int | None = None,
        *,
        first: int | None = None,
    ) -> None:
        """Tell all schedules how long the run will be; see :meth:`Schedule.bind`."""
        first = self.steps if first is None else first
        for schedule in self.schedules():
            schedule.bind(total_steps, steps_per_epoch, first=first)

    def observe(self, row: Mapping[str, Any]) -> None:
        """Tell all schedules about an epoch; see :meth:`Schedule.observe`."""
        for schedule in self.schedules():
            schedule.observe(row)

    # -- what a rule defines -----------------------------------------------------------

    #: Options that are numbers in the rule and never decide which parts it has.
    numbers: tuple[str, ...] = ()

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options as they are kept; what is out of range is refused."""
        return options

    def moments(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the moments that a parameter with these options has."""
        return ()

    def initial(self, moment: str, options: Mapping[str, Any]) -> float:
        """What a moment is filled with before the first update."""
        return 0.0

    @abstractmethod
    def scalars(
        self, step: int, lr: float, options: Mapping[str, Any]
    ) -> dict[str, float]:
        """The scalars of update number ``step`` (from 1) in float64."""

    @abstractmethod
    def update(
        self,
        p: Value,
        g: Value,
        moments: Mapping[str, Value],
        options: Mapping[str, Any],
        s: Scalars,
        scale: Value | None,
    ) -> tuple[Value, dict[str, Value]]:
        """The new parameter and moments, as graph values.

        Args:
            p: the parameter.
            g: its gradient.
            moments: its moments by name.
            options: what decides the form of the rule. Their numbers come from ``s``.
            s: gives a scalar by its name, one of :meth:`scalars`.
            scale: the factor by which the gradient is clipped, or None.
        """

    # -- the step ----------------------------------------------------------------------

    def rows(self, steps: int) -> dict[str, Array]:
        """The scalars of the next ``steps`` updates, and move on."""
        first = self.steps
        columns: dict[str, Array] = {}
        for group in self.param_groups:
            if not group.tensors:
                continue
            rate, options = group.schedule, group.options
            table = [
                self.scalars(t + 1, rate(t), options)
                for t in range(first, first + steps)
            ]
            for key in table[0]:
                column = np.array([row[key] for row in table])
                columns[group.prefix + key] = column
        limits = {k: v for k, v in self._limits.items() if v is not None}
        self.steps += steps
        return columns | {k: np.full(steps, v) for k, v in limits.items()}

    def step(self) -> None:
        """Clip the gradients where that is asked for, and change every parameter.

        Parameters without a gradient stay as they are.

        Raises:
            GradientError: no parameter has a gradient.
        """
        with_grad = {
            name: (p, p.grad.value)
            for name, p in self.params.items()
            if p.grad is not None
        }
        if not with_grad:
            raise GradientError(
                f"{type(self).__name__}.step() found no gradients.",
                expected="a backward() before it",
                got="every .grad is None" if self.params else "no parameters",
                fix="call loss.backward() first",
            )
        supply = self._supply()
        group_of = {id(t): g for g in self.param_groups for t in g.tensors}
        with no_grad(), role("update"):
            gradients = {
                n: self._limited(n, g, supply) for n, (_, g) in with_grad.items()
            }
            factor = self._factor(list(gradients.values()), supply)
            for name, (p, _) in with_grad.items():
                self._change(name, gradients[name], group_of[id(p)], factor, supply)

    def _change(
        self,
        name: str,
        g: Value,
        group: ParamGroup,
        factor: Value | None,
        supply: Supply,
    ) -> None:
        """Change one parameter and its moments."""
        p, moments = self.params[name], self.state[name]

        def scalar(key: str) -> Value:
            return supply(group.prefix + key, p.dtype)

        with scope(name.rpartition(".")[0]):
            scale = None if factor is None else as_dtype(factor, p.dtype)
            held = {k: t.value for k, t in moments.items()}
            new, changed = self.update(p.value, g, held, group.options, scalar, scale)
        p.copy_(wrap(new))
        for k, value in changed.items():
            moments[k].copy_(wrap(value))

    def _limited(self, name: str, g: Value, supply: Supply) -> Value:
        """The gradient of one parameter, clipped by value."""
        if self.clip_value is None:
            return g
        with scope(name.rpartition(".")[0]):
            return updates.clip_value(g, supply("clip_value", g.dtype))

    def _factor(self, gradients: list[Value], supply: Supply) -> Value | None:
        """What clipping by norm multiplies all gradients by."""
        if self.clip_norm is None:
            return None
        limit = supply("clip_norm", widest(gradients))
        return updates.clip_factor(total_norm(gradients), limit)

    def _supply(self) -> Supply:
        """Where the scalars come from: a table while tracing, numbers otherwise."""
        tabulated = getattr(context.trace, "tabulated", None)
        if tabulated is not None:
            self._traced = True
            return lambda key, dtype: tabulated(self, key, dtype)
        row = self.rows(1)
        known: dict[tuple[str, DType], Value] = {}

        def number(key: str, dtype: DType) -> Value:
            if (key, dtype) not in known:
                known[key, dtype] = Value(row[key][0].astype(dtype.numpy).reshape(()))
            return known[key, dtype]

        return number

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.params.values():
            p.grad = None

    # -- as data -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that another optimiser needs to go on from here, as copies.

        Returns:
            ``"state"``: for each parameter's name its moments as arrays;
            ``"param_groups"``: for each group the names of its parameters, its options
            and, where it has one of its own, its learning rate; ``"steps"``, ``"lr"``,
            ``"clip_norm"``, ``"clip_value"`` and the name of the ``"optimizer"``. Rates
            are settings of schedules, which hold what those have learnt.
        """
        return state.state_dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where the optimiser was that gave ``state_dict``.

        It was made as this one is, for parameters of the same names and shapes.
        Moments, the number of updates, rates and all other hyper-parameters become
        those of then. Where anything does not fit nothing is changed.

        Raises:
            ArgumentError: it belongs to another optimiser, or would switch a part of
                the rule on or off that a compiled step has.
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
        """The hyper-parameters and the schedules' state, JSON-able.

        They are the arguments that make such an optimiser anew, and its name.
        Moments and ``steps`` are not among them.
        """
        made: dict[str, Any] = {
            "name": type(self).__name__,
            "lr": self.schedule.settings(),
            **as_json(self.options),
        }
        made |= {k: v for k, v in self._limits.items() if v is not None}
        names = {id(p): name for name, p in self.params.items()}
        universe = self._universe or ()
        # Patterns were for the tensors' own names then, which are others in the model.
        resolved = any(isinstance(item, Tensor) for item in universe)
        groups = [
            group.settings(names, resolved)
            for group in self.param_groups
            if group.wanted is not None
        ]
        if len(groups) == len(self.param_groups):
            return made | {"params": groups}
        only_named = [item for item in universe if isinstance(item, str)]
        if self._subset or (only_named and not self.params):
            made["params"] = list(self.params) or only_named
        return made | ({"groups": groups} if groups else {})

    def __repr__(self) -> str:
        lr: Any = self.schedule
        told = {"lr": lr.lr if type(lr) is Schedule else lr, **self.options}
        told |= {k: v for k, v in self._limits.items() if v is not None}
        inner = ", ".join(f"{k}={v!r}" for k, v in told.items())
        more = sum(group.wanted is not None for group in self.param_groups)
        if more:
            inner += f", {more} group{'s' * (more > 1)}"
        return f"{type(self).__name__}({inner})"
