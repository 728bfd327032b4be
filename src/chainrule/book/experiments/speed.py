"""An experiment on speed: Python loops, NumPy, machine code, threads.

One training step of one layer, z = Wx + b, a = ReLU(z), ℒ = ½ mean ‖a − y‖², the same
four times: number by number in Python, as arrays on the NumPy engine, as machine code
of the native engine, and that with all cores. They start from the same weights and must
come to the same ones. Each round measures all of them one after the other, so that they
meet the same moment of the machine; a ratio is within a round.

Times are those of the machine that it runs on, at that moment.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.experiments import panels
from chainrule.book.experiments.experiment import About, Finding, Setting, compared
from chainrule.book.experiments.parameters import Parameter
from chainrule.engines import native_problem
from chainrule.engines.threads import available_cores
from chainrule.graph.node import Array
from chainrule.text import _, ngettext, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table

SECTIONS = ("1.8", "3.9")
FORMULA = "W ← W − η δxᵀ,  δ = (a − y) ⊙ f′(z),  a = f(Wx + b)"
LEFT = 1
SIZE = (7.5, 3.4)

PARAMETERS = (
    Parameter("samples", _("samples"), 128, 2, 128, quick=32),
    Parameter("inputs", _("inputs"), 256, 2, 256, quick=128),
    Parameter("outputs", _("outputs"), 256, 2, 256, quick=64),
)
#: How often each way is measured.
ROUNDS, QUICK_ROUNDS = 7, 5
RATE = 0.1
#: A measurement repeats a quick step until it takes so many seconds.
LONG = 0.02
#: Multiplications of the book's network on MNIST: ten epochs of 60,000 samples, each
#: weight three times (forward, ∂ℒ/∂a, ∂ℒ/∂W).
WHOLE = 10 * 60_000 * 3 * (784 * 128 + 128 * 64 + 64 * 10)


def about(setting: Setting) -> About:
    samples, inputs, outputs = shape_of(replace(setting, quick=False))
    return About(
        tr("what arithmetic costs: loops, arrays, machine code, threads"),
        tr("What has the rise of deep learning to do with hardware?"),
        tr(
            "A training step of one layer, {inputs} → {outputs} ReLU, {samples} "
            "samples: in Python loops, in NumPy arrays, as machine code, and on all "
            "cores; {rounds} rounds of each in turns (a smaller one with --quick).",
            inputs=inputs,
            outputs=outputs,
            samples=samples,
            rounds=ROUNDS,
        ),
    )


def shape_of(setting: Setting) -> tuple[int, int, int]:
    """Return the samples, inputs and outputs of a speed experiment."""
    samples, inputs, outputs = (setting[parameter] for parameter in PARAMETERS)
    return samples, inputs, outputs


class Start:
    """The initial weights and samples for all implementations of a speed experiment."""

    def __init__(self, shape: tuple[int, int, int], seed: int) -> None:
        samples, inputs, outputs = shape
        draw = np.random.default_rng(seed)
        self.W = (draw.normal(size=(outputs, inputs)) / inputs**0.5).astype("f4")
        self.b = np.zeros(outputs, "f4")
        self.x = draw.normal(size=(samples, inputs)).astype("f4")
        self.y = draw.normal(size=(samples, outputs)).astype("f4")


Way = tuple[Callable[[], Any], Callable[[], Array]]


def in_loops(start: Start) -> Way:
    """Return a training step in plain Python loops, and a getter of its weights W."""
    W, b = start.W.tolist(), start.b.tolist()
    x, y = start.x.tolist(), start.y.tolist()

    def step() -> None:
        deltas = []
        for sample, truth in zip(x, y):
            delta = []
            for row, bias, wanted in zip(W, b, truth):
                z = bias
                for weight, value in zip(row, sample):
                    z += weight * value
                delta.append(z - wanted if z > 0 else 0.0)
            deltas.append(delta)
        share = RATE / len(x)
        for o, row in enumerate(W):
            column = [delta[o] for delta in deltas]
            for i in range(len(row)):
                total = 0.0
                for d, sample in zip(column, x):
                    total += d * sample[i]
                row[i] -= share * total
            b[o] -= share * sum(column)

    return step, lambda: np.array(W)


def compiled(start: Start, **how: Any) -> Way:
    """Return the training step compiled by the framework on an engine."""
    outputs, inputs = start.W.shape
    model = nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU())
    model.load_state_dict({"0.weight": start.W, "0.bias": start.b})
    optimizer = optim.SGD(model.parameters(), lr=RATE)
    x, y = cr.tensor(start.x), cr.tensor(start.y)

    @cr.compile(**how)
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.HalfSquaredErrorLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return lambda: step(x, y), lambda: model.state_dict()["0.weight"]


def ways(start: Start) -> dict[str, Way]:
    """Return a training step's available implementations, by name."""
    programs = {"loops": in_loops(start), "numpy": compiled(start, engine="numpy")}
    if native_problem() is None:
        programs["native"] = compiled(start, engine="native", threads=1)
        if available_cores() > 1:
            programs["threads"] = compiled(
                start, engine="native", threads=available_cores()
            )
    return programs


def seconds(step: Callable[[], Any], repeats: int) -> float:
    """Return the mean seconds of a training step."""
    began = time.perf_counter()
    for __ in range(repeats):
        step()
    return (time.perf_counter() - began) / repeats


def measure(setting: Setting) -> dict[str, Any]:
    """Measure the times of a training step's implementations, round by round.

    Before, all have made the same step.
    """
    shape = shape_of(setting)
    rounds = QUICK_ROUNDS if setting.quick else ROUNDS
    start = Start(shape, setting.seed)
    programs = ways(start)
    for step, __ in programs.values():
        step()
    truth = programs["loops"][1]()
    apart = {
        name: float(np.abs(weights() - truth).max())
        for name, (__, weights) in programs.items()
    }
    repeats = {}
    for name, (step, __) in programs.items():
        once = 0.0 if name == "loops" else min(seconds(step, 3) for __ in range(3))
        repeats[name] = max(1, round(LONG / once)) if once else 1
    times: dict[str, list[float]] = {name: [] for name in programs}
    for __ in range(rounds):
        for name, (step, __) in programs.items():
            times[name].append(seconds(step, repeats[name]))
    return {
        "shape": list(shape),
        "products": 2 * shape[0] * shape[1] * shape[2],
        "cores": available_cores(),
        "apart": apart,
        "problem": native_problem(),
        "times": times,
    }


# -- what is told ----------------------------------------------------------------------


def called(name: str, results: dict[str, Any]) -> str:
    return {
        "loops": tr("Python loops"),
        "numpy": tr("NumPy arrays"),
        "native": tr("machine code, one thread"),
        "threads": tr(
            ngettext(
                "machine code, {n} thread",
                "machine code, {n} threads",
                n=results["cores"],
            )
        ),
    }[name]


def ratios(results: dict[str, Any], slow: str, fast: str) -> tuple[float, float, float]:
    """Return an implementation's speed-up: median, 10th and 90th percentile."""
    times = results["times"]
    each = [a / b for a, b in zip(times[slow], times[fast])]
    low, high = np.percentile(each, [10, 90])
    return statistics.median(each), float(low), float(high)


def shown(ratio: tuple[float, float, float]) -> str:
    """Return a speed-up with its spread as text."""
    middle, low, high = (number(part, 3) for part in ratio)
    return f"{middle} × [{low} … {high}]"


def table(results: dict[str, Any]) -> Table:
    names = list(results["times"])
    head = (
        *(tr("way"), tr("a step, ms")),
        *(tr("over loops"), tr("over the line above"), tr("apart")),
    )
    rows = []
    for before, name in zip([None, *names], names):
        rows.append(
            (
                called(name, results),
                number(1e3 * statistics.median(results["times"][name]), 3),
                shown(ratios(results, "loops", name)) if before else "",
                shown(ratios(results, before, name)) if before else "",
                number(results["apart"][name], 2),
            )
        )
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    names = list(results["times"])
    apart = max(results["apart"].values())
    said = [
        compared(
            apart < 1e-4,
            tr(
                "All ways come to the same weights, to within {apart}.",
                apart=number(apart, 2),
            ),
            tr("the same but for float32's rounding"),
        )
    ]
    for before, name in itertools.pairwise(names):
        ratio = ratios(results, before, name)
        middle = ratio[0]
        said.append(
            compared(
                middle > 1,
                tr(
                    "{name}: {ratio} as fast as {before}.",
                    name=called(name, results),
                    ratio=shown(ratio),
                    before=called(before, results),
                ),
                tr("It is faster on a machine that has nothing else to do."),
            )
        )
    if results["problem"]:
        sentence = tr(
            "The native engine cannot run here: {why}.", why=results["problem"]
        )
        said.append(Finding(sentence, tr("machine code")))
    return [*said, _whole(results, names)]


def _whole(results: dict[str, Any], names: list[str]) -> Finding:
    def takes(name: str) -> float:
        return WHOLE / results["products"] * statistics.median(results["times"][name])

    best = min(names, key=takes)
    return Finding(
        tr(
            "At this pace the {count} multiplications that train the book's network on "
            "MNIST for ten epochs take {slow} h in {loops} and {fast} s as {best}. The "
            "formulas were known in 1986; what changed is how many multiplications a "
            "day has.",
            count=number(float(WHOLE), 2),
            slow=number(takes("loops") / 3600, 2),
            loops=called("loops", results),
            fast=number(takes(best), 2),
            best=called(best, results),
        )
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    axes = figure.subplots()
    names = list(results["times"])
    for i, name in enumerate(names):
        per_second = [results["products"] / t for t in results["times"][name]]
        axes.barh(i, statistics.median(per_second), color=panels.COLOURS[0], height=0.6)
        axes.plot(per_second, [i] * len(per_second), ".", color=panels.COLOURS[1])
        if i:
            text = f"{number(ratios(results, 'loops', name)[0], 3)} ×"
            axes.text(1.3 * max(per_second), i, text, va="center", fontsize=9)
    axes.set_yticks(range(len(names)), [called(name, results) for name in names])
    axes.invert_yaxis()
    panels.logarithmic(axes.xaxis)
    slowest = results["products"] / max(map(max, results["times"].values()))
    axes.set_xlim(10.0 ** np.floor(np.log10(slowest / 2)), 5 * axes.get_xlim()[1])
    panels.words(axes, across=tr("multiplications a second (points: rounds)"))
