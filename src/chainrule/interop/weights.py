"""Weights from files: arrays by name, and the zip files that they come in.

What the readers of all formats share: :class:`Weights`, which they return, the error
of what cannot be read, and zip files whose members take no more memory than the file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from chainrule.graph.node import Array
from chainrule.text import _, ngettext, translated

#: Bytes of a zip file's list of members: some 600,000 of them.
_MEMBERS = 1 << 26

#: What the standard library raises for a damaged zip file, beside its own error.
_DAMAGED = (ValueError, EOFError, RuntimeError, OverflowError, struct.error)


class UnreadableError(ValueError):
    """The exception for a damaged file of weights, with a fix."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what, self.fix = what, fix or _("use another copy")


class Weights(dict[str, Array]):
    """Arrays by name, read-only, as ``cr.load_torch`` and ``load_keras`` return them.

    Attributes:
        notes: what was done with the file: which part was taken, what of the names was
            left out, which numbers have become another dtype.
    """

    def __init__(self, arrays: Mapping[str, Array], notes: tuple[str, ...]) -> None:
        super().__init__(arrays)
        self.notes = notes

    def __repr__(self) -> str:
        count = sum(array.size for array in self.values())
        head = _(
            "Weights: {arrays}, {numbers}",
            arrays=ngettext("{n:,} array", "{n:,} arrays", n=len(self)),
            numbers=ngettext("{n:,} number", "{n:,} numbers", n=count),
        )
        lines = [translated(text) for text in (head, *self.notes)]
        return "\n  ".join(lines)


class _Capped:
    """A file of which no more is read at once than a limit, for ``zipfile``."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self.file, self.most = file, most
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read some bytes; refuse more than the limit."""
        if size > self.most:
            raise UnreadableError(_("a zip file with {size:,} bytes in one", size=size))
        return self.file.read(size)

    def seekable(self) -> bool:
        """Return True: the file is a regular one, or in memory."""
        return True


class Archive:
    """A zip file whose members are stored as they are, never packed.

    Args:
        file: open for bytes.
        size: its length, more than which is never read in all.

    Attributes:
        members: what is known of each, by name.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        import zipfile

        source: Any = _Capped(file, _MEMBERS)
        try:
            self._zip = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, *_DAMAGED) as error:
            raise UnreadableError(
                _("no whole zip file: {error}", error=error)
            ) from error
        source.most = self._size = self._left = size
        self.members = {info.filename: info for info in self._zip.infolist()}
        if len(self.members) < len(self._zip.infolist()):
            raise UnreadableError(_("a zip file with two members of one name"))
        places = {info.header_offset for info in self._zip.infolist()}
        if len(places) < len(self.members):
            raise UnreadableError(_("a zip file whose members are the same bytes"))

    def read(self, name: str) -> bytes:
        """Return the bytes of a member."""
        import zipfile

        info = self.members.get(name)
        if info is None:
            raise UnreadableError(_("a zip file without {name!r:.80}", name=name))
        packed = info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1
        if packed or not info.compress_size == info.file_size <= self._size:
            raise UnreadableError(_("a zip file with a packed {name!r:.80}", name=name))
        self._left -= info.file_size
        if self._left < 0:  # members that lie upon each other
            raise UnreadableError(_("a zip file whose members are larger than itself"))
        try:
            return self._zip.read(info)
        except (zipfile.BadZipFile, *_DAMAGED) as e:
            raise UnreadableError(_("a damaged zip file: {error}", error=e)) from e
