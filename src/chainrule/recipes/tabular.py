"""Regression and classification of tables, compared with linear models.

    diabetes        442 patients, 10 measurements → progression a year later (25 … 346)
    breast cancer   569 tumours, 30 measurements  → malignant or benign

Both come with scikit-learn. What to look at:

    `nn.Standardize` is the first layer and `nn.Unstandardize` the last: the network
    takes and gives numbers as they were measured, and a checkpoint is complete. Both
    are read off the training rows alone.

    Three settings are tried on each split. `EarlyStopping` ends each training run, and
    the validation rows choose among the settings; the test rows are looked at once.

    Everything is done on several splits, since one tells little: the spread from split
    to split is larger than what separates the two models. The rival may learn from the
    validation rows too, as it has nothing to choose with them.

Tables as small as these are where a linear model is hard to beat (2.8 speaks of images,
sound and text). The recipe says so where it is so.

    pip install 'chainrule[sklearn]'
    chainrule train tabular
    python -m chainrule.recipes.tabular
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import errors, nn, optim
from chainrule.recipes import Experiment
from chainrule.text import _, say
from chainrule.training import EarlyStopping

SUMMARY = _(
    "diabetes (regression) and breast cancer (classification), beside linear models"
)
#: What the validation rows choose among.
SETTINGS = (
    {"hidden": 4, "weight_decay": 0.0},
    {"hidden": 16, "weight_decay": 0.0},
    {"hidden": 16, "weight_decay": 0.3},
)
SPLITS = 5
EPOCHS, PATIENCE, BATCH_SIZE, LR = 200, 15, 32, 1e-2


@dataclass(frozen=True)
class Task:
    """A table with its loss, metrics, network and linear rival.

    Attributes:
        data: all of its rows.
        loss, metrics: what is minimised, and what is reported; the first one compares.
        network: makes a model from the training rows and the width of its hidden layer.
        rival: makes scikit-learn's linear model.
    """

    data: cr.data.Dataset
    loss: nn.Module
    metrics: tuple[str, ...]
    network: Callable[[cr.data.Dataset, int], nn.Module]
    rival: Callable[[], Any]


# -- the two tables --------------------------------------------------------------------


def diabetes() -> Task:
    """Return the diabetes regression task, with mean squared error."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LinearRegression

    table: Any = load_diabetes(scaled=False)
    x, y = table.data.astype(np.float32), table.target.astype(np.float32)

    def network(train: cr.data.Dataset, hidden: int) -> nn.Module:
        return nn.Sequential(
            nn.Standardize.of(train.x[:]),
            nn.Linear(x.shape[1], hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
            nn.Unstandardize.of(train.y),
        )

    return Task(
        data=cr.data.Dataset(x, y[:, None], name="diabetes"),
        loss=nn.MSELoss(),
        metrics=("r2", "mae"),
        network=network,
        rival=LinearRegression,
    )


def breast_cancer() -> Task:
    """Return the breast cancer task: two classes, 357 to 212, stratified splits."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table: Any = load_breast_cancer()
    x, y = table.data.astype(np.float32), table.target

    def network(train: cr.data.Dataset, hidden: int) -> nn.Module:
        return nn.Sequential(
            nn.Standardize.of(train.x[:]),
            nn.Linear(x.shape[1], hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2),
        )

    return Task(
        data=cr.data.Dataset(x, y, name="breast cancer", classes=2),
        loss=nn.CrossEntropyLoss(),
        metrics=("accuracy",),
        network=network,
        rival=lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    )


# -- one split -------------------------------------------------------------------------


def one_split(
    task: Task, seed: int, engine: str, threads: int | None
) -> dict[str, Any]:
    """Train, select and test both models on one split; return their scores."""
    stratify = task.data.classes is not None
    known, test = task.data.split(0.8, seed=seed, stratify=stratify)
    train, validation = known.split(0.75, seed=seed, stratify=stratify)

    best: tuple[float, dict[str, Any], cr.Trainer] | None = None
    for settings in SETTINGS:
        cr.manual_seed(seed)
        stop = EarlyStopping("validation_loss", patience=PATIENCE)
        trainer = cr.Trainer(
            task.network(train, settings["hidden"]),
            loss=task.loss,
            optimizer=optim.AdamW(lr=LR, weight_decay=settings["weight_decay"]),
            metrics=task.metrics,
            engine=engine,
            seed=seed,
            threads=threads,
        )
        trainer.fit(
            train,
            epochs=EPOCHS,
            batch_size=BATCH_SIZE,
            validation=validation,
            callbacks=[stop],
            progress=False,
        )
        assert stop.best is not None
        if best is None or stop.best < best[0]:
            best = stop.best, settings, trainer
    assert best is not None
    __, settings, trainer = best
    measured = trainer.evaluate(test)

    rival = task.rival().fit(known.x[:], known.y.ravel())
    said = rival.predict(test.x[:])
    return {
        "seed": seed,
        "settings": settings,
        "epochs": trainer.epoch,
        "network": {name: float(measured[name]) for name in task.metrics},
        "linear": {name: SCORES[name](test.y.ravel(), said) for name in task.metrics},
    }


def r2(y: np.ndarray, said: np.ndarray) -> float:
    """Return the coefficient of determination 1 − Σ(y − ŷ)² / Σ(y − ȳ)²."""
    return float(1 - np.sum((y - said) ** 2) / np.sum((y - y.mean()) ** 2))


#: The same scores for what scikit-learn predicts.
SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "r2": r2,
    "mae": lambda y, said: float(np.mean(np.abs(y - said))),
    "accuracy": lambda y, said: float(np.mean(y == said)),
}

# -- several splits --------------------------------------------------------------------


def compare(
    task: Task, seeds: list[int], engine: str, threads: int | None
) -> dict[str, Any]:
    """Run all splits of a task; print and summarise the results."""
    rows = []
    heading = "   ".join(f"{name}: network  linear" for name in task.metrics)
    say(
        "{name}: {data} rows, {shape} features\n",
        name=task.data.name,
        data=len(task.data),
        shape=task.data.x.shape[1],
    )
    say("  split  hidden  decay  epochs   {heading}", heading=heading)
    for seed in seeds:
        row = one_split(task, seed, engine, threads)
        rows.append(row)
        chosen = row["settings"]
        print(f"  {seed:5}  {chosen['hidden']:6}  {chosen['weight_decay']:5}", end="")
        print(f"  {row['epochs']:6}   {_scores(task, row)}")
    summary: dict[str, Any] = {"splits": rows}
    for name in task.metrics:
        ours, theirs = (
            np.array([row[who][name] for row in rows]) for who in ("network", "linear")
        )
        summary[name] = {
            "network": spread(ours),
            "linear": spread(theirs),
            "difference": spread(ours - theirs),
        }
        print(f"  {name:9}", end="")
        print(",  ".join(f"{k} {_plus_minus(v)}" for k, v in summary[name].items()))
    summary["verdict"] = verdict(summary[task.metrics[0]]["difference"], len(rows))
    say(
        "  Measured by {metrics}, {verdict}.\n",
        metrics=task.metrics[0],
        verdict=summary["verdict"],
    )
    return summary


def spread(values: np.ndarray) -> dict[str, float | None]:
    """Return mean and standard deviation over the splits; None for one split."""
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"mean": float(values.mean()), "std": deviation}


def verdict(difference: dict[str, Any], splits: int) -> str:
    """Return a conclusion from the paired differences over the splits.

    Two standard errors are a rule of thumb; splits share rows, so it is a mild one.
    """
    mean, deviation = difference["mean"], difference["std"]
    if deviation is None or abs(mean) <= 2 * deviation / np.sqrt(splits):
        return "the two cannot be told apart: their difference is within the spread"
    names = ("network", "linear model")
    better, other = names if mean > 0 else names[::-1]
    return f"the {better} is better than the {other}"


def _plus_minus(found: dict[str, Any]) -> str:
    spread = "" if found["std"] is None else f" ± {found['std']:.3f}"
    return f"{found['mean']:.3f}{spread}"


def _scores(task: Task, row: dict[str, Any]) -> str:
    columns = [
        f"{row['network'][m]:{len(m) + 9}.3f} {row['linear'][m]:7.3f}"
        for m in task.metrics
    ]
    return "   ".join(columns)


# -- the whole -------------------------------------------------------------------------


def run(experiment: Experiment, *, splits: int | None = None) -> dict[str, Any]:
    """Compare networks and linear models on both tables.

    The engine ``"auto"`` is NumPy here: these networks have learned before a compiler
    for thirty of them would be done.

    Args:
        experiment: the seed of the first split, and of initial weights and order
            there.
        splits: how many splits; three where the run is quick.

    Raises:
        ArgumentError: no splits, or scikit-learn is not installed.
    """
    splits = (3 if experiment.quick else SPLITS) if splits is None else splits
    if splits < 1:
        raise errors.ArgumentError(
            _("The recipe 'tabular' compares on splits of its tables."),
            expected="splits ≥ 1",
            got=f"splits={splits!r}",
        )
    experiment.package("sklearn", "chainrule[sklearn]")
    tasks = [diabetes(), breast_cancer()]
    how = experiment.engine_options | (
        {"engine": "numpy"} if experiment.engine == "auto" else {}
    )
    seeds = [(experiment.seed + i) % 2**64 for i in range(splits)]
    results = {
        task.data.name: experiment.cached(task.data.name, compare, task, seeds, **how)
        for task in tasks
    }
    return {"seed": experiment.seed, "tasks": results}


if __name__ == "__main__":
    run(Experiment("tabular"))
