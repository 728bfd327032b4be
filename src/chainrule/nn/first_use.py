"""The input dtype of a module, determined by the first operation on its input.

The module is traced on integers without numbers, up to the first primitive that tells:
one that takes integers alone reads indices, a conversion to a dtype that holds them is
the module's own, and a conversion to a dtype that does not asks for floats.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from chainrule.compilation.tracing import ProgramTrace
from chainrule.errors import ChainruleError
from chainrule.graph.context import get_default_dtype, no_grad
from chainrule.graph.emit import tracing
from chainrule.graph.node import Node, Value
from chainrule.graph.types import ArrayType, Dim, DType, Shape, SymbolicDim
from chainrule.nn.module import Module
from chainrule.nn.traced import mode
from chainrule.primitives.elementwise import convert
from chainrule.tensor import wrap

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
    def __init__(self, use: Use) -> None:
        self.use = use


class _Watch(ProgramTrace):
    """A trace that stops once the first operation on a module's input is known."""

    def __init__(self, x: Value) -> None:
        super().__init__("first_use", {})
        self.followed: dict[int, Value] = {id(x): x}

    def note_emitted(self, outputs: tuple[Value, ...]) -> None:
        node = outputs[0].node
        assert node is not None
        positions = [i for i, v in enumerate(node.inputs) if id(v) in self.followed]
        if not positions:
            return
        if node.primitive is convert:
            to = outputs[0].dtype
            if to.is_float and to.itemsize < 8:
                raise _Found(Use.FLOATS)
            raise _Found(Use.CONVERTS)
        if not node.inputs[positions[0]].dtype.is_integer:
            raise _Found(Use.FLOATS)
        if any(_integers_alone(node, i) for i in positions):
            raise _Found(Use.INDICES)
        self.followed |= {id(v): v for v in outputs if v.dtype.is_integer}


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
    sizes: tuple[Dim, ...] = (SymbolicDim("N"), *row)
    x = Value(None, sizes, dtype, name="x")
    with no_grad(), mode(model, training=False), tracing(_Watch(x)):
        try:  # only what the module raises is its refusal
            model(wrap(x))
        except _Found as signal:
            return signal.use
        except Exception:  # noqa: BLE001 - whatever it raises, it is not called so
            return Use.REFUSES
    return Use.ANY


def input_dtype(model: Module, row: Shape, stored: DType = DType.int64) -> DType:
    """Return the dtype to which stored numbers are converted as a module's input.

    Indices stay integers; a module that converts its input itself gets the numbers as
    they are stored; any other gets the dtype of its first parameter.

    Args:
        model: the module.
        row: the shape of one sample.
        stored: the dtype of the numbers.
    """
    own = next((p.dtype for p in model.parameters()), get_default_dtype())
    use = first_use(model, row)
    if use is Use.ANY or (use is Use.INDICES and stored.is_float):
        if first_use(model, row, own) is not Use.REFUSES:
            return own
        use = Use.INDICES
    if use is Use.INDICES:
        return DType.int64 if stored in _WIDE else DType.int32
    if use is not Use.CONVERTS or stored is own:
        return own
    return own if first_use(model, row, stored) is Use.REFUSES else stored
