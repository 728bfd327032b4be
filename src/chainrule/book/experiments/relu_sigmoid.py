"""An experiment on ReLU against sigmoid: slopes, gradients and learning.

σ′ ≤ ¼ everywhere, ReLU′ is 1 or 0. So sigmoids weaken every error that passes them,
and ReLUs pass some on whole and others not at all. Networks of one to six hidden layers
learn the same digits with the same rate from Xavier's weights. What ReLU costs is seen
with a large rate: units that are 0 for every sample learn nothing any more.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.experiments import panels
from chainrule.book.experiments.experiment import (
    About,
    Finding,
    Setting,
    compared,
    listed,
)
from chainrule.book.experiments.parameters import Parameter
from chainrule.nn.traced import outputs_of
from chainrule.text import _, tr
from chainrule.text.numbers import number, percent
from chainrule.text.tables import Table

SECTIONS = ("2.10", "2.7", "3.8", "3.11")
FORMULA = "δ⁽ˡ⁾ = ((W⁽ˡ⁺¹⁾)ᵀ δ⁽ˡ⁺¹⁾) ⊙ f′(z⁽ˡ⁾);  σ′ ≤ ¼,  ReLU′ ∈ {0, 1}"
LEFT = 1
SIZE = (9.5, 3.8)

SAMPLES, TESTS, BATCH = 4000, 1000, 32
DEPTHS = (1, 2, 4, 6)
EPOCHS, QUICK_EPOCHS = 6, 3
RATE = Parameter("rate", _("rate η"), 0.1, 0.01, 1.0, logarithmic=True)
LARGE = Parameter("large", _("large rate η"), 1.0, 0.1, 5.0, logarithmic=True)
WIDTH = Parameter("width", _("units of a layer"), 64, 4, 256, logarithmic=True)
PARAMETERS = (RATE, LARGE, WIDTH)
ACTIVATIONS = {"Sigmoid": nn.Sigmoid, "ReLU": nn.ReLU, "Leaky ReLU": nn.LeakyReLU}
COMPARED = ("Sigmoid", "ReLU")
#: Steps at the start over which probes are averaged.
SOME = 20


def about(setting: Setting) -> About:
    return About(
        tr("ReLU against sigmoid: how gradients get through, and what it costs"),
        tr(
            "What are the strengths and weaknesses of ReLU and sigmoid, and how do "
            "they pass gradients through several layers?"
        ),
        tr(
            "{n} handwritten digits, {depths} hidden layers of {width} units, Xavier's "
            "weights, SGD with η = {rate}, {epochs} passes ({quick} with --quick): "
            "slopes and gradients at the start, accuracy on {tests} other digits at "
            "the end; then one layer with η = {large}.",
            n=number(SAMPLES),
            depths=listed([str(depth) for depth in DEPTHS]),
            width=setting[WIDTH],
            rate=number(setting[RATE]),
            epochs=EPOCHS,
            quick=QUICK_EPOCHS,
            tests=number(TESTS),
            large=number(setting[LARGE]),
        ),
    )


def network(activation: str, depth: int, setting: Setting) -> nn.Sequential:
    """Return a classifier with hidden layers of one activation and Xavier's weights."""
    cr.manual_seed(setting.seed)
    sizes = [784] + depth * [setting[WIDTH]]
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers.append(nn.Linear(inputs, outputs, init="xavier_normal"))
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 10, init="xavier_normal"))


def inside(model: nn.Sequential, x: Any) -> list[Any]:
    """Return the output of each module of a network."""
    with outputs_of(model) as heard:
        model(x)
    outputs = {capture.path: capture.output.detach() for capture in heard}
    return [outputs[str(i)] for i in range(len(model))]


def slopes(model: nn.Sequential, x: Any) -> list[float]:
    """Return the mean derivative f′(z) of the activation in each hidden layer."""
    outputs = inside(model, x)
    return [
        cr.grad(lambda z, f=model[i]: f(z).sum())(outputs[i - 1]).mean().item()
        for i in range(1, len(model), 2)
    ]


def dead(model: nn.Sequential, x: Any) -> float:
    """Return the share of a network's hidden units that are inactive on all samples."""
    outputs = inside(model, x)
    asleep = [(a <= 0).all(dim=0).numpy() for a in outputs[1::2]]
    return float(np.concatenate(asleep).mean())


def one(
    activation: str, depth: int, rate: float, epochs: int, setting: Setting
) -> dict[str, Any]:
    """Train and measure one classifier with an activation function and depth."""
    train, test = (part.take(n) for part, n in zip(cr.data.mnist(), (SAMPLES, TESTS)))
    model = network(activation, depth, setting)
    start = slopes(model, cr.tensor(train.x[:256]))
    trainer = cr.Trainer(
        model,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.SGD(lr=rate),
        probes=["delta_norm/*"],
        seed=setting.seed,
    )
    history = trainer.fit(train, epochs=epochs, batch_size=BATCH, progress=False)
    seen = history.steps
    hidden = range(1, 2 * depth, 2)
    return {
        "activation": activation,
        "depth": depth,
        "rate": rate,
        "slope": float(np.mean(start)),
        "deltas": [float(seen[f"delta_norm/{i}"][:SOME].mean()) for i in hidden],
        "first": float(seen["grad_norm/0.weight"][:SOME].mean()),
        "last": float(seen[f"grad_norm/{2 * depth}.weight"][:SOME].mean()),
        "dead": dead(model, cr.tensor(test.x[:])),
        "accuracy": trainer.evaluate(test)["accuracy"],
    }


def measure(setting: Setting) -> dict[str, Any]:
    """Train with each activation function at each depth; then at a large rate."""
    epochs = QUICK_EPOCHS if setting.quick else EPOCHS
    how, rate = (epochs, setting), setting[RATE]
    rows = [one(name, depth, rate, *how) for depth in DEPTHS for name in COMPARED]
    large = [one(name, 1, setting[LARGE], *how) for name in ACTIVATIONS]
    return {"rows": rows, "large": large}


# -- what is told ----------------------------------------------------------------------


def table(results: dict[str, Any]) -> Table:
    head = (
        *(tr("activation"), tr("hidden layers"), tr("rate η"), tr("mean f′")),
        *("‖∂ℒ/∂W⁽¹⁾‖", tr("of the last layer"), tr("dead units"), tr("accuracy")),
    )
    rows = [
        (
            row["activation"],
            number(row["depth"]),
            number(row["rate"]),
            *(number(row[key], 2) for key in ("slope", "first", "last")),
            percent(row["dead"], 0),
            percent(row["accuracy"], 1),
        )
        for row in (*results["rows"], *results["large"])
    ]
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    rows = {(row["activation"], row["depth"]): row for row in results["rows"]}
    return [_slopes(results), _passed(rows), _learnt(rows), _cost(results)]


def _slopes(results: dict[str, Any]) -> Finding:
    mean = {
        name: float(
            np.mean([r["slope"] for r in results["rows"] if r["activation"] == name])
        )
        for name in COMPARED
    }
    return compared(
        mean["Sigmoid"] <= 0.25 < mean["ReLU"],
        tr(
            "The slopes at the start are {sigmoid} on average with sigmoid, which has "
            "¼ at most, and {relu} with ReLU, where that is the share of active units: "
            "their slope is 1.",
            sigmoid=number(mean["Sigmoid"], 2),
            relu=number(mean["ReLU"], 2),
        ),
        tr("at most ¼, and about ½"),
    )


def _passed(rows: dict[tuple[str, int], dict[str, Any]]) -> Finding:
    deep = DEPTHS[-1]
    ratios = {
        name: rows[name, deep]["first"] / rows[name, deep]["last"] for name in COMPARED
    }
    return compared(
        ratios["Sigmoid"] < ratios["ReLU"] / 10,
        tr(
            "Through {n} layers, ‖∂ℒ/∂W⁽¹⁾‖ over that of the last layer is {sigmoid} "
            "with sigmoid and {relu} with ReLU.",
            n=deep,
            sigmoid=number(ratios["Sigmoid"], 2),
            relu=number(ratios["ReLU"], 2),
        ),
        tr("Sigmoid passes less than a tenth of what ReLU does."),
    )


def _learnt(rows: dict[tuple[str, int], dict[str, Any]]) -> Finding:
    def accuracies(name: str) -> str:
        return listed([percent(rows[name, d]["accuracy"], 1) for d in DEPTHS])

    deep = DEPTHS[-1]
    lost = rows["ReLU", deep]["accuracy"] - rows["Sigmoid", deep]["accuracy"]
    return compared(
        lost > 0.1
        and all(
            rows["ReLU", d]["accuracy"] >= rows["Sigmoid", d]["accuracy"]
            for d in DEPTHS
        ),
        tr(
            "Accuracy with {depths} hidden layers: sigmoid {sigmoid}; ReLU {relu}.",
            depths=listed([str(depth) for depth in DEPTHS]),
            sigmoid=accuracies("Sigmoid"),
            relu=accuracies("ReLU"),
        ),
        tr("ReLU learns at every depth, and deep sigmoids learn much less."),
    )


def _cost(results: dict[str, Any]) -> Finding:
    large = {row["activation"]: row for row in results["large"]}
    relu, leaky = large["ReLU"], large["Leaky ReLU"]
    small = next(
        row
        for row in results["rows"]
        if row["activation"] == "ReLU" and row["depth"] == relu["depth"]
    )
    return compared(
        relu["dead"] > small["dead"] and leaky["accuracy"] > relu["accuracy"],
        tr(
            "What ReLU costs: with η = {large} and one layer, {dead} of its units are "
            "0 for each of the other digits at the end ({few} with η = {rate}), and "
            "its accuracy is {relu}; Leaky ReLU's is {leaky}, sigmoid's {sigmoid}.",
            large=number(relu["rate"]),
            dead=percent(relu["dead"], 0),
            few=percent(small["dead"], 0),
            rate=number(small["rate"]),
            relu=percent(relu["accuracy"], 1),
            leaky=percent(leaky["accuracy"], 1),
            sigmoid=percent(large["Sigmoid"]["accuracy"], 1),
        ),
        tr("A large rate kills ReLU units, and Leaky ReLU's slope of 0.01 saves them."),
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    functions, flows, learnt = figure.subplots(1, 3)
    z = np.linspace(-5, 5, 201)
    for i, name in enumerate(COMPARED):
        activation = ACTIVATIONS[name]()
        slope = cr.grad(lambda z, f=activation: f(z).sum())(cr.tensor(z)).numpy()
        panels.line(functions, i, z, slope, f"{name}′")
        deep = next(
            row
            for row in results["rows"]
            if (row["activation"], row["depth"]) == (name, DEPTHS[-1])
        )
        places = range(1, len(deep["deltas"]) + 1)
        panels.line(flows, i, places, deep["deltas"], name, marked=True)
        mine = [row for row in results["rows"] if row["activation"] == name]
        panels.line(
            learnt,
            i,
            [row["depth"] for row in mine],
            [100 * row["accuracy"] for row in mine],
            name,
            marked=True,
        )
    panels.words(functions, tr("slope f′(z)"), "z")
    panels.logarithmic(flows.yaxis)
    panels.words(flows, tr("‖∂ℒ/∂a⁽ˡ⁾‖ at the start"), tr("layer l"))
    learnt.set_xticks(DEPTHS)
    learnt.set_ylim(0, 100)
    panels.words(learnt, tr("accuracy, %"), tr("hidden layers"))
