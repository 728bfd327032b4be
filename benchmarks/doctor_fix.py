"""How often ``Diagnosis.fix()`` cures, beside random search over the same changes.

    python benchmarks/doctor_fix.py                    # all sick runs, a line each
    python benchmarks/doctor_fix.py circle digits      # some families
    python benchmarks/doctor_fix.py --sample 40        # some of all
    python benchmarks/doctor_fix.py --json results.json --resume

A sick run is a healthy one of its family with one to three mutations. Its truth is
found by training: it counts where it stays more than 10 points of accuracy (20 % of R²)
below the healthy run, the known remedy, over 3 seeds. Of a network that is deeper the
remedy is as deep, with ReLU and weights that keep the variance: depth is no mutation.
A run is cured where the setup with the changes of the best fix is within 2 points of
the known remedy: means over 3 seeds of initial weights, on test rows that neither
search has seen.

Random search draws sets of one to three changes that go together from the same space,
trains each to the end and keeps the best on the same validation rows, until it has
spent as many training steps: as the search of fixes alone, and as the diagnosis, whose
trial runs it builds on, and the search together. It is repeated ``REPEATS`` times with
other draws.

Runs come in the order of a hash of their names: what is measured until a cut is a
sample of all.

Intervals: Wilson's for shares, 95 %; for the difference the bootstrap over sick runs.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.doctor import changes, space
from chainrule.doctor.case import Case
from chainrule.doctor.setup import Setup
from chainrule.doctor.setup import run as train

SEEDS, REPEATS = 3, 2
#: The score of the known remedy, by family and depth.
REMEDY: dict[tuple[str, int], float] = {}
SICK = {"accuracy": 0.10, "r2": 0.20}
CURED = 0.02
#: The largest set that random search draws.
MOST = 3


@dataclass
class Plan:
    """A training of a family, which mutations change.

    Attributes:
        model: makes the network, of the present draws.
        loss, optimizer: make them.
        x: changes the features of all parts.
        y: changes the targets of the training rows.
        epochs, batch_size: the plan.
    """

    model: Callable[[], nn.Module]
    loss: Callable[[], Any]
    optimizer: Callable[[], Any]
    x: Callable[[Any], Any] = lambda x: x
    epochs: int = 20
    batch_size: int = 32


# -- families --------------------------------------------------------------------------


def mlp(
    inputs: int,
    outputs: int,
    *,
    width: int = 16,
    depth: int = 2,
    act: Callable[[], nn.Module] | None = nn.ReLU,
    std: float | None = None,
    constant: float | None = None,
    bias: float | None = None,
    drop: float = 0.0,
    end: Callable[[], nn.Module] | None = None,
    kaiming: bool = False,
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Linear(inputs if i == 0 else width, width))
        layers += [] if act is None else [act()]
        layers += [nn.Dropout(drop)] if drop else []
    layers.append(nn.Linear(width, outputs))
    layers += [] if end is None else [end()]
    model = nn.Sequential(*layers)
    for name, p in model.named_parameters():
        if p.ndim > 1 and kaiming:
            nn.init.kaiming_normal_(p, nonlinearity="relu")
        if p.ndim > 1 and std is not None:
            nn.init.normal_(p, 0.0, std)
        if p.ndim > 1 and constant is not None:
            nn.init.constant_(p, constant)
        if name.endswith("bias") and bias is not None:
            nn.init.constant_(p, bias)
    return model


def circle(n: int = 2000) -> tuple[Any, Any, int]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    t = rng.uniform(0, 2 * np.pi, n)
    r = np.where(y == 1, 0.8, 1.8)
    x = np.stack([r * np.cos(t), r * np.sin(t)], 1) + rng.normal(0, 0.1, (n, 2))
    return x.astype(np.float32), y, 2


def blobs(n: int = 2000) -> tuple[Any, Any, int]:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, n)
    centre = np.array([[2.5, 2.5], [-2.5, 2.5], [-2.5, -2.5], [2.5, -2.5]])
    x = centre[y] + rng.normal(0, 1.2, (n, 2))
    return x.astype(np.float32), y, 4


def digits() -> tuple[Any, Any, int]:
    from sklearn.datasets import load_digits

    made = load_digits()
    x = ((made.data - 4.9) / 6.0).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order], made.target[order], 10


def friedman(n: int = 2000) -> tuple[Any, Any, int]:
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, (n, 5))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y = y + 10 * x[:, 3] + 5 * x[:, 4] + rng.normal(0, 0.5, n)
    y = (y - y.mean()) / y.std()
    x = (x - 0.5) / 0.29
    return x.astype(np.float32), y.astype(np.float32)[:, None], 0


def bars(n: int = 1200) -> tuple[Any, Any, int]:
    """Images of 8 × 8 with a bar: its direction is the class."""
    rng = np.random.default_rng(3)
    x = rng.normal(0, 0.5, (n, 1, 8, 8))
    y = rng.integers(0, 4, n)
    for i in range(n):
        a, b = rng.integers(1, 7), np.arange(8)
        rows, columns = [(a, b), (b, a), (b, b), (b, 7 - b)][y[i]]
        x[i, 0, rows, columns] += 1.2
    return x.astype(np.float32), y, 4


def ups(n: int = 1000) -> tuple[Any, Any, int]:
    """Sequences of 12 steps: whether the larger sum is in the first or second half."""
    rng = np.random.default_rng(4)
    x = rng.normal(0, 1, (n, 12, 2))
    y = (x[:, :6, 0].sum(1) > x[:, 6:, 0].sum(1)).astype(np.int64)
    return x.astype(np.float32), y, 2


class Last(nn.Module):
    """A GRU, and a linear layer on its last state."""

    def __init__(self, std: float | None = None) -> None:
        self.gru = nn.GRU(2, 16, batch_first=True)
        self.out = nn.Linear(16, 2)
        for p in self.parameters():
            if p.ndim > 1 and std is not None:
                nn.init.normal_(p, 0.0, std)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.out(self.gru(x)[0][:, -1])


def cnn(act: Any = nn.ReLU, *, std: float | None = None, end: Any = None) -> Any:
    layers = [nn.Conv2d(1, 8, 3), act(), nn.Conv2d(8, 8, 3), act(), nn.Flatten()]
    layers += [nn.Linear(8 * 16, 4)] + ([] if end is None else [end()])
    model = nn.Sequential(*layers)
    for p in model.parameters():
        if p.ndim > 1 and std is not None:
            nn.init.normal_(p, 0.0, std)
    return model


def twice(p: Any, t: Any) -> Any:
    return nn.CrossEntropyLoss()(p, t)


def _classes(inputs: int, outputs: int, epochs: int, lr: float) -> Plan:
    return Plan(
        lambda: mlp(inputs, outputs),
        nn.CrossEntropyLoss,
        lambda: optim.Adam(lr=lr),
        epochs=epochs,
    )


FAMILIES: dict[str, tuple[Callable[[], tuple[Any, Any, int]], Plan]] = {
    "circle": (circle, _classes(2, 2, 15, 0.01)),
    "blobs": (blobs, _classes(2, 4, 10, 0.01)),
    "digits": (digits, _classes(64, 10, 15, 0.005)),
    "friedman": (
        friedman,
        Plan(lambda: mlp(5, 1), nn.MSELoss, lambda: optim.Adam(lr=0.01)),
    ),
    "bars": (
        bars,
        Plan(cnn, nn.CrossEntropyLoss, lambda: optim.Adam(lr=0.005), epochs=8),
    ),
    "ups": (
        ups,
        Plan(Last, nn.CrossEntropyLoss, lambda: optim.Adam(lr=0.01), epochs=10),
    ),
}

# -- mutations -------------------------------------------------------------------------

Mutation = Callable[[Plan, int, int], None]


def rate(lr: float) -> Mutation:
    def mutate(p: Plan, *_: int) -> None:
        p.optimizer = lambda: optim.Adam(lr=lr)

    return mutate


def sgd(lr: float, **more: Any) -> Mutation:
    def mutate(p: Plan, *_: int) -> None:
        p.optimizer = lambda: optim.SGD(lr=lr, **more)

    return mutate


def net(**given: Any) -> Mutation:
    def mutate(p: Plan, inputs: int, outputs: int) -> None:
        p.model = lambda: mlp(inputs, outputs, **given)

    return mutate


def made(model: Callable[[], Any]) -> Mutation:
    def mutate(p: Plan, *_: int) -> None:
        p.model = model

    return mutate


def scaled(factor: float, offset: float = 0.0) -> Mutation:
    def mutate(p: Plan, *_: int) -> None:
        p.x = lambda x: (x * factor + offset).astype(np.float32)

    return mutate


def decay(value: float) -> Mutation:
    def mutate(p: Plan, *_: int) -> None:
        p.optimizer = lambda: optim.Adam(lr=0.01, weight_decay=value)

    return mutate


def batch(size: int) -> Mutation:
    def mutate(p: Plan, *_: int) -> None:
        p.batch_size = size

    return mutate


DEEP = {"depth": 8, "width": 16}
SICKNESSES: dict[str, list[Mutation]] = {
    "rate ×1000": [rate(10.0)],
    "rate ÷10⁴": [rate(1e-6)],
    "SGD rate 30": [sgd(30.0)],
    "SGD rate 10⁻⁴": [sgd(1e-4)],
    "zero weights": [net(constant=0.0)],
    "constant weights": [net(constant=0.1)],
    "tiny weights, deep": [net(std=0.003, **DEEP)],
    "huge weights, SGD": [net(std=3.0, depth=4), sgd(0.1)],
    "sigmoid, deep": [net(act=nn.Sigmoid, **DEEP)],
    "sigmoid, deep, SGD": [net(act=nn.Sigmoid, **DEEP), sgd(0.1)],
    "dead ReLU": [net(bias=-8.0), rate(0.001)],
    "no nonlinearity": [net(act=None)],
    "softmax twice, slow": [net(end=nn.Softmax), sgd(0.01)],
    "ReLU at the end": [net(end=nn.ReLU, bias=-3.0)],
    "inputs ×1000": [scaled(1000.0, 5000.0)],
    "inputs ÷1000": [scaled(0.001), sgd(0.1)],
    "decay 1": [decay(1.0)],
    "dropout .95": [net(drop=0.95)],
    "one batch": [batch(10_000), rate(0.001)],
    "tiny weights and slow": [net(std=0.003, **DEEP), sgd(0.001)],
    "sigmoid and rate ×100": [net(act=nn.Sigmoid, depth=5), rate(1.0)],
    "inputs ×1000, decay": [scaled(1000.0), decay(0.5)],
    "softmax twice, tiny": [net(end=nn.Softmax, std=0.003, depth=4), sgd(0.05)],
    "saturated tanh, SGD": [net(act=nn.Tanh, std=5.0, depth=4), sgd(0.01)],
    "one batch, SGD": [batch(10_000), sgd(0.01)],
}
#: The depths of those networks that are deeper than the family's.
DEPTHS = {
    **dict.fromkeys(("tiny weights, deep", "tiny weights and slow"), 8),
    **dict.fromkeys(("sigmoid, deep", "sigmoid, deep, SGD"), 8),
    "sigmoid and rate ×100": 5,
    "huge weights, SGD": 4,
    "softmax twice, tiny": 4,
    "saturated tanh, SGD": 4,
}
IMAGES: dict[str, list[Mutation]] = {
    "rate ×1000": [rate(5.0)],
    "rate ÷10⁴": [rate(5e-7)],
    "SGD rate 10⁻⁴": [sgd(1e-4)],
    "zero weights": [made(lambda: cnn(std=0.0))],
    "tiny weights": [made(lambda: cnn(std=1e-3)), sgd(0.05)],
    "sigmoid, SGD": [made(lambda: cnn(nn.Sigmoid)), sgd(0.05)],
    "softmax twice, SGD": [made(lambda: cnn(end=nn.Softmax)), sgd(0.01)],
    "decay 1": [decay(1.0)],
    "inputs ×1000": [scaled(1000.0, 4000.0)],
    "one batch, SGD": [batch(10_000), sgd(0.01)],
}
SEQUENCES: dict[str, list[Mutation]] = {
    "rate ×1000": [rate(10.0)],
    "rate ÷10⁴": [rate(1e-6)],
    "SGD rate 10⁻³": [sgd(1e-3)],
    "zero weights": [made(lambda: Last(std=0.0))],
    "decay 1": [decay(1.0)],
    "one batch, SGD": [batch(10_000), sgd(0.01)],
    "inputs ×1000": [scaled(1000.0, 3000.0), sgd(0.1)],
    "huge weights, slow": [made(lambda: Last(std=4.0)), sgd(0.01)],
}


def sick_runs() -> Iterator[tuple[str, str, list[Mutation]]]:
    for family in FAMILIES:
        kinds = {"bars": IMAGES, "ups": SEQUENCES}.get(family, SICKNESSES)
        for name, mutations in kinds.items():
            if family == "friedman" and "softmax" in name:
                continue
            yield family, name, mutations


# -- training --------------------------------------------------------------------------


@dataclass
class Parts:
    train: Dataset
    validation: Dataset
    test: Dataset
    metric: str


def parts_of(family: str, plan: Plan) -> Parts:
    x, y, classes = FAMILIES[family][0]()
    x = plan.x(x)
    n = len(x)
    cuts = [0, int(0.6 * n), int(0.8 * n), n]
    train, validation, test = (
        Dataset(x[a:b], y[a:b], classes=classes or None)
        for a, b in itertools.pairwise(cuts)
    )
    return Parts(train, validation, test, "accuracy" if classes else "r2")


def trainer_of(plan: Plan, seed: int) -> cr.Trainer:
    cr.manual_seed(seed)
    return cr.Trainer(
        plan.model(),
        loss=plan.loss(),
        optimizer=plan.optimizer(),
        engine="numpy",
        seed=seed,
    )


def scored(plan: Plan, parts: Parts, made: Any, seed: int, on: str = "test") -> float:
    """Train a plan with changes from new initial weights; return its score."""
    trainer = trainer_of(plan, seed)
    size = min(plan.batch_size, len(parts.train))
    setup = Setup.of(trainer, parts.train, getattr(parts, on), plan.epochs, size)
    for change in made:
        change.apply(setup)
    record = train(setup)
    return score(record, setup.held_out, parts.metric)


def score(record: Any, held: Dataset, metric: str) -> float:
    if record.error is not None:
        return 0.0
    try:
        out = record.trainer.predict(held)
    except cr.errors.ChainruleError:
        return 0.0
    if metric == "accuracy":
        return float((out.argmax(1) == held.y).mean())
    y = np.asarray(held.y, np.float64)
    rest = ((out.astype(np.float64) - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    return max(0.0, 1 - float(rest))


def mean(plan: Plan, parts: Parts, made: Any = ()) -> float:
    return float(np.mean([scored(plan, parts, made, s) for s in range(SEEDS)]))


# -- searches --------------------------------------------------------------------------


def drawn(case: Case, found: Any, budgets: list[int], seed: int) -> list[Any]:
    """Return the best sets of a random search after so many steps each."""
    rng = np.random.default_rng(seed)
    there = space.space(case, found)
    most = case.baseline if case.score is None else case.score
    best: Any = ()
    spent = 0
    results: list[Any] = []
    for steps in budgets:
        while True:
            count = min(int(rng.integers(1, MOST + 1)), len(there))
            picked = rng.permutation(len(there))[:count]
            made = changes.compatible([there[i] for i in picked])
            setup = case.prepared(*made)
            if spent + setup.steps > steps:
                break
            record = train(setup)
            spent += len(record.losses)
            value = case.score_of(record)
            if value is not None and value > most:
                best, most = made, value
        results.append(best)
    return results


def remedy(family: str, name: str, healthy: Parts) -> float:
    """Return the score of the known remedy of a sick run, trained once."""
    depth = 0 if family in ("bars", "ups") else DEPTHS.get(name, 0)
    if (family, depth) not in REMEDY:
        base = FAMILIES[family][1]
        if depth:
            x = healthy.train.x.shape
            outputs = max(healthy.train.classes or 1, 1)
            base = replace(
                base, model=lambda: mlp(x[1], outputs, depth=depth, kaiming=True)
            )
        REMEDY[family, depth] = mean(base, healthy)
    return REMEDY[family, depth]


def examined(family: str, name: str, mutations: list[Mutation]) -> dict[str, Any]:
    """Return what became of one sick run."""
    base = FAMILIES[family][1]
    plan = Plan(**vars(base))
    first = FAMILIES[family][0]()
    width = int(np.prod(first[0].shape[1:]))
    for mutate in mutations:
        mutate(plan, width, max(first[2], 1))
    healthy, parts = parts_of(family, base), parts_of(family, plan)
    row: dict[str, Any] = {"family": family, "run": name}
    row["remedy"] = remedy(family, name, healthy)
    row["sick"] = mean(plan, parts)
    if row["remedy"] - row["sick"] <= SICK[parts.metric]:
        return row | {"counts": False}
    row["counts"] = True
    begun = time.process_time()
    diagnosis = cr.diagnose(
        trainer_of(plan, 0),
        parts.train,
        validation=parts.validation,
        epochs=plan.epochs,
        batch_size=min(plan.batch_size, len(parts.train)),
    )
    row["seconds of the diagnosis"] = time.process_time() - begun
    case = diagnosis.case
    assert case is not None
    row["codes"] = [f.code for f in diagnosis.findings if f.severity == "sick"]
    # The diagnosis's own trial runs are part of the cost.
    row["steps of the diagnosis"] = round(case.budget.spent / case.step_cost)
    begun = time.process_time()
    fixes = diagnosis.fix()
    row["seconds of the fixes"] = time.process_time() - begun
    search = diagnosis.search
    row["steps of the fixes"] = 0 if search is None else search.steps
    row["sets"] = 0 if search is None else search.runs
    made = fixes[0].changes if fixes else ()
    row["changes"] = [c.diff for c in made]
    row["fixed"] = mean(plan, parts, made)
    alone = row["steps of the fixes"]
    budgets = [alone, alone + row["steps of the diagnosis"]]
    ill = [f for f in diagnosis.findings if f.severity != "note"]
    known = {_key(made): row["fixed"], (): row["sick"]}

    def value(best: Any) -> float:
        key = _key(best)
        if key not in known:
            known[key] = mean(plan, parts, best)
        return known[key]

    row["random"] = [
        [value(best) for best in drawn(case, ill, budgets, seed)]
        for seed in range(REPEATS)
    ]
    return row


def _key(made: Any) -> Any:
    return tuple(sorted(change.diff for change in made))


# -- results ---------------------------------------------------------------------------


def wilson(hits: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    z, p = 1.96, hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def summary(rows: list[dict[str, Any]]) -> str:
    counted = [r for r in rows if r["counts"]]
    n = len(counted)
    if not n:
        return f"{len(rows)} runs, none of them sick"
    goal = np.array([r["remedy"] - CURED for r in counted])
    fixed = np.array([r["fixed"] for r in counted])
    mine = (fixed >= goal).astype(float)
    lines = [f"{n} sick runs of {len(rows)}", told("fix()", mine, goal - fixed)]
    rng = np.random.default_rng(0)
    picks = rng.integers(0, n, (10_000, n))
    budgets = "random search, steps of fix()", "random search, with the diagnosis's"
    for i, name in enumerate(budgets):
        values = np.array([[v[i] for v in r["random"]] for r in counted])
        other = (values >= goal[:, None]).mean(1)
        low, high = np.percentile((mine - other)[picks].mean(1), [2.5, 97.5])
        ahead = 100 * (mine - other).mean()
        lines.append(told(name, other, goal - values.mean(1)))
        lines.append(
            f"    fix() ahead by {ahead:.1f} points [{100 * low:.1f}, {100 * high:.1f}]"
        )
    steps = np.array([r["steps of the fixes"] for r in counted])
    whole = steps + [r["steps of the diagnosis"] for r in counted]
    seconds = np.median([r["seconds of the fixes"] for r in counted])
    lines.append(
        f"steps, median: {np.median(steps):.0f} of fix(), {np.median(whole):.0f} with "
        f"the diagnosis; seconds of fix(), median: {seconds:.1f}"
    )
    return "\n".join(lines)


def told(name: str, cured: Any, short: Any) -> str:
    low, high = wilson(cured.sum(), len(cured))
    return (
        f"{name}: within 2 points {cured.mean():.1%} [{low:.1%}, {high:.1%}], mean "
        f"shortfall {100 * (short.mean() + CURED):.2f} points"
    )


def digest(name: str) -> str:
    """Return what orders runs, so that those until a cut are any of them."""
    return hashlib.sha256(name.encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []])
    parser.add_argument("--sample", type=int, help="so many runs, drawn once")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--resume", action="store_true", help="go on with the file")
    given = parser.parse_args()
    warnings.simplefilter("ignore", cr.errors.ChainruleWarning)
    rows: list[dict[str, Any]] = []
    if given.resume and given.json is not None and given.json.exists():
        rows = json.loads(given.json.read_text())
    done = {(r["family"], r["run"]) for r in rows}
    runs = sorted(sick_runs(), key=lambda run: digest(f"{run[0]}|{run[1]}"))
    if given.sample is not None:
        runs = Random(0).sample(runs, given.sample)
    for family, name, mutations in runs:
        if (given.families and family not in given.families) or (family, name) in done:
            continue
        row = examined(family, name, mutations)
        rows.append(row)
        if given.json is not None:
            given.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1))
        told = f"{family:9} {name:22} remedy {row['remedy']:.3f} sick {row['sick']:.3f}"
        if row["counts"]:
            random = " ".join(f"{a:.3f}/{b:.3f}" for a, b in row["random"])
            told += f" fixed {row['fixed']:.3f} random {random}"
            told += f" steps {row['steps of the diagnosis']}+"
            told += f"{row['steps of the fixes']} {', '.join(row['codes'])}"
        print(told, flush=True)
    print(summary(rows), file=sys.stdout)


if __name__ == "__main__":
    main()
