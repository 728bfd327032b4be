"""Scripts as users write them: they run, type checkers are content, and find typos.

``scripts`` has the scripts; in a copy of each one line is misspelt. Both checkers go
through all of them in one start: they are silent about the scripts, and report
something in each misspelt line.
"""

from __future__ import annotations

import importlib.util
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(__file__).parent / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.py"))


class Typo(NamedTuple):
    """A misspelling in a script."""

    script: str
    right: str
    wrong: str


#: The script, a part of it that occurs there once, and what is written in its place.
TABLE = """
attention | F.softmax(scores | F.softmaxx(scores
autoencoder | self.decoder(z) | self.decode(z)
clustering | cr.cdist(x, self.centres).argmin(dim=1) | cr.cdist(x).argmin(dim=1)
compiled_step | predict(x)[0].mean() | predict(x).mean()
conv_net | stride=2)(images) | strides=2)(images)
dataset_loader | shuffle=True | shufle=True
digits_loop | lr=0.5, momentum=0.5 | lr=0.5, momentun=0.5
distributions | dist.Categorical(logits= | dist.Categorical(logit=
dqn | optimizer.zero_grad() | optimizer.zerograd()
dtypes | dtype=cr.uint8 | dtype=cr.unit8
embeddings_bag | mode="mean" | mode="average"
explain_step | trainer = cr.Trainer( | trainer = cr.Trainr(
indexing | largest.values.tolist() | largest.value.tolist()
linear_algebra | cr.linalg.solve(gram | cr.linalg.slove(gram
linear_regression | ((prediction - y) ** 2).mean() | ((prediction - y) ** 2).meen()
losses | reduction="none" | reduction="None"
operators | x.norm(p=1) | x.sum("rows")
own_function | StraightThrough.apply(x * levels) | StraightThrough.apply(x, levels)
own_metric | metrics.Mean) | metrics.mean)
own_optimizer | line_search_fn="strong_wolfe" | line_search_fn="strong-wolfe"
per_sample_gradients | slope.norm().item() | slope.nrom().item()
random_numbers | cr.randn(2, 3) | cr.randnn(2, 3)
save_and_load | model.load_state_dict(best) | model.load_state(best)
scan_and_cond | max_steps=20 | max_step=20
schedulers | T_max=5, eta_min | Tmax=5, eta_min
sequence_lstm | (h, c) = model(codes[None]) | h, c = model(codes[None])
tables | missing="fill" | missing="fil"
trainer_moons | engine="numpy" | engine="nativ"
two_inputs | model(user, item, scale=2.0) | model(user, item, stars, scale=2.0)
weight_init | nn.init.zeros_( | nn.init.zero_(
"""
TYPOS = [Typo(*line.split(" | ")) for line in TABLE.strip().splitlines()]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")


def test_each_script_is_misspelt_once() -> None:
    assert [typo.script for typo in TYPOS] == [path.stem for path in SCRIPTS]
    for script, typo in zip(SCRIPTS, TYPOS, strict=True):
        assert script.read_text(encoding="utf-8").count(typo.right) == 1, typo
    assert len(TYPOS) == 30


class Placed(NamedTuple):
    """The scripts and their misspelt copies in a folder.

    Attributes:
        folder: where they are.
        lines: for each copy the misspelt line.
    """

    folder: Path
    lines: dict[str, int]


@pytest.fixture
def placed(tmp_path: Path) -> Placed:
    lines: dict[str, int] = {}
    for script, typo in zip(SCRIPTS, TYPOS, strict=True):
        text = script.read_text(encoding="utf-8")
        (tmp_path / script.name).write_text(text, encoding="utf-8")
        before, after = text.split(typo.right)
        copy = tmp_path / f"misspelt_{script.name}"
        copy.write_text(before + typo.wrong + after, encoding="utf-8")
        lines[copy.name] = before.count("\n") + 1
    settings = {"typeCheckingMode": "strict", "include": ["."]}
    config = tmp_path / "pyrightconfig.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    return Placed(tmp_path, lines)


#: What a checker reports: file, line, message.
Report = tuple[str, int, str]


def run(placed: Placed, *arguments: str) -> str:
    """Run a checker, and return what it prints."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=placed.folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def pyright(placed: Placed) -> list[Report]:
    """Return what pyright reports in strict mode."""
    text = run(placed, "pyright", "--outputjson", "--pythonpath", sys.executable)
    return [
        (Path(d["file"]).name, d["range"]["start"]["line"] + 1, d["message"])
        for d in json.loads(text)["generalDiagnostics"]
    ]


def mypy(placed: Placed) -> list[Report]:
    """Return what mypy reports in strict mode."""
    text = run(placed, "mypy", "--strict", "--no-error-summary", ".")
    found = re.findall(r"^(.+?):(\d+): (.*)$", text, re.MULTILINE)
    return [(file, int(line), message) for file, line, message in found]


@pytest.mark.parametrize(
    "checker",
    [pyright, pytest.param(mypy, marks=pytest.mark.slow)],
    ids=lambda f: f.__name__,
)
def test_a_checker_finds_each_typo_and_nothing_else(
    checker: Callable[[Placed], list[Report]], placed: Placed
) -> None:
    if importlib.util.find_spec(checker.__name__) is None:
        pytest.skip(f"needs {checker.__name__}: pip install -e '.[dev]'")
    reports = checker(placed)
    assert [r for r in reports if r[0] not in placed.lines] == []
    found = {(file, line) for file, line, __ in reports}
    missed = [typo for typo, at in zip(TYPOS, placed.lines.items()) if at not in found]
    assert missed == []
