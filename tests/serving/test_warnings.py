"""What a served model says of rows that it predicts, though something is odd."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.runs import exporting
from tests.serving.conftest import trained

pytest.importorskip("starlette", reason="needs starlette: chainrule[serve]")

from starlette.testclient import TestClient

from chainrule.serving import application

TREE = {"age": 3.5, "kind": "oak", "planted": "2001-02-03T04:05"}
PALM = "column 'kind': 'palm' was not there in training"


def client(place: Path) -> Any:
    return TestClient(application(place, engine="numpy"))  # type: ignore


@pytest.fixture(scope="module", params=["run", "program.safetensors"])
def served(forest: Path, request: Any) -> Any:
    return client(forest / request.param)


def test_unknown_texts_of_one_row(served: Any) -> None:
    known = served.post("/predict", json=TREE).json()
    answer = served.post("/predict", json=TREE | {"kind": "palm"}).json()
    assert answer.pop("warnings") == [PALM]
    assert answer.keys() == known.keys()
    for fine in (None, "", "fir", " oak "):
        said = served.post("/predict", json=TREE | {"kind": fine}).json()
        assert said.keys() == known.keys()


def test_unknown_texts_of_a_row_that_is_explained(forest: Path) -> None:
    here = client(forest / "run")
    known = here.post("/explain", json=TREE).json()["notes"]
    odd = TREE | {"kind": "palm"}
    assert here.post("/explain", json=odd).json()["notes"] == [*known, PALM]
    page = here.post("/explain", json=odd, headers={"accept": "text/html"}).text
    assert "&#x27;palm&#x27; was not there in training" in page


def test_unknown_texts_of_several_rows(served: Any) -> None:
    kinds = ["oak", "palm", None, "7"]
    wanted = [[], [PALM], [], [PALM.replace("palm", "7")]]
    rows = [TREE | {"kind": kind} for kind in kinds]
    assert [r["warnings"] for r in served.post("/predict", json=rows).json()] == wanted
    columns = {name: [row[name] for row in rows] for name in TREE}
    answer = served.post("/predict", json=columns).json()
    assert answer["warnings"] == wanted
    assert {len(values) for values in answer.values()} == {4}
    text = io.StringIO()
    table = csv.DictWriter(text, list(TREE))
    table.writeheader()
    table.writerows(rows)
    headers = {"content-type": "text/csv"}
    got = served.post("/predict", content=text.getvalue(), headers=headers).text
    lines = [*csv.DictReader(io.StringIO(got))]
    assert [line["warnings"] for line in lines] == ["; ".join(w) for w in wanted]
    few = served.post("/predict", json=rows[:1]).json()
    assert "warnings" not in few[0], "there are none"


def test_warnings_are_of_a_request_and_not_of_its_batch(served: Any) -> None:
    """Requests that are predicted in one call."""
    import asyncio

    import httpx2

    async def ask() -> list[Any]:
        transport = httpx2.ASGITransport(app=served.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as ours:
            bodies = [TREE | {"kind": k} for k in ("oak", "palm") * 8]
            asked = [ours.post("/predict", json=body) for body in bodies]
            return [answer.json() for answer in await asyncio.gather(*asked)]

    said = ["warnings" in answer for answer in asyncio.run(ask())]
    assert said == [False, True] * 8


def test_the_schema_says_so(served: Any) -> None:
    schemas = served.get("/schema").json()["components"]["schemas"]
    for name in ("Result", "ResultColumns"):
        assert schemas[name]["properties"]["warnings"]["type"] == "array"
        assert "warnings" not in schemas[name]["required"]


@pytest.mark.parametrize("spelled", [("True", "False"), ("true", "false"), ("1", "0")])
@pytest.mark.parametrize("unknown", ["other", "error"])
def test_truth_values(tmp_path: Path, spelled: tuple[str, str], unknown: Any) -> None:
    rng = np.random.default_rng(0)
    truths = rng.integers(0, 2, 40).astype(bool)
    lines = [f"{spelled[not t]},{float(t):.1f}" for t in truths]
    (tmp_path / "t.csv").write_text("\n".join(["k,y", *lines]))
    kinds: Any = {"k": "category"}
    data = cr.data.read_csv(
        tmp_path / "t.csv", target="y", dtype=kinds, unknown=unknown
    )
    layer = nn.Linear(data.x.shape[1], 1)
    trainer = trained(tmp_path / "run", data, layer, loss=nn.MSELoss())
    exporting.save(tmp_path / "run", tmp_path / "p.safetensors")
    for place in ("run", "p.safetensors"):
        here = client(tmp_path / place)
        for truth in (True, False):
            wanted = float(trainer.predict({"k": spelled[not truth]})[0, 0])
            texts = [
                str(truth),
                str(truth).lower(),
                str(truth).upper(),
                str(int(truth)),
            ]
            for given in (truth, int(truth), float(truth), *texts):
                answer = here.post("/predict", json={"k": given}).json()
                assert answer.keys() == {"values"}, answer
                np.testing.assert_allclose(answer["values"], wanted, rtol=1e-5)
        row = here.get("/schema").json()["components"]["schemas"]["Row"]
        said = row["properties"]["k"]
        assert True in said["enum"] if unknown == "error" else "boolean" in said["type"]


def test_an_output_of_the_name_of_the_warnings() -> None:
    from chainrule.serving.results import said_of
    from chainrule.serving.rows import Rows

    rows = Rows([], 2, "rows", {1: ["odd"]})
    found = said_of(rows, {"warnings": [1, 2]})
    assert found == {"warnings": [1, 2], "warnings 2": [[], ["odd"]]}
