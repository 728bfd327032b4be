"""An experiment on deep against wide networks with as many parameters.

A hidden layer of n ReLU units makes at most n + 1 straight pieces of a line. Layers one
behind the other multiply: the tent t(x) = 2x₊ − 4(x − ½)₊ takes two units, and k tents
composed are a saw of 2ᵏ pieces. So 6k + 1 parameters in depth do what takes
3(2ᵏ − 1) + 1 in one layer. That is what networks *can* do. What descent learns is
another question, asked here on a saw and on a smooth wave.

Source: Telgarsky 2016; Montúfar, Pascanu, Cho & Bengio 2014.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.experiments import panels
from chainrule.book.experiments.descent import descended, stepper
from chainrule.book.experiments.experiment import (
    About,
    Finding,
    Setting,
    compared,
    paired,
)
from chainrule.book.experiments.parameters import Parameter
from chainrule.graph.node import Array
from chainrule.text import _, ngettext, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table

SECTIONS = ("2.8",)
FORMULA = "t(x) = 2x₊ − 4(x − ½)₊,  f = t∘t∘…∘t = tᵏ"
LEFT = 1
SIZE = (9.0, 3.8)

#: Tents on tents.
TENTS = (1, 2, 4, 6, 8)
#: Networks of about 1500 parameters, by the sizes of their hidden layers.
SHAPES = ((500,), (37, 37), (26, 26, 26), (21, 21, 21, 21))
SAMPLES = 256
TRIES, QUICK_TRIES = 3, 1
#: Tents of the saw that is learnt: 2ᵏ pieces.
LEVELS = Parameter("levels", _("k: the saw has 2ᵏ pieces"), 4, 1, 6)
STEPS = Parameter("steps", _("steps"), 3000, 10, 5000, logarithmic=True)
RATE = Parameter("rate", _("rate η"), 0.01, 0.0005, 0.1, logarithmic=True)
PARAMETERS = (LEVELS, STEPS, RATE)


def about(setting: Setting) -> About:
    return About(
        tr("depth against width, with as many parameters"),
        tr("Why do layers one behind the other do more than units side by side?"),
        tr(
            "First, saws of 2ᵏ pieces written down as k layers of two units, their "
            "pieces counted. Then networks of about {n} parameters with 1 to {depth} "
            "hidden layers learn a saw of {pieces} pieces and a sine, {tries} times "
            "each (once with --quick), {steps} steps of Adam.",
            n=number(parameters(SHAPES[0])),
            depth=len(SHAPES),
            pieces=2 ** setting[LEVELS],
            tries=TRIES,
            steps=number(setting[STEPS]),
        ),
    )


def saw(x: Array, levels: int) -> Array:
    """Return the composed tent function (a saw-tooth target) at x in [−1, 1]."""
    x = (x + 1) / 2
    for __ in range(levels):
        x = np.where(x < 0.5, 2 * x, 2 - 2 * x)
    return 2 * x - 1


def wave(x: Array, levels: int) -> Array:
    """Return a sine at x in [−1, 1]; of tents it has none."""
    return np.sin(np.pi * x)


TARGETS = {"saw": saw, "sine": wave}


def parameters(hidden: tuple[int, ...]) -> int:
    """Return the number of weights and biases of a network with hidden layer sizes."""
    sizes = (1, *hidden, 1)
    return sum(a * b + b for a, b in itertools.pairwise(sizes))


def tents(levels: int) -> nn.Sequential:
    """Construct the ReLU network of composed tent functions, two units a layer."""
    layers: list[Any] = []
    weights: dict[str, Any] = {}
    for k in range(levels):
        weights[f"{2 * k}.weight"] = [[1.0], [1.0]] if k == 0 else [[2.0, -4.0]] * 2
        weights[f"{2 * k}.bias"] = [0.0, -0.5]
        layers += [nn.Linear(1 if k == 0 else 2, 2, dtype="float64"), nn.ReLU()]
    weights[f"{2 * levels}.weight"] = [[2.0, -4.0]]
    weights[f"{2 * levels}.bias"] = [0.0]
    model = nn.Sequential(*layers, nn.Linear(2, 1, dtype="float64"))
    model.load_state_dict(weights)
    return model


def pieces(model: nn.Sequential) -> int:
    """Return the number of linear pieces of a ReLU network on [0, 1], by its slopes."""
    places = (np.arange(4096) + 0.5) / 4096
    slopes = cr.grad(lambda x: model(x).sum())(cr.tensor(places[:, None])).numpy()
    return 1 + int((np.diff(slopes[:, 0]) != 0).sum())


def network(hidden: tuple[int, ...]) -> nn.Sequential:
    """Return a ReLU network with He's weights, its kinks spread over the interval."""
    layers: list[Any] = []
    sizes = (1, *hidden, 1)
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        linear = nn.Linear(inputs, outputs, init="kaiming_normal")
        if i == 0 and linear.bias is not None:
            nn.init.uniform_(linear.bias, -1.0, 1.0)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def learnt(
    hidden: tuple[int, ...], name: str, seed: int, setting: Setting
) -> tuple[float, Array]:
    """Train a ReLU network on a target; return its RMS error and its outputs."""
    cr.manual_seed(seed)
    model = network(hidden)
    x = np.linspace(-1, 1, SAMPLES, dtype="f4")[:, None]
    y = TARGETS[name](x, setting[LEVELS]).astype("f4")
    steps = setting[STEPS]
    schedule = optim.OneCycleLR(setting[RATE], total_steps=steps)
    step = stepper(model, nn.MSELoss(), optim.Adam(model.parameters(), lr=schedule))
    descended(step, cr.tensor(x), cr.tensor(y), steps)
    with cr.no_grad():
        shown = model(cr.tensor(x)).numpy()
    return math.sqrt(float(np.square(shown - y).mean())), shown[:, 0]


def trained(
    hidden: tuple[int, ...], name: str, tries: int, setting: Setting
) -> dict[str, Any]:
    """Train several networks of one shape on a target; return the median result."""
    runs = [learnt(hidden, name, setting.seed + i, setting) for i in range(tries)]
    runs.sort(key=lambda run: run[0])
    error, shown = runs[(tries - 1) // 2]
    return {
        "target": name,
        "hidden": list(hidden),
        "parameters": parameters(hidden),
        "error": error,
        "each": [run[0] for run in runs],
        "shown": shown.tolist(),
    }


def measure(setting: Setting) -> dict[str, Any]:
    """Measure linear pieces of deep networks, and errors of deep and wide ones."""
    tries = QUICK_TRIES if setting.quick else TRIES
    counted = []
    for k in TENTS:
        model = tents(k)
        counted.append(
            {
                "levels": k,
                "pieces": pieces(model),
                "parameters": sum(p.numpy().size for p in model.parameters()),
                "one_layer": 3 * (2**k - 1) + 1,
            }
        )
    rows = [
        trained(hidden, name, tries, setting) for name in TARGETS for hidden in SHAPES
    ]
    return {
        "counted": counted,
        "rows": rows,
        "tries": tries,
        "levels": setting[LEVELS],
    }


# -- what is told ----------------------------------------------------------------------


def called(target: str) -> str:
    return tr("saw") if target == "saw" else tr("sine")


def table(results: dict[str, Any]) -> Table:
    head = (
        *(tr("target"), tr("hidden layers"), tr("parameters")),
        *(tr("error, median"), tr("error, best"), tr("error, worst")),
    )
    rows = [
        (
            called(row["target"]),
            " × ".join(map(str, row["hidden"])),
            number(row["parameters"]),
            *(number(e, 3) for e in (row["error"], row["each"][0], row["each"][-1])),
        )
        for row in results["rows"]
    ]
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    return [_exists(results), *(_learnt(results, name) for name in TARGETS)]


def _exists(results: dict[str, Any]) -> Finding:
    rows, last = results["counted"], results["counted"][-1]
    return compared(
        all(row["pieces"] == 2 ** row["levels"] for row in rows),
        tr(
            ngettext(
                "What exists: {n} layer of two units makes {pieces} pieces (counted) "
                "with {few} parameters; one hidden layer needs {many} for {wanted} "
                "pieces.",
                "What exists: {n} layers of two units make {pieces} pieces (counted) "
                "with {few} parameters; one hidden layer needs {many} for {wanted} "
                "pieces.",
                n=last["levels"],
                pieces=last["pieces"],
                few=last["parameters"],
                many=last["one_layer"],
                wanted=2 ** last["levels"],
            )
        ),
        tr("2ᵏ pieces for k layers"),
    )


def _learnt(results: dict[str, Any], name: str) -> Finding:
    rows = [row for row in results["rows"] if row["target"] == name]
    flat, deep = rows[0], rows[-1]
    errors = paired({len(row["hidden"]): number(row["error"], 3) for row in rows})
    helps = deep["error"] < flat["error"] / 2
    sentence = (
        tr("depth helps descent here")
        if helps
        else tr("depth does not help descent here")
    )
    return compared(
        helps == (name == "saw"),
        tr(
            "What is learnt, on the {name}: the median error by the number of hidden "
            "layers is {errors}; {told}.",
            name=called(name),
            errors=errors,
            told=sentence,
        ),
        tr("Depth helps on what is made of compositions.")
        if name == "saw"
        else tr("One layer is enough for a smooth function of one number."),
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    count, curve, errors = figure.subplots(1, 3)
    rows = results["counted"]
    levels = [row["levels"] for row in rows]
    panels.line(
        count,
        0,
        levels,
        [row["one_layer"] for row in rows],
        tr("one layer"),
        marked=True,
    )
    panels.line(
        count,
        1,
        levels,
        [row["parameters"] for row in rows],
        tr("k layers"),
        marked=True,
    )
    panels.logarithmic(count.yaxis)
    panels.words(count, tr("parameters for 2ᵏ pieces"), "k")

    x = np.linspace(-1, 1, SAMPLES)
    shown = [row for row in results["rows"] if row["target"] == "saw"]
    panels.line(curve, 7, x, saw(x, results["levels"]))
    for i, row in ((0, shown[0]), (1, shown[-1])):
        panels.line(
            curve,
            i,
            x,
            row["shown"],
            tr(ngettext("{n} hidden layer", "{n} hidden layers", n=len(row["hidden"]))),
        )
    curve.set_ylim(-1.2, 2.0)
    panels.words(curve, tr("the saw, learnt"), "x")

    for i, name in enumerate(TARGETS):
        mine = [row for row in results["rows"] if row["target"] == name]
        depths = [len(row["hidden"]) for row in mine]
        panels.line(
            errors, i, depths, [r["error"] for r in mine], called(name), marked=True
        )
        for row in mine:
            panels.points(
                errors, i, [len(row["hidden"])] * len(row["each"]), row["each"]
            )
    panels.logarithmic(errors.yaxis)
    errors.set_xticks([len(shape) for shape in SHAPES])
    panels.words(errors, tr("error with as many parameters"), tr("hidden layers"))
