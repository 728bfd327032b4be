"""Reading a run's file: what is no TOML, options, defaults and paths."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from chainrule.errors import DataError
from chainrule.runs import file
from chainrule.runs.problems import RunFileError

DATA = '[data]\nsource = "moons"\n'
MODEL = '[model]\nlayers = ["Linear"]\n'


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a = " + "[" * 2000, ["cannot be read", "brackets within each other"]),
        ("a = " + "9" * 5000, ["cannot be read", "numbers of"]),
        ("# " + "x" * 300_000, ["too large", "300,002 bytes", "not data"]),
        ("a." * 60 + "b = 1", ["a key of very many parts", "40 parts"]),
    ],
)
def test_what_is_no_toml(text: str, parts: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        file.parse(text, name="a.toml")
    for part in ("a.toml", "expected:", "got:", "fix:", *parts):
        assert part in str(caught.value)


def test_files(tmp_path: Path) -> None:
    for place in (tmp_path, Path("a\0b"), tmp_path / "none.toml"):
        with pytest.raises(DataError, match="no TOML file"):
            file.load(place)
    path = tmp_path / "a.toml"
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(DataError, match=r"a\.toml cannot be read as TOML"):
        file.load(path)
    path.write_bytes(f"# 註\n{DATA}".encode("cp950"))
    with pytest.raises(DataError, match=r"(?s)not in UTF-8.*line 1.*save it as UTF-8"):
        file.load(path)
    path.write_text(DATA + MODEL, encoding="utf-8-sig")
    run = file.load(path)
    assert run.path("x.csv") == tmp_path / "x.csv"
    assert run.path("/y.csv") == Path("/y.csv")
    with pytest.raises(RunFileError, match=r"^--threads: "):
        file.load(path, {"threads": 10**6})


def test_defaults_are_settings() -> None:
    run = file.parse(DATA + MODEL, options={"epochs": 3, "lr": 0.5, "seed": None})
    assert run.options == {"epochs": 3, "lr": 0.5}
    settings = run.settings
    assert (settings.training.epochs, settings.training.seed) == (3, 0)
    assert (settings.optimizer.name, settings.optimizer.options) == (
        "Adam",
        {"lr": 0.5},
    )
    assert (settings.loss.name, settings.callbacks) == (None, [])
    assert settings.to_table() == {
        "data": {"source": "moons"},
        "model": {"layers": [{"class": "Linear"}]},
        "optimizer": {"class": "Adam", "lr": 0.5},
        "training": {"epochs": 3},
    }


def test_an_error_of_a_file_outlives_a_process(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[data]\nsource = "moons"\n[model]\nlayers = [1, 2]\n', "utf-8")
    with pytest.raises(RunFileError) as caught:
        file.load(path)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.problems[0].where == caught.value.problems[0].where
