"""Starting files: what they say about the data, and that every line is right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.errors import ArgumentError, DataError
from chainrule.runs import FromFile, file, scaffold, schema, template
from chainrule.tables import width
from tests.cli import data as small


def build(run: file.RunFile) -> Any:
    """The data of a run whose Trainer can be made."""
    parts = FromFile(run).parts()
    FromFile(run).trainer(parts)
    return parts


def start(folder: Path, place: str | None, target: str | None = None) -> Any:
    there = place is not None and (folder / place).exists()
    where = str(folder / place) if place is not None and there else place
    return scaffold.start(where, target, folder)


@pytest.mark.parametrize("name", [*schema.BUNDLED, *schema.DRAWN])
def test_named_data(tmp_path: Path, name: str) -> None:
    run = file.parse(start(tmp_path, name).text("a.toml"), options={"limit": 200})
    assert run.settings.data.source == name
    build(run)


def test_every_commented_key_is_right(tmp_path: Path) -> None:
    """Each line that offers a key is valid once its "# " is gone."""
    small.houses(tmp_path / "h.csv")
    small.shades(tmp_path / "shades")
    offered = 0
    for place in ("h.csv", "shades", "moons", "blobs", "xor", "mnist"):
        lines = start(tmp_path, place).text("a.toml").splitlines()
        for i, line in enumerate(lines):
            if not re.match(r"# \w+ = ", line):
                continue
            key = line[2:].partition(" =")[0]
            before = "\n".join(lines[:i])
            inside = before[before.rindex("\n[") if "\n[" in before else 0 :]
            if "# [[" in inside:
                continue
            if key in ("class", "format", "classes"):
                continue  # another class has other options; others are examples
            text = "\n".join([*lines[:i], line[2:], *lines[i + 1 :]])
            offered += 1
            file.parse(text)
    assert offered > 100


def test_a_commented_callback_is_right(tmp_path: Path) -> None:
    text = start(tmp_path, "moons").text("a.toml")
    head, _, tail = text.partition("# [[callbacks]]")
    body, _, rest = tail.partition("\n\n")
    keys = re.sub(r"^# (?=\w+ = )", "", body, flags=re.MULTILINE)
    run = file.parse(f"{head}[[callbacks]]{keys}\n\n{rest}")
    (callback,) = run.settings.callbacks
    assert callback.name == "EarlyStopping"
    assert callback.options["patience"] == 5


def test_classes_are_offered_by_name(tmp_path: Path) -> None:
    text = start(tmp_path, "moons").text("a.toml")
    for family in (schema.LOSSES, schema.OPTIMIZERS, schema.CALLBACKS):
        for name in family.classes:
            assert f'"{name}"' in text


def test_lines_are_short_and_comments_stand_in_one_column(tmp_path: Path) -> None:
    small.houses(tmp_path / "h.csv")
    for place in ("mnist", "h.csv"):
        lines = start(tmp_path, place).text("a.toml").splitlines()
        assert max(map(width, lines)) <= template.WIDTH
        beside = [line for line in lines if "  # " in line]
        assert len(beside) > 20
        assert {width(line[: line.index("# ", 2)]) for line in beside} == {
            template.COLUMN
        }


# -- tables ----------------------------------------------------------------------------


def test_a_table(tmp_path: Path) -> None:
    small.houses(tmp_path / "h.csv")
    made = start(tmp_path, "h.csv")
    assert made.data == {
        "source": "h.csv",
        "target": "房價",
        "features": ["面積", "房間", "城市"],
        "test": 0,
    }
    assert made.callbacks["class"] == "EarlyStopping"
    assert made.training["epochs"] * 120 // made.training["batch_size"] >= 2000
    made = start(tmp_path, "h.csv", "城市")
    assert made.data["features"] == ["面積", "房間", "房價"]
    assert made.data["stratify"] is True


@pytest.mark.parametrize(
    ("text", "keys"),
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
    tmp_path: Path, text: str, keys: dict[str, Any]
) -> None:
    """And the file trains, whichever row is odd."""
    (tmp_path / "a.csv").write_text(text)
    made = start(tmp_path, "a.csv")
    told = {k: v for k, v in made.data.items() if k in (*keys, "task", "dtype")}
    assert told == keys
    for key in ("dtype", "header", "missing_values"):
        assert any(note.startswith(f"{key} = ") for note in made.notes) == (key in keys)
    run = file.parse(made.text("a.toml"), folder=tmp_path, options={"engine": "numpy"})
    assert {k: getattr(run.settings.data, k) for k in keys} == keys
    build(run)


def test_sizes_suit_the_table(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("a,b\n1,2.5\n2,3.5\n3,4.5\n")
    few = start(tmp_path, "few.csv")
    assert (few.data["validation"], few.data["test"], few.callbacks) == (0, 0, {})
    build(file.parse(few.text("a.toml"), folder=tmp_path))
    names = ",".join(f"column {i}" for i in range(100))
    rows = "".join(
        f"{','.join(f'{i * j % 7}' for j in range(100))}\n" for i in range(30)
    )
    (tmp_path / "wide.csv").write_text(f"{names}\n{rows}")
    wide = start(tmp_path, "wide.csv")
    assert "features" not in wide.data
    assert "32" in wide.layers[0][0]
    (tmp_path / "long.csv").write_text("a,b\n" + "1.5,2\n2.5,4\n0,7.5\n" * 10_000)
    long = start(tmp_path, "long.csv")
    assert "128" in long.layers[0][0]
    assert long.training["epochs"] < few.training["epochs"]


@pytest.mark.parametrize("text", ["", "a,b\n", "a\n1\n2\n", "\n\n"])
def test_what_is_no_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError, match=r"empty|no rows|no features"):
        start(tmp_path, "a.csv")


def test_a_target_that_is_no_column(tmp_path: Path) -> None:
    small.houses(tmp_path / "h.csv")
    with pytest.raises(DataError, match=r"(?s)no column '房', the target.*房價"):
        start(tmp_path, "h.csv", "房")
    with pytest.raises(ArgumentError, match=r"(?s)names a column.*--target y"):
        start(tmp_path, "moons", "y")


# -- images and arrays -----------------------------------------------------------------


def test_images(tmp_path: Path) -> None:
    small.shades(tmp_path / "shades")
    assert start(tmp_path, "shades").data == {"source": "shades", "mode": "L"}
    small.shades(tmp_path / "large", each=2, side=80)
    assert start(tmp_path, "large").data["size"] == [32, 32]
    small.shades(tmp_path / "mixed", each=2)
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "mixed" / "light" / "z.png")
    made = start(tmp_path, "mixed").data
    assert made == {"source": "mixed", "size": [32, 32]}
    (tmp_path / "mixed").rename(tmp_path / "version.2")
    made = start(tmp_path, "version.2").data
    assert made["format"] == "images"


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError):
        start(tmp_path, "empty")
    small.shades(tmp_path / "bad", each=2)
    (tmp_path / "bad" / "light" / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="is no image"):
        start(tmp_path, "bad")


def test_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(20), y=np.linspace(0, 1, 20))
    assert "Linear" in start(tmp_path, "a.npz").layers[0][0]
    small.arrays(tmp_path / "b.npz")
    made = start(tmp_path, "b.npz")
    assert '"Flatten"' in made.layers[0][0]


def test_idx_files(tmp_path: Path) -> None:
    small.idx(tmp_path)
    made = start(tmp_path, "train-images-idx3-ubyte")
    run = file.parse(made.text("a.toml"), folder=tmp_path, options={"engine": "numpy"})
    parts = build(run)
    assert parts.train.x.shape[1:] == (4, 4)
    assert parts.train.classes == 2


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        ("none.csv", DataError, r"(?s)There are no data.*nothing there"),
        ("moon", DataError, "did you mean moons"),
        ("a.bin", ArgumentError, "not clear what"),
        ("b.bin.gz", ArgumentError, r'(?s)not clear.*idx files.*format = "csv"'),
    ],
)
def test_what_is_no_data(
    tmp_path: Path, place: str, error: type[Exception], said: str
) -> None:
    for name in ("a.bin", "b.bin.gz"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(error, match=said):
        start(tmp_path, place)


# -- paths -----------------------------------------------------------------------------


def test_paths_count_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.houses(tmp_path / "h.csv")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    made = scaffold.write(Path("runs/a.toml"), "h.csv", None)
    assert made["data"]["source"] == "../h.csv"
    build(file.load(Path("runs/a.toml"), {"engine": "numpy"}))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("mine")
    with pytest.raises(ArgumentError, match=r"(?s)there already.*another name"):
        scaffold.write(path, None, None)
    assert path.read_text() == "mine"
