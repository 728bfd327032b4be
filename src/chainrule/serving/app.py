"""The application: ``/predict``, ``/health``, ``/schema`` and ``/explain``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from chainrule.engines import EngineName
from chainrule.errors import ArgumentError, ChainruleError
from chainrule.serving.batching import Batcher
from chainrule.serving.explaining import nothing_to_explain, shown
from chainrule.serving.openapi import document
from chainrule.serving.results import answer, as_csv, named, said_of
from chainrule.serving.rows import RowError
from chainrule.serving.service import Service
from chainrule.serving.slow_clients import RATE, SECONDS, Patience
from chainrule.text import _, ngettext
from chainrule.util import validation
from chainrule.util.keywords import strict

if TYPE_CHECKING:
    from starlette.applications import Starlette

#: Bytes of the largest request by default.
LARGEST = 16 << 20
#: Bytes of a request from which on a thread reads it.
LARGE = 1 << 16

JSON, CSV = "application/json", "text/csv"
#: The status of a request that did not come in time.
LATE = 408


class RefusedRequestError(Exception):
    """A request that is refused, with its status.

    Args:
        status: of HTTP.
        error: what is wrong.
    """

    def __init__(self, status: int, error: ChainruleError) -> None:
        super().__init__(str(error))
        self.status, self.error = status, error


@strict
def application(
    run: str | os.PathLike[str],
    *,
    engine: EngineName = "auto",
    largest: int = LARGEST,
    read_timeout: float = SECONDS,
) -> Starlette:
    """Return a web application that serves a run, for any ASGI server or FastAPI app.

    ``app.mount("/digits", application("runs/digits"))`` puts it into another one.

    ========  ========  ================================================================
    POST      /predict  rows in JSON or CSV → predictions in the same form
    POST      /explain  one row → a training step in all numbers (of a run alone)
    GET       /health   what is served, since when, and whether a newer file is broken
    GET       /schema   OpenAPI, with the run's own columns
    ========  ========  ================================================================

    A file that is replaced is served from then on; requests go on meanwhile.

    Args:
        run: a run's directory, a checkpoint or a program file.
        engine: ``"native"``, ``"numpy"``, or ``"auto"``.
        largest: the bytes of the largest request.
        read_timeout: the seconds in which the content of a request must come; it has
            one more for every 1,000 bytes.

    Raises:
        ArgumentError: starlette is not installed.
        CheckpointError: nothing there that can be read.
    """
    need_starlette()
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response
    from starlette.routing import Route

    patience = Patience(validation.number("read_timeout", read_timeout, above=0))
    service, batcher = Service(run, engine), Batcher()

    def said(content: Any, status: int = 200) -> Response:
        # NaN and infinity, which JSON has not, are null.
        text = to_json(content, inf_nan_mode="null")
        # Of a request that is late the rest is not waited for.
        headers = {"connection": "close"} if status == LATE else None
        return Response(text, status, headers, media_type=JSON)

    async def predict(request: Any) -> Response:
        served = service.now()
        body = await _body(request, largest, patience)
        of_csv = _type_of(request, JSON, CSV) == CSV
        read = served.reader.from_csv if of_csv else served.reader.from_json
        # What takes long is for a thread: other requests go on meanwhile.
        large = len(body) > LARGE
        rows = await run_in_threadpool(read, body) if large else read(body)
        outputs = await batcher.predict(served, rows.arrays, rows.count)
        columns = said_of(rows, named(served.program, outputs))
        if rows.form == "csv":
            return Response(as_csv(served.program, columns), media_type=CSV)
        return said(answer(columns, rows.form))

    async def explain(request: Any) -> Response:
        body = await _body(request, largest, patience)
        _type_of(request, JSON)
        served = service.now()
        if served.trained is None:
            raise RefusedRequestError(404, nothing_to_explain(served))
        html = "text/html" in request.headers.get("accept", "")
        answer = await run_in_threadpool(shown, served, served.trained, body, html)
        return Response(answer, media_type="text/html") if html else said(answer)

    async def health(request: Any) -> Response:
        service.look()
        batches = {"requests": batcher.requests, "calls": batcher.calls}
        return said({**service.health(), **batches})

    async def schema(request: Any) -> Response:
        return said(document(service.now()))

    def guarded(
        answer: Callable[[Any], Awaitable[Response]],
    ) -> Callable[[Any], Awaitable[Response]]:
        async def respond(request: Any) -> Response:
            try:
                return await answer(request)
            except RefusedRequestError as refused:
                return said(_error(refused.error), refused.status)
            except RowError as error:
                return said(_error(error), 400 if error.malformed else 422)
            except ChainruleError as error:
                return said(_error(error), 422)
            except ClientDisconnect:  # nobody reads the answer
                return Response(status_code=400)

        return respond

    routes = [
        Route("/predict", guarded(predict), methods=["POST"]),
        Route("/explain", guarded(explain), methods=["POST"]),
        Route("/health", guarded(health)),
        Route("/schema", guarded(schema)),
    ]

    async def other(request: Any, error: Any) -> Response:
        status = getattr(error, "status_code", 500)
        what = getattr(error, "detail", "") or _("An internal error.")
        headers = getattr(error, "headers", None)
        text = to_json({"error": {"message": str(what)}})
        return Response(text, status, headers, media_type=JSON)

    app = Starlette(
        routes=routes, exception_handlers={HTTPException: other, Exception: other}
    )
    app.state.service, app.state.batcher = service, batcher
    return app


def need_starlette() -> None:
    """Refuse to serve where starlette or uvicorn is not installed."""
    try:
        import starlette  # noqa: F401
    except ImportError as error:
        raise missing("starlette", error) from error


def missing(package: str, error: ImportError) -> ArgumentError:
    """Return the error for a package of the extra ``serve`` that is not there."""
    return ArgumentError(
        _(
            "Runs are served by the package {name}, which is not installed.",
            name=package,
        ),
        expected=_("the extra serve"),
        got=f"{type(error).__name__}: {error}",
        fix=_("pip install 'chainrule[serve]'"),
    )


async def _body(request: Any, largest: int, patience: Patience) -> bytes:
    """Return the body of a request, which is read no further than to its limit.

    Raises:
        RefusedRequestError: it is too large, or too slow.
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    parts: list[bytes] = []
    if size <= largest:
        size = 0
        try:
            async with patience.reading() as reading:
                async for part in request.stream():
                    parts.append(part)
                    size += len(part)
                    if size > largest:
                        break
                    reading.has(size)
        except TimeoutError as error:
            raise RefusedRequestError(LATE, _late(size, patience)) from error
    if size > largest:
        raise RefusedRequestError(
            413,
            ArgumentError(
                _("The request is too large."),
                expected=ngettext(
                    "at most {n:,} byte", "at most {n:,} bytes", n=largest
                ),
                got=ngettext("{n:,} byte", "{n:,} bytes", n=size),
                fix=_("send fewer rows at a time"),
            ),
        )
    return b"".join(parts)


def _late(size: int, patience: Patience) -> ArgumentError:
    return ArgumentError(
        _("The request did not come in time."),
        expected=_(
            "all of it in {seconds:g} s, and one second more for every {rate:,} bytes",
            seconds=patience.seconds,
            rate=RATE,
        ),
        got=ngettext("{n:,} byte", "{n:,} bytes", n=size),
        fix=_("send it at once; chainrule serve RUN --read-timeout SECONDS"),
    )


def _type_of(request: Any, *known: str) -> str:
    """Return the type of a request's content; without one it is JSON."""
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind not in known:
        raise RefusedRequestError(
            415,
            ArgumentError(
                _("The request has content of another type."),
                expected=_("Content-Type: {types}", types=_(" or ").join(known)),
                got=kind,
            ),
        )
    return kind


def _error(error: ChainruleError) -> dict[str, Any]:
    """Return an error as JSON, in English."""
    said: dict[str, Any] = {
        "message": error.what,
        "expected": error.expected,
        "got": error.got,
        "fix": error.fix,
    }
    if isinstance(error, RowError):
        said |= {"row": error.row, "column": error.column}
    return {
        "error": {
            k: v if v is None or isinstance(v, int) else str(v) for k, v in said.items()
        }
    }
