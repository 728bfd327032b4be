"""Names from outside are shown and not obeyed; errors of a disk are clear."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.cli import common
from chainrule.util import atomic_files
from tests.cli import data

from .conftest import RUN, TABLE, forged

#: Clear the screen, a title, a line turned around, the cursor's line again.
EVIL = "a\x1b[2J\x1b]0;owned\x07\u202egnp\r"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def harmless(result: Any, code: int) -> None:
    assert result.code == code, result.err
    assert not OBEYED.search(result.out), result.out
    assert not OBEYED.search(result.err), result.err


def test_names_of_classes_columns_and_files(chainrule: Any, project: Path) -> None:
    name = f"{EVIL.strip()}.csv"
    evil = f'"{EVIL}"'
    table = TABLE.replace("a,", f"{evil},", 1).replace("yes", f'"y{EVIL}"')
    Path(name).write_text(table, encoding="utf-8", newline="")
    assert EVIL.strip() in Path(name).read_text(encoding="utf-8")
    os.link(name, "evil.csv")
    harmless(chainrule("new", "made.toml", "--data", name, "--target", "kind"), 0)
    Path("run.toml").write_text(RUN.replace("table.csv", "evil.csv"))
    harmless(chainrule("train", "run.toml", "--out", "out"), 0)
    shown = chainrule("evaluate", "out", name)
    harmless(shown, 0)
    assert "\\x1b[2J" in shown.out  # the class's name, as an escape
    told = chainrule("evaluate", "out", name, "--json")
    assert any(EVIL.strip() in one for one in told.json["classes"])
    Path("other.csv").write_text("x,kind\n1,no\n")
    harmless(chainrule("predict", "out", "other.csv"), 2)  # names the column


@pytest.mark.parametrize("terminal", [True, False])
def test_predictions_on_a_terminal_and_into_a_file(
    chainrule: Any, project: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    table = TABLE.replace("yes", f'"y{EVIL}"')
    Path("table.csv").write_text(table, encoding="utf-8", newline="")
    assert chainrule("train", "run.toml", "--out", "out").code == 0
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    made = chainrule("predict", "out", "table.csv")
    assert made.code == 0
    assert (EVIL.strip() in made.out) is not terminal
    assert ("\\x1b[2J" in made.out) is terminal


def test_arguments_of_the_command_itself(chainrule: Any, project: Path) -> None:
    for words in ([EVIL], ["train", EVIL], ["train", "x.toml" + EVIL], ["book", EVIL]):
        made = chainrule(*words)
        assert made.code != 0
        harmless(made, made.code)
    made = chainrule("predict", EVIL, EVIL)
    harmless(made, 2)


def test_the_history_of_a_checkpoint(chainrule: Any, project: Path) -> None:
    """Names of columns, metrics and validation sets come out of its document."""
    assert chainrule("train", "run.toml", "--out", "out").code == 0

    def change(document: dict[str, Any]) -> None:
        document["plan"]["epochs"] += 1
        document["notes"]["run"]["options"]["epochs"] = 3
        document["notes"]["run"]["name"] = f"{EVIL}.toml"
        document["validation_name"] = EVIL
        document["epochs"] = [{**row, EVIL: 1.0} for row in document["epochs"]]

    forged(project / "out", change)
    made = chainrule("train", "--resume", "out")
    harmless(made, 0)
    harmless(chainrule("evaluate", "out"), 0)
    assert not OBEYED.search(str(cr.Trainer.load("out").history))


def test_a_name_that_is_no_text(chainrule: Any, tmp_path: Path) -> None:
    """A file whose name is not in UTF-8 comes out as it is."""
    if sys.platform != "linux":
        pytest.skip("names are texts here")
    place = data.shades(Path("shades"))
    os.rename(place / "light", os.fsencode(place) + b"/l\xe9ger")
    os.rename(place / "暗" / "00.png", os.fsencode(place / "暗") + b"/\xe9.png")
    Path("run.toml").write_text(
        "[data]\nsource = 'shades'\n[model]\nlayers = ['Flatten', 'Linear']\n"
        "[training]\nepochs = 1\nengine = 'numpy'\n"
    )
    made = chainrule("train", "run.toml", "--out", "out")
    assert "Internal error" not in made.err
    shown = io.TextIOWrapper(io.BytesIO())
    shown.isatty = lambda: False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", shown)
        common._speak_utf8()
        shown.write(os.fsdecode(b"l\xe9ger"))
        shown.flush()
        assert shown.buffer.getvalue() == b"l\xe9ger"  # type: ignore[attr-defined]


# -- a disk that fails -----------------------------------------------------------------


class Broken(io.FileIO):
    """A file of which the first bytes can be read, then an error of the disk comes."""

    good = 0

    def readinto(self, room: Any) -> int:  # type: ignore[override]
        if self.tell() + 1 > self.good:
            raise OSError(errno.EIO, "Input/output error")
        return super().readinto(memoryview(room)[: self.good - self.tell()])

    def readall(self) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("good", [0, 8, 64])
@pytest.mark.parametrize(
    "name",
    ["x.csv", "x.npz", "train-images-idx3-ubyte", "shades", "run.toml", "x.ckpt"],
)
def test_an_error_of_the_disk(
    chainrule: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    good: int,
) -> None:
    keys = 'target = "kind"\n' if name == "x.csv" else ""
    Path("x.csv").write_text(TABLE)
    data.arrays(Path("x.npz"))
    data.idx(Path())
    data.shades(Path("shades"))
    model = nn.Sequential(nn.Linear(1, 1))
    adam, loss = optim.Adam(lr=0.1), nn.MSELoss()
    cr.Trainer(model, loss=loss, optimizer=adam, engine="numpy").save("x.ckpt")
    source = name if name not in ("run.toml", "x.ckpt") else "x.npz"
    text = RUN.replace("table.csv", source).replace('target = "kind"\n', keys)
    Path("run.toml").write_text(text)

    def opened(handle: int, mode: str) -> Any:
        held = os.readlink(f"/proc/self/fd/{handle}")
        if mode != "rb" or not (name in held or (name == "shades" and "png" in held)):
            return os_fdopen(handle, mode)
        os.lseek(handle, 0, os.SEEK_SET)
        file = Broken(handle)
        file.good = good
        return io.BufferedReader(file)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("no /proc here")
    os_fdopen = os.fdopen
    monkeypatch.setattr(atomic_files.os, "fdopen", opened)
    words = ["train", "run.toml", "--out", "out"]
    made = chainrule(*(["evaluate", "x.ckpt"] if name == "x.ckpt" else words))
    assert made.code in (1, 2), made.err
    assert "Internal error" not in made.err
    zipped = name == "x.npz" and good  # zipfile has a word of its own for it
    assert ("BadZipFile" if zipped else "nput/output error") in made.err
