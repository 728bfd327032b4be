"""An experiment on learning rates that are too large, too small or negative.

A network with one hidden layer of tanh learns handwritten digits by gradient descent on
the book's mean squared error. Its last layer is linear, so that a rate that is too
large really diverges: the loss grows from step to step until no float32 holds it. (With
ReLU units and a softmax a network is rather stuck: its units die, and the loss stays.)

A quadratic would diverge from η = 2/λ_max on, where λ_max is the largest curvature, the
largest eigenvalue of the Hessian. It is measured here by power iteration, with products
of the Hessian and a vector that two passes of the chain rule give (Pearlmutter 1994).
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.experiments import panels
from chainrule.book.experiments.descent import descended, on_purpose, stepper
from chainrule.book.experiments.experiment import About, Finding, Setting, compared
from chainrule.book.experiments.parameters import Parameter, among
from chainrule.nn import Module
from chainrule.text import _, tr
from chainrule.text.numbers import number, percent
from chainrule.text.tables import Table

SECTIONS = ("2.10", "3.11", "2.6.2")
FORMULA = "θ ← θ − η ∂ℒ/∂θ,  ℒ = 1/n Σ (ŷ − y)²"
LEFT = 0
SIZE = (9.0, 3.8)

SAMPLES = 1000
#: η of one of the curves that are drawn.
RATE = Parameter("rate", _("rate η"), 0.064, 0.001, 4.096, logarithmic=True)
HIDDEN = Parameter("hidden", _("hidden units"), 32, 2, 128, logarithmic=True)
STEPS = Parameter("steps", _("steps"), 100, 20, 300)
PARAMETERS = (RATE, HIDDEN, STEPS)
#: From 0.001 to 2.048, each twice the last.
RATES = tuple(0.001 * 2**k for k in range(12))
NEGATIVE = -0.064
#: Power iterations: the curvature stands still in four digits long before.
ITERATIONS = 40


def about(setting: Setting) -> About:
    return About(
        tr("a learning rate that is too large, too small or negative"),
        tr(
            "What happens if the learning rate is too large or too small? And if it is "
            "negative?"
        ),
        tr(
            "{samples} handwritten digits, 784 → {hidden} tanh → 10, {steps} steps of "
            "gradient descent from the same weights with each of {n} rates; and the "
            "curvature λ_max at the start and at the end.",
            samples=number(SAMPLES),
            hidden=setting[HIDDEN],
            steps=setting[STEPS],
            n=len(among(RATES, setting[RATE])) + 1,
        ),
    )


def network(seed: int, hidden: int) -> Module:
    """Return the experiment's digit classifier with its initial weights."""
    cr.manual_seed(seed)
    return nn.Sequential(nn.Linear(784, hidden), nn.Tanh(), nn.Linear(hidden, 10))


def curvature(model: Module, x: Any, y: Any) -> float:
    """Return the largest eigenvalue of the loss's Hessian at a model's weights."""
    loss_of = nn.MSELoss()

    def gradient(weights: Any) -> Any:
        return cr.grad(lambda w: loss_of(cr.functional_call(model, w, x), y))(weights)

    @cr.compile
    def product(weights: Any, v: Any) -> Any:
        return cr.jvp(gradient, [weights], [v])[1]

    weights = {name: p.detach() for name, p in model.named_parameters()}
    v = {name: cr.randn(*w.shape) for name, w in weights.items()}
    size = 0.0
    for __ in range(ITERATIONS):
        size = math.sqrt(sum((part * part).sum().item() for part in v.values()))
        v = product(weights, {name: part / size for name, part in v.items()})
    return math.sqrt(sum((part * part).sum().item() for part in v.values()))


def one(rate: float, setting: Setting, x: Any, y: Any) -> tuple[dict[str, Any], Module]:
    """Train the digit network with one learning rate; return losses and network."""
    model = network(setting.seed, setting[HIDDEN])
    with on_purpose():
        step = stepper(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=rate))
        losses = descended(step, x, y, setting[STEPS])
    return {"rate": rate, "losses": losses, "finite": math.isfinite(losses[-1])}, model


def measure(setting: Setting) -> dict[str, Any]:
    """Measure a loss curve for each learning rate, and the loss's curvatures."""
    digits = cr.data.mnist()[0].take(SAMPLES)
    x, y = cr.tensor(digits.x[:]), cr.tensor(np.eye(10, dtype="f4")[digits.y])
    runs = []
    ends = {}
    for rate in (*among(RATES, setting[RATE]), NEGATIVE):
        run, model = one(rate, setting, x, y)
        runs.append(run)
        if run["finite"]:
            ends[rate] = model
    start = curvature(network(setting.seed, setting[HIDDEN]), x, y)
    last = max(ends, default=None)
    return {
        "runs": runs,
        "rate": setting[RATE],
        "steps": setting[STEPS],
        "curvature": start,
        "limit": 2 / start,
        "limit_end": None if last is None else 2 / curvature(ends[last], x, y),
    }


# -- what is told ----------------------------------------------------------------------


def positive(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the training runs with positive learning rates, in rising order."""
    return [run for run in results["runs"] if run["rate"] > 0]


def best(results: dict[str, Any]) -> dict[str, Any]:
    """Return the training run with the smallest final loss."""
    finite = [run for run in results["runs"] if run["finite"]]
    return min(finite or results["runs"], key=lambda run: run["losses"][-1])


def share(run: dict[str, Any], results: dict[str, Any]) -> float:
    """Return a training run's decrease of loss as a share of the best run's."""
    losses, lowest = run["losses"], best(results)["losses"][-1]
    return (losses[0] - losses[-1]) / (losses[0] - lowest)


def verdict(run: dict[str, Any], results: dict[str, Any]) -> str:
    losses = run["losses"]
    if not run["finite"]:
        return tr("diverges: ∞ at step {step}", step=len(losses))
    if losses[-1] > losses[0]:
        return tr("climbs")
    return tr("falls, {share} of the best", share=percent(share(run, results), 0))


def table(results: dict[str, Any]) -> Table:
    def after(run: dict[str, Any], step: int) -> str:
        losses = run["losses"]
        there = len(losses) >= step and math.isfinite(losses[step - 1])
        return number(losses[step - 1]) if there else "∞"

    head = (
        tr("rate η"),
        *(tr("ℒ at step {step}", step=step) for step in (1, 10, results["steps"])),
        tr("what it does"),
    )
    rows = [
        (
            number(run["rate"]),
            *(after(run, step) for step in (1, 10, results["steps"])),
            verdict(run, results),
        )
        for run in sorted(results["runs"], key=lambda run: run["rate"])
    ]
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    return [_small(results), _large(results), _edge(results), _negative(results)]


def _small(results: dict[str, Any]) -> Finding:
    least, top = positive(results)[0], best(results)
    part = share(least, results)
    return compared(
        part < 0.5 and top["rate"] > least["rate"],
        tr(
            "Too small: with η = {rate} the loss goes from {first} to {last} in "
            "{steps} steps, {share} of what the best of these rates does, η = {best}, "
            "which gets to {lowest}.",
            rate=number(least["rate"]),
            first=number(least["losses"][0]),
            last=number(least["losses"][-1]),
            steps=results["steps"],
            share=percent(part, 0),
            best=number(top["rate"]),
            lowest=number(top["losses"][-1]),
        ),
        tr("The least rate makes less than half of the way."),
    )


def _large(results: dict[str, Any]) -> Finding:
    runs = positive(results)
    gone = [run for run in runs if not run["finite"]]
    if not gone:
        return Finding(
            tr("None of these rates diverges."), tr("The largest of them diverges.")
        )
    first, last = gone[0], gone[-1]
    return compared(
        gone == runs[-len(gone) :],
        tr(
            "Too large: with η = {rate} the loss grows until float32 cannot hold it, "
            "at step {step}; with η = {most} at step {sooner}.",
            rate=number(first["rate"]),
            step=len(first["losses"]),
            most=number(last["rate"]),
            sooner=len(last["losses"]),
        ),
        tr("Every rate above one that diverges does, too."),
    )


def _edge(results: dict[str, Any]) -> Finding:
    runs = positive(results)
    below = max((run["rate"] for run in runs if run["finite"]), default=0.0)
    above = min((run["rate"] for run in runs if not run["finite"]), default=math.inf)
    sentence = tr(
        "The edge lies between η = {below} and {above}. For a quadratic it would be "
        "2/λ_max: with the curvature at the start {limit}, with that after {steps} "
        "steps at η = {below} {end}.",
        below=number(below),
        above=number(above),
        limit=number(results["limit"]),
        steps=results["steps"],
        end=number(results["limit_end"]),
    )
    return compared(
        below < results["limit"] < above,
        sentence,
        tr(
            "The edge at 2/λ_max of the start; no loss of a network is quadratic, and "
            "the curvature changes on the way."
        ),
    )


def _negative(results: dict[str, Any]) -> Finding:
    run = next(run for run in results["runs"] if run["rate"] < 0)
    losses = run["losses"]
    rising = sum(b > a for a, b in itertools.pairwise(losses))
    end = (
        tr("float32 cannot hold it at step {step}", step=len(losses))
        if not run["finite"]
        else tr("it is {last} at the end", last=number(losses[-1]))
    )
    return compared(
        rising == len(losses) - 1,
        tr(
            "Negative: with η = {rate} the loss grows in {rising} of {steps} steps, "
            "from {first}; {end}. It is gradient ascent.",
            rate=number(run["rate"]),
            rising=rising,
            steps=len(losses) - 1,
            first=number(losses[0]),
            end=end,
        ),
        tr("It grows in every step."),
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    curves, ends = figure.subplots(1, 2)
    runs = positive(results)
    negative = next(run for run in results["runs"] if run["rate"] < 0)
    gone = [run for run in runs if not run["finite"]]
    chosen = next(run for run in runs if math.isclose(run["rate"], results["rate"]))
    shown = [runs[0], chosen, best(results), *gone[:1], negative]
    start = runs[0]["losses"][0]
    for i, run in enumerate(shown):
        losses = np.array(run["losses"], float)
        losses[~(losses < 1e6 * start)] = np.nan
        panels.line(
            curves, i, 1 + np.arange(len(losses)), losses, f"η = {number(run['rate'])}"
        )
    panels.logarithmic(curves.yaxis)
    curves.set_ylim(top=10 * start)
    panels.words(curves, tr("loss by step"), tr("steps"), "ℒ")

    finite = [run for run in runs if run["finite"]]
    last = [run["losses"][-1] for run in finite]
    panels.line(ends, 0, [run["rate"] for run in finite], last, marked=True)
    if gone:
        ends.axvspan(
            *(gone[0]["rate"], gone[-1]["rate"]),
            color=panels.COLOURS[1],
            alpha=0.15,
            label=tr("diverges"),
        )
    panels.upright(ends, results["limit"], tr("2/λ_max at the start"))
    panels.logarithmic(ends.xaxis)
    panels.words(
        ends, tr("loss after {steps} steps", steps=results["steps"]), tr("rate η"), "ℒ"
    )
