"""``chainrule doctor``: a run file, a recipe, a run; JSON, HTML, the list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chainrule.cli import run as cli

TOML = """
[data]
source = "moons"
samples = 200

[model]
layers = [{class = "Linear", out_features = 16}, "ReLU", "Linear"]

[optimizer]
class = "SGD"
lr = {lr}

[training]
epochs = 20
engine = "numpy"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, lr in (("sick", "100.0"), ("well", "0.3")):
        (tmp_path / f"{name}.toml").write_text(TOML.replace("{lr}", lr))
    return tmp_path


def test_a_file_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["doctor", "sick.toml", "--json", "--fix", "--html", "d.html"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] is False
    assert found["findings"][0]["code"] == "learning-rate-too-large"
    best = found["fixes"][0]
    assert best["after"] > best["before"]
    assert best["diff"].startswith("--- sick.toml\n+++ sick.toml\n")
    assert "-lr = 100.0\n+lr = " in best["diff"]
    assert found["search"]["steps"] > 0
    # Nothing of the user's is overwritten.
    assert (folder / "sick.toml").read_text() == TOML.replace("{lr}", "100.0")
    assert "learning-rate-too-large" in (folder / "d.html").read_text()


def test_a_healthy_file_gets_a_clean_bill(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["doctor", "well.toml"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Healthy")
    assert "Looked at:" in text


def test_a_run_is_diagnosed_as_it_began(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["train", "sick.toml", "--out", "r"]) == 0
    for target in ("r", "r/last.ckpt"):
        capsys.readouterr()
        assert cli(["doctor", target, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["findings"][0]["code"] == "learning-rate-too-large"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["doctor", "well.toml", "--full"], "is no study"),
        (["doctor", "nowhere"], "nothing called 'nowhere'"),
        (["doctor", "nowhere.toml"], ""),
        (["doctor"], "Missing argument"),
        (["doctor", "well.toml", "--seconds", "0"], ""),
    ],
)
def test_bad_input_is_a_message(
    words: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(words) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_a_name_of_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["doctor", "mnits"]) != 0
    said = capsys.readouterr().err
    assert "nothing called 'mnits'" in said
    assert "mnist" in said


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["doctor", "--list"]) == 0
    assert "learning-rate-too-large (learning rate)" in capsys.readouterr().out
    assert cli(["doctor", "--list", "--json"]) == 0
    known = json.loads(capsys.readouterr().out)["symptoms"]
    assert {"code", "component", "looks", "cause", "fix"} <= known[0].keys()


@pytest.mark.slow
def test_mnist_gets_a_clean_bill(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["doctor", "mnist", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"]
    assert not [f for f in found["findings"] if f["severity"] != "note"]
