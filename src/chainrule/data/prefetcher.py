"""Prefetching of data: a thread prepares the next block during the current one.

    consumer:  use 1 ......... use 2 ......... use 3
    thread:            make 2          make 3

At most two items are alive: the one in use and the next one.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

#: Seconds that a consumer who stops early waits for the source to end.
PATIENCE = 5.0


class _End:
    """The marker of the end of a prefetched iterator, with its error, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetched(make: Callable[[Callable[[], bool]], Iterator[T]]) -> Generator[T]:
    """Prefetch an iterator: yield its items, computed in advance by a thread.

    The thread starts with the first item that is asked for. It ends with the last
    item, with an error, or when the generator is closed; then it closes the iterator.

    Args:
        make: a function that opens the iterator, called in the thread. Its argument
            tells whether the consumer has stopped, for a source that takes long over
            one item.

    Raises:
        BaseException: whatever the iterator raises.

    >>> print(*prefetched(lambda stopped: iter("abc")))
    a b c
    """
    ready: SimpleQueue[T | _End] = SimpleQueue()
    room, stop = threading.Semaphore(1), threading.Event()

    def run() -> None:
        error = None
        try:
            items = make(stop.is_set)
            while room.acquire() and not stop.is_set():
                try:
                    ready.put(next(items))
                except StopIteration:
                    break
            if (close := getattr(items, "close", None)) is not None:
                close()
        except BaseException as caught:  # noqa: BLE001 - raised in the consumer
            error = caught
        ready.put(_End(error))

    thread = threading.Thread(target=run, name="chainrule data", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            room.release()
            yield item
            del item  # not alive while the consumer waits for the next one
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        room.release()
        thread.join(PATIENCE)
