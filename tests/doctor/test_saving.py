"""A diagnosis as a file: what it holds, that it opens as it was, what is refused."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.cli import run as cli
from chainrule.doctor import Diagnosis, examples, registered
from chainrule.errors import ArgumentError, DataError
from chainrule.runs import diagnosing
from chainrule.text.languages import language

BY_CODE = {symptom.code: symptom for symptom in registered()}


@functools.cache
def diagnosed(code: str) -> Diagnosis:
    example = BY_CODE[code].sick_example
    assert example is not None
    trainer, data, given = example()
    return cr.diagnose(trainer, data, **given)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "code",
    ["learning-rate-too-large", "overfitting", "non-finite-loss", "non-finite-data"],
)
@pytest.mark.parametrize("spoken", ["en", "zh-TW"])
def test_it_opens_as_it_was(code: str, spoken: str, tmp_path: Path) -> None:
    with language(spoken):
        found = diagnosed(code)
        found.save(tmp_path / "d.json")
        read = Diagnosis.load(tmp_path / "d.json")
        assert str(read) == str(found)
        assert read.to_html() == found.to_html()
        assert json.dumps(read.to_dict()) == json.dumps(found.to_dict())
        read.save(tmp_path / "again.json")
    first, again = (
        json.loads((tmp_path / name).read_text("utf-8"))
        for name in ("d.json", "again.json")
    )
    assert first == again


def test_fixes_are_kept(tmp_path: Path) -> None:
    trainer, data, given = examples.example(optimizer=optim.SGD(lr=100.0))
    found = cr.diagnose(trainer, data, **given)
    assert found.fix()
    found.save(tmp_path / "d.json")
    read = Diagnosis.load(tmp_path / "d.json")
    assert str(read) == str(found)
    with pytest.raises(ArgumentError, match="neither the model nor the data"):
        read.fix()
    assert [f.to_dict() for f in read.fixes] == [f.to_dict() for f in found.fixes]


@pytest.mark.slow
def test_fixes_of_a_run_file_are_kept(tmp_path: Path) -> None:
    """With the diff of the file, the scores of each seed, and what the search cost."""
    (tmp_path / "run.toml").write_text(
        'data.source = "moons"\nmodel.layers = [{ class = "Linear", out_features = 8 },'
        ' "ReLU", { class = "Linear", out_features = 2 }]\n'
        "[optimizer]\nclass = 'SGD'\nlr = 100.0  # fast\n[training]\nepochs = 5\n"
    )
    found = diagnosing.diagnosed(str(tmp_path / "run.toml"))
    found.fix()
    assert any(fix.file_diff for fix in found.fixes)
    found.save(tmp_path / "d.json")
    read = Diagnosis.load(tmp_path / "d.json")
    assert read.search == found.search
    for new, old in zip(read.fixes, found.fixes, strict=True):
        assert (new.file_diff, new.diff) == (old.file_diff, old.diff)
        assert (new.finding, new.steps) == (old.finding, old.steps)
        assert new.comparison.before == old.comparison.before
        assert new.comparison.after == old.comparison.after
    assert read.to_html() == found.to_html()
    read.save(tmp_path / "again.json")
    texts = [(tmp_path / f"{name}.json").read_text("utf-8") for name in ("d", "again")]
    assert texts[0] == texts[1]


def test_it_holds_what_somebody_else_needs(tmp_path: Path) -> None:
    found = diagnosed("learning-rate-too-large")
    found.save(tmp_path / "d.json")
    record = Diagnosis.load(tmp_path / "d.json").record
    assert record["program"]["optimizer"].startswith("SGD(")
    assert record["program"]["loss"] == "CrossEntropyLoss()"
    assert "Linear(in_features=2, out_features=16)" in record["program"]["model"]
    assert (record["program"]["epochs"], record["program"]["batch_size"]) == (30, 32)
    assert "dot_general" in record["graph"]
    assert (record["data"]["rows"], record["data"]["row"]) == (300, [2])
    assert len(record["probes"]["grad_norm"]) == len(record["probes"]["loss"])
    assert record["versions"]["chainrule"] == cr.__version__
    text = (tmp_path / "d.json").read_text("utf-8")
    assert json.loads(text)["seed"] == 0


def test_a_fingerprint_tells_data_apart(tmp_path: Path) -> None:
    def check(move: float) -> int:
        made = examples.moons()
        x = np.array(made.x[:])
        x[17, 1] += move
        trainer, data, __ = examples.example(rows=(x, made.y))
        cr.diagnose(trainer, data, epochs=1).save(tmp_path / "d.json")
        return Diagnosis.load(tmp_path / "d.json").record["data"]["crc32"]

    assert check(0.0) == check(0.0) != check(1e-3)


def test_the_command_line_writes_and_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    diagnosed("learning-rate-too-large").save("d.json")
    assert cli(["doctor", "d.json", "--html", "d.html", "--save", "e.json"]) == 0
    assert "learning-rate-too-large" in capsys.readouterr().out
    assert "learning-rate-too-large" in Path("d.html").read_text("utf-8")
    assert json.loads(Path("e.json").read_text("utf-8")) == json.loads(
        Path("d.json").read_text("utf-8")
    )
    assert cli(["doctor", "d.json", "--fix"]) == 2
    assert "neither the model nor the data" in capsys.readouterr().err
    Path("other.json").write_text("{}")
    assert cli(["doctor", "other.json"]) == 2
    assert "other.json is no diagnosis" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "null", "[" * 100_000, '{"format": "chainrule diagnosis"}'),
        '{"format": "chainrule diagnosis", "form": 2}',
        '{"format": "chainrule diagnosis", "form": 1}',
    ],
)
def test_what_is_no_diagnosis_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"d\.json is no diagnosis"):
        Diagnosis.load(path)
    with pytest.raises(DataError, match="is no diagnosis"):
        Diagnosis.load(tmp_path / "nowhere.json")
    with pytest.raises(DataError, match="is no diagnosis"):
        Diagnosis.load(tmp_path)


def test_a_damaged_file_is_refused_or_shown(tmp_path: Path) -> None:
    """Whatever stands in a value's place: an error of ours, or a diagnosis to show."""
    path = tmp_path / "d.json"
    found = diagnosed("learning-rate-too-large")
    found.fix()
    found.save(path)
    text = path.read_text("utf-8")
    draw = random.Random(0)
    odd: tuple[Any, ...] = (None, -1, 1e400, "<script>", [], {}, True, {"a": [1]}, "a")
    odd += (["b"], 10**400, "\x1b[31m")
    shown = 0
    for i in range(400):
        document = json.loads(text)
        place: Any = document[("findings", "fixes", "search")[i % 3]] if i % 2 else {}
        place = place or document
        while isinstance(place, dict | list) and place:
            keys = [*place] if isinstance(place, dict) else [*range(len(place))]
            key = draw.choice(keys)
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw.random() < 0.2:
                place[key] = draw.choice(odd)
                break
            place = inner
        path.write_text(json.dumps(document))
        try:
            read = Diagnosis.load(path)
        except DataError:
            continue
        shown += 1
        assert "\x1b" not in str(read)
        assert "<script>" not in read.to_html()
        json.dumps(read.to_dict(), allow_nan=False)
    assert shown > 20


@pytest.mark.parametrize(
    ("key", "number"),
    [("seed", 1e400), ("seconds", 10**400), ("spent", 10**400)],
    ids=["seed", "seconds", "spent"],
)
def test_a_number_beyond_all_range_is_refused(
    key: str, number: float, tmp_path: Path
) -> None:
    path = tmp_path / "d.json"
    diagnosed("learning-rate-too-large").save(path)
    document = json.loads(path.read_text("utf-8")) | {key: number}
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="is no diagnosis"):
        Diagnosis.load(path)


def test_refused_validation_data_are_named() -> None:
    made = examples.moons()
    x = np.array(made.x[:])
    x[3, 1] = np.nan
    trainer, data, __ = examples.example()
    first = cr.diagnose(trainer, data, validation=(x, made.y)).findings[0]
    assert (first.code, first.where) == ("non-finite-data", "validation: x, columns 1")
    assert first.evidence["non_finite_numbers_of_x"] == 1
    first = cr.diagnose(trainer, data, validation=(x, made.y[:-1])).findings[0]
    assert (first.code, first.where) == ("data-refused", "validation")
    first = cr.diagnose(trainer, (x, made.y), validation=data).findings[0]
    assert first.where == "x, columns 1"


def test_a_diagnosis_of_several_inputs_is_saved(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.a = examples.mlp()

        def forward(self, p: cr.Tensor, q: cr.Tensor) -> cr.Tensor:
            return self.a(p + q)

    x = examples.moons().x[:]
    trainer, __, given = examples.example(Two(), epochs=2)
    found = cr.diagnose(trainer, ({"p": x, "q": x}, examples.moons().y), **given)
    found.save(tmp_path / "d.json")
    assert str(Diagnosis.load(tmp_path / "d.json")) == str(found)
