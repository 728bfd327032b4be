"""Prefetching: a thread computes the next item while the current one is in use.

    consumer:  use 1 ......... use 2 ......... use 3
    thread:            make 2          make 3

At most two items are alive: the one in use and the next one.
"""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds that a consumer who stops early waits for the source to notice.
PATIENCE = 5.0


class _End:
    """The marker after the last item, with the iterator's error, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Prefetcher(Generic[T]):
    """An iterator over items that a separate thread computes in advance.

    The thread starts with the first item that is asked for, and ends with the last
    one, with an error, or with :meth:`close`. It does not keep the process alive.

    Args:
        make: opens the iterator, in the thread. It gets a function that says whether
            the consumer has stopped, for a source that takes long over one item.

    Raises:
        BaseException: whatever the iterator raises, in the consumer.

    >>> with Prefetcher(lambda stopped: iter("abc")) as letters:
    ...     print(*letters)
    a b c
    """

    def __init__(self, make: Callable[[Callable[[], bool]], Iterator[T]]) -> None:
        self._make = make
        self._ready: SimpleQueue[T | _End] = SimpleQueue()
        self._room = threading.Semaphore(1)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        if self._thread is None:
            arguments = (self._make, self._ready, self._room, self._stop)
            thread = threading.Thread(
                target=_run, args=arguments, name="chainrule data", daemon=True
            )
            thread.start()
            self._thread = thread  # one that an exception kept from starting is none
        item = self._ready.get()
        if not isinstance(item, _End):
            self._room.release()
            return item
        self._ended = True
        self._thread.join(PATIENCE)
        if item.error is not None:
            raise item.error
        raise StopIteration

    def close(self) -> None:
        """Stop the thread, which closes its iterator."""
        self._ended = True
        self._stop.set()
        self._room.release()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def __enter__(self) -> "Prefetcher[T]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _run(
    make: Callable[[Callable[[], bool]], Iterator[T]],
    ready: "SimpleQueue[T | _End]",
    room: threading.Semaphore,
    stop: threading.Event,
) -> None:
    """Run in the thread: compute items and put them into the queue."""
    error = None
    try:
        items = make(stop.is_set)
        while room.acquire() and not stop.is_set():
            try:
                ready.put(next(items))
            except StopIteration:
                break
        close = getattr(items, "close", None)
        if close is not None:
            close()
    except BaseException as caught:  # noqa: BLE001 - raised there
        error = caught
    ready.put(_End(error))
