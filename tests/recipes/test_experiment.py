"""Studies: stages that outlive a kill, pictures, the report, references."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, nn, optim, recipes, viz
from chainrule.recipes import Experiment, Reference
from chainrule.text import _
from chainrule.text.languages import language
from chainrule.training import LambdaCallback
from chainrule.viz import drawing

X = np.random.default_rng(0).standard_normal((64, 3)).astype("f4")
Y = X @ np.array([[1.0], [2.0], [3.0]], "f4")


def regression(experiment: Experiment, *, stop: int = 10**9) -> dict[str, Any]:
    """A Trainer, a loop of its own and a stored result; ``stop`` cuts it short."""
    cr.manual_seed(experiment.seed)
    trainer = cr.Trainer(
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)),
        loss=nn.MSELoss(),
        optimizer=optim.Adam(lr=0.01),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    trainer = experiment.fit(
        "fitted",
        trainer,
        (X, Y),
        epochs=3,
        batch_size=8,
        progress=False,
        validation=(X, Y),
        callbacks=LambdaCallback(
            on_chunk=lambda trainer: interrupt(trainer.state.updates >= stop)
        ),
    )
    print(f"fitted {trainer.epoch} epochs")
    model = trainer.model
    sgd = optim.SGD(model.parameters(), lr=0.01)

    @experiment.compile
    def train(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        x = x + 0.01 * cr.randn_like(x)  # draws from the default generator
        loss = ((model(x) - y) ** 2).mean()
        model.zero_grad()
        loss.backward()
        sgd.step()
        return loss

    rng, counts = np.random.default_rng(0), np.zeros(64)
    losses: list[float] = []
    best: dict[str, float] = {}
    state: dict[str, Any] = {"model": model, "sgd": sgd, "rng": rng, "best": best}
    for step in experiment.steps("looped", 30, **state, losses=losses, counts=counts):
        interrupt(step >= stop - 24)
        i = rng.integers(64)
        losses.append(train(X[[i]], Y[[i]]).item())
        counts[i] += 1
        best["loss"] = min(losses)
        if step % 10 == 0:
            print(f"step {step}")
    rounded = experiment.cached("rounded", lambda: (1, np.float32(0.1), best["loss"]))
    rows = model[0].weight.numpy()[:, None]
    experiment.draw("weights", viz.gallery.images, rows, title="W")
    weights = {k: np.asarray(v).tolist() for k, v in model.state_dict().items()}
    counted = counts.tolist()
    return {
        "weights": weights,
        "losses": losses,
        "counts": counted,
        "rounded": rounded,
        "score": losses[-1],
    }


def interrupt(when: bool) -> None:
    if when:
        raise KeyboardInterrupt


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """It stands in the registry as ``regression``."""
    module = SimpleNamespace(SUMMARY="two stages", run=regression, SECONDS=800)
    module.REFERENCES = [Reference("score", at_most=1e9, source="nobody")]
    monkeypatch.setattr(recipes, "find", lambda name: module)
    return module


def performed(out: Path | None, again: bool = False, **options: Any) -> Any:
    experiment = Experiment("regression", engine="numpy", out=out, options=options)
    return recipes.perform(experiment, again=again)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("every", "stops"),
    [(0, [1]), (1e9, [10, 24]), (0, [24, 25]), (1e9, [40]), (0, [3, 27, 30, 50])],
)
def test_cut_short_it_goes_on_bit_for_bit(
    recipe: Any,
    tmp_path: Path,
    stops: list[int],
    every: float,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a checkpoint after each step, and with one at the end alone."""

    def run(out: Path | None) -> Any:
        how: dict[str, Any] = {"engine": "numpy", "checkpoint_every": every}
        return recipes.perform(Experiment("regression", out=out, **how), again=True)

    whole, text = run(None)["result"], capsys.readouterr().out
    for stop in stops:
        monkeypatch.setattr(recipe, "run", partial(regression, stop=stop))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "r")
    monkeypatch.setattr(recipe, "run", regression)
    for __ in range(2):  # the second time all is read
        capsys.readouterr()
        assert run(tmp_path / "r")["result"] == whole
        assert capsys.readouterr().out == text


def looped(out: Path, body: Any, count: int = 5, **state: Any) -> None:
    """A loop in an experiment of its own."""
    experiment = Experiment(out=out, checkpoint_every=1e9)
    with experiment.running(again=True):
        for step in experiment.steps("loop", count, **state):
            body(step)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_loop_behind_its_step(number: int, tmp_path: Path) -> None:
    """The step is finished and saved; a program that is killed says so."""
    code = (
        "import os, signal, sys; from chainrule.recipes import Experiment;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # if ignored here
        "out, number = sys.argv[1], int(sys.argv[2]); done = [];"
        "experiment = Experiment(out=out, checkpoint_every=1e9);"
        "steps = experiment.steps('loop', 5, done=done)\n"
        "for step in steps:\n"
        "    if step == 2: os.kill(os.getpid(), number)\n"
        "    done.append(step)\n"
        "print(done)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(int(number))]
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == -number or "KeyboardInterrupt" in first.stderr
    assert first.stdout == ""
    again, done = Experiment(out=tmp_path, checkpoint_every=1e9), []
    for step in again.steps("loop", 5, done=done):
        done.append(step)
        assert step > 2
    assert done == [0, 1, 2, 3, 4]


def test_an_error_within_a_step_releases_the_loop(tmp_path: Path) -> None:
    """Its directory and the handlers of signals; the last checkpoint stays."""
    before, done = signal.getsignal(signal.SIGINT), []

    def body(step: int) -> None:
        done.append(step)
        if step == 3:
            raise ZeroDivisionError

    for __ in range(2):
        with pytest.raises(ZeroDivisionError):
            looped(tmp_path, body, done=[])
        assert signal.getsignal(signal.SIGINT) is before
    assert done == [0, 1, 2, 3] * 2


@pytest.mark.parametrize("out", [True, False])
def test_numbers_that_are_not_finite_are_refused(out: bool, tmp_path: Path) -> None:
    """Wherever they are in the state."""
    for name, item, spoil in (
        ("model", model := nn.Linear(2, 1), lambda: model.bias.copy_([np.nan])),
        ("losses", losses := [], lambda: losses.append(np.inf)),
        (
            "table",
            table := {"a": np.zeros(2)},
            lambda: table.update(a=np.full(2, np.nan)),
        ),
    ):
        experiment = Experiment(out=tmp_path / name if out else None)
        with pytest.raises(errors.NonFiniteError, match="before step 3") as caught:
            [spoil() for __ in experiment.steps("loop", 3, **{name: item})]
        assert name in str(caught.value)


def test_a_checkpoint_of_another_loop(tmp_path: Path) -> None:
    looped(tmp_path, lambda step: None, done=[1])
    for state in ({"other": []}, {"done": nn.Linear(1, 1)}, {"done": np.zeros(7)}):
        with pytest.raises(errors.CheckpointError, match="does not fit this loop"):
            looped(tmp_path, lambda step: None, **state)
    file = tmp_path / "loop" / "last.ckpt"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(errors.CheckpointError, match="damaged"):
        looped(tmp_path, lambda step: None, done=[])


def test_a_kept_stage_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(n: int) -> Any:
        made.append(n)
        return {"n": n, "rows": np.arange(3), "pair": (0.1, None)}

    kept = [Experiment(out=tmp_path).cached("stage", make, 5) for _ in range(3)]
    assert made == [5]
    assert kept == [{"n": 5, "rows": [0, 1, 2], "pair": [0.1, None]}] * 3
    assert Experiment().cached("stage", make, 5) == kept[0]


def test_two_stages_of_one_name_are_refused() -> None:
    experiment = Experiment()
    experiment.cached("stage", int)
    with pytest.raises(errors.ArgumentError, match="are called 'stage'"):
        experiment.cached("stage", int)


def test_a_directory_holds_one_study(recipe: Any, tmp_path: Path) -> None:
    performed(tmp_path / "r")
    with pytest.raises(errors.ArgumentError, match=r"holds a run already"):
        performed(tmp_path / "r")
    with pytest.raises(errors.ArgumentError, match=r"holds a run already"):
        recipes.perform(
            Experiment("regression", seed=1, engine="numpy", out=tmp_path / "r"),
            again=True,
        )


def test_a_run_that_is_refused_leaves_nothing(recipe: Any, tmp_path: Path) -> None:
    """So the corrected one takes its place; what is done stays."""

    def run(experiment: Experiment, *, data: str = "") -> dict[str, Any]:
        print("it begins")
        experiment.draw("first", viz.gallery.lines, {"a": [1.0, 2.0]}, title="first")
        if data == "nowhere":
            raise errors.DataError("There is nothing there.")
        experiment.cached("stage", int)
        if data == "later":
            raise errors.DataError("There is nothing there.")
        return {"score": 0.0}

    recipe.run, out = run, tmp_path / "a" / "r"
    with pytest.raises(errors.DataError):
        performed(out, data="nowhere")
    assert not out.parent.exists()
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    with pytest.raises(errors.DataError):
        performed(out, data="nowhere")
    assert [file.name for file in out.iterdir()] == ["mine.txt"]
    with pytest.raises(errors.DataError):
        performed(out, data="later")
    assert (out / "recipe.json").exists()
    with pytest.raises(errors.ArgumentError, match="holds a run already"):
        performed(out, data="here")
    with pytest.raises(errors.DataError):
        performed(out, again=True, data="later")
    assert (out / "recipe.json").exists()
    assert performed(tmp_path / "a" / "s", data="here")["result"] == {"score": 0.0}


def test_restored_from_its_directory(recipe: Any, tmp_path: Path) -> None:
    before = performed(tmp_path / "r", stop=10**6)
    experiment = Experiment.restore(tmp_path / "r", threads=1)
    assert experiment.options == {"stop": 10**6}
    assert recipes.perform(experiment, again=True)["result"] == before["result"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"recipe": "xor", "sed": 1}', '{"seed": 1}', "\udcff"]
)
def test_a_directory_of_something_else(tmp_path: Path, text: str) -> None:
    file = tmp_path / "recipe.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(errors.CheckpointError, match="is no file of a recipe"):
        Experiment.restore(tmp_path)
    file.unlink()
    with pytest.raises(errors.CheckpointError, match="is no file of a recipe"):
        Experiment.restore(tmp_path)


@pytest.mark.skipif(not viz.can_plot(), reason="needs matplotlib")
def test_what_it_leaves(recipe: Any, tmp_path: Path) -> None:
    told = performed(tmp_path / "r")
    written = json.loads((tmp_path / "r" / "metrics.json").read_text("utf-8"))
    assert written["result"] == told["result"]
    (figure,) = written["references"]
    assert figure["value"] == told["result"]["score"]
    assert figure["reached"] is True
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    said, drawn = page.index("fitted 3 epochs"), page.index("data:image/png")
    assert page.index("nobody") < said < drawn
    assert (tmp_path / "r" / "weights.png").stat().st_size > 1000


@pytest.mark.skipif(not viz.can_plot(), reason="needs matplotlib")
def test_what_is_said_cannot_be_markup(recipe: Any, tmp_path: Path) -> None:
    def run(experiment: Experiment) -> dict[str, Any]:
        print("<script>&\x1b[2J")
        return {"score": 0}

    recipe.run = run
    performed(tmp_path / "r")
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert "<script>" not in page
    assert "&lt;script&gt;&amp;\\x1b[2J" in page


def test_a_quick_one_is_compared_with_nothing(
    recipe: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, and what the full one takes."""
    experiment = Experiment("regression", engine="numpy", quick=True, out=tmp_path)
    assert recipes.perform(experiment)["references"] == []
    assert "about 13 minutes" in capsys.readouterr().out
    if viz.can_plot():
        assert "about 13 minutes" in (tmp_path / "report.html").read_text("utf-8")
    assert "about 40 seconds" in recipes.quick_note(40)


@pytest.mark.parametrize(
    ("reference", "value", "reached"),
    [
        (Reference("a.b", at_least=1.0), 1.0, True),
        (Reference("a.b", at_least=1.0), 0.999, False),
        (Reference("a.b", at_most=1.0), 1.0, True),
        (Reference("a.b", at_most=1.0), 1.001, False),
        (Reference("a.b", at_least=1.0), float("nan"), False),
        (Reference("a.b", at_most=1.0), float("nan"), False),
    ],
)
def test_references(reference: Reference, value: float, reached: bool) -> None:
    assert reference.reached({"a": {"b": value}}) is reached


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment("rules")
    for find in (experiment.package, experiment.folder):
        with pytest.raises(errors.ArgumentError) as caught:
            find("no_such_module_at_all", "--no-deps nothing")
        assert "The recipe 'rules' needs no_such_module_at_all." in str(caught.value)
        assert "pip install --no-deps nothing" in str(caught.value)
    assert experiment.folder("chainrule", "chainrule") == Path(cr.__file__).parent
    assert experiment.package("json", "json") is json


@pytest.mark.skipif(not viz.can_plot(), reason="needs matplotlib")
def test_names_of_the_users_are_never_translated() -> None:
    """A folder that is called like a word of ours."""
    ours = _("network")
    with language("zh-TW"), drawing.figure(drawing.PAPER, 3, 3) as f:
        names = {"rows": ["network", "cliff"], "columns": [ours, "cliff"]}
        viz.gallery.heat(f, np.eye(2), up=ours, **names)
        axes = f.axes[0]
        rows, columns = (
            [tick.get_text() for tick in axis.get_ticklabels()]
            for axis in (axes.yaxis, axes.xaxis)
        )
        assert rows == ["network", "cliff"]
        assert columns == [ours.translated(), "cliff"] != rows
        assert axes.get_ylabel() == ours.translated()
