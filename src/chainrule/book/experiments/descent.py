"""Gradient descent for the textbook experiments: a compiled step, repeated."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import chainrule as cr
from chainrule.errors import ChainruleWarning
from chainrule.nn import Module
from chainrule.optim import RuleOptimizer


def stepper(
    model: Module, loss_of: Callable[..., Any], optimizer: RuleOptimizer
) -> Callable[[Any, Any], Any]:
    """Return a compiled step θ ← θ − η ∂ℒ/∂θ of (x, y) that returns the loss before."""

    @cr.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def descended(step: Callable[..., Any], x: Any, y: Any, steps: int) -> list[float]:
    """Return the losses of repeated training steps on the same samples, up to ∞ or NaN.

    Nothing is computed any more once a loss is no finite number.
    """
    losses: list[float] = []
    while len(losses) < steps and (not losses or math.isfinite(losses[-1])):
        losses.append(step(x, y).item())
    return losses


@contextmanager
def on_purpose() -> Iterator[None]:
    """Suppress warnings about unusual learning rates within a block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainruleWarning)
        yield
