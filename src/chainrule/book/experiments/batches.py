"""An experiment: batch, stochastic and mini-batch gradient descent on one surface.

The gradient of B samples is the mean of theirs: right on average, with a spread that is
known. Of n samples, B of them drawn without putting back, its covariance is

    Cov(g_B) = C/B · (n − B)/(n − 1),   C the covariance of the single gradients.

Source: Cochran, Sampling Techniques, 1977, theorem 2.2.
"""

from __future__ import annotations

import math
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
    paired,
)
from chainrule.book.experiments.parameters import Parameter
from chainrule.book.experiments.surface import SAMPLES, Surface, place
from chainrule.graph.node import Array
from chainrule.text import _, tr
from chainrule.text.numbers import number, percent
from chainrule.text.tables import Table

SECTIONS = ("2.6.3",)
FORMULA = "g_B = 1/B Σ ∂ℒᵢ/∂θ,  θ ← θ − η g_B;  E‖g_B − g‖² = tr C/B · (n − B)/(n − 1)"
LEFT = 1
SIZE = (9.0, 3.8)

#: Samples of a mini-batch, between all of them and one.
SOME = Parameter("size", _("samples a step"), 16, 2, 120, logarithmic=True)
RATE = Parameter("rate", _("rate η"), 0.1, 0.01, 0.25, logarithmic=True)
PARAMETERS = (RATE, SOME)
EPOCHS = 30
#: Batches that are drawn to see how their gradients spread.
DRAWS = 1000


def about(setting: Setting) -> About:
    return About(
        tr("batch, mini-batch and stochastic descent on one surface"),
        tr(
            "Why are weights not updated with the whole data set at once, and what do "
            "fewer samples a step cost?"
        ),
        tr(
            "A line ŷ = wx + b through {n} points, η = {rate}, {epochs} passes over "
            "the data with {sizes} samples a step; and the gradients of {draws} "
            "batches of each size at the start, held against the formula.",
            n=SAMPLES,
            rate=number(setting[RATE]),
            epochs=EPOCHS,
            sizes=", ".join(map(str, sizes(setting))),
            draws=number(DRAWS),
        ),
    )


def sizes(setting: Setting) -> tuple[int, int, int]:
    """Return the batch sizes that are compared: all samples, some, one."""
    return SAMPLES, setting[SOME], 1


def descent(surface: Surface, size: int, setting: Setting) -> Array:
    """Return the path (w, b) of mini-batch gradient descent: start and each step."""
    data = cr.data.Dataset(surface.x, surface.y)
    model = surface.model()
    step = stepper(
        model, nn.HalfMSELoss(), optim.SGD(model.parameters(), lr=setting[RATE])
    )
    path = [place(model)]
    for epoch in range(EPOCHS):
        for x, y in data.batches(size, epoch=epoch, seed=setting.seed):
            step(cr.tensor(x), cr.tensor(y))
            path.append(place(model))
    return np.array(path)


def spread(surface: Surface, size: int, seed: int) -> tuple[float, float]:
    """Return the mini-batch gradients' spread √E‖g_B − g‖², drawn and by formula."""
    model, loss_of = surface.model(), nn.HalfMSELoss()

    @cr.compile
    def gradient(x: Any, y: Any) -> Any:
        return cr.grad(lambda m: loss_of(m(x), y))(model)

    def at(rows: Any) -> Array:
        g = gradient(cr.tensor(surface.x[rows]), cr.tensor(surface.y[rows]))
        return np.array([g["weight"].item(), g["bias"].item()])

    n = len(surface.x)
    single = np.array([at([i]) for i in range(n)])
    total = ((single - single.mean(0)) ** 2).sum(1).mean() * n / (n - 1)
    theory = math.sqrt(total / size * (n - size) / n)
    draw = np.random.default_rng([seed, size])
    whole = at(np.arange(n))
    gaps = [at(draw.permutation(n)[:size]) - whole for _ in range(DRAWS)]
    return math.sqrt((np.array(gaps) ** 2).sum(1).mean()), theory


def measure(setting: Setting) -> dict[str, Any]:
    """Measure the descent path and the gradients' spread for each batch size."""
    surface = Surface(setting.seed)
    rows = []
    for size in sizes(setting):
        path = descent(surface, size, setting)
        above, steps = surface.above(path), -(-SAMPLES // size)
        deviation, theory = spread(surface, size, setting.seed)
        rows.append(
            {
                "size": size,
                "steps": len(path) - 1,
                "after_1": float(above[steps]),
                "after_all": float(above[-steps:].mean()),
                "wandering": float(path[-steps - 1 :].std(0).max()),
                "spread": deviation,
                "spread_theory": theory,
                "path": path[: 20 * steps + 1 : max(1, steps // 60)].tolist(),
                "above": above[::steps].tolist(),
            }
        )
    return {
        "rows": rows,
        "epochs": EPOCHS,
        "size": setting[SOME],
        "seed": setting.seed,
        "minimum": surface.minimum.tolist(),
    }


def named(size: int) -> str:
    """Return the textbook's name of gradient descent with a batch size."""
    if size == SAMPLES:
        return tr("batch ({n})", n=size)
    return tr("stochastic (1)") if size == 1 else tr("mini-batch ({n})", n=size)


def table(results: dict[str, Any]) -> Table:
    head = (
        *(tr("samples a step"), tr("steps")),
        *(
            tr("above the least loss after 1 pass"),
            tr("in pass {n}", n=results["epochs"]),
        ),
        *(tr("spread of g"), tr("by the formula")),
    )
    rows = [
        (
            named(row["size"]),
            number(row["steps"]),
            *(percent(max(row[key], 0.0)) for key in ("after_1", "after_all")),
            *(number(row[key], 3) for key in ("spread", "spread_theory")),
        )
        for row in results["rows"]
    ]
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    return [_noise(results), *_ways(results), _wandering(results)]


def _noise(results: dict[str, Any]) -> Finding:
    rows = [row for row in results["rows"] if row["spread_theory"] > 0]
    off = max(abs(row["spread"] / row["spread_theory"] - 1) for row in rows)
    return compared(
        off < 0.1,
        tr(
            "The gradients of drawn batches spread as the formula says, to within "
            "{off}: {parts}.",
            off=percent(off, 1),
            parts=paired(
                {
                    named(row["size"]): number(row["spread"], 3)
                    for row in results["rows"]
                }
            ),
        ),
        tr("within 10% with so many draws"),
    )


def _ways(results: dict[str, Any]) -> list[Finding]:
    first = min(results["rows"], key=lambda row: row["after_1"])
    last = min(results["rows"], key=lambda row: row["after_all"])
    whole = next(row for row in results["rows"] if row["size"] == SAMPLES)
    return [
        compared(
            first["size"] < SAMPLES,
            tr(
                "After one pass over the data {name} is nearest to the bottom, with "
                "{above} of the way left; batch descent has made {steps} step and has "
                "{much} left.",
                name=named(first["size"]),
                above=percent(max(first["after_1"], 0.0)),
                steps=whole["steps"] // results["epochs"],
                much=percent(whole["after_1"]),
            ),
            tr("fewer samples a step are nearer to it, after as many samples"),
        ),
        compared(
            1 < last["size"] < SAMPLES,
            tr(
                "In pass {epochs} it is {name}, on average with {above} left: {parts}.",
                epochs=results["epochs"],
                name=named(last["size"]),
                above=percent(max(last["after_all"], 0.0)),
                parts=paired(
                    {
                        named(row["size"]): percent(max(row["after_all"], 0.0))
                        for row in results["rows"]
                    }
                ),
            ),
            tr("The book calls mini-batches in between the best."),
        ),
    ]


def _wandering(results: dict[str, Any]) -> Finding:
    rows = {row["size"]: row["wandering"] for row in results["rows"]}
    one, some = rows[1], rows[results["size"]]
    return compared(
        one > some,
        tr(
            "Within the last pass w and b wander by {one} with one sample a step, by "
            "{some} with {n}. A fixed η never comes to rest on single samples; one "
            "that decreases would.",
            one=number(one, 2),
            some=number(some, 2),
            n=results["size"],
        ),
        tr("more with one sample"),
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    plane, curve = figure.subplots(1, 2)
    surface = Surface(results["seed"])
    levels = surface.least + surface.gap * np.array([0.003, 0.02, 0.08, 0.25, 0.6, 1.2])
    panels.valley(plane, surface.loss, (-1.3, 3.2), (-0.9, 4.3), levels)
    order = sorted(results["rows"], key=lambda row: row["size"])
    for i, row in zip((2, 1, 0), order):
        panels.path(plane, i, row["path"], named(row["size"]))
        panels.line(
            curve, i, range(len(row["above"])), row["above"], named(row["size"])
        )
    plane.plot(*results["minimum"], "+", color=panels.COLOURS[7], markersize=9)
    panels.words(plane, tr("the ways of w and b"), "w", "b")
    panels.logarithmic(curve.yaxis)
    curve.set_ylim(bottom=curve.get_ylim()[0] / 10)  # room for the legend
    curve.locator_params("x", integer=True)
    panels.words(
        curve,
        tr("above the least loss, as a share of the start"),
        tr("passes over the data"),
    )
