"""A learning rate that falls when training gets no further."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from chainrule.errors import ArgumentError, nearest
from chainrule.optim.checks import one_of, real, share, whole
from chainrule.optim.schedule import Schedule


class ReduceLROnPlateau(Schedule):
    """``factor`` times the rate once a quantity has not improved for some epochs.

    After each epoch the value m of ``monitor`` is compared with the best so far. It is
    better where

        m < best (1 − threshold)   or   m < best − threshold   (``"rel"``, ``"abs"``)

    and with ``mode="max"`` where m > best (1 + threshold) or m > best + threshold. More
    than ``patience`` epochs in a row without a better one reduce the rate.

    A Trainer calls :meth:`observe` after each epoch; in a loop of your own call
    ``schedule.observe({"validation_loss": …})``.

    Args:
        lr: the rate at the start.
        monitor: the key of ``history.epochs`` to watch.
        mode: ``"min"`` where less is better (losses), ``"max"`` where more is.
        factor: what the rate is multiplied by, 0 ≤ factor < 1.
        patience: epochs without improvement that are borne.
        threshold: how much better counts as better.
        threshold_mode: ``"rel"``, a share of the best, or ``"abs"``.
        cooldown: epochs after a reduction in which nothing is held against it.
        min_lr: the rate does not fall below.
        eps: a reduction by no more than this is left out.

    Source: PyTorch, ``torch.optim.lr_scheduler.ReduceLROnPlateau``.

    >>> lr = ReduceLROnPlateau(0.1, factor=0.5, patience=1)
    >>> rates = []
    >>> for loss in (1.0, 0.9, 0.95, 0.91, 0.92):
    ...     lr.observe({"validation_loss": loss})
    ...     rates.append(lr(0))
    >>> rates
    [0.1, 0.1, 0.1, 0.05, 0.05]
    """

    def __init__(
        self,
        lr: float,
        monitor: str = "validation_loss",
        *,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(lr)
        if not isinstance(monitor, str):
            raise ArgumentError(
                "ReduceLROnPlateau watches a key of history.epochs.",
                expected='for example monitor="validation_loss"',
                got=f"monitor={monitor!r:.80}",
            )
        self.monitor = monitor
        self.mode = one_of("mode", mode, ("min", "max"))
        self.factor = share("factor", factor, "the rate")
        self.patience = whole("patience", patience, least=0)
        self.threshold = real("threshold", threshold, least=0.0)
        self.threshold_mode = one_of("threshold_mode", threshold_mode, ("rel", "abs"))
        self.cooldown = whole("cooldown", cooldown, least=0)
        self.min_lr = real("min_lr", min_lr, least=0.0)
        self.eps = real("eps", eps, least=0.0)
        self._now = self.lr
        self._best = math.inf if mode == "min" else -math.inf
        self._bad_epochs = self._cooling = 0

    def __call__(self, step: int) -> float:
        """The present rate, whatever the update."""
        return self._now

    def observe(self, row: Mapping[str, Any]) -> None:
        """Compare an epoch with the best one, and reduce the rate where it is due.

        Raises:
            ArgumentError: the row has no such key, or no number there.
        """
        value = self._value(row)
        if self._is_better(value):
            self._best, self._bad_epochs = value, 0
        else:
            self._bad_epochs += 1
        if self._cooling:
            self._cooling, self._bad_epochs = self._cooling - 1, 0
        if self._bad_epochs > self.patience:
            self._bad_epochs, self._cooling = 0, self.cooldown
            lower = max(self._now * self.factor, self.min_lr)
            if self._now - lower > self.eps:
                self._now = lower

    def _value(self, row: Mapping[str, Any]) -> float:
        key = str(self.monitor)
        value = row.get(key)
        if isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        near = nearest(key, row)
        fix = 'fit(…, validation=…) measures it, or monitor="train_loss"'
        if near and key not in row:
            fix = f"did you mean {near!r}? Else: {fix}"
        raise ArgumentError(
            f"ReduceLROnPlateau watches {key!r}, of which the epoch has no number.",
            expected="one of "
            + ", ".join(k for k, v in row.items() if isinstance(v, Real)),
            got="nothing" if value is None else repr(value)[:80],
            fix=fix,
        )

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            bound = self._best * (1 - sign * self.threshold)
        else:
            bound = self._best - sign * self.threshold
        return sign * value < sign * bound

    def state(self) -> dict[str, Any]:
        return {
            "lr": self._now,
            "best": self._best if math.isfinite(self._best) else None,
            "bad_epochs": self._bad_epochs,
            "cooling": self._cooling,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._now = real("lr", state["lr"])
        if state["best"] is not None:
            self._best = real("best", state["best"])
        self._bad_epochs = whole("bad_epochs", state["bad_epochs"], least=0)
        self._cooling = whole("cooling", state["cooling"], least=0)
