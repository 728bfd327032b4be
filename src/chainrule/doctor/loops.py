"""Loops without a loss that anybody names: what their weights and numbers say.

A GAN, an agent or a lesson's own loop has no single supervised loss, no held-out score,
and cannot be repeated on copies. What can be said is read off its state, between steps:

    weights-not-finite   a weight is NaN or infinite
    weights-unchanged    an optimiser has parameters that no step has changed
    weights-grow         the weights of a module have grown a thousandfold
    loss-…               of losses that the loop lists: as in live watching

The rest is named as not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from chainrule.doctor.diagnosis import Diagnosis
from chainrule.doctor.finding import SEVERITIES, Finding
from chainrule.doctor.live import Watch
from chainrule.doctor.live_rules import finding
from chainrule.graph.node import Array
from chainrule.nn import Module, Parameter
from chainrule.optim import RuleOptimizer
from chainrule.text import _, joined, ngettext
from chainrule.training.history import History

#: Weights are read so many times, evenly over the steps.
READINGS = 32
#: The norm of a module's weights against that at the start. Ours, as of gradients.
GROWN = 1e3
#: So many names of parameters are listed.
LISTED = 3
_LOSS = "loss"


class LoopWatch:
    """A reader of what the steps of a loop change, which says what goes wrong.

    Args:
        state: modules, optimisers, lists of losses and other objects, by name.
        count: the number of steps.
        seed: of the run.

    >>> import chainrule as cr
    >>> from chainrule import nn, optim
    >>> cr.manual_seed(0)
    >>> model = nn.Linear(2, 1)
    >>> sgd = optim.SGD(model.parameters(), lr=0.1)
    >>> watch = LoopWatch({"model": model, "sgd": sgd}, 5)
    >>> for step in range(5):
    ...     sgd.zero_grad()
    ...     (model.weight ** 2).sum().backward()
    ...     sgd.step()
    ...     watch.after(step)
    >>> found = watch.diagnosis()
    >>> [(f.code, f.where) for f in found.findings]
    [('weights-unchanged', 'model.bias')]
    """

    def __init__(self, state: Mapping[str, Any], count: int, seed: int = 0) -> None:
        self.count, self.seed, self.steps = count, seed, 0
        self._weights = dict(_weights(state))
        self._modules = [k for k, v in state.items() if isinstance(v, Module)]
        self._held = _held(state)
        self._first = {name: _read(p) for name, p in self._weights.items()}
        self._changed: set[str] = set()
        self._norms = self._norms_of(self._first)
        self._findings: dict[str, Finding] = {}
        self._readings = 0
        self._losses = {
            name: _Losses(item)
            for name, item in state.items()
            if isinstance(item, list) and _LOSS in name.lower()
        }

    def after(self, step: int) -> None:
        """Read the state behind a step, now and then."""
        self.steps = step + 1
        for losses in self._losses.values():
            losses.read()
        every = max(1, self.count // READINGS)
        if self.steps % every == 0 or self.steps == self.count:
            self._look()

    def _look(self) -> None:
        """Read the weights."""
        self._readings += 1
        arrays = {name: _read(p) for name, p in self._weights.items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                evidence = {"step": self.steps, "got": _strange(array)}
                self._found("weights-not-finite", evidence, name)
            if name not in self._changed and not np.array_equal(
                array, self._first[name]
            ):
                self._changed.add(name)
        for name, norm in self._norms_of(arrays).items():
            first = self._norms[name]
            if norm > GROWN * first > 0:
                evidence = {
                    "norm_at_start": first,
                    "norm_now": norm,
                    "step": self.steps,
                }
                self._found("weights-grow", evidence, name)

    def _norms_of(self, arrays: Mapping[str, Array]) -> dict[str, float]:
        """Return the norm of the weights of each module, of arrays by name."""
        return {
            name: math.hypot(
                *(_norm(a) for path, a in arrays.items() if path.startswith(f"{name}."))
            )
            for name in self._modules
        }

    def _found(self, code: str, evidence: dict[str, Any], where: str) -> None:
        """Keep a finding, the first time."""
        if code not in self._findings:
            self._findings[code] = finding(code, evidence, where)

    def diagnosis(self) -> Diagnosis:
        """Return what was seen so far, as a diagnosis: nothing was tried."""
        if self.steps and self._readings == 0:
            self._look()
        still = [n for n in self._held if n in self._weights and n not in self._changed]
        if still and self._readings:
            more = ["…"] if len(still) > LISTED else []
            evidence = {"unchanged": len(still), "parameters": len(self._held)}
            where = joined(", ", [*still[:LISTED], *more])
            self._found("weights-unchanged", evidence, where)
        findings = [*self._findings.values()]
        for losses in self._losses.values():
            findings += losses.watch.findings
        findings.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.confidence))
        examined: dict[str, str] = {
            "weights": ngettext(
                "{n} parameter, read after {k} of {steps:,} steps: whether it is "
                "finite, changes, and grows",
                "{n} parameters, read after {k} of {steps:,} steps: whether they are "
                "finite, change, and grow",
                n=len(self._weights),
                k=self._readings,
                steps=self.steps,
            )
        }
        not_examined = {
            "network": _("a loop of its own: its losses are not read off a graph"),
            "score": _("answers that are right or wrong: nobody says which they are"),
            "changes": _("the loop cannot be repeated on copies"),
        }
        listed = {n: losses.count for n, losses in self._losses.items() if losses.count}
        if listed:
            examined["loss"] = joined(
                "; ",
                [_("{name}: {n:,} of them", name=k, n=n) for k, n in listed.items()],
            )
        else:
            not_examined["loss"] = _("the state of the loop lists no losses")
        if self.steps < self.count:
            not_examined["rest"] = ngettext(
                "the loop ended after {done:,} of {n:,} step",
                "the loop ended after {done:,} of {n:,} steps",
                n=self.count,
                done=self.steps,
            )
        return Diagnosis(
            findings,
            examined,
            not_examined,
            seconds=0.0,
            spent=0.0,
            seed=self.seed,
        )


class _Losses:
    """A list of losses that steps append to, read by the rules of live watching."""

    def __init__(self, values: list[Any]) -> None:
        self.values, self.count = values, len(values)
        self.loop = SimpleNamespace(history=History(), epoch=0, step=0)
        self.watch = Watch(_LOSS, say=_silent)
        self.watch.on_start(self.loop)

    def read(self) -> None:
        """Read what was appended."""
        new, self.count = self.values[self.count :], len(self.values)
        try:
            column = np.array(new, np.float64).reshape(len(new))
        except (TypeError, ValueError):  # rows of several numbers, texts
            return
        self.loop.history.extend({_LOSS: column})
        self.watch.on_chunk(self.loop)


def _silent(message: str) -> None:
    """Say nothing: findings are read at the end."""


def _weights(state: Mapping[str, Any]) -> Iterator[tuple[str, Parameter]]:
    """Yield the parameters of a loop's modules, by name."""
    for name, item in state.items():
        if isinstance(item, Module):
            for path, p in item.named_parameters():
                yield f"{name}.{path}", p


def _held(state: Mapping[str, Any]) -> list[str]:
    """Return the names of parameters that an optimiser of the loop has."""
    held = {
        id(p)
        for item in state.values()
        if isinstance(item, RuleOptimizer)
        for group in item.param_groups
        for p in group["params"]
    }
    return [name for name, p in _weights(state) if id(p) in held]


def _read(p: Parameter) -> Array:
    """Return a copy of a parameter's numbers."""
    return np.array(p.detach().numpy())


def _norm(array: Array) -> float:
    """Return the norm of an array's numbers; NaN where one is none."""
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(array.astype(np.float64).reshape(-1)))


def _strange(array: Array) -> str:
    """Return what stands where a number is not finite."""
    return "NaN" if np.isnan(array).any() else "∞"
