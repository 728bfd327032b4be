"""The common arguments of all optimisers, as attributes that traces may read."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, MISSING, fields
from functools import partial
from typing import Any

from chainrule.optim.arguments import Declared
from chainrule.optim.schedule import Schedule
from chainrule.tensor import Tensor

#: The types that ``params=`` takes.
Params = Iterable[Tensor | tuple[str, Tensor] | str | Mapping[str, Any]]
#: A learning rate, a schedule, or the settings of one.
Rate = float | Schedule | Mapping[str, Any]


class HyperParameter:
    """A descriptor for an optimiser's argument, which records reads by traces.

    A function that reads it while it is traced is traced anew where it has changed.
    """

    def __init__(self, name: str, default: Any) -> None:
        self.name, self.default = name, default

    def __get__(self, optimizer: Any, kind: Any = None) -> Any:
        held: Mapping[str, Any] = {} if optimizer is None else vars(optimizer)
        get = partial(held.get, self.name, self.default)
        if optimizer is not None:
            optimizer.note_read(get)
        if (value := get()) is MISSING:
            raise AttributeError(self.name)
        return value

    def __set__(self, optimizer: Any, value: Any) -> None:
        vars(optimizer)[self.name] = value


class Arguments(Declared):
    """The common arguments of all optimisers."""

    def __init_subclass__(cls, **defaults: Any) -> None:
        super().__init_subclass__(**defaults)
        for field in fields(cls):
            known = inspect.getattr_static(cls, field.name, None)
            if not isinstance(known, property | HyperParameter):
                setattr(cls, field.name, HyperParameter(field.name, field.default))

    params: Params | None = None
    lr: Rate = 1e-3
    _: KW_ONLY
    maximize: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None
