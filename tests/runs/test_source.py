"""The data of a run: every format, its parts, and what its loss takes."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule import data, nn
from chainrule.runs import file, source
from chainrule.runs.problems import RunFileError
from tests.cli import data as small

MODEL = 'model.layers = ["Linear"]\n'


def load(folder: Path, keys: str) -> source.Parts:
    run = file.parse(f"{MODEL}[data]\n{keys}", name="a.toml", folder=folder)
    return run.parts()


def refused(folder: Path, keys: str, *parts: str) -> None:
    with pytest.raises(RunFileError) as caught:
        load(folder, keys)
    for part in ("a.toml, line ", "[data]", "fix:", *parts):
        assert part in str(caught.value)


def rows(part: data.Dataset | None) -> set[bytes]:
    assert part is not None
    return {np.asarray(row).tobytes() for row in part.x[:]}


# -- parts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "sizes"),
    [
        ('source = "moons"\nsamples = 10\ntest = 0.01', (8, 1, 1)),
        ('source = "moons"\nsamples = 50\nvalidation = 0', (45, 0, 5)),
        ('source = "moons"\nsamples = 100\nlimit = 20', (16, 2, 2)),
        ('source = "mnist"\nlimit = 50', (45, 5, 50)),
        ('source = "xor"', (4, 0, 0)),
        ('source = "xor"\ncopies = 10', (32, 4, 4)),
    ],
)
def test_sizes(keys: str, sizes: tuple[int, ...]) -> None:
    assert tuple(load(Path(), keys).sizes().values()) == sizes


def test_shares_leave_no_row_out_and_none_twice(tmp_path: Path) -> None:
    parts = load(tmp_path, 'source = "moons"\nsamples = 100\nvalidation = 0.2\n')
    found = [rows(part) for part in (parts.train, parts.validation, parts.test)]
    assert [len(part) for part in found] == [70, 20, 10]
    assert set.union(*found) == rows(data.moons(100))


def test_the_seed_deals_the_rows(tmp_path: Path) -> None:
    small.houses(tmp_path / "h.csv")
    keys = 'source = "h.csv"\ntarget = "房價"\n'
    one, same, other = (load(tmp_path, f"{keys}seed = {seed}") for seed in (1, 1, 2))
    assert rows(one.test) == rows(same.test) != rows(other.test)


def test_a_share_is_of_the_whole(tmp_path: Path) -> None:
    """The test part does not depend on the share of validation."""
    one, other = (
        load(tmp_path, f'source = "moons"\nsamples = 50\nvalidation = {share}\n')
        for share in (0, 0.3)
    )
    assert rows(one.test) == rows(other.test)


def test_stratified(tmp_path: Path) -> None:
    keys = 'source = "blobs"\nsamples = 90\nclasses = 3\ntest = 0.2\nstratify = true\n'
    parts = load(tmp_path, keys)
    assert parts.test is not None
    assert np.bincount(parts.test.y).tolist() == [6, 6, 6]
    np.savez(tmp_path / "a.npz", x=np.eye(20), y=np.linspace(0, 1, 20))
    keys = 'source = "a.npz"\nstratify = true\n'
    refused(tmp_path, keys, "stratify", "no classes", "leave out stratify")


def test_files_of_their_own(tmp_path: Path) -> None:
    small.houses(tmp_path / "train.csv", 40)
    small.houses(tmp_path / "more.csv", 15)
    keys = 'source = "train.csv"\ntarget = "房價"\n'
    parts = load(tmp_path, f'{keys}validation = "more.csv"\ntest = 0.25\n')
    assert parts.sizes() == {"train": 30, "validation": 15, "test": 10}
    refused(tmp_path, f'{keys}test = "none.csv"\n', "line 5", "test", "none.csv")


# -- formats ---------------------------------------------------------------------------


def test_a_table(tmp_path: Path) -> None:
    small.houses(tmp_path / "h.csv")
    keys = 'source = "h.csv"\ntarget = "房價"\nfeatures = ["面積"]\n'
    parts = load(tmp_path, keys)
    assert parts.train.feature_names == ("面積",)
    assert parts.train.y.shape == (96, 1)
    assert parts.train.classes is None
    assert source.outputs(parts.train) == (1,)
    two = load(tmp_path, keys.replace('"房價"', '["房價", "房間"]')).train
    assert source.outputs(two) == (2,)
    refused(tmp_path, keys.replace("面積", "面"), "no column '面'", "source")
    refused(tmp_path, keys.replace("h.csv", "i.csv"), "i.csv", "mean 'h.csv'?")


@pytest.mark.parametrize(
    ("keys", "classes", "names"),
    [
        ("", None, None),
        ('task = "classification"\n', 2, ("0", "1")),
        ('task = "regression"\n', None, None),
        ('classes = ["0", "1", "2"]\n', 3, ("0", "1", "2")),
    ],
)
@pytest.mark.parametrize("mark", [";", "\t"])
def test_codes_in_a_table(
    tmp_path: Path, keys: str, classes: int | None, names: Any, mark: str
) -> None:
    lines = "\n".join(f"{i}{mark}{i % 2}" for i in range(20))
    (tmp_path / "c.tsv").write_text(f"x{mark}y\n{lines}\n")
    head = 'source = "c.tsv"\ntarget = "y"\n'
    head += "" if mark == "\t" else 'delimiter = ";"\n'
    train = load(tmp_path, head + keys).train
    assert (train.classes, train.class_names) == (classes, names)
    assert train.feature_names == ("x",)


def test_gaps_in_a_table(tmp_path: Path) -> None:
    lines = "\n".join(f"{i if i % 5 else ''},{i}" for i in range(20))
    (tmp_path / "g.csv").write_text(f"x,y\n{lines}\n")
    keys = 'source = "g.csv"\ntarget = "y"\n'
    refused(tmp_path, f'{keys}missing = "error"\n', "line 2", "x")
    assert sum(load(tmp_path, keys).sizes().values()) == 20
    assert sum(load(tmp_path, f'{keys}missing = "drop"\n').sizes().values()) == 16


@pytest.mark.parametrize(
    ("y", "keys", "outputs"),
    [
        (np.arange(20) % 3, "", (3,)),
        (np.arange(20) % 3, "classes = 5\n", (5,)),
        (np.arange(20) % 2, 'classes = ["no", "yes"]\n', (2,)),
        (np.array(["狗", "cat"] * 10), "", (2,)),
        (np.arange(20) % 3, 'task = "regression"\n', (1,)),
        (np.arange(20) % 3, 'task = "classification"\n', (3,)),
        (np.zeros(20, np.int64), "", (2,)),
        (np.linspace(0, 1, 20), "", (1,)),
        (np.linspace(0, 1, 40).reshape(20, 2), "", (2,)),
        (np.array(["a", "b"] * 10), 'task = "regression"\n', "names of classes"),
        (np.linspace(0, 1, 20), 'task = "classification"\n', "no labels"),
    ],
)
def test_arrays(tmp_path: Path, y: Any, keys: str, outputs: Any) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(20), y=y)
    keys = f'source = "a.npz"\n{keys}'
    if isinstance(outputs, str):
        refused(tmp_path, keys, outputs, "task")
        return
    train = load(tmp_path, keys).train
    assert source.outputs(train) == outputs
    assert (train.classes is None) == (train.y.ndim == 2)


def test_images_in_bytes_are_scaled(tmp_path: Path) -> None:
    grey = np.arange(20 * 6, dtype=np.uint8).reshape(20, 2, 3)
    np.savez(tmp_path / "a.npz", x=grey, y=[0, 1] * 10)
    train = load(tmp_path, 'source = "a.npz"\nvalidation = 0\ntest = 0').train
    assert np.allclose(train.x[:], grey / 255)
    assert train.format is not None
    again = data.read(tmp_path / "a.npz", format=train.format)
    assert np.allclose(again.x[:], grey / 255)
    np.savez(tmp_path / "b.npz", x=grey.reshape(20, 6), y=[0, 1] * 10)
    train = load(tmp_path, 'source = "b.npz"\nvalidation = 0\ntest = 0').train
    assert np.allclose(train.x[:], grey.reshape(20, 6))


@pytest.mark.parametrize(
    ("keys", "fix"),
    [
        ('source = "pets"', "size = ["),
        (
            'source = "f.csv"\ntarget = "kind"\ntask = "regression"',
            'task = "classification"',
        ),
    ],
)
def test_remedies_are_written_as_a_file_has_them(
    tmp_path: Path, keys: str, fix: str
) -> None:
    small.flowers(tmp_path / "f.csv")
    small.shades(tmp_path / "pets", side=6)
    (tmp_path / "pets" / "light" / "00.png").unlink()
    small.shades(tmp_path / "large", each=1, side=9)
    (tmp_path / "large" / "light" / "00.png").rename(tmp_path / "pets/light/0.png")
    with pytest.raises(RunFileError) as caught:
        load(tmp_path, keys)
    assert fix in str(caught.value)
    assert "size=(" not in str(caught.value)
    assert "classes=True" not in str(caught.value)


def test_idx(tmp_path: Path) -> None:
    images = bytes(range(80))
    head = b"\0\0\x08\x03" + struct.pack(">3I", 20, 2, 2)
    labels = b"\0\0\x08\x01" + struct.pack(">I", 20) + bytes([0, 1, 2, 1] * 5)
    with gzip.open(tmp_path / "a-images-idx3-ubyte.gz", "wb") as f:
        f.write(head + images)
    with gzip.open(tmp_path / "a-labels-idx1-ubyte.gz", "wb") as f:
        f.write(labels)
    both = '["a-images-idx3-ubyte.gz", "a-labels-idx1-ubyte.gz"]'
    for place in (both, '"a-images-idx3-ubyte.gz"'):
        parts = load(tmp_path, f"source = {place}\ntest = {place}\n")
        assert parts.sizes() == {"train": 18, "validation": 2, "test": 20}
        assert parts.train.x.shape[1:] == (2, 2)
        assert source.outputs(parts.train) == (3,)


def test_images(tmp_path: Path) -> None:
    small.shades(tmp_path / "s")
    parts = load(tmp_path, 'source = "s"\nsize = 4\nmode = "L"\n')
    assert parts.train.x.shape[1:] == (1, 4, 4)
    assert parts.train.class_names == ("light", "暗")
    parts = load(tmp_path, 'source = "s"\nsize = [3, 5]\n')
    assert parts.train.x.shape[1:] == (3, 3, 5)
    refused(tmp_path, 'source = "t"\n', "no folder of images", "paths count from")


# -- what a loss takes -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (nn.BCELoss(), [[0.0], [1.0], [1.0], [0.0]]),
        (nn.BCEWithLogitsLoss(), [[0.0], [1.0], [1.0], [0.0]]),
        (nn.PerceptronLoss(), [[0.0], [1.0], [1.0], [0.0]]),
        (nn.HingeLoss(), [[-1.0], [1.0], [1.0], [-1.0]]),
        (nn.CrossEntropyLoss(), [0, 1, 1, 0]),
        (nn.MultiMarginLoss(), [0, 1, 1, 0]),
    ],
)
def test_targets_as_a_loss_takes_them(loss: nn.Module, targets: Any) -> None:
    xor = data.Dataset(data.xor().x, data.xor().y, class_names=["no", "yes"])
    made = source.for_loss(xor, loss)
    assert made.y.tolist() == targets
    assert made.class_names == ("no", "yes")
    assert source.outputs(made) == ((1,) if made.y.ndim == 2 else (2,))
