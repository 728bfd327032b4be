"""The model that is served now, and its replacement when its file changes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from chainrule.errors import ChainruleError
from chainrule.serving.model import Served
from chainrule.training import checkpoint

#: Seconds between two looks at the file.
PAUSE = 0.5


class Service:
    """A model, loaded from a file that may be replaced while it is served.

    Where the file has changed, the new one is loaded and compiled by a thread, and
    takes the old one's place at once. Requests that came before are answered by the
    old one; where the new file cannot be read, all are, and ``problem`` says why.

    Args:
        place: a run's directory, a checkpoint or a program file.
        engine: the name of the engine.

    Attributes:
        served: the model.
        replaced: how often it was.
        problem: why the newest file is not served; None where it is.
        since: when the present one was loaded, in seconds since 1970.

    Raises:
        CheckpointError: nothing there that can be read.
    """

    def __init__(self, place: str | os.PathLike[str], engine: str = "auto") -> None:
        self.place, self.engine = Path(place), engine
        self.replaced = 0
        self.problem: str | None = None
        self._seen, self._looked = _state(self.place), time.monotonic()
        self._lock = threading.Lock()
        self._loading: threading.Thread | None = None
        self.served, self.since = Served.load(self.place, engine), time.time()

    def now(self) -> Served:
        """Return the model for a request; look after its file now and then."""
        if time.monotonic() - self._looked > PAUSE:
            self.look()
        return self.served

    def look(self) -> None:
        """Begin to load the file, if it has changed."""
        self._looked = time.monotonic()
        with self._lock:
            loading = self._loading is not None and self._loading.is_alive()
            state = _state(self.place)
            if loading or state == self._seen:
                return
            self._seen = state
            self._loading = threading.Thread(target=self._load, daemon=True)
            self._loading.start()

    def settle(self) -> None:
        """Wait until a file that is being loaded is served, or refused."""
        if self._loading is not None:
            self._loading.join()

    def _load(self) -> None:
        try:
            served = Served.load(self.place, self.engine)
        except ChainruleError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001 - the old one goes on
            self.problem = f"{type(error).__name__}: {error}"
        else:
            self.served, self.since, self.problem = served, time.time(), None
            self.replaced += 1

    def health(self) -> dict[str, Any]:
        """Return the answer to ``/health``, as JSON's types."""
        program = self.served.program
        return {
            "status": "ok" if self.problem is None else "degraded",
            "model": self.served.name,
            "engine": program.engine,
            "loaded": self.since,
            "replaced": self.replaced,
            "problem": self.problem,
        }


def _state(place: Path) -> Any:
    """Return a file's time, size and number, which change with its content."""
    try:
        about = os.stat(checkpoint.locate(place))
    except OSError as error:
        return error.errno
    return about.st_mtime_ns, about.st_size, about.st_ino
