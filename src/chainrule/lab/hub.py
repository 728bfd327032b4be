"""The pages that are open: what each is told, and what a new one is told first.

Messages about the state of things replace each other: of each type the newest counts,
and a page that opens, or comes back, gets those. A page says which pictures it has
painted; to one that paints slowly, or is hidden, few are on their way, so what it is
told of the run is never old, and no other page waits for it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from chainrule.lab.protocol import BINARY, TEXT

#: Pages that may be open at once.
PAGES = 32
#: Answers that may wait for one page; one that asks faster than it reads is left.
WAITING = 256

#: Messages that a page paints, and how many of them may be on their way to it.
PICTURES, WINDOW = ("data", "curves", "maps", "confusion"), 4

Kept = tuple[int, bytes]


class Page:
    """A page that is open: what it has yet to be told."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, Kept] = OrderedDict()
        self._answers: list[Kept] = []
        self._wake = asyncio.Event()
        self.slow = False
        self._flying = 0

    def painted(self, count: int) -> None:
        """Note that the page has painted so many pictures: others may follow."""
        self._flying = max(0, self._flying - count)
        self._wake.set()

    def tell(self, type: str, message: Kept) -> None:
        """Tell it the newest state; an older one of the type that waits is dropped."""
        self._newest.pop(type, None)
        self._newest[type] = message
        self._wake.set()

    def answer(self, message: Kept) -> None:
        """Tell it what it has asked for."""
        if len(self._answers) >= WAITING:
            self.slow = True
        else:
            self._answers.append(message)
        self._wake.set()

    async def next(self) -> Kept | None:
        """Return what it is told next; None for a page that does not read."""
        while not self.slow:
            if self._answers:
                return self._answers.pop(0)
            for type in self._newest:
                picture = type in PICTURES
                if not picture or self._flying < WINDOW:
                    self._flying += picture
                    return self._newest.pop(type)
            self._wake.clear()
            await self._wake.wait()
        return None


class Hub:
    """All pages that are open, and the newest message of each type."""

    def __init__(self) -> None:
        self.pages: set[Page] = set()
        self.kept: dict[str, Kept] = {}

    def open(self) -> Page | None:
        """Return a new page, which is told the newest of all; None: too many."""
        if len(self.pages) >= PAGES:
            return None
        page = Page()
        self.pages.add(page)
        for type, message in self.kept.items():
            page.tell(type, message)
        return page

    def close(self, page: Page) -> None:
        """Forget a page."""
        self.pages.discard(page)

    def tell(self, type: str, kind: int, payload: bytes) -> None:
        """Tell all pages, and those that come later."""
        self.kept[type] = kind, payload
        for page in self.pages:
            page.tell(type, (kind, payload))

    def forget(self) -> None:
        """Keep nothing of the network that was there before."""
        self.kept.clear()


async def send(socket: Any, message: Kept) -> None:
    """Send a message through a WebSocket."""
    kind, payload = message
    if kind == BINARY:
        await socket.send_bytes(payload)
    else:
        assert kind == TEXT
        await socket.send_text(payload.decode())
