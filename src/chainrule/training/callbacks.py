"""Callbacks: hooks that run between the chunks of steps of a training run.

:mod:`.loop` calls them; those that come with the library are in :mod:`.stopping`,
:mod:`.logs` and :mod:`.progress`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from chainrule.errors import CheckpointError, warn
from chainrule.text import _
from chainrule.util import validation


class Callback:
    """Base class of callbacks, called between the chunks of steps of a training run.

    Its methods get the Trainer, and under a :class:`Loop` the loop.

    Weights, ``trainer.history`` and the position are up to date whenever a method is
    called; :meth:`Trainer.stop` ends the run. Time spent here does not count as
    training. An exception ends the run and reaches the caller; checkpoints that were
    written stay whole, and every callback whose ``on_start`` has returned gets its
    ``on_end``. What that raises after another exception becomes a note of it.

    What a callback remembers over the epochs it gives in :meth:`state` and takes back
    in :meth:`load_state`: then an interrupted run, resumed with a callback of the same
    class, goes on as if nothing had happened.

    >>> from chainrule.training import Callback
    >>> class StopWhenGood(Callback):
    ...     def on_epoch(self, trainer):
    ...         if trainer.history.epochs[-1]["validation_accuracy"] > 0.98:
    ...             trainer.stop()
    """

    #: Whether every one of several processes that run a program together calls it. What
    #: only tells others of the run is called in the first.
    everywhere: ClassVar[bool] = True

    def check(self, columns: Mapping[str, str | None]) -> None:
        """Refuse, before it begins, a run that the callback does not suit.

        Args:
            columns: what the rows of the run's history will hold; ``"max"`` where more
                is better, else ``"min"``; None where nobody knows.
        """

    def on_extend(self, trainer: Any) -> None:
        """Prepare the callback for a run made longer or shorter by ``resume``.

        The run may be over, or stopped early, and what ended it is to be taken back.
        """

    def on_start(self, trainer: Any) -> None:
        """Callback hook: run before the first step of a training run."""

    def on_chunk(self, trainer: Any) -> None:
        """Callback hook: run after each chunk of training steps, about every 50 ms."""

    def on_epoch(self, trainer: Any) -> None:
        """Callback hook: run after each epoch and its validation."""

    def on_finish(self, trainer: Any) -> None:
        """Callback hook: run after the last epoch of a completed training run.

        It is over when all epochs are done or a callback's ``on_epoch`` stopped it, and
        not where it was interrupted or failed.
        """

    def on_end(self, trainer: Any) -> None:
        """Callback hook: run at the end of a training run, even a failed one."""

    def state(self) -> dict[str, Any]:
        """Return the callback's state for a checkpoint: JSON values and arrays."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the callback's state that ``state`` returned; empty: a new run."""

    def strange(self, state: Mapping[str, Any]) -> CheckpointError:
        """Return the error for a saved state that a callback cannot use."""
        return CheckpointError(
            _(
                "{kind} cannot go on from what the checkpoint remembers.",
                kind=type(self).__name__,
            ),
            expected=_("what its state() gave"),
            got=repr(dict(state))[:80],
            fix=_("begin a new run with fit(), which forgets it"),
        )


#: The methods that a run calls.
HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback of training whose hooks are functions of the Trainer.

    Args:
        functions: by the names of the methods of :class:`Callback` that they stand for,
            ``on_extend``, ``on_start``, ``on_chunk``, ``on_epoch``, ``on_finish``,
            ``on_end``.

    >>> from chainrule.training import LambdaCallback
    >>> shout = LambdaCallback(on_epoch=lambda trainer: print(trainer.epoch))
    """

    def __init__(self, **functions: Callable[[Any], Any]) -> None:
        validation.known_names(_("A callback's method"), functions, HOOKS)
        for name, function in functions.items():
            validation.instance(name, function, Callable, _("lambda trainer: …"))
            setattr(self, name, function)


def as_callbacks(callbacks: Any) -> list[Callback]:
    """Return a run's callbacks, one or an iterable, as a checked list.

    Raises:
        ArgumentError: something that is none.
    """
    several = isinstance(callbacks, Iterable) and not isinstance(
        callbacks, Callback | type
    )
    items: list[Any] = [*callbacks] if several else [callbacks]
    for item in items:
        validation.instance("callbacks", item, Callback, "[LambdaCallback(on_epoch=…)]")
        _warn_of_strange_methods(item)
    return items


def _warn_of_strange_methods(callback: Callback) -> None:
    """Warn of a callback's ``on_…`` methods that no run calls, as ``on_epoch_end``."""
    for name in dir(type(callback)):
        if name.startswith("on_") and name not in HOOKS:
            warn(
                _(
                    "{kind} has a method {name}, and nothing calls it.",
                    kind=type(callback).__name__,
                    name=name,
                ),
                expected=", ".join(HOOKS),
                got=name,
                fix=validation.did_you_mean(name, HOOKS, _("give it another name")),
            )
