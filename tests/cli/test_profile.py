"""``chainrule bench --profile``: the parts of a training step, or a clear refusal."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llvmlite")

from chainrule.engines.native.runtime import profiling, roofline
from chainrule.engines.schedule.profile import Measured, Profile
from chainrule.text.numbers import width
from tests.cli.conftest import one_message

RUN = """
data.source = "moons"
model.layers = [{ class = "Linear", out_features = 8 }, "ReLU", "Linear"]
training.batch_size = 16
"""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "SECONDS", 0.0)
    monkeypatch.setattr(roofline, "SECONDS", 0.0)


@pytest.mark.one_in(2)
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


@pytest.mark.one_in(2)
@pytest.mark.parametrize("slower", [1.0, 1e9])
def test_a_profile_in_chinese(
    chainrule: Any, monkeypatch: pytest.MonkeyPatch, slower: float
) -> None:
    """Its table too, with the numbers below their headings; JSON stays English."""
    measured = Profile._step

    def slow(*given: Any) -> Measured:
        step = measured(*given)
        return replace(step, microseconds=slower * step.microseconds)

    monkeypatch.setattr(Profile, "_step", slow)
    Path("run.toml").write_text(RUN, "utf-8")
    asked = ["bench", "--profile", "run.toml", "--threads", "1", "--lang", "zh-TW"]
    first, roof_line, head, *rows = chainrule(*asked).out.splitlines()
    assert first.startswith("train（N = 16），一個執行緒：各部分都取最快時每步 ")
    assert roof_line.startswith("上限：融合乘加 ")
    assert head.split() == [
        "µs",
        "%",
        "預測",
        "達上限",
        "GFLOP/s",
        "kB",
        "階段",
        "內容",
    ]
    ends = [width(head[: head.index(word) + len(word)]) for word in head.split()]
    row = next(line for line in rows if "= dot_general" in line)
    numbers = [m.end() for m in re.finditer(r"\d[\d.,]*(?: %)?", row)]
    assert numbers[:7] == ends[:7]
    said = "\n".join(rows)
    assert "等待其他執行緒" in said
    assert not re.search(r"\b(threads?|parts|others|more|between)\b", said)
    told = chainrule(*asked, "--json").json
    assert {step["threads"] for step in told["steps"]} <= {
        *("one thread", "each thread for itself"),
        *(f"{n} parts of axis {axis}" for n in ("N", *range(99)) for axis in (0, 1)),
    }


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
