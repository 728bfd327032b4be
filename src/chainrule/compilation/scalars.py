"""Scalars: numbers of a traced function that are known only when it runs.

Beside a tensor a Python float takes on the tensor's dtype, and among themselves floats
are computed in float64. Within a trace such an argument is a :class:`Scalar`, which
does the same; wherever it stands alone it is float32, as ``cr.tensor(0.1)`` is (or
float64, where it came as NumPy's). What an optimiser counts is one of integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.graph.types import DType
from chainrule.operations.operands import astype, scalar_for
from chainrule.tensor import Tensor, wrap
from chainrule.text import _


class Scalar(Tensor):
    """A number (a float argument, say) whose value is known only when a graph runs.

    Attributes:
        _weak: its value in float64.
        alone: the dtype that it has where it stands alone.
    """

    __slots__ = ("_weak", "alone")
    _weak: Value  # type: ignore[assignment]

    def __init__(self, wide: Value, alone: DType = DType.float32) -> None:
        tensor = wrap(astype(wide, alone))
        for name in Tensor.__slots__[1:]:  # all but __weakref__
            setattr(self, name, getattr(tensor, name))
        self._weak, self.alone = wide, alone

    @classmethod
    def like(cls, number: Any, tensor: Tensor) -> Scalar:
        """Return a graph's runtime scalar that stands for a Python or NumPy number."""
        wide = isinstance(number, np.float64)
        return cls(tensor.value, DType.float64 if wide else DType.float32)

    def numpy(self) -> NoReturn:
        """Raise an error: a traced number has no value while the function is traced."""
        raise ArgumentError(
            _(
                "A number that is another at each call of a compiled function is "
                "needed while the function is traced."
            ),
            expected=_("arithmetic with tensors, such as x * a or x.clip(max=a)"),
            got=_(
                "a float argument, or what an optimiser counts, that decides "
                "what the graph is"
            ),
            fix=_(
                "bind it first, cr.compile(functools.partial(f, p=0.1)), or "
                "read it from outside of the function: both are traced anew "
                "where it changes; what depends on optimizer.steps is decided "
                "outside"
            ),
        )

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec)

    def __repr__(self) -> str:
        return repr(self.numpy())

    def __hash__(self) -> int:
        """Raise an error: a traced number cannot be a dictionary key or set item."""
        return hash(self.numpy())


#: Operators whose results are integers for integers.
_WHOLE = {"add", "radd", "sub", "rsub", "mul", "rmul", "neg", "pos", "abs"}
_WHOLE |= {"floordiv", "rfloordiv", "mod", "rmod"}


def _operator(name: str) -> Callable[..., Any]:
    """Return a Python operator method for a graph's runtime scalars and tensors."""
    plain, keeps = getattr(Tensor, name), name.strip("_") in _WHOLE

    def apply(self: Scalar, *others: Any) -> Any:
        for other in others:
            if isinstance(other, Tensor) and not isinstance(other, Scalar):
                return plain(wrap(scalar_for(self, other.dtype)), *others)
        wide = [wrap(y._weak) if isinstance(y, Scalar) else y for y in others]
        result = plain(wrap(self._weak), *wide)
        is_float = isinstance(result, Tensor) and result.dtype is DType.float64
        if not is_float or result.shape != ():
            return result
        kinds = {y.alone for y in (self, *others) if isinstance(y, Scalar)}
        alone = DType.float64 if DType.float64 in kinds else DType.float32
        plain_numbers = [y for y in others if not isinstance(y, Scalar)]
        if keeps and all(isinstance(y, int) for y in plain_numbers):
            alone = DType.int64 if kinds == {DType.int64} else alone
        return Scalar(result.value, alone)

    return apply


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    for _form in (f"__{_name}__", f"__r{_name}__"):
        setattr(Scalar, _form, _operator(_form))
    # ``a += 1`` binds the name anew, as it does for a float.
    setattr(Scalar, f"__i{_name}__", getattr(Scalar, f"__{_name}__"))
for _name in ("neg", "pos", "abs", "lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Scalar, f"__{_name}__", _operator(f"__{_name}__"))
