"""A reader of image folders with one folder per class, based on Pillow.

Only the formats below are opened: Pillow knows many more, and some of them run other
programs. Pixels are counted before they are unpacked, so a small file cannot take all
of the memory.
"""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.checks import checked_classes, shortened
from chainrule.data.dataset import Column, Dataset
from chainrule.data.features import Features
from chainrule.data.files import (
    check_memory,
    checked_path,
    damaged,
    meant,
    opened,
)
from chainrule.errors import ArgumentError, DataError
from chainrule.text import _, ngettext
from chainrule.util import validation
from chainrule.util.keywords import strict

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")
#: Files that operating systems put into folders.
NOT_OURS = frozenset({"thumbs.db", "desktop.ini"})
#: The most pixels of an image, and of each byte of its file beyond the first ones.
#: Pictures of one colour have 1,000 to 10,000 pixels a byte, hostile headers any
#: number. With Pillow's own limit, a file of some bytes takes over 1 GB.
LARGEST, FREE, A_BYTE = 1 << 26, 1 << 22, 10_000
WHAT = _("an image ({FORMATS})", FORMATS=", ".join(FORMATS))
FIX = _("open it in a viewer and save it again, or take it out of the folder")


@strict
def image_folder(
    path: Any,
    *,
    size: Any = None,
    mode: str = "RGB",
    flatten: bool = False,
    class_names: Any = None,
    name: str | None = None,
) -> Dataset:
    """Read a folder with one subfolder of images per class. Needs the extra ``images``.

        pets/cat/1.png, pets/cat/2.png, pets/dog/1.png, …

    The classes are the names of the folders, sorted; images come sorted by name.
    Hidden files are left out. Photographs are turned upright, transparent pixels show
    white, and 16-bit grey is reduced to 8 bits. PNG, JPEG, BMP, GIF, WebP, TIFF and PPM
    are read.

    Args:
        path: the folder.
        size: (height, width) that images are resized to, bilinearly, without keeping
            their proportions. None: all images must have one size, which is kept.
        mode: ``"RGB"`` for colour, ``"L"`` for grey (0.299 R + 0.587 G + 0.114 B).
        flatten: whether each image becomes one row of numbers.
        class_names: the classes, in the order of the labels, instead of the sorted
            folders.
        name: the name of the data set; None: the name of the folder.

    Shapes:
        x: (n, 3, height, width) for RGB and (n, 1, height, width) for grey, channels
            first; (n, channels·height·width) with ``flatten``. Stored as uint8 with
            scale 1/255: features are float32 from 0 to 1.
        y: (n,) int32.

    Raises:
        DataError: no folders of classes, an empty one, a file that is no image, is
            truncated, animated or too large, or images of different sizes.
        ArgumentError: a size or a mode that cannot be, or Pillow is not installed.

    Example:
        >>> from PIL import Image
        >>> for kind, grey in ("dark", 0), ("light", 255):
        ...     Path("shades", kind).mkdir(parents=True)
        ...     Image.new("L", (3, 2), grey).save(f"shades/{kind}/1.png")
        >>> data = image_folder("shades", mode="L")
        >>> data.x.shape, data.class_names, data.y
        ((2, 1, 2, 3), ('dark', 'light'), array([0, 1], dtype=int32))
        >>> data.x[1, 0, 0]
        array([1., 1., 1.], dtype=float32)
    """
    root = checked_path(path, _("folder of images"), folder=True)
    loader = Loader(size, mode)
    names = _folders(root)
    __, class_names = checked_classes(None, class_names)
    if class_names is None and len(names) < 2:
        raise DataError(
            _("'{root}' has images of one class.", root=root),
            expected=_("a folder of images for each class, two at least"),
            got=_("the folder '{names}'", names=names[0]),
            fix=_("such as {name}/cat/1.png and {name}/dog/1.png", name=root.name),
        )
    if class_names is not None:
        _check_known(root, names, class_names)
    files = {folder: _images(root / folder) for folder in names}
    classes = class_names or tuple(names)
    x = loader.load([file for folder in names for file in files[folder]])
    labels = np.array([classes.index(folder) for folder in names], np.int32)
    data = Dataset(
        x.reshape(len(x), -1) if flatten else x,
        np.repeat(labels, [len(files[folder]) for folder in names]),
        scale=1 / 255,
        name=name or root.name or str(root),
        class_names=classes,
    )
    data.format = {
        "kind": "images",
        "size": list(x.shape[2:]),
        "mode": mode,
        "flatten": bool(flatten),
        "class_names": list(classes),
    }
    return data


def image_features(
    path: Any,
    *,
    size: Any = None,
    mode: str = "RGB",
    flatten: bool = False,
    class_names: Any = None,
) -> Features:
    """Read images without classes, from a file or a folder, for prediction.

    The other arguments are those of :func:`image_folder`. Each row is called by its
    file.
    """
    loader = Loader(size, mode)
    is_folder = isinstance(path, str | os.PathLike) and Path(path).is_dir()
    root = checked_path(path, _("image or folder of images"), folder=is_folder)
    files = [root]
    if is_folder:
        folders = [entry for entry in _entries(root) if entry.is_dir()]
        plain = [entry for entry in _entries(root) if not entry.is_dir()]
        files = plain + [file for folder in folders for file in _images(folder)]
    if not files:
        raise _no_images(root)
    x = loader.load(files)
    x = x.reshape(len(x), -1) if flatten else x
    names = [f.relative_to(root).as_posix() if is_folder else f.name for f in files]
    return Features(Column(x, 1 / 255), tuple(names))


class Loader:
    """A loader of image files, of one size and mode, into an array.

    Args:
        size: (height, width), or None for that of the first image.
        mode: ``"L"`` or ``"RGB"``.

    Raises:
        ArgumentError: a size or a mode that cannot be, or Pillow is not installed.
    """

    def __init__(self, size: Any, mode: Any) -> None:
        self.mode = validation.choice("RGB", "L")("mode", mode)
        self.resize = None if size is None else _checked_size(size)
        self.image = pillow()
        self.image.init()
        self.formats = [name for name in FORMATS if name in self.image.OPEN]

    def load(self, files: list[Path]) -> np.ndarray:
        """Read image files as one uint8 array (n, channels, height, width)."""
        first = self._pixels(files[0])
        content = len(files) * first.size
        check_memory(files[0].parent, content, _("size=(64, 64) makes them smaller"))
        images = np.empty((len(files), *first.shape), np.uint8)
        images[0] = first
        for i, file in enumerate(files[1:], 1):
            pixels = self._pixels(file)
            if pixels.shape != first.shape:
                (height, width), other = first.shape[1:], pixels.shape[1:]
                raise DataError(
                    _("The images have different sizes."),
                    expected=_(
                        "{height} × {width} as in '{files}' (height × width)",
                        height=height,
                        width=width,
                        files=files[0],
                    ),
                    got=_(
                        "{other} × {other1} in '{file}'",
                        other=other[0],
                        other1=other[1],
                        file=file,
                    ),
                    fix=_(
                        "size=({height}, {width}) resizes all of them",
                        height=height,
                        width=width,
                    ),
                )
            images[i] = pixels
        return images

    def _pixels(self, file: Path) -> np.ndarray:
        """Read one image file as an array (channels, height, width)."""
        # Pillow's warnings are errors here, or concern no pixel.
        quiet = warnings.catch_warnings(action="ignore")
        with opened(file, WHAT, FIX) as stream, quiet:
            length = os.fstat(stream.fileno()).st_size
            if not length:
                raise damaged(file, WHAT, _("an empty file"), FIX)
            with self.image.open(stream, formats=self.formats) as image:
                self._check(image, file, length)
                pixels = self._converted(image, file)
        if pixels.ndim == 2:
            return pixels[None]
        return pixels.transpose(2, 0, 1)

    def _check(self, image: Any, file: Path, length: int) -> None:
        """Refuse image files with too many pixels, or with more than one image."""
        width, height = image.size
        if width * height > min(LARGEST, FREE + A_BYTE * length):
            limit = _(
                "an image of up to {LARGEST:,} pixels, and {A_BYTE:,} a byte",
                LARGEST=LARGEST,
                A_BYTE=A_BYTE,
            )
            got = ngettext(
                "{height:,} × {width:,} pixels in {n:,} byte",
                "{height:,} × {width:,} pixels in {n:,} bytes",
                n=length,
                height=height,
                width=width,
            )
            raise damaged(file, limit, got, _("make it smaller first"))
        # Telephones append a second picture to some JPEG files (MPO): not animated.
        if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
            raise damaged(
                file,
                _("a single image"),
                _(
                    "{n_frames} images in one file (animated, or several pages)",
                    n_frames=image.n_frames,
                ),
                _("save each as a file of its own"),
            )

    def _converted(self, image: Any, file: Path) -> np.ndarray:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):
            image = self.image.fromarray(_eight_bits(np.asarray(image), file))
        elif image.has_transparency_data:
            paper = self.image.new("RGB", image.size, "white")
            image = image if image.mode == "RGBA" else image.convert("RGBA")
            paper.paste(image, mask=image)
            image = paper
        if image.mode != self.mode:
            image = image.convert(self.mode)
        if self.resize is not None and self.resize != image.size:
            image = image.resize(self.resize, self.image.Resampling.BILINEAR)
        return np.asarray(image)


def pillow() -> Any:
    """Return Pillow's ``Image`` module; raise an error if it is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ArgumentError(
            _("Images are read by Pillow, which is not installed."),
            expected=_("the extra images"),
            got=f"{type(error).__name__}: {error}",
            fix=_("pip install 'chainrule[images]'"),
        ) from error
    return Image


def _eight_bits(values: np.ndarray, file: Path) -> np.ndarray:
    """Convert an image's 16-bit grey values to 8 bits: v/257, rounded."""
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        raise damaged(
            file,
            _("an image of 8 or 16 bits"),
            _(
                "pixels of {dtype} from {min:g} to {max:g}",
                dtype=values.dtype,
                min=values.min(),
                max=values.max(),
            ),
            _("convert it to 8 bits; or save such arrays as NPZ"),
        )
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


# -- folders ---------------------------------------------------------------------------


def _entries(folder: Path) -> list[Path]:
    """Return an image folder's visible files and folders, sorted by name."""
    names = sorted(os.listdir(folder))
    shown = [n for n in names if not n.startswith(".") and n.lower() not in NOT_OURS]
    return [folder / name for name in shown]


def _folders(root: Path) -> list[str]:
    """Return the names of an image folder's subfolders, which are its classes."""
    entries = _entries(root)
    names = [entry.name for entry in entries if entry.is_dir()]
    stray = [e for e in entries if not e.is_dir() and e.suffix.lower() in SUFFIXES]
    if stray and names:
        raise DataError(
            _("'{stray}' belongs to no class.", stray=stray[0]),
            expected=_("all images in the folders of the classes"),
            got=_("{stray} beside them", stray=len(stray)),
            fix=_(
                "move it into one of the folders {names}",
                names=shortened(", ".join(names)),
            ),
        )
    if not names:
        got = (
            ngettext(
                "{n} image and no folders", "{n} images and no folders", n=len(stray)
            )
            if stray
            else _("no folders")
        )
        raise DataError(
            _("'{root}' has no folders of classes.", root=root),
            expected=_("a folder of images for each class"),
            got=got,
            fix=_("such as {name}/cat/1.png and {name}/dog/1.png", name=root.name),
        )
    return names


def _check_known(root: Path, names: list[str], classes: tuple[str, ...]) -> None:
    for name in names:
        if name not in classes:
            raise DataError(
                _("The folder '{name}' is none of the classes.", name=root / name),
                expected=_(
                    "folders {classes}", classes=shortened(", ".join(classes), 200)
                ),
                got=repr(shortened(name)),
                fix=meant(name, classes, _("rename it, or add it to class_names")),
            )


def _images(folder: Path) -> list[Path]:
    """Return the image files in the folder of one class."""
    files = _entries(folder)
    for file in files:
        if file.is_dir():
            raise DataError(
                _(
                    "A folder stands among the images of the class '{name}'.",
                    name=folder.name,
                ),
                expected=_("files alone"),
                got=_("the folder '{file}'", file=file),
                fix=_("move its images up"),
            )
    if not files:
        raise _no_images(folder)
    return files


def _no_images(folder: Path) -> DataError:
    return DataError(
        _("The folder '{folder}' has no images.", folder=folder),
        expected=_("at least one"),
        got=_("no files, but for hidden ones"),
        fix=_("fill it or delete it"),
    )


def _checked_size(size: Any) -> tuple[int, int]:
    """Check an image size (height, width); return it as (width, height) for Pillow."""
    if isinstance(size, list | tuple) and len(size) == 2:
        height, width = (validation.whole("size", n) for n in size)
        if height * width <= LARGEST:
            return width, height
    raise ArgumentError(
        _("size is not a size of images."),
        expected=_("(height, width), up to {LARGEST:,} pixels", LARGEST=LARGEST),
        got=shortened(repr(size)),
        fix="size=(28, 28)",
    )
