"""Parquet files as tables: read by pyarrow, the columns that are used, in blocks."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from chainrule.data.checks import checked_names
from chainrule.data.files import checked_path, reading
from chainrule.data.tables.source import INDEX, ROWS, Chunk, Frame, Source, require
from chainrule.errors import DataError
from chainrule.text import _
from chainrule.util.atomic_files import open_regular

WHAT, FIX = _("a Parquet file"), _("write it anew: frame.to_parquet(path)")


@dataclass(frozen=True)
class Parquet(Source):
    """One or more Parquet files as a table; their rows count from 0, over all files.

    Attributes:
        paths: the files, in the order of their rows.
    """

    paths: tuple[Path, ...] = ()
    word = "row"

    @classmethod
    def of(cls, path: Any, columns: Any = None) -> Parquet:
        """Open Parquet files; the columns are those of the first, or some of them.

        Raises:
            ArgumentError: pyarrow is not installed; a value that is no path.
            DataError: a file that is missing, damaged, or has other columns.
        """
        require("pandas", "data")
        require("pyarrow", "parquet")
        given = list(path) if isinstance(path, list | tuple) and path else [path]
        paths = tuple(checked_path(p, _("Parquet file")) for p in given)
        found = [_columns(p) for p in paths]
        for other, names in zip(paths, found):
            if set(names) != set(found[0]):
                differing = set(names).symmetric_difference(found[0])
                raise DataError(
                    _("'{path}' has other columns than the first file.", path=other),
                    expected=", ".join(found[0])[:200],
                    got=_("{names} in one of both", names=", ".join(differing)[:200]),
                    fix=_("read files of one kind; columns=[…] chooses those in all"),
                )
            if len(set(names)) < len(names):
                checked_names(names, str(other), "")  # which names the second one
        source = cls(paths[0].name, tuple(found[0]), paths=paths)
        if columns is not None:
            names = checked_names(columns, "columns", "columns=['age', 'rent']")
            source.require(names, _("in columns"))
            source = cls(paths[0].name, names, paths=paths)
        index = tuple(c for c in source.columns if c and INDEX.fullmatch(c))
        return cls(source.name, source.columns, index, paths=paths)

    def chunks(
        self, names: Sequence[str], numbers: Collection[str] = ()
    ) -> Iterator[Chunk]:
        """Yield the cells of some columns of a Parquet file in chunks of rows."""
        from pyarrow import parquet

        first = 0
        for path in self.paths:
            with reading(path, WHAT, FIX), parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(ROWS, columns=list(names)):
                    part = Frame.of(batch.select(list(names)), self.name)
                    for chunk in part.chunks(names):
                        yield chunk._replace(lines=chunk.lines + first)
                    first += batch.num_rows

    def texts(self, lines: Collection[int]) -> dict[int, list[str]]:
        """Return the cells of some rows of a Parquet file as texts, by line."""
        wanted, found = set(lines), dict[int, list[str]]()
        for chunk in self.chunks(self.columns):
            for row, line in enumerate(chunk.lines.tolist()):
                if line in wanted:
                    found[line] = [chunk.cells[n].text(row) for n in self.columns]
        return found


def is_parquet(table: Any) -> bool:
    """Return whether a path is that of a Parquet file, by how it begins and ends."""
    if isinstance(table, list | tuple) and table:
        return is_parquet(table[0])
    with suppress(OSError, ValueError):
        if isinstance(table, str | os.PathLike):
            with os.fdopen(open_regular(table, os.O_RDONLY), "rb") as file:
                return _is_marked(file)
    return False


def _is_marked(file: BinaryIO) -> bool:
    """Return whether a file has the marks of Parquet, which a column may begin with.

    Behind the first mark is Thrift's binary header, of a damaged file too. Where that
    is encrypted, the end has the length of the footer, and the mark again.
    """
    head = file.read(5)
    if head[:4] != b"PAR1":
        return False
    if head[4:] < b" " and head[4:] not in (b"", b"\t", b"\n", b"\r"):
        return True
    size = file.seek(0, os.SEEK_END)
    if size < 12:
        return False
    file.seek(-8, os.SEEK_END)
    length, mark = file.read(4), file.read(4)
    return mark == b"PAR1" and int.from_bytes(length, "little") <= size - 12


def _columns(path: Path) -> list[str]:
    from pyarrow import parquet

    with reading(path, WHAT, FIX):
        return list(parquet.read_schema(path).names)
