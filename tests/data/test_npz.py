"""NPZ files: what numpy.savez writes comes back; what is damaged is refused."""

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import read, read_npz
from chainrule.data.npz import npz_features
from chainrule.errors import (
    ChainruleError,
    DataError,
    DTypeError,
    NonFiniteError,
    ShapeError,
)
from tests.data.saying import says


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "x",
    [
        np.arange(6.0).reshape(3, 2),
        np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(3, 2)),
        np.arange(12, dtype=np.uint8).reshape(3, 2, 2),
        np.arange(6, dtype=">i4").reshape(3, 2),
        np.array([[True, False], [False, True], [True, True]]),
        np.arange(6, dtype=np.float16).reshape(3, 2)[:, ::-1],
    ],
)
def test_arrays_come_back(path: Path, save: Any, x: np.ndarray) -> None:
    save(path, x=x, y=np.array([2, 0, 1]))
    made = read_npz(path)
    np.testing.assert_array_equal(made.x.stored, x)
    assert made.x.stored.dtype == x.dtype.newbyteorder("=")
    assert made.y.tolist() == [2, 0, 1]
    assert made.y.dtype == np.int32
    assert (made.name, made.classes, made.x.scale) == ("data.npz", None, None)


def test_names_and_choices(path: Path) -> None:
    np.savez(path, pixels=np.full((2, 3), 255, np.uint8), digit=[1, 0])
    made = read_npz(path, x="pixels", y="digit", scale=1 / 255, classes=10, name="d")
    assert made.x[0].tolist() == [1, 1, 1]
    assert (made.classes, made.name) == (10, "d")
    assert made.format == {
        "kind": "npz",
        "x": "pixels",
        "y": "digit",
        "scale": 1 / 255,
        "classes": 10,
        "class_names": None,
    }
    again = read(path, format=made.format)
    assert again.format == made.format
    x, names = read(path, format=made.format, target=False)
    np.testing.assert_array_equal(x[:], made.x[:], strict=True)
    assert names == ("row 0", "row 1")


def test_quantities_become_a_column(path: Path) -> None:
    np.savez(path, x=np.eye(3), y=np.array([0.5, 1, 2]))
    assert read_npz(path).y.tolist() == [[0.5], [1.0], [2.0]]
    np.savez(path, x=np.eye(3), y=np.ones((3, 4), np.float32))
    assert read_npz(path).y.shape == (3, 4)


def test_classes_by_name(path: Path) -> None:
    np.savez(path, x=np.eye(4), y=np.array(["dog", "貓", "dog", "ape"]))
    made = read_npz(path)
    assert made.class_names == ("ape", "dog", "貓")
    assert made.y.tolist() == [1, 2, 1, 0]
    np.savez(path, x=np.eye(4)[:2], y=np.array(["貓", "dog"]))
    again = read(path, format=made.format or {})
    assert again.y.tolist() == [2, 1]
    assert read_npz(path, class_names=["dog", "貓"]).y.tolist() == [1, 0]
    np.savez(path, x=np.eye(4)[:3], y=np.array(["貓", "dog", "dogg"]))
    with pytest.raises(DataError) as caught:
        read(path, format=made.format or {})
    says(caught.value, "in 'y' at row 2 (", "ape, dog, 貓", "'dogg'", "mean 'dog'?")


# -- what is refused -------------------------------------------------------------------


def test_an_array_that_is_not_there(path: Path) -> None:
    np.savez(path, features=np.eye(2), labels=[0, 1])
    with pytest.raises(DataError) as caught:
        read_npz(path, x="feature", y="labels")
    says(caught.value, "no array 'feature'", "features, labels", "'feature'", "mean 'f")
    with pytest.raises(DataError, match="no array 'x'"):
        read_npz(path)
    with pytest.raises(DataError, match="no array '0'"):
        read_npz(path, x=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x", "y", "kind", "what"),
    [
        (np.eye(2), np.array([{}, []], object), DataError, "'y'"),
        (np.eye(2), np.zeros(2, "i4,f4"), DTypeError, "y does not hold real numbers"),
        (np.eye(2), np.zeros(2, "M8[s]"), DTypeError, "y does not hold real numbers"),
        (np.eye(2), np.array([b"a", b"b"]), DTypeError, "y does not hold real numbers"),
        (np.array(["a", "b"]), [0, 1], DTypeError, "x does not hold real numbers"),
        (np.eye(2), np.array([["a"], ["b"]]), DataError, "names of classes"),
        (np.eye(3), [0, 1], ShapeError, "different lengths"),
        (np.array([[1], [np.inf]]), [0, 1], NonFiniteError, "row 1, column 0"),
        (np.float32(1), [0], ShapeError, "x is a single number"),
    ],
)
def test_arrays_refused(
    path: Path, x: Any, y: Any, kind: type[ChainruleError], what: str
) -> None:
    np.savez(path, x=x, y=y)
    with pytest.raises(kind, match=what):
        read_npz(path)
    if what.startswith("x"):
        with pytest.raises(kind, match=what):
            npz_features(path)


def test_files_that_are_no_npz(path: Path) -> None:
    npy = io.BytesIO()
    np.save(npy, np.eye(2))
    for content in (b"", b"hello", b"PK\x03\x04", npy.getvalue()):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            read_npz(path)
        says(caught.value, "data.npz' cannot be read", "an NPZ file", "Zip", "savez")
    with pytest.raises(DataError, match="There is no NPZ file"):
        read_npz(path.with_name("gone.npz"))


def member(header: str | bytes, numbers: bytes, version: int = 1) -> bytes:
    """A .npy file with a header of one's own."""
    text = header.encode("latin-1") if isinstance(header, str) else header
    width = "<H" if version == 1 else "<I"
    start = b"\x93NUMPY" + bytes([version, 0])
    return start + struct.pack(width, len(text)) + text + numbers


def plain(shape: str, descr: str = "<f8", order: str = "False") -> str:
    return f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n"


def write(path: Path, x: bytes, method: int = zipfile.ZIP_STORED) -> None:
    y = io.BytesIO()
    np.save(y, np.array([0, 1]))
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", y.getvalue())


def test_headers_by_hand(path: Path) -> None:
    eight = struct.pack("<2d", 1, 2)
    for version in (1, 2, 3):
        write(path, member(plain("(2, 1)"), eight, version))
        assert read_npz(path).x[:].tolist() == [[1], [2]]
    write(path, member(plain("(2,)", order="True"), eight), zipfile.ZIP_DEFLATED)
    assert read_npz(path).x[:].tolist() == [1, 2]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x04\0\0\0",
        b"\x93NUMPY\x01\0",
        member(plain("(2, 1)"), bytes(15)),
        member(plain("(2, 1)"), bytes(17)),
        member(plain("(99999999999, 9999999999)"), b""),
        member(plain("(1000000000000,)"), bytes(16)),
        member(plain("(1000000000000000, 0)"), b""),
        member(plain("(1000000000000000,)", descr="<U0"), b""),
        member(plain("(" + "1, " * 65 + ")"), bytes(8)),
        member(plain("(2 2)"), bytes(16)),
        member(plain("(2,)", descr="<f3"), bytes(6)),
        member(plain("(-2,)"), bytes(16)),
        member(plain("(-2, -1)"), bytes(16)),
        member("__import__('os').abort()", b""),
        member(b"{" * 20_000, b"", 2),
        member(b"[" * 9_000, b"", 2),
        b"\x93NUMPY\x01\0\xff\xff{}",
    ],
)
@pytest.mark.parametrize("names", [{}, {"x": "y", "y": "x"}])
def test_headers_that_are_refused(path: Path, content: bytes, names: Any) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        write(path, content, method)
        with pytest.raises(ChainruleError) as caught:
            read_npz(path, **names)
        says(caught.value, "", "", "", "")


def test_booleans_and_text_are_made_sound(path: Path) -> None:
    write(path, member(plain("(2, 2)", descr="|b1"), bytes([0, 1, 7, 255])))
    assert read_npz(path).x.stored.view(np.uint8).tolist() == [[0, 1], [1, 1]]
    for code in (0x110000, 0xD800, 0xFFFFFFFF):
        for order in "<>":
            text = struct.pack(f"{order}2I", 65, code)
            write(path, member(plain("(2,)", descr=f"{order}U1"), text))
            with pytest.raises(DataError, match="cannot be read"):
                read_npz(path, x="y", y="x")
    write(path, member(plain("(2,)", descr=">U1"), struct.pack(">2I", 65, 0x8C93)))
    assert read_npz(path, x="y", y="x").class_names == ("A", "貓")


def patched(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def test_zips_that_are_refused(path: Path) -> None:
    # Flags of the central directory say that it is encrypted.
    np.savez(path, x=np.eye(2), y=[0, 1])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        read_npz(path)
    np.savez(path, x=np.full((2, 2), 7, np.uint8), y=[0, 1])
    patched(path, b"\7\7\7\7", b"\7\7\7\6")
    with pytest.raises(DataError, match="Bad CRC-32"):
        read_npz(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_fills_the_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch, save: Any
) -> None:
    save(path, x=np.zeros((50, 50)), y=np.zeros(50, int))
    monkeypatch.setattr("chainrule.data.files.memory", lambda: 20_000)
    with pytest.raises(DataError, match="too large for this machine"):
        read_npz(path)
