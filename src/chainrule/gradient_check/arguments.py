"""The arguments of a gradient check's function: tensors, modules, names."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, NonFiniteError
from chainrule.graph.node import Array
from chainrule.tensor import Tensor, tensor
from chainrule.text import _
from chainrule.util.pytree import Leaf, flatten, unflatten


@dataclass(frozen=True)
class Arguments:
    """The arguments that a gradient check calls its function with.

    Attributes:
        structure: the arguments, with places for ``leaves``.
        leaves: each a tensor, or whatever else is passed on as it is.
        names: those of the leaves.
        fixed: leaves of these names are held fixed.
    """

    structure: Any
    leaves: list[Any]
    names: list[str]
    fixed: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, called: Sequence[str], args: tuple[Any, ...], fixed: tuple[str, ...] = ()
    ) -> Arguments:
        """Return a checked function's arguments, with arrays and floats as tensors.

        Args:
            called: the names of the arguments.
            args: what they are.
            fixed: the names of those that no derivative is taken with respect to.
        """
        leaves: list[Any] = []
        structures: list[Any] = []
        names: list[str] = []
        for name, arg in zip(called, args, strict=True):
            parts, structure = ([arg], Leaf(0)) if _is_array(arg) else flatten(arg)
            places = [Leaf(len(leaves) + i) for i in range(len(parts))]
            structures.append(unflatten(structure, places))
            names += (name + path for path in _paths(structure))
            leaves += map(_leaf, parts)
        return cls(tuple(structures), leaves, names, fixed)

    def differentiable(self) -> list[int]:
        """Return the indices of the arguments to differentiate with respect to."""
        return [
            i
            for i, leaf in enumerate(self.leaves)
            if isinstance(leaf, Tensor)
            and leaf.dtype.is_float
            and self.names[i] not in self.fixed
        ]

    def with_leaves(self, chosen: dict[int, Tensor]) -> Any:
        """Return the checked function's arguments with some replaced by tensors."""
        return unflatten(
            self.structure, [chosen.get(i, leaf) for i, leaf in enumerate(self.leaves)]
        )

    def modules(self) -> dict[str, Any]:
        """Return the modules with parameters among a function's arguments, by name."""
        items = zip(self.names, self.leaves)
        return {name: leaf for name, leaf in items if has_parameters(leaf)}

    def in_float32(self) -> Arguments:
        """Return a function's arguments with floating-point tensors in float32."""
        return replace(self, leaves=[_cast(x, "float32") for x in self.leaves])

    def in_float64(self) -> Arguments:
        """Return a function's arguments in float64, with copies of the modules."""
        copies = copy.deepcopy(list(self.modules().values()))  # tied ones stay tied
        wide = iter([module.double() for module in copies])
        leaves = [next(wide) if has_parameters(x) else x for x in self.leaves]
        return replace(self, leaves=[_cast(x, "float64") for x in leaves])

    def parameters(self) -> dict[str, Tensor]:
        """Return the trainable parameters of modules among the arguments, by name."""
        modules = self.modules()
        parameters: dict[int, tuple[str, Tensor]] = {}
        for prefix, module in modules.items():
            prefix = prefix if len(modules) > 1 else ""
            for name, p in module.named_parameters(prefix):
                if p.requires_grad:
                    parameters.setdefault(id(p), (name, p))
        return dict(parameters.values())

    def buffers(self) -> list[Tensor]:
        """Return the buffers (tensors, not parameters) of modules among arguments."""
        modules = self.modules().values()
        trained = {id(p) for module in modules for p in module.parameters()}
        tensors = [t for module in modules for __, t in module.named_tensors()]
        return [t for t in tensors if id(t) not in trained]


def is_module(item: Any) -> bool:
    """Return whether an object is a neural-network module."""
    return hasattr(item, "named_parameters") and not isinstance(item, type)


def has_parameters(item: Any) -> bool:
    """Return whether an object is a neural-network module with parameters."""
    return is_module(item) and any(True for __ in item.parameters())


def outside(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's global and closure variables by name."""
    function = getattr(function, "__func__", function)
    if not inspect.isfunction(function):
        return {}
    variables = inspect.getclosurevars(function)
    return {**variables.globals, **variables.nonlocals}


def nothing_to_differentiate() -> ArgumentError:
    """Return the error for a checked function without floating-point arguments."""
    return ArgumentError(
        _("check_gradients found nothing to differentiate with respect to."),
        expected=_("a floating-point argument, or a parameter that is used"),
        got=_("integers, frozen parameters, or nothing"),
        fix=_("pass floating-point numbers, such as 1.0 in place of 1"),
    )


def refuse_non_finite(name: str, array: Array) -> None:
    """Raise an error if an array contains NaN or infinity."""
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(bad[0].tolist())
        raise NonFiniteError(
            _("Derivatives are checked where all numbers are finite."),
            expected=_("finite numbers in {name}", name=name),
            got=f"{name}{show_index(index)} = {array[index]}",
        )


def show_index(index: tuple[int, ...]) -> str:
    """Return an array index as text: ``[1, 2]``, or nothing for a scalar.

    >>> show_index((1, 2)), show_index(())
    ('[1, 2]', '')
    """
    return f"[{', '.join(map(str, index))}]" if index else ""


def _cast(leaf: Any, dtype: str) -> Any:
    floats = isinstance(leaf, Tensor) and leaf.dtype.is_float
    return leaf.astype(dtype) if floats else leaf


def _leaf(item: Any) -> Any:
    """Return an array or number as a tensor, any other argument unchanged."""
    if isinstance(item, Tensor):
        return item.detach()
    if isinstance(item, bool | int | str) or not _is_array(item):
        return item
    leaf = tensor(item)  # which says what makes no tensor
    plain = leaf.dtype.is_float and not hasattr(item, "dtype")
    return tensor(item, dtype="float64") if plain else leaf


def _is_array(item: Any) -> bool:
    """Return whether an argument is one array, not a nested structure."""
    if isinstance(item, list | tuple):
        return bool(item) and all(_is_plain(part) for part in item)
    return isinstance(item, float | Tensor) or hasattr(item, "__array__")


def _is_plain(item: Any) -> bool:
    """Return whether an object is a number, or nested lists of numbers."""
    if isinstance(item, list | tuple):
        return all(map(_is_plain, item))
    return isinstance(item, int | float | np.number)


def names_of(function: Callable[..., Any], count: int) -> list[str]:
    """Return the names of a function's first ``count`` parameters."""
    called = getattr(function, "forward", function)
    try:
        parameters = list(inspect.signature(called).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]
    names = ["x" if name == "self" else name for name in names]
    rest = (p.name for p in parameters if p.kind is p.VAR_POSITIONAL)
    more = next(rest, "args")
    unnamed = range(max(count - len(names), 0))
    return [*names, *(f"{more}[{i}]" for i in unnamed)][:count]


def _paths(structure: Any) -> Iterator[str]:
    """Yield the path of each leaf in a nested argument: ``['w'][0]``."""
    if type(structure) is Leaf:
        yield ""
    elif isinstance(structure, dict):
        for key, part in structure.items():
            yield from (f"[{key!r}]{path}" for path in _paths(part))
    elif isinstance(structure, tuple | list):
        for i, part in enumerate(structure):
            yield from (f"[{i}]{path}" for path in _paths(part))
