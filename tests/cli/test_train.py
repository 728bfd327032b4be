"""``chainrule train``: a recipe or a file, what it leaves, how it goes on and fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli
from chainrule.training import Callback
from chainrule.util import atomic_files
from tests.cli import data
from tests.cli.conftest import SMALL, one_message

RUN = """\
[data]
source = "moons"
samples = 120

[model]
layers = [
  { class = "Linear", out_features = 8 },
  "Tanh",
  { class = "Dropout", p = 0.1 },
  "Linear",
]

[optimizer]
class = "AdamW"
lr = 0.02
clip_norm = 1.0
groups = { "*.bias" = { weight_decay = 0.0 } }

[schedule]
class = "CosineAnnealingLR"
warmup = 4

[training]
epochs = 4
batch_size = 16
engine = "numpy"
metrics = ["accuracy", "confusion_matrix"]
probes = ["update_ratio/*"]

[[callbacks]]
class = "EarlyStopping"
monitor = "validation_loss"
patience = 50

[[callbacks]]
class = "BestCheckpoint"

[[callbacks]]
class = "CSVLogger"

[[callbacks]]
class = "JSONLines"
"""
#: The recipe and the file: what to train, where it is cut, how many steps it has.
TARGETS = {"recipe": (["mnist", *SMALL], 7, 20), "file": (["moons.toml"], 9, 24)}


class CtrlC(Callback):
    """Ctrl-C after so many steps."""

    at = 9

    def on_chunk(self, trainer: cr.Trainer) -> None:
        if trainer.optimizer.steps == self.at:
            signal.raise_signal(signal.SIGINT)


def cut(chainrule: Any, *args: Any, at: int = 9) -> Any:
    """A run that is interrupted after so many steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.training.loop.CHUNK", 0.0)
        patch.setattr("chainrule.training.progress.display", CtrlC)
        patch.setattr(CtrlC, "at", at)
        return chainrule("train", *args)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "moons.toml"
    path.write_text(RUN, encoding="utf-8")
    return path


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, file: Path) -> tuple[list[str], int, int]:
    return TARGETS[request.param]


def weights(*directories: Any) -> list[dict[str, bytes]]:
    """The weights of runs, byte by byte."""
    found = (cr.Trainer.load(place).model.state_dict() for place in directories)
    return [{name: w.tobytes() for name, w in state.items()} for state in found]


# -- what a run leaves -----------------------------------------------------------------


def test_everything_that_a_file_can_say(
    chainrule: Any, file: Path, reports: None
) -> None:
    result = chainrule("train", file, "--json", "--out", "r")
    assert result.code == 0, result.err
    made = result.json
    assert made["samples"] == {"train": 96, "validation": 12, "test": 12}
    assert (made["epochs"], made["steps"], made["lr"]) == (4, 24, 0.02)
    assert (made["run"], made["out"], made["resumed_from"]) == ("moons.toml", "r", None)
    assert sum(map(sum, made["test_confusion_matrix"])) == 12
    assert set(os.listdir("r")) == {
        *("best.ckpt", "curve.png", "last.ckpt", "log.csv", "log.jsonl"),
        *("metrics.json", "report.html", "run.toml"),
    }
    metrics = json.loads(Path("r/metrics.json").read_text(encoding="utf-8"))
    assert {key: metrics[key] for key in made} == made
    assert len(metrics["history"]) == 4
    copy = Path("r/run.toml").read_text(encoding="utf-8")
    assert copy == f"# chainrule train moons.toml\n{RUN}"

    trainer = cr.Trainer.load("r")
    settings = trainer.optimizer.settings()
    assert settings["clip_norm"] == 1.0
    assert settings["lr"]["name"] == "LinearWarmup"
    assert settings["lr"]["schedule"]["name"] == "CosineAnnealingLR"
    assert "update_ratio/0.weight" in trainer.history.steps
    held = chainrule("evaluate", "r/best.ckpt", "--json").json
    assert held["checkpoint"].replace("\\", "/") == "r/best.ckpt"


def test_a_recipe(chainrule: Any, pictures: None) -> None:
    options = ["--seed", 3, "--batch-size", 40, "--lr", 0, "--json", "--out", "r"]
    result = chainrule("train", "mnist", *SMALL, *options)
    made = result.json
    expected = {
        "run": "mnist",
        "engine": "numpy",
        "seed": 3,
        "epochs": 2,
        "batch_size": 40,
        "lr": 0,
        "samples": {"train": 320, "validation": 0, "test": 320},
        "parameters": 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10,
        "steps": 16,
        "limit": 320,
        "out": "r",
        "resumed_from": None,
    }
    assert {key: made[key] for key in expected} == expected
    assert not [key for key in made if key.startswith("validation")]
    assert 0 < made["train_loss"] < 2.4
    spent = made["seconds_training"] + made["seconds_compile"]
    assert 0 < made["seconds_training"] < spent < made["seconds_total"]
    assert result.err.count("test loss") == 2
    assert result.err.count("Warning: With a learning rate of 0") == 1
    told = chainrule("evaluate", "r", "--json").json
    assert told["accuracy"] == made["test_accuracy"]
    assert (told["run"], told["samples"]) == ("mnist", 320)
    metrics = json.loads(Path("r/metrics.json").read_text())
    assert {k: metrics[k] for k in made} == made
    assert [row["epoch"] for row in metrics["history"]] == [1, 2]
    assert {"last.ckpt", "metrics.json", "report.html"} <= set(os.listdir("r"))
    assert "run.toml" not in os.listdir("r")


@pytest.mark.one_in(2)
def test_a_readable_summary_and_a_directory_of_its_own(
    chainrule: Any, target: Any
) -> None:
    for _ in range(2):
        result = chainrule("train", *target[0])
        first, samples, trained, _, *_, files = result.out.splitlines()
        name = target[0][0]
        assert re.match(rf"{name}: loss \d.*accuracy \d+\.\d+% on the test set$", first)
        assert "confusion" not in first
        assert re.match(
            r"  samples   (96|320) train, (12 validation, )?\d+ test$", samples
        )
        assert f" {target[2]} steps of " in trained
        assert "last.ckpt, " in files
    first, second = sorted(Path("runs").iterdir())
    assert re.fullmatch(rf"{Path(name).stem}-\d{{8}}-\d{{6}}(-2)?", second.name)
    one, other = weights(first, second)
    assert one == other, "the same seed gives the same run"


def test_the_directory_of_the_file(chainrule: Any, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "a.toml"
    path.write_text(f'{RUN}\n[output]\ndirectory = "結果/one"\n', encoding="utf-8")
    assert chainrule("train", path).code == 0
    assert (tmp_path / "deep" / "結果" / "one" / "last.ckpt").is_file()
    one_message(chainrule("train", path), 2, "already holds a run", "--resume")
    shutil.rmtree(tmp_path / "deep" / "結果")
    (tmp_path / "deep" / "結果").symlink_to(tmp_path)
    one_message(chainrule("train", path), 2, "[output] directory", "leads outside")


def test_options_come_before_the_file(chainrule: Any, file: Path) -> None:
    options = {"epochs": 2, "batch-size": 48, "lr": 0.5, "seed": 9, "limit": 60}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    made = chainrule("train", file, *words, "--threads", 1, "--json", "--out", "r").json
    assert {name: made[name.replace("-", "_")] for name in options} == options
    assert made["samples"]["train"] == 48
    head = Path("r/run.toml").read_text(encoding="utf-8").splitlines()[0]
    assert head.startswith("# chainrule train moons.toml --epochs 2 --batch-size 48")
    # Resuming and evaluating know them too.
    assert chainrule("evaluate", "r", "--json").json["samples"] == 6
    assert chainrule("train", "--resume", "r", "--json").json["epochs"] == 2


# -- resuming --------------------------------------------------------------------------


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("target", "how"),
    [("recipe", "directory"), ("file", "target")],
    indirect=["target"],
)
def test_resuming_bit_for_bit(chainrule: Any, target: Any, how: str) -> None:
    args, at, steps = target
    result = cut(chainrule, *args, "--out", "part", at=at)
    said = f"step {at} of {steps} is saved; go on with: chainrule train {args[0]} "
    one_message(result, 130, f"{said}--resume part")
    assert len(result.err.splitlines()) <= 2, "no more than an epoch, and what it says"
    files = ["last.ckpt", "metrics.json", "report.html"]
    files += ["best.ckpt", "run.toml"] if args[0] == "moons.toml" else []
    for name in files:
        Path(f"part/.{name}.0123456789abcdef.tmp").write_bytes(b"half")
    assert chainrule("train", *args, "--out", "whole").code == 0
    if how == "directory":
        Path("moons.toml").unlink()
    named = args[:1] if how == "target" else []
    result = chainrule("train", *named, "--resume", "part", "--json")
    assert result.code == 0, result.err
    assert (result.json["resumed_from"], result.json["steps"]) == (at, steps)
    one, other = weights("whole", "part")
    assert one == other
    assert os.listdir("whole").sort() == os.listdir("part").sort()
    assert not [p for p in os.listdir("part") if p.endswith(".tmp")]
    if args[0] == "moons.toml":
        logs, copies = (
            [Path(d, name).read_text(encoding="utf-8") for d in ("whole", "part")]
            for name in ("log.jsonl", "run.toml")
        )
        assert copies[0] == copies[1]
        same = {"seconds": 0, "run_id": ""}
        rows = [[json.loads(row) | same for row in log.splitlines()] for log in logs]
        assert rows[0] == rows[1]


def test_a_directory_with_a_space_and_a_file_without_toml(
    chainrule: Any, tmp_path: Path
) -> None:
    (tmp_path / "my run.txt").write_text(RUN, encoding="utf-8")
    result = cut(chainrule, "my run.txt", "--out", "my runs/1")
    assert 'chainrule train "my run.txt" --resume "my runs' in result.err
    (tmp_path / "my run.txt").unlink()
    assert chainrule("train", "--resume", "my runs/1", "--json").json["steps"] == 24


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that are over: of the recipe, and of the file."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "moons.toml").write_text(RUN, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.viz.can_plot", lambda: False)
        patch.chdir(folder)
        for args, *_ in TARGETS.values():
            assert cli.run(["train", *args, "--json", "--out", args[0][:5]]) == 0
    return folder


def test_resuming_a_finished_run(chainrule: Any, finished: Path, target: Any) -> None:
    place = finished / target[0][0][:5]
    before = json.loads((place / "metrics.json").read_text())
    same = ["--epochs", before["epochs"], "--engine", "auto"]
    again = chainrule("train", *target[0][:1], "--resume", place, *same, "--json")
    assert "finished already" in again.err
    for key in (
        "test_loss",
        "test_accuracy",
        "train_loss",
        "steps",
        "seconds_training",
    ):
        assert again.json[key] == before[key]


@pytest.mark.parametrize(
    ("flag", "value", "of_recipe", "of_file"),
    [
        ("--batch-size", 8, "--batch-size 32", "--batch-size 16"),
        ("--lr", 0.1, "--lr 0.003", "--lr 0.02"),
        ("--seed", 1, "--seed 0", "--seed 0"),
        ("--limit", 60, "--limit 320", "no --limit"),
        ("--engine", "native", "--engine numpy", "--engine numpy"),
    ],
)
def test_a_resumed_run_cannot_change(
    chainrule: Any,
    finished: Path,
    target: Any,
    flag: str,
    value: Any,
    of_recipe: str,
    of_file: str,
) -> None:
    name = target[0][0]
    place = finished / name[:5]
    content = (place / "last.ckpt").read_bytes()
    result = chainrule("train", name, "--resume", place, flag, value)
    stored = of_recipe if name == "mnist" else of_file
    one_message(result, 2, f"{flag} cannot change", stored, f"{flag} {value}", "fix:")
    assert (place / "last.ckpt").read_bytes() == content


def test_a_file_that_has_changed(chainrule: Any, file: Path, finished: Path) -> None:
    place = finished / "moons"
    for old, new, where in (
        ("p = 0.1", "p = 0.2", "[model] layers "),
        ("warmup = 4", "warmup = 5", "[schedule] warmup "),
        ("patience = 50", "patience = 60", "[callbacks] "),
    ):
        file.write_text(RUN.replace(old, new), encoding="utf-8")
        result = chainrule("train", file, "--resume", place)
        said = ("moons.toml has changed", where, old.split()[-1], new.split()[-1])
        one_message(result, 2, *said, "fix:")
    file.write_text(f"# only a comment\n{RUN}", encoding="utf-8")
    assert chainrule("train", file, "--resume", place).code == 0


def test_a_directory_of_something_else(
    chainrule: Any, file: Path, finished: Path
) -> None:
    said = "does not hold a run of"
    result = chainrule("train", file, "--resume", finished / "mnist")
    one_message(result, 2, f"{said} a file", "'mnist'", "chainrule train --resume")
    result = chainrule("train", "mnist", "--resume", finished / "moons")
    one_message(result, 2, f"{said} the recipe 'mnist'", "'moons.toml'")
    trainer = cr.Trainer(
        cr.nn.Linear(2, 2),
        loss=cr.nn.CrossEntropyLoss(),
        optimizer=cr.optim.Adam(),
        engine="numpy",
    )
    trainer.save("last.ckpt")
    for named in ([], [file], ["mnist"]):
        result = chainrule("train", *named, "--resume", ".")
        one_message(result, 2, said, "a Python program", "fix:")
    one_message(chainrule("evaluate", "."), 2, "which data it belongs to", "DATA")
    result = chainrule("train", "mnist", "--resume", "none")
    one_message(result, 2, "cannot be read", "No such file", "fix:")


@pytest.mark.parametrize(
    "notes",
    [
        {"run": {"name": 3}},
        {"run": {"name": "a", "text": RUN, "folder": "a\0b", "options": {}}},
        {"run": {"name": "a", "text": RUN, "folder": ".", "options": {"zzz": 1}}},
        {"recipe": "mnist", "options": {"limit": "all"}},
        {"recipe": "xor", "options": {}},
        {"recipe": ["mnist"], "options": {}},
        {"recipe": "mnist"},
    ],
    ids=str,
)
def test_notes_that_are_none_of_ours(
    chainrule: Any, finished: Path, tmp_path: Path, notes: Any
) -> None:
    trainer = cr.Trainer.load(finished / "moons")
    trainer.notes = notes
    trainer.save(tmp_path / "last.ckpt")
    for command in (["evaluate", "."], ["train", "--resume", "."]):
        said = "does not say from what its run was made"
        one_message(chainrule(*command), 2, said, "expected:", "got:", "fix:")


def test_data_of_a_stranger_s_checkpoint(
    chainrule: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read from where the user is, or where the user's own file says."""
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    data.flowers(tmp_path / "far" / "flowers.csv")
    chainrule("new", "far/f.toml", "--data", "far/flowers.csv")
    args = ["--epochs", 1, "--engine", "numpy", "--out", "near/r"]
    assert chainrule("train", "far/f.toml", *args).code == 0
    monkeypatch.chdir(tmp_path / "near")
    assert chainrule("evaluate", "r").code == 0
    (tmp_path / "far" / "f.toml").rename(tmp_path / "near" / "f.toml")
    said = ["cannot have data read from anywhere", "flowers.csv", "fix:"]
    one_message(chainrule("evaluate", "r"), 2, *said)
    for more in ([], ["--epochs", 3]):
        one_message(chainrule("train", "--resume", "r", *more), 2, *said)
    moved = chainrule("train", "f.toml", "--resume", "r")
    one_message(moved, 2, "f.toml, line", "[data] source", "flowers.csv", "fix:")
    (tmp_path / "far" / "flowers.csv").rename(tmp_path / "near" / "flowers.csv")
    assert chainrule("train", "f.toml", "--resume", "r").code == 0


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["train", "mnits"], ["no recipe 'mnits'", "fix:      chainrule train mnist"]),
        (["train", "?"], ["no recipe '?'", "fix:      chainrule recipes"]),
        (["tarin"], ["no command 'tarin'", "Did you mean 'train'?"]),
        (["train", "mnist", "--epoch", "3"], ["No such option", "--epochs"]),
        (["train", "mnist", "--epochs", "0"], ["--epochs", "0"]),
        (["train", "mnist", "--lr", "fast"], ["--lr", "'fast'"]),
        (["train", "mnist", "--lr", "nan"], ["learning rate", "nan"]),
        (["train", "mnist", "--seed", str(2**64)], ["--seed"]),
        (["train", "mnist", "--engine", "gpu"], ["--engine", "native"]),
        (["train", "mnist", "--batch-size", "400", *SMALL], ["larger than the data"]),
        (["train", "mnist", "--out", "a", "--resume", "b"], ["exclude each other"]),
        (["train"], ["Missing argument", "RECIPE"]),
        (["train", "none.toml"], ["no TOML file 'none.toml'", "nothing there"]),
        (["train", "house.tom"], ["no file and no recipe 'house.tom'", "FILE.toml"]),
        (["train", "runs/other"], ["no file and no recipe 'runs/other'"]),
        (["train", "xor", "--epochs", "3"], ["does not take --epochs", "only --quick"]),
        (["train", "xor", "--data", "x"], ["does not take --data", "only --quick"]),
        (
            ["train", "tabular", "--data", "x"],
            ["expected: only", "engine, --threads, --devices\n"],
        ),
        (["train", "timbre", "--data", "x"], ["no folder of recordings 'x'"]),
        (["train", "mnist", "--data", "x"], ["take --data", "new run.toml --data x"]),
        (["train", "xor", "--resume", "r"], ["recipe.json", "no file of a recipe"]),
    ],
)
def test_bad_input(chainrule: Any, args: list[str], parts: list[str]) -> None:
    one_message(chainrule(*args), 2, *parts)
    assert os.listdir() == [], "nothing is left on the disk"


def test_a_file_that_is_wrong(chainrule: Any, file: Path) -> None:
    result = chainrule("train", file, "--batch-size", 400)
    one_message(result, 2, "Error: --batch-size: A batch", "1 to 96", "400")
    file.write_text(RUN.replace("epochs = 4", 'epoch = 4\nengine2 = "numpy"'))
    said = "moons.toml has 2 problems.", "[training] epoch: ", "mean 'epochs'?"
    one_message(chainrule("train", file), 2, *said)
    assert os.listdir() == ["moons.toml"], "nothing is left on the disk"


def test_data_in_place_of_a_file(chainrule: Any) -> None:
    data.flowers(Path("f.csv"))
    Path("folder").mkdir()
    for place in ("f.csv", "folder"):
        said = f"chainrule new run.toml --data {place}"
        one_message(chainrule("train", place), 2, said)
    Path("houses.toml").write_text("[data]")
    result = chainrule("train", "houses")
    one_message(result, 2, "no recipe 'houses'", "chainrule train houses.toml")


def test_where_nothing_can_be_written(
    chainrule: Any, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = finished / "mnist"
    content = (place / "last.ckpt").read_bytes()
    result = chainrule("train", "mnist", *SMALL, "--out", place)
    one_message(result, 2, "already holds a run", f"--resume {place}")
    assert (place / "last.ckpt").read_bytes() == content
    Path("file").write_text("")
    result = chainrule("train", "mnist", *SMALL, "--out", "file/run")
    one_message(result, 1, "cannot be made", "--out", "fix:")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files.os, "fsync", full)
    result = chainrule("train", "mnist", *SMALL, "--out", "r")
    one_message(result, 1, "checkpoint cannot be written", "No space left", "fix:")
    assert not os.path.exists("r"), "nothing was written there"


class Broken(Callback):
    """A bug that shows after the first epoch."""

    def on_epoch(self, trainer: cr.Trainer) -> None:
        raise KeyError("after the first epoch")


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_the_traceback_of_an_unexpected_error_is_kept(
    chainrule: Any, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    """After hours of training nobody has to run it once more to see where it broke."""
    monkeypatch.setattr("chainrule.training.progress.display", Broken)
    made = chainrule("train", "mnist", *SMALL, "--out", "r", "--lang", language)
    assert made.code == 1
    assert "Traceback" not in made.err
    assert str(Path("r", "traceback.txt")) in made.err
    assert ("its traceback is in" in made.err) == (language == "en")
    kept = Path("r", "traceback.txt").read_text(encoding="utf-8")
    assert kept.startswith("Traceback")
    assert kept.endswith("KeyError: 'after the first epoch'\n")


def test_a_loss_that_is_not_finite(chainrule: Any) -> None:
    result = chainrule("train", "mnist", *SMALL, "--lr", "1e30", "--out", "r")
    one_message(result, 1, "at step ", "expected:", "got:", "lower the learning rate")
    assert "last good checkpoint: r/last.ckpt" in result.err.replace("\\", "/")
    state = cr.Trainer.load("r").model.state_dict()
    assert all(np.isfinite(w).all() for w in state.values())
    assert not Path("r", "traceback.txt").exists()  # the error says what to do


# -- studies ---------------------------------------------------------------------------


def test_a_study(chainrule: Any) -> None:
    """It prints, comes before a file of its name, and leaves a directory."""
    Path("two-two-one").write_text("[data]")
    how = ["two-two-one", "--engine", "numpy", "--lr", "0.25"]
    result = chainrule("train", *how, "--out", "a")
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) > 10
    told = chainrule("train", *how, "--out", "b", "--json")
    assert told.json["recipe"] == "two-two-one"
    assert told.json["result"]["learning_rate"] == 0.25
    assert result.out.splitlines()[:-2] == told.err.splitlines()
    assert {*os.listdir("b")} >= {"recipe.json", "metrics.json"}


def test_a_study_is_resumed_as_it_was_begun(chainrule: Any) -> None:
    how = ["--engine", "numpy", "--lr", "0.25", "--out", "a"]
    before = chainrule("train", "two-two-one", *how, "--json").json
    again = chainrule("train", "--resume", "a", "--threads", "1", "--json").json
    assert again["result"] == before["result"]
    again = chainrule("train", "two-two-one", *how)
    one_message(again, 2, "a holds a run", "--resume a")
    for wrong in (["xor"], ["--lr", "0.5"], ["--seed", "1"], ["--quick"]):
        result = chainrule("train", *wrong, "--resume", "a")
        one_message(result, 2, "A resumed run keeps its", "--resume a")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (["xor", "--epochs", "3"], ["'xor' does not take --epochs", "--quick, --seed"]),
        (["mnist", "--quick", "--resume", "nowhere"], ["--quick is for a recipe"]),
    ],
)
def test_options_that_do_not_fit(
    chainrule: Any, how: list[str], words: list[str]
) -> None:
    one_message(chainrule("train", *how), 2, *words)


def test_a_quick_training_recipe(chainrule: Any) -> None:
    told = chainrule("train", "mnist", "--quick", "--engine", "numpy", "--json").json
    assert (told["epochs"], told["limit"]) == (1, 2000)
