"""A run that is recorded, and the page of it."""

from __future__ import annotations

import functools
import http.server
import json
import math
import os
import re
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.errors import ArgumentError
from chainrule.lab import modules, protocol, site
from chainrule.lab.app import page_files
from chainrule.lab.archive import Archive, opened
from chainrule.lab.choices import START
from chainrule.lab.modules import bundled
from chainrule.lab.recording import Recording, record
from chainrule.lab.settings import run_file
from chainrule.lab.steps import Shown
from chainrule.runs import Session
from chainrule.text.languages import LANGUAGES, language
from tests.browsers import browsing
from tests.lab.runs import circles


def recorded(folder: Path, **options: Any) -> Recording:
    return record(run_file(circles(), folder), **options)


class Read:
    """A recording as its page reads it."""

    def __init__(self, content: bytes) -> None:
        self.index, self._pieces = opened(content)

    def message(self, ref: list[int]) -> dict[str, Any]:
        kind, *places = ref
        payload = b"".join(self._pieces[i] for i in places)
        head = protocol.head_of(kind, payload)
        if kind == protocol.BINARY:
            head["arrays"] = protocol.unpacked(payload)
        return head

    def answer(self, question: str) -> dict[str, Any]:
        return self.message(self.index["answers"][question])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recorded(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def seen(whole: Recording) -> Read:
    return Read(whole.content)


def test_moments_are_those_of_the_run(seen: Read, tmp_path: Path) -> None:
    steps = [m["status"]["step"] for m in seen.index["moments"]]
    assert steps[0] == 0
    assert steps[-1] == 20
    assert steps == sorted(set(steps))
    assert seen.index["moments"][-1]["status"]["stage"] == "finished"
    session = Session.begin(run_file(circles(), tmp_path), tmp_path / "run")
    session.train()
    last = {
        m["type"]: m for m in map(seen.message, seen.index["moments"][-1]["messages"])
    }
    weight = dict(session.trainer.model.named_parameters())["0.weight"].numpy()
    assert np.array_equal(last["maps"]["arrays"]["weight0"], weight)
    start = {m["type"]: m for m in map(seen.message, seen.index["start"])}
    loss = session.trainer.history.since(0)["loss"]
    np.testing.assert_array_equal(start["curves"]["arrays"]["loss"], loss)


def test_samples_and_paths_are_those_that_the_lab_tells(
    seen: Read, tmp_path: Path
) -> None:
    """Also those that were recorded once for both languages."""
    session = Session.begin(run_file(circles(), tmp_path), tmp_path / "run")
    (row, steps), *__ = seen.index["built"]["recorded"]["samples"]["train"].items()
    assert 0 in steps
    count = 0
    for lang in LANGUAGES:
        with language(lang):
            shown = Shown(session.trainer, session.parts.train, int(row))
            content, arrays = shown.message()
            said = seen.answer(f"sample|train|{row}|{lang}|0")
            assert said["steps"] == json.loads(json.dumps(content["steps"]))
            for name, array in arrays.items():
                assert np.array_equal(said["arrays"][name], array), name
            begin, end = f"element|train|{row}|", f"|0|{lang}"
            for question in seen.index["answers"]:
                if not (question.startswith(begin) and question.endswith(end)):
                    continue
                name, place = question[len(begin) : -len(end)].split("|")
                path = shown.path(name, [int(i) for i in place.split(",") if i])
                told = {k: v for k, v in seen.answer(question).items() if k in path}
                assert told == json.loads(json.dumps(path)), question
                count += 1
    assert count > 2 * 20  # W and b of both layers, z and a


def test_cells_name_their_samples(seen: Read, tmp_path: Path) -> None:
    session = Session.begin(run_file(circles(), tmp_path), tmp_path / "run")
    for moment in seen.index["moments"]:
        (matrix,) = (
            m["arrays"]["matrix"]
            for m in map(seen.message, moment["messages"])
            if m["type"] == "confusion"
        )
        for (truth, decided), count in np.ndenumerate(matrix):
            step = moment["status"]["step"]
            said = seen.answer(f"cell|{truth}|{decided}|{step}")
            assert said["count"] == count
            part = getattr(session.parts, said["part"])
            assert all(int(part.y[row]) == truth for row in said["rows"])


@pytest.mark.slow
def test_a_recording_keeps_its_bound_and_says_what_is_left_out(
    tmp_path: Path, whole: Recording
) -> None:
    assert whole.left_out == 0
    most = len(whole.content) // 2
    half = recorded(tmp_path, most=most)
    assert half.left_out > 0
    assert half.samples + half.left_out == whole.samples
    read = Read(half.content)
    index = len(json.dumps(read.index))
    assert len(half.content) < most + index
    known = read.index["built"]["recorded"]["samples"]
    for part, rows in known.items():
        for row, steps in rows.items():
            for step in steps:
                assert read.answer(f"sample|{part}|{row}|en|{step}")["step"] == step
    with pytest.raises(ArgumentError, match="too large"):
        recorded(tmp_path, most=100)


@pytest.mark.slow
def test_a_recording_without_room_for_all_moments_still_shows_its_end(
    tmp_path: Path, whole: Recording
) -> None:
    found = recorded(tmp_path, most=len(whole.content) // 6)
    assert 1 < len(found.steps) < len(whole.steps)
    assert (found.steps[0], found.steps[-1]) == (0, 20)
    read = Read(found.content)
    assert read.index["moments"][-1]["status"]["stage"] == "finished"
    assert [m["status"]["step"] for m in read.index["moments"]] == found.steps
    with pytest.raises(ArgumentError, match="too large"):
        recorded(tmp_path, most=6000)  # room for the curves alone


EVIL = "</script><script>alert(1)</script><!-- \u2028 <img src=x onerror=alert(2)>"


def test_no_name_or_cell_ends_the_data_of_a_page(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 7},{'ab'[i % 2]}{EVIL}\n" for i in range(40))
    (tmp_path / "data-t.csv").write_text(f'a,"b{EVIL}",y\n{rows}', "utf-8")
    run = {**circles(epochs=1), "data": {"source": "data-t.csv", "target": "y"}}
    content = record(run_file(run, tmp_path)).content
    assert Read(content).index["built"]["class_names"] == [f"a{EVIL}", f"b{EVIL}"]
    html = site.page(content)
    assert (html.count("<script"), html.count("</script")) == (2, 2)
    assert "alert(" not in html


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes")
def test_names_that_are_no_unicode_are_shown(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow: chainrule[image]")
    for name in (b"caf\xe9", b"tea"):
        folder = os.fsencode(tmp_path) + b"/data-cups/" + name
        os.makedirs(folder)
        for i in range(20):
            picture = np.full((8, 8), 10 * i, np.uint8)
            image.fromarray(picture).save(os.fsdecode(folder) + f"/{i}.png")
    run = circles(epochs=1)
    run["data"] = {"source": "data-cups", "size": 8}
    run["model"] = {"layers": ["Flatten", "Linear"]}
    read = Read(record(run_file(run, tmp_path)).content)
    assert read.index["built"]["class_names"] == ["caf\ufffd", "tea"]


def test_a_run_that_fails_is_recorded_up_to_there(tmp_path: Path) -> None:
    run = circles()
    x = np.linspace(1, 2, 64, dtype=np.float32)[:, None]
    np.savez(tmp_path / "data-x.npz", x=x, y=x)
    run["data"] = {"source": "data-x.npz", "validation": 0, "test": 0}
    run |= {"loss": {"class": "MSELoss"}, "optimizer": {"class": "SGD", "lr": 1e3}}
    run["model"] = {"layers": ["Linear"], "standardize": False}
    run["training"]["epochs"] = 100
    read = Read(record(run_file(run, tmp_path)).content)
    last = read.index["moments"][-1]["status"]
    assert last["stage"] == "failed"
    assert last["error"]["what"].keys() == set(LANGUAGES)


def test_a_run_is_repeated_to_its_last_weights(tmp_path: Path) -> None:
    session = Session.begin(run_file(circles(), tmp_path), tmp_path / "run")
    session.trainer.notes = session.origin.note()
    session.train()
    path, found = site.export(str(tmp_path / "run"), tmp_path / "site")
    assert found.same is True
    assert found.steps[-1] == 20
    assert path == tmp_path / "site" / "index.html"
    model = session.trainer.model
    state = {k: v.numpy() for k, v in model.named_tensors()}
    name = next(iter(state))
    state[name] = state[name] + np.float32(1)
    model.load_state_dict(state)
    session.trainer.save(tmp_path / "run" / "last.ckpt")
    __, found = site.export(str(tmp_path / "run"), tmp_path / "site")
    assert found.same is False


def test_links_say_networks(tmp_path: Path) -> None:
    link = "http://127.0.0.1:8642/#run=eyJkYXRhIjp7InNvdXJjZSI6Im1vb25zIn19"
    assert site.linked(link) == {"data": {"source": "moons"}}
    for wrong in ("#run=", "#run=x", "#run=W10", "http://127.0.0.1/", "#run=gICA"):
        with pytest.raises(ArgumentError, match="does not say a network"):
            site.linked(wrong)


def test_the_page_names_nothing_outside(seen: Read) -> None:
    html = site.page(b"x")
    assert "<link" not in re.sub(r'<link rel="icon" href="data:[^"]*">', "", html)
    assert "src=" not in html.split("<script>")[0]
    for part in ("default-src", "base-uri", "form-action"):
        assert f"{part} 'none'" in html
    assert html.count("<script") == 2


def test_modules_of_another_form_are_refused() -> None:
    for text in (
        'import * as b from "./b.js";',
        "export default 1;",
        'export { c } from "./b.js";',
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            bundled({"a.js": text, "b.js": ""}, "a.js")
    for hiding in (f"const {modules.ALL} = 1;", f"function {modules.ALL}() {{}}"):
        with pytest.raises(ValueError, match=r"a\.js"):
            bundled({"a.js": hiding}, "a.js")
    sources = {
        name: body.decode()
        for name, (__, body) in page_files().items()
        if name.endswith(".js")
    }
    script = bundled(sources, "js/main.js")
    assert all(f'{modules.ALL}["{name}"] = ' in script for name in sources)


def test_archives_keep_equal_pieces_once() -> None:
    weights = np.arange(6, dtype=np.float32)
    messages = [
        (
            protocol.BINARY,
            protocol.packed("sampled", {"W": weights, "b": weights}, row=i),
        )
        for i in range(3)
    ]
    archive = Archive(10_000)
    refs = archive.add(messages)
    assert refs is not None
    index, pieces = opened(archive.closed({"refs": refs}))
    assert len(pieces) == 4
    for (__, payload), (___, *places) in zip(messages, index["refs"]):
        assert b"".join(pieces[i] for i in places) == payload


def test_the_first_network_is_one_that_can_be_built(tmp_path: Path) -> None:
    session = Session.begin(run_file(START, tmp_path), tmp_path / "run")
    assert session.trainer.optimizer.steps == 0
    assert math.prod(session.parts.train.x.shape) == 640


# -- in a browser ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    path = folder / "run.toml"
    path.write_text(run_file(circles(), folder).text)
    site.export(str(path), folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("by", ["http", "file"])
def test_a_page_plays_looks_back_and_opens_samples(
    by: str, folder: Path, address: str
) -> None:
    url = address if by == "http" else (folder / "index.html").as_uri()
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        said: list[tuple[str, str]] = []
        asked: list[str] = []
        page.on("console", lambda m: said.append((m.type, m.text)))
        page.on("pageerror", lambda e: said.append(("error", str(e))))
        page.on("request", lambda r: asked.append(r.url))
        page.goto(url)

        def has(place: str, text: str) -> None:
            page.wait_for_function(
                "([p, t]) => document.querySelector(p).innerText.includes(t)",
                arg=[place, text],
            )

        has("#figures", "finished")
        has("#past-step", "step 20")
        assert page.is_visible("#recorded")
        needy = page.locator("[data-needs=lab]")
        assert needy.count() >= 3
        assert not any(part.is_visible() for part in needy.all())
        # Played from the start; paused before its clock goes on; to the end by steps.
        stages = page.evaluate(
            """() => [1, 2].map(() => {
              document.querySelector("#train").click();
              return document.querySelector("#figures").innerText;
            })"""
        )
        assert "training" in stages[0]
        assert "ready" in stages[1]
        page.fill("#steps", "3")
        page.click("#step")
        has("#past-step", "step 3")
        has("#figures", "paused")
        page.click("#train")
        has("#figures", "finished")
        # Looked back, by the keyboard.
        page.focus("#past")
        page.keyboard.press("Home")
        has("#past-step", "step 0")
        page.click("#open")
        page.wait_for_selector(".equation.backward")
        has("#sample", "weights of step 0")
        page.click(".equation.parameter .matrix button >> nth=1")
        page.wait_for_selector("#path table")
        has("#path", "W⁽¹⁾[1, 2]")
        page.click("#now")
        has("#past-step", "step 20")
        page.click("#open")
        has("#sample", "weights of step 20")
        # A sample of a cell; one that is not in the recording.
        page.locator(".confusion button").first.click()
        page.wait_for_selector("#confusion button.small")
        page.fill("#row", "70")
        page.click("#open")
        has("#sample", "not in the recording")
        page.click("#shares button:has-text('Python')")
        has("#share-state", "run.py")
        page.click("#shares button:has-text('PNG')")
        has("#share-state", "network.png")
        page.select_option("#language", "zh-TW")
        assert page.evaluate("document.documentElement.lang") == "zh-TW"
        has("#network-title", "網")
        page.click("#train")
        page.wait_for_timeout(300)
        assert said == []
        outside = [u for u in asked if not u.startswith(("blob:", url, "data:"))]
        assert outside == []


@pytest.mark.slow
def test_what_stands_below_layers_does_not_overlap(tmp_path: Path) -> None:
    run = circles(epochs=1)
    wide = {"class": "Linear", "out_features": 4}
    layers: list[Any] = [wide, "LayerNorm", "LeakyReLU", "Dropout"]
    run["model"] = {"layers": [*layers, *layers, "Linear"]}
    path = tmp_path / "run.toml"
    path.write_text(run_file(run, tmp_path).text)
    page_file, __ = site.export(str(path), tmp_path / "site")
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.goto(page_file.as_uri())
        page.wait_for_selector("#network .caption >> nth=3")
        boxes = page.evaluate(
            """() => [...document.querySelectorAll("#network .caption")]
              .map((e) => e.getBoundingClientRect()).map((r) => [r.left, r.right])"""
        )
        assert len(boxes) == 4
        assert all(a[1] <= b[0] for a, b in pairwise(boxes))
        shown = "#network .caption >> nth=1"
        assert "LeakyReLU" in page.get_attribute(shown, "title")
        hidden = page.evaluate(
            """() => getComputedStyle(document.querySelector("#network .caption"))
              .overflowX"""
        )
        assert hidden == "hidden"
