"""Files that came back from a class, in a folder and in ZIP files of it."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chainrule.errors import ChainruleError, DataError
from chainrule.runs import toml
from chainrule.text import _
from chainrule.util.atomic_files import open_file, read_file

#: Files of one class, bytes of a ZIP file, and the endings of what is marked.
FILES, ZIP = 5_000, 64 << 20
ENDINGS = (".toml", ".csv")
#: What a compressed file that is broken raises.
_BROKEN = (zlib.error, lzma.LZMAError)
#: What systems and archivers leave behind.
_LITTER = ("desktop.ini", "thumbs.db")


@dataclass(frozen=True)
class Collected:
    """A file that came back from a class: its bytes, or why it cannot be read.

    Attributes:
        path: where it lies, within the folder or the ZIP file.
        content: its bytes.
        error: why it cannot be read; then it has no bytes.
    """

    path: str
    content: bytes = b""
    error: ChainruleError | None = None

    @property
    def stem(self) -> str:
        """The name of a collected file without its folder and ending."""
        return PurePosixPath(self.path).stem

    @property
    def ending(self) -> str:
        """The ending of a collected file in small letters: ``.toml``."""
        return PurePosixPath(self.path).suffix.lower()


def collected(place: Path) -> list[Collected]:
    """Return the files that came back from a class, in the order of their paths.

    Args:
        place: a folder with folders within it, or a ZIP file.

    Raises:
        DataError: neither of them, or too many files.
    """
    if place.is_file() and place.suffix.lower() == ".zip":
        files = list(_of_zip(place, place.name))
    elif place.is_dir():
        files = list(_of_folder(place))
    else:
        raise DataError(
            _("There are no answers at '{place}'.", place=place),
            expected=_("a folder with the files of the students, or a ZIP file"),
            got=_("something else") if place.exists() else _("nothing there"),
            fix=_("--answers FOLDER, or --answers FILE.zip"),
        )
    return sorted(files, key=lambda file: file.path)


def _of_folder(folder: Path) -> Iterator[Collected]:
    paths = [path for path in sorted(folder.rglob("*")) if not path.is_dir()]
    if len(paths) > FILES:
        raise _too_many(str(folder), len(paths))
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if _is_litter(name):
            continue
        if path.is_symlink():
            yield Collected(name, error=_unreadable(name, _("a link")))
        elif path.suffix.lower() == ".zip":
            yield from _of_zip(path, name)
        else:
            yield _read(path, name)


def _read(path: Path, name: str) -> Collected:
    if path.suffix.lower() not in ENDINGS:
        return Collected(name, error=_other_kind(name))
    try:
        return Collected(name, read_file(path, toml.BYTES_AT_MOST))
    except OSError as error:
        return Collected(name, error=_unreadable(name, error.strerror or str(error)))


def _of_zip(path: Path, name: str) -> Iterator[Collected]:
    """Yield the files within a ZIP file; where it is none, one that says so."""
    try:
        with open_file(path, ZIP) as file, zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) > FILES:
                yield Collected(name, error=_too_many(name, len(members)))
                return
            for member in members:
                inside = f"{name}/{member.filename}"
                if not _is_litter(inside):
                    yield _member(archive, member, inside)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        yield Collected(name, error=_unreadable(name, str(error)[:80]))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Collected:
    if PurePosixPath(name).suffix.lower() not in ENDINGS:
        return Collected(name, error=_other_kind(name))
    most = toml.BYTES_AT_MOST
    try:
        with archive.open(member) as file:  # whatever it says of its size
            content = file.read(most + 1)
    except RuntimeError as error:  # a password
        return Collected(name, error=_unreadable(name, str(error)[:80]))
    except (OSError, EOFError, zipfile.BadZipFile, *_BROKEN) as error:
        return Collected(name, error=_unreadable(name, str(error)[:80]))
    if len(content) > most:
        got = _("more than {many:,} bytes", many=most)
        return Collected(name, error=_unreadable(name, got))
    return Collected(name, content)


def _is_litter(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return (
        any(p.startswith((".", "__MACOSX")) and p != ".." for p in parts)
        or parts[-1].lower() in _LITTER
    )


def _other_kind(name: str) -> DataError:
    return DataError(
        _("{name} is no file of answers.", name=name),
        expected=_("a form of the class filled in: .toml, or .csv"),
        got=PurePosixPath(name).suffix or _("no ending"),
    )


def _unreadable(name: str, got: str) -> DataError:
    return DataError(
        _("{name} cannot be read.", name=name),
        expected=_("a file of answers: .toml or .csv; or a whole ZIP file of them"),
        got=got,
    )


def _too_many(name: str, many: int) -> DataError:
    return DataError(
        _("{name} has too many files for a class.", name=name),
        expected=_("at most {most:,}", most=FILES),
        got=f"{many:,}",
    )
