"""``chainrule lab`` on a socket, with real processes: builds, trains, loses, keeps."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.lab import protocol
from chainrule.lab.hub import PICTURES
from tests.lab.runs import circles

pytest.importorskip("uvicorn", reason="needs uvicorn: chainrule[lab]")
pytest.importorskip("websockets", reason="needs websockets: chainrule[lab]")

from websockets.sync.client import connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


class Served:
    """A lab of its own process."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "chainrule", "lab", "--no-browser", "--json"]
        self.process = subprocess.Popen(
            [*command, "--out", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.url = json.loads(line)["url"] if line else ""
        self.port = int(self.url.split(":")[2].split("/")[0]) if line else 0
        self.token = self.url.partition("token=")[2]

    def page(self, **headers: str) -> Any:
        host = f"127.0.0.1:{self.port}"
        known = {
            "Origin": f"http://{host}",
            "Cookie": f"chainrule-lab-{self.port}={self.token}",
        }
        return connect(
            f"ws://{host}/ws",
            additional_headers={**known, **headers},
            max_size=None,
            compression=None,
        )

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        __, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[Served]:
    lab = Served(folder, *options)
    try:
        yield lab
    finally:
        lab.process.kill()
        lab.process.communicate()


def heard(page: Any) -> dict[str, Any]:
    said = page.recv(timeout=60)
    kind = protocol.TEXT if isinstance(said, str) else protocol.BINARY
    head = protocol.head_of(kind, said.encode() if isinstance(said, str) else said)
    if head["type"] in PICTURES:
        tell(page, "painted", count=1)
    return head


def until(page: Any, type: str, **content: Any) -> dict[str, Any]:
    while True:
        said = heard(page)
        if said["type"] == type and content.items() <= said.items():
            return said
        assert said["type"] not in ("refused", "unbuilt") or type == said["type"], said


def tell(page: Any, type: str, **content: Any) -> None:
    page.send(json.dumps({"v": 1, "type": type, **content}))


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


def test_a_network_is_built_trained_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with served(folder) as lab:
        with lab.page() as page, lab.page() as other:
            tell(page, "build", id=1, run=circles(epochs=10**6))
            until(page, "begun", id=1)
            until(other, "built")
            tell(page, "train")
            while until(other, "status", stage="training")["step"] == 0:
                pass
            tell(other, "pause")
            step = until(page, "status", stage="paused")["step"]
            until(page, "saved", step=step)
            tell(page, "sample", id=5, row=0)
            assert until(page, "sampled", id=5)["step"] == step
        with lab.page() as later:  # a page that comes back is told all
            said = [heard(later)["type"] for __ in range(7)]
            assert {"built", "data", "status", "curves", "maps"} <= {*said}
            tell(later, "train")
            until(later, "status", stage="training")
            code, words = lab.end()
        assert code == 0
        assert f"What was trained is in {folder / '1'}" in words
    trainer = cr.Trainer.load(folder / "1")
    assert trainer.optimizer.steps >= step
    assert {p.name for p in folder.iterdir()} == {"1", "lab.toml"}


def test_a_process_that_dies_takes_nothing_with_it(tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab, lab.page() as page:
        tell(page, "build", run=circles(epochs=10**6))
        until(page, "built")
        tell(page, "step", steps=7)
        until(page, "saved", step=7)
        for child in children(lab.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        lost = until(page, "lost")
        assert (lost["code"], lost["goes_on"]) == (-signal.SIGKILL, True)
        tell(page, "again")
        tell(page, "again", id=2)  # of a second page, or a second click
        assert "being built" in until(page, "refused", id=2)["error"]["what"]["en"]
        until(page, "built")
        assert until(page, "status")["step"] == 7
        while until(page, "status", stage="training")["step"] == 7:
            pass
        tell(page, "pause")
        step = until(page, "status", stage="paused")["step"]
        until(page, "saved", step=step)


def test_a_network_that_dies_untrained_is_not_taken_for_the_one_before(
    tmp_path: Path,
) -> None:
    with served(tmp_path / "lab") as lab, lab.page() as page:
        tell(page, "build", id=1, run=circles())
        until(page, "begun", id=1)
        tell(page, "step")
        until(page, "saved", step=1)
        tell(page, "build", id=2, run=circles(epochs=7))
        until(page, "begun", id=2)
        for child in children(lab.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        assert not until(page, "lost")["goes_on"]
        tell(page, "again", id=3)
        assert "Nothing is there" in until(page, "refused", id=3)["error"]["what"]["en"]


def test_what_cannot_be_built_leaves_what_is_there(tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab, lab.page() as page:
        tell(page, "build", id=1, run=circles())
        until(page, "begun", id=1)
        wrong = {**circles(), "optimizer": {"class": "Adam", "eps": -1}}
        tell(page, "build", id=2, run=wrong)
        refused = until(page, "unbuilt", id=2)
        assert refused["error"]["problems"][0]["where"] == ["optimizer"]
        tell(page, "step", steps=2)
        until(page, "status", stage="paused", step=2)


def test_a_build_that_does_not_end_is_cancelled_and_killed(tmp_path: Path) -> None:
    with served(tmp_path / "lab") as lab, lab.page() as page, lab.page() as other:
        tell(page, "build", id=1, run=circles(epochs=10**6))
        until(page, "begun", id=1)
        tell(page, "step", steps=3)
        until(page, "saved", step=3)
        tell(page, "cancel", id=2)
        assert (
            "No network is being" in until(page, "refused", id=2)["error"]["what"]["en"]
        )
        huge = circles()
        huge["data"]["samples"] = 10**7
        tell(page, "build", id=3, run=huge)
        until(other, "building", active=True)
        before = {*children(lab.process.pid)}
        tell(other, "cancel", id=4)  # of another tab
        error = until(page, "unbuilt", id=3)["error"]
        assert error["what"]["en"] == "The build was cancelled."
        until(other, "building", active=False)
        deadline = time.monotonic() + 60
        while len({*children(lab.process.pid)} & before) == len(before):
            assert time.monotonic() < deadline, "the process that builds is there"
        with lab.page() as later:
            assert until(later, "status")["step"] == 3
        tell(page, "step")
        until(page, "saved", step=4)
        tell(page, "build", id=5, run=circles())
        until(page, "begun", id=5)


def test_a_table_is_examined_by_a_process_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    rows = "".join(
        f"{i},{i % 12 + 1:02d}/{i % 12 + 1:02d}/2024,{i % 2}\n" for i in range(40)
    )
    (folder / "data-x.csv").write_text(f"size,sold,<script>\n{rows}")
    (folder / "data-bad.csv").write_bytes(b"\0\1\2" * 100)
    with served(folder) as lab, lab.page() as page:
        tell(page, "examine", id=1, source="data-x.csv")
        found = until(page, "examined", id=1)
        assert found["target"] == "<script>"
        assert [c["name"] for c in found["columns"]] == ["size", "sold", "<script>"]
        (question,) = found["questions"]
        assert question["answers"][:2] == [
            {"dtype": {"sold": "dmy"}},
            {"dtype": {"sold": "mdy"}},
        ]
        assert "dtype" not in found["run"]["data"]
        run = found["run"]
        run["data"]["dtype"] = {"sold": "dmy"}
        tell(page, "build", id=2, run=run)
        until(page, "begun", id=2)
        tell(page, "examine", id=3, source="data-bad.csv")
        assert until(page, "refused", id=3)["error"]["kind"] == "DataError"


@pytest.mark.slow
def test_what_is_wrong_with_an_upload_names_it_as_people_do(tmp_path: Path) -> None:
    """Neither the lab's folder nor its own name of the file, whatever is wrong."""
    folder = tmp_path / "lab"
    (folder / "data-zoo" / "cat").mkdir(parents=True)
    (folder / "data-zoo" / "dog").mkdir()
    bad: dict[str, bytes] = {
        "a.csv": b"\0\1\2" * 100,
        "b.csv": b"",
        "c.csv": b"x,y\n1,2\n3\n4,5,6\n",
        "d.csv": b"x,x\n1,2\n",
        "e.txt": b"abc",
        "f.csv": b"x,y\n\xff\xfe,2\n",
        "zoo/cat/1.png": b"no image",
        "zoo/dog/2.png": b"no image",
    }
    for name, content in bad.items():
        (folder / f"data-{name}").write_bytes(content)
    with served(folder) as lab, lab.page() as page:
        said = []
        for id, name in enumerate(bad, 1):
            source = "data-" + name.split("/")[0]
            tell(page, "examine", id=id, source=source)
            answer = next(
                m for m in iter(lambda: heard(page), None) if m.get("id") == id
            )
            if answer["type"] == "refused":
                said.append(json.dumps(answer["error"], ensure_ascii=False))
            data = {"source": source} | ({} if "zoo" in name else {"target": "x"})
            layers = [{"class": "Flatten"}, {"class": "Linear"}]
            run = {"data": data, "model": {"layers": layers}}
            tell(page, "build", id=100 + id, run=run)
            said.append(json.dumps(until(page, "unbuilt", id=100 + id)["error"]))
    assert len(said) > len(bad)
    assert not [text for text in said if str(folder) in text or "data-" in text]
    assert any("a.csv" in text for text in said)


def test_a_port_in_use_leads_to_the_next_one(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with served(tmp_path / "a", "--port", str(taken.getsockname()[1])) as lab:
            __, words = lab.process.communicate(timeout=60)
            assert lab.process.returncode == 2
            assert "is in use" in words
    with served(tmp_path / "b") as one, served(tmp_path / "c") as two:
        assert one.port != two.port
        assert one.token != two.token


def test_a_target_that_is_none_is_said_in_the_terminal(tmp_path: Path) -> None:
    with served(tmp_path / "lab", "no-such-thing") as lab:
        __, words = lab.process.communicate(timeout=60)
        assert lab.process.returncode == 2
        assert "no-such-thing" in words


def test_a_run_file_is_opened_and_changed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "a,b\n" + "".join(f"{i},{2 * i}\n" for i in range(40))
    )
    text = '[data]\nsource = "x.csv"\ntarget = "b"\n[model]\nlayers = ["Linear"]\n'
    (tmp_path / "run.toml").write_text(text)
    with (
        served(tmp_path / "lab", str(tmp_path / "run.toml")) as lab,
        lab.page() as page,
    ):
        built = until(page, "built")
        assert built["run"]["data"]["source"] == "x.csv"
        tell(page, "build", id=1, run={**built["run"], "training": {"epochs": 2}})
        until(page, "begun", id=1)
        other = {**built["run"], "data": {**built["run"]["data"], "source": "y.csv"}}
        tell(page, "build", id=2, run=other)
        assert until(page, "unbuilt", id=2)["error"]["what"]["en"] == (
            "The lab has no such data."
        )
    assert (
        not (tmp_path / "lab" / "lab.toml").exists()
        or text not in (tmp_path / "lab" / "lab.toml").read_text()
    )
