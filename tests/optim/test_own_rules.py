"""An update rule of one's own is refused where a step would silently go wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import chainrule as cr
from chainrule import optim


def kind_of(
    update: Callable[..., Any],
    moments: tuple[str, ...] = ("v",),
    scalars: tuple[str, ...] = ("lr",),
) -> type[optim.RuleOptimizer]:
    own = {
        "moments": lambda self, o: moments,
        "scalars": lambda self, step, lr, o: dict.fromkeys(scalars, lr),
        "update": staticmethod(update),
    }
    return type("Own", (optim.RuleOptimizer,), own)


def step(kind: type[optim.RuleOptimizer], compiled: bool) -> None:
    w = cr.tensor([1.0, -1.0], requires_grad=True)
    optimizer = kind([w], lr=0.1)

    def run() -> Any:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        optimizer.step()
        return loss

    (cr.compile(run, engine="numpy") if compiled else run)()


def right(p: Any, g: Any, s: Any) -> Any:
    s.v = 0.9 * s.v + g
    return p - s.lr * s.v


def typo(p: Any, g: Any, s: Any) -> Any:
    s.velocity = s.v + g
    return p - s.lr * s.velocity


def forgotten(p: Any, g: Any, s: Any) -> Any:
    return p - s.lr * (s.v + g)


def mean(p: Any, g: Any, s: Any) -> Any:
    s.v = s.v + g
    return (p - s.lr * s.v).mean()


def truth(p: Any, g: Any, s: Any) -> Any:
    s.v = s.v + g
    return p > s.v


def nothing(p: Any, g: Any, s: Any) -> None:
    s.v = s.v + g


def small(p: Any, g: Any, s: Any) -> Any:
    s.v = s.v.mean() + g.mean()
    return p - s.lr * s.v


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("update", [typo, forgotten, mean, truth, nothing, small])
def test_results_that_do_not_fit_are_refused(
    update: Callable[..., Any], compiled: bool
) -> None:
    step(kind_of(right), compiled)
    with pytest.raises(cr.ChainruleError, match="update"):
        step(kind_of(update), compiled)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("moments", "scalars"),
    [
        (("v",), ("lr", "rate")),
        (("v",), ("lr", "own_rate")),
        (("v",), ("lr", "number")),
        (("v",), ("lr", "clip_norm")),
        (("v",), ("lr", "scale")),
        (("v",), ("lr", "v")),
        (("v", "keep"), ("lr",)),
    ],
)
def test_names_that_are_taken_are_refused(
    moments: tuple[str, ...], scalars: tuple[str, ...], compiled: bool
) -> None:
    with pytest.raises(cr.ChainruleError, match="a name that is taken"):
        step(kind_of(right, moments, scalars), compiled)
