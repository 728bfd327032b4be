"""An experiment on vanishing gradients by activation and initialisation.

Each layer on the way back multiplies δ by Wᵀ and by f′(z). With independent weights of
standard deviation σ and n units that is, on average, a factor

    σ √n · √E f′(z)²    where f′ ≈ ¼ (sigmoid), 1 (tanh), 1 half of the time (ReLU),

so the first layer's gradient goes like its power with the depth. Batch normalisation
takes the scale of the weights out; with ReLU it leaves √(π/(π − 1)) ≈ 1.21 a layer.

Source: Glorot & Bengio 2010; He et al. 2015; Yang et al. 2019 (batch normalisation).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.book.experiments import panels
from chainrule.book.experiments.experiment import (
    About,
    Finding,
    Setting,
    compared,
    listed,
    paired,
)
from chainrule.book.experiments.parameters import Parameter
from chainrule.graph.node import Array
from chainrule.text import _, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table

SECTIONS = ("3.8", "3.11", "2.7")
FORMULA = "‖∂ℒ/∂W⁽¹⁾‖ ~ cᴸ,  c = σ √n · √E f′(z)²"
LEFT = 2
SIZE = (9.5, 3.8)

SAMPLES = 128
TRIES, QUICK_TRIES = 2, 1
#: The hidden layers of the deepest network, whose layers are drawn.
DEPTH = Parameter("depth", _("hidden layers"), 20, 4, 40)
#: σ of small weights.
SPREAD = Parameter(
    "spread", _("σ of small weights"), 0.05, 0.005, 0.5, logarithmic=True
)
#: With few units a layer of ReLUs may be dead from the start.
WIDTH = Parameter("width", _("units of a layer"), 64, 32, 128, logarithmic=True)
PARAMETERS = (DEPTH, SPREAD, WIDTH)
ACTIVATIONS = {"Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh, "ReLU": nn.ReLU}
#: √E f′² near z = 0.
SLOPES = {"Sigmoid": 0.25, "Tanh": 1.0, "ReLU": math.sqrt(0.5)}
STARTS = ("small", "Xavier", "He", "BatchNorm")
#: What a layer may change without being called a change.
STEADY = (0.9, 1.1)


def about(setting: Setting) -> About:
    return About(
        tr("vanishing gradients by activation, initialisation and normalisation"),
        tr("What have vanishing gradients to do with the activation, and what helps?"),
        tr(
            "Networks of {depths} hidden layers of {width} units on {samples} "
            "handwritten digits, {tries} draws each (one with --quick): the norm of "
            "∂ℒ/∂W⁽ˡ⁾ at the start, by activation and by the weights it starts from: "
            "N(0, {spread}²), Xavier, He, or N(0, {spread}²) with batch normalisation.",
            depths=listed([str(depth) for depth in depths(setting)]),
            width=setting[WIDTH],
            samples=SAMPLES,
            tries=TRIES,
            spread=number(setting[SPREAD]),
        ),
    )


def depths(setting: Setting) -> tuple[int, int, int]:
    """Return the numbers of hidden layers that are compared."""
    return setting[DEPTH] // 4, setting[DEPTH] // 2, setting[DEPTH]


def spreads(setting: Setting) -> dict[str, float]:
    """Return σ of a hidden layer's weights by the name of an initialisation."""
    width = setting[WIDTH]
    named = {"Xavier": math.sqrt(1 / width), "He": math.sqrt(2 / width)}
    return {"small": setting[SPREAD], **named}


def network(activation: str, start: str, depth: int, setting: Setting) -> nn.Sequential:
    """Return a deep classifier with one activation function and initialisation."""
    layers: list[Any] = []
    width = setting[WIDTH]
    for i in range(depth):
        linear = nn.Linear(784 if i == 0 else width, width, dtype="float64")
        fill(linear, start, setting[SPREAD])
        layers.append(linear)
        if start == "BatchNorm":
            layers.append(nn.BatchNorm1d(width, dtype="float64"))
        layers.append(ACTIVATIONS[activation]())
    last = nn.Linear(width, 10, dtype="float64")
    fill(last, "Xavier", setting[SPREAD])
    return nn.Sequential(*layers, last)


def fill(linear: nn.Linear, start: str, spread: float) -> None:
    """Initialise a linear layer's weights by a named scheme, with zero biases."""
    if start == "Xavier":
        nn.init.xavier_normal_(linear.weight)
    elif start == "He":
        nn.init.kaiming_normal_(linear.weight)
    else:
        nn.init.normal_(linear.weight, 0.0, spread)
    assert linear.bias is not None
    nn.init.zeros_(linear.bias)


def norms(model: nn.Sequential, x: Any, y: Any) -> list[float]:
    """Return the norm of the weight gradient ‖∂ℒ/∂W⁽ˡ⁾‖ of each layer of a network."""
    nn.CrossEntropyLoss()(model(x), y).backward()
    grads = [p.grad for p in model.parameters() if p.ndim == 2]
    return [math.sqrt((g * g).sum().item()) for g in grads if g is not None]


def predicted(activation: str, start: str, setting: Setting) -> float | None:
    """Return the theoretical factor of a gradient's change by a layer, or None."""
    if start == "BatchNorm":
        return math.sqrt(math.pi / (math.pi - 1)) if activation == "ReLU" else None
    return spreads(setting)[start] * math.sqrt(setting[WIDTH]) * SLOPES[activation]


def one(
    activation: str, start: str, tries: int, x: Any, y: Any, setting: Setting
) -> dict[str, Any]:
    """Measure an activation's and initialisation's gradient norms at all depths.

    The averages are geometric means.
    """
    layers: list[Array] = []
    for depth in depths(setting):
        each = []
        for i in range(tries):
            cr.manual_seed(setting.seed + i)
            each.append(norms(network(activation, start, depth, setting), x, y))
        layers.append(np.exp(np.log(each).mean(0)))
    first = [float(norms_[0]) for norms_ in layers]
    slope = np.polyfit(depths(setting), np.log(first), 1)[0]
    return {
        "activation": activation,
        "start": start,
        "first": first,
        "layers": layers[-1].tolist(),
        "factor": float(np.exp(slope)),
        "predicted": predicted(activation, start, setting),
    }


def measure(setting: Setting) -> dict[str, Any]:
    """Measure gradient norms of every activation with every initialisation."""
    digits = cr.data.mnist()[0].take(SAMPLES)
    x, y = cr.tensor(digits.x[:], dtype="float64"), cr.tensor(digits.y)
    tries = QUICK_TRIES if setting.quick else TRIES
    rows = [
        one(activation, start, tries, x, y, setting)
        for activation in ACTIVATIONS
        for start in STARTS
    ]
    return {
        "depths": list(depths(setting)),
        "spread": setting[SPREAD],
        "rows": rows,
    }


# -- what is told ----------------------------------------------------------------------


def started(start: str, results: dict[str, Any]) -> str:
    return {
        "small": tr("N(0, {spread}²)", spread=number(results["spread"])),
        "BatchNorm": tr("batch norm"),
    }.get(start, start)


def verdict(row: dict[str, Any]) -> str:
    low, high = STEADY
    if row["factor"] < low:
        return tr("vanish")
    return tr("grow") if row["factor"] > high else tr("keep their size")


def table(results: dict[str, Any]) -> Table:
    depths = results["depths"]
    head = (
        *(tr("activation"), tr("start")),
        tr("‖∂ℒ/∂W⁽¹⁾‖ of {n} layers", n=depths[0]),
        tr("of {n}", n=depths[-1]),
        *(tr("factor a layer"), tr("in theory"), tr("gradients")),
    )
    rows = [
        (
            row["activation"],
            started(row["start"], results),
            *(number(row["first"][i], 2) for i in (0, -1)),
            number(row["factor"], 3),
            number(row["predicted"], 3),
            verdict(row),
        )
        for row in results["rows"]
    ]
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    rows = {(row["activation"], row["start"]): row for row in results["rows"]}
    return [
        _activations(rows),
        _starts(rows, "ReLU", "He"),
        _starts(rows, "Tanh", "Xavier"),
        _sigmoid(rows),
        _normalised(rows),
        _alike(rows),
        _theory(results),
    ]


def _steady(row: dict[str, Any]) -> bool:
    return STEADY[0] <= row["factor"] <= STEADY[1]


def _activations(rows: dict[tuple[str, str], dict[str, Any]]) -> Finding:
    factors = {name: rows[name, "small"]["factor"] for name in ACTIVATIONS}
    worst = min(factors, key=lambda name: factors[name])
    return compared(
        worst == "Sigmoid" and max(factors.values()) < STEADY[0],
        tr(
            "From small weights each layer multiplies the first gradient by: {parts}. "
            "{worst} loses most.",
            parts=paired({name: number(factors[name], 3) for name in factors}),
            worst=worst,
        ),
        tr("All of them vanish, sigmoid most of all: σ′ ≤ ¼."),
    )


def _starts(
    rows: dict[tuple[str, str], dict[str, Any]], activation: str, start: str
) -> Finding:
    row = rows[activation, start]
    return compared(
        _steady(row),
        tr(
            "{activation} with {start}: {factor} a layer; gradients {verdict}.",
            activation=activation,
            start=start,
            factor=number(row["factor"], 3),
            verdict=verdict(row),
        ),
        tr("a factor near 1: this initialisation is made for it"),
    )


def _sigmoid(rows: dict[tuple[str, str], dict[str, Any]]) -> Finding:
    mine = [rows["Sigmoid", start] for start in ("Xavier", "He")]
    return compared(
        all(row["factor"] < STEADY[0] for row in mine),
        tr(
            "Sigmoid has {xavier} with Xavier and {he} with He: initialisation alone "
            "{told}.",
            xavier=number(mine[0]["factor"], 3),
            he=number(mine[1]["factor"], 3),
            told=tr("does not save it")
            if all(row["factor"] < STEADY[0] for row in mine)
            else tr("does save it"),
        ),
        tr("It takes σ√n = 4 to make up for σ′ ≤ ¼."),
    )


def _normalised(rows: dict[tuple[str, str], dict[str, Any]]) -> Finding:
    mine = [rows[name, "BatchNorm"] for name in ACTIVATIONS]
    return compared(
        all(_steady(row) for row in mine),
        tr(
            "With batch normalisation, from the same small weights: {parts}.",
            parts=tr("; ").join(
                tr(
                    "{activation} {factor}, gradients {verdict}",
                    activation=row["activation"],
                    factor=number(row["factor"], 3),
                    verdict=verdict(row),
                )
                for row in mine
            ),
        ),
        tr(
            "The book has it as a remedy: a factor near 1. It stops the vanishing; "
            "that gradients grow with the depth instead is known (Yang et al. 2019: "
            "√(π/(π − 1)) = 1.21 a layer for ReLU)."
        ),
    )


def _alike(rows: dict[tuple[str, str], dict[str, Any]]) -> Finding:
    spans = {}
    for name in ACTIVATIONS:
        hidden = rows[name, "small"]["layers"][1:-1]
        spans[name] = max(hidden) / min(hidden)
    return compared(
        spans["Sigmoid"] > 1e3 > max(spans["Tanh"], spans["ReLU"]),
        tr(
            "Within one network of small weights the largest gradient of a layer is so "
            "many times the least: {parts}. Where that is little, activations shrink "
            "on the way forward by as much as δ does on the way back: all layers learn "
            "alike, and next to nothing.",
            parts=paired({name: number(spans[name], 2) for name in spans}),
        ),
        tr(
            "large for sigmoid, whose activations stay near ½, and small for the others"
        ),
    )


def _theory(results: dict[str, Any]) -> Finding:
    rows = [row for row in results["rows"] if row["activation"] == "ReLU"]
    off = max(abs(row["factor"] / row["predicted"] - 1) for row in rows)
    return compared(
        off < 0.1,
        tr(
            "For ReLU the factors are those of theory to within {off}%.",
            off=f"{100 * off:.0f}",
        ),
        tr("within 10%"),
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    places = figure.subplots(1, len(ACTIVATIONS), sharey=True)
    norms_ = [norm for row in results["rows"] for norm in row["layers"]]
    for axes, activation in zip(places, ACTIVATIONS):
        mine = [row for row in results["rows"] if row["activation"] == activation]
        for i, row in enumerate(mine):
            layers, name = row["layers"], started(row["start"], results)
            panels.line(axes, i, range(1, len(layers) + 1), layers, name)
        axes.set_yscale("log")
        axes.set_ylim(min(1e-22, *norms_), max(1e4, *norms_))
        axes.set_xticks(panels.quarters(results["depths"][-1]))
        panels.words(axes, activation, tr("layer l"))
    panels.logarithmic(places[0].yaxis)
    places[0].set_ylabel("‖∂ℒ/∂W⁽ˡ⁾‖")
