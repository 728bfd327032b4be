"""Data sets: conversion of stored data, slices, splits, and every error message."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.data.checks
from chainrule.data import Column, Dataset
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DataError,
    DTypeError,
    NonFiniteError,
    ShapeError,
)
from chainrule.random import permutation
from tests.data.saying import says
from tests.rows import table

BYTES = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
SPLIT_OF_SEED_0 = [0, 8, 9, 3, 7, 5]


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


def test_repr_names_what_it_holds() -> None:
    data = Dataset(BYTES, [0, 1, 1, 0], scale=1 / 255, name="bytes", classes=2)
    assert repr(data) == (
        "Dataset('bytes': 4 rows, x Column(shape=(4, 6), stored=uint8, "
        "scale=0.00392157), y int32 (4,), 2 classes)"
    )
    assert repr(Column(BYTES)) == "Column(shape=(4, 6), stored=uint8)"


def test_slices_and_rows_keep_the_names() -> None:
    data = Dataset(
        BYTES,
        [0, 1, 1, 0],
        class_names=("no", "yes"),
        feature_names=list("abcdef"),
        format={"kind": "npz"},
    )
    first, second = data.split(2)
    for part in (data[1:], data.take(2), data.rows([3, 0]), first, second):
        assert part.classes == 2
        assert part.class_names == ("no", "yes")
        assert part.feature_names == ("a", "b", "c", "d", "e", "f")
        assert part.format == {"kind": "npz"}


@pytest.mark.parametrize(
    ("index", "wanted"),
    [
        ([3, 0], [3, 0]),
        ((1, 1, 1), [1, 1, 1]),
        ([-1, -4], [3, 0]),
        (np.array([2], np.uint8), [2]),
        (np.array([True, False, False, True]), [0, 3]),
        ([False, True, False, False], [1]),
        (range(2), [0, 1]),
    ],
)
def test_rows_by_number_and_by_mask(index: object, wanted: list[int]) -> None:
    data = Dataset(BYTES, [0, 1, 2, 3], scale=0.5)
    part = data.rows(index)
    assert part.y.tolist() == wanted
    np.testing.assert_array_equal(part.x[:], data.x[wanted], strict=True)
    assert not np.shares_memory(part.x.stored, BYTES)


# ---------------------------------------------------------------- batches


COUNTING = Dataset(np.arange(10, dtype=np.uint8)[:, None], range(10), scale=0.5)


@pytest.mark.parametrize("size", [1, 3, 5, 10, None])
@pytest.mark.parametrize("epoch", [0, 7])
def test_batches_visit_every_row_once(size: int | None, epoch: int) -> None:
    batches = list(COUNTING.batches(size, seed=3, epoch=epoch))
    sizes = [len(y) for _, y in batches]
    whole, rest = divmod(10, size or 10)
    assert sizes == [size or 10] * whole + [rest] * (rest > 0)
    seen = np.concatenate([y for _, y in batches])
    assert sorted(seen) == list(range(10))
    assert seen.tolist() == permutation(10, 3, epoch).tolist()
    for x, y in batches:
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x[:, 0], 0.5 * y)


def test_batches_in_the_order_of_a_trainer() -> None:
    """The order that a Trainer with this seed takes, read off its updates."""
    x = np.eye(6, dtype=np.float32)
    data = Dataset(x, np.ones((6, 1), np.float32))
    model = cr.nn.Linear(6, 1, bias=False)
    seen = []
    trainer = cr.Trainer(
        model,
        loss=cr.nn.MSELoss(),
        optimizer=cr.optim.SGD(lr=0.1),
        engine="numpy",
        seed=5,
    )
    for epoch in range(2):
        before = model.weight.numpy().copy()
        trainer.fit(data, epochs=1, batch_size=4, progress=False)
        # Rows of the first, full batch move by lr·2/4, those of the last by lr·2/2.
        moved = model.weight.numpy() - before
        error = 1 - before
        first = np.isclose(moved, 0.1 * 2 / 4 * error, rtol=1e-4)[0]
        (_, y), (rest, _) = data.batches(4, seed=5, epoch=epoch)
        seen.append(rest.argmax(axis=1).tolist())
        assert sorted(np.flatnonzero(~first)) == sorted(seen[-1])
        assert len(y) == 4
    assert seen[0] != seen[1]


def test_batches_without_shuffling_and_without_the_last() -> None:
    batches = list(COUNTING.batches(4, shuffle=False, drop_last=True))
    assert [y.tolist() for _, y in batches] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(list(COUNTING.batches(5, drop_last=True))) == 2
    assert len(list(COUNTING.batches(None, drop_last=True))) == 1


# ---------------------------------------------------------------- strata and folds


def test_stratified_split_keeps_shares() -> None:
    y = np.repeat([0, 1, 2], [60, 30, 10])
    data = Dataset(np.arange(100)[:, None], y, classes=3)
    first, rest = data.split(0.8, seed=1, stratify=True)
    assert np.bincount(first.y).tolist() == [48, 24, 8]
    assert np.bincount(rest.y).tolist() == [12, 6, 2]
    assert sorted([*first.x[:, 0], *rest.x[:, 0]]) == list(range(100))
    np.testing.assert_array_equal(y[first.x[:, 0].astype(int)], first.y)
    # Classes come mixed, and another seed gives other rows.
    assert first.y[:30].tolist() != sorted(first.y[:30].tolist())
    other = data.split(0.8, seed=2, stratify=True)[0]
    assert first.x[:].tolist() != other.x[:].tolist()
    again = data.split(0.8, seed=1, stratify=True)[0]
    assert first.x[:].tolist() == again.x[:].tolist()


def test_folds_are_data_sets() -> None:
    data = Dataset(np.arange(10)[:, None], np.repeat([-1, 1], [7, 3]), scale=2)
    for train, validation in data.folds(3, seed=4, stratify=True):
        assert (len(train), validation.y.tolist().count(1)) in ((6, 1), (7, 1))
        rows = [*(train.x[:, 0] / 2), *(validation.x[:, 0] / 2)]
        assert sorted(rows) == list(range(10))


# ---------------------------------------------------------------- names


def test_names_say_how_many_classes_there_are() -> None:
    data = Dataset(BYTES, [0, 1, 2, 0], class_names=["x", "y", "z"])
    assert (data.classes, data.class_names) == (3, ("x", "y", "z"))
    data = Dataset(
        BYTES, [0, 1, 2, 0], classes=3, class_names=np.array(["x", "y", "z"])
    )
    assert data.class_names == ("x", "y", "z")
    assert type(data.class_names[0]) is str
    with pytest.raises(ArgumentError, match="none of 3 classes"):
        Dataset(BYTES, [0, 1, 3, 0], class_names=["x", "y", "z"])


def test_the_format_is_a_copy() -> None:
    format = {"kind": "csv", "features": ("a", "b")}
    data = Dataset(BYTES, [0, 1, 1, 0], format=format)
    format["kind"] = "npz"
    assert data.format == {"kind": "csv", "features": ["a", "b"]}


# ---------------------------------------------------------------- errors


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
        monkeypatch.setattr(chainrule.data.checks, "CHUNK", chunk)
        with pytest.raises(NonFiniteError, match=r"row 17, column \(0, 2, 1\)"):
            Dataset(x, np.zeros(20))
        x_fine = np.nan_to_num(x)
        assert len(Dataset(x_fine, np.zeros(20))) == 20


def test_scaled_float64_that_does_not_fit_float32() -> None:
    with pytest.raises(NonFiniteError, match="row 1, column 0") as caught:
        Dataset(np.array([[1.0], [1e300]]), [0, 1], scale=0.5)
    says(caught.value, "x holds", "fit float32", "1e+300", "nan_to_num")
    assert Dataset(np.array([[1.0], [1e300]]), [0, 1]).x[1, 0] == 1e300


class OnAnotherDevice:
    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise TypeError("cannot convert a tensor on the GPU")


ZEROS, TEN = np.zeros(4), {"classes": 10}
ARRAYS: list[tuple[Any, ...]] = [
    # x, y, options; the error's kind and four parts
    (BYTES, [0, 1, 1], {}, ShapeError, "lengths", "as many", "x (4, 6) and 3", "x.T"),
    (3.0, [1], {}, ShapeError, "x is a single", "(n, …)", "shape ()", "pass [x]"),
    (BYTES, 1, {}, ShapeError, "y is a single", "(n, …)", "shape ()", "pass [y]"),
    ([[1, 2], [3]], [0, 1], {}, DataError, "x cannot", "lists of", "list: ", "array("),
    (OnAnotherDevice(), ZEROS, {}, DataError, "x cannot", "CPU", "a tensor on", ".cpu"),
    *(
        (x, y, {}, ArgumentError, "is empty", "at least one row", got, "filter or")
        for x, y, got in (
            (np.zeros((0, 6)), np.zeros(0), "(0, 6) and y of shape (0,)"),
            (np.zeros((4, 0)), ZEROS, "(4, 0) and y of shape (4,)"),
            (BYTES, np.zeros((4, 0)), "(4, 6) and y of shape (4, 0)"),
            ([], [], "(0,) and y of shape (0,)"),
        )
    ),
    *(
        (x, y, {}, DTypeError, f"{what} does not", "integers", f"dtype {dtype}", "uniq")
        for values, dtype in (
            (["cat", "dog", "cat", "dog"], "<U3"),
            ([b"a", b"b", b"c", b"d"], "|S1"),
            ([None, 1, 2, 3], "object"),
            (np.ones(4, complex), "complex128"),
            (np.zeros(4, "datetime64[s]"), "datetime64[s]"),
        )
        for what, x, y in (("x", values, ZEROS), ("y", BYTES, values))
    ),
    *(
        (BYTES, labels, TEN, ArgumentError, where, "labels from 0 to 9", got, fix)
        for labels, where, got, fix in (
            ([0, 3, 12, 1], "none of 10 classes at row 2 (", "12", "classes=13"),
            ([1, 2, 10, 3], "row 2 (", "10", "pass y - 1"),
            ([0, -1, 12, 1], "row 1 (", "-1", "numpy.unique"),
        )
    ),
    *(
        (BYTES, y, TEN, ShapeError, "wrong rank", "shape (4,)", f"shape {y.shape}", fix)
        for y, fix in (
            (np.zeros((4, 1), int), "y.reshape(-1)"),
            (np.zeros((4, 10), int), "y.argmax(1)"),
        )
    ),
    (BYTES, ZEROS, TEN, DTypeError, "holds floats", "0 to 9", "float64", "'int32'"),
    *(
        (BYTES, y, {}, ArgumentError, "row 2 (", str(2**31 - 1), str(2**31), "float32")
        for y in (np.array([0, 1, 2**31, 3], t) for t in ("int64", "uint32", "uint64"))
    ),
]
OPTIONS: list[tuple[dict[str, Any], str, str, str]] = [
    *(
        ({"scale": scale}, "scale", "other than 0", repr(scale))
        for scale in (0, np.nan, np.inf, 1e60, 1e-60, "1/255", True)
    ),
    *(({"classes": n}, "classes", "≥ 2", repr(n)) for n in (1, -3, 2.5, "ten", True)),
    ({"class_names": "ab"}, "class_names is not a list", "list or tuple", "'ab'"),
    ({"class_names": ["a", 1]}, "not a list of names", "texts", "['a', 1]"),
    ({"class_names": 2}, "class_names is not", "texts", "2"),
    ({"class_names": ["a", "b", "a"]}, "a name twice", "differ", "'a'"),
    ({"class_names": ["a"]}, "not as many", "at least two", "1: a"),
    ({"class_names": ["a", "b"], "classes": 3}, "not as", "3 names", "2: a, b"),
    ({"feature_names": ["a", "b"]}, "do not fit", "(n, 2)", "2 names and x of"),
    ({"feature_names": list("aacdef")}, "feature_names has a", "differ", "'a'"),
    ({"feature_names": {"a": 1}}, "feature_names is not", "texts", "{'a': 1}"),
    ({"format": "csv"}, "format does not", "dictionary", "str"),
    ({"format": {"a": object()}}, "format does not", "JSON", "TypeError"),
    ({"format": {"a": np.nan}}, "format does not", "JSON", "ValueError"),
]


@table(
    ("x", "y", "options", "kind", "what", "expected", "got", "fix"),
    [
        *ARRAYS,
        *(
            (BYTES, [0, 1, 1, 0], options, ArgumentError, *parts, "")
            for options, *parts in OPTIONS
        ),
    ],
)
def test_refused(
    x: Any,
    y: Any,
    options: dict[str, Any],
    kind: type[ChainruleError],
    what: str,
    expected: str,
    got: str,
    fix: str,
) -> None:
    with pytest.raises(kind) as caught:
        Dataset(x, y, **options)
    says(caught.value, what, expected, got, fix)


def test_what_is_just_not_refused() -> None:
    assert Dataset(BYTES, [1, -1, -1, 1]).y.tolist() == [1, -1, -1, 1]
    assert len(Dataset(BYTES, [0, 9, 9, 1], classes=10)) == 4
    assert Dataset(BYTES, np.zeros((4, 10), int)).y.shape == (4, 10)
    assert Dataset(BYTES, np.array([0, 1, 2**31 - 1, 3])).y[2] == 2**31 - 1
    column = Column(BYTES, 0.5)
    assert Dataset(column, ZEROS).x.scale == 0.5
    with pytest.raises(ArgumentError) as caught:
        Dataset(column, ZEROS, scale=0.5)
    says(caught.value, "is a Column", "scale=None", "scale=0.5", "x.stored")
    images = np.zeros((4, 1, 3, 3), np.uint8)
    with pytest.raises(ArgumentError, match="do not fit the columns"):
        Dataset(images, [0, 1, 1, 0], feature_names=["a"])


FOUR = Dataset(BYTES, [4, 5, 6, 7], name="bytes")
ONCE = Dataset(BYTES, [0, 0, 2, 0], class_names=("a", "b", "c"))
TWO_COLUMNS = Dataset(BYTES, np.zeros((4, 2), int))
CALLS: list[tuple[Any, ...]] = [
    (lambda: FOUR["x"], "'bytes'", "a slice", "'x'", "data.rows([3, 1, 4])"),
    *(
        (lambda n=n: FOUR.take(n), f"take {n} rows", "1 to 4", str(n), "min(n, len(")
        for n in (0, -1, 5)
    ),
    (lambda: FOUR[4:], "is empty", "one row", "(0, 6)", ""),
    *(
        (lambda p=p: FOUR.split(p), "of 4 rows", "1 and 3", repr(p), "data.split(0.9")
        for p in (0, 4, -1, 0.0, 1.0, 1.5, 0.01, 0.99, np.nan, True, "0.9", None)
    ),
    *(
        (lambda s=s: FOUR.split(2, s), "seed", "from 0", f"seed={s!r}", "")
        for s in (-1, 0.5, None)
    ),
    *(
        (lambda i=i: FOUR.rows(i), "'bytes'", "or 4 booleans", got, "data.rows([0, 2])")
        for i, got in (
            (3, "int of shape ()"),
            ([[0, 1]], "list of shape (1, 2)"),
            ([0.0, 1.0], "dtype float64"),
            ([[0], [1, 2]], "list of shape (), dtype object"),
            ([True, False], "shape (2,), dtype bool"),
        )
    ),
    *(
        (lambda i=i: FOUR.rows(i), "no such row", "0 to 3", got, "len(data)")
        for i, got in (([0, 4], "4"), ([-5], "-5"), (np.array([2**63], "u8"), "92233"))
    ),
    (lambda: FOUR.rows([]), "is empty", "one row", "(0, 6)", ""),
    # At once, and not at the first batch:
    (lambda: COUNTING.batches(11), "larger than", "1 to 10", "batch_size=11", ""),
    (lambda: COUNTING.batches(0), "batch_size", "≥ 1", "0", ""),
    (lambda: COUNTING.batches(2, seed=-1), "seed", "from 0", "-1", ""),
    (lambda: COUNTING.batches(2, epoch="1"), "epoch", "≥ 0", "'1'", ""),
    (lambda: COUNTING.folds(1), "k must", "≥ 2", "1", ""),
    (lambda: COUNTING.folds(11), "11 folds", "2 to 10 folds", "11", ""),
    (lambda: COUNTING.folds(2, seed=-1), "seed", "from 0", "-1", ""),
    *(
        (ask, "no classes to", "one label a row", got, "stratify=True")
        for ask, got in (
            (lambda: TWO_COLUMNS.split(2, stratify=True), "shape (4, 2)"),
            (lambda: TWO_COLUMNS.folds(2, stratify=True), "shape (4, 2)"),
            (lambda: Dataset(BYTES, ZEROS).split(2, stratify=True), "dtype float64"),
        )
    ),
    *(
        (ask, "Class 2 (c)", "at least two", "row 2 (", "leave it out")
        for ask in (
            lambda: ONCE.split(2, stratify=True),
            lambda: ONCE.folds(2, stratify=True),
        )
    ),
]


@table(("call", "what", "expected", "got", "fix"), CALLS)
def test_calls_refused(call: Any, what: str, expected: str, got: str, fix: str) -> None:
    with pytest.raises((ArgumentError, DTypeError)) as caught:
        call()
    says(caught.value, what, expected, got, fix)
