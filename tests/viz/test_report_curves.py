"""Curves, gradients and probes of a report, and the tables of their numbers."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule.viz.report import charts
from chainrule.viz.words import read_words

from .conftest import Make
from .reports import HOSTILE, Write, section, trained


def test_gradients_and_probes(make: Make, data: cr.data.Dataset, write: Write) -> None:
    trainer = trained(make, data)
    history = trainer.history
    rng = np.random.default_rng(0)
    chunk = {
        "loss": rng.random(1000),
        "grad_norm/2.weight": rng.random(1000),
        "grad_norm/0.weight": np.full(1000, np.nan),
        f"{HOSTILE}/0": rng.random(1000),
        "activation_mean/1": rng.random(1000),
        "histogram/1": rng.random((1000, 4)),
    }
    history.restore((0, {}))
    history.extend({name: a.astype(np.float32) for name, a in chunk.items()})
    whole = write(trainer, data, "steps-.*")
    gradients = section(whole, "gradients")
    assert [li.text.strip() for li in gradients.find("li")] == ["0.weight", "2.weight"]
    (svg,) = gradients.find("svg", role="img")
    assert "0.weight: no finite number; 2.weight from" in svg["aria-label"]
    assert "groups of 5 steps" in gradients.text
    probes = section(whole, "probes")
    texts = [e.text for e in probes.find("text")]
    assert "activation mean" in texts
    assert not any("histogram" in text for text in texts)


def test_groups_of_steps_keep_the_extremes() -> None:
    values = np.ones(10_000, np.float32)
    values[4321], values[8765], values[5] = 100.0, 0.5, np.nan
    panel, remarks = charts.of_steps({"a": values}, "k", "up", read_words("en"))
    (line,) = panel.lines
    assert line.band is not None
    assert line.band[0].min() == 0.5
    assert line.band[1].max() == 100.0
    assert len(line.x) <= 240
    assert 0 < line.x[0] < line.x[-1] <= 10_000
    assert remarks == [
        "Lines are means, bands reach from the least to the largest, over "
        "groups of 42 steps"
    ]
    many = {str(i): values[:3] for i in range(50)}
    panel, remarks = charts.of_steps(many, "k", "up", read_words("en"))
    labels = [line.label for line in panel.lines]
    assert len(labels) == 10
    assert labels[0] == "0"
    assert labels[-1] == "49"
    assert remarks == ["10 of 50 are shown"]
    panel, _ = charts.of_steps({"a": values, "b": values}, "k", "up", read_words("en"))
    assert [line.band for line in panel.lines] == [None, None], "bands would overlap"


def test_table_of_epochs(make: Make, data: cr.data.Dataset, write: Write) -> None:
    trainer = trained(make, data, epochs=2)
    row = dict(trainer.history.epochs[-1])
    for i in range(3, 101):
        loss = float("nan") if i == 100 else 0.5
        trainer.history.epochs.append(row | {"epoch": i, "train_loss": loss})
    del trainer.history.epochs[0]["validation_loss"]
    heading, *rows = section(write(trainer, data), "epochs").find("table")[0].rows()
    assert heading[:2] == ["epoch", "training loss"]
    assert {"validation accuracy", "learning rate", "seconds"} < set(heading)
    assert len(rows) == 60
    assert [rows[0][0], rows[-1][0]] == ["1", "100"]
    assert rows[-1][1] == "nan"
    assert "–" in rows[0]
