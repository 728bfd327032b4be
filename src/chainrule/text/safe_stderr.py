"""A standard error stream that never blocks or stops a run."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any

#: Seconds that a reader who is slow, or gone, is waited for: once, then no more.
PATIENCE = 0.5
#: Bytes that a pipe takes whole where it takes any.
_PIECE = getattr(select, "PIPE_BUF", 512)


class Outlet(io.TextIOBase):
    """A standard error stream that drops messages rather than block.

    Args:
        stream: where they go; None for standard error as it is now.

    >>> Outlet(io.StringIO()).write("η")
    1
    """

    def __init__(self, stream: Any = None) -> None:
        self._stream: Any = sys.stderr if stream is None else stream
        self._stuck = False

    @property
    def encoding(self) -> str:
        """The encoding of the standard error stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Return whether the standard error stream is a terminal."""
        try:
            return bool(self._stream.isatty())
        except (AttributeError, OSError, ValueError):  # none, or a closed one
            return False

    def fileno(self) -> int:
        """Return the file descriptor of the standard error stream."""
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Write to standard error as much text as possible now, and drop the rest."""
        stream = self._stream
        try:
            buffer = getattr(stream, "buffer", None)
            raw = getattr(buffer, "raw", buffer)
            if isinstance(raw, io.FileIO) and os.name == "posix":
                stream.flush()
                content = text.encode(self.encoding, "backslashreplace")
                self._pieces(raw.fileno(), content)
            elif stream is not None:
                stream.write(text)
                stream.flush()
        except ValueError:  # closed
            pass
        except OSError as error:  # broken or full
            if error.errno is None:  # but this is of a signal handler
                raise
        return len(text)

    def _pieces(self, file: int, content: bytes) -> None:
        while content:
            ready = select.select([], [file], [], 0 if self._stuck else PATIENCE)[1]
            self._stuck = not ready
            if not ready:
                return
            content = content[os.write(file, content[:_PIECE]) :]


def occupy() -> None:
    """Open the null device in place of closed standard streams.

    The first file that is opened would take the number of standard error, and get what
    is written there.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
