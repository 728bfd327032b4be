"""Probes: quantities recorded within a training step, such as gradient norms.

    grad_norm                     ‖∂ℒ/∂θ‖ of all parameters together, before clipping
    grad_norm/0.weight            ‖∂ℒ/∂W‖ of one parameter
    weight_norm/0.weight          ‖W‖ before the update
    update_ratio/0.weight         ‖ΔW‖ / ‖W‖ (infinite where W is 0)
    activation_mean/1             of all outputs of a module over the batch;
    activation_std/1              also _std, _max (the largest) and
    activation_norm/1             _norm, the root of the sum of squares
    dead/1                        the share of units ≤ 0 for every sample of the batch
    delta_norm/1                  ‖δ‖ = ‖∂ℒ/∂a‖ for a module's outputs a
    lr                            the learning rate

Norms are Euclidean. Modules are called by their path (``1``, ``encoder.0``); what a
module gives when it is called again within the step is ``1#1``, ``1#2`` …; a model
without modules inside is called ``model``. Of several tensors the first counts.

Which probes a step has is fixed before it is traced: the engine computes them with
everything else, and nothing is hooked into anything while it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import reduce
from operator import add
from typing import Any

from chainrule.autodiff import cotangents
from chainrule.errors import ArgumentError
from chainrule.graph.apply import constant
from chainrule.graph.context import no_grad, role, scope
from chainrule.graph.node import Value
from chainrule.nn import Module
from chainrule.nn.traced import outputs_of
from chainrule.optim.row_updates import is_of_rows, rows_of
from chainrule.primitives.elementwise import mul, sub
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.util.validation import did_you_mean

_ACTIVATION: dict[str, Callable[[Tensor], Tensor]] = {
    "activation_mean": lambda a: a.mean(),
    "activation_std": lambda a: ((a - a.mean()) * (a - a.mean())).mean().sqrt(),
    "activation_max": lambda a: a.max(),
    "activation_norm": lambda a: norm(a.value),
    "dead": lambda a: (a.amax(0) <= 0).astype(a.dtype).mean(),
}
#: Kinds of probes of what modules give.
_INNER = (*_ACTIVATION, "delta_norm")


def norm(v: Value) -> Tensor:
    """Compute a probe's Euclidean norm of all elements of a tensor."""
    return wrap(mul(v, v)).sum().sqrt()


def names(model: Module) -> list[str]:
    """Return the names of all probes of a model, without repeated calls of a module."""
    parameters = [name for name, __ in model.named_parameters()]
    modules = [path for path, __ in model.named_modules() if path] or ["model"]
    kinds = dict.fromkeys(("grad_norm", "weight_norm", "update_ratio"), parameters)
    kinds |= dict.fromkeys(_INNER, modules)
    every = [f"{kind}/{of}" for kind, all_of in kinds.items() for of in all_of]
    return ["grad_norm", "lr", *every]


class Probes:
    """The probes requested from a Trainer, such as norms of weights and updates.

    Args:
        patterns: names, with ``*``, ``?`` and ``[…]`` as in file names.
        model: whose parameters and modules they name.

    Raises:
        ArgumentError: a pattern that fits nothing.
    """

    def __init__(self, patterns: str | Iterable[str], model: Module) -> None:
        if not isinstance(patterns, Iterable):
            raise ArgumentError(
                _("probes holds no names."),
                expected=_("names or patterns, such as ['activation_mean/*']"),
                got=repr(patterns)[:80],
                fix=_("probes=() records the norms of gradients alone"),
            )
        chosen = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        there = names(model)
        fitting = {n for pattern in chosen for n in _fitting(pattern, there)}
        self.patterns, self.model = chosen, model
        self._inside = any(name.partition("/")[0] in _INNER for name in fitting)

    def wants(self, name: str) -> bool:
        """Return whether a requested pattern matches the name of a probe."""
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)

    # -- while a step is traced ------------------------------------------------------

    @contextmanager
    def listening(self) -> Iterator[dict[str, Tensor]]:
        """Record the outputs of all modules within the block, for probes."""
        if not self._inside:
            yield {}
            return
        named: dict[str, Tensor] = {}
        root = "" if any(self.model.named_children()) else "model"
        with outputs_of(self.model) as heard:
            yield named
        for path, calls, __, output in heard:
            name = path or root
            if name and output.ndim and output.dtype.is_float:
                named[f"{name}#{calls}" if calls else name] = output

    def after_backward(
        self, loss: Tensor, heard: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Compute the probes of gradients, weights and module outputs."""
        results: dict[str, Tensor] = {}
        with no_grad():
            with role("backward"):
                self._gradients(results)
            for path, a in heard.items():
                with scope(path.partition("#")[0]):
                    for kind, statistic in _ACTIVATION.items():
                        if self.wants(f"{kind}/{path}"):
                            results[f"{kind}/{path}"] = statistic(a)
            if any(self.wants(f"delta_norm/{path}") for path in heard):
                self._deltas(loss, heard, results)
        return results

    def _gradients(self, results: dict[str, Tensor]) -> None:
        squares: list[Tensor] = []
        for name, p in self.model.named_parameters():
            if p.grad is None:
                continue
            with scope(name.rpartition(".")[0]):
                g = p.grad.value
                g = rows_of(g).sums if is_of_rows(g) else g
                square = wrap(mul(g, g)).sum()
                squares.append(square)
                # Those of weight matrices are always there: they cost next to nothing.
                if p.ndim >= 2 or self.wants(f"grad_norm/{name}"):
                    results[f"grad_norm/{name}"] = square.sqrt()
                if self.wants(f"weight_norm/{name}"):
                    results[f"weight_norm/{name}"] = norm(p.value)
        if self.wants("grad_norm") and squares:
            results["grad_norm"] = reduce(add, squares).sqrt()

    def _deltas(
        self, loss: Tensor, heard: dict[str, Tensor], results: dict[str, Tensor]
    ) -> None:
        # The same walk as backward()'s: a pass merges the two.
        deltas = cotangents({loss.value: constant(1.0, loss.dtype)})
        for path, a in heard.items():
            delta = deltas.get(a.value)
            if delta is not None and self.wants(f"delta_norm/{path}"):
                with scope(path.partition("#")[0]), role("backward"):
                    results[f"delta_norm/{path}"] = norm(delta)

    @contextmanager
    def around_update(self, results: dict[str, Tensor]) -> Iterator[None]:
        """Compute the probes of an optimiser's update that is made in the block."""
        wanted = {
            name: (p, p.value)
            for name, p in self.model.named_parameters()
            if p.grad is not None and self.wants(f"update_ratio/{name}")
        }
        yield
        with no_grad(), role("update"):
            for name, (p, before) in wanted.items():
                with scope(name.rpartition(".")[0]):
                    moved = sub(p.value, before)
                    results[f"update_ratio/{name}"] = norm(moved) / norm(before)


def _fitting(pattern: Any, there: list[str]) -> list[str]:
    """Return the probe names that a requested pattern matches."""
    if isinstance(pattern, str):
        first = pattern.partition("#")[0]
        wanted = {pattern, first}
        fits = [n for n in there if any(fnmatchcase(n, one) for one in wanted)]
        if fits:
            return fits
    kinds = {name.partition("/")[:2]: name for name in reversed(there)}
    raise ArgumentError(
        _("No probe fits {pattern!r}.", pattern=pattern),
        expected=_(
            "a name or a pattern like {values}",
            values=", ".join(reversed(kinds.values())),
        ),
        got=repr(pattern),
        fix=did_you_mean(str(pattern), there, "probes=['activation_mean/*']"),
    )
