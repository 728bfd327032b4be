"""Handling of signals such as Ctrl-C in a training run, between two chunks."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

#: What ends a process politely, and what handles it where the user has nothing.
_DEFAULTS: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}
_DEFAULTS |= {
    getattr(signal, name): signal.SIG_DFL
    for name in ("SIGTERM", "SIGHUP")
    if hasattr(signal, name)
}


class Interrupt:
    """A context in which the first signal, such as Ctrl-C, only sets ``pending``.

    So a run ends where its weights, its optimiser and its history agree, and a
    checkpoint can be written; after the block SIGTERM and SIGHUP end the process as
    they would have. Signals can be caught in the main thread only, and a handler of the
    user's own is left alone.
    """

    def __init__(self) -> None:
        self.pending = 0
        self._installed: list[int] = []

    def __enter__(self) -> Interrupt:
        self.pending = 0
        if threading.current_thread() is threading.main_thread():
            try:
                for number, usual in _DEFAULTS.items():
                    if signal.getsignal(number) == usual:
                        self._installed.append(number)
                        signal.signal(number, self._note)
            except BaseException:  # of the user's own handler
                self.__exit__()
                raise
        return self

    def __exit__(self, *error: Any) -> None:
        came: BaseException | None = None
        while self._installed:
            try:
                number = self._installed[-1]
                signal.signal(number, _DEFAULTS[number])
                del self._installed[-1]
            except BaseException as exception:  # noqa: BLE001 - of the user's own handler
                came = exception
        if came is not None:
            raise came
        if self.pending not in (0, signal.SIGINT):
            os.kill(os.getpid(), self.pending)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self.pending = self.pending, self.pending or number
        if again:
            raise KeyboardInterrupt
