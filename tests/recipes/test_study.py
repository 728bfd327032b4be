"""Studies: stages that outlive a kill, pictures, the report, references."""

from __future__ import annotations

import json
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
from chainrule.training import Callback, Loop, Source, Work, compile_program
from chainrule.viz import drawing

X = np.random.default_rng(0).standard_normal((64, 3)).astype("f4")
Y = X @ np.array([[1.0], [2.0], [3.0]], "f4")


class Stop(Callback):
    """Ctrl-C after so many steps."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_chunk(self, trainer: Any) -> None:
        if trainer.state.updates >= self.after:
            raise KeyboardInterrupt


class Rows(Source):
    """One row a step, drawn from a state of its own."""

    def __init__(self, stop: int) -> None:
        self.dice, self.stop = np.random.default_rng(0), stop

    def take(self, state: Any, most: int) -> Work | None:
        if state.updates == self.stop:
            raise KeyboardInterrupt
        if state.step == 10:
            return None
        i = int(self.dice.integers(64))
        return Work({"x": X[[i]], "y": Y[[i]]})

    def state(self) -> dict[str, Any]:
        return {"dice": self.dice.bit_generator.state}

    def load_state(self, state: Any) -> None:
        self.dice.bit_generator.state = state["dice"]


def regression(experiment: Experiment, *, stop: int = 10**9) -> dict[str, Any]:
    """Two stages of training and one that is kept; ``stop`` cuts it short."""
    cr.manual_seed(experiment.seed)
    trainer = cr.Trainer(
        nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)),
        loss=nn.MSELoss(),
        optimizer=optim.Adam(lr=0.01),
        seed=experiment.seed,
        **experiment.engine_options,
    )
    how = {"epochs": 3, "batch_size": 8, "progress": False, "validation": (X, Y)}
    trainer = experiment.fit("fitted", trainer, (X, Y), callbacks=Stop(stop), **how)
    print(f"fitted {trainer.epoch} epochs")
    model = trainer.model
    sgd = optim.SGD(model.parameters(), lr=0.01)

    def step(x: cr.Tensor, y: cr.Tensor) -> Any:
        loss = ((model(x) - y) ** 2).mean()
        model.zero_grad()
        loss.backward()
        sgd.step()
        return {"loss": loss}

    types = {"x": "f32[1,3]", "y": "f32[1,1]"}
    program = compile_program(
        {"step": step},
        types,
        model=model,
        optimizers=[sgd],
        **experiment.engine_options,
    )
    loop = experiment.loop("looped", Loop(program, "step", Rows(stop - 24)), epochs=3)
    best = experiment.cached(
        "best", lambda: {"pair": (1, np.float32(0.1)), "x": model(X)}
    )
    rows = model[0].weight.numpy()[:, None]
    experiment.draw("weights", viz.gallery.images, rows, title="W")
    weights = {k: np.asarray(v).tolist() for k, v in model.state_dict().items()}
    losses = loop.history.steps_of("step")["loss"].tolist()
    return {"weights": weights, "losses": losses, "best": best, "score": losses[-1]}


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """It stands in the registry as ``regression``."""
    module = SimpleNamespace(SUMMARY="two stages", run=regression)
    module.REFERENCES = [Reference("score", at_most=1e9, source="nobody")]
    monkeypatch.setattr(recipes, "find", lambda name: module)
    return module


def performed(out: Path | None, again: bool = False, **options: Any) -> Any:
    experiment = Experiment("regression", engine="numpy", out=out, options=options)
    return recipes.perform(experiment, again=again)


@pytest.mark.parametrize("stops", [[1], [10, 12], [24, 25], [40], [3, 9, 27, 30, 50]])
def test_cut_short_it_goes_on_bit_for_bit(
    recipe: Any, tmp_path: Path, stops: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = performed(None)["result"]
    for stop in stops:
        monkeypatch.setattr(
            recipe,
            "run",
            lambda experiment, stop=stop: regression(experiment, stop=stop),
        )
        with pytest.raises(KeyboardInterrupt):
            performed(tmp_path / "r", again=True)
    monkeypatch.setattr(recipe, "run", regression)
    assert performed(tmp_path / "r", again=True)["result"] == whole
    assert performed(tmp_path / "r", again=True)["result"] == whole  # all is read


def test_a_kept_stage_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(n: int) -> Any:
        made.append(n)
        return {"n": n, "rows": np.arange(3), "pair": (0.1, None)}

    kept = [Experiment(out=tmp_path).keep("stage", make, 5) for _ in range(3)]
    assert made == [5]
    assert kept == [{"n": 5, "rows": [0, 1, 2], "pair": [0.1, None]}] * 3
    assert Experiment().keep("stage", make, 5) == kept[0]


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


def test_a_quick_one_is_held_against_nothing(recipe: Any) -> None:
    experiment = Experiment("regression", engine="numpy", quick=True)
    assert recipes.perform(experiment)["references"] == []


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
