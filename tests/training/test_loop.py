"""The loop under programs that no Trainer knows: two optimisers, a replay buffer."""

from __future__ import annotations

import importlib.util
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, optim
from chainrule.compilation.program import CompiledProgram
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.graph.types import ArrayType, DType
from chainrule.training import (
    Batches,
    BatchSource,
    Callback,
    Loop,
    RunState,
    StepInputs,
    checkpoint,
)
from tests.ways import ENGINES

from .conftest import without_time
from .interruptions import at_moments, counted, unclosed
from .moments import traceable

SLOW = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bits(loop: Loop) -> dict[str, Any]:
    """All that a run has made, times aside."""
    state, arrays = loop.state.pack()
    rows = without_time(state["epochs"])
    held = {k: t.numpy().tobytes() for k, t in loop.program.tensors.items()}
    numbers = {k: a.tobytes() for k, a in arrays.items()}
    source = repr(loop.source.state())
    return {"rows": rows, "source": source, "updates": loop.state.updates} | (
        held | numbers
    )


@pytest.fixture(params=["loop_gan", "loop_actor"])
def program(request: pytest.FixtureRequest) -> Any:
    return example(request.param)


@pytest.mark.parametrize(
    "engine", [ENGINES[-1], *(pytest.param(e, marks=SLOW) for e in ENGINES[:-1])]
)
def test_they_learn(engine: str) -> None:
    gan, actor = example("loop_gan").make(engine), example("loop_actor").make(engine)
    gan.run(epochs=2)
    made = gan.history.steps_of("discriminator")["made"]
    assert len(made) == len(gan.history.steps_of("generator")["loss"]) == 2 * 200
    assert np.isfinite(made).all()
    actor.run(epochs=5)
    # A greedy walk of 7 steps with one in five at random: 400 steps earn about 38.
    before = actor.source.rewards
    actor.run(epochs=6)
    assert actor.source.rewards - before > 25


def test_a_loop_is_the_functions_called_in_turn() -> None:
    """The GAN step by step, on the same program, without a loop."""
    module, epochs = example("loop_gan"), 2
    module.STEPS = 60
    loop, other = module.make("numpy"), module.make("numpy")
    loop.run(epochs=epochs)
    losses: dict[str, list[float]] = {"discriminator": [], "generator": []}
    for updates in range(epochs * module.STEPS):
        epoch, step = divmod(updates, module.STEPS)
        state = RunState(epoch=epoch, step=step, updates=updates)
        work = other.source.take(state, 1)
        made = other.program.run(work.entry, work.inputs)
        losses[work.entry].append(float(made["loss"]))
    for entry, expected in losses.items():
        assert loop.history.steps_of(entry)["loss"].tolist() == expected
    for key, t in loop.program.tensors.items():
        assert t.numpy().tobytes() == other.program.tensors[key].numpy().tobytes()
    row = loop.history.epochs[-1]
    last = losses["generator"][-module.STEPS // 2 :]
    assert row["generator_loss"] == pytest.approx(np.mean(last), rel=1e-12)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("at", [7, 90])
def test_saved_loaded_and_gone_on(program: Any, tmp_path: Path, at: int) -> None:
    program.STEPS = 60
    whole, part, rest = (program.make("numpy") for _ in range(3))
    whole.run(epochs=2)
    part.run(updates=at)
    part.save(tmp_path / "part.ckpt")
    rest.load(tmp_path / "part.ckpt")
    for loop in (part, rest):
        loop.run(epochs=2)
        assert bits(loop) == bits(whole)
    part.run(epochs=2)
    assert bits(part) == bits(whole), "of a finished run nothing is left to do"


@unclosed
@traceable
@pytest.mark.slow
def test_exceptions_of_a_signal_handler(
    program: Any, engine: str, tmp_path: Path
) -> None:
    program.STEPS = 20
    whole, loop = program.make(engine), program.make(engine)
    loop.run(epochs=1)
    whole.run(epochs=1)
    options: Any = {"checkpoint_every": 0}
    total = counted(lambda: whole.run(epochs=4, checkpoint=tmp_path / "a", **options))
    options["checkpoint"] = tmp_path / "b"
    assert at_moments(lambda: loop.run(epochs=4, **options), total // 10, 20) > 10
    assert bits(loop) == bits(whole)
    loop.load(tmp_path / "b")
    assert bits(loop) == bits(whole)


# -- what goes wrong -------------------------------------------------------------------


class Count(BatchSource):
    """Numbers 0, 1, 2 …, ten to an epoch; one of them may be something else."""

    def __init__(self, bad: int = -1, value: float = np.nan) -> None:
        self.bad, self.value, self.closed, self.calls = bad, value, 0, 0

    def take(self, state: RunState, most: int) -> StepInputs | None:
        self.calls += 1
        steps = min(most, 10 - state.step)
        if not steps:
            return None
        x = np.arange(state.updates, state.updates + steps, dtype=np.float32)
        x[x == self.bad] = self.value
        return StepInputs({"x": x}, steps=steps, last=steps == 10 - state.step)

    def close(self) -> None:
        self.closed += 1


def summing(source: BatchSource, **options: Any) -> Loop:
    """A loop whose one weight adds up what comes."""
    total = cr.tensor(0.0)
    total.name = "total"

    def add(x: cr.Tensor) -> Any:
        total.copy_(total + x)
        return {"loss": x * 2.0, "twice": total}

    x = Input("x", ArrayType((), DType.float32), each=True)
    traced = trace_entry("add", add, [x])
    return Loop(CompiledProgram([traced], engine="numpy"), "add", source, **options)


def test_what_is_recorded() -> None:
    loop = summing(Count())
    history = loop.run(epochs=2)
    assert history is loop.history
    assert history.steps["loss"].tolist() == [2.0 * i for i in range(20)]
    assert history.steps["twice"][-1] == loop.program.tensors["total"].item() == 190
    assert [row["add_loss"] for row in history.epochs] == [9.0, 29.0]
    assert (loop.epoch, loop.step, loop.state.updates, loop.finished) == (
        2,
        0,
        20,
        True,
    )


class Single(Count):
    """The same one by one, by a source that stumbles over what is no number."""

    def take(self, state: RunState, most: int) -> StepInputs | None:
        work = super().take(state, 1)
        return None if work is None else StepInputs({"x": work.inputs["x"][0]})

    def see(self, work: StepInputs, outputs: Any) -> None:
        int(outputs["loss"])


@pytest.mark.parametrize("bad", [0, 5, 13])
@pytest.mark.parametrize("kind", [Count, Single])
def test_a_number_that_is_none_is_found_and_undone(kind: Any, bad: int) -> None:
    """What the source raises for a number that is none is not the cause."""
    loop = summing(kind(bad))
    with pytest.raises(errors.NonFiniteError, match=f"at step {bad + 1} "):
        loop.run(epochs=2)
    assert loop.program.tensors["total"].item() == sum(range(bad))
    assert loop.state.updates == len(loop.history) == bad
    loop.source.bad = -1  # type: ignore[attr-defined]
    assert loop.run(epochs=2).steps["loss"].tolist() == [2.0 * i for i in range(20)]


def test_outputs_that_may_be_anything() -> None:
    loop = summing(Count(3, np.inf), finite=())
    with pytest.raises(errors.NonFiniteError, match="A weight stopped"):
        loop.run(epochs=1)
    assert loop.state.updates == 3


class Fails(Callback):
    def __init__(self, where: str, at: int) -> None:
        self.where, self.left, self.seen = where, at, 0

    def _call(self, where: str) -> None:
        self.seen += where == "chunk"
        if where == self.where:
            self.left -= 1
            if not self.left:
                raise ZeroDivisionError

    def on_chunk(self, trainer: Any) -> None:
        self._call("chunk")

    def on_epoch(self, trainer: Any) -> None:
        self._call("epoch")

    def on_finish(self, trainer: Any) -> None:
        self._call("finish")

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state(self, state: Any) -> None:
        self.seen = state.get("seen", 0)


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize(
    ("where", "at"), [("chunk", 1), ("chunk", 14), ("epoch", 2), ("finish", 1)]
)
def test_an_observer_that_fails_takes_its_step_back(where: str, at: int) -> None:
    fails = Fails(where, at)
    source = Count()
    loop = summing(source, callbacks=[fails])
    with pytest.raises(ZeroDivisionError):
        loop.run(epochs=3)
    assert source.closed
    assert loop.program.tensors["total"].item() == sum(range(loop.state.updates))
    assert len(loop.history.epochs) == loop.epoch
    loop.run(epochs=3)
    assert fails.seen == 30, "what it remembers is taken back too"
    assert [row["epoch"] for row in loop.history.epochs] == [1, 2, 3]
    assert loop.history.steps["loss"].tolist() == [2.0 * i for i in range(30)]


def test_an_exception_while_going_back() -> None:
    """It is begun again; and where it is hopeless, when the loop is next used."""

    class Stubborn(Count):
        left = 0

        def load_state(self, state: Any) -> None:
            self.left -= 1
            if self.left >= 0:
                raise TimeoutError

    for hopeless in (False, True):
        source = Stubborn()
        loop = summing(source, callbacks=[Fails("epoch", 2)])
        source.left = 1000 if hopeless else 3
        with pytest.raises(TimeoutError if hopeless else ZeroDivisionError):
            loop.run(epochs=3)
        assert loop.consistent is not hopeless
        source.left = 0
        loop.run(epochs=3)
        assert loop.program.tensors["total"].item() == sum(range(30))


@pytest.mark.usefixtures("single_steps")
def test_ctrl_c(tmp_path: Path) -> None:
    class CtrlC(Callback):
        def on_chunk(self, trainer: Any) -> None:
            if trainer.state.updates == 13:
                signal.raise_signal(signal.SIGINT)

    loop, other = summing(Count(), callbacks=[CtrlC()]), summing(Count())
    with pytest.raises(KeyboardInterrupt):
        loop.run(epochs=3, checkpoint=tmp_path)
    assert loop.state.updates == 13
    other.load(tmp_path)
    assert other.state.updates == 13
    other.run(epochs=3, checkpoint=tmp_path)
    assert other.program.tensors["total"].item() == sum(range(30))


def test_what_cannot_be() -> None:
    class Empty(BatchSource):
        def take(self, state: RunState, most: int) -> StepInputs | None:
            return StepInputs({"x": np.zeros(0, np.float32)}, steps=0)

    loop = summing(Count())
    for call, part in (
        (lambda: loop.run(), "epochs=… or updates=…"),
        (lambda: loop.run(epochs=-1), "epochs ≥ 0"),
        (lambda: loop.run(updates=2.5), "updates ≥ 0"),
        (lambda: Loop(loop.program, "none", Count()), "no entry point 'none'"),
        (lambda: summing(BatchSource()).run(epochs=1), "has no take()"),
        (lambda: summing(Empty()).run(epochs=1), "no steps"),
    ):
        with pytest.raises(errors.ArgumentError) as error:
            call()
        assert part in str(error.value)
    assert not loop.run(epochs=0).epochs, "an end that is reached already"


def test_a_loop_within_itself() -> None:
    class Again(Callback):
        def on_chunk(self, trainer: Any) -> None:
            with pytest.raises(errors.ArgumentError, match="is going on"):
                trainer.run(epochs=1)

    loop = summing(Count(), callbacks=[Again()])
    loop.run(epochs=2)
    assert loop.program.tensors["total"].item() == 190


def test_checkpoints_of_other_programs(tmp_path: Path) -> None:
    loop = summing(Count())
    loop.run(epochs=1)
    loop.save(tmp_path / "sum.ckpt")
    gan = example("loop_gan").make("numpy")
    gan.save(tmp_path / "gan.ckpt")
    document, arrays = checkpoint.read(tmp_path / "sum.ckpt")
    wrong = {
        "entries": ({**document, "entries": ["x"]}, arrays),
        "tensor/total of float32()": (
            document,
            {k: a for k, a in arrays.items() if "tensor" not in k},
        ),
        "no tensor/more": (document, {**arrays, "tensor/more": np.zeros(1)}),
        "arrays that": (document, {**arrays, "more": np.zeros(1)}),
        "'epoch'": ({**document, "epoch": -1}, arrays),
        "'history'": (document, {**arrays, "history/add/loss": np.zeros(3, "f4")}),
    }
    checkpoint.write(tmp_path / "odd.ckpt", document, arrays)
    other = summing(Count())
    other.load(tmp_path / "odd.ckpt")
    assert bits(other) == bits(loop)
    for part, (doc, held) in wrong.items():
        checkpoint.write(tmp_path / "odd.ckpt", doc, held)
        with pytest.raises(errors.CheckpointError) as error:
            other.load(tmp_path / "odd.ckpt")
        assert part.removeprefix("entries") in str(error.value)
        assert bits(other) == bits(loop), "nothing is changed"
    with pytest.raises(errors.CheckpointError, match="entry points"):
        other.load(tmp_path / "gan.ckpt")


def test_rates_and_schedules_go_back_too() -> None:
    """An callback that changes the optimiser, and fails: its change is undone."""
    w = cr.tensor([1.0], requires_grad=True)
    rate = optim.ReduceLROnPlateau(0.5, "train_loss", patience=0)
    sgd = optim.SGD([w], lr=rate, weight_decay=0.125)

    def step(x: cr.Tensor) -> Any:
        loss = ((w - x) ** 2).sum()
        w.grad = None
        loss.backward()
        sgd.step()
        return {"loss": loss}

    class Changes(Callback):
        def on_epoch(self, trainer: Any) -> None:
            sgd.param_groups[0]["weight_decay"] = 0.5
            if trainer.epoch == 3:
                raise ZeroDivisionError

    x = Input("x", ArrayType((), DType.float32), each=True)
    program = CompiledProgram([trace_entry("train", step, [x])], engine="numpy")
    loop = Loop(program, "train", Count(), callbacks=[Changes()])
    sgd.param_groups[0]["weight_decay"] = 0.25
    with pytest.raises(ZeroDivisionError):
        loop.run(epochs=3)
    assert sgd.options == sgd.param_groups[0].options
    assert sgd.steps == loop.state.updates
    assert (loop.epoch, sgd.param_groups[0]["weight_decay"]) == (2, 0.5)
    assert sgd.schedule is rate
    losses = [row["train_loss"] for row in loop.history.epochs]
    again = optim.ReduceLROnPlateau(0.5, "train_loss", patience=0)
    for loss in losses:
        again.observe({"train_loss": loss})
    assert rate.state() == again.state(), "it has not seen the third epoch"


# -- batches ---------------------------------------------------------------------------


def fed(source: Batches, epochs: int, most: int) -> list[list[int]]:
    """The rows of each step, epoch after epoch, at most so many steps at a time."""
    state, found = RunState(), []
    while state.epoch < epochs:
        work = source.take(state, most)
        assert work.steps is not None
        assert work.inputs["x"].shape == (work.steps, source.batch_size)
        assert (work.inputs["y"] == 10 * work.inputs["x"]).all()
        found += work.inputs["x"].tolist()
        state.step += work.steps
        if work.last:
            state.epoch, state.step = state.epoch + 1, 0
    return found


def test_batches_visit_every_row_once_an_epoch() -> None:
    x = np.arange(11)
    whole = fed(Batches({"x": x, "y": 10 * x}, 3, seed=5), 4, most=100)
    for epoch in range(4):
        seen = [row for step in whole[3 * epoch : 3 * epoch + 3] for row in step]
        assert len(seen) == len(set(seen)) == 9
        assert set(seen) <= set(range(11))
    assert len({str(whole[3 * e : 3 * e + 3]) for e in range(4)}) == 4
    for most in (1, 2):  # and in whatever chunks
        assert fed(Batches({"x": x, "y": 10 * x}, 3, seed=5), 4, most) == whole
    assert fed(Batches({"x": x, "y": 10 * x}, 3, seed=6), 4, most=1) != whole


def test_batches_that_cannot_be() -> None:
    with pytest.raises(errors.ShapeError, match="row by row") as caught:
        Batches({"x": np.zeros(3), "y": np.zeros(4)}, 2)
    assert "x: 3 rows, y: 4 rows" in str(caught.value)
    with pytest.raises(errors.ArgumentError, match="fewer rows than one batch"):
        Batches({"x": np.zeros(3)}, 4)
