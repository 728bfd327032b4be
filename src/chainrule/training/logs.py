"""The callback that logs a run's epochs as a table: CSV."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.text import _
from chainrule.training.callbacks import Callback
from chainrule.util import validation
from chainrule.util.atomic_files import append, make_directory
from chainrule.util.keywords import strict


@strict
class CSVLogger(Callback):
    """A log of the run's epochs as a CSV file, which spreadsheets and pandas read.

    A run's history is part of its checkpoints, so a resumed run begins its log with
    all earlier rows: the file is that of a run that was never interrupted, whatever a
    kill has left of it.

    Args:
        path: the file; what was in it before the run is replaced.

    The columns are the keys of the history's rows; what a row lacks stays empty.

    Raises:
        SaveError: the file cannot be written.

    >>> from chainrule.training import CSVLogger
    >>> log = CSVLogger("log.csv")
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = validation.path("path", path)
        self._columns: Sequence[str] = ()

    def check(self, columns: Mapping[str, str]) -> None:
        """Store the names of the history columns that the log file will have."""
        self._columns = [*columns]

    def on_start(self, trainer: Any) -> None:
        """Write the log file's head, and the lines of all earlier epochs."""
        rows = trainer.history.epochs
        earlier = dict.fromkeys(key for row in rows for key in row)
        # A resumed run may measure less or more than before: keep both.
        self._columns = [*dict.fromkeys([*self._columns, *earlier])]
        make_directory(self.path.parent)
        text = self._text(self._columns) + "".join(map(self._line, rows))
        append(self.path, text.encode(), _("log of the run"), new=True)

    def on_epoch(self, trainer: Any) -> None:
        """Append the line of the last epoch to the log file."""
        text = self._line(trainer.history.epochs[-1])
        append(self.path, text.encode(), _("log of the run"))

    def _line(self, row: Mapping[str, Any]) -> str:
        return self._text([row.get(key, "") for key in self._columns])

    def _text(self, cells: Sequence[Any]) -> str:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        return line.getvalue()
