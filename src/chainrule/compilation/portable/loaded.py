"""``cr.load_program``: a program file as a function of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.compilation.portable.file import Place, read_program, types_of
from chainrule.compilation.portable.function import Codes, Portable
from chainrule.engines import (
    EngineName,
    Executable,
    capabilities,
    load_engine,
    resolve_engine,
)
from chainrule.engines.threads import checked, process
from chainrule.errors import ArgumentError, CallError, DTypeError, ShapeError, nearest
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import solve_sizes
from chainrule.graph.node import Array
from chainrule.graph.program import Entry, Program
from chainrule.graph.text import parse, to_text
from chainrule.graph.types import NO_SIZES, Sizes, SymbolicDim
from chainrule.operations.arguments import whole
from chainrule.primitives.rules import show
from chainrule.tensor import Tensor, as_tensor
from chainrule.text import _
from chainrule.util.bounded import Bounded
from chainrule.util.keywords import strict
from chainrule.util.pytree import Leaf, unflatten

#: Kinds of calls whose sizes are kept.
CALLS = 1000
#: The entry point.
_ENTRY = "program"


@strict
def load_program(
    path: Place, *, engine: EngineName = "auto", threads: int | None = 1
) -> LoadedProgram:
    """Load a program file: a function of arrays that needs no Python of the model.

    Opening reads and checks the file, and executes nothing of it; what it computes is
    compiled at the first call, or by ``prepare``.

    Args:
        path: a file of ``cr.compile(model).save(path)`` or of ``chainrule export``; or
            one that is open for bytes.
        engine: ``"native"``, ``"numpy"``, or ``"auto"``: native where it can run.
        threads: how many threads compute one call. With 1, the calls of several
            threads run side by side on the native engine; with more, one after the
            other. None chooses by measurement.

    Returns:
        The program; ``print`` shows its inputs and outputs.

    Raises:
        CheckpointError: no such file, a damaged one, one of another kind or version.
        EngineError: an engine that is not there.

    >>> import chainrule as cr, io
    >>> model, file = cr.nn.Linear(2, 1), io.BytesIO()
    >>> _ = cr.compile(model, shapes={"x": ("N", 2)}).save(file, cr.zeros(1, 2))
    >>> _ = file.seek(0)
    >>> program = cr.load_program(file)
    >>> print(program, program([[1.0, 2.0], [3.0, 4.0]]).shape)
    <program Linear(x: f32[N,2]) → output: f32[N,1]> (2, 1)
    """
    return LoadedProgram(read_program(path), engine=engine, threads=threads)


class LoadedProgram:
    """A program: a graph with its weights on an engine, as a function of arrays.

    It is called with its inputs in order, by name, or with one dictionary of them.
    NumPy's arrays, lists and numbers give NumPy's arrays; tensors give tensors, without
    a derivative. Several threads may call it: they share the weights, and nothing that
    a call writes to.

    Attributes:
        inputs, outputs: their types by name, such as ``f32[N,784]``; a name stands for
            any size.
        codes: of inputs that are texts, the code of each.
        metadata: what the file says of itself: classes, columns, version.
        engine: the name of the engine.
        compiles_each_size: whether it compiles the program for each number of rows.
    """

    def __init__(
        self, program: Portable, *, engine: str = "auto", threads: int | None = 1
    ) -> None:
        self.inputs, self.outputs = types_of(program)
        self.codes: Mapping[str, Codes] = program.codes
        self.metadata: Mapping[str, Any] = program.metadata
        self.engine, self._threads = resolve_engine(engine), checked(threads)
        able = capabilities(self.engine)
        if not able.threads and threads == 1:  # by default: there is no such number
            self._threads = None
        self._program, self._asked = program, engine
        self._names = tuple([f"x{i}" for i in range(len(self.inputs))])
        # Most programs have one input and one output, with nothing around them.
        self._single = len(self._names) == 1
        self._plain = isinstance(program.structure, Leaf)
        self._sizes: Bounded[Any, Sizes] = Bounded(CALLS)
        self._first: Executable | None = None
        self._idle: list[Executable] = []
        # Code of the native engine writes to memory of its executable alone.
        self.compiles_each_size = able.compiles_each_size
        self._apart = able.replicas and self._threads == 1

    def __reduce__(self) -> Any:
        """Return a loaded program's form for ``pickle`` and ``copy``.

        What it compiled stays here; ``engine="auto"`` is chosen where it is loaded.
        """
        return _again, (self._program, self._asked, self._threads)

    @property
    def graph(self) -> Graph:
        """The graph of a loaded program: its inputs, then its weights."""
        return self._program.graph

    def __repr__(self) -> str:
        types = [f"{k}: {t}" for k, t in self.inputs.items()]
        outs = ", ".join(f"{k}: {t}" for k, t in self.outputs.items())
        return f"<program {self.graph.name}({', '.join(types)}) → {outs}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run a loaded program on arrays or tensors; return its outputs in their nest.

        Raises:
            CallError: other inputs than the program has.
            ShapeError, DTypeError: arrays that do not fit.
            ArgumentError: what the program refuses, such as an index out of range.
        """
        if (
            not kwargs
            and self._single
            and len(args) == 1
            and type(args[0]) is np.ndarray
        ):
            outputs = self.run(args)
            if self._plain:
                return outputs[0]
            return unflatten(self._program.structure, outputs)
        given = self._arguments(args, kwargs)
        tensors = any(isinstance(item, Tensor) for item in given)
        leaves: list[Any] = self.run(
            [x.numpy() if isinstance(x, Tensor) else np.asarray(x) for x in given]
        )
        if tensors:
            leaves = [as_tensor(a) for a in leaves]
        return unflatten(self._program.structure, leaves)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run a loaded program on arrays in the order of its inputs; give its outputs.

        The outputs are in order too, without their nest.
        """
        sizes = self._sizes.get(tuple([(a.dtype, a.shape) for a in arrays]))
        if sizes is None:
            arrays, sizes = self._fitting(arrays)
        inputs = dict(zip(self._names, arrays))
        if self._apart:
            return self._run(inputs, sizes)
        with process.lock:
            return self._run(inputs, sizes)

    def _run(self, inputs: dict[str, Array], sizes: Sizes) -> list[Array]:
        try:
            executable = self._idle.pop()
        except IndexError:  # as many calls are being made as there are executables
            executable = self._another()
        try:
            outputs = executable.run(_ENTRY, inputs, steps=None, sizes=sizes)
            return [np.asarray(output) for output in outputs]
        finally:
            self._idle.append(executable)

    def prepare(self, **sizes: int) -> None:
        """Compile a loaded program for named sizes before it is called.

        Calls of these sizes compile nothing then; on the native engine those of
        smaller ones neither.

        Raises:
            ArgumentError: other names than the program's sizes have.
        """
        if {*sizes} != {*self.graph.size_names}:
            raise ArgumentError(
                _("A program is prepared for each size that has a name."),
                expected=", ".join(self.graph.size_names) or _("none"),
                got=", ".join(sizes) or _("none"),
            )
        sizes = {name: whole(name, n, least=0) for name, n in sizes.items()}
        with process.lock:
            executable = self._idle.pop() if self._idle else self._another()
            executable.prepare(_ENTRY, sizes)
            self._idle.append(executable)

    # -- engines -------------------------------------------------------------------

    def _another(self) -> Executable:
        """Return an executable for one more call at the same time."""
        with process.lock:
            if self._first is None:
                self._first = self._load()
                return self._first
            replica: Any = self._first
            return replica.replica() if self._apart else self._load()

    def _load(self) -> Executable:
        program = self._program
        # Names of a file go into no code.
        graph = parse(to_text(program.graph))
        states = [f"w{i}" for i in range(len(program.weights))]
        for value, name in zip(graph.inputs, [*self._names, *states], strict=True):
            value.name = name
        graph = Graph(_ENTRY, graph.inputs, graph.outputs)
        count = len(graph.outputs)
        entry = Entry(_ENTRY, graph, self._names, (), tuple(states), {}, count)
        made = Program({_ENTRY: entry})
        executable = load_engine(self.engine, made, threads=self._threads)
        for state, array in zip(states, program.weights.values()):
            executable.write(state, array)
        return executable

    # -- arguments -----------------------------------------------------------------

    def _arguments(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Sequence[Any]:
        """Return the arguments of a program's call, in the order of its inputs."""
        names = [*self.inputs]
        if len(args) == 1 and isinstance(args[0], Mapping) and not kwargs:
            args, kwargs = (), args[0]
        given = {**dict(zip(names, args)), **kwargs}
        unknown = [n for n in given if n not in self.inputs]
        missing = [n for n in names if n not in given]
        twice = [n for n in names[: len(args)] if n in kwargs]
        if unknown or missing or twice or len(args) > len(names):
            near = nearest(unknown[0], names) if unknown else None
            raise CallError(
                _("The program has other inputs."),
                expected=", ".join(f"{k}: {t}" for k, t in self.inputs.items()),
                got=", ".join([*[_("one more")] * len(args), *kwargs])
                if len(args) > len(names) or twice
                else ", ".join(map(str, given)) or _("none"),
                fix=_("did you mean {near!r}?", near=near) if near else None,
            )
        return [given[n] for n in names]

    def _fitting(self, arrays: Sequence[Array]) -> tuple[list[Array], Sizes]:
        """Return arrays in the types of the inputs, and the values of named sizes."""
        pairs = list(zip(self.inputs.items(), arrays, strict=True))
        fitting = [self.converted(name, a) for (name, t), a in pairs]
        for (name, t), array in zip(self.inputs.items(), fitting):
            if len(t.shape) != array.ndim or any(
                not isinstance(want, SymbolicDim) and want != got
                for want, got in zip(t.shape, array.shape)
            ):
                raise ShapeError(
                    _("The input {name!r} has another shape.", name=name),
                    expected=str(t),
                    got=show(array.shape),
                )
        sizes: Sizes = NO_SIZES
        if self.graph.size_names:
            types = self.inputs.values()
            solved = solve_sizes([(t.shape, a.shape) for t, a in zip(types, fitting)])
            sizes = {name: solved[name] for name in self.graph.size_names}
        if all(a is b for a, b in zip(arrays, fitting)):
            self._sizes[tuple([(a.dtype, a.shape) for a in arrays])] = sizes
        return fitting, sizes

    def converted(self, name: str, array: Array) -> Array:
        """Return an array in the dtype of an input, if that keeps what it says."""
        type = self.inputs[name]
        dtype = type.dtype.numpy
        if array.dtype == dtype and array.dtype.isnative:
            return array
        if name in self.codes and array.dtype.kind in "UO":
            return self._coded(name, array)
        if array.dtype.kind == "M" and dtype == np.int64:
            return array.astype("datetime64[ms]").astype(np.int64)
        came, wanted = array.dtype.kind, dtype.kind
        whole = came in "biu" and wanted in "iu"
        if whole or (came in "biuf" and wanted == "f"):
            with np.errstate(over="ignore"):  # infinity is found in the results
                converted = array.astype(dtype)
            if not whole or np.array_equal(converted, array):
                return converted
        raise DTypeError(
            _("The input {name!r} has another dtype.", name=name),
            expected=_("texts") if name in self.codes else type.dtype.name,
            got=_("numbers beyond it, as {dtype}", dtype=array.dtype)
            if whole
            else str(array.dtype),
        )

    def _coded(self, name: str, texts: Array) -> Array:
        codes, other = self.codes[name]
        found = [codes.get(_cell(t, name), other) for t in texts.ravel().tolist()]
        return np.array(found, np.int64).reshape(texts.shape)


def _again(program: Portable, engine: str, threads: int | None) -> LoadedProgram:
    """Rebuild a loaded program that ``pickle`` or ``copy`` copies."""
    return LoadedProgram(program, engine=engine, threads=threads)


def _cell(text: Any, name: str) -> str:
    """Return a text without spaces around it; what is missing as an empty one."""
    if text is None or text != text:
        return ""
    if not isinstance(text, str):
        raise DTypeError(
            _("The input {name!r} has another dtype.", name=name),
            expected=_("texts"),
            got=f"{type(text).__name__}: {text!r:.40}",
        )
    return text.strip()
