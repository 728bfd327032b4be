"""``chainrule lab``: the lab at an address of this machine, until it is stopped."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.lab.app import PATIENCE, application
from chainrule.lab.gate import Gate
from chainrule.lab.lab import Lab
from chainrule.lab.models import Target
from chainrule.lab.protocol import LARGEST
from chainrule.runs.diagnosing import origin_named
from chainrule.serving.server import listening, stopped_by_signals
from chainrule.serving.slow_clients import protocol
from chainrule.text import _

HOST, PORT = "127.0.0.1", 8642
#: How many ports are tried, from the first on.
TRIED = 20
#: Seconds that pages have to close their connections.
GRACE = 3


def serve(
    folder: Path,
    port: int | None = None,
    *,
    target: str | None = None,
    started: Callable[[str], None] = lambda url: None,
    failed: Callable[[dict[str, Any]], None] | None = None,
) -> Path | None:
    """Serve a lab until SIGINT or SIGTERM; return where what was trained is saved.

    Args:
        folder: the lab's own, in which runs and uploads are.
        port: None for the first one that is free, from 8642 on; 0 for any.
        target: what is opened first: a run file, a recipe, a run, a checkpoint, an ONNX
            file, or FILE.py:NAME, which is run.
        started: called with the address when pages can open it.
        failed: gets the error of each network that cannot be built.

    Raises:
        ArgumentError: a package that is missing; a port that is in use; a target that
            is none.
    """
    need_packages()
    import uvicorn

    if target is not None:
        file = Target.of(target)  # what is none is said at once
        origin_named(target) if file is None else file.check()
    with _listener(port) as listener:
        lab, gate = Lab(folder, failed), Gate(listener.getsockname()[1])
        app = application(lab, gate)

        @contextlib.asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[None]:
            await lab.prepare()
            if target is not None:
                lab.open(target)
            try:
                yield
            finally:
                await lab.end()

        app.router.lifespan_context = lifespan
        config = uvicorn.Config(
            app,
            http=protocol(PATIENCE),
            ws="websockets-sansio",
            ws_max_size=LARGEST,
            ws_per_message_deflate=False,
            log_level="warning",
            access_log=False,
            lifespan="on",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = uvicorn.Server(config)
        with stopped_by_signals(server):
            started(f"http://{HOST}:{gate.port}/?token={gate.token}")
            server.run(sockets=[listener])
    return lab.saved


def _listener(port: int | None) -> socket.socket:
    """Return a socket at a port: the one that is asked for, or the first free one."""
    if port is not None:
        return listening(HOST, port)
    for tried in range(PORT, PORT + TRIED):
        try:
            return listening(HOST, tried)
        except ArgumentError:
            continue
    return listening(HOST, 0)


def need_packages() -> None:
    """Refuse to serve where a package of the extra ``lab`` is not installed."""
    for name in ("starlette", "uvicorn", "websockets"):
        try:
            __import__(name)
        except ImportError as error:
            raise ArgumentError(
                _("The lab needs the package {name}.", name=name),
                expected=_("the extra lab"),
                got=f"{type(error).__name__}: {error}",
                fix=_("pip install 'chainrule[lab]'"),
            ) from error
