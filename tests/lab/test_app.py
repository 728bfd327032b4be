"""The application: who may see it, and what it takes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs starlette: chainrule[lab]")

from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from chainrule.lab import app as application
from chainrule.lab import hub, protocol, uploads
from chainrule.lab.gate import Gate
from chainrule.lab.lab import Lab
from chainrule.lab.texts import _TEXTS, texts

PORT, TOKEN = 8642, "t" * 32
HOST = f"127.0.0.1:{PORT}"
OURS = {"host": HOST, "origin": f"http://{HOST}"}
KNOWN = {**OURS, "cookie": f"chainrule-lab-{PORT}={TOKEN}"}
PAGE = resources.files("chainrule.lab") / "page"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    app = application.application(Lab(tmp_path / "lab"), Gate(PORT, TOKEN))
    with TestClient(app, base_url=f"http://{HOST}") as made:
        yield made


# -- the page --------------------------------------------------------------------------


def test_the_token_opens_the_page_and_becomes_a_cookie(client: Any) -> None:
    page = client.get(f"/?token={TOKEN}")
    assert page.status_code == 200
    cookie = page.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert client.get("/js/main.js").status_code == 200  # with the cookie alone


@pytest.mark.parametrize("path", ["/", "/js/main.js", "/lab.css", "/?token=x", "/ws"])
def test_without_the_token_nothing_is_seen(client: Any, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 403
    assert TOKEN not in page.text + str(page.headers)


def test_the_token_opens_the_page_alone(client: Any) -> None:
    assert client.get(f"/js/main.js?token={TOKEN}").status_code == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "", "[::1]"],
)
def test_another_host_is_refused(client: Any, host: str) -> None:
    headers = {**KNOWN, "host": host}
    assert client.get("/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        f"https://{HOST}",
        f"http://localhost:{PORT}",
        "http://127.0.0.1:80",
        f"http://{HOST}.evil.example",
        "http://[",
    ],
)
def test_another_origin_is_refused(client: Any, origin: str) -> None:
    headers = {**KNOWN, "origin": origin}
    assert client.get("/", headers=headers).status_code == 403
    assert client.post("/upload?name=a.csv", headers=headers).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/ws", headers=headers),
    ):
        pass


@pytest.mark.parametrize("name", ["host", "origin"])
@pytest.mark.parametrize("first", [True, False])
def test_a_second_host_or_origin_is_refused(
    client: Any, name: str, first: bool
) -> None:
    evil = (name, "http://evil.example" if name == "origin" else "evil.example")
    headers = [evil, *KNOWN.items()] if first else [*KNOWN.items(), evil]
    assert client.get("/", headers=headers).status_code == 403
    assert client.post("/upload?name=a.csv", headers=headers).status_code == 403


@pytest.mark.parametrize("missing", ["origin", "cookie"])
def test_a_socket_and_an_upload_need_all(client: Any, missing: str) -> None:
    headers = {k: v for k, v in KNOWN.items() if k != missing}
    assert client.post("/upload?name=a.csv", headers=headers).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/ws", headers=headers),
    ):
        pass


@pytest.mark.parametrize(
    "path",
    [
        "/../lab.py",
        "/..%2flab.py",
        "/js/../../lab.py",
        "/%2e%2e/app.py",
        "//etc/passwd",
    ],
)
def test_only_files_of_the_page_are_served(client: Any, path: str) -> None:
    assert client.get(path, headers=KNOWN).status_code in (403, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_a_page_is_read_alone(client: Any, method: str) -> None:
    assert client.request(method, "/", headers=KNOWN).status_code == 405


def test_nothing_from_elsewhere_may_run(client: Any) -> None:
    policy = client.get("/", headers=KNOWN).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    html = (PAGE / "index.html").read_text("utf-8")
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\bsrc=)", html)
    for kind in ("html", "css", "js"):
        for name, (__, content) in application.page_files().items():
            if name.endswith(kind) and "vendor" not in name:
                found = re.findall(r"https?://[\w./]+", content.decode())
                assert set(found) <= {"http://www.w3.org/2000/svg"}, name


def test_scripts_never_make_markup_of_text() -> None:
    for name, (kind, content) in application.page_files().items():
        if kind == "text/javascript":
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|"
                r"new Function",
                content.decode(),
            ), name


def test_files_of_the_page_are_short() -> None:
    for name, (kind, content) in application.page_files().items():
        if kind == "text/javascript" and "vendor" not in name:
            assert content.count(b"\n") <= 500, name


# -- texts -----------------------------------------------------------------------------


def test_the_page_says_what_there_is_to_say() -> None:
    scripts = "".join(
        content.decode()
        for name, (kind, content) in application.page_files().items()
        if kind == "text/javascript" and "vendor" not in name
    )
    html = (PAGE / "index.html").read_text("utf-8")
    used = {*re.findall(r'data-(?:text|label)="(\w+)"', html)}
    used |= {*re.findall(r'\bt\("(\w+)"', scripts)}
    assert used <= _TEXTS.keys(), used - _TEXTS.keys()
    quoted = {*re.findall(r'"(\w+)"', scripts)}
    starts = tuple(re.findall(r"\bt\(`(\w+_)\$", scripts))
    unused = {
        key for key in _TEXTS if key not in used | quoted and not key.startswith(starts)
    }
    assert not unused
    assert texts("zh-TW").keys() == _TEXTS.keys()


# -- the socket ------------------------------------------------------------------------


def test_a_page_is_greeted(client: Any) -> None:
    with client.websocket_connect("/ws", headers=KNOWN) as socket:
        hello = socket.receive_json()
        assert (hello["v"], hello["type"], hello["busy"]) == (1, "hello", False)
        assert "Linear" in hello["choices"]["layers"]
        assert hello["choices"]["optimizers"]["Adam"]["options"][0]["name"] == "lr"


def test_what_cannot_be_done_is_said_to_the_page(client: Any) -> None:
    with client.websocket_connect("/ws", headers=KNOWN) as socket:
        socket.receive_json()
        for text in ("{", '{"v": 1, "type": "train", "id": 7}'):
            socket.send_text(text)
            assert socket.receive_json()["type"] == "refused"
        content = {"v": 1, "type": "examine", "id": 8, "source": "../x.csv"}
        socket.send_json(content)
        refused = socket.receive_json()
        assert (refused["id"], refused["error"]["what"]["en"]) == (
            8,
            "The lab has no such data.",
        )


def test_a_message_that_is_too_large_ends_the_connection(client: Any) -> None:
    with client.websocket_connect("/ws", headers=KNOWN) as socket:
        socket.receive_json()
        socket.send_text(" " * (protocol.LARGEST + 1))
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == application.TOO_LARGE


def test_so_many_pages_and_no_more(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "PAGES", 1)
    with client.websocket_connect("/ws", headers=KNOWN) as first:
        first.receive_json()
        with client.websocket_connect("/ws", headers=KNOWN) as second:
            with pytest.raises(WebSocketDisconnect) as closed:
                second.receive_json()
            assert closed.value.code == application.BUSY
        first.send_text("{")
        assert first.receive_json()["type"] == "refused"


# -- uploads ---------------------------------------------------------------------------


def upload(client: Any, name: str, content: bytes) -> Any:
    return client.post("/upload", params={"name": name}, content=content, headers=KNOWN)


def test_a_table_is_kept(client: Any, tmp_path: Path) -> None:
    answer = upload(client, "a b.csv", b"x,y\n1,2\n")
    assert answer.json() == {"v": 1, "type": "uploaded", "source": "data-a b.csv"}
    assert (tmp_path / "lab" / "data-a b.csv").read_bytes() == b"x,y\n1,2\n"
    assert [p.name for p in (tmp_path / "lab").iterdir()] == ["data-a b.csv"]


@pytest.mark.parametrize("name", ["", "x.py", "../../x", "x.zip"])
def test_what_is_no_data_is_refused(client: Any, tmp_path: Path, name: str) -> None:
    answer = upload(client, name, b"import os")
    assert answer.status_code == 422
    assert answer.json()["error"]["expected"]["en"]
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_large_upload_is_refused_and_leaves_nothing(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "LARGEST", 1000)
    answer = upload(client, "x.csv", b"1" * 1001)
    assert answer.status_code == 422
    assert answer.json()["error"]["what"]["en"] == "The upload is too large."
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_an_evil_archive_is_refused_on_its_way(client: Any, tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("../../cat/1.png", b"1")
    assert upload(client, "x.zip", file.getvalue()).status_code == 422
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
