"""A scheduler that waits for a quantity to improve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from chainrule.optim import schedules
from chainrule.optim.lr_scheduler.base import LRScheduler, one_per_group


class ReduceLROnPlateau(LRScheduler):
    """``factor`` times the rate once a quantity has not improved for some epochs.

    Args:
        optimizer: whose rates are set.
        mode: ``"min"`` where less is better, ``"max"`` where more is.
        factor: what the rate is multiplied by, 0 ≤ factor < 1.
        patience: epochs without improvement that are borne.
        threshold: how much better counts as better.
        threshold_mode: ``"rel"``, a share of the best, or ``"abs"``.
        cooldown: epochs after a reduction in which nothing is held against it.
        min_lr: the rate does not fall below; or a list with one for each group.
        eps: a reduction by no more than this is left out.

    >>> from chainrule import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.9, 0.95, 0.91):
    ...     scheduler.step(loss)
    >>> optimizer.param_groups[0]["lr"]
    0.05
    """

    def __init__(
        self,
        optimizer: Any,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        options: dict[str, Any] = {"mode": mode, "factor": factor, "eps": eps}
        options |= {"patience": patience, "cooldown": cooldown}
        options |= {"threshold": threshold, "threshold_mode": threshold_mode}
        groups = getattr(optimizer, "param_groups", ())
        limits = one_per_group("min_lr", min_lr, len(groups))
        self._plateaus = [
            schedules.ReduceLROnPlateau(float(group["lr"]), min_lr=least, **options)
            for group, least in zip(groups, limits, strict=True)
        ]
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """Return the rates of the groups now."""
        return [plateau(0) for plateau in self._plateaus]

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Compare a quantity with its best, and reduce the rates on a plateau.

        Args:
            metrics: the quantity, a number or a tensor of one.
            epoch: the number of the epoch; one more by default.
        """
        for plateau, lr in zip(self._plateaus, self._rates(), strict=True):
            plateau.learnt = {**plateau.learnt, "lr": lr}
            plateau.observe({plateau.monitor: float(metrics)})
        self._advance(self.last_epoch + 1 if epoch is None else epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the scheduler's state, without its optimiser."""
        state = {k: v for k, v in vars(self).items() if k != "optimizer"}
        return state | {"_plateaus": [dict(p.learnt) for p in self._plateaus]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        rest = dict(state_dict)
        for plateau, learnt in zip(self._plateaus, rest.pop("_plateaus"), strict=True):
            plateau.learnt = dict(learnt)
        super().load_state_dict(rest)
