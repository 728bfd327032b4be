"""``cr.export_onnx``: a model or a function as an ONNX file."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.compilation.arguments import is_static, named_leaves
from chainrule.compilation.tracing import Input, Traced, trace_entry
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import no_grad
from chainrule.graph.graph import Graph
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
from chainrule.interop.onnx.writer.agreement import agree, weights_of
from chainrule.nn.module import Module
from chainrule.nn.traced import mode
from chainrule.tensor import Tensor
from chainrule.text import _
from chainrule.util.keywords import strict
from chainrule.util.pytree import Leaf, flatten, unflatten

#: The opsets that are written.
OPSETS = range(13, 26)
#: Sizes to trace with where a function compares with the one of its example.
OTHERS = (7, 11, 13, 101)

#: The codes of texts, and that of a text that is none of them.
Codes = tuple[Mapping[str, int], int]
Dynamic = str | Mapping[str, Sequence[int | str | None]]


@dataclass(frozen=True)
class Exported:
    """An ONNX file that was written.

    Attributes:
        files: the file, and behind it that of the weights where there is one.
        opset: the version of ONNX's operators.
        inputs, outputs: their types by name, as text: ``float32[N,784]``.
        operators: how many nodes there are of each operator.
    """

    files: tuple[Path, ...]
    opset: int
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    operators: Mapping[str, int]

    def __str__(self) -> str:
        from chainrule.text import tr

        nodes = ", ".join(f"{n} {k}" for k, n in self.operators.items())
        lines = [
            tr("{path}: ONNX, opset {n}", path=self.files[0], n=self.opset),
            *(tr("  input   {k}: {t}", k=k, t=t) for k, t in self.inputs.items()),
            *(tr("  output  {k}: {t}", k=k, t=t) for k, t in self.outputs.items()),
            tr("  nodes   {nodes}", nodes=nodes),
            *(tr("  weights {path}", path=path) for path in self.files[1:]),
        ]
        return "\n".join(lines)


@strict
def export_onnx(
    model: Callable[..., Any],
    path: str | os.PathLike[str],
    inputs: Any,
    *,
    opset: int = 23,
    dynamic: Dynamic | None = None,
    outputs: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a model, or any function of tensors, as an ONNX file.

    It is traced as :func:`chainrule.compile` traces it, in prediction mode, and its
    graph is written: softmax, normalisations, GELU, convolutions, pools, LSTM and GRU
    as single operators, everything else as what it consists of. The file gives the same
    numbers as the model, but for rounding.

    Args:
        model: a module, or a function of tensors.
        path: of the file. Weights of more than 2 GB stand in a second file beside it,
            ``NAME.DIGEST.data``.
        inputs: an example: an array or a tensor, a tuple of them in order, or a
            dictionary by the names of the arguments. Their shapes and dtypes count.
            What is no array becomes part of the file.
        opset: the version of ONNX's operators, 13 to 25.
        dynamic: names for sizes that may be others when the file is run, as
            ``shapes`` of :func:`chainrule.compile` has them: ``{"x": ("N", 784)}``; or
            one name, for the first size of each input. By default each size is fixed.
        outputs: names for the outputs.
        metadata: what the file says of itself besides, by name: classes, units.

    Returns:
        What was written; printed, it is a summary.

    Raises:
        ArgumentError: onnx is not installed; an opset, a name or an example that does
            not fit; operations that ONNX cannot say, all of them with the reason.
        ShapeError: a size with a name by which the model decides what it computes.
        SaveError: the file system refuses.

    >>> import chainrule as cr, pathlib, tempfile
    >>> model = cr.nn.Sequential(cr.nn.Linear(4, 3), cr.nn.Softmax(-1))
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.onnx"
    >>> written = cr.export_onnx(model, path, cr.zeros(1, 4), dynamic="N")
    >>> written.inputs, written.outputs, written.operators  # doctest: +ELLIPSIS
    ({'x': 'float32[N,4]'}, {'output': 'float32[N,3]'}, ...)
    """
    return write(model, path, inputs, opset, dynamic, outputs, metadata or {}, {})


def write(
    model: Callable[..., Any],
    path: str | os.PathLike[str],
    inputs: Any,
    opset: int,
    dynamic: Dynamic | None,
    outputs: Sequence[str] | None,
    metadata: Mapping[str, Any],
    texts: Mapping[str, Codes],
) -> Exported:
    """Write a function as ``export_onnx`` does; some of its inputs may be texts.

    ``texts``: for inputs of int64 codes which texts they are in the file.
    """
    _need_onnx(opset)
    from chainrule.interop.onnx.writer import file

    call = _Call.of(model, inputs)
    trained = mode(model, training=False) if isinstance(model, Module) else None
    with trained or contextlib.nullcontext(), no_grad():
        traced = call.trace(call.patterns(dynamic))
    parts = _parts(traced, call, outputs, metadata, texts)
    made = file.model_of(parts, opset)
    _refuse_changes(traced)
    files = file.save(made, Path(path))
    count: dict[str, int] = {}
    for node in made.graph.node:
        count[node.op_type] = count.get(node.op_type, 0) + 1
    values = traced.entry.graph
    kinds = {n: _typed(v.type) for n, v in zip(parts.inputs, values.inputs)}
    kinds |= {n: kinds[n].replace("int64", "string") for n in texts}
    outs = {n: _typed(v.type) for n, v in zip(parts.outputs, values.outputs)}
    return Exported(tuple(files), opset, kinds, outs, count)


def _typed(type: ArrayType) -> str:
    return f"{type.dtype.name}[{','.join(map(repr, type.shape))}]"


def _need_onnx(opset: int) -> None:
    """Refuse an opset that is not written, or that onnx is too old for."""
    try:
        from onnx import __version__ as version
        from onnx.defs import onnx_opset_version
    except ImportError as error:
        raise ArgumentError(
            _("ONNX files are written by the package onnx, which is not installed."),
            expected=_("the extra onnx"),
            got=f"{type(error).__name__}: {error}",
            fix=_("pip install 'chainrule[onnx]'"),
        ) from error
    if type(opset) is not int or opset not in OPSETS:
        raise ArgumentError(
            _("ONNX files are written for some opsets."),
            expected=_("{first} to {last}", first=OPSETS[0], last=OPSETS[-1]),
            got=repr(opset),
        )
    if opset > onnx_opset_version():
        raise ArgumentError(
            _("The installed onnx does not know opset {n}.", n=opset),
            expected=_("at most {n}", n=onnx_opset_version()),
            got=_("onnx {version}", version=version),
            fix=_("pip install -U onnx, or a smaller opset"),
        )


# -- the example -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
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
    def of(cls, model: Callable[..., Any], inputs: Any) -> _Call:
        """Return a call from an example as ``export_onnx`` takes it."""
        if not callable(model):
            raise ArgumentError(
                _("export_onnx writes a function of tensors."),
                expected=_("a module, or a function"),
                got=f"{model!r:.60}",
            )
        args: tuple[Any, ...] = inputs if isinstance(inputs, tuple) else (inputs,)
        kwargs: dict[str, Any] = {}
        if isinstance(inputs, Mapping):
            args, kwargs = (), dict(inputs)
        takes = model.forward if isinstance(model, Module) else model
        _check_call(takes, args, kwargs)
        named = named_leaves(takes, args, kwargs)
        leaves, structure = flatten((args, kwargs))
        present = [(n, item) for n, item in named if item is not None]
        places = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]
        names = [n for n, item in present if _is_array(item)]
        if not names:
            raise ArgumentError(
                _("export_onnx needs an example of each input."),
                expected=_("an array or a tensor, a tuple or a dictionary of them"),
                got=f"{inputs!r:.60}",
            )
        return cls(model, leaves, structure, names, places)

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
        """
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
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return trace_entry(name, function, inputs)

    def _verify(
        self,
        traced: Traced,
        patterns: list[Shape],
        sizes: Sizes,
        guards: Sequence[SizeGuard],
    ) -> None:
        """Compare the graph with that of a size where a comparison comes out otherwise.

        One that the function refuses is the caller's to leave out.
        """
        for name in sizes:
            turns = {n for guard in guards for n in guard.turns(name, sizes)}
            probes = [{**sizes, name: n} for n in sorted(turns)]
            for others in probes:
                if all(guard(others) for guard in guards):
                    continue
                shapes = [resolve(pattern, others) for pattern in patterns]
                try:
                    fixed = self._traced(shapes)
                except Exception:  # noqa: BLE001 - in whatever way it refuses a size
                    continue
                if not agree(traced, fixed, others, self.arrays):
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


# -- the file --------------------------------------------------------------------------


def _parts(
    traced: Traced,
    call: _Call,
    names: Sequence[str] | None,
    metadata: Mapping[str, Any],
    codes: Mapping[str, Codes],
) -> Any:
    from chainrule.interop.onnx.writer.file import Parts

    entry = traced.entry
    found = _output_names(traced.structure, "output")
    if not found:
        raise ArgumentError(
            _("The model returns nothing that a file could give."),
            expected=_("a tensor, a tuple or a dictionary of them"),
            got=repr(traced.structure),
        )
    if names is not None:
        right = not isinstance(names, str) and len(names) == len(found)
        right = right and all(isinstance(n, str) and n not in call.names for n in names)
        if not right:
            raise ArgumentError(
                _("The outputs need names of their own."),
                expected=_("{n} names, none that of an input", n=len(found)),
                got=f"{names!r:.80}",
            )
        found = list(names)
    found = [n if n not in call.names else f"{n}_out" for n in found]
    twice = [n for n in found if not n or found.count(n) > 1]
    if twice:
        raise ArgumentError(
            _("The outputs need names of their own."),
            expected=_("{n} names, none that of an input", n=len(found)),
            got=", ".join(map(repr, found)),
            fix=_("outputs=[…], or other keys"),
        )
    graph = Graph(entry.name, entry.graph.inputs, entry.graph.outputs[: entry.outputs])
    texts = {k: _text(k, v) for k, v in metadata.items()}
    weights = weights_of(traced)
    return Parts(graph, call.names, weights, found, texts, entry.name, codes)


def _text(key: Any, value: Any) -> str:
    """Return an entry of the metadata as a text."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError):
        text = None
    if text is None or not isinstance(key, str):
        raise ArgumentError(
            _("The metadata of an ONNX file are texts by name."),
            expected=_("texts, or what JSON can say"),
            got=f"{key!r:.40}: {value!r:.40}",
        )
    return text


def _output_names(structure: Any, name: str) -> list[str]:
    """Return names for a nest of outputs: keys, and numbers of several."""
    if isinstance(structure, Leaf):
        return [name]
    if isinstance(structure, dict):
        prefix = "" if name == "output" else f"{name}."
        parts = [(f"{prefix}{k}", v) for k, v in structure.items()]
    elif isinstance(structure, tuple | list):
        fields = getattr(structure, "_fields", range(len(structure)))
        parts = [(f"{name}.{k}", v) for k, v in zip(fields, structure)]
    else:
        return []
    return [n for part, item in parts for n in _output_names(item, part)]


def _refuse_changes(traced: Traced) -> None:
    """Refuse a function that changes tensors outside of itself: a file has no state."""
    if traced.entry.replaces:
        changed = ", ".join(traced.entry.replaces)
        raise ArgumentError(
            _("The model changes tensors when it is called, which a file has not."),
            expected=_("a function of its arguments and weights"),
            got=_("new values of {changed}", changed=changed),
            fix=_("return them, and pass them as arguments"),
        )
