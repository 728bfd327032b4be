"""``cr.compile``: a Python function of tensors as compiled programs on an engine.

:mod:`chainrule.compilation.tracing` makes graphs of functions and
:mod:`chainrule.compilation.program` runs them; here is which one a call needs, and when
one is traced anew because what it depends on has changed.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    BinaryIO,
    Generic,
    ParamSpec,
    TypeVar,
    cast,
    overload,
)

import numpy as np

from chainrule.compilation.arguments import (
    FLOATS,
    arguments_of,
    check_named,
    is_static,
    named_leaves,
    sizes_of,
)
from chainrule.compilation.calls import passed
from chainrule.compilation.guards.fingerprints import ATOMS
from chainrule.compilation.guards.sources import Number
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.promotion import Tracing, promoted
from chainrule.compilation.scalars import Scalar
from chainrule.compilation.tracing import Input
from chainrule.compilation.variants import CALLS, CachedCall, Variant, Variants
from chainrule.engines import EngineName, resolve_engine, spread_of
from chainrule.engines.threads import process
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import context
from chainrule.graph.graph import Graph, size_names
from chainrule.graph.node import Array, result
from chainrule.graph.types import ArrayType, Shape, SymbolicDim, as_dtype
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.transforms.signatures import Gradient
from chainrule.util.blocks import settled
from chainrule.util.keywords import strict
from chainrule.util.pytree import flatten, unflatten

if TYPE_CHECKING:
    from chainrule.compilation.portable.file import Saved
    from chainrule.engines.schedule.profile import Profile
    from chainrule.engines.schedule.schedule import Schedules
    from chainrule.engines.spread import Axes, Devices

P = ParamSpec("P")
R = TypeVar("R")


class Compiled(Generic[P, R]):
    """A function compiled for an engine; the result of :func:`compile`."""

    __name__: str

    def __init__(
        self,
        function: Callable[P, R],
        engine: str,
        threads: int | None,
        shapes: Mapping[str, Sequence[int | str | None]] | None = None,
        **spread: Any,
    ) -> None:
        functools.update_wrapper(self, function)
        self.__name__ = getattr(function, "__name__", "compiled")
        self.function: Callable[..., Any] = function
        self.engine, self.threads = engine, threads
        self._engine = resolve_engine(engine)
        spread_of(self._engine, **spread)
        self._resources = {"threads": threads, **spread}
        self.shapes = sizes_of(shapes)
        self._variants = Variants(self.__name__)
        self._numbers: dict[Any, Number] = {}
        self._constants: set[Any] = set()
        self._last: CachedCall | None = None

    def __repr__(self) -> str:
        named = getattr(self.function, "__name__", type(self.function).__name__)
        return f"<compiled {named}: engine={self.engine!r}>"

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """Return the compiled function as a method bound to ``owner``."""
        return self if owner is None else functools.partial(self, owner)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the compiled function; trace its graph for each new kind of arguments.

        Where modules have been switched (``train()``, ``eval()``), frozen or given
        other parameters, or where it meets another size, it is traced again. A float
        outside that has changed becomes an input, unless Python needs it as a number:
        then it is traced again, as for all else outside. Within another compiled
        function it becomes part of that.
        """
        here = context.__dict__
        if here["trace"] is not None:
            return self.function(*args, **kwargs)
        with process.lock:  # what is noted before and after belongs to the run
            return self._call(args, cast("dict[str, Any]", kwargs), here)

    @settled
    def _call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], here: dict[str, Any]
    ) -> Any:
        leaves, arrays, key = arguments_of(args, kwargs, self._engine)
        surroundings = key, here["grad"], here["stream"]
        ready = self._variants.ready.get(surroundings)
        if ready is None or not ready.variant.holds():
            ready = self._variants.look_up(surroundings, self._find(args, kwargs))
        self._last = ready
        variant, traced = ready.variant, ready.traced
        if ready.numbers:
            numbers = [_array(get()) for get in ready.numbers]
            leaves, arrays = [*leaves, *numbers], [*arrays, *numbers]
        inputs = dict(zip(ready.inputs, arrays))
        if variant.changed and not variant.changed.isdisjoint(map(id, leaves)):
            raise self._changed_argument(variant, leaves)
        connection = variant.connection if here["grad"] else None
        before = None if connection is None else connection.before(leaves)
        outputs = ready.run(inputs, ready.sizes, None)
        values = [result(a, t) for a, t in zip(outputs, ready.types)]
        if connection is not None and before is not None:
            connection.connect(values, before, inputs)
        elif variant.passed:
            passed(values, traced.derivable)
        return unflatten(traced.structure, [wrap(v) for v in values])

    def _changed_argument(self, variant: Variant, leaves: list[Any]) -> ArgumentError:
        """Return the error for an argument that is also changed as outside state."""
        inputs = variant.traced.entry.inputs
        name, leaf = next(
            (n, x) for n, x in zip(inputs, leaves) if id(x) in variant.changed
        )
        return ArgumentError(
            _(
                "{own_name} changes a tensor that it finds outside, and is called "
                "with the same one as its argument {name!r}.",
                own_name=self.__name__,
                name=name,
            ),
            expected=_("a tensor that is either changed or passed"),
            got=_("one tensor as both: {leaf!r:.60}", leaf=leaf),
            fix=_("pass {name}.clone(), or do without the argument", name=name),
        )

    @property
    def programs(self) -> list[CompiledProgram]:
        """A function's cached compiled programs, the most recently used one last."""
        return [variant.program for variant in self._variants]

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """Return the traced graph (before any pass) for arguments like these."""
        with process.lock:
            return self._find(args, kwargs).traced.entry.graph

    def save(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        inputs: Any = None,
        *,
        outputs: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        training: bool = False,
    ) -> Saved:
        """Save a function as a program file: its graph and weights, without its Python.

        :func:`chainrule.load_program` opens it. The file is a safetensors file of the
        weights as they are now. Sizes that have names in ``shapes``, or that varied
        between the calls so far, may be others in each call of the program.

        Args:
            path: of the file, whose usual ending is ``.safetensors``; or a file that is
                open for bytes.
            inputs: an example, as :func:`chainrule.export_onnx` takes it. By default
                the arguments of the last call.
            outputs: names for the outputs.
            metadata: what the file says of itself besides, by name: classes, units.
            training: leave modules in the mode that they are in. By default the program
                is that of prediction: without dropout, batch normalisation by the
                running statistics.

        Returns:
            What was written; printed, it is a summary.

        Raises:
            ArgumentError: no example; a function that changes tensors outside of itself
                or draws random numbers: a file has no state.
            ShapeError: a size with a name by which the function decides what it does.
            SaveError: the file system refuses.

        >>> import chainrule as cr, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> saved = cr.compile(cr.nn.Linear(4, 3)).save(path, cr.zeros(1, 4))
        >>> saved.outputs, cr.load_program(path)(cr.ones(1, 4)).shape
        ({'output': 'f32[1,3]'}, (1, 3))
        """
        from chainrule.compilation.portable.example import Example
        from chainrule.compilation.portable.file import save_program
        from chainrule.compilation.portable.function import portable

        dynamic: dict[str, Any] = {}
        if inputs is None:
            if self._last is None:
                raise ArgumentError(
                    _("{name} has not been called yet.", name=self.__name__),
                    expected=_("a call before, or an example of its arguments"),
                    got=_("none"),
                    fix="save(path, cr.zeros(1, 784))",
                )
            newest = self._variants.newest(self._last.variant)
            (args, kwargs), patterns = newest.example
            inputs = Example.of_call(self.function, args, kwargs)
            dynamic = {
                name: [str(d) if isinstance(d, SymbolicDim) else d for d in shape]
                for name, shape in patterns.items()
                if name in inputs.names
            }
        elif self.shapes:
            inputs = Example.of(self.function, inputs)
            inputs.check_named(self.shapes)
            dynamic = {k: v for k, v in self.shapes.items() if k in inputs.names}
        made = portable(
            self.function, inputs, dynamic or None, outputs, metadata, training=training
        )
        return save_program(made, path)

    @property
    def schedule(self) -> Schedules:
        """The execution schedules of all programs compiled from a function so far.

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
        """Measure the time of each schedule step of a compiled function's call.

        ``print(step.profile(x))`` shows it; see :meth:`CompiledProgram.profile`.
        """
        with process.lock:
            __, arrays, __ = arguments_of(args, kwargs, self._engine)
            ready = self._find(args, kwargs)
            arrays += [_array(get()) for get in ready.numbers]
            inputs, name = dict(zip(ready.inputs, arrays)), ready.traced.entry.name
            return ready.variant.program.profile(name, inputs)

    # -- variants ------------------------------------------------------------------

    def _find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CachedCall:
        """Return the compiled variant that fits the arguments, or trace a new one."""
        __, arrays, kinds = arguments_of(args, kwargs, self._engine, sized=False)
        shapes = tuple([a.shape for a in arrays])
        key = kinds, context.grad, context.stream
        family, stale = self._variants.family(key), None
        for variant in family:
            sizes = variant.sizes(shapes)
            if sizes is not None and variant.holds():
                self._variants.use(variant)
                return CachedCall(variant, sizes)
            if sizes is not None and stale is None:
                stale = variant
        changed = self._changed_numbers(stale)
        if self.shapes:
            check_named(self.function, args, kwargs, self.shapes)
        names = self._names(args, kwargs)
        wanted = self._patterns(family, names, shapes)
        variant = self._fitting(args, kwargs, arrays, names, wanted, changed)
        if stale is not None and any(n in variant.numbers for n in changed):
            self._variants.drop(stale)
        self._variants.add(key, variant)
        variant.example = _alike(args, kwargs), dict(zip(names, wanted))
        sizes = variant.sizes(shapes)
        assert sizes is not None
        return CachedCall(variant, sizes)

    def _changed_numbers(self, stale: Variant | None) -> list[Number]:
        """Return the outside floats whose change made a compiled variant invalid."""
        numbers = () if stale is None else stale.changed_numbers()
        known = self._numbers.keys() | self._constants
        return list({n.key: n for n in numbers if n.key not in known}.values())

    def _patterns(
        self, family: list[Variant], names: list[str], shapes: tuple[Shape, ...]
    ) -> tuple[Shape, ...]:
        """Return the argument shapes to trace with; sizes that varied get names."""
        if self.shapes:
            return tuple(map(self._asked, names, shapes))
        patterns = [list(shape) for shape in shapes]
        fresh = itertools.chain(("N", "T", "M", "K"), (f"S{i}" for i in range(1000)))
        known: dict[tuple[Any, Any], SymbolicDim] = {}
        for variant in family[-1:]:
            for pattern, shape in zip(variant.patterns, patterns):
                for axis, (old, new) in enumerate(zip(pattern, shape)):
                    if old != new:
                        if (old, new) not in known:
                            known[old, new] = SymbolicDim(next(fresh))
                        shape[axis] = known[old, new]
        return tuple(map(tuple, patterns))

    def _asked(self, name: str, shape: Shape) -> Shape:
        """Return an array argument's shape, with symbolic sizes from ``shapes=``."""
        asked = self.shapes.get(name)
        if asked is None:
            return shape
        if len(asked) != len(shape) or any(
            isinstance(a, int) and a != d for a, d in zip(asked, shape)
        ):
            raise ShapeError(
                _(
                    "The argument {name!r} has another shape than shapes= names.",
                    name=name,
                ),
                expected=str(asked),
                got=str(shape),
            )
        return tuple(
            [SymbolicDim(a) if isinstance(a, str) else d for a, d in zip(asked, shape)]
        )

    def _fitting(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        arrays: list[Array],
        names: list[str],
        patterns: tuple[Shape, ...],
        changed: list[Number],
    ) -> Variant:
        """Trace for sizes with names, except those that are equal to another one.

        A batch of one sample, say: what is done there may be another graph.
        """
        try:
            return self._trace(args, kwargs, arrays, names, patterns, changed)
        except Exception as error:  # in whatever way its Python refuses a size
            named = size_names(patterns)
            equal = getattr(error, "equal", frozenset[str]()) & named
            if not named or (self.shapes and not equal):
                raise
        fixed = equal or named
        patterns = tuple(
            [
                tuple([n if size_names(d) & fixed else d for d, n in zip(p, a.shape)])
                for p, a in zip(patterns, arrays)
            ]
        )
        return self._fitting(args, kwargs, arrays, names, patterns, changed)

    def _trace(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        arrays: list[Array],
        names: list[str],
        patterns: tuple[Shape, ...],
        changed: list[Number],
    ) -> Variant:
        """Trace a Python function for these arguments, and compile its graph.

        ``changed``: floats outside that may become inputs, beside those that are.
        """
        leaves, structure = flatten((args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if not is_static(leaf)]

        def positional(*tensors: Tensor) -> Any:
            arguments = list(leaves)
            for i, tensor in zip(places, tensors, strict=True):
                leaf = leaves[i]
                if isinstance(leaf, FLOATS):
                    tensor = Scalar.like(leaf, tensor)
                arguments[i] = tensor
            again, named = unflatten(structure, arguments)
            recorded = context.grad
            result = self.function(*again, **named)
            self._check_containers((again, named), arguments, structure)
            self._check_grad_mode(recorded)
            return result

        inputs = [
            Input(
                name,
                ArrayType(pattern, as_dtype(a.dtype)),
                tracked=isinstance(leaves[i], Tensor) and leaves[i].requires_grad,
            )
            for name, pattern, a, i in zip(names, patterns, arrays, places, strict=True)
        ]
        static = {
            name: item
            for name, item in named_leaves(self.function, args, kwargs)
            if item is not None and is_static(item)
        }
        objects = {k: v for k, v in static.items() if not isinstance(v, ATOMS)}
        tracing = Tracing(
            self.__name__, self.function, positional, inputs, arrays, objects
        )
        known = [n for n in self._numbers.values() if n.is_there()]
        result, constants = promoted(tracing, [*known, *changed])
        if len(self._numbers) + len(self._constants) > CALLS:
            self._numbers.clear()
            self._constants.clear()
        self._numbers.update({n.key: n for n in result.numbers})
        self._constants |= {n.key for n in constants}
        for number in constants:
            self._numbers.pop(number.key, None)
        traced = result.traced
        program = CompiledProgram([traced], engine=self.engine, **self._resources)
        result.guards.add_modules(module for module, __ in traced.modes)
        return Variant(
            program,
            traced,
            patterns,
            result.size_guards,
            result.guards,
            result.numbers,
            static,
        )

    def _check_containers(
        self, arguments: Any, leaves: list[Any], structure: Any
    ) -> None:
        """Refuse a traced function that changes a list or dictionary argument."""
        now, shape = flatten(arguments)
        if shape != structure or any(a is not b for a, b in zip(now, leaves)):
            raise ArgumentError(
                _(
                    "{name} changes a list or a dictionary that it is called with: "
                    "the caller's would stay as it is.",
                    name=self.__name__,
                ),
                expected=_("a function that returns what is new"),
                got=_("an argument with other items than before"),
                fix=_("copy it first, x = list(x) or x = dict(x), and return it"),
            )

    def _check_grad_mode(self, before: bool) -> None:
        """Refuse a function that leaves another gradient mode than it was called in."""
        if context.grad is not before:
            now, context.grad = context.grad, before
            raise ArgumentError(
                _(
                    "{name} switches the recording of derivatives, and leaves it so: "
                    "later calls, which run compiled code, would not.",
                    name=self.__name__,
                ),
                expected=_("the mode that it was called in"),
                got=f"set_grad_enabled({now})",
                fix=_("with cr.set_grad_enabled(…): around what it is for"),
            )

    def _names(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """Return the names of a compiled function's array arguments."""
        named = named_leaves(self.function, args, kwargs)
        return [n for n, item in named if item is not None and not is_static(item)]


def _alike(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a call's arguments with arrays of zeros, which take no memory."""
    leaves, structure = flatten((args, kwargs))
    for i, leaf in enumerate(leaves):
        if not is_static(leaf) and not isinstance(leaf, FLOATS):
            array = leaf.numpy() if isinstance(leaf, Tensor) else np.asarray(leaf)
            leaves[i] = np.broadcast_to(np.zeros((), array.dtype), array.shape)
    return unflatten(structure, leaves)


def _array(number: Any) -> Array:
    """Return an outside Python float as an array, an input of the graph."""
    return np.asarray(number, np.float64)


@overload
def compile(
    function: Gradient[P],
    *,
    engine: EngineName = "auto",
    threads: int | None = None,
    devices: Devices | None = None,
    mesh: Mapping[str, int] | None = None,
    sharding: Mapping[str, Axes] | None = None,
    shapes: Mapping[str, Sequence[int | str | None]] | None = None,
) -> Compiled[P, Any]: ...
@overload
def compile(
    function: Callable[P, R],
    *,
    engine: EngineName = "auto",
    threads: int | None = None,
    devices: Devices | None = None,
    mesh: Mapping[str, int] | None = None,
    sharding: Mapping[str, Axes] | None = None,
    shapes: Mapping[str, Sequence[int | str | None]] | None = None,
) -> Compiled[P, R]: ...
@overload
def compile(
    function: None = None,
    *,
    engine: EngineName = "auto",
    threads: int | None = None,
    devices: Devices | None = None,
    mesh: Mapping[str, int] | None = None,
    sharding: Mapping[str, Axes] | None = None,
    shapes: Mapping[str, Sequence[int | str | None]] | None = None,
) -> Callable[[Callable[P, R]], Compiled[P, R]]: ...
@strict
def compile(
    function: Callable[..., Any] | None = None,
    *,
    engine: EngineName = "auto",
    threads: int | None = None,
    devices: Devices | None = None,
    mesh: Mapping[str, int] | None = None,
    sharding: Mapping[str, Axes] | None = None,
    shapes: Mapping[str, Sequence[int | str | None]] | None = None,
) -> Any:
    """Compile ``function`` so that each call runs one graph on an engine.

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
        devices, mesh, sharding: as for :class:`~chainrule.training.Trainer`. Axes of
            the first named size of ``shapes`` are divided along ``data``; an argument
            of fixed sizes where ``sharding`` has its name, ``{"x": ("data", None)}``.
        shapes: names for the sizes that vary, by argument: ``{"x": ("N", 784)}``; then
            the first compilation serves all of them. Sizes that its Python compares
            equal with something, such as one row, have one of their own.

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
        return functools.partial(
            compile,
            engine=engine,
            threads=threads,
            devices=devices,
            mesh=mesh,
            sharding=sharding,
            shapes=shapes,
        )
    if not callable(function):
        raise ArgumentError(
            _("compile takes a function."),
            expected=_("a function of tensors, a module or a method"),
            got=f"{function!r:.60}",
            fix=_("cr.compile(f)(x) in place of cr.compile(f(x))"),
        )
    over = {"devices": devices, "mesh": mesh, "sharding": sharding}
    return Compiled(function, engine, threads, shapes, **over)
