"""Starting files: what they say about the data, and that every line is right."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.errors import ArgumentError, DataError
from chainrule.runs import file, scaffold, schema, template
from chainrule.runs.values import to_toml
from chainrule.text.numbers import width
from tests.cli import data as small


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def build(text: str, **options: Any) -> Any:
    """The data of a run whose Trainer can be made."""
    run = file.parse(text, options={"engine": "numpy", **options})
    parts = run.parts()
    run.trainer(parts)
    return run, parts


def start(place: str | None, target: str | None = None) -> Any:
    return scaffold.start(place, target, Path())[0]


def text(place: str) -> str:
    return template.text("a.toml", start(place))


@pytest.mark.parametrize("name", [*schema.BUNDLED, *schema.DRAWN])
def test_named_data(name: str) -> None:
    run, _ = build(text(name), limit=200)
    assert run.settings.data.source == name


def test_every_commented_key_is_right() -> None:
    """Each line that offers a key is valid once its "# " is gone."""
    small.houses(Path("h.csv"))
    small.shades(Path("shades"))
    offered = 0
    texts = scaffold.start("h.csv", "房價", Path(), "城市")[0]
    places = ("h.csv", "shades", "moons", "blobs", "xor", "mnist")
    for written in (template.text("a.toml", texts), *map(text, places)):
        lines = written.splitlines()
        for i, line in enumerate(lines):
            key = line[2:].partition(" =")[0]
            before = "\n".join(lines[:i])
            inside = before[before.rindex("\n[") if "\n[" in before else 0 :]
            if not re.match(r"# \w+ = ", line) or "# [[" in inside:
                continue
            if key in ("class", "format", "classes"):
                continue  # another class has other options; others are examples
            offered += 1
            file.parse("\n".join([*lines[:i], line[2:], *lines[i + 1 :]]))
    assert offered > 100


def test_a_commented_callback_is_right() -> None:
    head, _, tail = text("moons").partition("# [[callbacks]]")
    body, _, rest = tail.partition("\n\n")
    keys = re.sub(r"^# (?=\w+ = )", "", body, flags=re.MULTILINE)
    run = file.parse(f"{head}[[callbacks]]{keys}\n\n{rest}")
    (callback,) = run.settings.callbacks
    assert (callback.name, callback.options["patience"]) == ("EarlyStopping", 5)


def test_lines_are_short_and_comments_stand_in_one_column() -> None:
    small.houses(Path("h.csv"))
    for place in ("mnist", "h.csv"):
        lines = text(place).splitlines()
        assert max(map(width, lines)) <= template.WIDTH
        columns = {width(x[: x.index("# ", 2)]) for x in lines if "  # " in x}
        assert columns == {template.COLUMN}
    for family in (schema.LOSSES, schema.OPTIMIZERS, schema.CALLBACKS):
        for name in family.classes:  # they are offered by name
            assert f'"{name}"' in text("moons")


# -- tables ----------------------------------------------------------------------------


def test_a_table() -> None:
    small.houses(Path("h.csv"))
    made = start("h.csv")
    assert made["data"] == {
        "source": "h.csv",
        "target": "房價",
        "features": ["面積", "房間", "城市"],
        "test": 0,
    }
    assert made["callbacks"]["class"] == "EarlyStopping"
    training = made["training"]
    assert training["epochs"] * 120 // training["batch_size"] >= 2000
    made = start("h.csv", "城市")["data"]
    assert (made["features"], made["stratify"]) == (["面積", "房間", "房價"], True)
    with pytest.raises(DataError, match=r"(?s)no column '房', the target.*房價"):
        start("h.csv", "房")


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        ("a,b\n" + "1,0\n2,1\n" * 5, {"task": "classification"}),
        ("a,b\n" + "1,0\n2,1\n", {}),
        ("a,b\n" + "1,0.5\n2,1\n" * 5, {}),
        ("a,b\n" + "1,2.5\n2,1\n" * 15 + "x,1\n", {"dtype": {"a": "number"}}),
        ("a;b\n" + "1,5;2,5\n2,5;1,5\n" * 5, {}),
        ("3,u\n" + "1,u\n2,v\n" * 9, {"header": False, "target": "column 2"}),
        ("a,b\n" + "1,u\n2,v\n" * 9 + "inf,v\n", {"missing_values": ["inf"]}),
    ],
)
def test_what_the_cells_do_not_tell_is_written(
    content: str, keys: dict[str, Any]
) -> None:
    """And the file trains, whichever row is odd."""
    Path("a.csv").write_text(content)
    made, notes = scaffold.start("a.csv", None, Path())
    told = {k: v for k, v in made["data"].items() if k in (*keys, "task", "dtype")}
    assert told == keys
    for key in ("dtype", "header", "missing_values"):
        assert any(note.startswith(f"{key} = ") for note in notes) == (key in keys)
    run, _ = build(text("a.csv"))
    assert {k: getattr(run.settings.data, k) for k in keys} == keys


def test_sizes_suit_the_table() -> None:
    Path("few.csv").write_text("a,b\n1,2.5\n2,3.5\n3,4.5\n")
    few = start("few.csv")
    assert (few["data"]["validation"], few["data"]["test"]) == (0, 0)
    assert "callbacks" not in few
    build(text("few.csv"))
    names = ",".join(f"column {i}" for i in range(100))
    rows = "".join(
        f"{','.join(f'{i * j % 7}' for j in range(100))}\n" for i in range(30)
    )
    Path("wide.csv").write_text(f"{names}\n{rows}")
    Path("long.csv").write_text("a,b\n" + "1.5,2\n2.5,4\n0,7.5\n" * 10_000)
    wide, long = start("wide.csv"), start("long.csv")
    assert "features" not in wide["data"]
    units = [made["model"]["layers"][0]["out_features"] for made in (wide, long)]
    assert units == [32, 128]
    assert long["training"]["epochs"] < few["training"]["epochs"]


@pytest.mark.parametrize("content", ["", "a,b\n", "a\n1\n2\n", "\n\n"])
def test_what_is_no_table(content: str) -> None:
    Path("a.csv").write_text(content)
    with pytest.raises(DataError, match=r"empty|no rows|no features"):
        start("a.csv")


# -- images and arrays -----------------------------------------------------------------


def test_images() -> None:
    from PIL import Image

    small.shades(Path("shades"))
    assert start("shades")["data"] == {"source": "shades", "mode": "L"}
    small.shades(Path("large"), each=2, side=80)
    assert start("large")["data"]["size"] == [32, 32]
    small.shades(Path("version.2"), each=2)
    Image.new("RGB", (9, 9)).save("version.2/light/z.png")
    made = {"source": "version.2", "format": "images", "size": [32, 32]}
    assert start("version.2")["data"] == made
    Path("empty").mkdir()
    with pytest.raises(DataError, match="no folders"):
        start("empty")
    Path("large/light/a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="is no image"):
        start("large")


def test_arrays() -> None:
    np.savez("a.npz", x=np.eye(20), y=np.linspace(0, 1, 20))
    small.arrays(Path("b.npz"))
    assert "Flatten" not in start("a.npz")["model"]["layers"]
    assert start("b.npz")["model"]["layers"][0] == "Flatten"


def test_idx_files() -> None:
    small.idx(Path())
    _, parts = build(text("train-images-idx3-ubyte"))
    assert parts.train.x.shape[1:] == (4, 4)
    assert parts.train.classes == 2


def test_paths_count_from_the_file() -> None:
    small.houses(Path("h.csv"))
    Path("runs").mkdir()
    made = scaffold.write(Path("runs/a.toml"), "h.csv", None)
    assert made["data"]["source"] == "../h.csv"
    assert file.load(Path("runs/a.toml")).parts().sizes()["train"] == 108


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        ("none.csv", DataError, r"(?s)There are no data.*nothing there"),
        ("moon", DataError, "did you mean moons"),
        ("a.bin", ArgumentError, "not clear what"),
        ("b.bin.gz", ArgumentError, r'(?s)not clear.*idx files.*format = "csv"'),
    ],
)
def test_what_is_no_data(place: str, error: type[Exception], said: str) -> None:
    for name in ("a.bin", "b.bin.gz"):
        Path(name).write_bytes(b"")
    with pytest.raises(error, match=said):
        start(place)


#: What a head of a table may hold: lines, and what no terminal shows.
STRANGE = [*map(chr, range(1, 32)), *"\x7f\x80\x85\x9f\xa0\xad\\\"'#=[].{ "]
STRANGE += ["\u200b", "\u200e", "\u2028", "\u202e", "\ufeff", "\uffff", "\U0001f600"]


def test_what_is_written_is_read() -> None:
    """Whatever columns and classes are called, the starting file is right."""
    columns = [f"a{strange}b" for strange in STRANGE]
    classes = [f"u{strange}v" for strange in STRANGE]
    target = f"y{''.join(STRANGE)}z"
    with open("t.csv", "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow([*columns, target])
        for i in range(5 * len(classes)):
            cells = [i * 1.5 + j for j in range(len(columns))]
            writer.writerow([*cells, classes[i % len(classes)]])
    run, parts = build(
        text("t.csv").replace("[data]", f"[data]\nfeatures = {to_toml(columns)}")
    )
    assert run.settings.data.target == target
    assert set(run.settings.data.features) == set(columns)
    assert set(parts.train.class_names) == set(classes)
