"""The thread that makes the next item: order, how far ahead, errors, clean ends."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from chainrule.data import prefetcher
from chainrule.data.prefetcher import Prefetcher


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


def test_items_in_order() -> None:
    assert list(Prefetcher(lambda stopped: iter(range(100)))) == list(range(100))
    assert list(Prefetcher(lambda stopped: iter(()))) == []


def test_it_stays_at_its_end() -> None:
    items = Prefetcher(lambda stopped: iter("a"))
    assert next(items) == "a"
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(items)


def test_the_next_item_is_made_while_one_is_used() -> None:
    made: list[int] = []

    def source(stopped: object) -> Iterator[int]:
        for i in range(5):
            made.append(i)
            yield i

    with Prefetcher(source) as items:
        assert not made  # nothing happens before the first is asked for
        for i in items:
            # The next one is there soon, without being asked for; no other is.
            until(lambda i=i: len(made) == min(i + 2, 5))
            time.sleep(0.01)
            assert len(made) == min(i + 2, 5)


class Block:
    """Something that knows how many of it are alive."""

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
    def source(stopped: object) -> Iterator[Block]:
        for _ in range(50):
            yield Block()

    with Prefetcher(source) as items:
        for block in items:
            assert block
            time.sleep(0.001)
            del block  # the loop would hold on to it while it asks for the next
    assert Block.most == 2
    assert Block.alive == 0


def test_an_error_comes_out_where_items_are_asked_for() -> None:
    def source(stopped: object) -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    items = Prefetcher(source)
    assert next(items) == 1
    with pytest.raises(KeyError, match="broken") as caught:
        next(items)
    assert "source" in [entry.name for entry in caught.traceback]
    with pytest.raises(StopIteration):
        next(items)

    def broken(stopped: object) -> Iterator[int]:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        next(Prefetcher(broken))


def test_stopping_early_closes_the_source() -> None:
    closed = threading.Event()

    def source(stopped: object) -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    with Prefetcher(source) as items:
        assert [next(items) for _ in range(3)] == [0, 1, 2]
    assert closed.is_set()
    assert not threads()
    with pytest.raises(StopIteration):
        next(items)


def test_closing_what_never_began() -> None:
    items = Prefetcher(lambda stopped: iter("abc"))
    items.close()
    items.close()
    assert list(items) == []


def test_a_source_that_takes_long_is_told() -> None:
    def source(stopped: Callable[[], bool]) -> Iterator[int]:
        yield 0
        until(stopped)

    started = time.monotonic()
    with Prefetcher(source) as items:
        next(items)
    assert time.monotonic() - started < 5
    assert not threads()


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

    with Prefetcher(source) as items:
        next(items)
        assert hangs.wait(10)
    (thread,) = threads()
    assert thread.daemon
    go.set()
    thread.join(10)
    assert not thread.is_alive()
