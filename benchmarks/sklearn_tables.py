"""Twenty real tables: the estimators' defaults beside scikit-learn's own.

    python benchmarks/sklearn_tables.py                     # scores, warm times
    python benchmarks/sklearn_tables.py --cold              # first fits, new processes
    python benchmarks/sklearn_tables.py --tables wine,iris
    python benchmarks/sklearn_tables.py --choose            # the tables of the defaults

Ours is ``ChainruleClassifier`` or ``ChainruleRegressor`` with nothing set, given the
frame as it is. The peers are ``MLPClassifier`` or ``MLPRegressor`` behind
SimpleImputer, StandardScaler and OneHotEncoder, and HistGradientBoosting with the
frame's categories; both with their defaults. All are given the same columns: names of
rows are left out, and dates are days.

Scores are the means of five folds, accuracy or R²; ± is the standard error of the five
differences to the MLP. Behind is a mean difference below −1 such error. Times are CPU
seconds of one core for a fit and a prediction: the estimators take turns, the first
fold is fitted once before any is measured, and a ratio has its median, least and
largest over the folds. ``--cold`` takes turns too, each in a process of its own with an
empty cache of machine code; imports of the two libraries are apart.

The defaults were chosen on other tables, with ``--choose``: none of the twenty was
looked at.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).resolve().parent / "tables"))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sources import GROUPS, TABLES, Table  # noqa: E402

#: Who takes turns.
NAMES = ("ours", "mlp", "hgb")


def columns(table: Table) -> tuple[pd.DataFrame, pd.Series]:
    """The features that all are given, and the target, of rows that have one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those packages' own
        frame = table.load()
    frame = frame[frame[table.target].notna()].reset_index(drop=True)
    x = frame.drop(columns=[table.target, *table.names])
    for name in table.dates:
        x[name] = (pd.to_datetime(x[name]) - pd.Timestamp(2000, 1, 1)) / pd.Timedelta(
            days=1
        )
    if table is TABLES.get("glucose"):  # numbers, with a word for a gap
        x["isig"] = pd.to_numeric(x["isig"], errors="coerce")
    return x, frame[table.target]


def ours(table: Table, x: pd.DataFrame) -> Any:
    """An estimator of ours, with its defaults."""
    from chainrule.sklearn import ChainruleClassifier, ChainruleRegressor

    kind = ChainruleClassifier if table.classifies else ChainruleRegressor
    return kind(random_state=0)


def mlp(table: Table, x: pd.DataFrame) -> Any:
    """scikit-learn's network, with its defaults, behind the usual preparation."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = list(x.select_dtypes(["number", "bool"]).columns)
    words = [name for name in x.columns if name not in numbers]
    kind = MLPClassifier if table.classifies else MLPRegressor
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), words),
        ),
        kind(random_state=0),
    )


def hgb(table: Table, x: pd.DataFrame) -> Any:
    """Boosted trees, with their defaults, and texts as categories."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    words = list(x.select_dtypes(exclude=["number", "bool"]).columns)
    few = [name for name in words if x[name].nunique() < 255]
    many = [name for name in words if name not in few]
    codes = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}
    first = make_column_transformer(
        (OrdinalEncoder(**codes), few),
        (OrdinalEncoder(**codes), many),
        remainder="passthrough",
    )
    kind = (
        HistGradientBoostingClassifier
        if table.classifies
        else HistGradientBoostingRegressor
    )
    return make_pipeline(
        first, kind(random_state=0, categorical_features=[*range(len(few))])
    )


MAKERS: dict[str, Callable[[Table, pd.DataFrame], Any]] = {
    "ours": ours,
    "mlp": mlp,
    "hgb": hgb,
}


def one_fit(
    who: str, table: Table, x: pd.DataFrame, y: pd.Series, train: Any, held: Any
) -> tuple[float, float]:
    """A score on the rows held out, and the CPU seconds of a fit and a prediction."""
    a, b = x.iloc[train], x.iloc[held]
    if who != "ours":  # as a careful user: a gap in a text is a text
        a = a.dropna(axis="columns", how="all")
        b = b[a.columns].copy()
        for column in a.select_dtypes(exclude=["number", "bool"]):
            for part in (a, b):
                part[column] = part[column].astype(object).fillna("missing")
    model = MAKERS[who](table, a)
    started = time.process_time()
    model.fit(a, y.iloc[train])
    made = model.predict(b)
    seconds = time.process_time() - started
    truth = y.iloc[held].to_numpy()
    if table.classifies:
        return float((truth == made).mean()), seconds
    lost = ((truth - made) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    return float(1 - lost), seconds


def folds(table: Table, x: pd.DataFrame, y: pd.Series) -> list[tuple[Any, Any]]:
    """The rows to train on, and those held out, of five folds."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if table.classifies else KFold
    return list(kind(5, shuffle=True, random_state=0).split(x, y))


def compare(name: str, who: tuple[str, ...], count: int) -> dict[str, Any]:
    """Scores and times of folds of a table, the estimators taking turns."""
    table = TABLES[name]
    x, y = columns(table)
    made: dict[str, Any] = {"table": name, "rows": len(x), "columns": x.shape[1]}
    made |= {"scores": {n: [] for n in who}, "seconds": {n: [] for n in who}}
    for number, (train, held) in enumerate(folds(table, x, y)[:count]):
        for estimator in who:
            if number == 0 and len(x) < 20_000:
                one_fit(estimator, table, x, y, train, held)
            score, seconds = one_fit(estimator, table, x, y, train, held)
            made["scores"][estimator].append(score)
            made["seconds"][estimator].append(seconds)
    return made


def first_fit(name: str, who: str) -> None:
    """Print the CPU seconds of a first fit in this process, and of all of it."""
    table = TABLES[name]
    x, y = columns(table)
    train, held = folds(table, x, y)[0]
    started = time.process_time()
    MAKERS[who](table, x)
    imports = time.process_time() - started
    print(json.dumps([one_fit(who, table, x, y, train, held)[1], imports]))


def cold(name: str, turns: int) -> dict[str, Any]:
    """First fits of a table, each in a process of its own."""
    seconds: dict[str, list[float]] = {"ours": [], "mlp": []}
    imports: dict[str, list[float]] = {"ours": [], "mlp": []}
    for _ in range(turns):
        for who in seconds:
            with tempfile.TemporaryDirectory(prefix="tables-") as cache:
                made = subprocess.run(
                    [sys.executable, __file__, "--first", name, who],
                    env=os.environ | {"CHAINRULE_CACHE": cache},
                    check=True,
                    capture_output=True,
                    text=True,
                )
            fit, importing = json.loads(made.stdout.splitlines()[-1])
            seconds[who].append(fit)
            imports[who].append(importing)
    return {"table": name, "seconds": seconds, "imports": imports}


def ratio(ours: list[float], others: list[float]) -> str:
    """How many times as long the others take: median, least and largest."""
    each = [b / a for a, b in zip(ours, others)]
    return f"{statistics.median(each):6.2f} ({min(each):.2f} … {max(each):.2f})"


def line(made: dict[str, Any]) -> str:
    """A table's row of the comparison."""
    scores, seconds = made["scores"], made["seconds"]
    gaps = np.subtract(scores["ours"], scores["mlp"])
    gap, error = gaps.mean(), gaps.std(ddof=1) / len(gaps) ** 0.5
    made["behind"] = bool(gap < -error * (1 + 1e-9))  # one row in one fold is a tie
    shown = "  ".join(f"{np.mean(scores[n]):8.4f}" for n in scores)
    times = " ".join(f"{statistics.median(seconds[n]):7.2f}" for n in seconds)
    return (
        f"{made['table']:14} {made['rows']:6} {made['columns']:4}  {shown}  "
        f"{gap:+9.4f} ± {error:.4f} {'behind' if made['behind'] else '      '} "
        f"{times}  {ratio(seconds['ours'], seconds['mlp'])}"
    )


def geometric(values: list[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def warm_summary(rows: list[dict[str, Any]]) -> str:
    """What all tables say together."""
    medians = [
        statistics.median(
            b / a for a, b in zip(row["seconds"]["ours"], row["seconds"]["mlp"])
        )
        for row in rows
    ]
    behind = [row["table"] for row in rows if row["behind"]]
    return (
        f"not behind the MLP on {len(rows) - len(behind)} of {len(rows)}"
        f"{': behind on ' + ', '.join(behind) if behind else ''}; "
        f"its time is {geometric(medians):.2f} × ours (geometric mean of medians), "
        f"at least 2 × on {sum(m >= 2 for m in medians)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tables", help="names or a group, by commas", default="")
    parser.add_argument("--choose", action="store_true", help="the tables of defaults")
    parser.add_argument("--cold", action="store_true", help="first fits")
    parser.add_argument("--turns", type=int, default=3, help="first fits a table")
    parser.add_argument("--folds", type=int, default=5, help="how many of the five")
    parser.add_argument("--who", default=",".join(NAMES), help="by commas")
    parser.add_argument("--first", nargs=2, metavar=("TABLE", "WHO"))
    parser.add_argument("--json", type=Path, help="write the figures there too")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # an MLP that has not converged says so
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if args.first:
        first_fit(*args.first)
        return
    wanted = (args.tables or ("spare" if args.choose else "twenty")).split(",")
    names = [name for item in wanted for name in GROUPS.get(item, [item])]
    rows: list[dict[str, Any]] = []
    if args.cold:
        print(
            f"{'first fit':14} ours    mlp     mlp / ours          imports: ours, mlp"
        )
        for name in names:
            rows.append(made := cold(name, args.turns))
            own, peer = made["seconds"].values()
            medians = [statistics.median(s) for s in (own, peer)]
            imports = [statistics.median(s) for s in made["imports"].values()]
            print(
                f"{name:14} {medians[0]:6.2f} {medians[1]:6.2f} {ratio(own, peer)}"
                f"   {imports[0]:.2f} {imports[1]:.2f}",
                flush=True,
            )
        each = [
            statistics.median(b / a for a, b in zip(*row["seconds"].values()))
            for row in rows
        ]
        slower = [row["table"] for row, r in zip(rows, each) if r < 1]
        print(f"geometric mean {geometric(each):.2f}; slower on {slower or 'none'}")
    else:
        who = tuple(args.who.split(","))
        print(
            f"{'table':14} {'rows':>6} {'col':>4}  "
            + "  ".join(f"{n:>8}" for n in who)
            + f"  {'ours − mlp':>19} {'':6} "
            + " ".join(f"{n + ' s':>7}" for n in who)
            + "  mlp s / ours"
        )
        for name in names:
            rows.append(compare(name, who, args.folds))
            print(line(rows[-1]), flush=True)
        print(warm_summary(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
