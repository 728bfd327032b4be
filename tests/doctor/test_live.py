"""Live watching: what is seen is said once, and the training stays what it is."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.data import Dataset, Stream
from chainrule.doctor import Watch, examples, labels
from chainrule.doctor.live_rules import RULES
from chainrule.errors import ArgumentError, CheckpointError, NonFiniteError
from chainrule.graph.types import ArrayType, DType
from chainrule.text.languages import language
from chainrule.training import BatchSource, Callback, StepInputs, loop


def trainer(model: Any = None, optimizer: Any = None, **given: Any) -> cr.Trainer:
    """A healthy Trainer for :func:`moons`, but for what is given."""
    options = {"loss": nn.CrossEntropyLoss(), "engine": "numpy"} | given
    return cr.Trainer(
        examples.mlp() if model is None else model,
        optimizer=optim.Adam(lr=0.01) if optimizer is None else optimizer,
        **options,
    )


def watched(made: cr.Trainer, rows: Any = None, epochs: int = 20, **given: Any) -> list:
    """The codes of what a run says, in order."""
    data = examples.moons() if rows is None else rows
    made.fit(data, epochs=epochs, progress=False, doctor=True, **given)
    return [f.code for f in made.findings]


def with_bias(model: nn.Sequential, bias: float) -> nn.Sequential:
    for name, p in model.named_parameters():
        if name.endswith("bias") and name != "4.bias":
            nn.init.constant_(p, bias)
    return model


# -- what is seen ----------------------------------------------------------------------


def noisy() -> tuple[Dataset, Dataset]:
    """Few rows, a fifth of whose labels are wrong."""
    made = examples.moons(120)
    wrong = np.random.default_rng(0).uniform(size=120) < 0.25
    data = Dataset(made.x, np.where(wrong, 1 - made.y, made.y), classes=2)
    return data.split(0.5, seed=0)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("code", "made", "given"),
    [
        ("loss-diverges", lambda: trainer(None, optim.SGD(lr=100.0)), {}),
        ("loss-stalls", lambda: trainer(None, optim.SGD(lr=1e-7)), {"epochs": 60}),
        (
            "vanishing-gradient",
            lambda: trainer(examples.mlp(depth=10, act=nn.Sigmoid)),
            {"epochs": 30},
        ),
        ("dead-units", lambda: trainer(with_bias(examples.mlp(), -6.0)), {}),
        (
            "saturated-units",
            lambda: trainer(with_bias(examples.mlp(act=nn.Tanh), 12.0)),
            {},
        ),
        (
            "overfitting",
            lambda: trainer(examples.mlp(width=64), optim.Adam(lr=0.02)),
            {"rows": noisy()[0], "validation": noisy()[1], "epochs": 100},
        ),
    ],
)
def test_what_goes_wrong_is_said_once(
    code: str, made: Any, given: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one = made()
    assert code in watched(one, **given)
    told = capsys.readouterr().err
    assert told.count(f"doctor: {code}") == 1
    assert told.count("\n") == len(one.findings)
    (found,) = (f for f in one.findings if f.code == code)
    assert found.severity in ("sick", "risk")
    assert found.evidence.keys() <= labels.EVIDENCE.keys()
    assert found.to_dict()["cause"]


def recorded(**columns: Any) -> list[str]:
    """The codes for a loop that records these numbers, a column each."""
    table = np.stack([np.asarray(c, np.float32) for c in columns.values()], 1)

    def step(x: cr.Tensor) -> dict[str, cr.Tensor]:
        return {name: x[i] for i, name in enumerate(columns)}

    class Rows(BatchSource):
        def take(self, state: Any, most: int) -> Any:
            rows = table[state.step : state.step + most]
            return StepInputs({"x": rows}, len(rows)) if len(rows) else None

    kind = ArrayType((len(columns),), DType.float32)
    entry = trace_entry("train", step, [Input("x", kind, each=True)])
    watch = Watch(loss="cost", say=lambda message: None)
    program = CompiledProgram([entry], engine="numpy")
    loop.Loop(program, "train", Rows(), callbacks=[watch]).run(epochs=1)
    return [f.code for f in watch.findings]


def test_curves_of_losses_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=400)
    falling = np.exp(-np.arange(400) / 100)
    assert recorded(cost=falling + 0.05 * noise) == []
    # As noisy as a batch of one row, and learning.
    assert recorded(cost=np.abs(falling * (1 + 2 * noise))) == []
    assert recorded(cost=np.where(np.arange(400) < 100, falling, 2.0)) == [
        "loss-diverges"
    ]
    assert recorded(cost=np.where(np.arange(400) < 100, 1.0, 4.0)) == ["loss-diverges"]
    jumps = np.where(np.arange(400) < 40, 0.02, 0.8) * noise
    assert "loss-oscillates" in recorded(cost=1.5 + jumps)
    assert "loss-oscillates" not in recorded(cost=1.5 + 0.8 * noise)
    assert recorded(cost=1 + 0.1 * noise) == ["loss-stalls"]
    assert recorded(cost=1 - 0.0005 * np.arange(400) + 0.1 * noise) == []
    # What was learnt stays learnt: no stall.
    assert recorded(cost=np.maximum(falling, 0.1) + 0.02 * noise) == []


def test_gradients_of_any_loop_are_watched() -> None:
    steps = np.arange(400)
    falling = np.exp(-steps / 100)
    flat = np.ones(400)
    last = np.full(400, 0.5)
    norms = {"grad_norm/0.weight": last, "grad_norm/2.weight": last}
    assert recorded(cost=falling, **norms) == []
    grown = last * np.where(steps < 300, 1.0, 1e4)
    assert recorded(cost=falling, **norms | {"grad_norm/4.weight": grown}) == [
        "exploding-gradient"
    ]
    lost = {"grad_norm/0.weight": 1e-5 * last, "grad_norm/2.weight": last}
    lost |= {"grad_norm/4.weight": last}
    assert recorded(cost=flat, **lost)[0] == "vanishing-gradient"
    assert recorded(cost=falling, **lost) == []


def test_a_number_that_is_not_finite_is_a_finding() -> None:
    made = trainer(examples.mlp(2, 1), optim.SGD(lr=50.0), loss=nn.MSELoss())
    with pytest.raises(NonFiniteError):
        watched(made, examples.waves())
    assert [f.code for f in made.findings] == ["non-finite-loss"]
    assert made.findings[0].severity == "sick"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"batch_size": 1},
        {"batch_size": None, "epochs": 200},
        {"epochs": 1},
    ],
)
def test_a_healthy_run_is_told_nothing(
    given: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train, held = examples.moons(600).split(0.7, seed=0)
    assert watched(trainer(), train, validation=held, **given) == []
    assert capsys.readouterr().err == ""


def test_other_healthy_runs_are_told_nothing() -> None:
    wave = trainer(examples.mlp(2, 1), loss=nn.MSELoss())
    assert watched(wave, examples.waves(), epochs=60) == []
    schedule = optim.LinearWarmup(optim.CosineAnnealingLR(0.02), steps=50)
    assert watched(trainer(None, optim.Adam(lr=schedule)), epochs=40) == []
    tanh = trainer(examples.mlp(act=nn.Tanh), optim.SGD(lr=0.3, momentum=0.9))
    assert watched(tanh, epochs=60) == []
    perfect = nn.Linear(2, 1)
    nn.init.constant_(perfect.weight, 1.0)
    nn.init.constant_(perfect.bias, 0.0)
    x = examples.moons().x[:]
    done = trainer(perfect, optim.SGD(lr=0.01), loss=nn.MSELoss())
    # Nothing is left to fall: a loss of 0 stalls nowhere.
    assert watched(done, (x, x.sum(1, keepdims=True)), epochs=60) == []


# -- the training stays what it is -----------------------------------------------------


def dropping() -> nn.Sequential:
    cr.manual_seed(3)
    layers = nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3)
    return nn.Sequential(*layers, nn.Linear(16, 2))


def everything(made: cr.Trainer) -> list[Any]:
    """All numbers of a run, and the next draw of the global generator."""
    steps = [made.history.steps[k] for k in sorted(made.history.steps)]
    rows = [
        {k: v for k, v in row.items() if k != "seconds"} for row in made.history.epochs
    ]
    weights = [t.numpy() for __, t in made.model.named_tensors()]
    return [*steps, *weights, cr.rand(3).numpy(), np.array(repr(rows))]


@pytest.mark.parametrize("engine", ["numpy", "native", "xla"])
def test_watching_changes_no_number(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "xla":
        pytest.importorskip("jax")
        # Steps that XLA runs together may round otherwise than one by one: how many
        # they are is the clock's, with the doctor and without it.
        monkeypatch.setattr(loop, "CHUNK", 0.0)
    train, held = examples.moons(400).split(0.7, seed=0)
    results: list[list[Any]] = []
    for doctor in (False, True):
        made = trainer(dropping(), optim.SGD(lr=2.0, momentum=0.9), engine=engine)
        made.fit(train, epochs=9, validation=held, progress=False, doctor=doctor)
        results.append(everything(made))
    assert len(results[0]) == len(results[1])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_that_was_cut_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    def made() -> cr.Trainer:
        return trainer(dropping(), optim.SGD(lr=100.0))

    whole = made()
    whole.fit(examples.moons(), epochs=20, progress=False)

    class Cut(Callback):
        def on_epoch(self, trainer: Any) -> None:
            if trainer.epoch == 12:
                trainer.stop()

    first = made()
    data = examples.moons()
    first.fit(data, epochs=20, progress=False, doctor=True, callbacks=Cut())
    said = [f.code for f in first.findings]
    assert said
    first.save(tmp_path / "run.ckpt")
    second = cr.Trainer.load(tmp_path / "run.ckpt")
    second.resume(data, progress=False, doctor=True)
    assert not {f.code for f in second.findings} & set(said)
    for (__, a), (__, b) in zip(
        whole.model.named_tensors(), second.model.named_tensors(), strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_new_run_says_it_again() -> None:
    made = trainer(None, optim.SGD(lr=100.0))
    first = watched(made)
    assert "loss-diverges" in first
    watch = Watch(say=lambda message: None)
    other = trainer(None, optim.SGD(lr=100.0))
    for __ in range(2):
        other.fit(
            examples.moons(), epochs=20, batch_size=32, callbacks=watch, progress=False
        )
    made.fit(examples.moons(), epochs=1, progress=False)
    assert made.findings == []


@pytest.mark.parametrize("chunk", [0.0, 10.0])
def test_what_is_said_does_not_depend_on_chunks(
    chunk: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen() -> list[Any]:
        made = trainer(None, optim.SGD(lr=100.0))
        watched(made)
        return [f.to_dict() for f in made.findings]

    first = seen()
    assert first
    monkeypatch.setattr(loop, "CHUNK", chunk)
    assert sorted(map(repr, seen())) == sorted(map(repr, first))


def test_a_state_that_is_not_ours_is_refused() -> None:
    with pytest.raises(CheckpointError):
        Watch().load_state({"said": ["nothing-that-exists"]})
    with pytest.raises(CheckpointError):
        Watch().load_state({"said": 3})


# -- any loop, any data ----------------------------------------------------------------


def descent(lr: float) -> Any:
    """A loop of one's own: w² by gradient descent, whose loss is called ``cost``."""
    w = cr.tensor([4.0], requires_grad=True)
    sgd = optim.SGD([w], lr=lr)

    def step(x: cr.Tensor) -> dict[str, cr.Tensor]:
        cost = ((w - x) ** 2).sum()
        sgd.zero_grad()
        cost.backward()
        sgd.step()
        return {"cost": cost}

    class Zeros(BatchSource):
        def take(self, state: Any, most: int) -> Any:
            steps = min(most, 200 - state.step)
            x = {"x": np.zeros((steps, 1), np.float32)}
            return StepInputs(x, steps) if steps else None

    entry = trace_entry(
        "train", step, [Input("x", ArrayType((1,), DType.float32), each=True)]
    )
    return CompiledProgram([entry], engine="numpy"), Zeros()


def test_a_loop_of_ones_own_names_its_loss() -> None:
    said: list[str] = []
    watch = Watch(loss="cost", say=said.append)
    program, source = descent(1.005)
    loop.Loop(program, "train", source, callbacks=[watch]).run(epochs=1)
    assert [f.code for f in watch.findings] == ["loss-diverges"]
    assert len(said) == 1
    program, source = descent(0.1)
    loop.Loop(program, "train", source, callbacks=[watch]).run(epochs=1)
    assert watch.findings == []


def test_another_entry_point_is_watched() -> None:
    watch = Watch(loss="cost", entry="other", say=lambda message: None)
    program, source = descent(1.005)
    loop.Loop(program, "train", source, callbacks=[watch]).run(epochs=1)
    assert watch.findings == []


def test_a_loop_that_names_no_loss_is_told_so() -> None:
    watch = Watch(say=lambda message: None)
    program, source = descent(1.005)
    loop.Loop(program, "train", source, callbacks=[watch]).run(epochs=1)
    assert watch.findings == []
    assert {"loss", "units"} == watch.not_examined.keys()


def test_streams_and_several_inputs_are_watched_without_units() -> None:
    stream = Stream(lambda: iter([*examples.moons()]))
    made = trainer(None, optim.SGD(lr=100.0))
    assert "loss-diverges" in watched(made, stream)


def test_a_model_that_cannot_be_looked_at_is_trained_all_the_same() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            self.inner, self.act = examples.mlp(), nn.ReLU()
            self.eager = False

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            if self.eager and type(x.shape[0]) is int:  # in no trace
                raise RuntimeError("mine")
            return self.inner(self.act(x))

    model = Odd()
    model.eager = True
    watch = Watch(rows=examples.moons().x, say=lambda message: None)
    made = trainer(model)
    made.fit(examples.moons(), epochs=2, callbacks=watch, progress=False)
    assert "mine" in watch.not_examined["units"]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError, match="doctor"):
        trainer().fit(examples.moons(), epochs=1, doctor="yes")  # type: ignore[arg-type]
    for given in ({"loss": 3}, {"say": 3}):
        with pytest.raises(ArgumentError):
            Watch(**given)  # type: ignore[arg-type]


def test_findings_are_copied_with_the_trainer() -> None:
    made = trainer(None, optim.SGD(lr=100.0))
    codes = watched(made)
    copy = pickle.loads(pickle.dumps(made))
    assert [f.code for f in copy.findings] == codes


def test_messages_come_in_the_chosen_language() -> None:
    said: list[str] = []
    watch = Watch(say=said.append)
    with language("zh-TW"):
        trainer(None, optim.SGD(lr=100.0)).fit(
            examples.moons(), epochs=20, callbacks=watch, progress=False
        )
    assert any("loss-diverges" in message for message in said)


def test_all_that_is_watched_for_has_its_words() -> None:
    from chainrule.doctor.finding import COMPONENTS, SEVERITIES

    for rule in RULES.values():
        assert rule.component in COMPONENTS
        assert rule.severity in SEVERITIES
        assert all((rule.cause, rule.advice, rule.reference))
