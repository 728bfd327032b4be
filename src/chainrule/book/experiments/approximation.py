"""An experiment on universal approximation: constructed and trained networks.

One hidden layer of n ReLU units can come as close as one likes to a continuous function
on a closed interval: put a kink on each of n + 1 places and join the values there by
straight lines. That is a network whose weights can be written down, and by the modulus
of continuity its error is at most ω(h) ≤ Kh for a function of slope at most K. The
theorem says that such weights exist. It does not say that gradient descent finds them.

Source: Cybenko 1989; Hornik 1991; Leshno, Lin, Pinkus & Schocken 1993.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.experiments import panels
from chainrule.book.experiments.descent import descended, stepper
from chainrule.book.experiments.experiment import About, Finding, Setting, compared
from chainrule.book.experiments.parameters import Parameter
from chainrule.graph.node import Array
from chainrule.nn import Module
from chainrule.text import _, ngettext, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table

SECTIONS = ("2.3.2", "2.8")
FORMULA = "ŷ(x) = b + Σ vₖ max(0, wₖx + bₖ),  f(x) = sin 2πx + ½|x|,  −1 ≤ x ≤ 1"
LEFT = 0
SIZE = (9.0, 3.8)

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128)
#: The largest slope of f.
SLOPE = 2 * math.pi + 0.5
SAMPLES, TRIES = 256, 3
#: Of the networks that are drawn.
WIDTH = Parameter("width", _("hidden units"), 16, 1, 256, logarithmic=True)
STEPS = Parameter("steps", _("steps"), 1500, 10, 5000, logarithmic=True)
RATE = Parameter("rate", _("rate η"), 0.01, 0.0005, 0.1, logarithmic=True)
PARAMETERS = (WIDTH, STEPS, RATE)
#: Where errors are measured.
FINE = np.linspace(-1, 1, 4001)


def about(setting: Setting) -> About:
    return About(
        tr("universal approximation: what exists, and what is learnt"),
        tr(
            "Can one hidden layer approximate any continuous function, and does "
            "gradient descent find its weights?"
        ),
        tr(
            "One hidden layer of n ReLU units, n = {least} … {most}: once with weights "
            "written down (straight lines between n + 1 points of f), {tries} times "
            "learnt with Adam, {steps} steps from random weights; the largest error on "
            "{points} places.",
            least=widths(setting)[0],
            most=widths(setting)[-1],
            tries=TRIES,
            steps=number(setting[STEPS]),
            points=number(len(FINE)),
        ),
    )


def widths(setting: Setting) -> list[int]:
    """Return the numbers of hidden units that are compared, in rising order."""
    return sorted({*WIDTHS, setting[WIDTH]})


def target(x: Array) -> Array:
    """Return the target function f that the networks approximate, at places x."""
    return np.sin(2 * np.pi * x) + np.abs(x) / 2


def network(width: int, dtype: str = "float32") -> nn.Sequential:
    """Return an untrained ReLU network with one hidden layer."""
    return nn.Sequential(
        nn.Linear(1, width, dtype=dtype), nn.ReLU(), nn.Linear(width, 1, dtype=dtype)
    )


def constructed(width: int) -> nn.Sequential:
    """Construct the ReLU network that interpolates n + 1 points of f linearly.

    With kinks t₀ < … < tₙ₋₁ and slopes s₀ … sₙ₋₁ of the pieces behind them it is
    f(t₀) + s₀(x − t₀)₊ + Σ (sₖ − sₖ₋₁)(x − tₖ)₊.
    """
    kinks = np.linspace(-1, 1, width + 1)
    slopes = np.diff(target(kinks)) / np.diff(kinks)
    model = network(width, "float64")
    model.load_state_dict(
        {
            "0.weight": np.ones((width, 1)),
            "0.bias": -kinks[:-1],
            "2.weight": np.diff(slopes, prepend=0.0)[None],
            "2.bias": target(kinks[:1]),
        }
    )
    return model


def learnt(width: int, seed: int, setting: Setting) -> nn.Sequential:
    """Return a ReLU network trained to approximate the target function f."""
    cr.manual_seed(seed)
    model = network(width)
    x = np.linspace(-1, 1, SAMPLES, dtype="f4")[:, None]
    step = stepper(
        model, nn.MSELoss(), optim.Adam(model.parameters(), lr=setting[RATE])
    )
    descended(step, cr.tensor(x), cr.tensor(target(x).astype("f4")), setting[STEPS])
    return model


def values(model: Module, dtype: str) -> Array:
    """Return a network's outputs on the experiment's fine grid of inputs."""
    with cr.no_grad():
        return model(cr.tensor(FINE[:, None], dtype=dtype)).numpy()[:, 0]


def worst(shown: Array) -> float:
    """Return a network's largest absolute error against the target, on a fine grid."""
    return float(np.abs(shown - target(FINE)).max())


def measure(setting: Setting) -> dict[str, Any]:
    """Measure approximation errors by network width: constructed, trained, bound."""
    rows = []
    for width in widths(setting):
        outputs = values(constructed(width), "float64")
        tries = [
            values(learnt(width, setting.seed + i, setting), "float32")
            for i in range(TRIES)
        ]
        errors = [worst(shown) for shown in tries]
        middle = sorted(range(TRIES), key=errors.__getitem__)[TRIES // 2]
        rows.append(
            {
                "width": width,
                "bound": SLOPE * 2 / width,
                "constructed": worst(outputs),
                "learnt": errors[middle],
                "each": errors,
                "drawn": [shown[::20].tolist() for shown in (outputs, tries[middle])],
            }
        )
    return {"rows": rows, "width": setting[WIDTH], "steps": setting[STEPS]}


def table(results: dict[str, Any]) -> Table:
    head = (
        *(tr("units"), tr("bound Kh")),
        *(tr("constructed"), tr("learnt, median"), tr("learnt, best")),
    )
    rows = [
        (
            number(row["width"]),
            *(number(row[key]) for key in ("bound", "constructed", "learnt")),
            number(min(row["each"])),
        )
        for row in results["rows"]
    ]
    return [head, *rows]


def order(rows: list[dict[str, Any]], key: str) -> float:
    """Return the order p of the approximation error's decrease n⁻ᵖ with the width n."""
    wider = rows[len(rows) // 2 :]
    logs = np.log([[row["width"], row[key]] for row in wider]).T
    return float(-np.polyfit(logs[0], logs[1], 1)[0])


def answer(results: dict[str, Any]) -> list[Finding]:
    return [_exists(results), _learnt(results)]


def _exists(results: dict[str, Any]) -> Finding:
    rows = results["rows"]
    first, last = rows[0], rows[-1]
    within_bound = all(row["constructed"] <= row["bound"] for row in rows)
    return compared(
        within_bound and last["constructed"] < 0.01,
        tr(
            "The weights exist: the largest error of the constructed networks goes "
            "from {first} with {few} to {last} with {many} units, like n^−{p}; in {m} "
            "of {n} cases it is within the bound.",
            first=number(first["constructed"]),
            few=first["width"],
            last=number(last["constructed"]),
            many=last["width"],
            p=f"{order(rows, 'constructed'):.1f}",
            m=sum(row["constructed"] <= row["bound"] for row in rows),
            n=len(rows),
        ),
        tr("an error within the bound, and as small as one likes"),
    )


def _learnt(results: dict[str, Any]) -> Finding:
    rows, last = results["rows"], results["rows"][-1]
    ratio = last["learnt"] / last["constructed"]
    better = [row["width"] for row in rows if row["learnt"] < row["constructed"]]
    return compared(
        ratio > 2,
        tr(
            "What descent finds: with {many} units and {steps} steps the error is "
            "{learnt}, {ratio} times the constructed one; over the wider half it falls "
            "like n^−{p}. It is less than the constructed one in {m} of {n} widths.",
            many=last["width"],
            steps=number(results["steps"]),
            learnt=number(last["learnt"]),
            ratio=number(ratio, 3),
            p=f"{order(rows, 'learnt'):.1f}",
            m=len(better),
            n=len(rows),
        ),
        tr("The theorem promises weights, and not that descent finds them."),
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    curve, errors = figure.subplots(1, 2)
    shown = next(row for row in results["rows"] if row["width"] == results["width"])
    x = FINE[::20]
    panels.line(curve, 7, x, target(x), "f(x)")
    for i, (name, values_) in enumerate(
        zip((tr("constructed"), tr("learnt")), shown["drawn"])
    ):
        panels.line(curve, i, x, values_, name)
    panels.words(curve, tr(ngettext("{n} unit", "{n} units", n=shown["width"])), "x")

    rows = results["rows"]
    widths = [row["width"] for row in rows]
    panels.line(errors, 7, widths, [row["bound"] for row in rows], tr("bound Kh"))
    for i, (key, name) in enumerate(
        (("constructed", tr("constructed")), ("learnt", tr("learnt, median")))
    ):
        panels.line(errors, i, widths, [row[key] for row in rows], name, marked=True)
    for row in rows:
        panels.points(errors, 1, [row["width"]] * len(row["each"]), row["each"])
    panels.logarithmic(errors.xaxis, errors.yaxis)
    panels.words(errors, tr("the largest error"), tr("hidden units"))
