"""The content of a CSV file: decompression, encoding and delimiter."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from chainrule.data.checks import shortened
from chainrule.data.files import damaged
from chainrule.errors import ArgumentError
from chainrule.text import _
from chainrule.util.atomic_files import open_file

WHAT = _("a table in text form")
FIX = _(
    "look at the file with a text editor; write it with a program that quotes fields"
)
DELIMITERS = "\t;|,"
#: Bytes at the beginning in which the delimiter is detected.
HEAD = 1 << 18


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a CSV file and its content, decompressed if necessary."""
    import bz2
    import gzip
    import lzma
    import zipfile

    with open_file(path) as raw:
        mark = raw.read(6)
        raw.seek(0)
        if mark.startswith(b"PK\3\4"):
            with zipfile.ZipFile(raw) as archive:
                members = [name for name in archive.namelist() if name[-1] != "/"]
                if len(members) != 1:
                    raise damaged(
                        path,
                        WHAT,
                        _("an archive of {members} files", members=len(members)),
                        _("pack one file; save a spreadsheet as CSV"),
                    )
                with archive.open(members[0]) as content:
                    yield raw, content
            return
        packers = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\0": lzma}
        for begin, packer in packers.items():
            if mark.startswith(begin):
                with packer.open(raw) as content:
                    yield raw, content
                return
        yield raw, raw


def _pieces(path: Path) -> Generator[bytes]:
    with opened(path) as (__, content):
        while piece := content.read(1 << 20):
            yield piece


def detected_encoding(path: Path) -> str:
    """Detect the text encoding of a CSV file.

    UTF-8 is tried first. Chinese text in cp950 is mostly made of common characters,
    which begin with A4 … C6; Western text would decode to rare ones.
    """
    pieces = _pieces(path)
    head = next(pieces, b"")
    pieces.close()
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head or _decodes(path, "utf-8"):
        return "utf-8"  # NUL has an error of its own
    common = rare = 0
    for piece in _pieces(path):
        leads = re.findall(rb"([\x81-\xfe])[\x40-\x7e\xa1-\xfe]", piece)
        usual = sum(b"\xa1" <= lead <= b"\xc6" for lead in leads)
        common, rare = common + usual, rare + len(leads) - usual
    if common > rare and _decodes(path, "cp950"):
        return "cp950"
    return "cp1252" if _decodes(path, "cp1252") else "latin-1"


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for piece in _pieces(path):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def undecodable(path: Path, encoding: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    with opened(path) as (__, content):
        for number, line in enumerate(content, 1):
            try:
                decoder.decode(line)
            except UnicodeError:
                return _("line {number}", number=number)
    return _("its end")


def detected_delimiter(path: Path, encoding: str) -> str:
    """Detect a CSV file's delimiter: it splits the first lines into equal numbers."""
    with opened(path) as (__, content):
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        head = content.read(HEAD)
    text = decoder.decode(head).removeprefix("\ufeff")
    lines = io.StringIO(text, newline="").readlines()
    if len(head) == HEAD and len(lines) > 1:
        lines.pop()  # it was cut
    even = {}
    for mark in DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=mark) if row]
        except csv.Error:
            continue
        widths = {len(row) for row in rows}
        first = len(rows[0]) if rows else 1
        if first > 1 and widths <= {first, first + 1}:
            even[mark] = first
    if even:
        return next(mark for mark in DELIMITERS if mark in even)
    first = next((line for line in lines if line.strip()), "")
    return max(reversed(DELIMITERS), key=first.count)


def check_delimiter(delimiter: Any) -> None:
    right = isinstance(delimiter, str) and len(delimiter) == 1 and delimiter.isascii()
    if not right or delimiter.isalnum() or delimiter in "\"\r\n\0.+-_'":
        raise ArgumentError(
            _("The delimiter is not one that cells can have between them."),
            expected=_("one character, such as ',' or ';' or '\\t' or '|'"),
            got=shortened(repr(delimiter)),
            fix=_("leave it out: it is seen from the file"),
        )


def checked_encoding(encoding: Any) -> str:
    """Check the name of a text encoding for a CSV file; return Python's name."""
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, TypeError, ValueError):
        codec = None
    if codec is None or not getattr(codec, "_is_text_encoding", True):
        raise ArgumentError(
            _("There is no such text encoding."),
            expected=_("the name of an encoding"),
            got=shortened(repr(encoding)),
            fix=_("encoding='utf-8', 'cp950', 'cp1252' or 'utf-16'"),
        )
    return "utf-8-sig" if codec.name == "utf-8" else codec.name
