"""The book's explorations in the lab: what they find, and what takes their place."""

from __future__ import annotations

import io
import queue
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chainrule.book import experiments
from chainrule.lab import protocol
from chainrule.lab.exploring import Explorer, outlines
from chainrule.lab.worker import Worker
from chainrule.viz import can_plot


def question(name: str, **content: Any) -> dict[str, Any]:
    usual = {"seed": 0, "quick": True, "values": {}, "lang": "en"}
    return {"type": "explore", "id": 1, "name": name, **usual, **content}


def test_what_is_found_is_what_the_experiment_finds() -> None:
    asked = question("convergence", values={"rate": 0.3, "kappa": 10.0})
    content, arrays = Explorer().explored(asked)
    alone = experiments.run("convergence", quick=True, rate=0.3, kappa=10.0)
    assert content["table"] == alone.plain()["table"]
    assert content["answer"] == alone.plain()["answer"]
    assert content["parameters"] == {"rate": 0.3, "kappa": 10.0}
    if can_plot():
        assert bytes(arrays["picture"]).startswith(b"\x89PNG")


def test_another_language_measures_nothing_anew() -> None:
    explorer = Explorer()
    first, __ = explorer.explored(question("symmetry"))
    kept = explorer._last
    other, __ = explorer.explored(question("symmetry", lang="zh-TW"))
    assert explorer._last is kept
    assert other["title"] != first["title"]
    assert other["table"][2][1:] == first["table"][2][1:]
    explorer.explored(question("symmetry", seed=1))
    assert explorer._last is not kept


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (question("depht"), "no experiment"),
        (question("depth", values={"rates": 0.1}), "no parameter"),
        (question("depth", values={"levels": 1.5}), "cannot have"),
        (question("depth", values={"rate": float("nan")}), "cannot have"),
    ],
)
def test_what_cannot_be_explored_is_refused(asked: dict[str, Any], said: str) -> None:
    out = io.BytesIO()
    Worker(queue.Queue(), out).answer(asked)
    kind, payload = protocol.read_framed(io.BytesIO(out.getvalue())) or (0, b"")
    head = protocol.head_of(kind, payload)
    assert head["type"] == "refused"
    assert said in head["error"]["what"]["en"]


def test_a_page_is_told_every_parameter_in_both_languages() -> None:
    told = outlines()
    for listed in told.values():
        assert [item["name"] for item in listed] == experiments.names()
        for item in listed:
            module = experiments.find(item["name"])
            names = [parameter.name for parameter in module.PARAMETERS]
            assert [parameter["name"] for parameter in item["parameters"]] == names
            assert names
            assert all(parameter["label"] for parameter in item["parameters"])


# -- with processes --------------------------------------------------------------------

needs_server = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@needs_server
def test_a_newer_question_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="needs uvicorn: chainrule[lab]")
    pytest.importorskip("websockets", reason="needs websockets: chainrule[lab]")
    from tests.lab.test_server import served, tell, until

    with served(tmp_path / "lab") as lab, lab.page() as page, lab.page() as other:
        slow = {"name": "depth", "quick": False, "values": {"steps": 5000}}
        tell(page, "explore", id=1, **slow)
        time.sleep(0.5)
        tell(page, "explore", id=2, name="symmetry")
        tell(other, "explore", id=7, name="convergence", values={"rate": 0.3})
        gone = until(page, "refused", id=1)
        assert "newer question" in gone["error"]["what"]["en"]
        assert until(page, "explored", id=2)["name"] == "symmetry"
        # Another page's question is its own, and the server answers meanwhile.
        assert until(other, "explored", id=7)["parameters"]["rate"] == 0.3
        tell(page, "explore", id=3, name="symmetry", values={"inputs": 3})
        assert until(page, "explored", id=3)["parameters"]["inputs"] == 3
        tell(page, "explore", id=4, name="x")
        assert "no experiment" in until(page, "refused", id=4)["error"]["what"]["en"]


@needs_server
def test_the_process_of_a_page_that_is_gone_ends(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn", reason="needs uvicorn: chainrule[lab]")
    pytest.importorskip("websockets", reason="needs websockets: chainrule[lab]")
    from tests.lab.test_server import children, served, tell, until

    with served(tmp_path / "lab") as lab:
        with lab.page() as page:
            tell(page, "explore", id=2, name="symmetry")
            until(page, "explored", id=2)
            while len(children(lab.process.pid)) < 2:  # and one that is spare
                time.sleep(0.05)
            tell(page, "explore", id=1, name="depth", quick=False)
            time.sleep(0.2)
        for __ in range(200):
            if len(children(lab.process.pid)) == 1:
                break
            time.sleep(0.05)
        assert len(children(lab.process.pid)) == 1
        with lab.page() as page:
            tell(page, "explore", id=1, name="depth", quick=False)
            time.sleep(0.3)

            code, __ = lab.end()
        assert code == 0
