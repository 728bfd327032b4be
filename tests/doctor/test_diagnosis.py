"""The diagnosis: bad input, copies, the same again, files, what is shown."""

from __future__ import annotations

import inspect
import json
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset, Stream
from chainrule.doctor import (
    Change,
    Comparison,
    Diagnosis,
    Finding,
    examples,
    fixes,
    registered,
    trials,
)
from chainrule.doctor import case as cases
from chainrule.doctor.diagnosis import ranked
from chainrule.doctor.setup import Setup
from chainrule.doctor.subject import SCORED
from chainrule.errors import ArgumentError
from chainrule.text.languages import language


def diagnose(*args: Any, **given: Any) -> Diagnosis:
    trainer, data, more = examples.example(*args, **given)
    return cr.diagnose(trainer, data, **more)


def _unchanged(x: Any, y: Any, *rest: Any) -> Any:
    return x, y


def codes(diagnosis: Diagnosis) -> list[str]:
    return [f.code for f in diagnosis.findings]


# -- nothing of the user's is touched --------------------------------------------------


def test_the_trainer_stays_as_it_is() -> None:
    trainer, data, given = examples.example(optimizer=optim.Adam(lr=3.0))
    trainer.fit(data, epochs=2, progress=False)
    before = [t.numpy().copy() for __, t in trainer.model.named_tensors()]
    steps = trainer.optimizer.steps
    cr.manual_seed(5)
    expected = cr.rand(3).numpy()
    cr.manual_seed(5)
    found = cr.diagnose(trainer, data, **given)
    found.fix()
    after = [t.numpy() for __, t in trainer.model.named_tensors()]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert (trainer.optimizer.steps, trainer.epoch) == (steps, 2)
    assert trainer.optimizer.lr == 3.0
    assert np.array_equal(cr.rand(3).numpy(), expected)


def test_a_trained_trainer_is_examined_from_new_weights() -> None:
    trainer, data, __ = examples.example(optimizer=optim.SGD(lr=100.0))
    trainer.fit(data, epochs=20, progress=False)
    found = cr.diagnose(trainer, data)
    assert found.findings[0].code == "learning-rate-too-large"
    assert found.case is not None
    assert found.case.setup.epochs == 20


def test_trial_runs_have_what_the_trainer_was_given() -> None:
    """Whatever a Trainer takes is that of the copies, but for what only reports."""
    options = {
        "loss_weights": None,
        "seed": 3,
        "threads": 2,
        "batch_transform": _unchanged,
        "ema_decay": 0.5,
        "precision": "bf16-mixed",
        "sharding": {"x": ("data", None)},
        "mesh": {"data": 1},
        "devices": 1,
    }
    given = inspect.signature(cr.Trainer).parameters
    parts = {"model", "loss", "optimizer", "engine", "metrics", "probes"}
    assert given.keys() - parts == options.keys()
    spread = ("devices", "mesh", "sharding")
    options = {k: v for k, v in options.items() if k not in spread}
    trainer = cr.Trainer(
        examples.mlp(),
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(lr=0.01),
        engine="numpy",
        **options,  # type: ignore[arg-type]
    )
    rows = examples.moons()
    # No engine that is always there spreads: what would be handed on is looked at.
    assert set(spread) < trainer.resources.keys()
    setup = Setup.of(trainer, rows, rows, 1, 32)
    assert setup.resources == trainer.resources
    copy = setup.trainer()
    assert copy.precision == "bf16-mixed"
    assert (copy.seed, copy.threads) == (3, 2)
    assert copy.average is not None
    assert copy.average.decay == 0.5
    assert copy.batch_transform is not None
    assert copy.resources == trainer.resources


# -- the same again --------------------------------------------------------------------


@pytest.mark.one_in(3, first=2)
@pytest.mark.parametrize(
    ("engine", "width"), [("numpy", 16), ("native", 16), ("native", 256)]
)
def test_the_same_seed_gives_the_same_diagnosis_on_any_threads(
    engine: str, width: int
) -> None:
    """Of a network, too, whose products are shared out among threads."""

    def found(threads: int) -> str:
        model = examples.mlp(width=width)
        made, data, given = examples.example(model, batch_size=2 * width)
        trainer = cr.Trainer(
            made.model,
            loss=made.loss,
            optimizer=optim.SGD(lr=60.0, momentum=0.5),
            engine=engine,  # type: ignore[arg-type]
            threads=threads,
        )
        return json.dumps(cr.diagnose(trainer, data, **given).to_dict())

    first = found(1)
    assert "learning-rate-too-large" in first
    assert found(2) == first


def test_a_budget_is_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    def seen() -> str:
        found = diagnose(optimizer=optim.SGD(lr=100.0), epochs=5)
        return json.dumps(found.to_dict())

    first = seen()
    clock = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    assert seen() == first


def test_what_is_too_much_for_the_budget_is_named() -> None:
    found = diagnose(optimizer=optim.SGD(lr=100.0), seconds=1e-4)
    assert "rates" in found.not_examined
    assert "learning-rate-too-large" not in codes(found)


# -- bad input -------------------------------------------------------------------------


def test_no_trainer_is_refused() -> None:
    with pytest.raises(ArgumentError, match="examines a Trainer"):
        cr.diagnose(nn.Linear(2, 2), examples.moons())  # type: ignore[arg-type]
    for given in ({"epochs": 0}, {"batch_size": -1}, {"seconds": 0}):
        with pytest.raises(ArgumentError):
            cr.diagnose(examples.example()[0], examples.moons(), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [1, 3])
def test_few_rows(rows: int) -> None:
    data = Dataset(np.eye(3)[:rows], np.arange(rows) % 2, classes=2)
    found = diagnose(examples.mlp(3), data, epochs=5)
    assert "held_out_rows" in found.not_examined


@pytest.mark.parametrize("label", [0, 1])
def test_one_row_right_or_wrong_is_chance(label: int) -> None:
    data = Dataset(np.ones((1, 3), np.float32), np.array([label]), classes=2)
    found = diagnose(examples.mlp(3), data, optimizer=optim.SGD(lr=0.001), epochs=2)
    assert found.healthy, str(found)


def test_numbers_that_overflow_warn_nobody() -> None:
    made = examples.moons()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = diagnose(rows=(np.asarray(made.x[:], np.float64) * 1e300, made.y))
    assert not found.healthy
    assert [str(w.message) for w in caught] == []


class _Locked(nn.Module):
    def __init__(self) -> None:
        self.inner = examples.mlp()
        self.lock = threading.Lock()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x)


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    with pytest.raises(ArgumentError, match="cannot copy the Trainer") as caught:
        diagnose(_Locked())
    assert "lock" in str(caught.value)


def test_trial_runs_look_at_as_many_held_out_rows_as_a_score() -> None:
    trainer, rows, given = examples.example(validation=cr.data.moons(3000, seed=1))
    case = cases.Case(trainer, rows, **given)
    assert len(case.prepared().held_out) == SCORED
    assert len(case.setup.held_out) == 3000


@pytest.mark.parametrize(
    ("units", "samples", "rows"), [(64, 600, 256), (64, 40, 32), (1 << 17, 600, 127)]
)
def test_of_large_networks_the_outputs_of_fewer_rows_are_kept(
    units: int, samples: int, rows: int
) -> None:
    """And a finding by them says of how many."""
    model = nn.Sequential(nn.Linear(2, units), nn.Linear(units, 2))
    trainer, data, more = examples.example(model, examples.moons(samples))
    case = cases.Case(trainer, data, **more)
    assert case.seen is not None
    assert case.seen_at_end is not None
    assert len(case.seen["0"]) == len(case.seen_at_end["0"]) == rows
    assert case.rows_seen == rows


def test_a_trial_that_ended_early_does_not_count_as_whole() -> None:
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(8, 2))
    assert "after 0 steps" in diagnose(model).examined["trial_run"]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("lr", [1e-5, 1e-7, 1e-9])
def test_a_rate_that_is_too_small_by_orders_of_magnitude(lr: float) -> None:
    found = diagnose(optimizer=optim.SGD(lr=lr))
    assert found.findings[0].code == "learning-rate-too-small", str(found)
    assert not found.healthy


def test_a_stream_is_looked_at_in_its_first_rows() -> None:
    moons = examples.moons()
    found = diagnose(rows=Stream(lambda: iter([*moons])))
    assert found.healthy
    assert "stream" in found.not_examined


def test_several_inputs_and_outputs_are_trained_and_their_columns_left_out() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = examples.mlp(), examples.mlp(2, 1)

        def forward(self, p: cr.Tensor, q: cr.Tensor) -> dict[str, cr.Tensor]:
            return {"c": self.a(p), "r": self.b(q)}

    x, y = examples.moons().x[:], examples.moons().y
    losses = {"c": nn.CrossEntropyLoss(), "r": nn.MSELoss()}
    trainer = cr.Trainer(
        Two(), loss=losses, optimizer=optim.Adam(lr=0.01), engine="numpy"
    )
    data = {"p": x, "q": x}, {"c": y, "r": x[:, :1]}
    found = cr.diagnose(trainer, data, epochs=30)
    assert "columns" in found.not_examined
    assert found.healthy, str(found)


class Raises(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Linear(2, 2)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        raise RuntimeError("mine")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"model": Raises()}, "RuntimeError: mine"),
        ({"loss": lambda p, t: 1 / 0}, "ZeroDivisionError"),
        ({"loss": lambda p, t: p}, ""),
        ({"model": nn.Linear(3, 2)}, ""),
        ({"optimizer": optim.LBFGS(lr=1.0)}, "optimizer"),
    ],
)
def test_what_cannot_run_is_a_finding(given: dict[str, Any], word: str) -> None:
    found = diagnose(**given)
    assert found.findings[0].code == "does-not-run"
    assert not found.healthy
    assert word in json.dumps(found.to_dict())


def test_what_cannot_run_names_the_part_that_is_wrong() -> None:
    (found,) = diagnose(optimizer=optim.LBFGS(lr=1.0)).findings
    assert (found.component, found.where) == ("optimizer", "optimizer")
    assert found.change is not None
    assert "Adam" in found.change.after
    (found,) = diagnose(examples.mlp().requires_grad_(False)).findings
    assert (found.code, found.severity) == ("frozen-parameters", "sick")
    assert found.evidence["accuracy_with_change"] > 0.9
    (found,) = diagnose(loss=lambda p, t: 1 / 0).findings
    assert found.component == "loss"


@pytest.mark.one_in(2, first=1)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_loss_of_ones_own_that_rewards_distance(sign: float) -> None:
    def loss(p: cr.Tensor, t: cr.Tensor) -> cr.Tensor:
        return sign * ((p - t) * (p - t)).clamp(max=9.0).mean()

    found = diagnose(examples.mlp(2, 1), examples.waves(), loss=loss, epochs=40)
    sick = [f.code for f in found.findings if f.severity == "sick"]
    assert sick == ([] if sign > 0 else ["loss-of-wrong-sign"]), str(found)


@pytest.mark.parametrize("data", [None, (np.array([["a"]]), [1]), ([[1.0]], [1, 2])])
def test_data_that_are_refused_are_a_finding(data: Any) -> None:
    found = cr.diagnose(examples.example()[0], data)
    assert codes(found) == ["data-refused"]


def test_ctrl_c_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **given: Any) -> Any:
        raise KeyboardInterrupt

    made = examples.moons()
    x = np.concatenate([made.x[:], np.ones((300, 1), np.float32)], 1)
    monkeypatch.setattr(trials, "run", interrupted)
    found = diagnose(examples.mlp(3), Dataset(x, made.y, classes=2))
    assert found.interrupted
    assert codes(found) == ["constant-columns"]
    assert str(found).startswith("Interrupted")
    assert "rest" in found.not_examined


@pytest.mark.one_in(2, first=1)
@pytest.mark.parametrize("after", [0, 3])
def test_ctrl_c_ends_the_fixes_and_keeps_what_is_known(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole, count = fixes.Run.to, iter(range(1000))

    def interrupted(self: Any, share: float) -> Any:
        if next(count) >= after:
            raise KeyboardInterrupt
        return whole(self, share)

    model = examples.spread(examples.mlp(depth=6), 0.0003)
    found = diagnose(model, optimizer=optim.SGD(lr=1e-4), epochs=15)
    before = codes(found)
    assert before
    monkeypatch.setattr(fixes.Run, "to", interrupted)
    kept = found.fix()
    assert found.interrupted
    assert "rest" in found.not_examined
    assert codes(found) == before
    # What the diagnosis has tried counts, though over fewer seeds.
    assert kept
    assert all(f.comparison.gain > 0 for f in kept)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optim.SGD(lr=optim.OneCycleLR(50.0)),
        lambda: optim.SGD(lr=optim.StepLR(50.0, step_size=10)),
        lambda: optim.SGD(lr=optim.ReduceLROnPlateau(50.0, monitor="train_loss")),
        lambda: optim.SGD([{"params": "*bias"}, {"params": "*weight", "lr": 50.0}]),
        lambda: optim.SGD(
            lr=optim.LinearWarmup(optim.CosineAnnealingLR(50.0), steps=3)
        ),
    ],
)
def test_rates_of_any_schedule_are_lowered(optimizer: Any) -> None:
    found = diagnose(optimizer=optimizer())
    assert "learning-rate-too-large" in codes(found), str(found)


# -- fixes, files, what is shown -------------------------------------------------------


def test_fixes_are_tried_over_seeds_and_ordered() -> None:
    found = diagnose(optimizer=optim.SGD(lr=100.0))
    fixes = found.fix()
    best = max(f.comparison.gain for f in fixes)
    alike = [f for f in fixes if f.comparison.gain >= best - 0.005]
    assert fixes[: len(alike)] == alike
    counts = [len(f.changes) for f in alike]
    assert counts == sorted(counts)  # of those that are as good the smallest
    gains = [round(f.comparison.gain, 3) for f in fixes[len(alike) :]]
    assert gains == sorted(gains, reverse=True)
    document = fixes[0].to_dict()
    assert document["changes"][0].startswith("- lr=100\n+ lr=")
    assert document["tried"] == 5
    assert document["after"] - document["before"] > 0.1
    assert "Tried on copies" in str(found)


def test_consequences_stand_below_their_cause() -> None:
    found = diagnose(optimizer=optim.SGD(lr=100.0))
    first, *rest = found.findings
    assert first.consequence_of is None
    assert [f.consequence_of for f in rest if f.code == "exploding-gradient"] == [
        first.code
    ]


def finding(code: str, gain: float | None, severity: str = "sick") -> Finding:
    """A finding whose change gained so much."""
    change = Change("a change", "a", code, lambda setup: None)
    compared = None
    if gain is not None:
        scores = ((0.1,), (0.1 + gain,), 0.1, 0.0, True)
        compared = Comparison(change, "accuracy", *scores)
    sure = 0.9 if severity == "sick" else 0.4
    return Finding(code, "data", severity, "", {}, "", "", change, compared, sure)


def test_a_run_without_numbers_is_no_cure() -> None:
    change = Change("a change", "a", "b", lambda setup: None)
    scores = [((-0.6,), (None,)), ((None,), (None,)), ((-0.6, 0.2), (None, 0.1))]
    for before, after in scores:
        compared = Comparison(change, "r2", before, after, 0.0, 0.0, True)
        assert compared.gain <= 0
    assert Comparison(change, "r2", (None,), (0.5,), 0.0, 0.0, True).gain == 0.5


def test_a_cause_gains_as_much_as_its_consequence() -> None:
    rate, scale = "learning-rate-too-large", "unscaled-inputs"
    small, large = finding(scale, 0.2), finding(rate, 0.8)
    first, second = ranked([small, large], registered())
    assert (first.code, second.code) == (rate, scale)
    assert (first.severity, second.severity) == ("sick", "risk")
    assert second.consequence_of is None
    first, second = ranked([finding(scale, 0.8), large], registered())
    assert (first.code, second.code) == (scale, rate)
    assert second.consequence_of == scale


def test_what_was_not_tried_is_explained_by_a_change_that_gains_nothing() -> None:
    codes = ("output-activation-twice", "does-not-run")
    cause, refusal = finding(codes[0], -0.05), finding(codes[1], None)
    order = ranked([refusal, cause], registered())
    assert [f.code for f in order] == [*codes]
    assert order[1].consequence_of == codes[0]


def test_a_consequence_of_a_consequence_stands_below_it() -> None:
    codes = ("non-finite-loss", "exploding-gradient", "learning-rate-too-large")
    order = ranked(
        [finding(codes[0], None), finding(codes[1], None), finding(codes[2], 0.5)],
        registered(),
    )
    assert [f.code for f in order] == [*reversed(codes)]
    assert [f.consequence_of for f in order] == [None, codes[2], codes[1]]


def test_causes_stand_above_consequences_which_are_no_causes() -> None:
    codes = ("learning-rate-too-large", "batch-too-small", "exploding-gradient")
    order = ranked([finding(code, 0.5) for code in reversed(codes)], registered())
    assert [f.code for f in order] == [*codes]
    assert [f.severity for f in order] == ["sick", "sick", "risk"]
    assert [f.consequence_of for f in order] == [None, None, codes[0]]


@pytest.mark.parametrize(("gain", "severity"), [(0.45, "sick"), (0.3, "risk")])
def test_what_leaves_a_run_far_behind_does_not_cure(gain: float, severity: str) -> None:
    best, other = finding("batch-too-small", 0.5), finding("one-class", gain)
    assert [f.severity for f in ranked([best, other], registered())][1] == severity


def test_a_single_sick_finding_stays_sick_whatever_its_change_does() -> None:
    worse, risk = finding("constant-weights", -0.9), finding("one-class", 0.0, "risk")
    found = ranked([risk, worse], registered())
    assert [f.severity for f in found] == ["sick", "risk"]
    other = finding("batch-too-small", 0.5)
    found = {f.code: f.severity for f in ranked([risk, worse, other], registered())}
    assert found["constant-weights"] == "risk"
    assert found["batch-too-small"] == "sick"


def test_json_html_and_text(tmp_path: Path) -> None:
    found = diagnose(optimizer=optim.SGD(lr=100.0))
    page = found.to_html()
    assert "<script" not in page
    assert "learning-rate-too-large" in page
    assert "<svg" in page
    assert "learning-rate-too-large" in found._repr_html_()
    found.save(tmp_path / "diagnosis.json")
    document = json.loads((tmp_path / "diagnosis.json").read_text())
    assert document["healthy"] is False
    assert {"graph", "data", "probes", "versions", "seed"} <= document.keys()
    assert document["data"]["rows"] == 300
    wanted = {"code", "component", "severity", "where", "evidence", "cause", "fix"}
    assert wanted | {"confidence"} <= document["findings"][0].keys()
    with language("zh-TW"):
        assert "learning-rate-too-large" in str(found)


def test_numbers_that_are_none_are_data_for_json() -> None:
    made = examples.moons()
    found = diagnose(rows=Dataset(made.x[:] * np.float32(1e30), made.y, classes=2))
    assert any(
        isinstance(v, float) and not np.isfinite(v)
        for f in found.findings
        for v in f.evidence.values()
    )
    json.dumps(found.to_dict(), allow_nan=False)


def test_names_of_people_are_escaped() -> None:
    made = examples.moons()
    x = np.concatenate([made.x[:], np.ones((300, 1), np.float32)], 1)
    names = ["a", "b", "<script>alert(1)</script>"]
    data = Dataset(x, made.y, classes=2, feature_names=names)
    page = diagnose(examples.mlp(3), data).to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_run_in_which_nothing_can_be_found_is_sick() -> None:
    made = examples.moons()
    y = np.random.default_rng(0).normal(size=(300, 1)).astype(np.float32)
    model = examples.mlp(2, 1)
    found = diagnose(model, Dataset(made.x, y), loss=nn.MSELoss())
    assert codes(found)[0] == "labels-without-signal"
    assert not found.healthy


def test_gradients_of_weights_are_those_of_weights() -> None:
    """Not those of the biases that come last in the list of parameters."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    cr.manual_seed(0)
    layers = [part for _ in range(8) for part in (nn.Linear(2, 2), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Linear(2, 2))
    model[-1].weight.copy_(model[-1].weight.detach() * 0.01)
    loss = nn.CrossEntropyLoss()
    loss(model(cr.tensor(x)), cr.tensor(y)).backward()
    weights = [m.weight for m in model if isinstance(m, nn.Linear)]
    norms = [
        float(np.linalg.norm(w.grad.numpy())) for w in weights if w.grad is not None
    ]
    trainer = cr.Trainer(model, loss=loss, optimizer=optim.SGD(lr=0.1), engine="numpy")
    diagnosis = cr.diagnose(
        trainer, (x, y), validation=(x, y), epochs=30, batch_size=60
    )
    (found,) = [f for f in diagnosis.findings if f.code == "vanishing-gradient"]
    for key, norm in (("first", norms[0]), ("last", norms[-1])):
        shown = found.evidence[f"grad_norm_of_{key}_weights"]
        assert shown == pytest.approx(norm, rel=1e-4), key
