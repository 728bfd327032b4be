"""The base class of optimisers: parameters, moments, the update step."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from chainrule.composites.composite import Composite
from chainrule.errors import ArgumentError, GradientError
from chainrule.graph.apply import constant, rounded, single, widened
from chainrule.graph.context import context, no_grad, recording, role, scope
from chainrule.graph.node import Value
from chainrule.graph.primitive import as_tuple
from chainrule.graph.types import DType
from chainrule.optim import state
from chainrule.optim.arguments import names_of
from chainrule.optim.clipping import as_dtype, clip_elements, clip_factor, total_norm
from chainrule.optim.groups import LIMITS, ParamGroup, as_json
from chainrule.optim.hyper_parameters import HyperParameters, Options
from chainrule.optim.moments import convert_moments, new_moment
from chainrule.optim.optimizer import Optimizer
from chainrule.optim.parameters import Request, share_out
from chainrule.optim.row_updates import RowChange, Rows, rows_by_name
from chainrule.optim.rule import check_names, update_composite
from chainrule.primitives.elementwise import neg
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.util.blocks import settled

#: Gives a scalar of the present update by its name and dtype.
Supply = Callable[[str, DType], Any]
#: Version numbers for the parameters and rules of optimisers, each used once.
_versions = itertools.count()


@functools.lru_cache(maxsize=64)
def _requested(keys: frozenset[str]) -> tuple[list[str], bool]:
    """Return the learning rates among an update's scalars, and whether others exist."""
    rates = [key for key in keys if key.endswith("rate")]
    return rates, not keys or len(keys) > len(rates) + ("number" in keys)


class RuleOptimizer(HyperParameters, Optimizer):
    """Base class of optimisers with an update rule, which the graph knows.

    An optimiser is one class: its arguments as fields with checks
    (``chainrule.optim.arguments``), the names of its moments, the scalars of a step,
    and its rule, which is the formula of explanations too (``chainrule.optim.rule``).
    What depends on the step alone (a schedule, Adam's bias correction) is a scalar,
    tabulated in float64, so changing it recompiles nothing.

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
        l1_penalty: λ₁ ≥ 0, the weight of an L1 penalty λ₁‖θ‖₁: g ← g + λ₁ sign θ, with
            sign 0 = 0, of AdamW too; or None. All parameters have it, biases too: spare
            them with ``[{"params": "*.bias", "l1_penalty": 0.0}, {"params": "*"}]``.
            As with weight decay, the loss that is shown is that without it.
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

    >>> class Momentum(RuleOptimizer, lr=0.1):
    ...     momentum: float = 0.9
    ...
    ...     def moments(self, o):
    ...         return ("v",)
    ...
    ...     def scalars(self, step, lr, o):
    ...         return {"momentum": o["momentum"], "lr": lr}
    ...
    ...     @staticmethod
    ...     def update(p, g, s):
    ...         s.v = s.momentum * s.v + g
    ...         return p - s.lr * s.v

    >>> from chainrule import nn, optim
    >>> model = nn.Linear(2, 1)
    >>> optimizer = optim.AdamW([{"params": "bias", "weight_decay": 0.0},
    ...                          {"params": model.named_parameters()}], lr=1e-3)
    >>> [group["weight_decay"] for group in optimizer.param_groups]
    [0.0, 0.01]
    """

    #: Whether weight decay lets θ shrink where no option says it.
    decoupled: ClassVar[bool] = False
    #: Whether the rule takes gradients of rows alone, of ``nn.Embedding(…,
    #: sparse=True)``: ``"never"``, ``"too"``, or ``"only"``.
    rows_alone: ClassVar[str] = "never"
    #: Where the rule can be looked up.
    source: ClassVar[str] = ""
    #: The letters of moments in formulas, where they are not their names.
    letters: ClassVar[Mapping[str, str]] = {}
    #: Options of each form of the rule, from which its conformance tests are made.
    variants: ClassVar[Sequence[Options]] = ({},)
    #: The rule as an operation of the graph.
    composite: ClassVar[Composite]

    def __init_subclass__(cls, **defaults: Any) -> None:
        super().__init_subclass__(**defaults)
        if "update" in vars(cls):
            cls.composite = update_composite(cls)

    def __post_init__(self) -> None:
        params: Any = self._params
        request, self._all = Request(type(self).__name__, params), params is None
        self.flat, self.by_name = request.flat, not request.tensors
        self.steps, self.params = 0, {}
        self._state: dict[str, dict[str, Tensor]] = {}
        self._version = next(_versions)
        self.param_groups = [
            ParamGroup(self, f"group{i}." if i else "", selectors, own)
            for i, (selectors, own) in enumerate(request.groups)
        ]
        for group in self.param_groups:
            self.check(group.current())
        named = request.named()
        if named is not None:
            self.attach_parameters(named)

    # -- what an optimiser defines -----------------------------------------------------

    def moments(self, o: Options) -> tuple[str, ...]:
        """Return the names of the moments that the optimiser's rule keeps."""
        return ()

    def scalars(self, step: int, lr: float, o: Options) -> dict[str, float]:
        """Return the scalars of the optimiser's update ``step`` (from 1), float64."""
        return {"lr": lr}

    @staticmethod
    def update(p: Any, g: Any, s: Any) -> Any:
        """Return a parameter's new value by the optimiser's rule; assign the moments.

        An optimiser that is no rule for each parameter overrides :meth:`step` instead.

        Args:
            p: the parameter θ.
            g: its gradient, after clipping and weight decay.
            s: the moments and scalars by name: ``s.m = s.beta1 * s.m + s.rest1 * g``.
        """
        raise NotImplementedError

    def initial(self, o: Options) -> float:
        """Return the initial value of the optimiser's moments."""
        return 0.0

    def form(self, o: Options) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """Return the key of the compiled form of the optimiser's update.

        Returns:
            The names of moments and of scalars, and whether the step climbs.
        """
        return self.moments(o), tuple(self._row(0, 1.0, o)), o.get("maximize", False)

    # -- its parameters ----------------------------------------------------------------

    @property
    def params(self) -> Mapping[str, Tensor]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The optimiser's parameters by name."""
        self._note_parts()
        return MappingProxyType(self._params)

    @params.setter
    def params(self, params: Any) -> None:
        vars(self).setdefault("defaults", {})
        self._params = params

    def attach_parameters(
        self, named: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]
    ) -> None:
        """Attach a model's parameters and their names to the optimiser.

        An optimiser that has parameters keeps them, with their moments, and learns
        their names.

        Args:
            named: all parameters of the model: ``model.named_parameters()``.

        Raises:
            ArgumentError: the optimiser has parameters that are not among them, or a
                pattern of a group fits none of them.
        """
        self.refuse_in_trace("attach_parameters")
        named, params = dict(named), self._params
        moments = {id(p): self._state[name] for name, p in params.items()}
        selectors = [
            [(name, params[name]) for name in group.names]
            if params
            else group.selectors
            for group in self.param_groups
        ]
        shares = share_out(selectors, named)
        own = {name for share in shares for name in share}
        self.params = {name: p for name, p in named.items() if name in own}
        self._state = {name: moments.get(id(p), {}) for name, p in self.params.items()}
        self._all = len(own) == len(named)
        for group, share in zip(self.param_groups, shares, strict=True):
            group.names = share
        self.renew_moments()

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters, with hyper-parameters of its own.

        Its t, as that of all parameters, is ``steps`` + 1.

        Args:
            param_group: ``{"params": […], "lr": …}``; the optimiser's own
                hyper-parameters are those of the group where it has no others.

        Raises:
            ArgumentError: no tensors, or one that another group has; an optimiser
                whose parameters a Trainer supplies; an unknown option.

        >>> from chainrule import nn, optim
        >>> first, second = nn.Linear(1, 2), nn.Linear(2, 1)
        >>> optimizer = optim.SGD(first.parameters(), lr=0.1)
        >>> optimizer.add_param_group({"params": second.parameters(), "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        self.refuse_in_trace("add_param_group")
        kind = type(self).__name__
        if not self._params:
            raise ArgumentError(
                _("{kind} has no parameters to which a group is added.", kind=kind),
                expected=f"optim.{kind}(model.parameters())",
                got=_("an optimiser whose parameters a Trainer supplies"),
                fix=_("a list of groups where it is made, with patterns for names"),
            )
        there = [(name, p) for name, p in self._params.items()]
        new = Request(kind, [{"params": there}, param_group])
        named = new.named()
        if named is None or any(isinstance(s, str) for s in new.groups[1][0]):
            raise ArgumentError(
                _("A group that is added consists of tensors."),
                expected='{"params": layer.parameters()}',
                got=f"{param_group!r:.80}",
                fix=_("a list of groups where it is made, with patterns for names"),
            )
        flat, self.flat = self.flat, False  # or the group would change the defaults
        try:
            added = ParamGroup(self, f"group{len(self.param_groups)}.", *new.groups[1])
            self.check(added.current())
        except BaseException:
            self.flat = flat
            raise
        for i, group in enumerate(self.param_groups):
            group.prefix = f"group{i}."
        added.names = list(named)[len(there) :]
        self.param_groups = [*self.param_groups, added]
        self.params = named
        self._state |= {name: {} for name in added.names}
        self.renew_moments()

    def renew_moments(self) -> None:
        """Create or remove the optimiser's moments, as its hyper-parameters require."""
        renewed: dict[str, dict[str, Tensor]] = {name: {} for name in self.params}
        for group in self.param_groups:
            o = group.current()
            moments = self.moments(o)
            check_names(type(self).__name__, moments, self.scalars(1, 1.0, o))
            for name, moment in itertools.product(group.names, moments):
                p, t = self.params[name], self._state[name].get(moment)
                if t is None:
                    t = new_moment(p, self.initial(o))
                t.name = f"{name}.{moment}"
                renewed[name][moment] = t
        self._state = renewed
        self._version = next(_versions)

    @property
    def state(self) -> Mapping[str, Mapping[str, Tensor]]:
        """The optimiser's moments by parameter name; change one with ``copy_``."""
        self._note_parts()
        for group in self.param_groups:
            self._convert_moments(group)
        return MappingProxyType(
            {name: MappingProxyType(m) for name, m in self._state.items()}
        )

    def _convert_moments(self, group: ParamGroup) -> None:
        """Convert a group's moments where their parameters have got another dtype."""
        initial = self.initial(group.current())
        for name in group.names:
            convert_moments(self._state[name], self._params[name], initial)

    def _note_parts(self) -> None:
        """Note that a trace depends on the optimiser's parameters and update rule."""
        self.note_read(partial(getattr, self, "_version"))

    # -- the step ----------------------------------------------------------------------

    def rows(
        self, steps: int, keys: frozenset[str] = frozenset()
    ) -> dict[str, tuple[float, ...]]:
        """Return the optimiser's scalars of the next ``steps`` updates, by name.

        Args:
            steps: how many.
            keys: their names, where not all of an update are needed. ``number`` is
                that of each, from 0, for who draws random bits in it; η is ``rate``
                behind the prefix of a group, and ``own.rate`` where groups have none.
        """
        numbers = range(first := vars(self)["steps"], first + steps)
        rates, others = _requested(keys)
        columns: dict[str, tuple[float, ...]] = {}
        if "number" in keys:
            columns["number"] = tuple(numbers)
        if rates:
            of = {f"{group.prefix}rate": group.schedule for group in self.param_groups}
            of["own.rate"] = self.schedule
            columns |= {key: tuple(map(of[key], numbers)) for key in rates}
        if not others:
            return columns
        for group in self.param_groups:
            if not group.names:
                continue
            o = group.current()
            rows = map(self._row, numbers, map(o["lr"], numbers), itertools.repeat(o))
            table = list(rows)
            for key, column in zip(table[0], zip(*map(dict.values, table))):
                columns[group.prefix + key] = column
        for name in LIMITS:
            if (limit := self.defaults.get(name)) is not None:
                columns[name] = (limit,) * steps
        return columns

    def _row(self, t: int, lr: float, o: Options) -> dict[str, float]:
        """Return all scalars of the optimiser's update ``t``, with its penalties."""
        row, decay = self.scalars(t + 1, lr, o), o.get("weight_decay")
        if l1 := o.get("l1_penalty"):
            row = row | {"l1": l1}
        if not decay:
            return row
        if o.get("decoupled_weight_decay", self.decoupled):
            return row | {"keep": 1 - lr * decay}
        return row | {"penalty": decay}

    @settled
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the optimiser's parameters by their gradients, clipped if requested.

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
            name: widened(p.grad.value)
            for name, p in self._params.items()
            if p.grad is not None
        }
        if not gradients:
            raise GradientError(
                _("{kind}.step() found no gradients.", kind=type(self).__name__),
                expected=_("a backward() before it"),
                got=_("every .grad is None") if self._params else _("no parameters"),
                fix=_("call loss.backward() first"),
            )
        supply, steps = self._supply()
        changed: list[tuple[Tensor, Value | RowChange]] = []
        with no_grad(), role("update"):
            rows = rows_by_name(self, gradients)
            factor = self._clip(gradients, supply)
            for group in self.param_groups:
                changed += self._updated(group, gradients, rows, factor, supply)
            try:
                self._put(changed, steps)
            except BaseException:  # whatever interrupts it
                self._put(changed, steps)
                raise
        for name in rows:
            self._params[name].grad = None
        return loss

    def _put(
        self, changed: Iterable[tuple[Tensor, Value | RowChange]], steps: int
    ) -> None:
        """Assign an optimiser's new parameters and moments, and the update number."""
        for t, value in changed:
            if isinstance(value, RowChange):
                value.into(t)
            else:
                t.copy_(wrap(value))
        self.set_steps(steps)

    def _clip(self, gradients: dict[str, Value], supply: Supply) -> Value | None:
        """Clip gradients by value; return the factor that clips them by norm."""
        if self.defaults.get("clip_value") is not None:
            for name, g in gradients.items():
                with scope(name.rpartition(".")[0]):
                    gradients[name] = clip_elements(g, supply("clip_value", g.dtype))
        if self.defaults.get("clip_norm") is None:
            return None
        norm = total_norm(list(gradients.values()))
        return clip_factor(norm, supply("clip_norm", norm.dtype))

    def _updated(
        self,
        group: ParamGroup,
        gradients: Mapping[str, Value],
        rows: Mapping[str, Rows],
        factor: Value | None,
        supply: Supply,
    ) -> Iterator[tuple[Tensor, Value | RowChange]]:
        """Yield a group's parameters and moments with their updated values."""
        moments, scalars, climbs = self.form(group.current())
        scaled = climbs or factor is not None
        self._convert_moments(group)
        names = {"scalars": " ".join([*scalars, "scale"] if scaled else scalars)}
        if moments:
            names["moments"] = " ".join(moments)
        for name in (name for name in group.names if name in gradients):
            p, state = self._params[name], self._state[name]
            own, tensors = rows.get(name), (p, *state.values())
            kind = single(p.dtype)
            with scope(name.rpartition(".")[0]):
                old = [t.value if own is None else own.of(t.value) for t in tensors]
                g = gradients[name] if own is None else own.gradients
                values = [widened(old[0]), g, *old[1:]]
                values += [supply(group.prefix + key, kind) for key in scalars]
                if factor is not None:
                    scale = as_dtype(factor, kind)
                    values.append(neg(scale) if climbs else scale)
                elif climbs:
                    values.append(constant(-1.0, kind))
                new: Sequence[Any] = as_tuple(self.composite(*values, **names))
                new = [rounded(new[0], p.dtype), *new[1:]]
                if own is not None:
                    pairs = zip(old, new, strict=True)
                    new = [RowChange(own.indices, own.kept(*pair)) for pair in pairs]
            yield from zip(tensors, new, strict=True)

    def _supply(self) -> tuple[Supply, int]:
        """Return a function for the scalars of an optimiser's update, and its number.

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
        """Clear the gradients of the optimiser's parameters."""
        for p in self._params.values():
            p.zero_grad(set_to_none)

    # -- as data -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the optimiser's state, for :meth:`load_state_dict`.

        Returns:
            ``"state"``: for each parameter's name its moments as arrays;
            ``"param_groups"``: for each group the names of its parameters, and the
            hyper-parameters that it does not share; the hyper-parameters that groups
            share, by name; ``"steps"`` and the name of the ``"optimizer"``. Rates are
            settings of schedules, which hold what those have learnt.
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
        """Return the optimiser's hyper-parameters and schedules, JSON-able.

        They are the arguments that make such an optimiser anew, and its name.
        Moments and ``steps`` are not among them.
        """
        self.refuse_in_trace("settings")
        limits = {name: self.defaults.get(name) for name in LIMITS}
        settings = {"name": type(self).__name__, "lr": self.schedule.settings()}
        settings |= as_json(self.options)
        settings |= {k: v for k, v in limits.items() if v is not None}
        groups = [group.settings() for group in self.param_groups]
        if not self.flat:
            settings["params"] = groups
        elif not self._all:
            settings["params"] = groups[0]["params"]
        return settings

    def arguments_shown(self) -> Mapping[str, Any]:
        """Return the optimiser's arguments by name, as ``repr`` shows them."""
        return {name: self.defaults.get(name) for name in names_of(type(self))}

    def __repr__(self) -> str:
        n = len(self.param_groups)
        groups = "" if self.flat else f", {n} group{'s' * (n > 1)}"
        return f"{super().__repr__()[:-1]}{groups})"
