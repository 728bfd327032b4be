"""Data sets of Hugging Face: tables, images, arrays; whole, and in turn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import PIL.Image
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset, Stream
from chainrule.errors import (
    ArgumentError,
    ChainruleError,
    ChainruleWarning,
    DataError,
)
from tests.data.resuming import check_resumed, small_blocks

pytestmark = pytest.mark.parity
__all__ = ["small_blocks"]

N = 43
DRAW = np.random.default_rng(0)
V, T = DRAW.normal(size=(N, 2)).astype("f4"), DRAW.normal(size=(N, 1)).astype("f4")
IMAGES = DRAW.integers(0, 256, (N, 4, 5, 3)).astype(np.uint8)
LABELS = [i % 3 for i in range(N)]
FEATURES = datasets.Features(
    {
        "v": datasets.Sequence(datasets.Value("float32"), length=2),
        "m": datasets.Array2D((2, 3), "float32"),
        "t": datasets.Sequence(datasets.Value("float32"), length=1),
        "image": datasets.Image(),
        "grey": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog", "ant"]),
        "size": datasets.ClassLabel(names=["small", "large"]),
        "text": datasets.Value("string"),
        "n": datasets.Value("int64"),
        "f": datasets.Value("float32"),
        "ragged": datasets.Sequence(datasets.Value("float32")),
    }
)


@pytest.fixture(scope="module")
def data() -> Any:
    return datasets.Dataset.from_dict(
        {
            "v": V,
            "m": np.arange(N * 6, dtype="f4").reshape(N, 2, 3),
            "t": T,
            "image": list(IMAGES),
            "grey": list(IMAGES[..., 0]),
            "label": LABELS,
            "size": [i % 2 for i in range(N)],
            "text": [f"t{i % 4}" for i in range(N)],
            "n": [i * i % 50 for i in range(N)],
            "f": V[:, 0],
            "ragged": [[1.0] * (i % 3) for i in range(N)],
        },
        features=FEATURES,
    )


def test_a_table(data: Any) -> None:
    read = Dataset.from_huggingface(
        data, target="label", features=["n", "f", "text", "size"]
    )
    assert read.class_names == ("cat", "dog", "ant")  # in the order of the numbers
    assert read.y.tolist() == LABELS
    assert read.feature_names == (
        *("n", "f", "text=t0", "text=t1", "text=t2", "text=t3"),
        *("size=large", "size=small"),
    )
    assert (read.x.stored[:, 1] == V[:, 0]).all()
    assert (read.x.stored[:, -1] == [1 - i % 2 for i in range(N)]).all()
    number = Dataset.from_huggingface(data, target="n", features="f")
    assert number.y.dtype == np.float32


def test_labels_that_are_missing_leave_rows_out() -> None:
    labels = [0, 1, -1, None, 1] * 3
    features = datasets.Features(
        {"f": datasets.Value("float32"), "y": datasets.ClassLabel(names=["a", "b"])}
    )
    data = datasets.Dataset.from_dict(
        {"f": np.arange(15.0), "y": labels}, features=features
    )
    read = Dataset.from_huggingface(data, target="y")
    assert read.y.tolist() == [0, 1, 1] * 3
    assert read.report.without_target == 6


def test_images_and_arrays(data: Any) -> None:
    read = Dataset.from_huggingface(data, target="label", features="image")
    assert read.x.shape == (N, 3, 4, 5)
    np.testing.assert_array_equal(read.x.stored, np.moveaxis(IMAGES, -1, 1))
    assert read.x.scale == pytest.approx(1 / 255)
    grey = Dataset.from_huggingface(data, target="text", features=["grey"])
    assert grey.x.shape == (N, 1, 4, 5)
    assert grey.class_names == ("t0", "t1", "t2", "t3")
    matrix = Dataset.from_huggingface(data, target="n", features="m")
    assert matrix.x.shape == (N, 2, 3)
    both = Dataset.from_huggingface(data, target="label", features=["v", "image"])
    assert both.x["v"].shape == (N, 2)
    assert both.x["image"].shape == (N, 3, 4, 5)


def test_lists_of_one_length_are_not_copied(data: Any) -> None:
    read = Dataset.from_huggingface(data, target="t", features="v")
    table = data.with_format("arrow")[:]
    there = table["v"].chunk(0).flatten().to_numpy()
    assert np.shares_memory(read.x.stored, there)
    np.testing.assert_array_equal(read.x.stored, V)
    np.testing.assert_array_equal(read.y, T)


def test_orders_and_formats_are_respected(data: Any) -> None:
    shuffled = data.shuffle(seed=1)
    read = Dataset.from_huggingface(shuffled, target="label", features="v")
    order = shuffled["n"][:]
    assert order != data["n"][:]
    expected = np.array([row["v"] for row in shuffled.with_format("numpy")])
    np.testing.assert_array_equal(read.x.stored, expected)
    for kind in ("torch", "numpy", "pandas"):
        formed = data.with_format(kind, columns=["n", "f", "label"])
        table = Dataset.from_huggingface(formed, target="label")
        assert table.feature_names == ("n", "f")
    odd = data.with_transform(lambda rows: rows)
    with pytest.raises(ArgumentError, match="transform"):
        Dataset.from_huggingface(odd, target="label", features="v")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["in turn", "in shards", "shuffled", "by index"])
def test_a_run_on_a_stream_goes_on_bit_for_bit(
    data: Any, kind: str, tmp_path: Path
) -> None:
    def make() -> Stream:
        source = data
        if kind != "by index":
            source = data.to_iterable_dataset(num_shards=2 if "shards" in kind else 1)
        if kind == "shuffled":
            source = source.shuffle(seed=3, buffer_size=10)
        return Stream.from_huggingface(source, target="t", features="v")

    stream = make()
    seen = []
    for epoch in range(2):
        stream.start_epoch(0, epoch)
        seen.append(np.concatenate([x for x, __ in stream.blocks(8)]))
    assert (seen[0] == seen[1]).all() == (kind != "shuffled")
    assert sorted(seen[0][:, 0].tolist()) == sorted(V[:, 0].tolist())
    check_resumed(make, tmp_path, (3, 11, 13))


def test_a_stream_of_images_trains(data: Any) -> None:
    stream = Stream.from_huggingface(
        data.to_iterable_dataset(), target="label", features="image"
    )
    assert stream.class_names == ("cat", "dog", "ant")
    model = nn.Sequential(nn.Flatten(), nn.Linear(60, 3))
    loss, sgd = nn.CrossEntropyLoss(), optim.SGD(lr=0.1)
    trainer = cr.Trainer(model, loss=loss, optimizer=sgd)
    trainer.fit(stream, epochs=2, batch_size=8, progress=False)
    whole = Dataset.from_huggingface(data, target="label", features="image")
    assert trainer.evaluate(stream)["loss"] == pytest.approx(
        trainer.evaluate(whole)["loss"], rel=1e-5
    )


def test_a_stream_of_rows_and_of_transforms(data: Any) -> None:
    chosen = data.select_columns(["n", "f", "label"])
    stream = Stream.from_huggingface(chosen.to_iterable_dataset(), target="label")
    assert stream.row.shape == (2,)
    noisy = chosen.with_transform(
        lambda rows: {"x": [np.ones(3, "f4")] * len(rows["n"]), "label": rows["label"]}
    )
    stream = Stream.from_huggingface(noisy, target="label")
    assert stream.row.shape == (3,)


def test_a_trainer_says_how_it_takes_one(data: Any) -> None:
    loss, sgd = nn.MSELoss(), optim.SGD(lr=0.1)
    trainer = cr.Trainer(nn.Linear(2, 1), loss=loss, optimizer=sgd)
    for given in (data, data.to_iterable_dataset()):
        with pytest.raises(ArgumentError, match="from_huggingface"):
            trainer.fit(given, epochs=1)


def test_bad_data_sets(data: Any) -> None:
    splits = datasets.DatasetDict({"train": data, "test": data})
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (
            splits,
            {},
            ArgumentError,
            r"(?s)DatasetDict.*'train', 'test'.*data\['train'\]",
        ),
        ({"x": [1]}, {}, ArgumentError, "no data set of Hugging Face"),
        (data, {"target": "lable"}, DataError, "did you mean 'label'"),
        (data, {"features": ["q"]}, DataError, "no column 'q'"),
        (data, {"features": 3}, ArgumentError, "list of names"),
        (data, {"features": "ragged"}, DataError, "differ in shape"),
        (data, {"features": "v", "missing": "drop"}, ChainruleError, "missing"),
    ]
    for given, options, error, text in cases:
        with pytest.raises(error, match=text):
            Dataset.from_huggingface(given, **{"target": "label", **options})
    two = {"image": [IMAGES[0], IMAGES[1][:2]], "label": [0, 1]}
    some = datasets.Features({name: FEATURES[name] for name in two})
    sized = datasets.Dataset.from_dict(two, features=some)
    with pytest.raises(DataError, match="differ in shape"):
        Dataset.from_huggingface(sized, target="label", features="image")


def test_numbers_keep_their_bits() -> None:
    """NumPy's format of datasets makes float32 of float64."""
    rows = [[1.7e9 + 0.25, 2.0], [1.0, 2.0], [3.0, 1e-40]]
    times = [2**53 + 1, 5, 6]
    data = datasets.Dataset.from_dict(
        {"v": rows, "time": [row[0] for row in rows], "n": times, "y": [1, 0, 1]}
    )
    whole = Dataset.from_huggingface(data.select([2, 0]), target="y", features="v")
    assert whole.x.stored.tolist() == [rows[2], rows[0]]
    stream = Stream.from_huggingface(data, target="y", features="v")
    assert next(stream.blocks(3))[0].tolist() == rows
    square = datasets.Features(
        {"m": datasets.Array2D((1, 2), "float64"), "y": datasets.Value("int64")}
    )
    given = {"m": [[row] for row in rows], "y": [1, 0, 1]}
    matrix = datasets.Dataset.from_dict(given, features=square)
    whole = Dataset.from_huggingface(matrix.select([2, 0]), target="y")
    assert whole.x.stored.tolist() == [[rows[2]], [rows[0]]]
    stream = Stream.from_huggingface(matrix, target="y")
    assert next(stream.blocks(3))[0].tolist() == given["m"]
    stream = Stream.from_huggingface(data, target="y", features="time")
    assert next(stream.blocks(3))[0].tolist() == [row[0] for row in rows]
    stream = Stream.from_huggingface(data, target="y", features="n")
    assert next(stream.blocks(3))[0].tolist() == times
    stream = Stream.from_huggingface(data, target="y", features=["n", "time"])
    with pytest.warns(ChainruleWarning, match="9007199254740993"):
        next(stream.blocks(3))


def encoded(image: Any) -> dict[str, Any]:
    file = io.BytesIO()
    image.save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


@pytest.mark.parametrize("mode", ["1", "P", "L"])
def test_pictures_of_few_colours(mode: str) -> None:
    """White is 255 in a picture of one bit too, and a palette's numbers no greys."""
    colour = PIL.Image.fromarray(np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8))
    file = encoded(colour.convert(mode))
    features = {"image": datasets.Image(), "y": datasets.Value("int64")}
    data = datasets.Dataset.from_dict(
        {"image": [file] * 3, "y": [0, 1, 0]}, features=datasets.Features(features)
    )
    whole = Dataset.from_huggingface(data, target="y")
    assert whole.x.shape == (3, 3 if mode == "P" else 1, 1, 2)
    assert whole.x[0, 0].tolist() == [[1.0, 0.0]]
    stream = Stream.from_huggingface(data.to_iterable_dataset(), target="y")
    ((x, __),) = stream.blocks(3)
    assert stream.scale == whole.x.scale
    np.testing.assert_array_equal(x, whole.x.stored)


def test_pictures_of_16_bits_are_refused() -> None:
    file = encoded(PIL.Image.fromarray(np.full((2, 2), 999, np.uint16)))
    features = {"image": datasets.Image(), "y": datasets.Value("int64")}
    data = datasets.Dataset.from_dict(
        {"image": [file] * 2, "y": [0, 1]}, features=datasets.Features(features)
    )
    with pytest.raises(DataError, match=r"(?s)bytes.*uint16"):
        Dataset.from_huggingface(data, target="y")
    with pytest.raises(DataError, match=r"(?s)bytes.*uint16"):
        next(Stream.from_huggingface(data, target="y").blocks(2))


def test_pictures_of_a_transform_and_beside_others(data: Any) -> None:
    """A transform's arrays have their channels in front, and their scale."""
    made = np.ones((3, 4, 5), "f4")
    chosen = data.select_columns(["image", "label"]).with_transform(
        lambda rows: {**rows, "image": [made] * len(rows["label"])}
    )
    stream = Stream.from_huggingface(chosen, target="label", features="image")
    assert next(stream.blocks(2))[0].tolist() == [made.tolist()] * 2
    assert stream.scale is None
    names = ["image", "v"]
    stream = Stream.from_huggingface(data, target="label", features=names)
    whole = Dataset.from_huggingface(data, target="label", features=names)
    x = next(stream.blocks(N))[0]
    for name in names:
        np.testing.assert_array_equal(x[name], whole.x[name][:])


@pytest.mark.parametrize("targets", [["a", None, "b"], [True, None, False]])
def test_none_is_no_class(targets: list[Any]) -> None:
    data = datasets.Dataset.from_dict({"v": [[1.0], [2.0], [3.0]], "y": targets})
    with pytest.raises(DataError, match=r"(?s)no target.*row 1"):
        Dataset.from_huggingface(data, target="y")
