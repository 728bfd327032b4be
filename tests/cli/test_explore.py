"""``chainrule explore`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainrule import engines
from chainrule.book import experiments
from tests.book.experiments.conftest import ENGINES
from tests.cli.conftest import one_message


def test_the_list(chainrule: Any) -> None:
    told = chainrule("explore")
    assert told.code == 0
    for name in experiments.names():
        assert f"\n{name} " in told.out
    chinese = chainrule("explore", "--lang", "zh-TW").out
    assert "梯度爆炸" in chinese
    assert "optimizers" in chinese
    listed = chainrule("explore", "--json").json["experiments"]
    assert [item["name"] for item in listed] == experiments.names()
    assert all(item["sections"] for item in listed)


def test_one_in_chinese(chainrule: Any) -> None:
    told = chainrule("explore", "symmetry", "--lang", "ZH")
    assert told.code == 0
    assert "前向與反向的對稱性" in told.out
    assert "已寫入" in told.err
    assert "沒有圖" in told.err  # no matplotlib in this test
    kept = json.loads(Path("runs/explore/symmetry/symmetry.json").read_text("utf-8"))
    assert kept["title"].startswith("前向")


def test_one_as_json(chainrule: Any, pictures: None) -> None:
    pytest.importorskip("matplotlib")
    told = chainrule("explore", "convergence", "--json", "--out", "p", "--seed", 7)
    assert (told.code, told.err) == (0, "")
    assert told.json["numbers"]["limit"] == 0.5
    assert told.json["seed"] == 7
    assert told.json["files"] == ["p/convergence.png", "p/convergence.json"]
    assert Path("p/convergence.png").stat().st_size > 10_000


def test_refusals(chainrule: Any) -> None:
    wrong = chainrule("explore", "vanish")
    one_message(
        wrong, 2, "no experiment 'vanish'", "fix:      chainrule explore vanish"
    )
    one_message(
        chainrule("explore", "深度", "--lang", "zh"), 2, "沒有名為 '深度' 的實驗"
    )
    one_message(chainrule("explore", "depth", "--lang", "x"), 2, "does not speak")
    Path("file").write_text("")
    told = chainrule("explore", "symmetry", "--out", "file")
    assert told.code == 2
    told = chainrule("explore", "symmetry", "--out", "file/within")
    one_message(told, 1, "cannot be made")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that compiles nothing: a few steps take less time."""
    monkeypatch.setattr(engines, "_registry", ENGINES)


def test_a_clinic_before_its_answer(chainrule: Any, soon: None) -> None:
    told = chainrule("explore", "clinic-3", "--quick")
    assert told.code == 0
    assert "--ask gradients" in told.out
    assert "--answer c" in told.out
    assert "constant-weights" not in told.out
    kept = Path("runs/explore/clinic-3/clinic-3.json").read_text("utf-8")
    assert "constant-weights" not in kept
    assert "clinic-3" in chainrule("explore").out


def test_what_is_asked_of_a_clinic_and_its_answer(chainrule: Any, soon: None) -> None:
    asked = ("--ask", "weights", "--ask", "data", "--answer", "c")
    told = chainrule("explore", "clinic-3", "--quick", *asked)
    assert "0.weight" in told.out
    assert "greatest number" in told.out
    assert "\n  Right: " in told.out
    assert "sick: constant-weights" in told.out
    kept = json.loads(Path("runs/explore/clinic-3/clinic-3.json").read_text("utf-8"))
    assert kept["answer"]["code"] == "constant-weights"


def test_what_a_clinic_does_not_know(chainrule: Any) -> None:
    one_message(
        chainrule("explore", "clinic-1", "--ask", "gradient"), 2, "--ask gradients"
    )
    one_message(chainrule("explore", "clinic-1", "--answer", "z"), 2, "no answer 'z'")
    told = chainrule("explore", "depth", "--answer", "a")
    assert told.code == 2
    assert "of clinics" in told.err
