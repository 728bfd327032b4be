"""What all optimisers have in common: parameters, groups, the step, settings.

An optimiser is a rule (a region of ``chainrule.regions.updates``), its moments and the
scalars of a step. What depends on the step alone (the schedule, Adam's bias correction)
is tabulated in float64 and comes in as scalars, and so do all other hyper-parameters:
changing them recompiles nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, GradientError
from chainrule.graph.build import constant, context, no_grad, recording, role, scope
from chainrule.graph.node import Array, Value
from chainrule.graph.primitive import as_tuple
from chainrule.graph.types import DType
from chainrule.optim import state
from chainrule.optim.checks import OPTIONS, above_zero
from chainrule.optim.clipping import as_dtype, total_norm, widest
from chainrule.optim.groups import (
    ParamGroup,
    Request,
    as_json,
    foreign,
    share_out,
)
from chainrule.optim.schedule import Schedule
from chainrule.optim.schedules import as_schedule
from chainrule.primitives.elementwise import neg
from chainrule.regions import updates
from chainrule.regions.region import Region
from chainrule.tensor import Tensor, wrap

#: What ``params=`` may be.
Params = Iterable[Tensor | tuple[str, Tensor] | str | Mapping[str, Any]]
#: A learning rate, a schedule, or the settings of one.
Rate = float | Schedule | Mapping[str, Any]
Options = Mapping[str, Any]
#: A region, and the names of the moments that it takes.
Rule = tuple[Region, tuple[str, ...]]
#: Gives a scalar of the present update by its name and dtype.
Supply = Callable[[str, DType], Value]

LIMITS = state.LIMITS


class _Limit:
    """A limit of the gradients: a number > 0, or None for no limit."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: type) -> float | None:
        return optimizer._limits[self.name]

    def __set__(self, optimizer: Any, limit: float | None) -> None:
        optimizer._limits[self.name] = optimizer.checked_limit(self.name, limit)


class Optimizer(ABC):
    """Base of the optimisers.

    A constructor names its arguments and hands them on, ``super().__init__(params,
    locals())``: those that ``ranges`` knows are the options.

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
        options: the hyper-parameters that groups do not set otherwise.
        param_groups: the groups, see :class:`ParamGroup`.
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
    >>> optimizer = optim.AdamW([{"params": "bias", "weight_decay": 0.0},
    ...                          {"params": model.named_parameters()}], lr=1e-3)
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.0, 0.01]
    """

    #: What gives the value of each option or refuses it.
    ranges: Mapping[str, Callable[[str, Any], Any]] = OPTIONS
    #: Whether weight decay always lets θ shrink.
    decoupled = False
    clip_norm, clip_value = _Limit(), _Limit()

    def __init__(self, params: Params | None, given: Mapping[str, Any]) -> None:
        self.schedule = as_schedule(given["lr"])
        self.options = self.check({k: v for k, v in given.items() if k in self.ranges})
        self.steps = 0
        self.params: dict[str, Tensor] = {}
        self.state: dict[str, dict[str, Tensor]] = {}
        self._traced, self._all = False, params is None
        self._limits: dict[str, float | None] = dict.fromkeys(LIMITS)
        self.clip_norm, self.clip_value = given["clip_norm"], given["clip_value"]
        request = Request(type(self).__name__, params)
        self.flat, self._by_tensor = request.flat, bool(request.given)
        self.param_groups = [
            ParamGroup(self, f"group{i}." if i else "", wanted, own)
            for i, (wanted, own) in enumerate(request.groups)
        ]
        named = request.named()
        if named is not None:
            self._take(named)

    # -- what an optimiser defines -----------------------------------------------------

    @abstractmethod
    def rule(self, o: Options) -> Rule:
        """The region (θ, g, moments…, scalars…) → (θ, moments…), and their names."""

    @abstractmethod
    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        """The rule's scalars at update ``step`` (from 1), in its order, in float64."""

    def initial(self, o: Options) -> float:
        """What moments are filled with before the first update."""
        return 0.0

    def check(self, options: Options) -> dict[str, Any]:
        """The options as they are kept; what is out of range is refused."""
        return {name: self.ranges[name](name, value) for name, value in options.items()}

    def form(self, o: Options) -> tuple[Region, tuple[str, ...], str | None, bool]:
        """What options decide before a step is compiled: all but the numbers.

        Returns:
            The rule, its moments, how θ decays, and whether it climbs.
        """
        shrinks = self.decoupled or o.get("decoupled_weight_decay", False)
        decay = ("keep" if shrinks else "penalty") if o.get("weight_decay") else None
        return *self.rule(o), decay, o.get("maximize", False)

    # -- its parameters ----------------------------------------------------------------

    def _take(self, named: Mapping[str, Tensor]) -> None:
        """Take charge of these parameters, with fresh moments."""
        shares = share_out(self.param_groups, named)
        held = {name for share in shares for name in share}
        for group, share in zip(self.param_groups, shares, strict=True):
            group.names = share
        self.params = {name: p for name, p in named.items() if name in held}
        self.state = {name: {} for name in self.params}
        self._all = len(self.params) == len(named)
        for group in self.param_groups:
            self.renew_moments(group)

    def adopt(self, named: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]) -> None:
        """Take charge of a model's parameters, under the model's names.

        An optimiser that has parameters keeps them, with their moments, and learns
        their names.

        Args:
            named: all parameters of the model: ``model.named_parameters()``.

        Raises:
            ArgumentError: the optimiser has parameters that are not among them, or a
                pattern of a group fits none of them.
        """
        named = dict(named)
        if not self.params:
            self._take(named)
            return
        names = {id(p): name for name, p in named.items()}
        if any(id(p) not in names for p in self.params.values()):
            raise foreign(", ".join(self.params))
        new = {old: names[id(p)] for old, p in self.params.items()}
        self.params = {new[old]: p for old, p in self.params.items()}
        self.state = {new[old]: moments for old, moments in self.state.items()}
        self._all = len(self.params) == len(named)
        for group in self.param_groups:
            group.names = [new[old] for old in group.names]
        for name, moments in self.state.items():
            for moment, t in moments.items():
                t.name = f"{name}.{moment}"

    def renew_moments(self, group: ParamGroup) -> None:
        """Give the parameters of a group the moments that its options ask for."""
        for name in group.names:
            p, old, self.state[name] = self.params[name], self.state[name], {}
            for moment in self.rule(group.options)[1]:
                t = old.get(moment)
                if t is None:
                    start = self.initial(group.options)
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

    def checked_limit(self, name: str, limit: float | None) -> float | None:
        """``clip_norm`` or ``clip_value`` as it would be kept; nothing changes yet."""
        if limit is not None:
            limit = above_zero(name, limit)
        if (limit is None) != (self._limits[name] is None):
            self.refuse_after_tracing({name: limit})
        return limit

    def refuse_after_tracing(self, given: Mapping[str, Any]) -> None:
        """Refuse to switch a part of the update on or off that is compiled already."""
        if not self._traced:
            return
        kind = type(self).__name__
        fix = f"make a new {kind} and compile anew"
        for name in set(given) & set(LIMITS):
            fix += f"; a limit that may come later starts as {kind}(…, {name}=math.inf)"
        raise ArgumentError(
            f"{', '.join(given)} would change the update rule, and a compiled step "
            "has it.",
            expected="a number in place of another: values change, parts do not",
            got=", ".join(f"{name}={value!r}" for name, value in given.items()),
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

    # -- the step ----------------------------------------------------------------------

    def rows(self, steps: int) -> dict[str, Array]:
        """The scalars of the next ``steps`` updates by name, and move on."""
        columns: dict[str, Array] = {}
        for group in self.param_groups:
            if not group.names:
                continue
            table = [
                self._row(t, group.schedule(t), group.options)
                for t in range(self.steps, self.steps + steps)
            ]
            for key in table[0]:
                column = np.array([row[key] for row in table])
                columns[group.prefix + key] = column
        self.steps += steps
        limits = {k: v for k, v in self._limits.items() if v is not None}
        return columns | {k: np.full(steps, v) for k, v in limits.items()}

    def _row(self, t: int, lr: float, o: Options) -> dict[str, float]:
        decay = o.get("weight_decay")
        more = {"penalty": decay, "keep": 1 - lr * decay} if decay else {}
        return self.scalars(t + 1, lr, o) | more

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Clip the gradients where that is asked for, and change every parameter.

        Parameters without a gradient stay as they are.

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
            name: p.grad.value for name, p in self.params.items() if p.grad is not None
        }
        if not gradients:
            raise GradientError(
                f"{type(self).__name__}.step() found no gradients.",
                expected="a backward() before it",
                got="every .grad is None" if self.params else "no parameters",
                fix="call loss.backward() first",
            )
        supply = self._supply()
        with no_grad(), role("update"):
            if self.clip_value is not None:
                for name, g in gradients.items():
                    with scope(name.rpartition(".")[0]):
                        limit = supply("clip_value", g.dtype)
                        gradients[name] = updates.clip_value(g, limit)
            factor = None
            if self.clip_norm is not None:
                every = list(gradients.values())
                limit = supply("clip_norm", widest(every))
                factor = updates.clip_factor(total_norm(every), limit)
            for group in self.param_groups:
                mine = {n: gradients[n] for n in group.names if n in gradients}
                self._update(group, mine, factor, supply)
        return loss

    def _update(
        self,
        group: ParamGroup,
        gradients: Mapping[str, Value],
        factor: Value | None,
        supply: Supply,
    ) -> None:
        """Change the parameters of a group and their moments."""
        rule, _, decay, climbs = self.form(group.options)
        by = ["scale"] * (factor is not None or climbs) + [decay or ""] * bool(decay)
        keys = list(self.scalars(1, 1.0, group.options))
        for name, g in gradients.items():
            p, moments = self.params[name], self.state[name]
            with scope(name.rpartition(".")[0]):
                values = [p.value, g, *(t.value for t in moments.values())]
                values += [supply(group.prefix + key, p.dtype) for key in keys]
                if factor is not None:
                    s = as_dtype(factor, p.dtype)
                    values.append(neg(s) if climbs else s)
                elif climbs:
                    values.append(constant(-1.0, p.dtype))
                if decay is not None:
                    values.append(supply(group.prefix + decay, p.dtype))
                if by:
                    given = {"rule": rule.name, "by": " ".join(by)}
                    made = updates.adjusted_update(*values, **given)
                else:
                    made = rule(*values)
            new, *changed = as_tuple(made)
            p.copy_(wrap(new))
            for moment, value in zip(moments.values(), changed, strict=True):
                moment.copy_(wrap(value))

    def _supply(self) -> Supply:
        """Where the scalars come from: a table while tracing, numbers otherwise."""
        trace = context.trace
        if trace is not None:
            self._traced = True

            def tabulated(key: str, dtype: DType) -> Value:
                value = trace.tabulated(self, key, dtype)
                assert value is not None, "a step belongs to a program with state"
                return value

            return tabulated
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
        # Names that tensors came with may be others in the model.
        groups = [group.settings(self._by_tensor) for group in self.param_groups]
        if not self.flat:
            made["params"] = groups
        elif not self._all:
            made["params"] = groups[0]["params"]
        return made

    def __repr__(self) -> str:
        lr: Any = self.schedule
        told = {"lr": lr.lr if type(lr) is Schedule else lr, **self.options}
        told |= {k: v for k, v in self._limits.items() if v is not None}
        inner = ", ".join(f"{k}={v!r}" for k, v in told.items())
        if not self.flat:
            n = len(self.param_groups)
            inner += f", {n} group{'s' * (n > 1)}"
        return f"{type(self).__name__}({inner})"
