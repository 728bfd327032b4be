"""The contract between programs and engines: what an engine gets, gives and promises.

``README.md`` beside this file says what holds for every engine besides the signatures;
``tests/engines/contract`` holds each engine to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from chainrule.errors import ArgumentError
from chainrule.graph.node import Array
from chainrule.graph.types import DType, Sizes, as_dtype
from chainrule.text import _


class Buffer(NDArrayOperatorsMixin):
    """An array in an engine's memory: an input that it stores, or a result of a run.

    NumPy's functions, operators and methods take it as the array that it holds; each
    of these fetches the numbers. A run on the same engine takes it as it is.

    Attributes:
        engine: the name of the engine.
        shape, dtype: those of the array.
        data: what the engine reads: an array for an engine on this machine's
            processors; an accelerator has its own.
        sharding: how the engine has spread it over devices; None for one place.
    """

    __slots__ = ("data", "dtype", "engine", "shape", "sharding")

    def __init__(
        self,
        engine: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        data: Any,
        sharding: Any = None,
    ) -> None:
        self.engine, self.shape, self.dtype = engine, shape, dtype
        self.data, self.sharding = data, sharding

    def numpy(self) -> Array:
        """Fetch a stored array from the engine's memory, as a NumPy array."""
        return _unwritable(np.asarray(self.data))

    def is_finite(self) -> bool:
        """Return whether a stored array is free of NaN and infinity.

        An engine of a device finds out there, and fetches the answer alone.
        """
        return not as_dtype(self.dtype).is_float or bool(
            np.isfinite(self.numpy()).all()
        )

    # -- as an array -----------------------------------------------------------------

    @property
    def ndim(self) -> int:
        """The number of a stored array's axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of a stored array's elements."""
        return math.prod(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype, copy=copy)

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        if any(isinstance(x, Buffer) for x in kwargs.get("out", ())):
            raise ArgumentError(
                _("An array in an engine's memory is not changed in place."),
                expected=_("an operation that makes a new array, such as a + b"),
                got=f"{self!r}",
                fix="a = np.array(a)",
            )
        arrays = [x.numpy() if isinstance(x, Buffer) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # protocols that it does not have
            raise AttributeError(name)
        return getattr(_unwritable(self.numpy()), name)

    def __getitem__(self, key: Any) -> Any:
        return _unwritable(self.numpy())[key]

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __repr__(self) -> str:
        return f"Buffer({self.engine}, {self.dtype}{list(self.shape)})"


class Parts:
    """An input of a run that is read in parts, as an engine needs them.

    An engine of this machine reads all of it. One that runs in several processes reads
    in each of them the parts that its devices get.

    Args:
        shape, dtype: those of the array.
        read: gives the elements at slices, one for each axis.
        note: tells it from others: the same in all processes.

    Attributes:
        complete: whether this process can read all of it.

    >>> parts = Parts((2, 3), np.dtype(int), np.arange(6).reshape(2, 3).__getitem__, "")
    >>> parts[:, 1:2].tolist(), parts.steps(1, 1, 2)[:, 1:].tolist()
    ([[1], [4]], [[4, 5], [0, 0]])
    """

    __slots__ = ("_read", "complete", "dtype", "note", "shape")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        read: Callable[[tuple[slice, ...]], Array],
        note: str,
        complete: bool = True,
    ) -> None:
        self.shape, self.dtype, self.note = shape, dtype, note
        self._read, self.complete = read, complete

    @property
    def nbytes(self) -> int:
        """The bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, where: tuple[slice, ...]) -> Array:
        return self._read(where)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self._read((slice(None),) * len(self.shape)), dtype)

    def astype(self, dtype: Any) -> Parts:
        """Return the same parts in another dtype."""
        kind = np.dtype(dtype)
        read = self._read
        return Parts(
            self.shape,
            kind,
            lambda where: read(where).astype(kind),
            self.note,
            self.complete,
        )

    def steps(self, start: int, count: int, length: int) -> Parts:
        """Return ``count`` rows of the first axis, with zeros up to ``length``."""

        def read(where: tuple[slice, ...]) -> Array:
            first, last, __ = where[0].indices(length)
            end = min(last, count)
            rows = self._read((slice(start + first, start + end), *where[1:]))
            if last <= count:
                return rows
            padded = np.zeros((last - first, *rows.shape[1:]), rows.dtype)
            padded[: len(rows)] = rows
            return padded

        shape = (length, *self.shape[1:])
        note = f"{self.note} {start}+{count}"
        return Parts(shape, self.dtype, read, note, self.complete)


def _unwritable(array: Array) -> Array:
    """Return a view of an array that nothing is written to: it would get lost."""
    view = array.view()
    view.flags.writeable = False
    return view


class Capabilities(NamedTuple):
    """The capabilities of an engine beyond running programs.

    Attributes:
        host: it reads and writes this process' memory: what it stores and returns are
            NumPy arrays.
        schedules: its executables have ``schedules`` and ``profile``.
        threads: it takes the number of threads to use.
        replicas: its executables have ``replica()``, for another thread at the same
            time, where they use one thread each.
        compiles_each_size: it compiles an entry point for each named size that comes,
            not once for all up to the largest.
        devices: it can spread a program over several devices and processes.
        dtypes: the element types that it computes with.
    """

    host: bool = True
    schedules: bool = False
    threads: bool = True
    replicas: bool = False
    compiles_each_size: bool = True
    devices: bool = False
    dtypes: frozenset[DType] = frozenset(DType)


class Executable(Protocol):
    """A program loaded into an engine, ready to run; it owns the program's state.

    Attributes:
        engine: its engine's name.
        seconds_compile: time spent on preparing and compiling so far.
        completed: the number of steps of the last run. Where it ended with an
            exception these are the steps that the state has seen.
    """

    engine: str
    seconds_compile: float
    completed: int

    def put(self, entry: str, name: str, array: Array) -> Buffer:
        """Store an input array in the engine's layout, for use in many runs."""
        ...

    def write(self, name: str, array: Array | Buffer) -> None:
        """Set the value of a program's state (such as a parameter) in the engine."""
        ...

    def read(self, name: str) -> Array | Buffer:
        """Return a copy of a program's state (such as a parameter) from the engine."""
        ...

    def share(self, entry: str, rows: int) -> Array:
        """Return the rows of a batch of so many that this process computes with.

        They are numbers, in their order: all but for an engine that divides batches
        over several processes.
        """
        ...

    def prepare(self, entry: str, sizes: Sizes) -> object:
        """Compile a program's entry point for sizes, without running it."""
        ...

    def run(
        self,
        entry: str,
        inputs: Mapping[str, Array | Buffer],
        *,
        steps: int | None,
        sizes: Sizes,
    ) -> list[Any]:
        """Run a program's entry point; return its outputs, arrays or buffers.

        Args:
            entry: its name.
            inputs: by name, of the types that its graph has; buffers are the engine's,
                and :class:`Parts` come to one that spreads programs over devices.
            steps: how many times. Inputs that the entry takes anew for each step then
                have a row for each, and so have all outputs. None runs it once,
                without these axes.
            sizes: the named sizes of the inputs.
        """
        ...

    def synchronize(self) -> None:
        """Wait until all runs so far have ended."""
        ...
