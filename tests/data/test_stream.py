"""Streams: blocks, types, checks with sample numbers, and clean shutdown."""

import gc
import itertools
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from chainrule.data import Stream
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    DataError,
    DTypeError,
    NonFiniteError,
    ShapeError,
)
from chainrule.graph.types import DType
from tests.data.saying import says
from tests.rows import table


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    yield
    if _data_threads():  # in a cycle, perhaps: looking at all objects takes long
        gc.collect()
    assert not _data_threads()


def _data_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "chainrule data"]


def counting(n: int) -> Callable[[], Iterator[Any]]:
    def samples() -> Iterator[Any]:
        for i in range(n):
            yield np.full((2,), i, np.uint8), i % 3

    return samples


def batches(*sizes: int) -> Callable[[], Iterator[Any]]:
    """Batches of these sizes; row i of all holds i."""

    def make() -> Iterator[Any]:
        start = 0
        for size in sizes:
            rows = np.arange(start, start + size)
            yield rows[:, None].astype(np.float32), rows
            start += size

    return make


def given(*samples: Any) -> Callable[[], Iterator[Any]]:
    return lambda: iter(samples)


# -- blocks ----------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 10, 11])
def test_blocks_of_samples(rows: int) -> None:
    stream = Stream(counting(10), scale=0.5, classes=3)
    for _ in range(2):  # anew for each epoch
        blocks = list(stream.blocks(rows))
        sizes = [len(x) for x, _ in blocks]
        assert sizes == [rows] * (10 // rows) + [10 % rows] * (10 % rows > 0)
        x = np.concatenate([x for x, _ in blocks])
        y = np.concatenate([y for _, y in blocks])
        assert (x.dtype, y.dtype) == (np.uint8, np.int32)
        assert x.tolist() == [[i, i] for i in range(10)]
        assert y.tolist() == [i % 3 for i in range(10)]
        assert all(len(x) == len(y) for x, y in blocks)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize("sizes", [(4, 4, 4), (1, 7, 2, 2), (12,), (5, 5, 2)])
def test_blocks_of_batches(rows: int, sizes: tuple[int, ...]) -> None:
    blocks = list(Stream(batches(*sizes), batched=True).blocks(rows))
    assert [len(x) for x, _ in blocks[:-1]] == [rows] * (len(blocks) - 1)
    assert np.concatenate([y for _, y in blocks]).tolist() == list(range(12))
    x = np.concatenate([x for x, _ in blocks])
    assert x[:, 0].tolist() == list(range(12))


def test_what_a_stream_says_of_itself() -> None:
    stream = Stream(
        counting(3),
        scale=1 / 255,
        name="rows",
        class_names=["a", "b", "c"],
        feature_names=["u", "v"],
        format={"kind": "npz"},
    )
    assert (stream.row.shape, stream.row.dtype) == ((2,), DType.uint8)
    assert (stream.target.shape, stream.target.dtype) == ((), DType.int32)
    assert (stream.scale, stream.name, stream.classes) == (1 / 255, "rows", 3)
    assert stream.class_names == ("a", "b", "c")
    assert stream.feature_names == ("u", "v")
    assert stream.format == {"kind": "npz"}
    assert repr(stream) == "Stream('rows': samples, 3 classes)"
    assert repr(Stream(counting(1), batched=True)) == "Stream('stream': batches)"


@pytest.mark.parametrize(
    ("x", "y", "row", "target"),
    [
        ([1, 2], 3, "float32", "int32"),
        ([1.5, 2], 0.5, "float32", "float32"),
        (1.5, [0.5], "float32", "float32"),
        (np.zeros(2), np.float64(1), "float64", "float64"),
        (np.zeros(2, np.int16), True, "int16", "int32"),
        (np.zeros(2, np.float16), np.float16(1), "float32", "float32"),
        (np.zeros(2, ">i4"), np.uint8(1), "int32", "int32"),
        (np.zeros(2, bool), np.int64(7), "bool", "int32"),
        (np.zeros((2, 3), np.int64), [[1]], "int64", "int32"),
    ],
)
def test_types_of_a_sample(x: Any, y: Any, row: str, target: str) -> None:
    stream = Stream(given((x, y), (x, y)))
    assert (stream.row.dtype.name, stream.target.dtype.name) == (row, target)
    assert stream.row.shape == np.shape(x)
    assert stream.target.shape == np.shape(y)
    (block,) = stream.blocks(5)
    assert block[0].dtype == row
    np.testing.assert_array_equal(block[0], np.stack([x, x]))
    np.testing.assert_array_equal(block[1], np.stack([y, y]))


def test_looking_at_the_types_takes_one_sample() -> None:
    taken, closed = [], []

    def samples() -> Iterator[Any]:
        try:
            for i in range(5):
                taken.append(i)
                yield [i], i
        finally:
            closed.append(True)

    stream = Stream(samples)
    assert not taken
    assert stream.row.shape == stream.row.shape == (1,)
    assert taken == [0]
    assert closed == [True]


# -- ahead, and no more ----------------------------------------------------------------


def test_a_consumer_that_stops_early() -> None:
    closed = threading.Event()

    def samples() -> Iterator[Any]:
        try:
            for i in itertools.count():
                yield [i], i
        finally:
            closed.set()

    stream = Stream(samples)
    assert stream.row.shape == (1,)
    closed.clear()
    for x, _ in stream.blocks(3):
        if x[0, 0] >= 30:
            break
    gc.collect()
    assert closed.wait(5)


def test_two_passes_at_once() -> None:
    stream = Stream(counting(9))
    pairs = list(zip(stream.blocks(2), stream.blocks(2), strict=True))
    assert len(pairs) == 5
    for (a, _), (b, _) in pairs:
        np.testing.assert_array_equal(a, b)


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "got", "fix"),
    [
        (counting(3)(), "a generator, which can be run", "not Stream(samples())"),
        (iter([1]), "a list_iterator, which can", "not Stream(samples())"),
        ({"x": [1]}, "a dict", "Stream(lambda: rows)"),
        (None, "NoneType: None", "Stream(samples)"),
        (7, "int: 7", "Stream(samples)"),
    ],
)
def test_what_is_no_function(make: Any, got: str, fix: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Stream(make)
    says(caught.value, "needs a function", "without arguments", got, fix)


def test_a_function_that_gives_the_same_iterator_again() -> None:
    once = counting(5)()
    stream = Stream(lambda: once)
    assert stream.row.shape == (2,)
    with pytest.raises(ArgumentError) as caught:
        list(stream.blocks(2))
    says(caught.value, "only once", "anew", "the same generator", "lambda: samples()")


def test_a_source_that_cannot_be_opened() -> None:
    def gone() -> Iterator[Any]:
        raise FileNotFoundError("no disk")

    for make, got in (
        (gone, "FileNotFoundError: no disk"),
        (lambda: 3, "TypeError: 'int' object is not iterable"),
        (lambda: None, "TypeError: 'NoneType'"),
        (lambda x: [], "TypeError: "),
    ):
        with pytest.raises(DataError) as caught:
            Stream(make, name="rows").blocks(2)  # type: ignore[arg-type]
        says(caught.value, "'rows' cannot be opened", "an iterable", got, "yield x, y")


def test_no_samples() -> None:
    for make in (given(), list):
        with pytest.raises(DataError) as caught:
            Stream(make, name="rows").blocks(2)
        says(caught.value, "'rows' has no samples", "one pair", "at once", "anew")
    # Something the first time, and nothing the second: a one-shot source in disguise.
    rest = [([1], 1), ([2], 2)]
    stream = Stream(lambda: [rest.pop()] if rest else [])
    assert stream.row.shape == (1,)
    assert len(list(stream.blocks(5))) == 1
    with pytest.raises(DataError, match="has no samples"):
        list(stream.blocks(5))


def test_an_error_in_the_source_comes_with_the_sample() -> None:
    def samples() -> Iterator[Any]:
        for i in range(10):
            if i == 7:
                raise ValueError(f"cannot read file {i}")
            yield [i], i

    seen: list[int] = []
    blocks = Stream(samples, name="rows").blocks(3)
    with pytest.raises(DataError) as caught:
        seen.extend(label for _, y in blocks for label in y.tolist())
    says(
        caught.value,
        "'rows' failed at sample 7 (counting from 0)",
        "the next pair",
        "ValueError: cannot read file 7",
        "run through the source",
    )
    assert seen == [0, 1, 2, 3, 4, 5]
    assert isinstance(caught.value.__cause__, ValueError)
    shown = "".join(traceback.format_exception(caught.value))
    assert 'raise ValueError(f"cannot read file {i}")' in shown


def test_an_error_of_ours_keeps_its_kind() -> None:
    def samples() -> Iterator[Any]:
        yield [1], 1
        raise NonFiniteError("NaN.", expected="a number", got="nan", fix="drop it")

    with pytest.raises(NonFiniteError) as caught:
        list(Stream(samples).blocks(1))
    says(caught.value, "Sample 1 of the stream 'stream': NaN.", "a n", "nan", "drop it")


NAN, FLOATS = np.array([0, np.nan], np.float32), np.zeros(2, np.float32)
ITEMS: list[tuple[Any, ...]] = [
    # the second sample; the error's kind and three parts
    *(
        (item, DataError, "is no pair", "a tuple", type(item).__name__)
        for item in (3, [1], (1, 2, 3), {"x": 1, "y": 2}, "xy", None)
    ),
    *(
        (
            (x, 1),
            DataError,
            "not like the first one: x differs",
            "shape (2,), dtype",
            got,
        )
        for x, got in (
            ([1, 2, 3], "shape (3,)"),
            ([[1, 2]], "shape (1, 2)"),
            (np.zeros(2), "dtype float64"),
            (np.zeros(2, np.uint8), "dtype uint8"),
        )
    ),
    ((FLOATS, [1]), DataError, "y differs", "shape (), dtype int32", "shape (1,)"),
    ((FLOATS, 1.0), DataError, "y differs", "dtype int32", "dtype float32"),
    ((["a", "b"], 1), DTypeError, "x does not", "integers", "<U1"),
    ((FLOATS, "cat"), DTypeError, "y does not", "integers", "<U3"),
    (([[1], [1, 2]], 1), DataError, "x cannot", "lists", "list"),
    ((FLOATS, 2**31), ArgumentError, "y holds an integer too", "", str(2**31)),
    (
        (FLOATS, -(2**31) - 1),
        ArgumentError,
        "y holds an integer too",
        "",
        "-2147483649",
    ),
    (([], 1), DataError, "is empty", "one value", "(0,)"),
    ((FLOATS, []), DataError, "is empty", "one value", "(0,)"),
    ((NAN, 1), NonFiniteError, "x holds a value", "finite", "nan"),
    ((FLOATS, 3), ArgumentError, "none of 3 classes", "0 to 2", "3"),
]


@table(("item", "kind", "what", "expected", "got"), ITEMS)
def test_samples_refused(
    item: Any, kind: type[ChainruleError], what: str, expected: str, got: str
) -> None:
    for rows in (1, 3):  # the error names the sample, wherever its block begins
        stream = Stream(given(*[(FLOATS, 1)] * 4, item), classes=3)
        with pytest.raises(kind) as caught:
            list(stream.blocks(rows))
        says(caught.value, what, expected, got)
        assert re.search(r"(ample|row) 4\b", caught.value.what)


@pytest.mark.parametrize(
    ("sample", "options", "kind", "what"),
    [
        (([[1.0]], 1), {"batched": True}, ShapeError, "as many targets as samples"),
        ((1.0, [1]), {"batched": True}, ShapeError, "as many targets as samples"),
        (([1.0], [1, 2]), {"batched": True}, ShapeError, "as many targets as samples"),
        ((np.array([1e300]), 0), {"scale": 0.5}, NonFiniteError, "x holds a value"),
        (([1], np.inf), {}, NonFiniteError, "y holds a value"),
        (([1], [0]), {"classes": 2}, ShapeError, "wrong rank for labels"),
        (([1], 0.5), {"classes": 2}, DTypeError, "holds floats"),
        (([1, 2], 0), {"feature_names": "ab"}, ArgumentError, "not a list"),
        (([1], 0), {"feature_names": ["a", "b"]}, ShapeError, "do not fit the samples"),
        (([1], 0), {"classes": 1}, ArgumentError, "classes must be"),
        (([1], 0), {"class_names": ["a"]}, ArgumentError, "class_names are not as"),
        (([1], 0), {"scale": 0}, ArgumentError, "scale is not"),
        (([1], 0), {"format": "csv"}, ArgumentError, "format does not"),
    ],
)
def test_streams_refused(
    sample: Any, options: Any, kind: type[ChainruleError], what: str
) -> None:
    with pytest.raises(kind, match=what):
        list(Stream(given(sample), **options).blocks(1))


@pytest.mark.parametrize("rows", [0, 2.5, None])
def test_rows_of_a_block(rows: Any) -> None:
    with pytest.raises(ArgumentError, match="rows must be"):
        Stream(counting(3)).blocks(rows)
