"""Examples of a call, and the trace of a function for sizes that have names."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.compilation.arguments import check_named, is_static, named_leaves
from chainrule.compilation.guards.fingerprints import ATOMS
from chainrule.compilation.guards.guards import Guards
from chainrule.compilation.portable.agreement import agree
from chainrule.compilation.tracing import Input, Traced, trace_entry
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.interpret import solve_sizes
from chainrule.graph.node import Array
from chainrule.graph.types import (
    ArrayType,
    Shape,
    SizeGuard,
    Sizes,
    SymbolicDim,
    UnknownSizeError,
    as_dtype,
    guessing,
    resolve,
)
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.pytree import flatten, unflatten

#: Sizes to trace with where a function compares with the one of its example.
OTHERS = (7, 11, 13, 101)
#: At most so many sizes are tried at which a comparison comes out otherwise.
PROBES = 100

#: Names for sizes that may vary: one for the first of each input, or shapes by input.
Dynamic = str | Mapping[str, Sequence[int | str | None]]


@dataclass(frozen=True)
class Example:
    """A function with an example of its arguments.

    Attributes:
        function: of tensors.
        leaves: its arguments without nests.
        structure: the nest.
        names: of those that are arrays.
        places: where these stand.
    """

    function: Callable[..., Any]
    leaves: list[Any]
    structure: Any
    names: list[str]
    places: list[int]

    @classmethod
    def of(cls, model: Callable[..., Any], inputs: Any) -> Example:
        """Return a call from an example: an array, a tuple or a dictionary of them."""
        if not callable(model):
            raise ArgumentError(
                _("A file is written of a function of tensors."),
                expected=_("a module, or a function"),
                got=f"{model!r:.60}",
            )
        args: tuple[Any, ...] = inputs if isinstance(inputs, tuple) else (inputs,)
        if isinstance(inputs, Mapping):
            return cls.of_call(model, (), dict(inputs))
        return cls.of_call(model, args, {})

    @classmethod
    def of_call(
        cls, model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Example:
        """Return a call of a function as an example."""
        takes = getattr(model, "forward", model)
        _check_call(takes, args, kwargs)
        named = named_leaves(model, args, kwargs)
        leaves, structure = flatten((args, kwargs))
        present = [(n, item) for n, item in named if item is not None]
        places = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]
        names = [n for n, item in present if _is_array(item)]
        if not names:
            raise ArgumentError(
                _("An example of each input is needed."),
                expected=_("an array or a tensor, a tuple or a dictionary of them"),
                got=f"{args or kwargs!r:.60}",
            )
        return cls(model, leaves, structure, names, places)

    def check_named(self, asked: Iterable[str]) -> None:
        """Refuse names of inputs that the call has not."""
        args, kwargs = unflatten(self.structure, self.leaves)
        check_named(self.function, args, kwargs, asked)

    @property
    def arrays(self) -> list[Array]:
        """The arrays among the arguments."""
        leaves = (self.leaves[i] for i in self.places)
        return [x.numpy() if isinstance(x, Tensor) else np.asarray(x) for x in leaves]

    def patterns(self, dynamic: Dynamic | None) -> list[Shape]:
        """Return the shapes of the arrays, with names for the sizes that may vary."""
        shapes = [a.shape for a in self.arrays]
        if dynamic is None:
            return list(shapes)
        if not isinstance(dynamic, str | Mapping):
            raise ArgumentError(
                _("dynamic gives sizes names."),
                expected=_("a name, or shapes with names by input"),
                got=f"{dynamic!r:.80}",
                fix='dynamic="N"',
            )
        if isinstance(dynamic, str):
            first = [(dynamic, *[None] * len(s[1:])) for s in shapes]
            dynamic = {n: a for n, a, s in zip(self.names, first, shapes) if s}
        unknown = [name for name in dynamic if name not in self.names]
        if unknown:
            raise ArgumentError(
                _("There is no input {name!r} to give sizes names.", name=unknown[0]),
                expected=", ".join(self.names),
                got=repr(unknown[0]),
            )
        return [
            _named(name, shape, dynamic[name]) if name in dynamic else shape
            for name, shape in zip(self.names, shapes)
        ]

    def trace(self, patterns: list[Shape]) -> Traced:
        """Trace the function for shapes in which sizes have names.

        Raises:
            ShapeError: another size is another graph.
            ArgumentError: a function that changes what is outside of it.
        """
        guards = Guards(self.function, self._objects())
        with guards.watching():
            traced = self._traced_for_all(patterns)
        guards.refuse_changes(self._name)
        return traced

    def _objects(self) -> dict[str, Any]:
        """Return the arguments that are objects of Python, by name."""
        args, kwargs = unflatten(self.structure, self.leaves)
        named = named_leaves(self.function, args, kwargs)
        objects = {k: x for k, x in named if x is not None and is_static(x)}
        return {k: x for k, x in objects.items() if not isinstance(x, ATOMS)}

    def _traced_for_all(self, patterns: list[Shape]) -> Traced:
        given = solve_sizes([(p, a.shape) for p, a in zip(patterns, self.arrays)])
        failure: ShapeError | None = None
        for other in (None, *OTHERS):
            sizes = given
            if other is not None:
                sizes = {name: other + i for i, name in enumerate(given)}
            try:
                with guessing(sizes) as guards:
                    traced = self._traced(patterns)
            except ShapeError as error:
                failure = failure or error
                if isinstance(error, UnknownSizeError):
                    continue
                raise
            self._verify(traced, patterns, sizes, guards)
            return traced
        assert failure is not None
        raise failure

    @property
    def _name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def _traced(self, shapes: Sequence[Shape]) -> Traced:
        def function(*tensors: Tensor) -> Any:
            leaves = list(self.leaves)
            for i, tensor in zip(self.places, tensors, strict=True):
                leaves[i] = tensor
            args, kwargs = unflatten(self.structure, leaves)
            return self.function(*args, **kwargs)

        inputs = [
            Input(name, ArrayType(shape, as_dtype(array.dtype)))
            for name, shape, array in zip(self.names, shapes, self.arrays)
        ]
        return trace_entry(self._name, function, inputs)

    def _verify(
        self,
        traced: Traced,
        patterns: list[Shape],
        sizes: Sizes,
        guards: Sequence[SizeGuard],
    ) -> None:
        """Compare the graph with that of a size where a comparison comes out otherwise.

        There may be further comparisons behind: their sizes are tried too. One that the
        function refuses is the caller's to leave out.
        """
        waiting, tried = [(sizes, guards)], list[Sizes]()
        while waiting:
            near, guards = waiting.pop()
            for name, others in _turns(near, guards):
                turned = [guard for guard in guards if not guard(others)]
                if not turned or others in tried:
                    continue
                tried.append(others)
                behind = self._behind(traced, patterns, others, turned)
                if behind is None or len(tried) > PROBES:
                    raise ShapeError(
                        _(
                            "With {name} = {size} the model computes something else "
                            "than with other sizes.",
                            name=name,
                            size=others[name],
                        ),
                        expected=_("one graph for every size that has a name"),
                        got=_("code that looks at {name}", name=name),
                        fix=_("leave {name} out of dynamic: a file a size", name=name),
                    )
                waiting.append((others, behind))

    def _behind(
        self,
        traced: Traced,
        patterns: list[Shape],
        sizes: Sizes,
        turned: Sequence[SizeGuard],
    ) -> Sequence[SizeGuard] | None:
        """Return the comparisons of sizes in a trace; None if the graph is another."""
        try:
            fixed = self._traced([resolve(pattern, sizes) for pattern in patterns])
        except Exception:  # noqa: BLE001 - in whatever way it refuses a size
            fixed = None
        if fixed is not None and not agree(traced, fixed, sizes, self.arrays):
            return None
        with guessing(sizes) as guards:
            try:
                self._traced(patterns)
            except UnknownSizeError:
                # Where sizes are equal there is this one; else others may differ.
                single = any(guard.decide is operator.eq for guard in turned)
                return guards if single or fixed is None else None
            except Exception:  # noqa: BLE001
                return guards
        return guards


def _turns(near: Sizes, guards: Sequence[SizeGuard]) -> Iterator[tuple[str, Sizes]]:
    """Yield sizes at which a guard may come out otherwise, with the one that varies."""
    for name in near:
        turns = {n for guard in guards for n in guard.turns(name, near)}
        yield from ((name, {**near, name: n}) for n in sorted(turns))


def _check_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Refuse an example with other arguments than the function has."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentError(
            _("The model cannot be called with this example: {error}.", error=error),
            expected=str(signature),
            got=", ".join(kwargs) or _("{n} in order", n=len(args)),
            fix=_("a dictionary by the names of the arguments, or a tuple in order"),
        ) from error


def _is_array(leaf: Any) -> bool:
    return not is_static(leaf) and not isinstance(leaf, float)


def _named(
    name: str, shape: Shape, asked: Sequence[int | str | None]
) -> tuple[int | SymbolicDim, ...]:
    """Return a shape with the names that ``dynamic`` gives its sizes."""
    fits = not isinstance(asked, str) and len(asked) == len(shape)
    fits = fits and all(
        a is None or a == d or (isinstance(a, str) and a.isidentifier())
        for a, d in zip(asked, shape)
    )
    if not fits:
        raise ShapeError(
            _("dynamic names sizes of the input {name!r} that it lacks.", name=name),
            expected=_("a name, the size or None for each of {shape}", shape=shape),
            got=f"{asked!r:.80}",
            fix=f'dynamic={{"{name}": ("N", …)}}',
        )
    sizes = [SymbolicDim(a) if isinstance(a, str) else d for a, d in zip(asked, shape)]
    return tuple(sizes)
