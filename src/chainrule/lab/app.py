"""The application: the page, its files, and the WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from importlib import resources
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError, ChainruleError
from chainrule.lab import hub, protocol, uploads
from chainrule.lab.choices import choices
from chainrule.lab.exploring import outlines
from chainrule.lab.gate import HEADERS, Gate
from chainrule.lab.lab import Lab
from chainrule.lab.texts import texts
from chainrule.serving.slow_clients import Patience
from chainrule.text import _, ngettext
from chainrule.text.catalogue import current
from chainrule.text.languages import LANGUAGES
from chainrule.version import __version__

if TYPE_CHECKING:
    from starlette.applications import Starlette

#: What the files of the page are, by their endings.
KINDS = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
#: How long a request may take to come in.
PATIENCE = Patience()
#: Codes with which a WebSocket is closed: of the standard, and of ours.
REFUSED, NO_TEXT, TOO_LARGE, BUSY, SLOW = 4403, 1003, 1009, 4429, 4408


def page_files() -> dict[str, tuple[str, bytes]]:
    """Return the files of the page by path, each with its type and its bytes."""
    found: dict[str, tuple[str, bytes]] = {}
    waiting = [("", resources.files("chainrule.lab") / "page")]
    while waiting:
        path, place = waiting.pop()
        for item in place.iterdir():
            name = f"{path}{item.name}"
            if item.is_dir():
                waiting.append((f"{name}/", item))
            elif (kind := KINDS.get(item.name.rpartition(".")[2])) is not None:
                found[name] = kind, item.read_bytes()
    return found


def application(lab: Lab, gate: Gate) -> Starlette:
    """Return the web application of a lab.

    =========  =========  ==========================================================
    GET        /?token=…  the page, and a cookie with the token
    GET        /FILE      a file of the page
    POST       /upload    a table, an archive or an image: the body; ?name= its name
    WebSocket  /ws        messages, see :mod:`.protocol`
    =========  =========  ==========================================================

    Args:
        lab: what it shows.
        gate: who may see it.
    """
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocketDisconnect

    files = page_files()

    def refused(why: str, status: int = 403) -> Response:
        return Response(f"{why}\n", status, HEADERS, media_type="text/plain")

    async def page(request: Any) -> Response:
        if not gate.host(request.headers):
            return refused("This name is not that of the lab.")
        if not gate.origin(request.headers, needed=False):
            return refused("This site is not the lab.")
        known = gate.knows(request.cookies.get(gate.cookie))
        given = gate.knows(request.query_params.get("token"))
        name = request.path_params.get("path") or "index.html"
        if not known and not (given and name == "index.html"):
            return refused("Open the address that chainrule lab printed.")
        if name not in files:
            return refused("There is no such file.", 404)
        kind, content = files[name]
        headers = dict(HEADERS)
        if given:
            headers["set-cookie"] = gate.set_cookie()
        return Response(content, 200, headers, media_type=kind)

    async def upload(request: Any) -> Response:
        allowed = (
            gate.host(request.headers)
            and gate.origin(request.headers, needed=True)
            and gate.knows(request.cookies.get(gate.cookie))
        )
        if not allowed:
            return refused("Only the lab's own page uploads files.")
        name = request.query_params.get("name", "")[:1000]
        try:
            drop = request.query_params.get("drop", "")[:100]
            source = await _received(lab, request, name, drop)
        except ChainruleError as error:
            content = protocol.said("refused", error=protocol.error_of(error))
            return Response(content, 422, HEADERS, media_type="application/json")
        except TimeoutError:
            headers = {**HEADERS, "connection": "close"}
            return Response("too slow\n", 408, headers, media_type="text/plain")
        except ClientDisconnect:  # nobody reads the answer
            return refused("gone", 400)
        content = protocol.said("uploaded", source=source)
        return Response(content, 200, HEADERS, media_type="application/json")

    async def socket(socket: Any) -> None:
        headers, cookies = socket.headers, socket.cookies
        allowed = (
            gate.host(headers)
            and gate.origin(headers, needed=True)
            and gate.knows(cookies.get(gate.cookie))
        )
        if not allowed:
            await socket.close(REFUSED)
            return
        await socket.accept()
        opened = lab.hub.open()
        if opened is None:
            await socket.close(BUSY)
            return
        try:
            await socket.send_text(_hello(lab).decode())
            await _converse(lab, socket, opened)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the page is gone
        finally:
            lab.left(opened)

    app = Starlette(
        routes=[
            WebSocketRoute("/ws", socket),
            Route("/upload", upload, methods=["POST"]),
            Route("/", page, methods=["GET"]),
            Route("/{path:path}", page, methods=["GET"]),
        ]
    )
    app.state.lab, app.state.gate = lab, gate
    return app


async def _received(lab: Lab, request: Any, name: str, drop: str) -> str:
    """Keep what a request uploads; return the name of the data it belongs to.

    Raises:
        ChainruleError: it is too large, or of a kind that the lab does not read.
    """
    from starlette.concurrency import run_in_threadpool

    uploads.kind_of(name)
    left = await run_in_threadpool(lab.room.left)
    most = min(uploads.LARGEST, left)
    uploads.made(lab.folder)
    with uploads.refusing(lab.folder):
        content = tempfile.TemporaryFile(dir=lab.folder)  # noqa: SIM115 - just below
    with content:
        size = 0
        async with PATIENCE.reading() as reading:
            async for part in request.stream():
                size += len(part)
                reading.has(size)
                if size > most:
                    raise ArgumentError(
                        _("The upload is too large."),
                        expected=ngettext(
                            "at most {n:,} byte", "at most {n:,} bytes", n=most
                        ),
                        got=_("more"),
                        fix=_("take fewer rows or smaller images"),
                    )
                with uploads.refusing(lab.folder):
                    content.write(part)
        with uploads.refusing(lab.folder):
            content.seek(0)
        await run_in_threadpool(lab.drops.begin, name, drop)
        source = await run_in_threadpool(uploads.keep, lab.folder, name, content)
        lab.room.taken(name, size)
        lab.called.came(source, name)
        return source


def _hello(lab: Lab) -> bytes:
    """Return the first message to a page: what it says, and what can be chosen."""
    return protocol.said(
        "hello",
        version=__version__,
        texts={name: texts(name) for name in LANGUAGES},
        lang=current(),
        choices=choices(),
        explorations=outlines(),
        **lab.hello(),
    )


async def _converse(lab: Lab, socket: Any, page: hub.Page) -> None:
    """Tell a page what is new, and do what it asks, until it is gone."""

    async def speak() -> None:
        while (message := await page.next()) is not None:
            await hub.send(socket, message)
        await socket.close(SLOW)

    speaking = asyncio.create_task(speak())
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                await socket.close(NO_TEXT)
                return
            if len(text) > protocol.LARGEST:
                await socket.close(TOO_LARGE)
                return
            lab.asked(page, text)
    finally:
        speaking.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await speaking
