"""A run's numbers as JSON Lines: a record a line, for any program that reads text."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from typing import Any

from chainrule.errors import SaveError
from chainrule.text import _
from chainrule.tracking.configuration import Plain
from chainrule.tracking.tracker import Tracker
from chainrule.training.history import plain
from chainrule.util import validation
from chainrule.util.atomic_files import append, make_directory, open_file
from chainrule.util.keywords import strict


@strict
class JSONLines(Tracker):
    """A log of a run as JSON Lines (jsonlines.org): one object a line.

    The first line is the run's id and its configuration, ``{"run_id": …, "config":
    {…}}``; every other has the ``step`` that it is of, and numbers by name. Each line
    reaches the system as soon as it is known, so that a kill loses none before it. A
    resumed run takes back the lines of steps that come again, a torn one too, and goes
    on behind the others. A file that another run has begun anew is left to that run,
    with a warning.

    Args:
        path: the file; a new run replaces it, a resumed one goes on with it.
        log_every_n_steps: steps between two lines within an epoch; 0: epochs only.

    JSON has neither NaN nor infinity: such a value is ``null``.

    >>> from chainrule.tracking import JSONLines
    >>> log = JSONLines("log.jsonl")
    """

    def __init__(
        self, path: str | os.PathLike[str], *, log_every_n_steps: int = 0
    ) -> None:
        super().__init__(log_every_n_steps=log_every_n_steps)
        self.path = validation.path("path", path)

    def begin(self, run_id: str | None, config: Mapping[str, Plain], step: int) -> str:
        """Begin the run's file of JSON Lines, or cut it behind a step to go on."""
        kept, new = 0, run_id is None
        run_id = run_id or secrets.token_hex(8)
        self._head = f'{{"run_id": {json.dumps(run_id)}'.encode()
        if not new and self.path.exists():
            if not self._head.startswith(self._start()):  # a kill may have torn it
                raise self._of_another()
            kept = _whole(self.path, step)
            os.truncate(self.path, kept)
        if not kept:
            make_directory(self.path.parent)
            self._append({"run_id": run_id, "config": config}, new=True)
        return run_id

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Append one line to the run's JSON Lines."""
        if self._start() != self._head:
            raise self._of_another()
        self._append({"step": step, **plain(values)})

    def _append(self, record: Mapping[str, Any], *, new: bool = False) -> None:
        line = json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n"
        # Of half a character backslashreplace makes what JSON writes for it.
        content = line.encode("utf-8", "backslashreplace")
        append(self.path, content, _("log of the run"), new=new)

    def _start(self) -> bytes:
        """Return the bytes of the file where the run's id stands."""
        with open_file(self.path) as file:
            return file.read(len(self._head))

    def _of_another(self) -> SaveError:
        return SaveError(
            _("{path} is the log of another run.", path=self.path),
            expected=_("a file that this run alone writes"),
            got=_("a first line without {start}", start=self._head.decode()),
            fix=_("give each run a path of its own"),
        )


def _whole(path: os.PathLike[str], step: int) -> int:
    """Return the length of a file's whole lines that are of steps up to ``step``."""
    kept = 0
    with open_file(path) as file:
        for line in file:
            try:
                record = json.loads(line)
                if not line.endswith(b"\n") or record.get("step", 0) > step:
                    break
            except (ValueError, AttributeError, TypeError):
                break
            kept += len(line)
    return kept
