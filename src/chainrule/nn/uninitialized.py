"""Parameters without numbers, for models whose weights are loaded next.

Such a parameter has a shape and a dtype; its memory is reserved and not written. Any
use of its numbers is refused until it is given some: by ``load_state_dict``, a function
of :mod:`chainrule.nn.init`, or ``copy_``. NaN in their place would cost the time of
writing them, and would be seen later and somewhere else.
"""

from __future__ import annotations

import threading
from typing import Any, NoReturn

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.blocks import Block


class _Mode(threading.local):
    """The switch of a thread to parameters without numbers."""

    on = False


_mode = _Mode()


def no_init() -> Block:
    """Make parameters without numbers within a block, for weights that are loaded next.

    Nothing is drawn and nothing is written: layers are made in no time, and random
    streams stay where they were. Functions of :mod:`chainrule.nn.init` leave such
    parameters as they are within the block. Buffers start as ever.

    A parameter that is used before it has numbers raises an error, in compiled code
    too; nothing is computed from what happens to be in memory.

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> weights = nn.Linear(3, 2).state_dict()
    >>> with nn.no_init():
    ...     model = nn.Linear(3, 2)
    >>> model(cr.ones(1, 3))
    Traceback (most recent call last):
        ...
    chainrule.errors.ArgumentError: A parameter of shape (2, 3) has no numbers yet.
      expected: numbers, for it was made within nn.no_init()
      got:      a use of it
      fix:      model.load_state_dict(weights), whose missing_keys it may be among; \
nn.init.normal_(parameter)
    >>> model.load_state_dict(weights)
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    >>> model(cr.ones(1, 3)).shape
    (1, 2)
    """
    return _NoInit()


class _NoInit(Block):
    """The block of :func:`no_init`."""

    def saved(self) -> bool:
        return _mode.on

    def change(self) -> None:
        _mode.on = True

    def undo(self, saved: bool) -> None:
        _mode.on = saved


def is_skipping() -> bool:
    """Return whether parameters are made without numbers here."""
    return _mode.on


class _Refusal:
    """The error that a use of a parameter without numbers raises.

    Args:
        parameter: its shape, for the message.
    """

    __slots__ = ("shape",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __call__(self) -> NoReturn:
        raise ArgumentError(
            _("A parameter of shape {shape} has no numbers yet.", shape=self.shape),
            expected=_("numbers, for it was made within nn.no_init()"),
            got=_("a use of it"),
            fix=_(
                "model.load_state_dict(weights), whose missing_keys it may be among; "
                "nn.init.normal_(parameter)"
            ),
        )


def without_numbers(shape: Any, dtype: Any) -> Value:
    """Return the value of a parameter whose numbers are not written."""
    return Value(np.empty(tuple(map(int, shape)), dtype))


def refuse_use(parameter: Tensor) -> None:
    """Refuse any use of a parameter's numbers until it is given some."""
    parameter.defer(_Refusal(parameter.shape))  # type: ignore[arg-type]


def has_numbers(tensor: Tensor) -> bool:
    """Return whether a tensor has numbers: it is no parameter that waits for them."""
    return not isinstance(tensor._pending, _Refusal)
