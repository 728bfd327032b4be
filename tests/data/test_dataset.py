"""Data sets: conversion of stored data, slices, splits, and every error message."""

import doctest
import sys

import numpy as np
import pytest

import chainrule.data.dataset
from chainrule.data import Column, Dataset
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DataError,
    DTypeError,
    NonFiniteError,
    ShapeError,
)

BYTES = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
SPLIT_OF_SEED_0 = [0, 8, 9, 3, 7, 5]


def says(error: ChainruleError, what: str, expected: str, got: str, fix: str) -> None:
    """Each of the four parts of the message holds its text."""
    for part, text in (
        (error.what, what),
        (error.expected, expected),
        (error.got, got),
        (error.fix, fix),
    ):
        assert part is not None
        assert text in part


# ---------------------------------------------------------------- columns


def test_column_converts_and_scales_in_float32() -> None:
    column = Column(BYTES, 1 / 255)
    wanted = BYTES.astype(np.float32) * np.float32(1 / 255)
    assert column.shape == (4, 6)
    assert len(column) == 4
    assert column.stored is BYTES
    assert column.scale == 1 / 255
    assert column.dtype == np.float32
    assert column[:].dtype == np.float32
    np.testing.assert_array_equal(column[:], wanted, strict=True)
    np.testing.assert_array_equal(column[1:3], wanted[1:3], strict=True)
    np.testing.assert_array_equal(column[[3, 0]], wanted[[3, 0]], strict=True)
    np.testing.assert_array_equal(column[2], wanted[2], strict=True)
    np.testing.assert_array_equal(list(column), wanted)
    assert column[2, 3] == wanted[2, 3]
    assert column[2, 3].dtype == np.float32


def test_scaling_rounds_as_float32_does() -> None:
    # 1/255 is not a float32; dividing by 255 would give other last bits.
    column = Column(np.arange(256, dtype=np.uint8), 1 / 255)
    exact = np.arange(256) / 255
    assert np.abs(column[:] - exact).max() < 1e-7
    assert (column[:] != exact.astype(np.float32)).any()
    assert column[255] == 1


@pytest.mark.parametrize(
    ("stored", "scale", "features"),
    [
        ("uint8", None, "float32"),
        ("int64", None, "float32"),
        ("bool", None, "float32"),
        ("float16", None, "float32"),
        ("float32", None, "float32"),
        ("float64", None, "float64"),
        ("float64", 0.5, "float32"),
        ("int16", 0.5, "float32"),
    ],
)
def test_dtype_of_features(stored: str, scale: float | None, features: str) -> None:
    array = np.array([[0, 1], [1, 1]], stored)
    column = Dataset(array, [0, 1], scale=scale).x
    assert column.stored is array
    assert column.dtype == features
    assert column[0].dtype == features
    np.testing.assert_array_equal(column[:], array.astype(float) * (scale or 1))


def test_column_is_an_array_to_numpy() -> None:
    column = Column(BYTES, 0.5)
    np.testing.assert_array_equal(np.asarray(column), column[:], strict=True)
    assert np.asarray(column, dtype=np.float64).dtype == np.float64
    assert np.add(column, 1)[0, 1] == 6
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(column, copy=False)
    floats = np.ones((2, 3), np.float32)
    assert np.shares_memory(np.asarray(Column(floats), copy=False), floats)
    assert not np.shares_memory(np.array(Column(floats), copy=True), floats)
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(Column(floats), dtype=np.float64, copy=False)


@pytest.mark.parametrize("scale", [0, 0.0, np.nan, np.inf, 1e60, 1e-60])
def test_scale_that_is_no_factor(scale: float) -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(BYTES, np.zeros(4), scale=scale)
    says(caught.value, "scale of x", "other than 0", repr(scale), "scale=1/255")


def test_scale_beside_a_column() -> None:
    column = Column(BYTES, 0.5)
    assert Dataset(column, np.zeros(4)).x.scale == 0.5
    with pytest.raises(ArgumentError) as caught:
        Dataset(column, np.zeros(4), scale=0.5)
    says(caught.value, "is a Column", "scale=None", "scale=0.5", "x.stored")


# ---------------------------------------------------------------- sources


class OnlyArray:
    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return BYTES


class OnlyDLPack:
    def __dlpack__(self, **options: object) -> object:
        return BYTES.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return BYTES.__dlpack_device__()


def test_arrays_come_from_either_protocol_without_a_copy() -> None:
    for source in (BYTES, OnlyArray(), OnlyDLPack()):
        stored = Dataset(source, np.zeros(4)).x.stored
        assert np.shares_memory(stored, BYTES)
        np.testing.assert_array_equal(stored, BYTES, strict=True)


def test_lists_become_float32_and_int32() -> None:
    data = Dataset([[0.5], [1.5]], [1.0, 2.0])
    assert data.x.stored.dtype == data.y.dtype == np.float32
    assert Dataset([[1], [2]], [True, False]).y.dtype == np.int32


def test_foreign_byte_order_is_made_native() -> None:
    data = Dataset(np.array([[1.0], [2.0]], ">f4"), np.array([3, 4], ">i2"))
    assert data.x.stored.dtype.isnative
    assert data.x[1, 0] == 2
    assert data.y.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("uint8", "int32"),
        ("int64", "int32"),
        ("uint64", "int32"),
        ("bool", "int32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_dtype_of_targets(given: str, kept: str) -> None:
    data = Dataset(BYTES, np.array([0, 1, 1, 0], given))
    assert data.y.dtype == kept
    assert data.y.tolist() == [0, 1, 1, 0]


def test_negative_labels_are_fine_without_classes() -> None:
    assert Dataset(BYTES, [1, -1, -1, 1]).y.tolist() == [1, -1, -1, 1]


# ---------------------------------------------------------------- rows


def test_slices_share_memory() -> None:
    data = Dataset(BYTES, [0, 1, 2, 3], scale=0.5, name="bytes", classes=4)
    for part in (data.take(2), data[:2]):
        assert len(part) == 2
        assert np.shares_memory(part.x.stored, BYTES)
        assert np.shares_memory(part.y, data.y)
        assert (part.name, part.classes, part.x.scale) == ("bytes", 4, 0.5)
        np.testing.assert_array_equal(part.x[:], data.x[:2], strict=True)
    assert data[2:].y.tolist() == [2, 3]
    assert data[::-2].y.tolist() == [3, 1]
    assert len(data.take(4)) == 4


def test_one_row_and_iteration() -> None:
    data = Dataset(BYTES, [4, 5, 6, 7])
    x, y = data[-1]
    np.testing.assert_array_equal(x, BYTES[3].astype(np.float32), strict=True)
    assert y == 7
    assert [int(y) for _, y in data] == [4, 5, 6, 7]
    with pytest.raises(IndexError):
        data[4]


def test_index_of_another_kind() -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(BYTES, [4, 5, 6, 7], name="bytes")["x"]
    says(caught.value, "'bytes'", "a slice", "'x'", "data.x[rows]")


@pytest.mark.parametrize("n", [0, -1, 5])
def test_take_too_few_or_too_many(n: int) -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(BYTES, [4, 5, 6, 7]).take(n)
    says(caught.value, f"take {n} rows", "1 to 4 rows", str(n), "min(n, len(data))")


def test_slice_without_rows() -> None:
    with pytest.raises(ArgumentError, match="empty"):
        Dataset(BYTES, [4, 5, 6, 7])[4:]


def test_split_deals_every_row_once_and_keeps_pairs() -> None:
    n = 1000
    data = Dataset(np.arange(n, dtype=np.uint16)[:, None], np.arange(n), scale=2)
    first, rest = data.split(0.8, seed=3)
    assert (len(first), len(rest)) == (800, 200)
    assert sorted([*first.y, *rest.y]) == list(range(n))
    for part in (first, rest):
        assert part.x.stored.dtype == np.uint16
        np.testing.assert_array_equal(part.x[:, 0], 2 * part.y)
    # Random: both halves of the rows are in the first part, about as often.
    assert 360 < np.count_nonzero(first.y < 500) < 440
    assert np.corrcoef(first.y, np.arange(800))[0, 1] < 0.2


def test_split_depends_on_the_seed_alone() -> None:
    data = Dataset(np.arange(10), np.arange(10))
    # Pinned: the same on every machine and in every version of NumPy.
    assert data.split(6, seed=0)[0].y.tolist() == SPLIT_OF_SEED_0
    assert data.split(6)[0].y.tolist() == SPLIT_OF_SEED_0
    assert data.split(0.6, seed=np.int64(0))[0].y.tolist() == SPLIT_OF_SEED_0
    assert data.split(6, seed=1)[0].y.tolist() != SPLIT_OF_SEED_0
    assert [len(part) for part in data.split(np.int64(9))] == [9, 1]


@pytest.mark.parametrize("first", [0, 4, -1, 0.0, 1.0, 1.5, 0.01, 0.99, np.nan])
def test_split_that_leaves_a_part_empty(first: float) -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(BYTES, [4, 5, 6, 7]).split(first)
    says(caught.value, "of 4 rows", "between 1 and 3", repr(first), "data.split(0.9")


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_split_with_a_wrong_seed(seed: object) -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(BYTES, [4, 5, 6, 7]).split(2, seed)  # type: ignore[arg-type]
    says(caught.value, "seed", "at least 0", repr(seed), "seed=0")


def test_repr_names_what_it_holds() -> None:
    data = Dataset(BYTES, [0, 1, 1, 0], scale=1 / 255, name="bytes", classes=2)
    assert repr(data) == (
        "Dataset('bytes': 4 rows, x Column(shape=(4, 6), stored=uint8, "
        "scale=0.00392157), y int32 (4,), 2 classes)"
    )
    assert repr(Column(BYTES)) == "Column(shape=(4, 6), stored=uint8)"


# ---------------------------------------------------------------- errors


def test_different_lengths() -> None:
    with pytest.raises(ShapeError) as caught:
        Dataset(BYTES, [0, 1, 1])
    says(
        caught.value, "different lengths", "as many", "4 rows of x (4, 6) and 3", "x.T"
    )


@pytest.mark.parametrize(
    ("x", "y", "shapes"),
    [
        (np.zeros((0, 6)), np.zeros(0), "(0, 6) and y of shape (0,)"),
        (np.zeros((4, 0)), np.zeros(4), "(4, 0) and y of shape (4,)"),
        (np.zeros((4, 6)), np.zeros((4, 0)), "(4, 6) and y of shape (4, 0)"),
        ([], [], "(0,) and y of shape (0,)"),
        (np.zeros((0, 6)), np.zeros(0, np.int64), "(0, 6) and y of shape (0,)"),
    ],
)
def test_empty(x: object, y: object, shapes: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(x, y)
    says(caught.value, "is empty", "at least one row", shapes, "file, filter or slice")


@pytest.mark.parametrize(
    ("x", "y", "what"), [(3.0, [1], "x"), (BYTES, 1, "y"), (BYTES, np.float64(1), "y")]
)
def test_a_single_number(x: object, y: object, what: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Dataset(x, y)
    says(caught.value, f"{what} is a single", "(n, …)", "shape ()", f"pass [{what}]")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["cat", "dog", "cat", "dog"], "<U3"),
        ([b"a", b"b", b"c", b"d"], "|S1"),
        ([None, 1, 2, 3], "object"),
        (np.ones(4, complex), "complex128"),
        (np.zeros(4, "datetime64[s]"), "datetime64[s]"),
    ],
)
def test_what_is_no_number(values: object, dtype: str) -> None:
    for what, x, y in (("x", values, [0, 1, 1, 0]), ("y", BYTES, values)):
        with pytest.raises(DTypeError) as caught:
            Dataset(x, y)
        says(caught.value, f"{what} does not", "integers", f"dtype {dtype}", "unique")


def test_what_is_no_array() -> None:
    class OnAnotherDevice:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            raise TypeError("cannot convert a tensor on the GPU")

    for x, got in (
        ([[1, 2], [3]], "list: "),
        (OnAnotherDevice(), "OnAnotherDevice: cannot convert a tensor on the GPU"),
    ):
        with pytest.raises(DataError) as caught:
            Dataset(x, [0, 1])
        says(caught.value, "x cannot be read", "lists of equal", got, "numpy.array")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_not_finite(bad: float, dtype: type) -> None:
    x = np.zeros((4, 6), dtype)
    x[2, 5] = x[3, 0] = bad
    with pytest.raises(NonFiniteError) as caught:
        Dataset(x, np.zeros(4))
    says(caught.value, "x holds", "finite numbers", str(bad), "isfinite(x).all(axis=1)")
    assert "row 2, column 5 (counting from 0)" in caught.value.what
    y = np.zeros(4, dtype)
    y[1] = bad
    with pytest.raises(NonFiniteError, match=r"y holds .* at row 1 \(counting"):
        Dataset(np.zeros((4, 6)), y)


def test_not_finite_in_an_image_and_after_the_first_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.zeros((20, 1, 3, 3), np.float32)
    x[17, 0, 2, 1] = np.nan
    for chunk in (1, 10, 36, 1 << 20):
        monkeypatch.setattr(chainrule.data.dataset, "_CHUNK", chunk)
        with pytest.raises(NonFiniteError, match=r"row 17, column \(0, 2, 1\)"):
            Dataset(x, np.zeros(20))
        x_fine = np.nan_to_num(x)
        assert len(Dataset(x_fine, np.zeros(20))) == 20


def test_scaled_float64_that_does_not_fit_float32() -> None:
    with pytest.raises(NonFiniteError, match="row 1, column 0") as caught:
        Dataset(np.array([[1.0], [1e300]]), [0, 1], scale=0.5)
    says(caught.value, "x holds", "fit float32", "1e+300", "nan_to_num")
    assert Dataset(np.array([[1.0], [1e300]]), [0, 1]).x[1, 0] == 1e300


@pytest.mark.parametrize(
    ("labels", "where", "got", "fix"),
    [
        ([0, 3, 12, 1], "row 2 (", "12", "classes=13"),
        ([1, 2, 10, 3], "row 2 (", "10", "pass y - 1"),
        ([0, -1, 12, 1], "row 1 (", "-1", "numpy.unique"),
    ],
)
def test_labels_outside_the_classes(
    labels: list[int], where: str, got: str, fix: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(BYTES, labels, classes=10)
    says(caught.value, where, "labels from 0 to 9", got, fix)
    assert "none of 10 classes" in caught.value.what
    assert len(Dataset(BYTES, [0, 9, 9, 1], classes=10)) == 4


@pytest.mark.parametrize(
    ("shape", "fix"), [((4, 1), "y.reshape(-1)"), ((4, 10), "y.argmax(axis=1)")]
)
def test_labels_of_the_wrong_rank(shape: tuple[int, ...], fix: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Dataset(BYTES, np.zeros(shape, np.int64), classes=10)
    says(caught.value, "wrong rank", "shape (4,)", f"shape {shape}", fix)
    assert Dataset(BYTES, np.zeros(shape, np.int64)).y.shape == shape


def test_labels_that_are_floats() -> None:
    with pytest.raises(DTypeError) as caught:
        Dataset(BYTES, np.zeros(4), classes=10)
    says(caught.value, "holds floats", "0 to 9", "float64", "astype('int32')")


@pytest.mark.parametrize("classes", [1, 0, -3, 2.5, "ten", True])
def test_classes_that_are_no_count(classes: object) -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(BYTES, [0, 0, 0, 0], classes=classes)  # type: ignore[arg-type]
    says(caught.value, "classes is not", "at least 2", repr(classes), "classes=10")


@pytest.mark.parametrize("dtype", ["int64", "uint32", "uint64"])
def test_integer_targets_too_large_for_int32(dtype: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Dataset(BYTES, np.array([0, 1, 2**31, 3], dtype))
    says(caught.value, "row 2 (", "2147483647", "2147483648", "astype('float32')")
    assert Dataset(BYTES, np.array([0, 1, 2**31 - 1, 3], dtype)).y[2] == 2**31 - 1


def test_docstrings() -> None:
    module = sys.modules["chainrule.data.dataset"]
    results = doctest.testmod(module)
    assert results.attempted >= 10
    assert results.failed == 0
