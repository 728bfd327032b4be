"""``chainrule bench --profile``: the parts of a training step, or a clear refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llvmlite")

from chainrule.engines.native import profiling, roof
from tests.cli.conftest import one_message

RUN = """
data.source = "moons"
model.layers = [{ class = "Linear", out_features = 8 }, "ReLU", "Linear"]
training.batch_size = 16
"""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "SECONDS", 0.0)
    monkeypatch.setattr(roof, "SECONDS", 0.0)


@pytest.mark.parametrize(("more", "size"), [([], 16), (["--batch-size", "5"], 5)])
def test_a_file_is_measured_at_its_own_batch(
    chainrule: Any, more: list[str], size: int
) -> None:
    Path("run.toml").write_text(RUN, "utf-8")
    asked = ["bench", "--profile", "run.toml", "--threads", "1", *more]
    result = chainrule(*asked)
    assert result.code == 0, result.err
    assert f"profile of train for N = {size} on one thread" in result.out
    assert "dot_general" in result.out
    assert not [path for path in Path().iterdir() if path.name != "run.toml"]
    told = chainrule(*asked, "--json").json
    assert told["profile"] == "run.toml"
    assert told["sizes"] == {"N": size}
    assert told["threads"] == 1
    products = [p for p in told["steps"] if p["does"] == "dot_general"]
    assert 2 * size * 2 * 8 in {p["flops"] for p in products}
    keys = {"microseconds", "predicted", "bytes", "of_roof", "phase", "threads"}
    assert all(keys <= p.keys() for p in told["steps"])
    assert told["roof"]["gflops"] > 0


def test_a_recipe_is_measured(chainrule: Any) -> None:
    result = chainrule("bench", "--profile", "mnist", "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert told["sizes"] == {"N": 32}
    fused = [p["does"] for p in told["steps"] if "sqrt·add·div" in p["does"]]
    assert fused


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["xor"], "no one step to measure"),
        (["mnits"], "mnits"),
        (["none.toml"], "none.toml"),
        (["mnist", "lenet"], "alone"),
        (["mnist", "--peers", "jax"], "alone"),
        (["mnist", "--batch-size", "70000"], "70"),
    ],
)
def test_what_cannot_be_measured(chainrule: Any, asked: list[str], says: str) -> None:
    target, *more = asked
    one_message(chainrule("bench", "--profile", target, *more), 2, says)


def test_an_engine_without_a_plan(chainrule: Any) -> None:
    Path("run.toml").write_text(RUN + 'training.engine = "numpy"\n', "utf-8")
    result = chainrule("bench", "--profile", "run.toml")
    one_message(result, 2, "numpy engine makes no schedule", 'engine="native"')


def test_a_batch_belongs_to_a_profile(chainrule: Any) -> None:
    one_message(chainrule("bench", "tabular", "--batch-size", "3"), 2, "--profile")
