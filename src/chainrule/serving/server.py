"""``chainrule serve``: the application on a socket, until it is told to stop."""

from __future__ import annotations

import errno
import gc
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chainrule.engines import EngineName
from chainrule.errors import ArgumentError
from chainrule.serving.app import LARGEST, application, missing, need_starlette
from chainrule.serving.slow_clients import SECONDS, Patience, protocol
from chainrule.text import _

#: Seconds that requests may take to end after the signal to stop.
GRACE = 10
#: Seconds after which a thread of Python gives way to another one. A model is loaded
#: beside the requests, which would wait for the usual 5 ms again and again.
SWITCH = 5e-4


def serve(
    run: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    engine: EngineName = "auto",
    largest: int = LARGEST,
    read_timeout: float = SECONDS,
    started: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a run until SIGINT or SIGTERM; requests that have begun are answered.

    Args:
        run: a run's directory, a checkpoint or a program file.
        host: the address; others than this machine's own let everybody in who can
            reach it.
        port: 0 for any free one.
        engine: the engine.
        largest: the bytes of the largest request.
        read_timeout: the seconds in which the head of a request must come, and then its
            content, which has one more for every 1,000 bytes.
        started: called with the address when requests are taken.

    Raises:
        ArgumentError: a package that is missing; an address that is not to be had.
        CheckpointError: nothing there that can be read.
    """
    need_starlette()
    try:
        import uvicorn
    except ImportError as error:
        raise missing("uvicorn", error) from error
    with listening(host, port) as listener:
        app = application(
            run, engine=engine, largest=largest, read_timeout=read_timeout
        )
        config = uvicorn.Config(
            app,
            http=protocol(Patience(read_timeout)),
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        server = uvicorn.Server(config)
        with _smooth(), stopped_by_signals(server):
            started(url_of(listener))
            server.run(sockets=[listener])


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
        ArgumentError: it is in use, not this machine's, or not allowed.
    """
    listener: socket.socket | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(found[0], socket.SOCK_STREAM)
        if sys.platform != "win32":  # where it means something else
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(found[4])
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        if listener is not None:
            listener.close()
        used = getattr(error, "errno", None) == errno.EADDRINUSE
        what = _("Nothing can be served at {host}, port {port}.", host=host, port=port)
        if used:
            what = _("Port {port} of {host} is in use.", port=port, host=host)
        raise ArgumentError(
            what,
            expected=_("an address of this machine, and a port that is free"),
            got=getattr(error, "strerror", None) or str(error),
            fix=_("--port 0 takes any port that is free"),
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _smooth() -> Iterator[None]:
    """Keep requests from waiting for Python: for another thread, or for its rubbish.

    A full collection looks at every object there is, while all requests wait. What is
    there before the first one stays, and is looked at no more.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)


@contextmanager
def stopped_by_signals(server: Any) -> Iterator[None]:
    """Have SIGINT and SIGTERM end the server, and nothing else.

    uvicorn listens to them only once it runs, and raises them once more when it has
    stopped, for whoever handled them before. One that comes earlier counts too.

    Args:
        server: of uvicorn.
    """

    def stop(*__: Any) -> None:
        server.should_exit = True

    numbers = signal.SIGINT, signal.SIGTERM
    before: dict[int, Any] = {n: signal.signal(n, stop) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
