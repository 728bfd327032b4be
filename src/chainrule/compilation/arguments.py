"""Arguments of compiled functions: array inputs, and static parts of the program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from chainrule.compilation.guards.fingerprints import fingerprint
from chainrule.errors import ArgumentError
from chainrule.graph.node import Array, Value
from chainrule.tensor import Tensor, tensor
from chainrule.text import _
from chainrule.util.pytree import flatten

#: Arguments that take on the dtype of the tensor beside them.
FLOATS = (float, np.floating)


def is_static(leaf: Any) -> bool:
    """Return whether an argument is static: part of the program, and no graph input."""
    if isinstance(leaf, Tensor | np.ndarray | float | np.generic):
        return False
    return not (hasattr(leaf, "__array__") or hasattr(leaf, "__dlpack__"))


def named_leaves(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[tuple[str, Any]]:
    """Return a call's argument leaves, named by parameter and path (``x.0``)."""
    try:
        # A module's own call takes anything; its names are those of its forward.
        signature = inspect.signature(getattr(function, "forward", function))
        signature.bind(*args, **kwargs)
        # In the order of the call, which is that of its leaves.
        parts = [*signature.bind_partial(*args).arguments.items(), *kwargs.items()]
    except (TypeError, ValueError):  # a builtin, or a call that Python will refuse
        parts = [(f"x{i}", a) for i, a in enumerate(args)] + list(kwargs.items())
    items: list[tuple[str, Any]] = []

    def walk(item: Any, name: str) -> None:
        if isinstance(item, dict):
            for k, v in item.items():
                walk(v, f"{name}.{k}")
        elif isinstance(item, tuple | list):
            for i, v in enumerate(item):
                walk(v, f"{name}.{i}")
        else:
            items.append((name, item))

    for name, item in parts:
        walk(item, name)
    return items


def sizes_of(asked: Mapping[str, Any] | None) -> dict[str, tuple[Any, ...]]:
    """Return the shapes with names for sizes that are asked for, by argument.

    Raises:
        ArgumentError: not shapes by name.
    """
    if asked is None:
        return {}
    right = isinstance(asked, Mapping) and all(
        isinstance(name, str)
        and isinstance(shape, tuple | list)
        and all(map(_is_size, shape))
        for name, shape in asked.items()
    )
    if not right:
        raise ArgumentError(
            _("shapes= gives sizes names, by argument."),
            expected=_("a name, the size or None for each axis of an argument"),
            got=f"{asked!r:.80}",
            fix='shapes={"x": ("N", 784)}',
        )
    return {name: tuple(shape) for name, shape in asked.items()}


def _is_size(size: Any) -> bool:
    named = isinstance(size, str) and size.isidentifier()
    return size is None or named or (isinstance(size, int) and size >= 0)


def check_named(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    asked: Iterable[str],
) -> None:
    """Refuse names of arguments that a call's arrays have not.

    An argument that the call leaves out, or gives as None, may have one.

    Raises:
        ArgumentError: no such array.
    """
    named = named_leaves(function, args, kwargs)
    arrays = [name for name, item in named if not is_static(item)]
    given = {name.partition(".")[0] for name, item in named if item is not None}
    try:
        signature = inspect.signature(getattr(function, "forward", function))
        parameters = signature.parameters.values()
        absent = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - given
    except (TypeError, ValueError):
        absent = set[str]()
    for name in asked:
        if name not in arrays and name.partition(".")[0] not in absent:
            raise ArgumentError(
                _("There is no argument {name!r} to give sizes names.", name=name),
                expected=", ".join(dict.fromkeys([*arrays, *sorted(absent)])),
                got=repr(name),
            )


def arguments_of(
    args: tuple[Any, ...], kwargs: dict[str, Any], engine: str, *, sized: bool = True
) -> tuple[list[Any], list[Any], Any]:
    """Return a call's array arguments, their numbers, and the call's cache key.

    Args:
        args, kwargs: of the call.
        engine: the name of the engine that takes them: what it has stored stays there.
        sized: calls with arrays of other sizes are of another kind.
    """
    leaves: list[Any] = []
    arrays: list[Any] = []
    kinds: list[Any] = []
    simple = not kwargs
    for arg in args:
        tracked = False
        if type(arg) is Tensor:
            now = arg._value if arg._base is None else arg._now
            if type(now) is not Value or arg._pending is not None:
                array = arg._stored_or_array(engine)
            else:
                array = now.array
                if array is None:
                    array = arg.numpy()
            tracked = now.tracked
        elif type(arg) is np.ndarray:
            array = arg
        else:
            simple = False
            break
        leaves.append(arg)
        arrays.append(array)
        kinds += array.dtype, array.shape if sized else array.ndim, tracked
    if simple:
        return leaves, arrays, tuple(kinds)
    items, structure = flatten((args, kwargs))
    leaves, arrays, kinds = [], [], []
    for leaf in items:
        if is_static(leaf):
            kinds.append(_static_key(leaf))
            continue
        leaves.append(leaf)
        if isinstance(leaf, Tensor):
            array = leaf._stored_or_array(engine)
        else:
            array = _numbers(leaf)
        arrays.append(array)
        tracked = isinstance(leaf, Tensor) and leaf.requires_grad
        number = type(leaf) if isinstance(leaf, FLOATS) else None
        size = array.shape if sized else array.ndim
        kinds.append((array.dtype, size, tracked, number))
    return leaves, arrays, (_frozen(structure), tuple(kinds))


def _numbers(leaf: Any) -> Array:
    """Return an array argument of a compiled function as a NumPy array."""
    if isinstance(leaf, FLOATS):
        return np.asarray(leaf, np.float64)
    return tensor(leaf).numpy()


def _static_key(leaf: Any) -> Any:
    """Return a compiled function's static argument as part of a cache key.

    Objects that say themselves when they are equal are held to their attributes too.
    """
    kind = type(leaf)
    try:
        hash(leaf)
    except TypeError:
        return kind, _Kept(leaf)
    if hasattr(leaf, "__dict__") and kind.__eq__ is not object.__eq__:
        return kind, leaf, fingerprint(vars(leaf))
    return kind, leaf


class _Kept:
    """A cache key for an unhashable argument: compared by identity, and kept alive."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kept) and other.item is self.item

    def __hash__(self) -> int:
        return id(self.item)


def _frozen(structure: Any) -> Any:
    """Return the structure of nested arguments as a hashable cache key."""
    if isinstance(structure, dict):
        return dict, tuple([(k, _frozen(v)) for k, v in structure.items()])
    if isinstance(structure, tuple | list):
        return type(structure), tuple([_frozen(v) for v in structure])
    return structure
