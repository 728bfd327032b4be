"""MNIST: the content of the original files, and what damage to the packed one says."""

import hashlib
import importlib.util
import struct
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from chainrule.data import Dataset, mnist
from chainrule.data.mnist import HEADER, read, unpack
from chainrule.errors import DataError

REINSTALL = "pip install --force-reinstall"


@pytest.fixture(scope="module")
def sets() -> tuple[Dataset, Dataset]:
    return mnist()


# Numbers worked out from the original files, not from the packed one.


def test_shapes_and_dtypes(sets: tuple[Dataset, Dataset]) -> None:
    for data, n in zip(sets, (60000, 10000), strict=True):
        assert (data.x.shape, data.y.shape, data.classes) == ((n, 784), (n,), 10)
        assert (data.x.stored.dtype, data.y.dtype) == (np.uint8, np.int32)
        assert (data.x.scale, data.x.dtype) == (1 / 255, np.float32)
    assert [data.name for data in sets] == ["mnist", "mnist test"]
    row = sets[0].x.stored[0].reshape(28, 28)[5]
    assert row[12:24].tolist() == [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]


def test_original_files_byte_for_byte(sets: tuple[Dataset, Dataset]) -> None:
    originals = {
        "train": (
            sets[0],
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        "test": (
            sets[1],
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    }
    for data, images, labels in originals.values():
        n = len(data)
        sha = hashlib.sha256(struct.pack(">4I", 0x803, n, 28, 28))
        sha.update(data.x.stored.data)
        assert sha.hexdigest() == images
        sha = hashlib.sha256(struct.pack(">2I", 0x801, n))
        sha.update(data.y.astype(np.uint8).data)
        assert sha.hexdigest() == labels


def test_read_once_and_not_writable(sets: tuple[Dataset, Dataset]) -> None:
    again = mnist()[0]
    assert again is not sets[0]
    assert np.shares_memory(again.x.stored, sets[0].x.stored)
    with pytest.raises(ValueError, match="read-only"):
        sets[0].x.stored[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        sets[0].y[0] = 1


# ---------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).parents[2] / "tools" / "pack_mnist.py"
    spec = importlib.util.spec_from_file_location("pack_mnist", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small(tool: ModuleType) -> bytes:
    """Five images of 3 × 11 pixels, three of them for training."""
    return tool.pack(*small_content(), 3)


def small_content() -> tuple[np.ndarray, np.ndarray]:
    images = np.arange(5 * 3 * 11).reshape(5, 3, 11) ** 2 % 7
    return images.astype(np.uint8), np.array([3, 1, 4, 1, 5], np.uint8)


def test_packing_loses_nothing(small: bytes) -> None:
    images, labels, train = unpack(small)
    np.testing.assert_array_equal(images, small_content()[0], strict=True)
    np.testing.assert_array_equal(labels, small_content()[1], strict=True)
    assert train == 3


def test_every_truncation_is_found(small: bytes) -> None:
    for length in range(len(small)):
        with pytest.raises(DataError, match="damaged") as caught:
            unpack(small[:length])
        assert REINSTALL in str(caught.value)
    with pytest.raises(DataError, match="damaged"):
        unpack(small + b"\0")


def test_every_altered_byte_is_found(small: bytes) -> None:
    unnoticed = []
    for place in range(len(small)):
        for flip in (0x01, 0x80, 0xFF):
            altered = bytearray(small)
            altered[place] ^= flip
            if (content := content_or_damage(bytes(altered))) is not None:
                unnoticed.append(content)
    # Bits that no reader looks at (the level of zlib, the padding of its last
    # byte) may change; the content may not.
    assert len(unnoticed) < 20
    for images, labels, train in unnoticed:
        np.testing.assert_array_equal(images, small_content()[0], strict=True)
        np.testing.assert_array_equal(labels, small_content()[1], strict=True)
        assert train == 3


def content_or_damage(packed: bytes) -> tuple[np.ndarray, np.ndarray, int] | None:
    try:
        return unpack(packed)
    except DataError as error:
        if REINSTALL not in str(error):
            raise
        return None


def test_content_is_held_against_its_sha256(tool: ModuleType, small: bytes) -> None:
    # A file that is well formed, with the digest of another content.
    images, labels = small_content()
    images[4, 2, 10] = 9
    digest = HEADER.unpack_from(small)[-1]
    other = tool.pack(images, labels, 3)
    forged = other[: HEADER.size - 32] + digest + other[HEADER.size :]
    with pytest.raises(DataError) as caught:
        unpack(forged)
    assert "content of SHA-256" in str(caught.value.got)
    moved = tool.pack(*small_content(), 2)
    forged = moved[: HEADER.size - 32] + digest + moved[HEADER.size :]
    with pytest.raises(DataError, match="SHA-256"):
        unpack(forged)


def test_damage_to_the_real_file() -> None:
    packed = read()
    altered = bytearray(packed)
    altered[len(packed) // 2] ^= 1
    for content in (packed[:5_000_000], bytes(altered)):
        with pytest.raises(DataError, match="damaged"):
            unpack(content)


def test_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["chainrule.data.mnist"]
    monkeypatch.setattr(module, "FILE", "gone.pack")
    with pytest.raises(DataError, match=r"(?s)gone\.pack.*FileNotFoundError"):
        module.read()
