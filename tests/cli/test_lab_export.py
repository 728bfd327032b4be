"""``chainrule lab --export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainrule.lab.settings import text_of
from tests.cli.conftest import one_message
from tests.lab.runs import circles


def written(path: Path, **training: Any) -> Path:
    path.write_text(text_of(circles(**training)), "utf-8")
    return path


@pytest.mark.slow
def test_a_run_file_and_its_run(chainrule: Any, tmp_path: Path) -> None:
    run = written(tmp_path / "run.toml")
    result = chainrule("lab", run, "--export", "site")
    assert result.code == 0, result.err
    page = tmp_path / "site" / "index.html"
    assert f"{page.stat().st_size / 1000:,.0f} kB" in result.out
    assert "moments of 20 steps" in result.out
    assert sorted(tmp_path.iterdir()) == [run, page.parent]
    assert chainrule("train", run, "--out", "trained").code == 0
    result = chainrule("lab", "trained", "--export", "site", "--json")
    said = json.loads(result.out)
    assert said["same"] is True
    assert said["steps"][-1] == 20
    assert said["bytes"] == page.stat().st_size


def test_what_cannot_be_recorded(chainrule: Any, tmp_path: Path) -> None:
    one_message(chainrule("lab", "no", "--export", "site"), 2, "nothing called 'no'")
    one_message(chainrule("lab", "#run=x", "--export", "site"), 2, "link")
    run = written(tmp_path / "run.toml")
    one_message(chainrule("lab", run, "--export", run / "x"), 1, "cannot be written")
    wrong = written(tmp_path / "wrong.toml", epochs=0)
    one_message(chainrule("lab", wrong, "--export", "site"), 2, "epochs")


def test_what_lies_in_the_way_is_kept_and_said_before_training(
    chainrule: Any, tmp_path: Path
) -> None:
    run = written(tmp_path / "run.toml", epochs=10**9)  # never trained to its end
    own = tmp_path / "own" / "index.html"
    own.parent.mkdir()
    own.write_text("<h1>Mine</h1>")
    one_message(chainrule("lab", run, "--export", "own"), 1, "cannot be written")
    assert own.read_text() == "<h1>Mine</h1>"
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "index.html").symlink_to(own)
    one_message(chainrule("lab", run, "--export", "link"), 1, "exported before")
    assert own.read_text() == "<h1>Mine</h1>"
    (tmp_path / "folder" / "index.html").mkdir(parents=True)
    one_message(chainrule("lab", run, "--export", "folder"), 1, "another folder")


def test_what_has_no_run_and_what_serves_are_refused(
    chainrule: Any, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("raise SystemExit('was run')\n")
    for target in ("mine.py", "mine.py:Net", "net.onnx"):
        result = chainrule("lab", target, "--export", "site")
        one_message(result, 2, "in the lab: chainrule lab FILE")
    run = written(tmp_path / "run.toml")
    for more in (["--port", "0"], ["--out", "runs"]):
        one_message(chainrule("lab", run, "--export", "site", *more), 2, more[0])
    assert not (tmp_path / "site").exists()
