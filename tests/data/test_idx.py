"""idx files, written by hand byte by byte."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import Features, read, read_idx
from chainrule.data.idx import idx_features, labels_beside, read_array
from chainrule.errors import ArgumentError, DataError, NonFiniteError, ShapeError
from tests.data.saying import says

CODES = {8: "B", 9: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}


def idx(code: int, shape: tuple[int, ...], values: Any) -> bytes:
    """The bytes of a file, by struct and not by NumPy."""
    head = struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)
    return head + struct.pack(f">{len(values)}{CODES[code]}", *values)


IMAGES = idx(8, (3, 2, 2), range(0, 240, 20))
LABELS = idx(8, (3,), [2, 0, 1])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    images, labels = tmp_path / "t-images-idx3-ubyte", tmp_path / "t-labels-idx1-ubyte"
    images.write_bytes(IMAGES)
    labels.write_bytes(LABELS)
    return images, labels


def test_a_pair(pair: tuple[Path, Path]) -> None:
    made = read_idx(*pair)
    assert made.x.shape == (3, 2, 2)
    assert made.x.stored.dtype == np.uint8
    assert made.x.scale == 1 / 255
    assert made.x.stored[1].tolist() == [[80, 100], [120, 140]]
    assert made.y.tolist() == [2, 0, 1]
    assert (made.classes, made.class_names) == (3, None)
    assert made.name == "t-images-idx3-ubyte"
    flat = read_idx(*pair, flatten=True, scale=None, classes=10, name="mine")
    assert flat.x[2].tolist() == [160, 180, 200, 220]
    assert (flat.classes, flat.name) == (10, "mine")
    named = read_idx(*map(str, pair), class_names=["a", "b", "c"])
    assert named.class_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("code", "values", "dtype"),
    [
        (8, [0, 255], "uint8"),
        (9, [-128, 127], "int8"),
        (0x0B, [-32768, 258], "int16"),
        (0x0C, [-(2**31), 66051], "int32"),
        (0x0D, [0.5, -1.5e30], "float32"),
        (0x0E, [0.1, -1.5e300], "float64"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_type(
    tmp_path: Path, code: int, values: list[float], dtype: str, packed: bool
) -> None:
    path, content = tmp_path / "a", idx(code, (2, 1), values)
    path.write_bytes(gzip.compress(content) if packed else content)
    array = read_array(path)
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, np.array(values, dtype)[:, None])


def test_targets_that_are_quantities(pair: tuple[Path, Path]) -> None:
    pair[1].write_bytes(idx(0x0D, (3,), [0.5, 1.5, 2.5]))
    made = read_idx(*pair)
    assert made.y.dtype == np.float32
    assert made.y.tolist() == [[0.5], [1.5], [2.5]]
    assert made.classes is None
    pair[1].write_bytes(idx(8, (3,), [0, 0, 0]))
    assert read_idx(*pair).classes == 2


def test_labels_that_leave_gaps(pair: tuple[Path, Path]) -> None:
    pair[1].write_bytes(idx(0x0C, (3,), [2, 0, 1000]))
    assert read_idx(*pair).classes == 1001
    pair[1].write_bytes(idx(0x0C, (3,), [2, 0, 5_000_000]))
    with pytest.raises(DataError) as caught:
        read_idx(*pair)
    says(caught.value, "have gaps", "from 0 on", "a label 5,000,000", "numpy.unique")
    assert read_idx(*pair, classes=5_000_001).classes == 5_000_001


def test_another_file_in_the_same_format(pair: tuple[Path, Path]) -> None:
    made = read_idx(*pair, scale=None, flatten=True, class_names=["a", "b", "c"])
    assert made.format == {
        "kind": "idx",
        "scale": None,
        "flatten": True,
        "classes": 3,
        "class_names": ["a", "b", "c"],
    }
    for path in (pair, list(map(str, pair)), pair[0], str(pair[0])):
        again = read(path, format=made.format)
        assert again.format == made.format
        assert again.class_names == made.class_names
        np.testing.assert_array_equal(again.x[:], made.x[:], strict=True)
    x, names = read(pair[0], format=made.format, target=False)
    np.testing.assert_array_equal(x[:], made.x[:], strict=True)
    assert names == ("row 0", "row 1", "row 2")
    assert isinstance(idx_features(pair[0]), Features)
    assert idx_features(pair[0]).x.scale == 1 / 255


def test_labels_beside(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    assert labels_beside(pair[0]) == pair[1]
    for name, got in (("x-images-idx3", "no such file"), ("x.idx", "without 'images'")):
        with pytest.raises(DataError) as caught:
            labels_beside(tmp_path / name)
        says(caught.value, name, "train-labels-idx1-ubyte", got, "(images, labels)")
    with pytest.raises(ArgumentError, match="is not a path"):
        read(7, format={"kind": "idx"})


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "4 bytes"),
        (b"\0\0\x08", "4 bytes"),
        (b"\x01\0\x08\x01\0\0\0\0", "0100 08 01"),
        (b"\0\0\x0a\x01\0\0\0\0", "0000 0a 01"),
        (b"\0\0\x08\x00", "0000 08 00"),
        (b"\0\0\x08\x09" + bytes(36), "0000 08 09"),
        (IMAGES[:10], "12 bytes"),
        (IMAGES[:-1], "fewer bytes than the 12 of shape"),
        (IMAGES + b"\0", "more bytes than the 12 of shape"),
        (gzip.compress(IMAGES[:-1], mtime=0), "fewer bytes than the 12 of shape"),
        (gzip.compress(IMAGES + b"\0", mtime=0), "more bytes than the 12 of sh"),
        (gzip.compress(IMAGES, mtime=0)[:-9], "EOFError"),
        (gzip.compress(IMAGES, mtime=0)[:-8] + bytes(8), "CRC check failed"),
        (b"\x1f\x8b\x07" + bytes(20), "BadGzipFile"),
    ],
    ids=str,
)
def test_damage(tmp_path: Path, content: bytes, got: str) -> None:
    path = tmp_path / "damaged.idx"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_array(path)
    says(caught.value, "damaged.idx' cannot be read", "an idx file", got, "get")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rank", [2, 3])
def test_headers_that_promise_too_much(tmp_path: Path, packed: bool, rank: int) -> None:
    path, content = tmp_path / "large.idx", idx(8, (2**32 - 1,) * rank, [])
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match="too large for this"):
        read_array(path)


def test_a_gzip_file_that_would_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx(8, (3000,), bytes(3000))))
    monkeypatch.setattr("chainrule.data.files.memory", lambda: 2999)
    with pytest.raises(DataError) as caught:
        read_array(path)
    says(caught.value, "too large for this", "at most 0.0 GiB", "0.0 GiB", "Stream")
    monkeypatch.setattr("chainrule.data.files.memory", lambda: 3000)
    assert read_array(path).shape == (3000,)


def test_two_files_that_do_not_belong_together(pair: tuple[Path, Path]) -> None:
    pair[1].write_bytes(idx(8, (2,), [0, 1]))
    with pytest.raises(DataError) as caught:
        read_idx(*pair)
    says(caught.value, "t-labels", "as many", "3 images and 2 labels", "both files")
    pair[1].write_bytes(idx(8, (0,), []))
    with pytest.raises(DataError, match="do not belong together"):
        read_idx(*pair)


def test_two_files_the_wrong_way_round(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ShapeError) as caught:
        read_idx(pair[1], pair[0])
    fix = "read_idx('t-images-idx3-ubyte', 't-labels-idx1-ubyte')"
    says(caught.value, "wrong way", "(images, labels)", "shape (3, 2, 2)", fix)


def test_files_without_images(pair: tuple[Path, Path]) -> None:
    pair[1].write_bytes(idx(8, (0,), []))
    for flatten in (False, True):
        pair[0].write_bytes(idx(8, (0, 2, 2), []))
        for call in (
            lambda f: read_idx(*pair, flatten=f),
            lambda f: idx_features(pair[0], flatten=f),
        ):
            with pytest.raises(ArgumentError, match="is empty"):
                call(flatten)


def test_other_arguments(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    with pytest.raises(ArgumentError, match="none of 2 classes at row 0"):
        read_idx(*pair, classes=2)
    with pytest.raises(ArgumentError) as caught:
        read_idx(*pair, scale="big")
    says(caught.value, "usable factor", "finite", "'big'", "scale=1/255")
    with pytest.raises(DataError) as caught:
        read_idx(tmp_path / "t-image-idx3-ubyte", pair[1])
    says(caught.value, "no idx file of images", "a file", "nothing", "'t-images-idx3")
    with pytest.raises(DataError) as caught:
        read_idx(pair[0], tmp_path)
    says(caught.value, "no idx file of labels", "a file", "not a file", "paths count")
    pair[0].write_bytes(idx(0x0D, (3, 1), [1, float("nan"), 2]))
    with pytest.raises(NonFiniteError, match="row 1, column 0"):
        read_idx(*pair)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *((None, ArgumentError), (b"a", ArgumentError)),
        *(("a\0b", DataError), ("long" * 1000, DataError)),
    ],
)
def test_a_path_that_is_none(path: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"is not a path|no idx file"):
        read_idx(path, path)
