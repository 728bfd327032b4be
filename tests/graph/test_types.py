"""Element types, sizes with N, and types of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import DTypeError, ShapeError
from chainrule.graph.types import (
    ArrayType,
    DType,
    SymbolicDim,
    as_dtype,
    guessing,
    is_symbolic,
    resolve,
    size_of,
    type_of,
)

N, T = SymbolicDim("N"), SymbolicDim("T")


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
    assert [d.name for d in DType if d.is_float] == [
        *("float32", "float64", "bfloat16")
    ]
    integers = {f"{kind}{n}" for kind in ("int", "uint") for n in (8, 16, 32, 64)}
    assert {d.name for d in DType if d.is_integer} == integers


@pytest.mark.parametrize(
    "dtype",
    [
        *("float16", "complex64", "nonsense", "a", "<a5", object, {}, []),
        *(",", "(", "(" * 5000, "9" * 5000 + "f4", "f4,f4", "f4\0"),  # records
    ],
)
def test_other_dtypes_are_refused(dtype: object) -> None:
    with pytest.raises(DTypeError, match="not an element type") as error:
        as_dtype(dtype)
    assert "float32" in str(error.value.expected)


def test_sizes_multiply_and_divide() -> None:
    assert N * 4 == 4 * N == SymbolicDim("N", factor=4)
    assert SymbolicDim("N", factor=6) // 3 == SymbolicDim("N", factor=2)
    assert SymbolicDim("N", factor=6) // SymbolicDim("N", factor=2) == 3
    assert SymbolicDim("N", factor=3).at({"N": 32}) == 96
    assert (repr(N), repr(SymbolicDim("N", factor=4))) == ("N", "4*N")
    assert len({N, SymbolicDim("N"), SymbolicDim("N", factor=2), 1}) == 3
    assert size_of((2, N, 3)) == SymbolicDim("N", factor=6)
    assert size_of(()) == 1


def test_sizes_are_products_of_names() -> None:
    area = N * T * 2
    assert (area, repr(area)) == (SymbolicDim("T", "N", factor=2), "2*N*T")
    assert (area // N, area // (N * T)) == (2 * T, 2)
    assert (N * N // N, N * 0) == (N, 0)
    assert area.at({"N": 3, "T": 5}) == 30


@pytest.mark.parametrize(
    ("ask", "at", "alike", "other"),
    [
        (lambda: N == 3, 4, (1, 2, 5), (3,)),
        (lambda: N * 2 == 6, 4, (1, 2, 5), (3,)),
        (lambda: N < 3, 2, (0, 1), (3, 4)),
        (lambda: N <= 3, 4, (5, 9), (1, 3)),
        (lambda: N > 3, 4, (5, 9), (1, 3)),
        (lambda: N >= N * N, 1, (0,), (2, 3)),
    ],
    ids=["==", "2N ==", "<", "<=", ">", ">= N²"],
)
def test_a_comparison_is_answered_as_guessed_and_guarded(ask, at, alike, other) -> None:
    """Whatever has another answer must not use what was built on this one."""
    with guessing({"N": at}) as guards:
        ask()
    assert guards
    for n in (at, *alike):
        assert all(guard({"N": n}) for guard in guards), n
    for n in other:
        assert not all(guard({"N": n}) for guard in guards), n
    turns = {n for guard in guards for n in guard.turns("N", {"N": at})}
    assert turns & set(other), "where to look for another answer"


def test_a_size_is_looked_up_in_no_table() -> None:
    """It would not be found, whatever its number is."""
    with guessing({"N": 3}):
        for ask in (lambda: N in {3, 5}, lambda: {3: "a"}.get(N), lambda: {(N, 2)}):
            with pytest.raises(ShapeError, match="not known"):
                ask()
    assert N not in {3, 5}


def test_two_names_are_guessed_to_be_other_sizes() -> None:
    """What is built on a difference of N and T is wrong where they are equal."""
    with guessing({"N": 3, "T": 5}) as guards:
        assert N != T
        assert N * T == T * N
    (guard,) = guards
    assert guard({"N": 5, "T": 3})
    assert not guard({"N": 4, "T": 4})
    assert (list(guard.turns("N", {"N": 3, "T": 5})), len(guards)) == ([4, 5, 6, 7], 1)
    with guessing({"N": 3, "T": 3}), pytest.raises(ShapeError, match="not known"):
        N == T  # noqa: B015


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SymbolicDim("N", factor=3) // 2,
        lambda: SymbolicDim("N", factor=3) // 0,
        lambda: SymbolicDim("N", factor=3) // SymbolicDim("N", factor=2),
        lambda: range(N),
        lambda: np.zeros(N),
        lambda: resolve((N, 3), {}),
    ],
    ids=["2", "0", "2N", "range", "zeros", "unknown"],
)
def test_what_n_cannot_do_is_refused(wrong) -> None:
    with pytest.raises(ShapeError) as error:
        wrong()
    assert error.value.expected
    assert error.value.got


def test_n_is_replaced_wherever_it_stands() -> None:
    assert resolve(((N, 3), "N", (SymbolicDim("N", factor=2),)), {"N": 5}) == (
        (5, 3),
        "N",
        (10,),
    )
    assert is_symbolic((1, (2, (N,))))
    assert not is_symbolic((1, ("N", 2.0)))
    assert ArrayType((N, 3), DType.float32).at({"N": 7}) == ArrayType(
        (7, 3), DType.float32
    )


def test_types_print_and_come_from_arrays() -> None:
    assert str(ArrayType((SymbolicDim("N", factor=4), 3), DType.uint8)) == "u8[4*N,3]"
    assert str(type_of(np.zeros((2, 0), np.int64))) == "i64[2,0]"
    assert str(type_of(np.array(True))) == "bool[]"
