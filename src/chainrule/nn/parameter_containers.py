"""Containers of parameters: a list and a dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from chainrule.errors import ArgumentError
from chainrule.nn.attribute_checks import check_name
from chainrule.nn.module import Module
from chainrule.nn.parameter import Parameter
from chainrule.tensor import Tensor
from chainrule.text import _

__all__ = ["ParameterDict", "ParameterList"]


class _Parameters(Module):
    """Base class of containers of parameters, in order."""

    def _put(self, name: str, value: Any) -> None:
        """Set a parameter of a container; other tensors are made one."""
        if not isinstance(value, Tensor):
            raise ArgumentError(
                _("{kind} holds parameters.", kind=type(self).__name__),
                expected=_("nn.Parameter(numbers), or a tensor to make one of"),
                got=f"{value!r:.60}",
            )
        check_name(self, name)
        setattr(self, name, value if isinstance(value, Parameter) else Parameter(value))

    def _named(self) -> dict[str, Parameter]:
        """Return a container's parameters by name."""
        return {k: p for k, p in self.__dict__.items() if isinstance(p, Parameter)}

    def __len__(self) -> int:
        return len(self._named())

    def settings(self) -> dict[str, Any]:
        """Return an empty description: what a container holds is in its state."""
        return {}

    def extra_repr(self) -> str:
        """Return the shapes of a container's parameters, by name."""
        shown = (
            f"({name}): Parameter of shape {tuple(p.shape)}, {p.dtype.name}"
            for name, p in self._named().items()
        )
        return "\n  ".join(shown)


class ParameterList(_Parameters):
    """A list of parameters that the module which holds it finds.

    Args:
        values: parameters, or tensors, which become parameters.

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> scales = nn.ParameterList([cr.ones(2), cr.ones(3)])
    >>> [name for name, _ in scales.named_parameters()], scales[-1].shape
    (['0', '1'], (3,))
    """

    def __init__(self, values: Iterable[Tensor] | None = None) -> None:
        self.extend(values or ())

    def append(self, value: Tensor) -> Self:
        """Append a parameter to the list."""
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Tensor]) -> Self:
        """Append several parameters to the list."""
        for value in values:
            self.append(value)
        return self

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._named().values())

    @overload
    def __getitem__(self, index: int) -> Parameter: ...

    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...

    def __getitem__(self, index: int | slice) -> Any:
        """Return the list's parameter at an index, or a list for a slice."""
        chosen = list(self)[index]
        return ParameterList(chosen) if isinstance(chosen, list) else chosen

    def __setitem__(self, index: int, value: Tensor) -> None:
        self._put(list(self._named())[index], value)


class ParameterDict(_Parameters):
    """Parameters by name that the module which holds it finds.

    Args:
        parameters: parameters or tensors by name.

    >>> import chainrule as cr
    >>> from chainrule import nn
    >>> both = nn.ParameterDict({"scale": cr.ones(2), "shift": cr.zeros(2)})
    >>> list(both), "scale" in both, both["shift"].requires_grad
    (['scale', 'shift'], True, True)
    """

    def __init__(self, parameters: Mapping[str, Tensor] | None = None) -> None:
        self.update(parameters or {})

    def update(self, parameters: Mapping[str, Tensor]) -> None:
        """Add parameters by name to the dictionary; equal names are replaced."""
        for name, value in parameters.items():
            self[name] = value

    def __getitem__(self, key: str) -> Parameter:
        return self._named()[key]

    def __setitem__(self, key: str, value: Tensor) -> None:
        self._put(key, value)

    def __delitem__(self, key: str) -> None:
        self[key]  # a KeyError where there is none
        delattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self._named()

    def __iter__(self) -> Iterator[str]:
        return iter(self._named())

    def keys(self) -> Iterable[str]:
        """Return the names of the parameters in the dictionary."""
        return self._named().keys()

    def values(self) -> Iterable[Parameter]:
        """Return the parameters in the dictionary."""
        return self._named().values()

    def items(self) -> Iterable[tuple[str, Parameter]]:
        """Return the pairs of a name and a parameter in the dictionary."""
        return self._named().items()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the parameter of a name, or a default where there is none."""
        return self._named().get(key, default)

    def pop(self, key: str) -> Parameter:
        """Remove a parameter from the dictionary, and return it."""
        value = self[key]
        delattr(self, key)
        return value
