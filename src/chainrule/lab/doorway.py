"""The file by which the lab opens its page in a browser.

A program's arguments are seen by all who use the machine. So the browser is given the
path of a file that its owner alone can read, and the file leads to the address with its
token.
"""

from __future__ import annotations

import contextlib
import html
import os
import secrets
from pathlib import Path

from chainrule.errors import SaveError
from chainrule.lab.uploads import made, refusing

__all__ = ["SaveError", "remove", "write"]

#: Its name, with something that makes it another one each time.
NAME = "open-{}.html"


def write(folder: Path, url: str) -> Path:
    """Write a file that leads to an address, for the owner of the process alone.

    Args:
        folder: the lab's own.
        url: with its token, and perhaps a network behind ``#``.

    Raises:
        SaveError: the file system refuses.
    """
    made(folder)
    path = folder.resolve() / NAME.format(secrets.token_hex(8))
    with refusing(folder):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as page:
            page.write(_page(url))
    return path


def remove(path: Path | None) -> None:
    """Remove the file, where it is still there."""
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()


def _page(url: str) -> str:
    """Return a page that leads to an address, without a script.

    >>> "<b>" in _page("http://127.0.0.1:1/?token=<b>")
    False
    """
    shown = html.escape(url)
    return (
        '<!DOCTYPE html>\n<meta charset="utf-8">\n'
        '<meta name="referrer" content="no-referrer">\n<title>Chainrule</title>\n'
        f'<meta http-equiv="refresh" content="0; url={shown}">\n'
        f'<p><a href="{shown}">Chainrule</a></p>\n'
    )
