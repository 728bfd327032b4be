"""Regression and classification of tables, compared with linear models.

    diabetes        442 patients, 10 measurements → progression a year later (25 … 346)
    breast cancer   569 tumours, 30 measurements  → malignant or benign

Both come with scikit-learn. What to look at:

    `nn.Standardize` is the first layer and `nn.Unstandardize` the last: inputs and
    outputs are numbers as they were measured, and a checkpoint is complete. Means and
    deviations are those of the training rows alone.

    Three settings are tried on each split. `EarlyStopping` ends each training run, and
    the validation rows choose among the settings; the test rows are used once.

    Everything is done on several splits, since one tells little: the spread from split
    to split is larger than what separates the two models. The linear model learns from
    the validation rows too, as it has nothing to choose with them.

On tables as small as these a linear model is hard to beat (2.8 speaks of images, sound
and text). The recipe says so where it is so.

    pip install 'chainrule[sklearn]'
    chainrule train tabular
    python -m chainrule.recipes.tabular
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import errors, nn, optim, viz
from chainrule.recipes import Experiment
from chainrule.recipes.evaluation import paired
from chainrule.text import _, ngettext, say
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
#: What metrics are called.
METRICS = {
    "r2": "R²",
    "mae": _("mean absolute error"),
    "accuracy": _("accuracy"),
}
SPLITS = 5
EPOCHS, PATIENCE, BATCH_SIZE, LR = 200, 15, 32, 1e-2


@dataclass(frozen=True)
class Task:
    """A data table to learn, with its loss, metrics and linear baseline.

    Attributes:
        data: all rows.
        loss, metrics: the first metric compares the models.
        linear: scikit-learn's linear model.
    """

    data: cr.data.Dataset
    loss: nn.Module
    metrics: tuple[str, ...]
    linear: Any


def diabetes() -> Task:
    """Return the diabetes regression table, with mean squared error and baseline."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LinearRegression

    table: Any = load_diabetes(scaled=False)
    x, y = table.data.astype(np.float32), table.target.astype(np.float32)
    data = cr.data.Dataset(x, y[:, None], name="diabetes")
    return Task(data, nn.MSELoss(), ("r2", "mae"), LinearRegression())


def breast_cancer() -> Task:
    """Return the breast cancer classification table, with loss and baseline."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table: Any = load_breast_cancer()
    x, y = table.data.astype(np.float32), table.target
    data = cr.data.Dataset(x, y, name="breast cancer", classes=2)
    linear = make_pipeline(StandardScaler(), LogisticRegression())
    return Task(data, nn.CrossEntropyLoss(), ("accuracy",), linear)


def network(train: cr.data.Dataset, hidden: int) -> nn.Module:
    """Return a network for a table: standardised inputs, one hidden layer."""
    layers = [
        nn.Standardize.of(train.x[:]),
        nn.Linear(train.x.shape[1], hidden),
        nn.ReLU(),
        nn.Linear(hidden, train.classes or 1),
    ]
    if train.classes is None:
        layers.append(nn.Unstandardize.of(train.y))
    return nn.Sequential(*layers)


def parts(task: Task, seed: int) -> list[cr.data.Dataset]:
    """Split a table into rows to train with, to choose by, and to test with."""
    stratify = task.data.classes is not None
    known, test = task.data.split(0.8, seed=seed, stratify=stratify)
    train, validation = known.split(0.75, seed=seed, stratify=stratify)
    return [train, validation, test, known]


def trainer(
    task: Task, train: cr.data.Dataset, settings: Any, seed: int, **engine: Any
) -> cr.Trainer:
    """Return the Trainer of a new network for a table, with one of the settings."""
    cr.manual_seed(seed)
    return cr.Trainer(
        network(train, settings["hidden"]),
        loss=task.loss,
        optimizer=optim.AdamW(lr=LR, weight_decay=settings["weight_decay"]),
        metrics=task.metrics,
        seed=seed,
        **engine,
    )


def one_split(
    experiment: Experiment, task: Task, seed: int, **engine: Any
) -> dict[str, Any]:
    """Train, select and test network and linear model on one split; return scores."""
    train, validation, test, known = parts(task, seed)
    losses, trainers = [], []
    for i, settings in enumerate(SETTINGS):
        stop = EarlyStopping("validation_loss", patience=PATIENCE)
        fresh = trainer(task, train, settings, seed, **engine)
        budget = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "progress": False}
        stage, data = f"{task.data.name}-{seed}-{i}", {"validation": validation}
        fresh = experiment.fit(stage, fresh, train, callbacks=[stop], **data, **budget)
        losses.append(min(row["validation_loss"] for row in fresh.history.epochs))
        trainers.append(fresh)
    best = int(np.argmin(losses))
    scores = trainers[best].evaluate(test)
    linear = task.linear.fit(known.x[:], known.y)
    classes = task.data.classes is not None
    predict = linear.predict_proba if classes else linear.predict
    predicted = predict(test.x[:])
    return {
        "seed": seed,
        "settings": SETTINGS[best],
        "epochs": trainers[best].epoch,
        "network": {name: float(scores[name]) for name in task.metrics},
        "linear": {m: cr.metrics.measure(m, predicted, test.y) for m in task.metrics},
    }


def compare(experiment: Experiment, task: Task, seeds: list[int]) -> dict[str, Any]:
    """Compare network and linear model over all splits of a table; print results."""
    name, (n, features) = task.data.name, task.data.x.shape
    say(
        "{name}: {rows}, {features}\n",
        name=name,
        rows=ngettext("{n} row", "{n} rows", n=n),
        features=ngettext("{n} feature", "{n} features", n=features),
    )
    engine = experiment.engine_options
    if experiment.engine == "auto":  # NumPy has trained before a compiler has compiled
        engine["engine"] = "numpy"
    rows = [
        experiment.cached(f"{name}-{s}", one_split, experiment, task, s, **engine)
        for s in seeds
    ]
    summary: dict[str, Any] = {"splits": rows}
    for metric in task.metrics:
        say("  {metric:>9}: network  linear   hidden  decay  epochs", metric=metric)
        for row in rows:
            hidden, decay = row["settings"].values()
            print(
                f"  {row['network'][metric]:18.3f}  {row['linear'][metric]:6.3f}",
                end="",
            )
            print(f"   {hidden:6}  {decay:5}  {row['epochs']:6}")
        apart = {
            _("split {n}", n=i): row["network"][metric] - row["linear"][metric]
            for i, row in enumerate(rows, 1)
        }
        called = METRICS[metric]
        title = _("{name}: {metric}, network − linear", name=name, metric=called)
        figure = f"{name}-{metric}".replace(" ", "-")
        experiment.draw(
            figure, viz.gallery.bars, apart, title=title, across=called, low=None
        )
        summary[metric] = paired.spreads(rows, metric)
        print(f"  {paired.line(summary[metric])}\n")
    best = task.metrics[0]
    summary["verdict"] = paired.verdict(summary[best]["difference"], len(rows))
    verdict = {"metrics": METRICS[best], "verdict": summary["verdict"]}
    say("  Measured by {metrics}, {verdict}.\n", **verdict)
    return summary


def run(experiment: Experiment, *, splits: int | None = None) -> dict[str, Any]:
    """Compare networks and linear models on two data tables.

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
    seeds = [(experiment.seed + i) % 2**64 for i in range(splits)]
    tasks = [diabetes(), breast_cancer()]
    results = {task.data.name: compare(experiment, task, seeds) for task in tasks}
    return {"seed": experiment.seed, "tasks": results}


if __name__ == "__main__":
    run(Experiment("tabular"))
