"""The input dtype of a module, determined by the first operation on its input.

The module is traced on integers without numbers, up to the first primitive that tells:
one that takes integers alone reads indices, a conversion to a dtype that holds them is
the module's own, and a conversion to a dtype that does not asks for floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from chainrule.compilation.modes import mode
from chainrule.compilation.tracing import ProgramTrace
from chainrule.errors import ChainruleError
from chainrule.graph.context import get_default_dtype, no_grad
from chainrule.graph.emit import tracing
from chainrule.graph.node import Node, Value
from chainrule.graph.types import ArrayType, Dim, DType, Shape, SymbolicDim
from chainrule.nn.module import Module
from chainrule.nn.traced import called
from chainrule.primitives.elementwise import convert
from chainrule.tensor import wrap
from chainrule.util.pytree import mapped

#: Integers of these dtypes are indices as they are; smaller ones become int32.
_WIDE = (DType.int64, DType.uint64, DType.uint32)


class Use(Enum):
    """The kind of the first operation that reads a module's input.

    Attributes:
        INDICES: takes integers alone, as an Embedding does.
        CONVERTS: makes float64 or other integers of it, as Standardize does.
        FLOATS: computes with floats.
        ANY: computes with integers as with floats, as far as can be seen.
        REFUSES: is not reached; the module takes no input of this dtype.
    """

    INDICES = "indices"
    CONVERTS = "converts"
    FLOATS = "floats"
    ANY = "any"
    REFUSES = "refuses"


class _Found(Exception):  # noqa: N818 - no error
    """The uses of all inputs are known."""


class _Watch(ProgramTrace):
    """A trace that stops once the first operation on each input is known.

    Attributes:
        uses: what is known, by the name of the input.
    """

    def __init__(self, inputs: Mapping[str, Value]) -> None:
        super().__init__("first_use", {})
        self.uses: dict[str, Use] = {}
        self.followed = {name: {id(x): x} for name, x in inputs.items()}

    def note_emitted(self, outputs: tuple[Value, ...]) -> None:
        node = outputs[0].node
        assert node is not None
        for name, values in self.followed.items():
            if name not in self.uses:
                positions = [i for i, v in enumerate(node.inputs) if id(v) in values]
                use = _use(node, positions, outputs) if positions else None
                if use is not None:
                    self.uses[name] = use
                elif positions:
                    values |= {id(v): v for v in outputs if v.dtype.is_integer}
        if len(self.uses) == len(self.followed):
            raise _Found


def _use(node: Node, positions: list[int], outputs: tuple[Value, ...]) -> Use | None:
    """Return the use that an operation makes of an input; None if it does not tell."""
    if node.primitive is convert:
        to = outputs[0].dtype
        return Use.FLOATS if to.is_float and to.itemsize < 8 else Use.CONVERTS
    if not node.inputs[positions[0]].dtype.is_integer:
        return Use.FLOATS
    return Use.INDICES if any(_integers_alone(node, i) for i in positions) else None


def _integers_alone(node: Node, position: int) -> bool:
    """Return whether a primitive's input takes integers but not floats, as indices do.

    Other inputs of the same dtype are of another one along with it where it has to be.
    """
    like = node.inputs[position].dtype
    alike = [i for i, v in enumerate(node.inputs) if v.dtype is like]
    for changed in ([position], alike):
        if _takes(node, changed, DType.int32):
            return not _takes(node, changed, DType.float32)
    return False


def _takes(node: Node, positions: Iterable[int], dtype: DType) -> bool:
    types = [v.type for v in node.inputs]
    for i in positions:
        types[i] = ArrayType(types[i].shape, dtype)
    try:
        node.primitive.output_types(types, node.attrs)
    except ChainruleError:
        return False
    return True


def first_use(model: Module, row: Shape, dtype: DType = DType.int64) -> Use:
    """Return the kind of the first operation on a module's input.

    Args:
        model: the module, which is called with x of shape (N, *row).
        row: the shape of one sample.
        dtype: of the input that it is tried with.

    >>> from chainrule import nn
    >>> first_use(nn.Embedding(5, 2), (3,)), first_use(nn.Linear(3, 2), (3,))
    (<Use.INDICES: 'indices'>, <Use.FLOATS: 'floats'>)
    """
    return first_uses(model, "x", {"x": ArrayType(row, dtype)})["x"]


def first_uses(model: Module, x: Any, rows: Mapping[str, ArrayType]) -> dict[str, Use]:
    """Return the kind of the first operation on each input of a module, by name.

    Args:
        model: the module.
        x: the names of its inputs, in the nest that it is called with.
        rows: the types of one sample of each that it is tried with, by name.
    """
    sizes: Dim = SymbolicDim("N")
    values = {
        name: Value(None, (sizes, *row.shape), row.dtype, name=name)
        for name, row in rows.items()
    }
    watch, rest = _Watch(values), Use.ANY
    with no_grad(), mode(model, training=False), tracing(watch):
        try:  # only what the module raises is its refusal
            called(model, mapped(lambda name: wrap(values[name]), x))
        except _Found:
            pass
        except Exception:  # noqa: BLE001 - whatever it raises, it is not called so
            rest = Use.REFUSES
    return {name: watch.uses.get(name, rest) for name in rows}


def input_dtype(model: Module, row: Shape, stored: DType = DType.int64) -> DType:
    """Return the dtype to which stored numbers are converted as a module's input.

    Args:
        model: the module.
        row: the shape of one sample.
        stored: the dtype of the numbers.
    """
    return input_dtypes(model, "x", {"x": ArrayType(row, stored)})["x"]


def input_dtypes(
    model: Module, x: Any, rows: Mapping[str, ArrayType]
) -> dict[str, DType]:
    """Return the dtypes to which stored numbers are converted as a module's inputs.

    Indices stay integers; a module that converts its input itself gets the numbers as
    they are stored; any other gets the dtype of its first parameter.

    Args:
        model: the module.
        x: the names of its inputs, in the nest that it is called with.
        rows: the types of one sample of each as they are stored, by name.
    """
    own = next((p.dtype for p in model.parameters()), get_default_dtype())
    integers = {name: ArrayType(row.shape, DType.int64) for name, row in rows.items()}
    uses = first_uses(model, x, integers)
    dtypes: dict[str, DType] = {}
    for name, row in rows.items():
        indices = uses[name] is Use.INDICES
        whole = DType.int64 if row.dtype in _WIDE else DType.int32
        dtypes[name] = whole if indices and not row.dtype.is_float else own

    def refused(name: str, dtype: DType) -> bool:
        tried = {n: ArrayType(row.shape, dtypes[n]) for n, row in rows.items()}
        tried[name] = ArrayType(rows[name].shape, dtype)
        return first_uses(model, x, tried)[name] is Use.REFUSES

    for name, row in rows.items():
        use, stored = uses[name], row.dtype
        if use is Use.ANY or (use is Use.INDICES and stored.is_float):
            if refused(name, own):
                dtypes[name] = DType.int64 if stored in _WIDE else DType.int32
        elif use is Use.CONVERTS and stored is not own and not refused(name, stored):
            dtypes[name] = stored
    return dtypes
