"""The lab under attack: what is strange is refused, and the lab goes on."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs uvicorn: chainrule[lab]")
pytest.importorskip("websockets", reason="needs websockets: chainrule[lab]")

from starlette.websockets import WebSocketDisconnect

from chainrule.lab import app as application
from chainrule.lab import protocol, uploads
from chainrule.lab.hub import Page
from chainrule.lab.lab import Lab
from chainrule.lab.process import Process
from chainrule.lab.settings import run_file
from chainrule.lab.sharing import python
from chainrule.runs import RunFile, RunFileError
from tests.lab.runs import Asked, circles
from tests.lab.test_app import KNOWN, client
from tests.lab.test_server import served, tell, until

__all__ = ["client"]


class Alone(Lab):
    """A lab whose processes a test plays: none is started."""

    def _do(self, work: Any) -> None:
        work.close()

    def says(self, process: Process, type: str, **content: Any) -> None:
        self._heard(process, protocol.TEXT, protocol.said(type, **content))

    def build(self, page: Page, **run: Any) -> Process:
        self.asked(page, json.dumps({"v": 1, "type": "build", "id": 1, "run": run}))
        assert self._coming is not None
        return self._coming


def answers(page: Page) -> list[dict[str, Any]]:
    said = [json.loads(payload) for __, payload in page._answers]
    page._answers.clear()
    return said


@pytest.fixture
def lab(tmp_path: Path) -> Alone:
    return Alone(tmp_path / "lab")


def built(**content: Any) -> dict[str, Any]:
    return {"run": {}, "own": None, "name": "lab.toml", "text": "", **content}


def opened(lab: Lab) -> Page:
    page = lab.hub.open()
    assert page is not None
    return page


def saved(lab: Alone, process: Process, name: str) -> Path:
    path = lab.folder / name / "last.ckpt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    lab.says(process, "saved", path=str(path), step=1)
    return path


# -- the state -------------------------------------------------------------------------


def test_a_lost_network_never_goes_on_as_the_one_before(lab: Alone) -> None:
    page = opened(lab)
    first = lab.build(page)
    lab.says(first, "built", **built())
    saved(lab, first, "1")
    second = lab.build(page)
    lab.says(second, "built", **built())
    lab._ended(second)  # before it has saved anything
    lost = json.loads(lab.hub.kept["lost"][1])
    assert (lost["goes_on"], lost["path"]) == (False, "")
    lab.asked(page, '{"v": 1, "type": "again", "id": 2}')
    assert answers(page)[-1]["error"]["what"]["en"] == "Nothing is there to do this."
    assert lab.saved == lab.folder / "1"  # which the terminal still tells


def test_a_run_that_goes_on_keeps_its_own_data(
    lab: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, own = opened(lab), {"folder": "/x", "sources": ["x.csv"]}
    lab.open("run.toml")
    first = lab._coming
    assert first is not None
    lab.says(first, "built", **built(own=own))
    path = saved(lab, first, "1")
    lab._ended(first)
    begun: list[dict[str, Any]] = []
    monkeypatch.setattr(lab, "_start", begun.append)
    lab.asked(page, '{"v": 1, "type": "again"}')
    assert (begun[0]["own"], begun[0]["out"]) == (own, str(path.parent))


def test_what_cannot_be_built_does_not_hold_the_next_one_up(lab: Alone) -> None:
    page = opened(lab)
    wrong = lab.build(page)
    lab.says(wrong, "unbuilt", id=wrong.ticket, error={})
    right = lab.build(page)  # while the first process is still ending
    lab._ended(wrong)
    lab.says(right, "built", **built())
    assert lab.process is right


def test_what_cannot_be_opened_is_told_to_a_page_that_opens_later(lab: Alone) -> None:
    lab.open("run.toml")
    process = lab._coming
    assert process is not None
    lab.says(process, "unbuilt", id=None, error={"what": {"en": "no"}})
    lab._ended(process)
    assert lab.hello()["busy"]  # so that the page does not build a network of its own
    said = asyncio.run(opened(lab).next())
    assert said is not None
    assert json.loads(said[1])["error"] == {"what": {"en": "no"}}


def test_a_folder_that_cannot_be_written_does_not_end_the_lab(lab: Alone) -> None:
    lab.folder.write_text("a file is where the folder should be")
    page = opened(lab)
    process = lab.build(page)
    lab.says(process, "built", **built(text="[data]\n"))
    refused, begun = answers(page)
    assert "cannot be written" in refused["error"]["what"]["en"]
    assert begun["type"] == "begun"
    assert lab.process is process


def test_going_on_is_begun_once_and_its_end_is_said(lab: Alone) -> None:
    page = opened(lab)
    first = lab.build(page)
    lab.says(first, "built", **built())
    saved(lab, first, "1")
    lab._ended(first)
    answers(page)
    again = '{"v": 1, "type": "again", "id": 9}'
    lab.asked(page, again)
    process = lab._coming
    assert process is not None
    lab.asked(page, again)  # a second tab, or a second click
    assert lab._coming is process
    assert answers(page)[0]["error"]["what"]["en"] == "A network is being built."
    lab._ended(process)
    assert answers(page)[0]["id"] == 9


def test_a_process_ends_in_order_while_its_input_is_open(tmp_path: Path) -> None:
    first = {"id": 1, "folder": str(tmp_path), "out": str(tmp_path / "1")}
    payload = protocol.said("begin", **first, run={"data": {"source": "circles"}})
    with subprocess.Popen(
        [sys.executable, "-m", "chainrule.lab.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(protocol.framed(protocol.TEXT, payload))
        process.stdin.flush()
        assert process.wait(120) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


# -- messages --------------------------------------------------------------------------


def test_a_message_in_bytes_ends_the_connection(client: Any) -> None:
    with client.websocket_connect("/ws", headers=KNOWN) as page:
        page.receive_json()
        page.send_bytes(b"\0\1")
        with pytest.raises(WebSocketDisconnect) as closed:
            page.receive_json()
    assert closed.value.code == application.NO_TEXT


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_none_is_never_the_default(
    tmp_path: Path, number: str
) -> None:
    optimizer = f'{{"optimizer": {{"lr": {number}}}}}'
    text = f'{{"v": 1, "type": "build", "run": {optimizer}}}'
    message = protocol.asked(text)
    passed = protocol.passed_on("begin", run=message.run)  # pyright: ignore
    run = {**circles(), **protocol.head_of(protocol.TEXT, passed)["run"]}
    with pytest.raises(RunFileError, match="lr"):
        run_file(run, tmp_path)


# -- slow clients, and uploads ---------------------------------------------------------


def test_connections_on_which_nothing_comes_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    (tmp_path / "sitecustomize.py").write_text(
        "from chainrule.lab import app\n"
        "from chainrule.serving.slow_clients import Patience\n"
        "app.PATIENCE = Patience(1.0)\n"
    )
    with served(tmp_path / "lab") as lab, lab.page() as page:
        idle = [socket.create_connection(("127.0.0.1", lab.port)) for __ in range(50)]
        for connection in idle[::2]:
            connection.sendall(b"GET / HT")
        late = socket.create_connection(("127.0.0.1", lab.port))
        late.sendall(
            (
                f"POST /upload?name=a.csv HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\n"
                f"Origin: http://127.0.0.1:{lab.port}\r\nContent-Length: 100\r\n"
                f"Cookie: chainrule-lab-{lab.port}={lab.token}\r\n\r\nab"
            ).encode()
        )
        for connection in [*idle, late]:
            connection.settimeout(60)
            said = b""
            while part := connection.recv(1000):
                said += part
            connection.close()
            assert said == b"" or said.startswith(b"HTTP/1.1 408")
        tell(page, "doctor", id=1)  # a page that has said nothing stays
        until(page, "refused", id=1)


def test_a_folder_that_cannot_be_written_is_said(client: Any, tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("a file is where the folder should be")
    sent = client.post("/upload?name=a.csv", content=b"a,b\n", headers=KNOWN)
    assert sent.status_code == 422
    assert "cannot be written" in sent.json()["error"]["what"]["en"]


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("cat/1.png", b"1")
    (tmp_path / "data-x").write_text("a file")
    with pytest.raises(uploads.SaveError, match="cannot be written"):
        uploads.keep(tmp_path, "x.zip", file)


def test_a_folder_of_images_is_not_counted_for_each(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    usual = uploads.room

    def room(folder: Path) -> int:
        counted.append(usual(folder))
        return counted[-1]

    monkeypatch.setattr(uploads, "room", room)
    for i in range(4):
        name = f"/upload?name=pets/cat/{i}.png"
        assert client.post(name, content=b"12", headers=KNOWN).status_code == 200
    assert counted == [uploads.ALL]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("dog/1.png", b"1" * 100)
    client.post("/upload?name=x.zip", content=file.getvalue(), headers=KNOWN)
    client.post("/upload?name=a.csv", content=b"a\n", headers=KNOWN)
    assert counted == [uploads.ALL, uploads.ALL - 4 * 2 - 100]


# -- what is shared --------------------------------------------------------------------

#: Run files that people write: other orders, comments, no empty lines.
WRITTEN = {
    "model first": (
        '[model]\nlayers = [{class = "Linear", out_features = 3}, "Tanh", "Linear"]\n\n'
        '[data]\nsource = "circles"\nsamples = 100\nseed = 3\n\n'
        '[training]\nepochs = 2\nengine = "numpy"\n'
    ),
    "no empty lines": (
        '[data]\nsource = "circles"\nsamples = 100\n[model]\nlayers = ["Linear"]\n'
        '[training]\nepochs = 2\nengine = "numpy"\n'
    ),
    "comments": (
        '# My run\n\n[data]\n# points\n\nsource = "circles"\nsamples = 100\n\n'
        '[model]\nlayers = ["Linear"]\n[training]\nepochs = 2\nengine = "numpy"\n'
    ),
    "callbacks": (
        '[data]\nsource = "circles"\nsamples = 100\n\n[model]\nlayers = ["Linear"]\n\n'
        '[training]\nepochs = 9\nengine = "numpy"\n\n'
        '[[callbacks]]\nclass = "EarlyStopping"\npatience = 1\nmin_delta = 10.0\n'
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_python_of_a_run_file_trains_the_same(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "own.toml"
    file.write_text(WRITTEN[name])
    lab = Asked(tmp_path / "lab")
    lab.begin(open=str(file))
    lab.ask("train")
    lab.run()
    view, session = lab.worker.view, lab.worker.session
    assert view is not None
    assert session is not None
    assert isinstance(session.origin, RunFile)
    text = python(view, session.origin)
    found: dict[str, Any] = {}
    exec(compile(text, "run.py", "exec"), found)
    trainer = found.get("trainer") or found["session"].trainer
    ours = session.trainer
    assert trainer.optimizer.steps == ours.optimizer.steps
    for one, other in zip(ours.model.parameters(), trainer.model.parameters()):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("n = input('How many? ')", "EOFError"),
        ("import sys\nsys.stdin.buffer.raw.read()\nraise ValueError('read')", "read"),
        ("import os\nos._exit(0)", "has ended"),
        ("import os\nif os.fork():\n    os.wait()\n    raise ValueError('1')", "1"),
    ],
)
def test_a_file_that_ends_reads_or_forks_is_said_once(
    tmp_path: Path, text: str, said: str
) -> None:
    """What it reads is no message, and what it forks says nothing."""
    own = tmp_path / "own_end.py"
    own.write_text(f"{text}\n")
    with served(tmp_path / "lab", str(own)) as lab:
        with lab.page() as page:
            error = until(page, "unbuilt")["error"]
            assert said in f"{error['what']['en']} {error.get('got', {}).get('en')}"
        code, words = lab.end()
        assert code == 0
        assert words.count("  expected:") == 1, words
