"""The thread that computes the next item: order, how far ahead, errors, clean ends."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from chainrule.data import prefetcher
from chainrule.data.prefetcher import prefetched


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "chainrule data"]


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    assert not threads()
    yield
    if threads():  # in a cycle, perhaps: looking at all objects takes long
        gc.collect()
    assert not threads()


def until(true: Callable[[], bool]) -> None:
    """Wait until something happens, which it does soon."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_items_in_order_and_the_end() -> None:
    assert list(prefetched(lambda stopped: iter(range(100)))) == list(range(100))
    empty = prefetched(lambda stopped: iter(()))
    for _ in range(2):
        assert list(empty) == []


def test_the_next_item_is_computed_while_one_is_used() -> None:
    computed: list[int] = []

    def source(stopped: object) -> Iterator[int]:
        for i in range(5):
            computed.append(i)
            yield i

    items = prefetched(source)
    assert not computed  # nothing happens before the first is asked for
    for i in items:
        # The next one is there soon, without being asked for; no other is.
        until(lambda i=i: len(computed) == min(i + 2, 5))
        time.sleep(0.01)
        assert len(computed) == min(i + 2, 5)


class Block:
    """An object that counts how many of its kind are alive."""

    alive = 0
    most = 0

    def __init__(self) -> None:
        Block.alive += 1
        Block.most = max(Block.most, Block.alive)
        weakref.finalize(self, self.dead)

    @staticmethod
    def dead() -> None:
        Block.alive -= 1


def test_two_are_alive_at_most() -> None:
    for block in prefetched(lambda stopped: (Block() for _ in range(50))):
        assert block
        time.sleep(0.001)
        del block  # the loop would hold on to it while it asks for the next
    assert Block.most == 2
    assert Block.alive == 0


def test_an_error_comes_out_where_items_are_asked_for() -> None:
    def source(stopped: object) -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    items = prefetched(source)
    assert next(items) == 1
    with pytest.raises(KeyError, match="broken") as caught:
        next(items)
    assert "source" in [entry.name for entry in caught.traceback]
    with pytest.raises(StopIteration):
        next(items)

    def broken(stopped: object) -> Iterator[int]:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        next(prefetched(broken))


def test_stopping_early_closes_the_source() -> None:
    closed = threading.Event()

    def source(stopped: Callable[[], bool]) -> Iterator[int]:
        try:
            yield from range(3)
            until(stopped)  # a source that takes long is told
        finally:
            closed.set()

    items = prefetched(source)
    assert [next(items) for _ in range(2)] == [0, 1]
    items.close()
    assert closed.is_set()
    assert not threads()
    assert list(items) == []


def test_a_source_that_hangs_does_not_hang_the_consumer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefetcher, "PATIENCE", 0.05)
    go, hangs = threading.Event(), threading.Event()

    def source(stopped: object) -> Iterator[int]:
        yield 0
        hangs.set()
        go.wait(60)
        yield 1

    items = prefetched(source)
    next(items)
    assert hangs.wait(10)
    items.close()
    (thread,) = threads()
    assert thread.daemon
    go.set()
    thread.join(10)
    assert not thread.is_alive()
