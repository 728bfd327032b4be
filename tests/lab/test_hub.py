"""What each page is told: the newest, in order, and no more than it paints."""

from __future__ import annotations

import asyncio
from typing import Any

from chainrule.lab.hub import WAITING, WINDOW, Hub, Page


async def waiting(page: Page) -> list[bytes]:
    """All that a page can be told now."""
    told: list[bytes] = []
    while True:
        try:
            message = await asyncio.wait_for(page.next(), 0.01)
        except TimeoutError:
            return told
        assert message is not None
        told.append(message[1])


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_a_page_is_told_the_newest_and_one_that_comes_later_too() -> None:
    async def work() -> None:
        hub = Hub()
        page = hub.open()
        assert page is not None
        for i in range(10):
            hub.tell("status", 0, b"s%d" % i)
            hub.tell("maps", 1, b"m%d" % i)
        page.answer((0, b"a"))
        assert await waiting(page) == [b"a", b"s9", b"m9"]
        later = hub.open()
        assert later is not None
        assert await waiting(later) == [b"s9", b"m9"]
        hub.close(page)
        hub.forget()
        third = hub.open()
        assert third is not None
        assert await waiting(third) == []

    run(work())


def test_a_page_that_does_not_paint_gets_no_more_pictures_but_all_else() -> None:
    async def work() -> None:
        hub = Hub()
        page = hub.open()
        assert page is not None
        told = []
        for i in range(20):
            hub.tell("maps", 1, b"m%d" % i)
            hub.tell("status", 0, b"s%d" % i)
            told += await waiting(page)
        assert [m for m in told if m[:1] == b"m"] == [b"m%d" % i for i in range(WINDOW)]
        assert [m for m in told if m[:1] == b"s"] == [b"s%d" % i for i in range(20)]
        page.painted(1)
        assert await waiting(page) == [b"m19"]

    run(work())


def test_a_page_that_asks_and_does_not_read_is_left() -> None:
    async def work() -> None:
        page = Page()
        for __ in range(WAITING + 1):
            page.answer((0, b"a"))
        assert await page.next() is None

    run(work())
