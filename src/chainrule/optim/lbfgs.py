"""L-BFGS: a quasi-Newton optimiser from the last few gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from chainrule.errors import ArgumentError, GradientError, NonFiniteError
from chainrule.graph.context import context, no_grad, recording
from chainrule.graph.node import Array
from chainrule.optim.arguments import nonnegative, option, positive_int
from chainrule.optim.moments import converted
from chainrule.optim.rule_optimizer import RuleOptimizer
from chainrule.tensor import Tensor, tensor
from chainrule.text import _, ngettext
from chainrule.util.blocks import settled
from chainrule.util.validation import choice, maybe

#: Below it yᵀs tells nothing of the curvature.
_CURVATURE = 1e-10


def _one_group(groups: int) -> ArgumentError:
    return ArgumentError(
        _("LBFGS has one group: its directions are those of all parameters."),
        expected="optim.LBFGS(model.parameters(), …)",
        got=ngettext("{n} group", "{n} groups", n=groups),
    )


class LBFGS(RuleOptimizer, lr=1.0):
    """L-BFGS (Liu & Nocedal 1989): quasi-Newton steps from the last few gradients.

        d = −H g,   θ ← θ + t d

    H, the inverse of the Hessian, is known by its products alone: from the last
    ``history_size`` pairs s = θ' − θ and y = g' − g by the recursion of two loops. One
    call of :meth:`step` makes up to ``max_iter`` iterations; t is η (at the very first
    min(1, 1/‖g‖₁) η), or what a line search finds. It is for few parameters and a loss
    over all data at once. It runs eagerly; its closure may call a compiled function.

    Args:
        max_iter: iterations a step.
        max_eval: calls of the closure after which a step ends; None: 1.25 max_iter.
        tolerance_grad: it ends where no element of g is larger.
        tolerance_change: it ends where neither θ nor the loss changes by more.
        history_size: pairs that are kept.
        line_search_fn: ``"strong_wolfe"``, or None for t = η.

    ``memory`` holds the pairs, the last d and g over all parameters in a row, and in
    ``"counts"`` the last t, all iterations and all calls of the closure.

    Source: PyTorch's ``torch.optim.LBFGS``; Nocedal & Wright, Numerical Optimization,
    algorithms 7.4, 7.5, 3.5 and 3.6.

    >>> import chainrule as cr
    >>> w = cr.tensor([3.0, -1.0], requires_grad=True)
    >>> optimizer = cr.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - cr.tensor([1.0, 2.0])) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item(), [round(x, 4) for x in w.tolist()]
    (13.0, [1.0, 2.0])
    """

    max_iter: int = positive_int(default=20)
    max_eval: int | None = positive_int(default=None)
    tolerance_grad: float = nonnegative(default=1e-7)
    tolerance_change: float = nonnegative(default=1e-9)
    history_size: int = positive_int(default=100)
    line_search_fn: Literal["strong_wolfe"] | None = option(
        default=None, check=maybe(choice("strong_wolfe"))
    )
    l1_penalty: float | None = field(default=None, init=False)
    maximize: bool = field(default=False, init=False)
    clip_norm: float | None = field(default=None, init=False)
    clip_value: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.flat:
            raise _one_group(len(self.param_groups))
        self.memory: dict[str, Array] = {}

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Raise an error: L-BFGS has one group."""
        raise _one_group(2)

    @settled
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Minimise the loss by L-BFGS iterations, at most ``max_iter``.

        Args:
            closure: forgets the gradients, computes the loss, calls ``backward()`` and
                returns the loss. It is called several times.

        Returns:
            The loss before the step.

        Raises:
            ArgumentError: no closure; while a function is compiled.
            GradientError: no parameter has a gradient.
            NonFiniteError: the loss is not finite from the start.
        """
        if context.trace is not None:
            raise ArgumentError(
                _(
                    "LBFGS decides by numbers how often it asks for the loss: it "
                    "cannot be part of a compiled step, nor of a Trainer's."
                ),
                expected=_("optimizer.step(closure), outside of compiled functions"),
                got=_("a step that is being compiled"),
                fix=_("let the closure call a compiled function, or use optim.Adam"),
            )
        if closure is None:
            raise ArgumentError(
                _("LBFGS asks for the loss at several points."),
                expected="optimizer.step(closure)",
                got=_("no closure"),
                fix=_(
                    "a function that calls zero_grad() and backward() and "
                    "returns the loss"
                ),
            )
        at = _Loss(closure, list(self.params.values()))
        start = at.theta
        try:
            first = self._iterate(at)
        except BaseException:  # θ and the memory belong together
            at.put(start)
            raise
        self.steps += 1
        return first

    def _iterate(self, at: _Loss) -> Any:
        o, lr, memory = self.options, self.lr, dict(self.memory)
        most = o["max_eval"] or o["max_iter"] * 5 // 4
        loss, g = at(at.theta)
        first, kind = at.result, np.result_type(np.float32, g)
        for name in memory.keys() - {"counts"}:  # parameters of another dtype by now
            memory[name] = converted(name, memory[name], kind)
        if not (math.isfinite(loss) and np.isfinite(g).all()):
            what = _("The loss or its gradient is not finite where LBFGS begins.")
            raise NonFiniteError(
                what, expected=_("numbers"), got=_("a loss of {loss}", loss=loss)
            )
        pairs = list(zip(memory.get("s", ()), memory.get("y", ())))
        t, iterations, calls = memory.get("counts", np.zeros(3)).tolist()
        for i in range(1, o["max_iter"] + 1):
            if abs(g).max(initial=0.0) <= o["tolerance_grad"]:
                break
            if iterations:
                pair = memory["d"] * t, g - memory["g"]
                if pair[0] @ pair[1] > _CURVATURE:
                    pairs = [*pairs, pair][-o["history_size"] :]
            iterations += 1
            theta, d = at.theta, _direction(g, pairs)
            t = lr if iterations > 1 else min(1.0, 1.0 / float(abs(g).sum())) * lr
            memory |= {"d": d, "g": g}
            slope, before = float(g @ d), loss
            if slope > -o["tolerance_change"]:
                break
            if o["line_search_fn"] is not None:
                line, here = partial(at.along, theta, d), _Point(0.0, loss, g, slope)
                t, loss, g, __ = _strong_wolfe(line, here, t, abs(d).max())
                at.put(theta + d * t)
            elif i < o["max_iter"]:
                loss, g = at(theta + d * t)
            else:
                at.put(theta + d * t)
            short = abs(d).max() * abs(t) <= o["tolerance_change"]
            flat = abs(loss - before) < o["tolerance_change"]
            if at.calls >= most or short or flat:
                break
        counts = np.array([t, iterations, calls + at.calls])
        shape = len(pairs), g.size
        s, y = (np.reshape([pair[k] for pair in pairs], shape) for k in (0, 1))
        self.memory = memory | {"s": s, "y": y, "counts": counts}
        return first

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the L-BFGS state, with its ``"memory"`` of gradients."""
        memory = {name: np.array(array) for name, array in self.memory.items()}
        return super().state_dict() | {"memory": memory}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the L-BFGS state that ``state_dict`` returned."""
        rest, memory = state_dict, self.memory
        if isinstance(state_dict, Mapping):
            rest = {k: v for k, v in state_dict.items() if k != "memory"}
            memory = self._checked_memory(state_dict.get("memory"))
        super().load_state_dict(rest)
        self.memory = memory

    def _checked_memory(self, saved: Any) -> dict[str, Array]:
        """Copy a saved L-BFGS memory; refuse one that does not fit the parameters."""
        params = self.params.values()
        n = sum(int(p.size) for p in params)
        dtype = np.result_type(np.float32, *(p.dtype.numpy for p in params))
        try:
            dtypes = dict.fromkeys(saved, dtype) | {"counts": np.float64}
            memory = {name: np.array(a, dtypes[name]) for name, a in saved.items()}
            pairs = (len(memory["s"]) if memory else 0, n)
            shapes = {"counts": (3,), "d": (n,), "g": (n,), "s": pairs, "y": pairs}
            if not memory or {name: a.shape for name, a in memory.items()} == shapes:
                return memory
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise ArgumentError(
            _("The memory in the state_dict is none of such an LBFGS."),
            expected=ngettext(
                "s, y, d, g and counts, over {n} number",
                "s, y, d, g and counts, over {n} numbers",
                n=n,
            ),
            got=f"{saved!r:.80}",
        )


class _Loss:
    """The loss and gradient as functions of one vector of all parameters, for L-BFGS.

    Attributes:
        calls: how often it was asked for.
        result: what the closure gave last.
    """

    def __init__(self, closure: Callable[[], Any], params: list[Tensor]) -> None:
        self.closure, self.params, self.calls = closure, params, 0
        self.result: Any = None

    @property
    def theta(self) -> Array:
        """The vector θ of all parameters, for L-BFGS."""
        return _row([p.numpy() for p in self.params])

    def put(self, theta: Array) -> None:
        """Set all parameters from one vector θ, for L-BFGS."""
        ends = np.cumsum([int(p.size) for p in self.params])
        with no_grad():
            for p, part in zip(self.params, np.split(theta, ends)):
                p.copy_(tensor(part.reshape(p.shape).astype(p.dtype.numpy)))

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Compute the loss and its gradient at parameters θ, for L-BFGS."""
        self.put(theta)
        self.calls += 1
        with recording():
            self.result = self.closure()
        grads = [p.grad for p in self.params]
        if all(grad is None for grad in grads):
            raise GradientError(
                _("LBFGS.step() found no gradients."),
                expected=_("a closure that calls backward()"),
                got=_("every .grad is None") if grads else _("no parameters"),
                fix=_("call loss.backward() in it, and return the loss"),
            )
        rows = [
            np.zeros(p.shape, p.dtype.numpy) if grad is None else grad.numpy()
            for p, grad in zip(self.params, grads)
        ]
        return float(self.result), _row(rows)

    def along(self, theta: Array, d: Array, t: float) -> _Point:
        """Compute the loss, gradient and slope at θ + t d, for a line search."""
        loss, g = self(theta + d * t)
        return _Point(t, loss, g, float(g @ d))


def _row(arrays: list[Array]) -> Array:
    return np.concatenate([np.ravel(a) for a in arrays] or [np.zeros(0)])


def _direction(g: Array, pairs: list[tuple[Array, Array]]) -> Array:
    """Compute L-BFGS's direction −H g by the two-loop recursion over (s, y) pairs."""
    q, shares = -g, list[Any]()
    for s, y in reversed(pairs):
        shares.append(s @ q / (y @ s))
        q = q - shares[-1] * y
    if pairs:
        s, y = pairs[-1]
        q = q * (y @ s / (y @ y))
    for s, y in pairs:
        q = q + (shares.pop() - y @ q / (y @ s)) * s
    return q


# -- the line search -------------------------------------------------------------------


class _Point(NamedTuple):
    """The loss, gradient and slope at a point θ + t d of L-BFGS's line search."""

    t: float
    loss: float
    g: Array
    slope: float


#: Of Wolfe's conditions: enough decrease, flat enough.
_DECREASE, _FLAT = 1e-4, 0.9
_TRIALS, _NARROW = 25, 1e-9


def _strong_wolfe(
    at: Callable[[float], _Point], start: _Point, t: float, size: float
) -> _Point:
    """Search a line for a point that satisfies L-BFGS's strong Wolfe conditions.

    Args:
        at: evaluates the loss.
        start: the point at t = 0.
        t: what is tried first.
        size: the largest element of the direction.
    """

    def too_high(point: _Point) -> bool:
        return point.loss > start.loss + _DECREASE * point.t * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -_FLAT * start.slope

    before, new, trials = start, at(t), 0
    while trials < _TRIALS:  # until two points have the minimum between them
        if too_high(new) or (trials > 1 and new.loss >= before.loss):
            break
        if flat(new):
            return new
        if new.slope >= 0:
            break
        far = new.t + 0.01 * (new.t - before.t), 10 * new.t
        before, new = new, at(_minimum(before, new, far))
        trials += 1
    else:
        before = start
    low, high = (before, new) if before.loss <= new.loss else (new, before)
    stuck = False
    while trials < _TRIALS and abs(high.t - low.t) * size >= _NARROW:
        left, right = sorted((low.t, high.t))
        t = _minimum(low, high, (left, right))
        edge = 0.1 * (right - left)
        near = min(right - t, t - left) < edge
        if near and (stuck or not left < t < right):
            t = right - edge if abs(t - right) < abs(t - left) else left + edge
            stuck = False
        else:
            stuck = near
        point, trials = at(t), trials + 1
        if too_high(point) or point.loss >= low.loss:
            low, high = (low, point) if low.loss <= point.loss else (point, low)
            continue
        if flat(point):
            return point
        if point.slope * (high.t - low.t) >= 0:
            high = low
        low = point
    return low


def _minimum(a: _Point, b: _Point, within: tuple[float, float]) -> float:
    """Return the minimum of a cubic through two points, for L-BFGS's line search."""
    left, right = (a, b) if a.t <= b.t else (b, a)
    low, high = within
    width = right.t - left.t
    if width:
        bend = a.slope + b.slope - 3 * (right.loss - left.loss) / width
        square = bend**2 - a.slope * b.slope
        if square >= 0:
            root = math.sqrt(square)
            share = (right.slope + root - bend) / (right.slope - left.slope + 2 * root)
            return min(max(right.t - width * share, low), high)
    return (low + high) / 2
