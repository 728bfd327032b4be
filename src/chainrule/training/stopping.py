"""Callbacks that monitor a quantity of a run: early stopping, best checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal

import numpy as np

from chainrule.errors import warn
from chainrule.optim.better import is_better
from chainrule.text import _, ngettext
from chainrule.training.averaging import set_weights, weights_of
from chainrule.training.callbacks import Callback
from chainrule.training.checks import monitored
from chainrule.util import validation
from chainrule.util.atomic_files import make_directory, sweep
from chainrule.util.keywords import strict


class Watching(Callback):
    """Base class of callbacks that monitor whether a history column improves.

    Args:
        monitor: its key, such as ``"validation_loss"`` or ``"validation_accuracy"``.
        min_delta: by how much it must improve to count.
        mode: ``"min"`` or ``"max"``; None: what is better for that number.

    Attributes:
        best: the best value so far, or None.
        best_epoch: the epoch of it, or None.
    """

    def __init__(
        self,
        monitor: str,
        *,
        min_delta: float = 0.0,
        mode: Literal["min", "max"] | None = None,
    ) -> None:
        self.min_delta = validation.number("min_delta", min_delta, least=0)
        self.mode = validation.maybe(validation.choice("min", "max"))("mode", mode)
        self.monitor = validation.text("monitor", monitor)
        self._better = mode or "min"
        self.best: float | None = None
        self.best_epoch: int | None = None

    def check(self, columns: Mapping[str, str | None]) -> None:
        """Refuse to monitor a quantity that the run's history will not contain."""
        monitored(type(self).__name__, self.monitor, columns, self.mode)
        self._better = self.mode or columns[self.monitor] or "min"

    def improved(self, trainer: Any) -> bool:
        """Return whether the monitored quantity improved in the last epoch; note it."""
        row = trainer.history.epochs[-1]
        value = float(row[self.monitor])
        if not is_better(value, self.best, self._better, by=self.min_delta):
            return False
        self.best, self.best_epoch = value, row["epoch"]
        return True

    def state(self) -> dict[str, Any]:
        """Return the monitored quantity's best value and epoch, for checkpoints."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the monitored quantity's best value and its epoch."""
        best, epoch = state.get("best"), state.get("best_epoch")
        kinds = type(best), type(epoch)
        if kinds[0] not in (float, int, NoneType) or kinds[1] not in (int, NoneType):
            raise self.strange(state)
        self.best, self.best_epoch = best, epoch


@strict
class EarlyStopping(Watching):
    """End the run when a number has stopped improving (Prechelt 1998).

    Args:
        monitor: the number, a key of the history's rows.
        patience: so many epochs in a row without an improvement end the run.
        min_delta: by how much it must improve to count.
        mode: ``"min"`` or ``"max"``; None: what is better for that number.
        restore_best: whether the model gets back the weights of its best epoch when the
            run is over, by early stopping or after its last epoch. (The optimiser's
            moments stay those of the last step, and so do the weights that a longer
            run goes on from.)

    Attributes:
        best: the best value so far, or None.
        best_epoch: the epoch of it, or None.
        waited: epochs since then.
        stopped: whether it has ended the run.

    All of that, the best weights too, is part of checkpoints: a run that was cut
    anywhere stops at the same epoch with the same weights. A run that was stopped
    stays stopped when it is resumed, with a warning; ``resume(train, epochs=…)`` goes
    on from its last weights, with all of its patience.

    >>> from chainrule.training import EarlyStopping
    >>> stop = EarlyStopping("validation_loss", patience=3)
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 5,
        *,
        min_delta: float = 0.0,
        mode: Literal["min", "max"] | None = None,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor, min_delta=min_delta, mode=mode)
        self.patience = validation.whole("patience", patience)
        self.restore_best = validation.truth("restore_best", restore_best)
        self.waited, self.stopped = 0, False
        self._weights: dict[str, np.ndarray] = {}
        self._last: dict[str, np.ndarray] = {}  # of a run that ended with the best

    def on_extend(self, trainer: Any) -> None:
        """Prepare early stopping for a longer run: last weights, patience reset."""
        if self.stopped:
            self.stopped, self.waited = False, 0
        if self._last:
            set_weights(trainer, self._last)
            self._last = {}

    def on_start(self, trainer: Any) -> None:
        """End at once a run that early stopping has already ended."""
        if self.stopped:
            warn(
                _("This run was stopped early, and nothing more is trained."),
                expected=_("a run that is not over"),
                got=ngettext(
                    "no better {monitor} for {n} epoch",
                    "no better {monitor} for {n} epochs",
                    n=self.waited,
                    monitor=self.monitor,
                ),
                fix=_("resume(train, epochs=…), its epochs altogether, goes on"),
            )
            trainer.stop()

    def on_epoch(self, trainer: Any) -> None:
        """Check the last epoch; stop the run early when the patience is over."""
        if self.improved(trainer):
            self.waited = 0
            if self.restore_best:
                self._weights = weights_of(trainer)
        else:
            self.waited += 1
        if self.waited >= self.patience:
            self.stopped = True
            trainer.stop()

    def on_finish(self, trainer: Any) -> None:
        """Restore the best epoch's weights after the run, for early stopping."""
        if (self.stopped or trainer.finished) and self._weights and self.waited:
            self._last = weights_of(trainer)
            set_weights(trainer, self._weights)

    def state(self) -> dict[str, Any]:
        """Return early stopping's state: best value, waited epochs, best weights."""
        weights_by_key = (("weights", self._weights), ("last", self._last))
        weights = {
            f"{key}/{name}": a for key, of in weights_by_key for name, a in of.items()
        }
        counts = {"waited": self.waited, "stopped": self.stopped}
        return {**super().state(), **counts, **weights}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore early stopping's state: best value, waited epochs, weights."""
        super().load_state(state)
        waited, stopped = state.get("waited", 0), state.get("stopped", False)
        if type(waited) is not int or waited < 0 or not isinstance(stopped, bool):
            raise self.strange(state)
        self.waited, self.stopped = waited, stopped
        self._weights, self._last = (
            {k.removeprefix(kind): v for k, v in state.items() if k.startswith(kind)}
            for kind in ("weights/", "last/")
        )


@dataclass(frozen=True)
class Stopped:
    """The result of early stopping for a run: its last and its best epoch.

    Attributes:
        epoch: after which it ended; None where the run was not stopped.
        best_epoch: with the best value, or None.
        restored: whether the model has the weights of the best epoch.
    """

    epoch: int | None
    best_epoch: int | None
    restored: bool

    @classmethod
    def of(cls, trainer: Any) -> Stopped | None:
        """Return the result of early stopping of a Trainer's last run, or None.

        >>> import chainrule as cr
        >>> trainer = cr.Trainer(cr.nn.Linear(1, 1), loss=cr.nn.MSELoss(),
        ...                      optimizer=cr.optim.SGD(lr=0.1), engine="numpy")
        >>> watch = EarlyStopping("train_loss")
        >>> _ = trainer.fit(([[1.0]], [[1.0]]), epochs=2, batch_size=1,
        ...                 callbacks=watch, progress=False)
        >>> Stopped.of(trainer)
        Stopped(epoch=None, best_epoch=2, restored=True)
        """
        kind = EarlyStopping.__name__
        watching = [s for n, s in trainer.state.callbacks.items() if n.startswith(kind)]
        if not watching:
            return None
        state_of_stop = max(watching, key=lambda state: state["stopped"])
        over = bool(state_of_stop["stopped"])
        has_weights = any(key.startswith("weights/") for key in state_of_stop)
        return cls(
            trainer.epoch if over else None,
            state_of_stop["best_epoch"],
            has_weights and (over or trainer.finished),
        )


@strict
class BestCheckpoint(Watching):
    """Keep a checkpoint of the best epoch so far.

    It is written while the callbacks are called one after the other, and holds what
    they remember by then: list it last, and a run resumed from this file goes on as
    the run did.

    Args:
        path: the file, replaced at each improvement; ``Trainer.load(path)`` reads it.
        monitor: the number that tells, a key of the history's rows.
        min_delta: by how much it must improve to count.
        mode: ``"min"`` or ``"max"``; None: what is better for that number.

    Raises:
        SaveError: the file cannot be written.

    >>> from chainrule.training import BestCheckpoint
    >>> keep = BestCheckpoint("best.ckpt", "validation_accuracy")
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "validation_loss",
        *,
        min_delta: float = 0.0,
        mode: Literal["min", "max"] | None = None,
    ) -> None:
        super().__init__(monitor, min_delta=min_delta, mode=mode)
        self.path = validation.path("path", path)

    def on_start(self, trainer: Any) -> None:
        """Create the best checkpoint's directory, so that a wrong path fails early."""
        make_directory(self.path.parent)
        sweep(self.path)

    def on_epoch(self, trainer: Any) -> None:
        """Save a checkpoint if the last epoch is the best so far."""
        if self.improved(trainer):
            trainer.save(self.path)
