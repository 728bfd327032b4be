"""``chainrule train FILE.toml``: options, resuming, and how it fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.training import Callback
from tests.cli import data
from tests.cli.conftest import one_message

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
class = "JSONLinesLogger"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "moons.toml"
    path.write_text(RUN, encoding="utf-8")
    return path


# -- what a run leaves -----------------------------------------------------------------


def test_everything_that_a_file_can_say(
    chainrule: Any, file: Path, pictures: None
) -> None:
    result = chainrule("train", file, "--json", "--out", "r")
    assert result.code == 0, result.err
    made = result.json
    assert made["samples"] == {"train": 96, "validation": 12, "test": 12}
    assert (made["epochs"], made["steps"], made["lr"]) == (4, 24, 0.02)
    assert (made["run"], made["out"], made["resumed_from"]) == ("moons.toml", "r", None)
    assert sum(map(sum, made["test_confusion_matrix"])) == 12
    assert set(os.listdir("r")) == {
        "best.ckpt",
        "curve.png",
        "last.ckpt",
        "log.csv",
        "log.jsonl",
        "metrics.json",
        "report.html",
        "run.toml",
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
    best = min(row["validation_loss"] for row in metrics["history"])
    held = chainrule("evaluate", "r/best.ckpt", "--json").json
    assert held["checkpoint"].replace("\\", "/") == "r/best.ckpt"
    assert best <= metrics["history"][-1]["validation_loss"]


def test_a_readable_summary(chainrule: Any, file: Path, pictures: None) -> None:
    result = chainrule("train", file)
    first, samples, trained, stopped, _, files = result.out.splitlines()
    assert stopped.startswith("  stopped   ran to its end; epoch ")
    assert first.startswith("moons.toml: loss ")
    assert first.endswith("on the test set")
    assert "confusion" not in first
    assert samples == "  samples   96 train, 12 validation, 12 test"
    assert "4 epochs, 24 steps of 16 samples" in trained
    assert "runs" in files
    assert "report.html" in files


def test_the_directory_of_the_file(chainrule: Any, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "a.toml"
    path.write_text(f'{RUN}\n[output]\ndirectory = "結果/one"\n', encoding="utf-8")
    assert chainrule("train", path).code == 0
    assert (tmp_path / "deep" / "結果" / "one" / "last.ckpt").is_file()
    one_message(chainrule("train", path), 2, "already holds a run", "--resume")


def test_options_come_before_the_file(chainrule: Any, file: Path) -> None:
    options = {
        "--epochs": 2,
        "--batch-size": 48,
        "--lr": 0.5,
        "--seed": 9,
        "--limit": 60,
        "--threads": 1,
    }
    words = [word for option in options.items() for word in option]
    made = chainrule("train", file, *words, "--json", "--out", "r").json
    assert (made["epochs"], made["batch_size"], made["lr"]) == (2, 48, 0.5)
    assert (made["seed"], made["limit"]) == (9, 60)
    assert made["samples"]["train"] == 48
    head = Path("r/run.toml").read_text(encoding="utf-8").splitlines()[0]
    assert head.startswith("# chainrule train moons.toml --epochs 2 --batch-size 48")
    # Resuming and evaluating know them too.
    assert chainrule("evaluate", "r", "--json").json["samples"] == 6
    assert chainrule("train", "--resume", "r", "--json").json["epochs"] == 2


def test_batch_gradient_descent(chainrule: Any, file: Path) -> None:
    file.write_text(
        RUN.replace("batch_size = 16", 'batch_size = "all"'), encoding="utf-8"
    )
    result = chainrule("train", file, "--json", "--out", "r")
    assert result.json["steps"] == 4
    assert result.json["batch_size"] == 96


def test_the_same_seed_gives_the_same_run(chainrule: Any, file: Path) -> None:
    weights = []
    for name in ("a", "b"):
        assert chainrule("train", file, "--out", name).code == 0
        weights.append(cr.Trainer.load(name).model.state_dict())
    assert all((weights[0][k] == weights[1][k]).all() for k in weights[0])


# -- resuming --------------------------------------------------------------------------


class CtrlC(Callback):
    def on_chunk(self, trainer: cr.Trainer) -> None:
        if trainer.optimizer.steps == 9:
            signal.raise_signal(signal.SIGINT)


def test_what_kills_have_left_is_swept_up(chainrule: Any, interrupted: Path) -> None:
    for name in ("last.ckpt", "best.ckpt", "metrics.json", "run.toml"):
        (interrupted / f".{name}.0123456789abcdef.tmp").write_bytes(b"half")
    assert chainrule("train", "--resume", interrupted).code == 0
    assert (interrupted / "metrics.json").exists()
    assert not [p for p in interrupted.iterdir() if p.suffix == ".tmp"]


@pytest.fixture
def interrupted(chainrule: Any, file: Path, tmp_path: Path) -> Path:
    """A run that was interrupted with Ctrl-C in its second epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.training.loop.CHUNK", 0.0)
        patch.setattr("chainrule.training.progress.display", CtrlC)
        result = chainrule("train", file, "--out", "part")
    one_message(result, 130, "step 9 of 24 is saved", "--resume part")
    return tmp_path / "part"


@pytest.mark.parametrize("how", ["file", "directory"])
def test_resuming_bit_for_bit(
    chainrule: Any, file: Path, interrupted: Path, how: str
) -> None:
    assert chainrule("train", file, "--out", "whole").code == 0
    if how == "directory":
        file.unlink()
    target = [file] if how == "file" else []
    result = chainrule("train", *target, "--resume", interrupted, "--json")
    assert result.code == 0, result.err
    assert (result.json["resumed_from"], result.json["steps"]) == (9, 24)
    copies = [
        Path(d, "run.toml").read_text(encoding="utf-8") for d in ("whole", "part")
    ]
    assert copies[0] == copies[1]
    a, b = (cr.Trainer.load(d).model.state_dict() for d in ("whole", interrupted))
    assert all(a[k].tobytes() == b[k].tobytes() for k in a)
    whole, part = (
        Path(d, "log.jsonl").read_text(encoding="utf-8").splitlines()
        for d in ("whole", "part")
    )
    rows = [
        [json.loads(line) | {"seconds": 0} for line in log] for log in (whole, part)
    ]
    assert rows[0] == rows[1]


def test_a_directory_with_a_space_and_a_file_without_toml(
    chainrule: Any, tmp_path: Path
) -> None:
    (tmp_path / "my run.txt").write_text(RUN, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.training.loop.CHUNK", 0.0)
        patch.setattr("chainrule.training.progress.display", CtrlC)
        result = chainrule("train", "my run.txt", "--out", "my runs/1")
    assert 'chainrule train "my run.txt" --resume "my runs' in result.err
    (tmp_path / "my run.txt").unlink()
    assert chainrule("train", "--resume", "my runs/1", "--json").json["steps"] == 24


def test_resuming_a_finished_run(chainrule: Any, file: Path) -> None:
    before = chainrule("train", file, "--out", "r", "--json").json
    again = chainrule("train", "--resume", "r", "--json")
    assert "finished already" in again.err
    for key in ("test_loss", "test_accuracy", "train_loss", "steps"):
        assert again.json[key] == before[key]


@pytest.mark.parametrize(
    ("flag", "value", "stored"),
    [
        ("--batch-size", 8, "--batch-size 16"),
        ("--lr", 0.1, "--lr 0.02"),
        ("--seed", 1, "--seed 0"),
        ("--limit", 60, "no --limit"),
        ("--engine", "native", "--engine numpy"),
    ],
)
def test_a_resumed_run_cannot_change(
    chainrule: Any, file: Path, interrupted: Path, flag: str, value: Any, stored: str
) -> None:
    result = chainrule("train", file, "--resume", interrupted, flag, value)
    one_message(result, 2, f"{flag} cannot change", stored, f"{flag} {value}", "fix:")


def test_a_file_that_has_changed(chainrule: Any, file: Path, interrupted: Path) -> None:
    file.write_text(RUN.replace("p = 0.1", "p = 0.2"), encoding="utf-8")
    result = chainrule("train", file, "--resume", interrupted)
    one_message(
        result, 2, "moons.toml has changed", "[model] layers ", "0.1", "0.2", "fix:"
    )
    file.write_text(f"# only a comment\n{RUN}", encoding="utf-8")
    assert chainrule("train", file, "--resume", interrupted).code == 0


def test_data_that_have_moved_away(chainrule: Any, tmp_path: Path) -> None:
    data.flowers(tmp_path / "flowers.csv")
    chainrule("new", "f.toml", "--data", "flowers.csv")
    args = ["--epochs", 1, "--engine", "numpy", "--out", "r"]
    assert chainrule("train", "f.toml", *args).code == 0
    (tmp_path / "flowers.csv").unlink()
    result = chainrule("evaluate", "r")
    one_message(result, 2, "f.toml, line", "[data] source", "flowers.csv", "fix:")


def test_a_directory_of_a_recipe(chainrule: Any, file: Path) -> None:
    args = ["--limit", 320, "--epochs", 1, "--engine", "numpy", "--out", "r"]
    assert chainrule("train", "mnist", *args).code == 0
    result = chainrule("train", file, "--resume", "r")
    one_message(result, 2, "does not hold a run of a file", "'mnist'", "fix:")
    assert chainrule("train", "--resume", "r", "--json").json["run"] == "mnist"


def test_a_directory_of_a_file_is_no_recipe_s(chainrule: Any, file: Path) -> None:
    assert chainrule("train", file, "--out", "r").code == 0
    result = chainrule("train", "mnist", "--resume", "r")
    said = ("does not hold a run of the recipe 'mnist'", "--resume r")
    one_message(result, 2, *said)


def test_a_directory_of_a_python_program(chainrule: Any, file: Path) -> None:
    trainer = cr.Trainer(
        cr.nn.Linear(2, 2),
        loss=cr.nn.CrossEntropyLoss(),
        optimizer=cr.optim.Adam(),
        engine="numpy",
    )
    trainer.save("last.ckpt")
    one_message(chainrule("train", "--resume", "."), 2, "a Python program", "fix:")
    one_message(chainrule("train", file, "--resume", "."), 2, "a Python program")
    one_message(chainrule("evaluate", "."), 2, "which data it belongs to", "DATA")


def test_notes_that_are_none_of_ours(chainrule: Any, file: Path) -> None:
    assert chainrule("train", file, "--out", "r").code == 0
    trainer = cr.Trainer.load("r")
    trainer.notes = {"run": {"name": 3}}
    shutil.rmtree("r")
    os.mkdir("r")
    trainer.save("r/last.ckpt")
    one_message(chainrule("evaluate", "r"), 2, "does not say from what its run was made", "fix:")


# -- bad input -------------------------------------------------------------------------


def test_a_file_that_is_not_there(chainrule: Any) -> None:
    result = chainrule("train", "none.toml")
    one_message(
        result, 2, "cannot be read", "none.toml", "No such file", "chainrule new"
    )


def test_a_recipe_with_the_end_of_a_file(chainrule: Any, tmp_path: Path) -> None:
    (tmp_path / "houses.txt").write_text(RUN, encoding="utf-8")
    assert chainrule("train", "houses.txt", "--epochs", 1, "--out", "r").code == 0


def test_a_file_in_another_encoding(chainrule: Any, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(f"# 註\n{RUN}".encode("cp950"))
    result = chainrule("train", "a.toml")
    one_message(result, 2, "not in UTF-8", "line 1", "save it as UTF-8")


def test_a_byte_order_mark_is_no_problem(chainrule: Any, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(RUN.encode("utf-8-sig"))
    assert chainrule("train", "a.toml", "--epochs", 1, "--out", "r").code == 0


def test_a_file_that_is_not_toml(chainrule: Any, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[data]\nsource = moons\n")
    result = chainrule("train", "a.toml")
    one_message(result, 2, "a.toml is not TOML", "line 2", "put text in quotes")


def test_all_problems_at_once_and_nothing_on_the_disk(
    chainrule: Any, tmp_path: Path
) -> None:
    text = RUN.replace("epochs = 4", 'epoch = 4\nengine2 = "numpy"')
    (tmp_path / "a.toml").write_text(text.replace('"Tanh"', '"tanh"'))
    result = chainrule("train", "a.toml")
    one_message(
        result,
        2,
        "a.toml has 3 problems.",
        "line 8, [model] layers[1]: there is no layer 'tanh'.",
        'did you mean "Tanh"?',
        "[training] epoch: [training] has no key 'epoch'.",
        "did you mean 'epochs'?",
    )
    assert os.listdir() == ["a.toml"]


def test_an_option_that_the_file_s_kind_does_not_take(
    chainrule: Any, file: Path
) -> None:
    one_message(chainrule("train", file, "--epoch", 3), 2, "No such option", "--epochs")
    result = chainrule("train", file, "--batch-size", 400)
    one_message(result, 2, "--batch-size 96", "1 to 96", "400")


def test_a_loss_that_is_not_finite(chainrule: Any, file: Path) -> None:
    text = RUN.replace("clip_norm = 1.0\n", "").replace('"AdamW"', '"SGD"')
    file.write_text(text.replace("Tanh", "ReLU"), encoding="utf-8")
    result = chainrule("train", file, "--lr", 1e30, "--out", "r")
    one_message(result, 1, "at step ", "lower the learning rate")


# -- walk-throughs ---------------------------------------------------------------------


def test_a_walk_through_prints(chainrule: Any) -> None:
    result = chainrule("train", "two-two-one", "--engine", "numpy")
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) > 10
    told = chainrule("train", "two-two-one", "--engine", "numpy", "--json")
    assert told.json["recipe"] == "two-two-one"
    assert told.json["result"]["learning_rate"] == 0.5
    assert result.out in told.err


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--epochs", "3"], "--epochs"),
        (["--resume", "r"], "--resume"),
        (["--checkpoint-every", "3"], "--checkpoint-every"),
    ],
)
def test_what_a_walk_through_does_not_take(
    chainrule: Any, args: list[str], named: str
) -> None:
    result = chainrule("train", "two-two-one", *args)
    one_message(result, 2, f"does not take {named}", "only --seed", f"leave {named}")
