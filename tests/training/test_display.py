"""History as a table, and progress on standard error."""

from __future__ import annotations

import io
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.training import History, LambdaCallback, Trainer, progress

from .conftest import Make
from .test_data_adapter import stream_of


def test_history_table(make: Make, data: cr.data.Dataset) -> None:
    history = make().fit(data, epochs=2, batch_size=25, validation=data, progress=False)
    heading, *rows = str(history).splitlines()
    assert heading.split() == (
        ["epoch", "train", "loss", "val.", "loss", "val.", "accuracy", "lr", "seconds"]
    )
    assert len(rows) == 2
    assert len({len(line) for line in (heading, *rows)}) == 1
    row = history.epochs[1]
    assert f"{row['validation_accuracy']:.2%}" in rows[1]
    assert repr(History()) == "History(0 steps, no finished epoch)"
    made = history.to_dict()
    assert made["epochs"] == history.epochs
    assert len(made["steps"]["grad_norm/0.weight"]) == len(history) == 4


def test_columns_of_any_metric(make: Make, data: cr.data.Dataset) -> None:
    trainer = make(metrics=["top2", "accuracy"])
    history = trainer.fit(data, epochs=1, validation=data, progress=False)
    history.epochs[0] |= {"validation_mae": 2e-7, "validation_label": "<b>"}
    heading, row = history._table()
    assert heading[:5] == (
        ["epoch", "train loss", "val. loss", "val. top2", "val. accuracy"]
    )
    assert heading[5:] == ["val. mae", "val. label", "lr", "seconds"]
    assert row[3].endswith("%")
    assert row[5:7] == ["2e-7", "<b>"]
    page = history._repr_html_()
    assert "<th>val. top2</th>" in page
    assert "<td>&lt;b&gt;</td>" in page
    assert "<p>History(0 steps, no finished epoch)</p>" in History()._repr_html_()


def test_validation_data_by_their_name(
    make: Make,
    data: cr.data.Dataset,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    trainer = make()
    history = trainer.fit(data, epochs=1, validation=data, validation_name="test")
    assert "  test loss " in capsys.readouterr().err
    assert "test loss  test accuracy" in str(history)
    assert "validation_loss" in history.epochs[0], "keys stay as they are"
    trainer.save(tmp_path / "run.ckpt")
    loaded = cr.Trainer.load(tmp_path / "run.ckpt")
    assert loaded.history.validation_name == "test"


def test_json_of_numbers_that_are_none() -> None:
    import json

    history = History()
    history.extend({"loss": np.array([1.0, np.nan], "f4")})
    history.epochs.append({"epoch": 1, "train_loss": float("inf")})
    made = json.loads(json.dumps(history.to_dict(), allow_nan=False))
    assert made["steps"]["loss"] == [1.0, None]
    assert made["epochs"] == [{"epoch": 1, "train_loss": None}]


def test_history_arithmetic() -> None:
    history = History()
    assert np.isnan(history.recent())
    history.extend({"loss": np.zeros(0, "f4")})
    for part in ([1.0, 2.0], [3.0], [4.0, 5.0]):
        a = np.array(part, "f4")
        history.extend({"loss": a, "p": -a})
    assert history.recent(2) == 4.5
    assert history.recent(3) == 4.0
    assert [history.since(n)["loss"].tolist() for n in (0, 2, 4)] == (
        [[1, 2, 3, 4, 5], [3, 4, 5], [5]]
    )
    assert history.since(5) == {}
    history.restore((0, {"train": 4}))
    assert len(history) == 4
    assert history.steps["p"].tolist() == [-1, -2, -3, -4]
    history.extend({"loss": np.ones(1, "f4"), "q": np.ones(1, "f4")})
    assert np.isnan(history.steps["p"][4])
    assert np.isnan(history.steps["q"][:4]).all()
    history.restore((0, {}))
    assert len(history) == 0


def test_lines_where_there_is_no_terminal(
    make: Make, data: cr.data.Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    make().fit(data, epochs=2, batch_size=25, validation=data)
    made = capsys.readouterr()
    assert made.out == ""
    first, second = made.err.splitlines()
    assert first.startswith("epoch 1/2  train loss ")
    assert second.startswith("epoch 2/2  train loss ")
    assert "accuracy" in second
    make(optimizer=optim.Adam()).fit(data, epochs=1, progress=False)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [False, True])
def test_a_bar_in_a_terminal(
    make: Make, data: cr.data.Dataset, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """Of a stream the length is unknown at first."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    trainer = make(optimizer=optim.SGD(lr=0.1))
    given: Any = stream_of(data) if stream else data
    trainer.fit(given, epochs=2, batch_size=25, validation=data)
    text = terminal.getvalue()
    assert "epoch 1/2" in text
    assert ("/?" in text.split("epoch 2/2")[0]) == stream
    assert "4/4" in text
    assert "train loss" in text


def test_nothing_of_rich_without_a_terminal() -> None:
    import subprocess

    code = (
        "import sys, numpy as np, chainrule as cr;"
        "t = cr.Trainer(cr.nn.Linear(2, 2), loss=cr.nn.CrossEntropyLoss(),"
        " optimizer=cr.optim.SGD(), engine='numpy');"
        "t.fit((np.zeros((4, 2), 'f4'), np.zeros(4, int)), epochs=1, batch_size=2);"
        "print(*sorted({'rich', 'click', 'llvmlite', 'matplotlib', 'safetensors'}"
        " & set(sys.modules)))"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert made.stdout.strip() == ""


def test_the_bar_of_a_resumed_run(
    make: Make, data: cr.data.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar that starts in the middle, and one for a run that is finished."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    trainer = make()
    trainer.fit(data, epochs=1, batch_size=25, progress=False)
    bar = progress.Bar()
    bar.on_start(trainer)
    assert bar.progress.tasks[0].completed == 2
    bar.on_end(trainer)


@pytest.mark.parity
def test_the_bar_is_a_widget_where_there_are_widgets(
    make: Make, data: cr.data.Dataset
) -> None:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets: pip install it")
    trainer = make()
    trainer.fit(data, epochs=2, batch_size=25, progress=False)
    shown = progress.Notebook()
    shown.widget = shown._widget()
    shown.line = "<b>"
    shown._draw(trainer)
    row, line = shown.widget.children
    bar, label = row.children
    assert (bar.value, bar.max) == (4, 4)
    assert label.value.startswith("epoch 2/2  loss ")
    assert line.value == '<code style="white-space:pre-wrap">&lt;b&gt;</code>'


def test_a_bar_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell shows one bar that moves, and nothing goes to standard error."""
    shown: list[str] = []

    class ZMQInteractiveShell:
        pass

    class HTML(str):
        pass

    class Handle:
        def update(self, page: str) -> None:
            shown.append(page)

    def display(page: str, *, display_id: bool) -> Handle:
        shown.append(page)
        return Handle()

    kernel = types.ModuleType("IPython")
    kernel.get_ipython = ZMQInteractiveShell  # type: ignore[attr-defined]
    inner = types.ModuleType("IPython.display")
    core = types.ModuleType("IPython.core.display")
    inner.display, core.HTML = display, HTML  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.core", types.ModuleType("IPython.core"))
    monkeypatch.setitem(sys.modules, "IPython.core.display", core)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # not installed
    monkeypatch.setitem(sys.modules, "IPython.display", inner)
    assert isinstance(progress.display(), progress.Notebook)
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    model = nn.Sequential(nn.Linear(2, 1))
    trainer = Trainer(model, loss=nn.MSELoss(), optimizer=optim.SGD(model.parameters()))
    x = np.ones((8, 2), np.float32)
    trainer.fit((x, x[:, :1]), epochs=3, batch_size=4)
    assert stderr.getvalue() == ""
    assert 'max="6" value="0"' in shown[0]
    assert 'max="6" value="6"' in shown[-1]
    assert "epoch 3/3" in shown[-1]
    assert "train loss" in shown[-1]
    # Interrupted before its end is known, a stream's bar does not move for ever.
    samples = cr.data.Stream(lambda: zip(x, x[:, :1]))
    stop = LambdaCallback(on_chunk=lambda made: made.stop())
    monkeypatch.setattr("chainrule.training.loop.CHUNK", 0.0)
    trainer.fit(samples, epochs=1, batch_size=1, callbacks=stop)
    assert "max" not in shown[-2]
    assert re.search(r'max="(\d+)" value="\1"', shown[-1])
