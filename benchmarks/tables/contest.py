"""One table, one split: the command line as a new user, and scikit-learn's network."""

import contextlib
import io
import json
import re
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sources import Table


@dataclass
class Command:
    """A command that was run."""

    name: str
    code: int
    seconds: float
    out: str
    err: str


@dataclass
class Session:
    """The four commands of a new user, up to the first that fails.

    Attributes:
        commands: what was run.
        predicted: the predictions by the name of the row, which is the first cell.
        measured: accuracy or R² as ``evaluate`` gives it.
    """

    commands: list[Command] = field(default_factory=list)
    predicted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    measured: float | None = None

    @property
    def done(self) -> bool:
        """Whether all four commands ran."""
        return len(self.commands) == 4 and self.commands[-1].code == 0

    @property
    def seconds(self) -> float:
        """Of all commands."""
        return sum(command.seconds for command in self.commands)

    @property
    def said(self) -> str:
        """All that was printed on standard error, and what ``new`` answered."""
        return "\n".join(
            command.err + (command.out if command.name == "new" else "")
            for command in self.commands
        )

    @property
    def failure(self) -> str:
        """The command that failed with its message, or nothing."""
        last = self.commands[-1]
        lines = [line for line in last.err.splitlines() if line.strip()]
        error = next(
            (i for i, s in enumerate(lines) if "rror" in s), max(0, len(lines) - 4)
        )
        return (
            ""
            if last.code == 0
            else f"{last.name}: "
            + " | ".join(
                re.sub(r"\s+", " ", line.strip()) for line in lines[error : error + 4]
            )
        )


def commands(
    folder: Path,
    train: str,
    held: str,
    new: str,
    targets: Sequence[str] = (),
    edit: tuple[str, str] | None = None,
) -> Session:
    """Run the four commands in a folder, with the defaults of all of them.

    Args:
        folder: where the files are.
        train: rows to train on.
        held: rows to measure on.
        new: rows to predict, without targets.
        targets: the columns to predict; without them the last one.
        edit: a text of the run's file and what to write in its place.
    """
    session = Session()
    named = ["--target", targets[0]] if targets else []
    for args in (
        ["new", "run.toml", "--data", train, *named],
        ["train", "run.toml", "--out", "run"],
        ["evaluate", "run", held, "--json"],
        ["predict", "run", new, "--out", "predicted.csv"],
    ):
        if args[0] == "train" and edit:
            file = folder / "run.toml"
            file.write_text(file.read_text("utf-8").replace(*edit), "utf-8")
        session.commands.append(_run(folder, args))
        if session.commands[-1].code:
            return session
        if args[0] == "evaluate":
            made = json.loads(session.commands[-1].out)
            session.measured = made.get("accuracy", made.get("r2"))
    session.predicted = _predictions(folder / "predicted.csv", max(1, len(targets)))
    return session


def _run(folder: Path, args: list[str]) -> Command:
    """Run a command in this process, in a folder; what escapes it is its failure."""
    from chainrule.cli import run

    out, err = io.StringIO(), io.StringIO()
    started = time.perf_counter()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = run(args)
        except (Exception, SystemExit):
            traceback.print_exc()
            code = 1
    seconds = time.perf_counter() - started
    return Command(args[0], code, seconds, out.getvalue(), err.getvalue())


def _predictions(path: Path, count: int) -> dict[str, tuple[str, ...]]:
    """The last cells of each row by its first."""
    head = path.read_text("utf-8").partition("\n")[0]
    mark = max(",;\t", key=head.count)
    table = pd.read_csv(path, sep=mark, dtype=str, keep_default_na=False, header=None)
    return {
        row[0]: tuple(cell.replace(",", ".") for cell in row[-count:])
        for row in table.to_numpy().tolist()[1:]
    }


def score(
    table: Table, train: pd.DataFrame, held: pd.DataFrame, made: Sequence[Any]
) -> float:
    """Accuracy, or R², over those held-out rows that have a target.

    Args:
        table: whose task it is.
        train: whose mean stands in for a number that is not there.
        held: the rows.
        made: a prediction a row, None where there is none: a wrong one.
    """
    known = held[table.target].notna().to_numpy()
    truth = held[table.target].to_numpy()[known]
    made = [value for value, with_target in zip(made, known) if with_target]
    if table.classifies:
        return float(np.mean([_same(a, b) for a, b in zip(truth, made)]))
    mean = float(train[table.target].mean())
    numbers = np.array([mean if value is None else float(value) for value in made])
    return r2(truth.astype(float), numbers)


def r2(truth: np.ndarray, made: np.ndarray) -> float:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)²."""
    return float(1 - ((truth - made) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def _same(truth: Any, made: Any) -> bool:
    """Whether two cells name one class, written as text or as a number."""
    if str(truth) == str(made):
        return True
    try:
        return float(truth) == float(made)
    except (TypeError, ValueError):
        return False


def peer(
    table: Table, train: pd.DataFrame, held: pd.DataFrame, scaled: bool = False
) -> np.ndarray:
    """scikit-learn's MLP with its defaults, behind the usual preparation.

    The target of a regression is left as it is, unless it is to be ``scaled``, as those
    do who know that the network wants it. Rows without a target, names of rows and
    columns without a cell are dropped, dates become days, as a careful user does.
    """
    from sklearn.compose import TransformedTargetRegressor, make_column_transformer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from threadpoolctl import threadpool_limits

    def features(frame: pd.DataFrame) -> pd.DataFrame:
        x = frame.drop(columns=[table.target, *table.names])
        for name in table.dates:
            x[name] = (pd.to_datetime(x[name]) - pd.Timestamp(2000, 1, 1)) / (
                pd.Timedelta(days=1)
            )
        return x

    train = train[train[table.target].notna()]
    x = features(train).dropna(axis="columns", how="all")
    numbers = list(x.select_dtypes(["number", "bool"]).columns)
    words = [name for name in x.columns if name not in numbers]
    x[words] = x[words].astype(object).where(x[words].notna(), "missing")
    rest = features(held)[list(x.columns)]
    rest[words] = rest[words].astype(object).where(rest[words].notna(), "missing")
    network = (MLPClassifier if table.classifies else MLPRegressor)(random_state=0)
    if scaled:
        network = TransformedTargetRegressor(network, transformer=StandardScaler())
    model = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), words),
        ),
        network,
    )
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, train[table.target])
        return model.predict(rest)
