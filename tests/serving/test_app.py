"""The application without a socket: what it answers, refuses and replaces."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import cli, nn
from chainrule.errors import ArgumentError, CheckpointError
from chainrule.runs import predicting
from tests.cli.conftest import SMALL
from tests.serving.conftest import of_trees, trained

pytest.importorskip("starlette", reason="needs starlette: chainrule[serve]")

from starlette.testclient import TestClient

from chainrule.serving import application
from chainrule.serving.batching import Batcher
from chainrule.serving.model import Served

ENGINES = pytest.mark.parametrize(
    "engine", ["numpy", pytest.param("native", marks=pytest.mark.slow)]
)
TREE = {"age": 3.5, "kind": "oak", "planted": "2001-02-03T04:05"}


def client(place: Any, engine: str = "numpy", **options: Any) -> Any:
    return TestClient(application(place, engine=engine, **options))  # type: ignore


@pytest.fixture(scope="module")
def forest_client(forest: Path) -> Any:
    return client(forest / "run")


def refused(response: Any, status: int, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    for word in words:
        assert word in response.text
    return error


# -- answers ---------------------------------------------------------------------------


@ENGINES
def test_a_table_is_answered_as_predict_does(
    forest: Path, tmp_path: Path, engine: str
) -> None:
    found = predicting.predict(forest / "run", forest / "trees.csv", "probabilities")
    with found.write() as file:
        wanted = [*csv.DictReader(io.TextIOWrapper(file, "utf-8", newline=""))]
    probabilities = [
        [float(row[f"probability of {c}"]) for c in ("no", "yes")] for row in wanted
    ]
    rows = [{k: row[k] or None for k in TREE} for row in wanted]
    numbers = [r | {"age": r["age"] and float(r["age"])} for r in rows]
    columns = {k: [row[k] for row in numbers] for k in TREE}
    for place in ("run", "program.safetensors"):
        here = client(forest / place, engine=engine)
        for body in (rows, numbers):
            got = here.post("/predict", json=body).json()
            np.testing.assert_allclose(
                [r["probabilities"] for r in got], probabilities, rtol=1e-5
            )
        got = here.post("/predict", json=columns).json()
        np.testing.assert_allclose(got["probabilities"], probabilities, rtol=1e-5)
        classes = [("no", "yes")[int(np.argmax(p))] for p in probabilities]
        assert got["classes"] == classes
        one = here.post("/predict", json=numbers[0]).json()
        assert one["classes"] == classes[0]
        text = (forest / "trees.csv").read_bytes()
        answer = here.post(
            "/predict", content=text, headers={"content-type": "text/csv"}
        )
        assert answer.headers["content-type"].startswith("text/csv")
        lines = [*csv.DictReader(io.StringIO(answer.text))]
        assert [line["classes"] for line in lines] == classes
        got_yes = [float(line["probabilities yes"]) for line in lines]
        np.testing.assert_allclose(got_yes, [p[1] for p in probabilities], rtol=1e-5)


def test_numbers_beside_texts_with_a_decimal_comma(tmp_path: Path) -> None:
    lines = [f"{i},5;{2 * i}" for i in range(30)]
    (tmp_path / "table.csv").write_text("\n".join(["x;y", *lines]))
    data = cr.data.read_csv(tmp_path / "table.csv", target="y")
    trained(tmp_path / "run", data, nn.Linear(1, 1), loss=nn.MSELoss())
    here = client(tmp_path / "run")
    apart = [here.post("/predict", json={"x": x}).json() for x in ("30,5", 1.234)]
    together = here.post("/predict", json=[{"x": "30,5"}, {"x": 1.234}]).json()
    wanted = [answer["values"] for answer in apart]
    np.testing.assert_allclose([answer["values"] for answer in together], wanted, 1e-5)


def test_an_array_as_json_and_csv(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 12), np.uint8)
    y = (x.sum(1) > 1500).astype(np.int32)
    data = cr.data.Dataset(x, y, scale=1 / 255, classes=2)
    trainer = trained(tmp_path / "run", data, nn.Linear(12, 2))
    program = tmp_path / "program.safetensors"
    cr.compile(trainer.model, shapes={"x": ("N", 12)}).save(
        program, x[:2] / np.float32(255)
    )
    here = client(program)
    got = here.post("/predict", json={"x": (x[:5] / 255).tolist()}).json()["output"]
    wanted = trainer.predict((x[:5] / 255).astype(np.float32), "logits")
    np.testing.assert_allclose(got, wanted, rtol=1e-4)
    text = "\n".join(",".join(f"{v / 255:.9f}" for v in row) for row in x[:5].tolist())
    answer = here.post("/predict", content=text, headers={"content-type": "text/csv"})
    lines = [*csv.reader(io.StringIO(answer.text))][1:]
    np.testing.assert_allclose(np.array(lines, float), wanted, rtol=1e-4)


@pytest.mark.slow
def test_digits(tmp_path: Path) -> None:
    assert cli.run(["train", "mnist", *SMALL, "--out", str(tmp_path / "run")]) == 0
    here = client(tmp_path / "run", "auto")
    x = cr.data.mnist()[1].x.stored[:20]
    answers = [here.post("/predict", json={"x": row.tolist()}).json() for row in x]
    trainer = cr.Trainer.load(tmp_path / "run")
    wanted = trainer.predict((x / np.float32(255)).astype(np.float32), "probabilities")
    got = [answer["probabilities"] for answer in answers]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-7)
    body = {"x": x[0].tolist(), "y": 7}
    loss = here.post("/explain", json=body).json()["loss"]
    assert math.isclose(loss, -math.log(wanted[0, 7]), rel_tol=1e-3)
    refused(here.post("/predict", json={"x": [256] * 784}), 422, "u8[N,784]")


@pytest.mark.slow
def test_texts(tmp_path: Path) -> None:
    lines = [f"{'good' if i % 2 else 'bad'} film {i % 5},{i % 2}" for i in range(40)]
    path = tmp_path / "films.csv"
    path.write_text("review,liked\n" + "\n".join(lines), encoding="utf-8")
    data = cr.data.read_text(path, text="review", target="liked", task="classification")
    width = len(data.format["columns"][0]["vocabulary"]) + 2
    layers = nn.Embedding(width, 4), nn.Flatten(), nn.Linear(4 * data.x.shape[1], 2)
    trainer = trained(tmp_path / "run", data, *layers)
    got = client(tmp_path / "run").post(
        "/predict", json={"review": ["Good film", None]}
    )
    again = tmp_path / "again.csv"
    again.write_text('review\n"Good film"\n""\n', encoding="utf-8")
    x = cr.data.read(again, format=data.format, target=False)[0]
    wanted = trainer.predict(x, "probabilities")
    np.testing.assert_allclose(got.json()["probabilities"], wanted, rtol=1e-4)


def test_numbers_that_json_lacks_are_null(tmp_path: Path) -> None:
    cr.compile(lambda x: x.log(), shapes={"x": ("N",)}).save(tmp_path / "p", cr.ones(2))
    got = client(tmp_path / "p").post("/predict", json={"x": [1.0, 0.0, -1.0]})
    assert got.json() == {"output": [0.0, None, None]}


def test_a_program_with_fixed_sizes_or_rows_that_meet(tmp_path: Path) -> None:
    cr.compile(lambda x: x * 2).save(tmp_path / "fixed", cr.ones(3))
    here = client(tmp_path / "fixed")
    assert here.post("/predict", json={"x": [1.0, 2.0, 3.0]}).json()["output"] == [
        2,
        4,
        6,
    ]
    refused(here.post("/predict", json={"x": [1.0]}), 422, "f32[3]")
    both = cr.compile(lambda x, scale: (x * scale).sum())
    both.save(tmp_path / "both", (cr.ones(2), cr.tensor(1.0)))
    answer = client(tmp_path / "both").post("/predict", json={"x": [1, 2], "scale": 2})
    assert answer.json() == {"output": 6.0}
    meet = cr.compile(lambda x: x - x.mean(0, keepdim=True), shapes={"x": ("N", 2)})
    meet.save(tmp_path / "meet", cr.ones(3, 2))
    assert not Served.load(tmp_path / "meet", "numpy").together
    got = client(tmp_path / "meet").post(
        "/predict", json={"x": [[1.0, 2.0], [3.0, 6.0]]}
    )
    assert got.json() == {"output": [[-1, -2], [1, 2]]}


def test_the_schema(forest_client: Any, forest: Path) -> None:
    schema = forest_client.get("/schema").json()
    assert schema["openapi"].startswith("3.1")
    row = schema["components"]["schemas"]["Row"]
    assert row["required"] == [*TREE]
    assert {*row["properties"]["kind"]["examples"]} == {"oak", "elm", "fir"}
    assert "null" in row["properties"]["age"]["type"]
    result = schema["components"]["schemas"]["Result"]["properties"]
    assert result["classes"] == {"enum": ["no", "yes"]}
    assert result["probabilities"]["maxItems"] == 2
    assert "/explain" in schema["paths"]
    assert (
        "/explain"
        not in client(forest / "program.safetensors").get("/schema").json()["paths"]
    )


def test_the_schema_of_arrays(tmp_path: Path) -> None:
    """What comes and goes without rows is described as it is."""
    cr.compile(lambda x: {"root": x.sqrt(), "n": x.sum()}).save(
        tmp_path / "fixed", cr.ones(3, 2)
    )
    schemas = client(tmp_path / "fixed").get("/schema").json()["components"]["schemas"]
    assert "Row" not in schemas
    x = schemas["Arrays"]["properties"]["x"]
    assert (x["minItems"], x["items"]["maxItems"]) == (3, 2)
    result = schemas["Result"]["properties"]
    assert result["root"]["items"]["items"] == {"type": ["number", "null"]}
    assert result["n"] == {"type": ["number", "null"]}


@pytest.mark.parametrize(
    ("metadata", "answer"),
    [
        ({"classes": ["a", "b", "c"]}, "c"),
        ({"classes": ["a"]}, 2),
        ({"classes": {"0": "a"}}, 2),
        ({"classes": 3, "inputs": "x is a vector"}, 2),
    ],
)
def test_metadata_are_free(tmp_path: Path, metadata: Any, answer: Any) -> None:
    step = cr.compile(lambda x: {"classes": x.argmax(-1)}, shapes={"x": ("N", 3)})
    step.save(tmp_path / "p", cr.zeros(1, 3), metadata=metadata)
    here = client(tmp_path / "p")
    got = here.post("/predict", json={"x": [1.0, 2.0, 3.0]})
    assert got.json() == {"classes": answer}
    assert here.get("/schema").status_code == 200


def test_the_schema_of_columns(forest_client: Any) -> None:
    document = forest_client.get("/schema").json()
    columns = document["components"]["schemas"]["ResultColumns"]["properties"]
    assert columns["classes"] == {"type": "array", "items": {"enum": ["no", "yes"]}}
    answer = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]
    assert {"$ref": "#/components/schemas/ResultColumns"} in (
        answer["application/json"]["schema"]["oneOf"]
    )


def test_one_row_is_explained(forest_client: Any, forest: Path) -> None:
    explained = forest_client.post("/explain", json=TREE | {"tall": "no"}).json()
    truth = forest_client.post("/explain", json=TREE | {"tall": "yes"}).json()
    p = forest_client.post("/predict", json=TREE).json()["probabilities"]
    assert math.isclose(explained["loss"], -math.log(p[0]), rel_tol=1e-4)
    assert math.isclose(truth["loss"], -math.log(p[1]), rel_tol=1e-4)
    likely = forest_client.post("/explain", json=TREE).json()
    assert math.isclose(likely["loss"], -math.log(max(p)), rel_tol=1e-4)
    page = forest_client.post("/explain", json=TREE, headers={"accept": "text/html"})
    assert page.text.startswith("<!DOCTYPE html>")
    refused(forest_client.post("/explain", json=[TREE, TREE]), 422, "One row")
    refused(
        forest_client.post("/explain", json=TREE | {"tall": "perhaps"}), 422, "tall"
    )
    here = client(forest / "program.safetensors")
    refused(here.post("/explain", json=TREE), 404, "no loss")


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "column", "words"),
    [
        (TREE | {"age": "much"}, "age", "a number, such as 1.5"),
        (TREE | {"age": True}, "age", "bool"),
        (TREE | {"age": 1e300}, "age", "fits float32"),
        (TREE | {"age": [1, 2]}, "kind", "different numbers of rows"),
        (TREE | {"kind": {}}, "kind", "a truth value or null"),
        (TREE | {"planted": "yesterday"}, "planted", "a date as ISO8601"),
        (TREE | {"planted": 981173100}, "planted", "a date as ISO8601"),
        (TREE | {"colour": "red"}, "colour", "not one of them"),
        ({"age": 3.5, "kind": "oak"}, "planted", "without 'planted'"),
        ([TREE, {}], "age", "without 'age'"),
        ([], None, "There are no rows"),
        (7, None, "a value for each column"),
    ],
)
def test_rows_that_do_not_fit(
    forest_client: Any, body: Any, column: str | None, words: str
) -> None:
    error = refused(forest_client.post("/predict", json=body), 422, words)
    assert error["column"] == column


def test_the_row_of_an_error(forest_client: Any) -> None:
    body = [TREE, TREE, TREE | {"age": "x"}]
    assert refused(forest_client.post("/predict", json=body), 422)["row"] == 2


def test_policies_of_the_run(tmp_path: Path) -> None:
    of_trees(tmp_path, missing="drop", unknown="error")
    here = client(tmp_path / "run")
    assert here.post("/predict", json=TREE).status_code == 200
    refused(here.post("/predict", json=TREE | {"age": None}), 422, "without gaps")
    refused(here.post("/predict", json=TREE | {"kind": ""}), 422, "without gaps")
    refused(here.post("/predict", json=TREE | {"kind": "baobab"}), 422, "one of", "oak")
    kinds = here.get("/schema").json()["components"]["schemas"]["Row"]["properties"]
    assert {*kinds["kind"]["enum"]} == {"oak", "elm", "fir"}


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b"{", "application/json", 400, "no JSON"),
        (b"\xff", "application/json", 400, "no JSON"),
        (b"[" * 100_000, "application/json", 400, "no JSON"),
        (b"", "application/json", 400, "no JSON"),
        (b'{"age": 1, "age": 2}', "application/json", 400, "two values"),
        (b'[{"age": 1, "\\u0061ge": 2}]', "application/json", 400, "two values"),
        (b"", "text/csv", 400, "does not name"),
        (b"\xff\xfe", "text/csv", 400, "UTF-8"),
        (b"age,kind\n1,2", "text/csv", 400, "does not name"),
        (b"age,kind,planted,age\n1,2,,3", "text/csv", 400, "one name"),
        (b"a" * 150_000, "text/csv", 400, "no CSV"),
        (b"age,kind,planted\n1,2", "text/csv", 400, "3 cells"),
        (b'age,kind,planted\n1,"oak,2', "text/csv", 400, "no CSV"),
        (b"age,kind,planted\nx,oak,", "text/csv", 422, "a number, such as 1.5"),
        (b"age,kind,planted\n", "text/csv", 422, "There are no rows"),
        (b"x", "text/plain", 415, "text/plain"),
        (b"x" * 2000, "application/json", 413, "at most 1,000 bytes"),
    ],
)
def test_malformed_requests(
    forest: Path, content: bytes, kind: str, status: int, words: str
) -> None:
    here = client(
        forest / "program.safetensors",
        largest=200_000 if len(content) > 90_000 else 1000,
    )
    response = here.post("/predict", content=content, headers={"content-type": kind})
    refused(response, status, words)


def test_a_large_request_without_a_length(forest: Path) -> None:
    def parts() -> Iterator[bytes]:
        for __ in range(100):
            yield b" " * 100

    here = client(forest / "program.safetensors", largest=1000)
    refused(here.post("/predict", content=parts()), 413, "too large")
    assert here.post("/predict", json=TREE).status_code == 200


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    cr.compile(nn.Linear(2, 1), shapes={"x": ("N", 2)}).save(
        tmp_path / "p", cr.ones(1, 2)
    )
    here = client(tmp_path / "p")
    for x in (
        [1],
        [[1]],
        [["a", "b"]],
        [[1, None]],
        [[1, 2], [3]],
        "text",
        {},
        [[1e999, 0]],
        [[True, False]],
        [[10**400, 0]],
    ):
        content = json.dumps({"x": x})
        refused(here.post("/predict", content=content), 422, "f32[N,2]")
    refused(here.post("/predict", json={"z": [[1, 2]]}), 422, "not one of them")
    for text in ("1,nan", "1,1e39", "a,b\n1,x"):
        csv_type = {"content-type": "text/csv"}
        refused(here.post("/predict", content=text, headers=csv_type), 422)
    assert here.post("/predict", json={"x": [1, 2]}).status_code == 200


def test_other_addresses_and_methods(forest_client: Any) -> None:
    refused(forest_client.get("/predict"), 405, "Method Not Allowed")
    refused(forest_client.post("/nothing"), 404, "Not Found")


def test_an_internal_error_says_nothing_of_itself(
    forest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(forest / "program.safetensors", engine="numpy")
    here = TestClient(app, raise_server_exceptions=False)
    monkeypatch.setattr("chainrule.serving.app.named", lambda *_: {}["secret"])
    response = here.post("/predict", json=TREE)
    assert refused(response, 500) == {"message": "An internal error."}


def test_a_large_request_is_read_by_a_thread(forest_client: Any) -> None:
    answer = forest_client.post("/predict", json=[TREE] * 1500).json()
    assert len(answer) == 1500
    one = forest_client.post("/predict", json=TREE).json()
    np.testing.assert_allclose(answer[-1]["logits"], one["logits"], rtol=1e-5)


def test_who_goes_away_is_no_error(forest_client: Any) -> None:
    async def gone() -> list[Any]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
        await forest_client.app(scope | {"query_string": b""}, receive, send)
        return sent

    assert asyncio.run(gone())[0]["status"] == 400


def test_what_is_not_there(tmp_path: Path, forest: Path) -> None:
    with pytest.raises(CheckpointError):
        application(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"\x80\x04pickle")
    with pytest.raises(CheckpointError):
        application(tmp_path / "file")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "starlette", None)
        with pytest.raises(ArgumentError, match=r"chainrule\[serve\]"):
            application(forest / "run")


# -- replacement -----------------------------------------------------------------------


def constant(path: Path, value: float) -> None:
    weight = cr.tensor([value])
    cr.compile(lambda x: x * 0 + weight, shapes={"x": ("N", 1)}).save(
        path, cr.ones(1, 1)
    )


def test_a_file_that_is_replaced_broken_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    constant(path, 1.0)
    here = client(path)
    service = here.app.state.service

    def value() -> float:
        return here.post("/predict", json={"x": [0.0]}).json()["output"][0]

    def health() -> dict[str, Any]:
        here.get("/health")
        service.settle()
        return here.get("/health").json()

    assert value() == 1.0
    constant(path, 2.0)
    assert health()["replaced"] == 1
    assert value() == 2.0
    path.write_bytes(path.read_bytes()[:-3])
    broken = health()
    assert (broken["status"], broken["replaced"]) == ("degraded", 1)
    assert "damaged" in broken["problem"]
    assert value() == 2.0
    path.unlink()
    assert health()["status"] == "degraded"
    assert value() == 2.0
    constant(path, 3.0)
    whole = health()
    assert (whole["status"], whole["problem"]) == ("ok", None)
    assert value() == 3.0


@pytest.mark.slow
def test_a_run_that_is_trained_on(tmp_path: Path) -> None:
    trainer = of_trees(tmp_path)
    here = client(tmp_path / "run")
    before = here.post("/predict", json=TREE).json()["probabilities"]
    data = cr.data.read_csv(tmp_path / "trees.csv", target="tall")
    trainer.fit(data, epochs=3, batch_size=8, progress=False)
    trainer.save(tmp_path / "run" / "last.ckpt")
    here.get("/health")
    here.app.state.service.settle()
    after = here.post("/predict", json=TREE).json()["probabilities"]
    wanted = client(tmp_path / "run").post("/predict", json=TREE).json()
    assert after == wanted["probabilities"] != before


# -- batches ---------------------------------------------------------------------------


def test_requests_at_the_same_time_are_one_call(forest: Path) -> None:
    served = Served.load(forest / "program.safetensors", "numpy")
    bodies = [json.dumps(TREE | {"age": float(i)}).encode() for i in range(20)]
    rows = [served.reader.from_json(body) for body in bodies]
    alone = [served.predict(r.arrays, 1) for r in rows]

    async def all_of_them(batcher: Batcher) -> list[Any]:
        return await asyncio.gather(
            *(batcher.predict(served, r.arrays, r.count) for r in rows)
        )

    batcher = Batcher()
    together = asyncio.run(all_of_them(batcher))
    assert batcher.calls == 1
    for a, b in zip(alone, together):
        np.testing.assert_allclose(a[1], b[1], rtol=1e-6)
    batcher = Batcher()
    batcher._row_seconds = 1.0  # a long call: it is made by a thread
    again = asyncio.run(all_of_them(batcher))
    np.testing.assert_allclose(again[7][1], alone[7][1], rtol=1e-6)


def test_one_refused_request_of_a_batch(tmp_path: Path) -> None:
    table = cr.arange(5)
    cr.compile(lambda i: table[i], shapes={"i": ("N",)}).save(
        tmp_path / "p", np.array([1])
    )
    served = Served.load(tmp_path / "p", "numpy")
    rows = [served.reader.from_json(b'{"i": %d}' % i) for i in (1, 9, 4)]

    async def all_of_them() -> list[Any]:
        calls = [Batcher.predict(batcher, served, r.arrays, r.count) for r in rows]
        return await asyncio.gather(*calls, return_exceptions=True)

    batcher = Batcher()
    first, second, third = asyncio.run(all_of_them())
    assert (first[0].tolist(), third[0].tolist()) == ([1], [4])
    assert isinstance(second, cr.ChainruleError)


@ENGINES
def test_no_number_of_rows_is_compiled_anew(forest: Path, engine: str) -> None:
    served = Served.load(forest / "program.safetensors", engine)
    executable: Any = served.program._idle[0]
    before = executable.seconds_compile
    row = served.reader.from_json(json.dumps(TREE).encode()).arrays
    for count in (*range(1, 70, 7), 200):
        outputs = served.predict([a.repeat(count, 0) for a in row], count)
        assert {len(a) for a in outputs} == {count}
    assert executable.seconds_compile == before


# -- in one's own application ----------------------------------------------------------


def test_three_lines_in_fastapi(forest: Path) -> None:
    pytest.importorskip("fastapi")
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/trees", application(forest / "run", engine="numpy"))
    predict = cr.load_program(forest / "program.safetensors", engine="numpy")

    @app.get("/tall")
    def tall(age: float, kind: str) -> float:
        when = np.array(["2001-02-03T04:05"], "datetime64[ms]")
        row = {"age": np.array([age]), "kind": np.array([kind]), "planted": when}
        return float(predict(row)["probabilities"][0, 1])

    here = TestClient(app)
    mounted = here.post("/trees/predict", json=TREE).json()
    own = here.get("/tall", params={"age": 3.5, "kind": "oak"}).json()
    assert math.isclose(own, mounted["probabilities"][1], rel_tol=1e-6)
    assert here.get("/trees/health").json()["status"] == "ok"
