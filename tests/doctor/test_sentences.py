"""What findings say is true of the run that they are about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import Comparison, Finding, examples, initialising, space
from chainrule.doctor.case import Case
from chainrule.doctor.finding import measured


def findings(made: examples.Made) -> dict[str, Finding]:
    trainer, data, given = made
    return {f.code: f for f in cr.diagnose(trainer, data, **given).findings}


def signs() -> Dataset:
    made = examples.binary(examples.moons())
    return Dataset(made.x, made.y * 2 - 1)


def test_a_refusal_that_a_change_leaves_as_it_is_is_no_consequence() -> None:
    """Labels −1 are refused whatever the network ends in."""
    model = examples.mlp(2, 1).append(nn.Softmax())
    found = findings(examples.example(model, signs(), loss=nn.BCELoss()))
    assert found["softmax-over-one-output"].severity == "sick"
    assert found["does-not-run"].severity == "sick"
    assert found["does-not-run"].consequence_of is None


def test_a_refusal_that_a_change_mends_is_its_consequence() -> None:
    found = findings(examples.example(examples.mlp().append(nn.Softmax())))
    refused = found["does-not-run"]
    assert refused.consequence_of == "output-activation-twice"


@pytest.mark.parametrize(
    ("end", "loss"), [(nn.Sigmoid, nn.BCELoss), (nn.Identity, nn.BCEWithLogitsLoss)]
)
def test_the_loss_of_one_output_goes_with_the_end_of_the_network(
    end: Any, loss: Any
) -> None:
    """The scores' own loss is refused behind a sigmoid."""
    model = examples.mlp(2, 1).append(end())
    rows = examples.binary(examples.moons())
    found = findings(examples.example(model, rows))["does-not-run"]
    assert "divide" not in found.fix
    assert found.change is not None
    assert found.change.after == f"loss=nn.{loss()!r}"


def test_rows_without_a_label_are_not_to_be_divided_by_their_sum() -> None:
    made = examples.moons()
    rows = Dataset(made.x, np.zeros((len(made), 2), np.float32))
    found = findings(examples.example(examples.mlp(), rows))
    words = found["does-not-run"].fix
    assert words.index("none") < words.index("divide")


@pytest.mark.parametrize(
    ("act", "says"), [(nn.Sigmoid, "σ′"), (nn.ReLU, "of a ReLU"), (nn.GELU, "weights")]
)
def test_a_gradient_vanishes_by_what_is_in_the_network(act: Any, says: str) -> None:
    model = examples.spread(examples.mlp(depth=12, act=act), 0.05)
    found = findings(examples.example(model, lr=1e-4))["vanishing-gradient"]
    assert says in found.cause
    assert ("σ′" in found.cause) == (act is nn.Sigmoid)
    assert found.advice.startswith("ReLU") == (act is nn.Sigmoid)


def test_batch_norm_of_one_row_is_told_from_noise() -> None:
    made = cr.data.blobs(300, 4, seed=0)

    def net() -> nn.Sequential:
        layers = (nn.Linear(2, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 4))
        return nn.Sequential(*layers)

    model = examples.drawn(net)
    given: dict[str, Any] = {"batch_size": 1, "epochs": 3}
    found = findings(examples.example(model, made, **given))["batch-too-small"]
    assert "batch norm" in found.cause
    assert "noise" not in found.cause


def test_batches_of_one_row_without_batch_norm_are_noise() -> None:
    model = examples.mlp(width=32, act=nn.Tanh)
    made = examples.example(model, lr=0.15, batch_size=1, epochs=12)
    assert "noise" in findings(made)["batch-too-small"].cause


def test_scores_of_shorter_runs_say_so() -> None:
    trainer, data, given = examples.example(optimizer=optim.SGD(lr=1e-4), epochs=400)
    case = Case(trainer, data, seconds=0.5, **given)
    assert not case.complete
    compared = case.compare(space.adam(case.setup, 0.01))
    assert compared is not None
    told = dict(measured(compared.evidence()))
    steps, asked = case.prepared().steps, case.setup.steps
    assert steps < asked
    assert f"accuracy as asked, at step {steps:,} of {asked:,}" in told
    assert "accuracy as asked" not in told


def test_scores_of_whole_runs_are_as_asked() -> None:
    change = initialising.redrawn(())
    scores = ((0.5,), (0.9,), 0.5, 0.0, 1.0)
    whole = Comparison(change, "accuracy", *scores, steps=504, asked=504)
    assert "accuracy as asked" in dict(measured(whole.evidence()))
