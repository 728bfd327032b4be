"""Read-only arrays of a ``state_dict``, with clear errors for changes in place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.tensor import Tensor, tensor
from chainrule.text import _


class StateArray(np.ndarray[Any, Any]):
    """A read-only NumPy array with the values of a parameter, in a ``state_dict``.

    Views of it are such arrays, too. What is computed of it or copied is a plain array,
    which belongs to who made it; ``repr`` is a plain array's. ``clone`` gives a tensor.
    """

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        if method == "at":
            self._refuse(inputs[0])
        if out is not None:
            options["out"] = tuple(map(self._refuse, out))
        return getattr(ufunc, method)(*map(_plain, inputs), **options)

    def __array_function__(
        self, function: Any, types: Any, args: Any, options: Any
    ) -> Any:
        try:
            result = super().__array_function__(function, types, args, options)
        except ValueError as error:
            self._refuse(self, error)
            raise
        return _owned(result)

    def _refuse(self, target: Any, error: ValueError | None = None) -> Any:
        """Return ``target`` as a plain array; refuse to write to a state_dict's."""
        said = error is None or "read-only" in str(error)
        if isinstance(target, StateArray) and not target.flags.writeable and said:
            raise _refusal(target) from None
        return _plain(target)

    def setflags(self, write: Any = None, align: Any = None, uic: Any = None) -> None:
        """Set the array's flags as NumPy does; refuse to make it writeable."""
        if write and not self.flags.writeable:
            raise _refusal(self)
        super().setflags(write=write, align=align, uic=uic)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return np.array(self).__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return np.array(self)

    def __deepcopy__(self, memo: Any) -> Any:
        return np.array(self)

    def copy(self, order: Any = "C") -> Any:
        """Return a plain, writeable copy of a state_dict's array."""
        return np.array(self, order=order)

    def astype(self, *args: Any, **options: Any) -> Any:
        """Return a state_dict's array in another dtype, as a plain array."""
        return np.asarray(self).astype(*args, **options)

    def flatten(self, order: Any = "C") -> Any:
        """Return a state_dict's array flattened, as a plain array."""
        return np.asarray(self).flatten(order)

    def clone(self) -> Tensor:
        """Return a copy of the values as a tensor, as PyTorch's ``state_dict`` has."""
        return tensor(np.array(self))

    # PyTorch's ways to a copy on the CPU.
    detach = cpu = clone

    def numel(self) -> int:
        """Return the number of elements of a state_dict's array."""
        return self.size

    def __repr__(self) -> str:
        return repr(np.asarray(self))


def _plain(item: Any) -> Any:
    return item.view(np.ndarray) if isinstance(item, StateArray) else item


def _owned(item: Any) -> Any:
    """Return results of state_dict's arrays as plain arrays; views stay read-only."""
    if isinstance(item, tuple | list):
        return type(item)(map(_owned, item))
    if isinstance(item, StateArray) and item.flags.writeable:
        return item.view(np.ndarray)
    return item


def _refusal(array: np.ndarray[Any, Any]) -> ArgumentError:
    return ArgumentError(
        _(
            "The arrays of state_dict() show the numbers of a module, and are "
            "not changed in place: nothing would reach the module."
        ),
        expected=_("a change of the module, or of a copy"),
        got=_("a change of {array!r:.60}", array=np.asarray(array)),
        fix=_(
            "module.weight.data *= 0.9; or array.copy(), and load_state_dict with it"
        ),
    )


def state_array(array: np.ndarray[Any, Any]) -> StateArray:
    """Return a read-only view of an array for a ``state_dict``."""
    narrow = array.dtype.name == "bfloat16"  # which Python's buffers do not have
    buffer: Any = array.view(np.uint16) if narrow else array
    fixed = np.asarray(memoryview(buffer).toreadonly())
    return (fixed.view(array.dtype) if narrow else fixed).view(StateArray)


def _refusing(name: str) -> Callable[..., Any]:
    """Return an array method that refuses changes of a state_dict's array."""
    method = getattr(np.ndarray, name)

    @functools.wraps(method)
    def change(self: StateArray, *args: Any, **options: Any) -> Any:
        if not self.flags.writeable:
            raise _refusal(self)
        return method(self, *args, **options)

    return change


#: The methods that change an array.
CHANGES = "__setitem__ fill partition put resize setfield sort"
for _name in CHANGES.split():
    setattr(StateArray, _name, _refusing(_name))
