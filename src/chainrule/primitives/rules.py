"""Type rules that several primitives share."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph.types import ArrayType, DType, Shape

Rule = Callable[..., ArrayType]


def show(shape: Shape) -> str:
    """A shape as messages print it: ``(N, 784)``."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def same(
    name: str,
    inputs: int,
    *,
    floating: bool = False,
    numbers: bool = False,
    bits: bool = False,
    result: DType | None = None,
) -> Rule:
    """That many inputs of one shape and dtype; the result too, unless it is given.

    ``floating`` refuses all but floats, ``numbers`` booleans alone, ``bits`` floats.
    """

    def rule(*types: ArrayType) -> ArrayType:
        if len(types) != inputs:
            raise ArgumentError(
                f"{name} takes {inputs} value{'s' if inputs > 1 else ''}.",
                expected=str(inputs),
                got=str(len(types)),
            )
        first = types[0]
        for other in types[1:]:
            if other.shape != first.shape:
                raise ShapeError(
                    f"{name} takes values of one shape.",
                    expected=show(first.shape),
                    got=show(other.shape),
                    fix="broadcast_to the common shape first (tensors do it)",
                )
            if other.dtype is not first.dtype:
                raise DTypeError(
                    f"{name} takes values of one dtype.",
                    expected=first.dtype.name,
                    got=other.dtype.name,
                    fix="convert one of them: x.astype(y.dtype)",
                )
        if floating and not first.dtype.is_float:
            raise DTypeError(
                f"{name} is defined for floating-point values.",
                expected="float32 or float64",
                got=first.dtype.name,
                fix="convert first: x.astype('float32')",
            )
        if bits and first.dtype.is_float:
            raise DTypeError(
                f"{name} is defined for integers and truth values.",
                expected="an integer dtype or bool",
                got=first.dtype.name,
                fix="convert first: x.astype('int64')",
            )
        if numbers and first.dtype is DType.bool:
            raise DTypeError(
                f"{name} is defined for numbers, not for truth values.",
                expected="a floating-point or integer dtype",
                got="bool",
                fix="convert first: x.astype('float32')",
            )
        return ArrayType(first.shape, result or first.dtype)

    return rule


def need_integer(name: str, what: str, dtype: DType) -> None:
    """Refuse anything but integers for ``what``."""
    if not dtype.is_integer:
        raise DTypeError(
            f"{name} needs integers for its {what}.",
            expected="an integer dtype",
            got=dtype.name,
            fix="convert: x.astype('int32')",
        )


def need_axes(name: str, axes: tuple[int, ...], rank: int) -> None:
    """Refuse axes that are repeated or outside 0…rank−1."""
    if any(not 0 <= a < rank for a in axes) or len(set(axes)) != len(axes):
        raise ShapeError(
            f"{name} got axes that do not exist.",
            expected=f"distinct axes from 0 to {rank - 1}" if rank else "no axis",
            got=str(axes),
        )
