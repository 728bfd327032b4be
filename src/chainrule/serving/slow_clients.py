"""Limits on the time that a request takes to come in.

A client that sends a byte now and then would keep a connection for ever. The head of a
request is read by uvicorn, its content by the application: both have as long as
:class:`Patience` says. Whoever is slower is told so (408), and the connection closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

#: Seconds that a request may take to come in.
SECONDS = 20.0
#: Bytes of content for each of which there is 1/RATE second more.
RATE = 1000

_LATE = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


@dataclass(frozen=True)
class Patience:
    """The time that a request has: its head, and then its content.

    Attributes:
        seconds: of each; the content has one more for every ``RATE`` bytes that came.
    """

    seconds: float = SECONDS

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """Limit the time of a block that reads the content of a request.

        Raises:
            TimeoutError: it took longer.
        """
        async with asyncio.timeout(self.seconds) as limit:
            yield Reading(limit, asyncio.get_running_loop().time() + self.seconds)


@dataclass
class Reading:
    """The content of a request while it is read.

    Attributes:
        limit: its time.
        end: when that would be over without any content.
    """

    limit: asyncio.Timeout
    end: float

    def has(self, size: int) -> None:
        """Give the request more time, as so many bytes have come."""
        self.limit.reschedule(self.end + size / RATE)


def protocol(patience: Patience) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol of HTTP with a limit on the head of a request.

    uvicorn itself closes connections on which nothing comes after an answer, and waits
    without an end for a head of which a part has come, or for a first request.
    """
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    Known: Any = AutoHTTPProtocol

    class Limited(Known):
        """A connection of HTTP."""

        timer: asyncio.TimerHandle | None = None
        begun = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.await_head()

        def data_received(self, data: bytes) -> None:
            if self.wants_head():
                self.begun = True
                self.await_head()
            super().data_received(data)
            if not self.wants_head():
                self.forget()

        def connection_lost(self, exc: Exception | None) -> None:
            self.forget()
            super().connection_lost(exc)

        def handle_websocket_upgrade(self, *event: Any) -> None:
            self.forget()  # what comes next is no request
            super().handle_websocket_upgrade(*event)

        def wants_head(self) -> bool:
            """Return whether what comes next is a new request."""
            return self.cycle is None or self.cycle.response_complete

        def await_head(self) -> None:
            if self.timer is None:
                self.timer = self.loop.call_later(patience.seconds, self.is_late)

        def forget(self) -> None:
            if self.timer is not None:
                self.timer.cancel()
                self.timer, self.begun = None, False

        def is_late(self) -> None:
            if not self.transport.is_closing():
                if self.begun:
                    self.transport.write(_LATE)
                self.transport.close()

    return Limited
