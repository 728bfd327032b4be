"""Files that a page uploads: tables, and images in folders or archives.

A file has a name that the lab makes of the one that came, in the lab's folder alone. Of
an archive images are taken and nothing else, counted and measured as they come out.
What is in a table or an image is looked at by a process of its own, which may fail.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from chainrule.data.images import SUFFIXES
from chainrule.errors import ArgumentError, DataError, SaveError
from chainrule.text import _
from chainrule.util import atomic_files

#: Bytes of one upload, of all images of an archive, and of all uploads of a lab.
LARGEST, UNPACKED, ALL = 128 << 20, 512 << 20, 2 << 30
#: Images of one data set.
IMAGES = 50_000
#: Bytes out of an archive for each byte in it; images hardly shrink.
RATIO = 200
TABLES = (".csv", ".tsv", ".txt", ".data")
PREFIX = "data-"
#: What some system does not take in a name.
_FORBIDDEN = frozenset('/\\:*?"<>|')
#: Of archives, what systems put in.
_SYSTEM = ("__MACOSX", "Thumbs.db", "desktop.ini")


def safe(name: str, most: int = 60) -> str:
    """Return a name as a part of a path: letters, digits, spaces, ``_`` and ``-``.

    >>> safe("../../etc/passwd"), safe("<b>.csv"), safe("貓"), safe("..")
    ('etc_passwd', 'b_csv', '貓', 'x')
    """
    kept = re.sub(r"[^\w -]+", "_", name).strip("_ ")[:most].strip("_ ")
    return kept or "x"


def distinct(name: str, most: int = 48) -> str:
    """Return a name as a part of a path, another one for every other name.

    Classes are called by it. What no path may have is left out, and a number that is
    made of the whole name stands in its place.

    >>> distinct("cat"), distinct("C++"), distinct("a/b") == distinct("ab")
    ('cat', 'C++', False)
    """
    plain = "".join(c for c in name if c.isprintable() and c not in _FORBIDDEN)
    kept = plain[:most].strip(". ")
    if kept == name:
        return kept
    number = zlib.crc32(name.encode("utf-8", "surrogatepass"))
    return f"{kept or 'x'}-{number:08x}"


def kind_of(name: str) -> str:
    """Return what an uploaded file is by its name: ``table``, ``archive``, ``image``.

    Raises:
        ArgumentError: something else.
    """
    end = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    if end in TABLES:
        return "table"
    if end == ".zip":
        return "archive"
    if end in SUFFIXES:
        return "image"
    raise ArgumentError(
        _("The lab does not read such files."),
        expected=_("a table (CSV), a ZIP file or a folder of images"),
        got=repr(name[-60:]),
        fix=_("save the table as CSV, or put images into a folder a class"),
    )


def made(folder: Path) -> None:
    """Make a folder of the lab, where it is not there yet.

    Raises:
        SaveError: the file system refuses.
    """
    with refusing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def refusing(folder: Path) -> AbstractContextManager[None]:
    """Return a block in which what the file system refuses is a SaveError."""
    return atomic_files.refusals(
        _("The folder of the lab cannot be written."),
        expected=_("a folder with some space at {path}", path=folder),
        fix=_("free some space, or choose another folder with --out"),
    )


def room(folder: Path) -> int:
    """Return how many bytes may still be uploaded to a lab."""
    used = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # another upload, put in place
            found = path.lstat()
            used += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return max(0, ALL - used)


class Room:
    """The bytes that may still be uploaded to a lab.

    Its files are not counted for each image of a folder, but for an archive, whose
    content is larger than what came, and where little room seems to be left.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._left = folder, 0

    def left(self) -> int:
        """Return how many bytes may come now."""
        if self._left < LARGEST:
            self._left = room(self._folder)
        return self._left

    def taken(self, name: str, size: int) -> None:
        """Note an upload that was kept."""
        self._left = 0 if kind_of(name) == "archive" else self._left - size


class Called:
    """The names by which people know uploads, in place of paths in the lab.

    Args:
        folder: the lab's.
    """

    def __init__(self, folder: Path) -> None:
        self._folders = sorted({str(folder), str(folder.resolve())}, key=len)[::-1]
        there = folder.iterdir() if folder.is_dir() else ()  # of an earlier lab
        names = [path.name for path in there if path.name.startswith(PREFIX)]
        self._names = {name: name.removeprefix(PREFIX) for name in names}

    def came(self, source: str, name: str) -> None:
        """Note what an upload was called that is now the data ``source``."""
        path = PurePosixPath(name.replace("\\", "/"))
        image = kind_of(name) == "image"
        self._names[source] = path.parts[-3] if image else path.name

    def said(self, content: Any) -> Any:
        """Return a message with the names that people gave to what it names.

        >>> called = Called(Path("/lab"))
        >>> called.came("data-sold_1.csv", "sold (1).csv")
        >>> called.said({"what": "There is no row in '/lab/data-sold_1.csv'."})
        {'what': "There is no row in 'sold (1).csv'."}
        """
        if isinstance(content, str):
            for folder in self._folders:
                content = content.replace(os.path.join(folder, PREFIX), PREFIX)
            for source in sorted(self._names, key=len, reverse=True):
                content = content.replace(source, self._names[source])
            return content
        if isinstance(content, list):
            return [self.said(part) for part in content]
        if isinstance(content, dict):
            return {key: self.said(part) for key, part in content.items()}
        return content


def place(folder: Path, name: str) -> Path:
    """Return where an upload goes; another one of its name is replaced.

    Args:
        folder: the lab's.
        name: as the page says it: of a table or an archive its own, of an image
            ``SET/CLASS/FILE``.

    Raises:
        ArgumentError: no table, archive or image; an image that is in no class.
    """
    kind = kind_of(name)
    path = PurePosixPath(name.replace("\\", "/"))
    if kind == "table":
        return folder / f"{PREFIX}{safe(path.stem)}{path.suffix.lower()}"
    if kind == "archive":
        return folder / f"{PREFIX}{safe(path.stem)}"
    if len(path.parts) < 3:
        raise ArgumentError(
            _("An image belongs to a class, which is its folder."),
            expected=_("a folder with one folder of images a class"),
            got=repr(name[-60:]),
            fix=_("drop the folder that holds the folders of the classes"),
        )
    return _image(folder / f"{PREFIX}{distinct(path.parts[-3])}", path)


def _image(root: Path, path: PurePosixPath) -> Path:
    """Return where an image goes: two of other names, or of other classes, go apart."""
    end = path.suffix.lower()
    stem = path.stem if path.name.endswith(end) else path.name
    return root / distinct(path.parts[-2]) / f"{distinct(stem)}{end}"


class Drops:
    """Folders of images, which come image by image: those of before make room.

    Args:
        folder: the lab's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._known: dict[str, str] = {}

    def begin(self, name: str, drop: str) -> None:
        """Remove what an earlier drop has put in place of the one that begins here.

        Args:
            name: of an image, as for :func:`place`.
            drop: the same for all images that were dropped together.
        """
        if not drop or kind_of(name) != "image":
            return
        target = place(self._folder, name)
        root = self._folder / target.relative_to(self._folder).parts[0]
        with self._lock:
            if self._known.get(root.name) != drop:
                self._known[root.name] = drop
                _remove(root)


def _remove(root: Path) -> None:
    """Remove a folder of images, where it is there."""
    with refusing(root.parent), contextlib.suppress(FileNotFoundError):
        shutil.rmtree(root)


def keep(folder: Path, name: str, content: BinaryIO) -> str:
    """Keep an upload that has come; return the name of the data that it belongs to.

    Args:
        folder: the lab's.
        name: see :func:`place`.
        content: the file that came.

    Raises:
        ArgumentError, DataError: what is refused.
        SaveError: no room on the disk.
    """
    target = place(folder, name)
    if kind_of(name) == "archive":
        _unpack(content, target)
        return target.name
    made(target.parent)
    atomic_files.replace(target, content, _("upload"))
    return target.relative_to(folder).parts[0]


# -- archives --------------------------------------------------------------------------


def _unpack(content: BinaryIO, root: Path) -> None:
    """Unpack the images of an archive into folders of classes, in place of others."""
    made(root.parent)
    with refusing(root.parent):
        new = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=root.parent))
    try:
        _unpack_into(content, new)
        _remove(root)
        with refusing(root.parent):
            new.chmod(0o755)
            new.rename(root)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _unpack_into(content: BinaryIO, root: Path) -> None:
    try:
        with zipfile.ZipFile(content) as archive:
            members = list(_images(archive))
            if not members:
                raise _refused(_("no image in the folder of a class"))
            parents = sorted({str(path.parent.parent) for __, path in members})
            if len(parents) > 1:
                raise _refused(
                    _(
                        "folders of classes in {one} and in {other}",
                        one=repr(parents[0][-40:]),
                        other=repr(parents[1][-40:]),
                    )
                )
            packed = sum(member.compress_size for member, __ in members)
            left = min(UNPACKED, RATIO * packed + (1 << 20))
            for member, path in members:
                target = _image(root, path)
                made(target.parent)
                left -= _extract(archive, member, target, left)
    except SaveError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise DataError(
            _("This is no ZIP file that can be read."),
            expected=_("a ZIP file of images in folders of classes, not encrypted"),
            got=f"{type(error).__name__}: {error}"[:100],
        ) from error


def _images(
    archive: zipfile.ZipFile,
) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Yield the images of an archive with their paths; refuse strange members."""
    count = 0
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or ":" in member.filename
        if outside or "\0" in member.filename:
            raise _refused(_("a path that leads out of the archive"))
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _refused(_("a link"))
        hidden = any(p.startswith(".") or p in _SYSTEM for p in path.parts)
        if member.is_dir() or hidden or path.suffix.lower() not in SUFFIXES:
            continue
        if len(path.parts) < 2:
            raise _refused(_("an image that is in the folder of no class"))
        count += 1
        if count > IMAGES:
            raise _refused(_("more than {n:,} images", n=IMAGES))
        yield member, path


def _extract(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int
) -> int:
    """Write a member of an archive, whatever its head says; return its bytes."""
    done = 0
    with refusing(target.parent):
        file = target.open("wb")
    with archive.open(member) as source, file:
        while block := source.read(1 << 16):
            done += len(block)
            if done > left:
                raise _refused(_("far more bytes than it seems to hold"))
            with refusing(target.parent):
                file.write(block)
    return done


def _refused(got: str) -> DataError:
    return DataError(
        _("This archive is refused."),
        expected=_(
            "at most {n:,} images, {size:,} bytes, one folder a class",
            n=IMAGES,
            size=UNPACKED,
        ),
        got=got,
        fix=_("make an archive of the folders of the classes alone"),
    )
