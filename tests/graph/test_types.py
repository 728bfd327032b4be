"""Element types, sizes with N, and types of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import DTypeError, ShapeError
from chainrule.graph.types import (
    ArrayType,
    DType,
    Size,
    as_dtype,
    is_symbolic,
    resolve,
    size_of,
    type_of,
)

N = Size(1)


def test_a_dtype_is_numpys_of_the_same_name() -> None:
    for dtype in DType:
        assert dtype.numpy == np.dtype(dtype.name)
        assert dtype.numpy.itemsize == dtype.itemsize
        assert as_dtype(dtype.name) is dtype
        assert as_dtype(dtype.short) is dtype
        assert as_dtype(dtype.numpy) is dtype
        assert as_dtype(dtype) is dtype
    assert as_dtype(float) is DType.float64
    assert as_dtype(bool) is DType.bool


def test_kinds() -> None:
    assert [d.name for d in DType if d.is_float] == ["float32", "float64"]
    integers = {"uint8", "uint32", "int32", "int64"}
    assert {d.name for d in DType if d.is_integer} == integers


@pytest.mark.parametrize("dtype", ["float16", "complex64", "nonsense", object])
def test_other_dtypes_are_refused(dtype: object) -> None:
    with pytest.raises(DTypeError, match="not an element type") as error:
        as_dtype(dtype)
    assert "float32" in str(error.value.expected)


def test_sizes_multiply_and_divide() -> None:
    assert N * 4 == 4 * N == Size(4)
    assert Size(6) // 3 == Size(2)
    assert Size(6) // Size(2) == 3
    assert Size(3).at(32) == 96
    assert (repr(N), repr(Size(4))) == ("N", "4N")
    assert len({N, Size(1), Size(2), 1}) == 3
    assert size_of((2, N, 3)) == Size(6)
    assert size_of(()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: N * N,
        lambda: size_of((N, 3, N)),
        lambda: Size(3) // 2,
        lambda: Size(3) // 0,
        lambda: Size(3) // Size(2),
        lambda: range(N),
        lambda: np.zeros(N),
        lambda: resolve((N, 3), None),
    ],
    ids=["square", "shape", "2", "0", "2N", "range", "zeros", "unknown"],
)
def test_what_n_cannot_do_is_refused(wrong) -> None:
    with pytest.raises(ShapeError) as error:
        wrong()
    assert error.value.expected
    assert error.value.got


def test_n_is_replaced_wherever_it_stands() -> None:
    assert resolve(((N, 3), "N", (Size(2),)), 5) == ((5, 3), "N", (10,))
    assert is_symbolic((1, (2, (N,))))
    assert not is_symbolic((1, ("N", 2.0)))
    assert ArrayType((N, 3), DType.float32).at(7) == ArrayType((7, 3), DType.float32)


def test_types_print_and_come_from_arrays() -> None:
    assert str(ArrayType((Size(4), 3), DType.uint8)) == "u8[4N,3]"
    assert str(type_of(np.zeros((2, 0), np.int64))) == "i64[2,0]"
    assert str(type_of(np.array(True))) == "bool[]"
