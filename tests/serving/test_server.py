"""``chainrule serve`` on a socket: signals, ports, and files that are replaced."""

from __future__ import annotations

import http.client
import json
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import cli
from chainrule.serving.server import stopped_by_signals

pytest.importorskip("uvicorn", reason="needs uvicorn: chainrule[serve]")

TREE = {"age": 3.5, "kind": "oak", "planted": "2001-02-03T04:05"}
#: Requests of the load, and how many are on their way at a time.
REQUESTS, AT_A_TIME = 10_000, 16


@contextmanager
def serving(place: Path, *options: str) -> Iterator[tuple[Any, int]]:
    """A server of its own process, and its port."""
    command = [sys.executable, "-m", "chainrule", "serve", place, "--port", "0"]
    with subprocess.Popen(
        [*map(str, command), "--json", *options], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            yield server, int(url.rpartition(":")[2])
        finally:
            server.kill()


@contextmanager
def connected(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def post(connection: http.client.HTTPConnection, body: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/predict", json.dumps(body), headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_a_server_of_its_own(forest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = forest / "program.safetensors"
    with (
        serving(place, "--engine", "numpy") as (server, port),
        connected(port) as connection,
    ):
        status, answer = post(connection, TREE)
        assert (status, answer["classes"] in ("yes", "no")) == (200, True)
        # The port is in use: one message, and what there is goes on.
        assert cli.run(["serve", str(place), "--port", str(port)]) == 2
        message = capsys.readouterr().err
        assert f"Port {port} of 127.0.0.1 is in use." in message
        assert "Traceback" not in message
        assert post(connection, TREE)[1] == answer
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def test_an_address_that_is_not_ours(
    forest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(forest / "program.safetensors")
    assert cli.run(["serve", place, "--host", "192.0.2.1"]) == 2
    said = capsys.readouterr().err
    assert "Everybody who can reach 192.0.2.1" in said
    assert "Nothing can be served at 192.0.2.1" in said


def test_nothing_holds_requests_up(
    forest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full collection of all that is imported would, and a slow change of threads."""
    import gc

    import uvicorn

    from chainrule.serving import server

    def settings() -> tuple[int, float]:
        return gc.get_freeze_count(), sys.getswitchinterval()

    seen: list[Any] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: seen.append(settings()))
    before = settings()
    server.serve(forest / "program.safetensors", port=0, engine="numpy")
    ((frozen, interval),) = seen
    assert frozen > len(sys.modules) + before[0]
    assert interval < before[1]
    assert settings() == (0, before[1])


def test_a_model_that_is_replaced_is_freed_without_a_collection(forest: Path) -> None:
    """The first one is among what no collection looks at."""
    import gc
    import weakref

    from chainrule.serving.model import Served

    served = Served.load(forest / "program.safetensors", "numpy")
    weights = served.program._program.weights.values()
    known = [weakref.ref(served), *map(weakref.ref, weights)]
    del weights
    gc.disable()
    try:
        del served
        assert [ref() for ref in known] == [None] * len(known)
    finally:
        gc.enable()


# -- load ------------------------------------------------------------------------------


def constant(path: Path, value: float) -> None:
    weight = cr.tensor([value])
    model = cr.compile(lambda x: x + weight, shapes={"x": ("N", 1)})
    model.save(path, cr.ones(1, 1))


@pytest.mark.slow
def test_no_request_is_lost_or_wrong_while_the_file_is_replaced(tmp_path: Path) -> None:
    """Each answer is x plus the constant of a file that was there."""
    path = tmp_path / "model.safetensors"
    constant(path, 0.0)
    with serving(path) as (server, port):
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for i in range(REQUESTS):
            numbers.put(i)
        answers: dict[int, float] = {}
        wrong: list[Any] = []

        def work() -> None:
            with connected(port) as connection:
                while True:
                    try:
                        i = numbers.get_nowait()
                        status, answer = post(connection, {"x": [float(i % 1000)]})
                        assert status == 200, answer
                        answers[i] = answer["output"][0] - i % 1000
                    except queue.Empty:
                        return
                    except Exception as error:
                        wrong.append(error)
                        return

        threads = [threading.Thread(target=work) for __ in range(AT_A_TIME)]
        for thread in threads:
            thread.start()
        replaced = 0
        while any(thread.is_alive() for thread in threads):
            replaced += 1
            if replaced % 5 == 4:
                path.write_bytes(path.read_bytes()[:-2])  # a broken one
            else:
                constant(path, 1000.0 * replaced)
            threads[0].join(0.7)
        for thread in threads:
            thread.join()
        assert not wrong
        assert len(answers) == REQUESTS
        seen = {*answers.values()}
        assert all(value % 1000 == 0 and value <= 1000 * replaced for value in seen)
        assert len(seen) > 2
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 0


@pytest.mark.slow
def test_requests_that_have_begun_are_answered(forest: Path) -> None:
    with serving(forest / "program.safetensors") as (server, port):
        with socket.create_connection(("127.0.0.1", port)) as slow:
            body = json.dumps(TREE).encode()
            head = (
                "POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            slow.sendall(head.encode() + body[:5])
            with connected(port) as connection:
                assert post(connection, TREE)[0] == 200  # so the other has begun too
            server.send_signal(signal.SIGTERM)
            slow.sendall(body[5:])
            answer = slow.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200")
        assert server.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_server_listens_to_any_ends_it(number: int) -> None:
    class Starting:
        should_exit = False

    before = signal.getsignal(number)
    with stopped_by_signals(waiting := Starting()):
        signal.raise_signal(number)
        assert waiting.should_exit
    assert signal.getsignal(number) == before
