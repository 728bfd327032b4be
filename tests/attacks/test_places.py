"""A run writes in its own directory and reads what its user named, whatever it says."""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import RUN, forged, unfinished

OUTSIDE = ["../stolen", "{tmp}/stolen", "link/stolen", "a/../../stolen", "link"]
#: Callbacks that write, and the argument that says where.
CALLBACKS = {"CSVLogger": "path", "JSONLines": "path", "BestCheckpoint": "path"}
if importlib.util.find_spec("tensorboard") is not None:
    CALLBACKS["TensorBoard"] = "log_dir"


def add(text: str, section: str) -> str:
    return f"{text}\n{section}\n"


def callback(kind: str, path: str) -> str:
    monitor = 'monitor = "train_loss"\n' if kind == "BestCheckpoint" else ""
    where = f"{CALLBACKS[kind]} = '{path}'"
    return f'[[callbacks]]\nclass = "{kind}"\n{where}\n{monitor}'


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("kind", CALLBACKS)
def test_a_file_that_has_a_callback_write_elsewhere(
    chainrule: Any, project: Path, tmp_path: Path, nothing_outside: Any,
    kind: str, path: str,
) -> None:  # fmt: skip
    (project / "out").mkdir()
    (project / "out" / "link").symlink_to(tmp_path)
    section = callback(kind, path.format(tmp=tmp_path))
    (project / "run.toml").write_text(add(RUN, section))
    with nothing_outside(project / "out"):
        made = chainrule("train", "run.toml", "--out", "out")
    assert made.code == 2
    assert f"[[callbacks]] number 1, {CALLBACKS[kind]}" in made.err


def test_a_checkpoint_that_has_a_callback_write_elsewhere(
    chainrule: Any, project: Path, tmp_path: Path, nothing_outside: Any
) -> None:
    assert chainrule("train", "run.toml", "--out", "out").code == 0
    (project / "out" / "link").symlink_to(tmp_path)
    os.remove(project / "run.toml")
    forged(project / "out", unfinished)
    for kind, path in itertools.product(CALLBACKS, OUTSIDE):
        text = add(RUN, callback(kind, path.format(tmp=tmp_path)))
        forged(project / "out", lambda d, t=text: d["notes"]["run"].update(text=t))
        with nothing_outside(project / "out"):
            made = chainrule("train", "--resume", "out")
        assert made.code == 2, (kind, path)
        assert f"[[callbacks]] number 1, {CALLBACKS[kind]}" in made.err


def test_a_checkpoint_whose_log_is_where_it_may_be(
    chainrule: Any, project: Path
) -> None:
    """The forgery itself is no reason to refuse it."""
    assert chainrule("train", "run.toml", "--out", "out").code == 0
    os.remove(project / "run.toml")

    def change(document: dict[str, Any]) -> None:
        unfinished(document)
        document["notes"]["run"]["text"] = add(RUN, callback("CSVLogger", "a/log.csv"))

    forged(project / "out", change)
    assert chainrule("train", "--resume", "out").code == 0
    assert (project / "out" / "a" / "log.csv").read_text().count("\n") == 4


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_file_that_names_a_directory_elsewhere(
    chainrule: Any, project: Path, tmp_path: Path, nothing_outside: Any, path: str
) -> None:
    (project / "link").symlink_to(tmp_path)
    section = f"[output]\ndirectory = '{path.format(tmp=tmp_path)}'"
    (project / "run.toml").write_text(add(RUN, section))
    with nothing_outside(project / "runs"):
        made = chainrule("train", "run.toml")
    assert made.code == 2
    assert "[output] directory" in made.err


def test_links_in_the_directory_of_a_run_are_replaced(
    chainrule: Any, project: Path, tmp_path: Path, nothing_outside: Any, pictures: None
) -> None:
    (tmp_path / "precious").write_text("mine")
    (project / "out").mkdir()
    for name in ("metrics.json", "run.toml", "last.ckpt", "curve.png", "report.html"):
        (project / "out" / name).symlink_to(tmp_path / "precious")
    with nothing_outside(project / "out"):
        chainrule("train", "run.toml", "--out", "out")


# -- reading ---------------------------------------------------------------------------


def named(folder: str, source: str) -> Callable[[dict[str, Any]], None]:
    """A checkpoint that says that its data lie there."""

    def change(document: dict[str, Any]) -> None:
        note = document["notes"]["run"]
        note["folder"] = folder
        note["text"] = note["text"].replace('"table.csv"', f"'{source}'")

    return change


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("{tmp}/secret", "table.csv"),
        ("{tmp}/project", "../secret/table.csv"),
        ("{tmp}/project", "{tmp}/secret/table.csv"),
        ("{tmp}/project", "link/table.csv"),
        ("/etc", "x.csv"),
        ("nul\0l", "table.csv"),
    ],
)
def test_a_checkpoint_that_names_data_elsewhere(
    chainrule: Any, project: Path, tmp_path: Path, folder: str, source: str
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "table.csv").write_text((project / "table.csv").read_text())
    assert chainrule("train", "run.toml", "--out", "out").code == 0
    (project / "link").symlink_to(tmp_path / "secret")
    change = named(folder.format(tmp=tmp_path), source.format(tmp=tmp_path))
    forged(project / "out", change)
    for words in (["evaluate", "out"], ["train", "--resume", "out"]):
        os.rename("run.toml", "aside")
        made = chainrule(*words)
        os.rename("aside", "run.toml")
        assert made.code == 2, made.out
        assert "Internal error" not in made.err
        wanted = "chainrule evaluate RUN DATA" if "\0" not in folder else "Trainer.load"
        assert wanted in made.err
    if "\0" not in folder:  # then it is no run of a file
        given = chainrule("evaluate", "out", tmp_path / "secret" / "table.csv")
        assert given.code == 0, given.err


def test_data_are_found_where_the_users_own_file_says(
    chainrule: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    os.rename("table.csv", tmp_path / "data" / "table.csv")
    text = RUN.replace("table.csv", "../data/table.csv")
    Path("run.toml").write_text(text)
    assert chainrule("train", "run.toml", "--out", "out").code == 0
    assert chainrule("evaluate", "out").code == 0
    monkeypatch.chdir(tmp_path / "data")  # and from anywhere
    assert chainrule("evaluate", project / "out").code == 0
    (project / "run.toml").unlink()  # now nobody but the checkpoint says so
    assert chainrule("evaluate", project / "out").code == 0  # below the current one
    monkeypatch.chdir(project)
    assert chainrule("evaluate", "out").code == 2
    Path("moved.toml").write_text(text)
    given = chainrule("train", "moved.toml", "--resume", "out")
    assert given.code == 0, given.err


def test_a_kind_of_data_that_nobody_knows(chainrule: Any, project: Path) -> None:
    assert chainrule("train", "run.toml", "--out", "out").code == 0
    for kind in ("passwd", "", None, [], {"a": 1}, 3):
        forged(project / "out", lambda d, k=kind: d["plan"]["format"].update(kind=k))
        for command in ("evaluate", "predict"):
            made = chainrule(command, "out", "table.csv")
            assert made.code == 2, made.err
            assert "data of a kind" in made.err
