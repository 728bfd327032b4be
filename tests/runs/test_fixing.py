"""Changes as a diff of a run file: right, or none."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from chainrule import nn, optim
from chainrule.doctor import Case, Change, changes, examples
from chainrule.runs import fixing
from chainrule.runs.file import parse

TEXT = """# houses
[data]
source = "moons"  # two half circles

[model]
layers = ["Linear"]

[loss]
class = "CrossEntropyLoss"
label_smoothing = 0.1

[optimizer]
class = "SGD"
lr = 100.0  # fast
momentum = 0.9

[schedule]
class = "StepLR"
step_size = 3

[training]
epochs = 15
"""


def setup() -> Any:
    trainer, data, given = examples.example(optimizer=optim.SGD(lr=100.0))
    return Case(trainer, data, **given).setup


def said(text: str, *made: Change) -> dict[str, Any]:
    """What a file says after changes, which its diff shows."""
    run = parse(text)
    diff = fixing.diff(run, made)
    assert diff is not None
    wanted = {k: v for c in made for k, v in (c.settings or {}).items()}
    assert wanted
    lines = text.splitlines()
    for line in diff.splitlines()[2:]:
        if line.startswith("-"):
            assert line[1:] in lines
    assert len(diff.splitlines()) > 3
    whole = fixing.edited(
        run.text, wanted, [k for k, v in wanted.items() if "class" in v or not v]
    )
    assert whole is not None
    assert parse(whole)
    assert "# houses" in whole or text.startswith("data.")
    return tomllib.loads(whole)


def test_a_rate_keeps_its_comment() -> None:
    change = changes.rate_times(setup(), 0.001)
    assert change is not None
    document = said(TEXT, change)
    assert document["optimizer"] == {"class": "SGD", "lr": 0.1, "momentum": 0.9}
    diff = fixing.diff(parse(TEXT), [change])
    assert diff is not None
    assert "+lr = 0.1  # fast" in diff


def test_another_optimiser_has_its_own_options_and_no_schedule() -> None:
    change = changes.optimizer(setup(), lambda: optim.Adam(lr=0.01))
    document = said(TEXT, change)
    assert document["optimizer"] == {"class": "Adam", "lr": 0.01}
    assert not document.get("schedule")


def test_keys_that_are_missing_are_added() -> None:
    made = setup()
    plan = changes.plan(made, "x", epochs=60)
    batch = changes.plan(made, "x", batch_size=8)
    document = said(TEXT, changes.clipped(made), changes.together([plan]))
    assert document["training"] == {"epochs": 60}
    assert document["optimizer"]["clip_norm"] == 1.0
    assert said(TEXT, batch)["training"] == {"epochs": 15, "batch_size": 8}


@pytest.mark.parametrize(
    "text",
    [
        'data.source = "moons"\nmodel.layers = ["Linear"]',
        'data.source = "moons"\nmodel.layers = ["Linear"]\n[training]\nepochs = 3',
        'data.source = "moons"\nmodel.layers = ["Linear"]\noptimizer.momentum = 0.5\n'
        'optimizer.class = "SGD"',
    ],
)
def test_files_without_the_section(text: str) -> None:
    document = said(text, changes.rate_times(setup(), 0.001))  # type: ignore[arg-type]
    assert document["optimizer"]["lr"] == 0.1
    assert document["data"]["source"] == "moons"


def test_a_loss_is_named() -> None:
    change = changes.loss(setup(), nn.CrossEntropyLoss, "x")
    assert change is not None
    assert said(TEXT, change)["loss"] == {"class": "CrossEntropyLoss"}


def test_what_a_file_cannot_say_has_no_diff() -> None:
    made = setup()
    rate = changes.rate_times(made, 0.1)
    assert rate is not None
    for change in (
        changes.variance(made, relu=True),
        changes.standardised(made),
        changes.between(made, ["0"]),
    ):
        assert change is not None
        assert fixing.diff(parse(TEXT), [rate, change]) is None
    several = 'data.source = "moons"\nmodel.layers = ["Linear"]\noptimizer = {lr = 1.0}'
    assert fixing.diff(parse(several), [rate]) is None
