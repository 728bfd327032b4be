"""A lab of its own process under attack, while it trains: the run goes on."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chainrule.lab import hub, uploads
from tests.browsers import browsing
from tests.lab.runs import circles
from tests.lab.test_browser import Browser
from tests.lab.test_server import Served, heard, served, tell, until

pytestmark = pytest.mark.slow
CONNECTIONS = 1000


@contextlib.contextmanager
def training(folder: Path) -> Iterator[tuple[Served, Any]]:
    """A lab that trains; in the end it must still do, and still answer."""
    with served(folder) as lab, lab.page() as page:
        tell(page, "build", id=1, run=circles(epochs=10**8))
        until(page, "begun", id=1)
        tell(page, "train")
        step = until(page, "status", stage="training")["step"]
        yield lab, page
        while until(page, "status", stage="training")["step"] <= step:
            pass
        tell(page, "pause")
        until(page, "status", stage="paused")
        tell(page, "sample", id=9, row=0)
        until(page, "sampled", id=9)
        assert lab.end()[0] == 0


def upgrade(lab: Served, token: str) -> bytes:
    host = f"127.0.0.1:{lab.port}"
    return (
        f"GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        f"Cookie: chainrule-lab-{lab.port}={token}\r\n\r\n"
    ).encode()


def test_a_thousand_connections_stop_no_run(tmp_path: Path) -> None:
    with training(tmp_path / "lab") as (lab, __):
        ways = {
            "idle": b"",
            "half a head": b"GET / HTTP/1.1\r\nHost: ",
            "no token": upgrade(lab, "x"),
            "the token": upgrade(lab, lab.token),
            "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        }
        sockets: dict[str, list[socket.socket]] = {name: [] for name in ways}
        for i in range(CONNECTIONS):
            name = [*ways][i % len(ways)]
            connection = socket.create_connection(("127.0.0.1", lab.port), 30)
            connection.sendall(ways[name])
            sockets[name].append(connection)
        # Those without the token are refused; of the others so many as pages may be.
        accepted = 0
        for name in ("no token", "the token"):
            for connection in sockets[name]:
                connection.settimeout(60)
                said = connection.recv(1 << 12)
                switched = said.startswith(b"HTTP/1.1 101")
                assert switched == (name == "the token"), (name, said[:80])
                while switched and b'"hello"' not in said:
                    part = connection.recv(1 << 16)
                    said += part
                    if not part or b"\x88\x02\x11\x4d" in said:  # closed: 4429
                        break
                accepted += b'"hello"' in said
        assert accepted == hub.PAGES - 1  # and the page that watches
        for connection in (c for some in sockets.values() for c in some):
            connection.close()
        assert get(lab, "/", lab.token)[0] == 200


def get(lab: Served, path: str, token: str, body: bytes | None = None) -> Any:
    host = f"127.0.0.1:{lab.port}"
    client = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=120)
    headers = {
        "Origin": f"http://{host}",
        "Cookie": f"chainrule-lab-{lab.port}={token}",
    }
    client.request("GET" if body is None else "POST", path, body, headers)
    answer = client.getresponse()
    content = answer.read()
    client.close()
    return answer.status, content


# -- uploads ---------------------------------------------------------------------------


def png(side: int) -> bytes:
    """A picture of so many pixels a side, all alike: small as a file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum_)

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side // 8)) for __ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = chunk(b"IDAT", rows + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


#: What is sent under which name, and whether it is taken: then it must be examined.
EVIL: dict[str, tuple[str, bytes]] = {
    "a bomb": ("b.zip", archive(**{"cat/1.png": bytes(300 << 20)})),
    "a bomb of many": (
        "m.zip",
        archive(**{f"cat/{i}.png": bytes(4 << 20) for i in range(140)}),
    ),
    "an archive in an archive": (
        "n.zip",
        archive(**{"cat/1.zip": archive(**{"cat/1.png": b"1"})}),
    ),
    "a path out": ("t.zip", archive(**{"../../cat/1.png": b"1"})),
    "an absolute path": ("t2.zip", archive(**{"/tmp/cat/1.png": b"1"})),
    "a picture of 40,000 a side": ("p.zip", archive(**{"a/1.png": png(40_000)})),
    "pictures of 13,000 a side": (
        "q.zip",
        archive(**{f"{c}/{i}.png": png(13_000) for c in "ab" for i in range(4)}),
    ),
    "a name that leads out": ("../../../evil.csv", b"a,b\n1,2\n"),
    "a name of a device": ("CON.csv", b"a,b\n1,2\n"),
    "a name with NUL": ("a%00.csv", b"a,b\n1,2\n"),
    "a table of one line": ("w.csv", b",".join(b"1" for __ in range(2_000_000))),
    "a quote without end": ("u.csv", b'a,b\n"' + b"1,2\n" * 300_000),
    "a cell of 30 MB": ("c.csv", b"a,b\n1," + b"x" * (30 << 20) + b"\n2,y\n"),
    "columns of one name": ("d.csv", b"a,a,a\n" + b"1,2,3\n" * 50),
    "formulas and scripts": (
        "s.csv",
        b"a,b\n" + b'=cmd|" /C calc"!A0,<script>alert(1)</script>\n' * 40,
    ),
    "no text": ("x.csv", bytes(range(256)) * 1000),
}


def test_evil_uploads_stop_no_run_and_leave_nothing_outside(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "lab"
    folder.mkdir(parents=True)
    seen: dict[str, str] = {}
    with training(folder) as (lab, page):
        for number, (name, (called, content)) in enumerate(EVIL.items(), 100):
            path = f"/upload?name={called}"
            status, said = get(lab, path, lab.token, content)
            assert status in (200, 422), (name, status, said[:200])
            seen[name] = "refused"
            if status == 422:
                assert json.loads(said)["error"]["what"]["en"], name
                continue
            source = json.loads(said)["source"]
            tell(page, "examine", id=number, source=source)
            seen[name] = answer_to(page, number)["type"]
        assert uploads.room(folder) > 0
    outside = [
        p for p in tmp_path.rglob("*") if p.is_file() and folder not in p.parents
    ]
    assert outside == []
    refused = {name for name, how in seen.items() if how == "refused"}
    assert {
        *("a bomb", "a bomb of many", "a path out", "an absolute path"),
        *("an archive in an archive", "a picture of 40,000 a side", "no text"),
    } <= refused, seen


def answer_to(page: Any, id: int) -> dict[str, Any]:
    while True:
        if (said := heard(page)).get("id") == id:
            return said


SCRIPT = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_names_and_cells_of_an_upload_stay_text(tmp_path: Path) -> None:
    head = f'{SCRIPT},"=1+1",{SCRIPT}2\n'
    rows = "".join(f"{i},{SCRIPT}{i % 3},{'ab'[i % 2]}{SCRIPT}\n" for i in range(60))
    table = tmp_path / "<svg onload=alert(3)>.csv"
    table.write_text(head + rows)
    with browsing() as browser, served(tmp_path / "lab") as lab:
        seen = Browser((browser.new_context()).new_page())
        page, asked = seen.page, []
        page.on("dialog", lambda d: (asked.append(d.message), d.dismiss()))
        page.goto(lab.url)
        seen.until("#network-text", "parameters")
        page.set_input_files("#files", str(table))
        page.wait_for_selector("#questions button.main:enabled")
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = 1)")
        page.click("#questions button.main")
        page.click("#build")
        page.wait_for_function(  # as text it is there
            """() => document.querySelector("#confusion").textContent
              .includes("<script>")"""
        )
        page.click("#confusion button >> nth=0")
        page.click("#step")
        page.click("#open")
        page.wait_for_selector(".equation.backward")
        page.wait_for_timeout(300)
        found = page.evaluate(
            """() => [...document.querySelectorAll("img, script, svg[onload]")]
              .filter((e) => !(e.src ?? "").endsWith("js/main.js")
                && !(e.src ?? "").startsWith("blob:")).map((e) => e.outerHTML)"""
        )
        assert (asked, found, seen.errors()) == ([], [], [])


# -- what the pages of others may ask --------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Origin": "http://evil.example"}, "origin"),
        ({"Host": "evil.example"}, "host"),
        ({"Cookie": "chainrule-lab-1=x"}, "token"),
    ],
)
def test_nobody_else_cancels_a_build_or_opens_a_file(
    tmp_path: Path, headers: dict[str, str], why: str
) -> None:
    from websockets.exceptions import InvalidStatus

    own = tmp_path / "own.py"
    own.write_text("import pathlib\npathlib.Path('was-run').write_text('')\n")
    with (
        training(tmp_path / "lab") as (lab, __),
        pytest.raises(InvalidStatus) as no,
        lab.page(**headers) as page,
    ):
        tell(page, "cancel", id=1)
    assert no.value.response.status_code == 403, why
    assert not (tmp_path / "was-run").exists()
