"""Folders of images, made by Pillow here: pixels, classes, sizes, refusals."""

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chainrule.data import image_folder, read
from chainrule.data.images import image_features
from chainrule.errors import ArgumentError, DataError
from tests.data.saying import says

RED = np.zeros((2, 3, 3), np.uint8)
RED[0, 1] = [255, 0, 10]


def save(folder: Path, files: dict[str, Any]) -> Path:
    """Write arrays as images, and bytes as they are."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.fromarray(content).save(path)
    return folder


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    grey = np.full((2, 3), 100, np.uint8)
    return save(
        tmp_path / "pets",
        {
            "dog/b.png": grey + 1,
            "dog/a.png": grey,
            "cat/z.bmp": RED,
            ".hidden/x.png": b"",
            "cat/.DS_Store": b"",
            "cat/Thumbs.db": b"",
            "README.txt": b"pets",
        },
    )


def test_a_folder(pets: Path) -> None:
    made = image_folder(pets)
    assert made.x.shape == (3, 3, 2, 3)
    assert made.x.stored.dtype == np.uint8
    assert made.x.scale == 1 / 255
    np.testing.assert_array_equal(made.x.stored[0], RED.transpose(2, 0, 1))
    assert (made.x.stored[1] == 100).all()
    assert (made.x.stored[2] == 101).all()
    assert made.y.tolist() == [0, 1, 1]
    assert made.class_names == ("cat", "dog")
    assert (made.name, made.classes) == ("pets", 2)


def test_grey_flat_and_named(pets: Path) -> None:
    made = image_folder(str(pets), mode="L", flatten=True, name="greys")
    assert made.x.shape == (3, 6)
    # 0.299·255 + 0.114·10 = 77.4
    assert made.x.stored[0].tolist() == [0, 77, 0, 0, 0, 0]
    assert made.name == "greys"
    made = image_folder(pets, mode="L", class_names=["dog", "cow", "cat"])
    assert made.x.shape == (3, 1, 2, 3)
    assert made.y.tolist() == [2, 0, 0]
    assert made.class_names == ("dog", "cow", "cat")


def test_a_size(tmp_path: Path) -> None:
    wide = np.repeat(np.array([[0, 200]], np.uint8), 4, axis=0).repeat(4, axis=1)
    root = save(tmp_path, {"a/1.png": wide, "b/1.png": np.full((1, 1), 7, np.uint8)})
    made = image_folder(root, size=(2, 4), mode="L")
    assert made.x.shape == (2, 1, 2, 4)
    # Halved by a triangle filter of twice the width: the edge is softened.
    first, second, third, fourth = made.x.stored[0, 0, 0].tolist()
    assert first == 0
    assert fourth == 200
    assert 0 <= second < 60
    assert 140 < third <= 200
    assert (made.x.stored[1] == 7).all()


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_formats(tmp_path: Path, kind: str) -> None:
    content = encoded(Image.new("RGB", (8, 8), (200, 100, 50)), kind)
    root = save(tmp_path, {f"a/1.{kind}": content, "b/no-suffix": content})
    made = image_folder(root)
    off = np.abs(made.x.stored.astype(int) - [[[200]], [[100]], [[50]]])
    assert off.max() <= (6 if kind in ("jpeg", "webp") else 0)


def one(tmp_path: Path, content: bytes, **options: Any) -> np.ndarray:
    """The pixels of a file among images."""
    (tmp_path / "one").write_bytes(content)
    x, _ = read(tmp_path / "one", format={"kind": "images"} | options, target=False)
    return x.stored[0]


def test_transparent_pixels_show_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    picture.putpixel((1, 0), (10, 20, 30, 0))
    made = one(tmp_path, encoded(picture, "png"))
    assert made[:, 0].tolist() == [[10, 255], [20, 255], [30, 255]]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([9, 9, 9, 80, 80, 80])
    palette.putpixel((1, 0), 1)
    transparency = bytes([255, 0])
    content = encoded(palette, "png", transparency=transparency)
    assert one(tmp_path, content, mode="L")[0, 0].tolist() == [9, 255]
    grey = encoded(Image.new("LA", (1, 1), (50, 128)), "png")
    assert one(tmp_path, grey, mode="L").tolist() == [
        [[152]]
    ]  # 50·128/255 + 255·127/255


def test_sixteen_bits(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    made = one(tmp_path, encoded(Image.fromarray(values), "png"), mode="L")
    assert made[0, 0].tolist() == [0, 0, 1, 1, 128, 255]
    wide = Image.fromarray(np.array([[0, 70_000]], np.int32))
    for picture, got in (
        (wide, "from 0 to 70000"),
        (Image.fromarray(np.array([[0.5, 1]], np.float32)), "float32 from 0.5 to 1"),
    ):
        with pytest.raises(DataError) as caught:
            one(tmp_path, encoded(picture, "tiff"), mode="L")
        says(caught.value, "one' cannot be read", "8 or 16 bits", got, "NPZ")


def test_black_and_white_and_cmyk(tmp_path: Path) -> None:
    picture = Image.new("1", (2, 1), 1)
    assert one(tmp_path, encoded(picture, "png"), mode="L").tolist() == [[[255, 255]]]
    picture = Image.new("CMYK", (8, 8), (0, 0, 0, 255))
    assert one(tmp_path, encoded(picture, "jpeg"), mode="L").max() <= 2


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 80, 160]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to show it
    made = one(tmp_path, encoded(picture, "png", exif=exif), mode="L")
    assert made.tolist() == [[[0], [80], [160]]]


def test_the_second_picture_of_a_telephone_is_left_out(tmp_path: Path) -> None:
    first, second = (Image.new("L", (8, 8), grey) for grey in (10, 240))
    content = encoded(first, "mpo", save_all=True, append_images=[second])
    assert one(tmp_path, content, mode="L").max() <= 12


def test_another_folder_in_the_same_format(pets: Path, tmp_path: Path) -> None:
    old = image_folder(pets, mode="L", flatten=True)
    assert old.format == {
        "kind": "images",
        "size": [2, 3],
        "mode": "L",
        "flatten": True,
        "class_names": ["cat", "dog"],
    }
    assert read(pets, format=old.format).format == old.format
    new = save(
        tmp_path / "new",
        {
            "dog/large.png": np.full((20, 30), 9, np.uint8),
            "dog/same.png": np.full((2, 3), 8, np.uint8),
        },
    )
    made = read(new, format=old.format)
    assert made.y.tolist() == [1, 1]
    assert made.x.stored.tolist() == [[9] * 6, [8] * 6]
    x, names = read(new, format=old.format, target=False)
    assert names == ("dog/large.png", "dog/same.png")
    assert x.stored.tolist() == [[9] * 6, [8] * 6]
    assert x.scale == 1 / 255
    x, names = read(new / "dog", format=old.format, target=False)
    assert names == ("large.png", "same.png")
    x, names = read(str(new / "dog" / "same.png"), format=old.format, target=False)
    assert names == ("same.png",)
    with pytest.raises(DataError) as caught:
        read(save(new, {"dogs/1.png": RED}), format=old.format)
    says(caught.value, "none of the classes", "cat, dog", "'dogs'", "mean 'dog'?")
    with pytest.raises(DataError, match="no image or folder of images"):
        read(tmp_path / "gone", format=old.format, target=False)
    with pytest.raises(ArgumentError, match="is not a path"):
        image_features(None)


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "what", "got"),
    [
        ({}, "no folders", "no folders"),
        ({"1.png": RED}, "no folders", "1 image and no"),
        ({"1.png": RED, "cat/1.png": RED}, "1.png' belongs to no", "1 beside"),
        ({"a/1.png": RED}, "of one class", "'a'"),
        ({"cat/1.png": RED, "dog/.keep": b""}, "dog' has no images", "hidden"),
        ({"cat/1.png": RED, "dog/puppies/1.png": RED}, "class 'dog'", "dog/puppies'"),
    ],
)
def test_folders_refused(tmp_path: Path, files: Any, what: str, got: str) -> None:
    with pytest.raises(DataError) as caught:
        image_folder(save(tmp_path, files))
    says(caught.value, what, "", got, "")


def test_places_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no images"):
        read(tmp_path, format={"kind": "images"}, target=False)
    with pytest.raises(DataError, match="There is no folder of images"):
        image_folder(save(tmp_path, {"1.png": RED}) / "1.png")


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def huge_png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


GIF = encoded(
    Image.new("L", (2, 2), 0),
    "gif",
    save_all=True,
    append_images=[Image.new("L", (2, 2), 255)],
)
PNG = encoded(Image.fromarray(RED), "png")
JPEG = encoded(Image.new("RGB", (64, 64), "red"), "jpeg")


@pytest.mark.parametrize(
    ("content", "expected", "got"),
    [
        (b"", "an image (PNG", "an empty file"),
        (b"hello", "an image (PNG", "UnidentifiedImageError"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "an image (PNG", "UnidentifiedImageError"),
        (PNG[:50], "an image (PNG", "Error"),
        (JPEG[: len(JPEG) // 2], "an image (PNG", "OSError: "),
        (GIF, "a single image", "2 images in one file"),
        (huge_png(9000, 9000), "up to 67,108,864 pixels", "9,000 × 9,000 pixels"),
        (huge_png(2400, 2300), "and 10,000 a byte", "2,300 × 2,400 pixels in "),
        (huge_png(100_000, 100_000), "an image (PNG", "DecompressionBombError"),
    ],
)
def test_files_refused(pets: Path, content: bytes, expected: str, got: str) -> None:
    save(pets, {"dog/c.png": content})
    with pytest.raises(DataError) as caught:
        image_folder(pets)
    says(caught.value, "dog/c.png' cannot be read", expected, got, "")


def test_images_of_different_sizes(pets: Path) -> None:
    save(pets, {"dog/c.png": np.zeros((5, 4), np.uint8)})
    with pytest.raises(DataError) as caught:
        image_folder(pets)
    says(caught.value, "different sizes", "cat/z.bmp' (height", "5 × 4 in", "(2, 3)")
    assert "2 × 3" in str(caught.value.expected)
    assert "dog/c.png" in str(caught.value.got)
    assert image_folder(pets, size=(2, 3)).x.shape == (4, 3, 2, 3)


def test_more_images_than_memory(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.data.files.memory", lambda: 3 * 18 - 1)
    with pytest.raises(DataError) as caught:
        image_folder(pets)
    says(caught.value, "too large for this", "half of", "0.0 GiB", "size=(64, 64)")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"mode": "RGBA"}, "no such choice"),
        ({"mode": None}, "no such choice"),
        ({"size": 28}, "size is not"),
        ({"size": (28,)}, "size is not"),
        ({"size": (28, 0)}, "size must be"),
        ({"size": (2.5, 4)}, "size must be"),
        ({"size": (9000, 9000)}, "size is not"),
        ({"class_names": ["cat"]}, "class_names are"),
    ],
)
def test_arguments_refused(pets: Path, options: dict[str, Any], what: str) -> None:
    with pytest.raises(ArgumentError, match=what):
        image_folder(pets, **options)


def test_without_pillow(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ArgumentError) as caught:
        image_folder(pets)
    says(caught.value, "Pillow", "extra images", "ModuleNotFound", "chainrule[images]")
