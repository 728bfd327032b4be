"""Clients that send a byte now and then: they are told so, and others are answered."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainrule.errors import ArgumentError
from tests.serving.test_server import TREE, connected, post, serving

pytest.importorskip("uvicorn", reason="needs uvicorn: chainrule[serve]")

BODY = json.dumps(TREE).encode()
HEAD = (
    "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode()


@pytest.fixture(scope="module")
def port(forest: Path) -> Iterator[int]:
    place = forest / "program.safetensors"
    with serving(place, "--engine", "numpy", "--read-timeout", "1") as (_server, port):
        yield port


def trickle(connection: socket.socket, content: bytes) -> bytes:
    """Send bytes one by one, until the other side has had enough; return its answer."""
    connection.settimeout(60)
    try:
        for i in range(len(content)):
            connection.sendall(content[i : i + 1])
            time.sleep(0.05)
    except OSError:
        pass
    answer = b""
    try:
        while part := connection.recv(1 << 16):
            answer += part
    except ConnectionResetError:
        pass
    return answer


#: What comes at once, and what comes byte by byte.
SLOW = {
    "nothing at all": (b"", b""),
    "a head": (b"", HEAD),
    "a line that does not end": (b"GET /", b"x" * 400),
    "a content": (HEAD, BODY + b" " * 400),
    "a content that never begins": (HEAD, b""),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_client(port: int, kind: str) -> None:
    first, rest = SLOW[kind]
    with (
        socket.create_connection(("127.0.0.1", port)) as slow,
        connected(port) as connection,
    ):
        slow.sendall(first)
        assert post(connection, TREE)[0] == 200
        answer = trickle(slow, rest)
        assert post(connection, TREE)[0] == 200, "others are answered meanwhile"
    assert answer.startswith(b"HTTP/1.1 408 ") if first + rest else not answer
    if kind.startswith("a content"):
        assert b"did not come in time" in answer
        assert b"connection: close" in answer


def test_a_second_request_that_is_slow(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.settimeout(60)
        slow.sendall(HEAD + BODY)
        answer = b""
        while b"}" not in answer:
            answer += slow.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 200")
        assert trickle(slow, HEAD).startswith(b"HTTP/1.1 408 ")


def test_requests_that_come_in_pieces_and_behind_each_other(port: int) -> None:
    """Who takes less time than there is, is answered, whatever the pieces."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(60)
        content = (HEAD + BODY) * 2
        for i in range(0, len(content), 40):
            client.sendall(content[i : i + 40])
            time.sleep(0.02)
        answers = b""
        while answers.count(b"probabilities") < 2:
            part = client.recv(1 << 16)
            assert part, answers
            answers += part
        assert answers.count(b"HTTP/1.1 200") == 2


def test_a_long_content_has_more_time(forest: Path) -> None:
    """A thousand bytes have one more second: 400 kB may take minutes."""
    rows = json.dumps([TREE] * 4000).encode()
    head = HEAD.replace(f"Content-Length: {len(BODY)}".encode(), b"Content-Length: %d")
    with (
        serving(
            forest / "program.safetensors", "--engine", "numpy", "--read-timeout", "0.5"
        ) as (_server, port),
        socket.create_connection(("127.0.0.1", port)) as client,
    ):
        client.settimeout(60)
        client.sendall(head % len(rows))
        for i in range(4):
            client.sendall(rows[i * len(rows) // 4 : (i + 1) * len(rows) // 4])
            time.sleep(0.3)
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "1", None])
def test_no_time(forest: Path, seconds: Any) -> None:
    from chainrule.serving import application

    with pytest.raises(ArgumentError, match="read_timeout"):
        application(forest / "program.safetensors", read_timeout=seconds)
