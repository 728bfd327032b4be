"""Animal shapes: bytes within a pickle, images and labels that belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chainrule.recipes import Experiment
from chainrule.recipes.datasets.animal_shapes import (
    ANIMALS,
    pickled_bytes,
    read_shapes,
    write_shapes,
)

from ..runs import needing

needs_animals = needing("animal_shape_mnist")


def folder() -> Path:
    """The package's folder."""
    return Experiment().folder("animal_shape_mnist.benchmarker", "animal-shape-mnist")


def test_numbers_within_a_pickle() -> None:
    """Read beside the unpickler, on an array of the same kind."""
    import pickle

    array = np.arange(300, dtype="<i8")
    content = pickle.dumps(array, protocol=4)
    found = np.frombuffer(pickled_bytes(content, array.nbytes), "<i8")
    assert (found == array).all()


@pytest.fixture(scope="module")
def shapes() -> tuple[np.ndarray, np.ndarray]:
    """All images and labels of the package."""
    return read_shapes(folder())


@needs_animals
def test_the_animals(shapes: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = shapes
    assert x.shape == (9716, 28, 28)
    assert len({image.tobytes() for image in x}) == 9716
    assert np.bincount(y)[:3].tolist() == [937, 812, 992]
    assert len(ANIMALS) == len(np.bincount(y)) == 10
    means = np.array([x[y == k].mean(0).ravel() for k in range(10)])
    distances = ((x.reshape(len(x), 1, -1)[::20] - means) ** 2).sum(2)
    assert (
        distances.argmin(1) == y[::20]
    ).mean() > 0.35  # labels and images go together


@needs_animals
def test_files_are_the_first_shapes_of_each_animal(
    shapes: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    write_shapes(folder(), tmp_path, 3)
    x, y = shapes
    for label, name in enumerate(ANIMALS):
        files = sorted((tmp_path / name).iterdir())
        assert [file.name for file in files] == ["000.png", "001.png", "002.png"]
        for file, pixels in zip(files, x[y == label]):
            np.testing.assert_array_equal(np.asarray(image.open(file)), pixels)
