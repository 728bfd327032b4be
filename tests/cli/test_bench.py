"""``chainrule bench``: all do one job, take turns, and what they took is told right."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import errors
from chainrule.text.languages import language
from chainrule.text.numbers import width
from tests.cli.conftest import one_message

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
peers: Any = importlib.import_module("frameworks.peers")
report: Any = importlib.import_module("frameworks.report")
rounds: Any = importlib.import_module("frameworks.rounds")
workloads: Any = importlib.import_module("frameworks.workloads")

NAMES = [n for n in workloads.WORKLOADS if n not in ("inference", "process")]
HERE = [name for name, peer in peers.PEERS.items() if not peer.missing]
HEAD = {
    "machine": "Some CPU",
    "system": "Linux x86_64",
    "cores": 2,
    "load": 0.25,
    "threads": 2,
    "rounds": 3,
    "date": "2026-01-02",
    "versions": {"numpy": "2.4"},
}
needs_native = pytest.mark.skipif(peers.OURS not in HERE, reason="no llvmlite here")


@pytest.fixture(autouse=True)
def denormals_as_they_were() -> Any:
    """PyTorch's worker has them count as zero, on this thread too."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


def small(name: str) -> Any:
    """A workload with few samples and steps, without chance."""
    work = workloads.ALL[name].without_dropout()
    work = replace(work, batch=min(work.batch, 8), turn=2)
    rng = np.random.default_rng(0)
    x = rng.random((32, *work.shape), np.float32)
    y = rng.integers(max(work.classes, 2), size=32).astype(np.int32)
    if work.data == "text":
        x, y = (rng.integers(65, size=(32, 64)).astype(np.int32) for _ in range(2))
    if work.classes == 1:
        y = y.astype(np.float32)
    return workloads.Job(work, x, y, rounds._weights(work))


def trained(peer: str, job: Any, variant: str) -> tuple[int, float]:
    """Parameters, and the mean loss of the first two steps."""
    module = importlib.import_module(f"frameworks.peers.{peer}")
    made = module.Training(job, variant, 1)
    return made.parameters, float(np.mean(made.run(job.order(0))))


@needs_native
@pytest.mark.benchmarks
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(name, marks=[] if name == "sklearn" else pytest.mark.slow)
        for name in HERE
        if name != peers.OURS
    ],
)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n == "tabular" else pytest.mark.slow) for n in NAMES],
)
def test_all_do_one_job(name: str, peer: str) -> None:
    """As many parameters, and the same losses from the same weights."""
    job = small(name)
    ways = [v for v in peers.PEERS[peer].variants(job.work) if v != "compile"]
    if not ways or not hasattr(_module(peer), "Training"):
        pytest.skip("it has nothing for this workload")
    ours = trained(peers.OURS, job, "")
    for way in ways:
        theirs = trained(peer, job, way)
        # scikit-learn adds Adam's ε before the bias correction, the others after it.
        rel = 1e-3 if peer == "sklearn" else 1e-4
        assert theirs == (ours[0], pytest.approx(ours[1], rel=rel)), way


def _module(peer: str) -> Any:
    return importlib.import_module(f"frameworks.peers.{peer}")


@pytest.mark.parametrize("name", ["normed", "resnet", "gpt"])
def test_networks_have_the_sizes_that_are_said(name: str) -> None:
    weights = small(name).weights
    learnt = [w.size for n, w in weights.items() if "running" not in n]
    learnt = sum(learnt) - sum("tracked" in n for n in weights)
    assert learnt == {"normed": 109_770, "resnet": 78_378, "gpt": 818_241}[name]


@needs_native
@pytest.mark.benchmarks
@pytest.mark.skipif("sklearn" not in HERE, reason="no scikit-learn here")
def test_a_workload_is_measured(
    chainrule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own; a peer that is missing is named and left out."""
    monkeypatch.setitem(sys.modules, "keras", None)
    how = ["--peers", "sklearn,keras", "--rounds", 1, "--threads", 1]
    done = chainrule("bench", "tabular", *how, "--json")
    assert done.code == 0, done.err
    assert "Keras is left out: no keras" in done.err
    assert "pip install -e '.[bench]'" in done.err
    result = done.json
    assert {"machine", "cores", "load", "threads", "rounds", "date"} <= set(result)
    assert {"chainrule", "python", "numpy", "scikit-learn"} <= set(result["versions"])
    (row,) = result["rows"]
    ours, theirs = row["ways"]
    assert (ours["peer"], theirs["peer"]) == ("chainrule", row["fastest"])
    assert ours["found"] == pytest.approx(theirs["found"], rel=1e-4)
    for times in row["ways"]:
        assert times["rounds"] == 1
        assert 0 < times["p10"] <= times["median"] <= times["p90"]
    ratio = row["ratios"]["sklearn"]["median"]
    assert ratio == pytest.approx(theirs["median"] / ours["median"])
    assert not row["failed"]


needs_xla = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="no JAX here"
)


@pytest.mark.benchmarks
@pytest.mark.parametrize(
    "engine", ["numpy", pytest.param("xla", marks=[needs_xla, pytest.mark.slow])]
)
def test_an_engine_is_measured(chainrule: Any, engine: str) -> None:
    """It finds the losses of the others; compilation stands apart; it has no bars."""
    how = ["--peers", "sklearn", "--rounds", 1, "--threads", 1, "--engine", engine]
    done = chainrule("bench", "tabular", *how, "--json")
    assert done.code == 0, done.err
    assert f"Chainrule {engine}, 1 thread" in done.err
    assert done.json["engine"] == engine
    (row,) = done.json["rows"]
    ours = row["ways"][0]
    assert (ours["peer"], ours["way"]) == ("chainrule", f"Chainrule {engine}, 1 thread")
    assert ours["compiled"] >= 0
    assert row["bars"] == []
    for theirs in row["ways"][1:]:
        assert ours["found"] == pytest.approx(theirs["found"], rel=1e-4)
    assert not row["failed"]


@pytest.mark.benchmarks
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("", marks=needs_native),
        "numpy",
        pytest.param("xla", marks=needs_xla),
    ],
)
def test_a_turn_ends_when_its_losses_are_there(engine: str) -> None:
    """What runs on after a turn would be counted as the time of the next one."""
    module = importlib.import_module("frameworks.peers.chainrule")
    job = small("tabular")
    losses = module.Training(job, engine, 1).run(job.order(0))
    assert type(losses) is np.ndarray
    assert losses.shape == (2,)
    scores = module.Inference(job, engine, 1)(job.features[:4])
    assert type(scores) is np.ndarray
    assert scores.shape == (4, 1)


def test_an_engine_takes_the_place_of_ours(tmp_path: Path) -> None:
    for name in ("tabular", "process"):
        ours, *others = rounds._runners(name, ["sklearn"], 1, tmp_path, "numpy")
        assert (ours.peer, ours.variant) == ("chainrule", "numpy")
        assert {r.peer for r in others} <= {"sklearn"}
    assert ours._command[-6:-2] == ["--engine", "numpy", "--threads", "1"]


@needs_xla
def test_threads_of_xla_are_those_of_its_process(tmp_path: Path) -> None:
    """Its engine takes no number."""
    ours = next(rounds._runners("process", [], 1, tmp_path, "xla"))
    assert "--threads" not in ours._command
    assert ours._command[-4:-2] == ["--engine", "xla"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["lenett"], "lenet"),
        (["lenet", "--peers", "pytorch"], "torch"),
        (["lenet", "--engine", "cuda"], "xla"),
        (["--profile", "mnist", "--engine", "numpy"], "--engine"),
    ],
)
def test_an_unknown_name_is_refused(
    chainrule: Any, asked: list[str], said: str
) -> None:
    one_message(chainrule("bench", *asked), 2, said)


def runner(peer: str, variant: str, seconds: list[float]) -> Any:
    made = rounds.Runner(peer, variant, 1, Path("."), "textbook-32")
    made.seconds, made.ready = seconds, {"found": 2.0, "parameters": 9, "built": 3.0}
    return made


def row() -> dict[str, Any]:
    ways = [
        runner("chainrule", "", [1.0, 2.0, 1.0, 1.0]),
        runner("jax", "out-in", [3.0, 6.0, 3.0, 3.0]),
        runner("jax", "in-out", [9.0, 9.0]),  # it has left
        runner("torch", "eager", [4.0, 4.0, 4.0, 4.0]),
    ]
    return rounds.row("textbook-32", ways, {"Keras 1": "It has ended."})


def test_bars_are_of_the_engine_of_who_names_none() -> None:
    ways = [runner("chainrule", "xla", [1.0]), runner("jax", "out-in", [3.0])]
    assert rounds.row("textbook-32", ways, {})["bars"] == []


def test_ratios_are_those_of_medians_against_the_fastest() -> None:
    made = row()
    assert made["fastest"] == "jax"
    assert made["ratios"]["jax"] == {
        "way": "JAX out-in, 1 thread",
        "median": 3.0,
        "p10": pytest.approx(3.0),
        "p90": pytest.approx(3.0),
    }
    assert made["ratios"]["torch"]["p10"] == pytest.approx(2.6)
    assert made["bars"] == [{"against": "fastest", "least": 3.2, "reached": False}]
    assert made["ways"][0]["compiled"] == 2.0
    assert made["ways"][0]["median"] == pytest.approx(1e6 / 400 * 1.0, rel=0.2)


def test_what_was_measured_is_told() -> None:
    text = report.block(row())
    for said in ("JAX over ours: 3.00 × [3.00 … 3.00], the fastest", "Keras 1: It has"):
        assert said in text
    assert "bar: fastest ≥ 3.2 ×, not reached" in text
    last = report.markdown([row()]).splitlines()[-1]
    assert "| 3.00 × [3.00 … 3.00] | ≥ 3.2 |" in last
    assert "in-out" not in last


def test_what_was_measured_is_told_in_chinese() -> None:
    """With the same figures; what ``--json`` has stays English."""
    made = row()
    made["failed"]["PyTorch compile, 2 threads"] = "It has 8 parameters, ours 9."
    english = report.block(made), report.markdown([made]), report.heading(HEAD)
    with language("zh-TW"):
        assert row()["title"] == "the textbook's network (784-128-64-10), Adam, B=32"
        chinese = report.block(made), report.markdown([made]), report.heading(HEAD)
    for one, other in zip(english, chinese):
        assert sorted(numbers(one)) == sorted(numbers(other))
        ours = other.replace("It has 8 parameters, ours 9.", "")  # as it was kept
        assert not re.search(r"\b(threads?|ours|peers?|reached|steps?|cores)\b", ours)
    block, table, heading = chinese
    lines = block.splitlines()
    assert lines[0] == "textbook-32：教科書的網絡（784-128-64-10），Adam，B=32"
    assert "  PyTorch compile（2 個執行緒）：It has 8 parameters, ours 9." in lines
    assert "  JAX 除以我們：3.00 × [3.00 … 3.00]，最快的對手" in lines
    assert "  目標：最快的對手 ≥ 3.2 ×，未達到" in lines
    places = {width(line.partition(" µs/步")[0]) for line in lines if "µs/步" in line}
    assert places == {45}  # below each other, as in English
    assert table.startswith("| 工作 | 我們 | 對手 | 最快的對手除以我們 | 目標 |")
    assert heading.startswith("Some CPU（Linux x86_64），2 個核心")


def numbers(text: str) -> list[str]:
    return re.findall(r"\d[\d.,]*\d|\d", text)


def test_every_workload_has_a_title_in_chinese() -> None:
    for work in workloads.ALL.values():
        with language("zh-TW"):
            title = work.title()
        assert sorted(numbers(title)) == sorted(numbers(work.title()))
        assert not re.search(r"[a-z] [a-z]", title.replace("chainrule train mnist", ""))
        assert ", " not in title


def test_whoever_is_far_behind_its_peer_leaves() -> None:
    quick, slow = runner("jax", "a", [1.0, 1.1]), runner("jax", "b", [9.0, 1.3])
    noisy, alone = runner("jax", "c", [9.0, 1.0]), runner("torch", "", [50.0, 60.0])
    assert rounds._far([quick, slow, noisy, alone], 1.15) == [slow]


@pytest.mark.parametrize(
    ("other", "why"),
    [({"parameters": 8}, "8 parameters"), ({"found": 2.1}, "not the same job")],
)
def test_another_job_is_refused(other: dict[str, float], why: str) -> None:
    ours, work = {"parameters": 9, "found": 2.0}, workloads.ALL["tabular"]
    rounds._same(work, ours, ours)
    for found in (other, {"found": float("nan")} if "found" in other else other):
        with pytest.raises(errors.ChainruleError, match=why):
            rounds._same(work, ours | found, ours)


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="no matplotlib here"
)
def test_plots_are_drawn(tmp_path: Path) -> None:
    points = [row() | {"group": "width", "x": x} for x in (64, 256)]
    (picture,) = report.plot(points, tmp_path / "new")
    assert picture.name == "width.svg"
    assert picture.read_text("utf-8").count("<path") > 4


@pytest.mark.benchmarks
def test_a_peer_that_ends_is_reported(tmp_path: Path) -> None:
    made = rounds.Runner("sklearn", "", 1, tmp_path, "tabular")
    with pytest.raises(errors.ChainruleError, match="No such file"):
        made.start()  # nobody has saved the numbers of a workload there
    with pytest.raises(errors.ChainruleError, match="No such file"):
        made.turn(1)
    made.stop()
