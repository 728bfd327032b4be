"""An experiment: the paths of SGD, Momentum, RMSProp and Adam on one surface.

All samples make each step, so that nothing is left to chance. Each optimiser gets the
rate with which it arrives soonest, out of the same ones for all; it has arrived once
the loss stays within a thousandth of the start's distance above the least.

On a quadratic a perfect Momentum shrinks the distance by (√κ − 1)/(√κ + 1) a step,
where plain descent does by (κ − 1)/(κ + 1) at best (Polyak 1964).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.experiments import panels
from chainrule.book.experiments.descent import stepper
from chainrule.book.experiments.experiment import (
    About,
    Finding,
    Setting,
    compared,
    listed,
    paired,
)
from chainrule.book.experiments.parameters import Parameter
from chainrule.book.experiments.surface import Surface, place
from chainrule.graph.node import Array
from chainrule.optim import RuleOptimizer
from chainrule.text import _, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table

SECTIONS = ("2.6.3", "3.8")
FORMULA = "v ← μv + g;  s ← αs + (1 − α)g²;  θ ← θ − ηg, − ηv, − ηg/√s, − η m̂/√v̂"
LEFT = 1
SIZE = (9.0, 3.8)

MOMENTUM = Parameter("momentum", _("μ of Momentum"), 0.9, 0.0, 0.99)
ALPHA = Parameter("alpha", _("α of RMSProp"), 0.99, 0.5, 0.999)
BETA1 = Parameter("beta1", _("β₁ of Adam"), 0.9, 0.0, 0.99)
BETA2 = Parameter("beta2", _("β₂ of Adam"), 0.999, 0.5, 0.9999)
PARAMETERS = (MOMENTUM, ALPHA, BETA1, BETA2)

MAKERS: dict[str, Callable[[Any, float, Setting], RuleOptimizer]] = {
    "SGD": lambda p, lr, s: optim.SGD(p, lr=lr),
    "Momentum": lambda p, lr, s: optim.SGD(p, lr=lr, momentum=s[MOMENTUM]),
    "RMSProp": lambda p, lr, s: optim.RMSprop(p, lr=lr, alpha=s[ALPHA]),
    "Adam": lambda p, lr, s: optim.Adam(p, lr=lr, betas=(s[BETA1], s[BETA2])),
}
#: From 0.001 to 1, three a decade.
RATES = tuple(10 ** (k / 3 - 3) for k in range(10))
STEPS = 600
#: It has arrived when so much of the way is left, and stays so.
ARRIVED = 1e-3


def about(setting: Setting) -> About:
    return About(
        tr("SGD, Momentum, RMSProp and Adam on one surface"),
        tr(
            "Do momentum and adaptive rates speed descent up, and do they keep it from "
            "swinging?"
        ),
        tr(
            "A line ŷ = wx + b through points, all of them in each step, {steps} "
            "steps; {n} rates from {least} to {most} for each, of which the one counts "
            "that arrives soonest.",
            steps=STEPS,
            n=len(RATES),
            least=number(RATES[0]),
            most=number(RATES[-1]),
        ),
    )


def descent(surface: Surface, name: str, rate: float, setting: Setting) -> Array:
    """Return an optimiser's path (w, b) on the loss surface, as far as it is finite."""
    model = surface.model()
    optimizer = MAKERS[name](model.parameters(), rate, setting)
    step = stepper(model, nn.HalfMSELoss(), optimizer)
    x, y = cr.tensor(surface.x), cr.tensor(surface.y)
    path = [place(model)]
    while len(path) <= STEPS and math.hypot(*path[-1]) < 1e6:
        step(x, y)
        path.append(place(model))
    return np.array(path)


def arrival(above: Array) -> int | None:
    """Return the first optimiser step after which the loss stays near the minimum."""
    far = np.flatnonzero(~(above <= ARRIVED))
    first = int(far[-1]) + 1 if len(far) else 0
    return first if first < len(above) and len(above) == STEPS + 1 else None


def swings(path: Array) -> int:
    """Return the number of optimiser steps that turn by more than 90°."""
    moves = np.diff(path, axis=0)
    return int(((moves[1:] * moves[:-1]).sum(1) < 0).sum())


def one(surface: Surface, name: str, setting: Setting) -> dict[str, Any]:
    """Measure an optimiser on a loss surface at its fastest learning rate."""
    paths = {rate: descent(surface, name, rate, setting) for rate in RATES}
    arrivals = {rate: arrival(surface.above(path)) for rate, path in paths.items()}
    there = {rate: steps for rate, steps in arrivals.items() if steps is not None}
    ends = {rate: float(surface.above(path)[-1]) for rate, path in paths.items()}
    rate = (
        min(there, key=lambda r: there[r]) if there else min(ends, key=ends.__getitem__)
    )
    whole = paths[rate]
    path = whole[: (there.get(rate) or STEPS) + 1]
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
    return {
        "name": name,
        "rate": rate,
        "steps": there.get(rate),
        "length": float(length / np.linalg.norm(path[-1] - path[0])),
        "swings": swings(path),
        "last": float(surface.above(whole)[-1]),
        "arrivals": [arrivals[r] for r in RATES],
        "path": path[:301].tolist(),
        "above": surface.above(whole)[:301].tolist(),
    }


def measure(setting: Setting) -> dict[str, Any]:
    """Measure all optimisers on one loss surface."""
    surface = Surface(setting.seed)
    slopes = np.linalg.eigvalsh(surface.hessian)
    return {
        "rows": [one(surface, name, setting) for name in MAKERS],
        "rates": list(RATES),
        "kappa": float(slopes[1] / slopes[0]),
        "limit": float(2 / slopes[1]),
        "seed": setting.seed,
        "minimum": surface.minimum.tolist(),
    }


def table(results: dict[str, Any]) -> Table:
    head = (
        *(tr("optimiser"), tr("rate η"), tr("steps until it arrives")),
        *(tr("length of its way"), tr("steps that turn back")),
        tr("rates that arrive"),
    )
    rows = [
        (
            row["name"],
            number(row["rate"], 3),
            number(row["steps"]),
            f"{row['length']:.2f} ×",
            number(row["swings"]),
            tr(
                "{m} of {n}",
                m=sum(steps is not None for steps in row["arrivals"]),
                n=len(row["arrivals"]),
            ),
        )
        for row in results["rows"]
    ]
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    rows = {row["name"]: row for row in results["rows"]}
    return [_speed(results, rows), _swinging(rows), _choice(rows)]


def _steps(row: dict[str, Any]) -> float:
    return math.inf if row["steps"] is None else row["steps"]


def _speed(results: dict[str, Any], rows: dict[str, dict[str, Any]]) -> Finding:
    plain = rows["SGD"]
    faster = [n for n in rows if _steps(rows[n]) < _steps(plain)]
    others = [n for n in rows if n != "SGD" and n not in faster]
    order = sorted(rows, key=lambda name: _steps(rows[name]))
    return compared(
        not others,
        tr(
            "In a valley with κ = {kappa} they arrive after: {order}. Sooner than "
            "plain descent: {faster}; not sooner: {others}.",
            kappa=number(results["kappa"], 3),
            order=paired({name: number(rows[name]["steps"]) for name in order}),
            faster=listed(faster),
            others=listed(others),
        ),
        tr("The book expects all three to speed convergence up."),
    )


def _swinging(rows: dict[str, dict[str, Any]]) -> Finding:
    plain = rows["SGD"]
    more = [n for n in rows if rows[n]["swings"] > plain["swings"]]
    return compared(
        not more,
        tr(
            "Steps that turn back by more than 90° on the way: {parts}.",
            parts=paired({name: number(row["swings"]) for name, row in rows.items()}),
        ),
        tr("The book expects fewer with momentum and adaptive rates."),
    )


def _choice(rows: dict[str, dict[str, Any]]) -> Finding:
    counts = {
        name: sum(steps is not None for steps in row["arrivals"])
        for name, row in rows.items()
    }
    easiest = max(counts, key=lambda name: counts[name])
    return compared(
        easiest != "SGD",
        tr(
            "Of the same rates most lead there with {name}, {m}; with SGD it is {k}.",
            name=easiest,
            m=counts[easiest],
            k=counts["SGD"],
        ),
        tr("An optimiser that adapts is easier to set than plain descent."),
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    plane, curve = figure.subplots(1, 2)
    surface = Surface(results["seed"])
    levels = surface.least + surface.gap * np.array([0.003, 0.02, 0.08, 0.25, 0.6, 1.2])
    panels.valley(plane, surface.loss, (-1.3, 3.2), (-0.9, 4.5), levels)
    for i, row in enumerate(results["rows"]):
        label = f"{row['name']}, η = {number(row['rate'], 2)}"
        panels.path(plane, i, row["path"], label)
        panels.line(curve, i, range(len(row["above"])), row["above"], row["name"])
    plane.plot(*results["minimum"], "+", color=panels.COLOURS[7], markersize=9)
    panels.words(plane, tr("the ways of w and b"), "w", "b")
    panels.logarithmic(curve.yaxis)
    panels.level(curve, ARRIVED)
    curve.set_ylim(1e-6, 3)
    panels.words(
        curve, tr("above the least loss, as a share of the start"), tr("steps")
    )
