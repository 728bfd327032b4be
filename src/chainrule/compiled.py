"""``cr.compile``: a Python function of tensors as programs on an engine.

:mod:`chainrule.tracing` makes graphs of functions and
:mod:`chainrule.compiled_program` runs them; here is which one a call needs, and when
one is traced anew because what it depends on has changed.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.call import connected, passed
from chainrule.call_arguments import FLOATS, arguments_of, is_static
from chainrule.compiled_program import CompiledProgram
from chainrule.engines.threads import process
from chainrule.environment import ATOMS, Attributes, Snapshot
from chainrule.errors import ArgumentError, ShapeError, warn
from chainrule.graph.build import changes, context
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import solve_sizes
from chainrule.graph.node import Array, Value, computed
from chainrule.graph.types import (
    ArrayType,
    DType,
    Shape,
    Sizes,
    SymbolicDim,
    as_dtype,
    guessing,
    resolve,
)
from chainrule.nest import flatten, unflatten
from chainrule.scalars import Scalar
from chainrule.tensor import Tensor, wrap
from chainrule.tracing import Input, Traced, trace_entry

if TYPE_CHECKING:
    from chainrule.engines.schedule.profile import Profile
    from chainrule.engines.schedule.schedule import Schedules

#: So many traces of one function that differ in an integer alone are suspicious.
MANY = 8


@dataclass
class _Variant:
    """A function traced for some shapes, modes and surroundings.

    Attributes:
        program: with the function as its only entry point.
        patterns: for each array argument its shape, which may have named sizes.
        guards: what must hold for the values of named sizes.
        snapshot: what the function found outside.
        modules: the attributes of the modules that it called.
        count: the changes that it was last held against.
        changed: the ids of the tensors that it changes.
        derivable: whether a derivative of an output can be asked for.
        passed: whether one of an output was taken already.
    """

    program: CompiledProgram
    traced: Traced
    patterns: tuple[Shape, ...]
    guards: list[Callable[[Sizes], bool]]
    snapshot: Snapshot
    modules: list[Attributes]
    count: int = -1

    def __post_init__(self) -> None:
        slots = [self.traced.slots[key] for key in self.traced.entry.replaces]
        self.changed = {id(slot.tensor) for slot in slots if not slot.gradient}
        self.derivable = True in self.traced.derivable
        self.passed = any(isinstance(s, dict) for s in self.traced.derivable)

    def sizes(self, shapes: Sequence[Shape]) -> dict[str, int] | None:
        """The named sizes for arguments of these shapes; None where they do not fit."""
        for pattern, shape in zip(self.patterns, shapes):
            for want, got in zip(pattern, shape):
                if type(want) is int and want != got:
                    return None
        try:
            sizes = solve_sizes(list(zip(self.patterns, shapes)))  # type: ignore
        except ShapeError:
            return None
        return sizes if all(guard(sizes) for guard in self.guards) else None

    def holds(self) -> bool:
        """Whether everything that the trace depended on is as it was then."""
        if self.count != changes.count:
            if not self.traced.holds():
                return False
            if any(attributes.changed() for attributes in self.modules):
                return False
            self.count = changes.count
        if self.traced.reads and not self.traced.reads_the_same():
            return False
        if self.traced.graded and not self.traced.finds_gradients():
            return False
        return self.snapshot.holds()


class _Ready:
    """A variant at some sizes, and the types of its outputs there."""

    __slots__ = ("inputs", "run", "sizes", "traced", "types", "variant")

    def __init__(self, variant: _Variant, sizes: Sizes) -> None:
        self.variant, self.sizes, self.traced = variant, sizes, variant.traced
        entry = variant.traced.entry
        self.inputs, self.run = entry.inputs, variant.program.entries[entry.name].run
        outputs = entry.graph.outputs[: entry.outputs]
        self.types = [ArrayType(resolve(v.shape, sizes), v.dtype) for v in outputs]


class Compiled:
    """A function that runs as a graph on an engine; made by :func:`compile`."""

    __name__: str

    def __init__(
        self,
        function: Callable[..., Any],
        engine: str,
        threads: int | None,
        shapes: Mapping[str, Sequence[int | str | None]] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.__name__ = getattr(function, "__name__", "compiled")
        self.function, self.engine, self.threads = function, engine, threads
        self.shapes = {k: tuple(v) for k, v in (shapes or {}).items()}
        self._families: dict[Any, list[_Variant]] = {}
        self._ready: dict[Any, _Ready] = {}
        self._traces_of_kind: dict[Any, int] = {}

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """A method of ``owner``, where a class has this function."""
        return self if owner is None else functools.partial(self, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it; a graph is traced for each kind of arguments.

        Where modules have been switched (``train()``, ``eval()``), frozen or given
        other parameters, where numbers in its closure have changed, or where it meets
        another size, it is traced again. Within another compiled function it becomes
        part of that.
        """
        here = context.__dict__
        if here["trace"] is not None:
            return self.function(*args, **kwargs)
        with process.lock:  # what is noted before and after belongs to the run
            return self._call(args, kwargs, here)

    def _call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], here: dict[str, Any]
    ) -> Any:
        leaves, arrays, key = arguments_of(args, kwargs)
        surroundings = key, here["grad"], here["stream"]
        ready = self._ready.get(surroundings)
        if ready is None or not ready.variant.holds():
            variant, sizes = self._find(args, kwargs)
            ready = self._ready[surroundings] = _Ready(variant, sizes)
        variant, traced = ready.variant, ready.traced
        given = dict(zip(ready.inputs, arrays))
        if variant.changed and not variant.changed.isdisjoint(map(id, leaves)):
            raise self._changed_argument(variant, leaves)
        before: list[Value] | None = None
        recorded: list[str] = []
        if here["grad"] and (traced.recorded or variant.derivable):
            recorded = list(traced.recorded)
            before = _values_before(traced, leaves)
        outputs = ready.run(given, ready.sizes, 1)
        values = [computed(a[0, ...], t) for a, t in zip(outputs, ready.types)]
        if before is not None:
            values = self._connected(variant, values, recorded, before, given)
        elif variant.passed:
            passed(values, traced.derivable)
        return unflatten(traced.structure, [wrap(v) for v in values])

    def _changed_argument(self, variant: _Variant, leaves: list[Any]) -> ArgumentError:
        """The error for an argument that the function changes under another name."""
        inputs = variant.traced.entry.inputs
        name, leaf = next(
            (n, x) for n, x in zip(inputs, leaves) if id(x) in variant.changed
        )
        return ArgumentError(
            f"{self.__name__} changes a tensor that it finds outside, and is "
            f"called with the same one as its argument {name!r}.",
            expected="a tensor that is either changed or passed",
            got=f"one tensor as both: {leaf!r:.60}",
            fix=f"pass {name}.clone(), or do without the argument",
        )

    def _connected(
        self,
        variant: _Variant,
        values: list[Value],
        recorded: list[str],
        before: list[Value],
        given: dict[str, Array],
    ) -> list[Value]:
        """Outputs that remember the call; so does the state that it wrote."""
        traced = variant.traced
        derivable = [*traced.derivable, *[traced.recorded[key] for key in recorded]]
        tensors = [traced.slots[key].tensor for key in recorded]
        new = [Value(t.numpy()) for t in tensors]
        values = connected(
            traced.entry,
            [*values, *new],
            derivable,
            recorded,
            before,
            given,
            self.engine,
        )
        for t, value in zip(tensors, new):
            t._value = value
        return values[: len(traced.derivable)]

    @property
    def programs(self) -> list[CompiledProgram]:
        """What was compiled so far."""
        return [v.program for family in self._families.values() for v in family]

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The graph for arguments like these, as recorded (before any pass)."""
        variant, _ = self._find(args, kwargs)
        return variant.traced.entry.graph

    @property
    def schedule(self) -> Schedules:
        """How the engine runs what it was called with so far.

        ``print(step.schedule)`` shows it; see :attr:`CompiledProgram.schedule`.

        >>> import chainrule as cr
        >>> step = cr.compile(lambda x: (x * 2).sin(), engine="native", threads=1)
        >>> _ = step(cr.ones(512))
        >>> print(step.schedule)  # doctest: +ELLIPSIS
        schedule <lambda> on one thread
        phase 1, ... µs
          %...: f32[512] = mul·sin(%x), ...
        """
        from chainrule.engines.schedule.schedule import Schedules

        return Schedules([s for program in self.programs for s in program.schedule])

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """What each step of a call with these arguments takes; nothing changes.

        ``print(step.profile(x))`` shows it; see :meth:`CompiledProgram.profile`.
        """
        with process.lock:
            _, arrays, _ = arguments_of(args, kwargs)
            variant, _ = self._find(args, kwargs)
            entry = variant.traced.entry
            return variant.program.profile(entry.name, dict(zip(entry.inputs, arrays)))

    # -- variants ------------------------------------------------------------------

    def _find(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[_Variant, Sizes]:
        """A variant that fits, traced if there is none.

        A family are those for arguments of these kinds, in surroundings like these.
        """
        _, arrays, kinds = arguments_of(args, kwargs, sized=False)
        shapes = tuple([a.shape for a in arrays])
        family = self._families.setdefault((kinds, context.grad, context.stream), [])
        for variant in family:
            sizes = variant.sizes(shapes)
            if sizes is not None and variant.holds():
                return variant, sizes
        names = self._names(args, kwargs)
        wanted = self._patterns(family, names, shapes)
        try:
            variant = self._trace(args, kwargs, arrays, names, wanted)
        except ShapeError:
            if self.shapes:
                raise
            variant = self._trace(args, kwargs, arrays, names, shapes)
        family.append(variant)
        sizes = variant.sizes(shapes)
        assert sizes is not None
        return variant, sizes

    def _patterns(
        self, family: list[_Variant], names: list[str], shapes: tuple[Shape, ...]
    ) -> tuple[Shape, ...]:
        """The shapes to trace for: sizes that were met with other values get names."""
        if self.shapes:
            return tuple(map(self._asked, names, shapes))
        made = [list(shape) for shape in shapes]
        fresh = itertools.chain(("N", "T", "M", "K"), (f"S{i}" for i in range(1000)))
        known: dict[tuple[Any, Any], SymbolicDim] = {}
        for variant in family[:1]:
            for pattern, shape in zip(variant.patterns, made):
                for axis, (old, new) in enumerate(zip(pattern, shape)):
                    if old != new:
                        if (old, new) not in known:
                            known[old, new] = SymbolicDim(next(fresh))
                        shape[axis] = known[old, new]
        return tuple(map(tuple, made))

    def _asked(self, name: str, shape: Shape) -> Shape:
        """The shape of an argument as ``shapes=`` names it."""
        asked = self.shapes.get(name)
        if asked is None:
            return shape
        if len(asked) != len(shape) or any(
            isinstance(a, int) and a != d for a, d in zip(asked, shape)
        ):
            raise ShapeError(
                f"The argument {name!r} has another shape than shapes= names.",
                expected=str(asked),
                got=str(shape),
            )
        return tuple(
            [SymbolicDim(a) if isinstance(a, str) else d for a, d in zip(asked, shape)]
        )

    def _trace(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        arrays: list[Array],
        names: list[str],
        patterns: tuple[Shape, ...],
    ) -> _Variant:
        leaves, structure = flatten((args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if not is_static(leaf)]

        def positional(*tensors: Tensor) -> Any:
            filled = list(leaves)
            for i, tensor in zip(places, tensors, strict=True):
                leaf = leaves[i]
                if isinstance(leaf, FLOATS):
                    wide = isinstance(leaf, np.float64)
                    alone = DType.float64 if wide else DType.float32
                    tensor = Scalar(tensor.value, alone)
                filled[i] = tensor
            again, named = unflatten(structure, filled)
            made = self.function(*again, **named)
            self._check_containers((again, named), filled, structure)
            return made

        inputs = [
            Input(
                name,
                ArrayType(pattern, as_dtype(a.dtype)),
                tracked=isinstance(leaves[i], Tensor) and leaves[i].requires_grad,
            )
            for name, pattern, a, i in zip(names, patterns, arrays, places, strict=True)
        ]
        self._warn_of_integers(leaves, places)
        static = {
            name: item
            for name, item in self._named(args, kwargs)
            if item is not None and is_static(item) and not isinstance(item, ATOMS)
        }
        snapshot = Snapshot(self.function, static)
        shapes = [a.shape for a in arrays]
        with guessing(solve_sizes(list(zip(patterns, shapes)))) as guards:
            traced = trace_entry(self.__name__, positional, inputs)
        snapshot.refuse_changes(self.__name__)
        program = CompiledProgram([traced], engine=self.engine, threads=self.threads)
        modules = [Attributes(module) for module, _ in traced.modes]
        return _Variant(program, traced, patterns, guards, snapshot, modules)

    def _check_containers(self, given: Any, leaves: list[Any], structure: Any) -> None:
        """Refuse a function that changed a list or a dictionary it was given."""
        now, shape = flatten(given)
        if shape != structure or any(a is not b for a, b in zip(now, leaves)):
            raise ArgumentError(
                f"{self.__name__} changes a list or a dictionary that it is called "
                "with: the caller's would stay as it is.",
                expected="a function that returns what is new",
                got="an argument with other items than before",
                fix="copy it first, x = list(x) or x = dict(x), and return it",
            )

    def _warn_of_integers(self, leaves: list[Any], places: list[int]) -> None:
        """Warn where a function is traced again and again for another integer."""
        static = [x for i, x in enumerate(leaves) if i not in places]
        if not any(type(x) is int for x in static):
            return
        kind = tuple([type(x) for x in static])
        self._traces_of_kind[kind] = count = self._traces_of_kind.get(kind, 0) + 1
        if count == MANY:
            warn(
                f"{self.__name__} was compiled for {MANY} different integers.",
                expected="integers that seldom change: each has a graph of its own",
                got=", ".join(repr(x) for x in static if type(x) is int),
                fix="pass a number that changes as a tensor: cr.tensor(i)",
            )

    def _names(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """Names for the array arguments."""
        named = self._named(args, kwargs)
        return [n for n, item in named if item is not None and not is_static(item)]

    def _named(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[tuple[str, Any]]:
        """The leaves of the arguments by name: the function's own, with a path."""
        try:
            given = inspect.signature(self.function).bind(*args, **kwargs).arguments
            parts = list(given.items())
        except (TypeError, ValueError):  # a builtin, or a call that Python will refuse
            parts = [(f"x{i}", a) for i, a in enumerate(args)] + list(kwargs.items())
        found: list[tuple[str, Any]] = []

        def walk(item: Any, name: str) -> None:
            if isinstance(item, dict):
                for k, v in item.items():
                    walk(v, f"{name}.{k}")
            elif isinstance(item, tuple | list):
                for i, v in enumerate(item):
                    walk(v, f"{name}.{i}")
            else:
                found.append((name, item))

        for name, item in parts:
            walk(item, name)
        return found


def _values_before(traced: Traced, leaves: list[Any]) -> list[Value] | None:
    """The arguments and the state as they are before a run; None where no derivative
    can be asked for. Arrays are the caller's, who may change them: they are copied."""
    held = [slot.held() for slot in traced.slots.values()]
    for t in (*leaves, *held):
        if isinstance(t, Tensor) and t.requires_grad:
            break
    else:
        return None
    arguments = [
        leaf.value if isinstance(leaf, Tensor) else Value(np.array(leaf))
        for leaf in leaves
    ]
    state = [
        Value(np.zeros(value.shape, value.dtype.numpy)) if t is None else t.value
        for t, value in zip(held, traced.entry.graph.inputs[len(traced.entry.inputs) :])
    ]
    return [*arguments, *state]


def compile(
    function: Callable[..., Any] | None = None,
    *,
    engine: str = "auto",
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int | str | None]] | None = None,
) -> Any:
    """Have ``function`` run as one graph on an engine.

    Args:
        function: any function of tensors and state. Tensors that it uses from
            outside (a model's parameters) are state; ``copy_`` and an optimiser's
            ``step()`` change them. Its Python runs once for each kind of arguments, so
            ``if`` and ``for`` see shapes, never numbers. Arguments that are no arrays
            (truth values, integers, texts, modules) are part of the program; floats
            (which take on the dtype of the tensor beside them), arrays and tensors are
            its inputs, in tuples, lists, named tuples and dictionaries of any depth.
            Called with another size it is compiled once more, for all sizes; where its
            Python needs the number, once for each.
        engine: ``"native"``, ``"numpy"``, or ``"auto"``: native where it can run.
        threads: how many threads the engine uses; None lets the engine decide.
        shapes: names for the sizes that vary, by argument: ``{"x": ("N", 784)}``; then
            the first compilation serves all of them.

    Returns:
        A function of the same arguments that returns tensors. It can be differentiated
        like any other (``backward``, ``cr.grad``), and called within compiled ones.

    Raises:
        ArgumentError: a function that reads numbers of tensors, or changes anything but
            tensors outside of itself.

    >>> import chainrule as cr
    >>> @cr.compile(engine="numpy")
    ... def f(x):
    ...     return (x * x).sum()
    >>> f(cr.tensor([1.0, 2.0, 3.0]))
    tensor(14.)
    """
    if function is None:
        return functools.partial(compile, engine=engine, threads=threads, shapes=shapes)
    if not callable(function):
        raise ArgumentError(
            "compile takes a function.",
            expected="a function of tensors, a module or a method",
            got=f"{function!r:.60}",
            fix="cr.compile(f)(x) in place of cr.compile(f(x))",
        )
    return Compiled(function, engine, threads, shapes)
