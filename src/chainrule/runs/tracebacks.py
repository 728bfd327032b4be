"""Files with the traceback of an unexpected error, in a run's directory."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chainrule.errors import ChainruleError, SaveError
from chainrule.text import _
from chainrule.util import atomic_files

#: The file in the directory of a run.
FILE = "traceback.txt"


@contextmanager
def traceback_saved_in(directory: Path | None) -> Iterator[None]:
    """Write the traceback of an unexpected error within a block to a run's directory.

    The error gets a note that names the file, and goes on. An error of Chainrule's own
    says what to do, and leaves no file.

    Args:
        directory: None where a run writes nothing.
    """
    try:
        yield
    except ChainruleError:
        raise
    except Exception as error:
        if directory is not None and directory.is_dir():
            _keep(directory / FILE, error)
        raise


def _keep(file: Path, error: Exception) -> None:
    text = "".join(traceback.format_exception(error))
    content = text.encode(errors="backslashreplace")
    try:
        atomic_files.replace(file, content, _("traceback"))
    except SaveError:  # the error itself counts more
        return
    error.add_note(_("its traceback is in {file}", file=file))
