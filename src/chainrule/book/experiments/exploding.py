"""An experiment on exploding gradients in a recurrent network, and clipping.

A linear recurrence hₜ = Whₜ₋₁ + uxₜ is to remember its first input over T steps. W
starts as g times an orthogonal matrix, so that all is known: each step back multiplies
∂ℒ/∂h by g exactly, ‖∂ℒ/∂h₁‖ = g^(T−1) ‖∂ℒ/∂h_T‖. With g > 1 the first update is so long
that training is lost; clipped to a length, ∂ℒ/∂θ still shows the way. With g < 1 what
comes back from the first step is too small, and no limit to lengths makes anything
longer.

Source: Bengio, Simard & Frasconi 1994; Pascanu, Mikolov & Bengio 2013.
"""

from __future__ import annotations

import math
from typing import Any

import chainrule as cr
from chainrule import nn, optim
from chainrule.book.experiments import panels
from chainrule.book.experiments.descent import descended, stepper
from chainrule.book.experiments.experiment import About, Finding, Setting, compared
from chainrule.book.experiments.parameters import Parameter
from chainrule.text import _, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table

SECTIONS = ("3.8",)
FORMULA = "hₜ = W hₜ₋₁ + u xₜ;  ‖∂ℒ/∂h₁‖ = gᵀ⁻¹ ‖∂ℒ/∂h_T‖;  g_θ ← g_θ · min(1, c/‖g_θ‖)"
LEFT = 0
SIZE = (9.0, 3.8)

UNITS, SAMPLES, STEPS = 16, 256, 500
GAIN = Parameter("gain", _("largest g"), 1.1, 1.01, 1.5)
SMALL = Parameter("small", _("least g"), 0.5, 0.1, 0.99)
LENGTH = Parameter("length", _("steps in time T"), 30, 5, 60)
LIMIT = Parameter("limit", _("limit c of ‖g_θ‖"), 1.0, 0.01, 100.0, logarithmic=True)
RATE = Parameter("rate", _("rate η"), 0.01, 0.001, 0.1, logarithmic=True)
PARAMETERS = (GAIN, SMALL, LENGTH, LIMIT, RATE)


def about(setting: Setting) -> About:
    return About(
        tr("exploding gradients, and what clipping cures"),
        tr("Why do gradients explode, and does clipping cure vanishing ones as well?"),
        tr(
            "A linear recurrence of {units} units learns to remember the first of "
            "{length} numbers; W starts as g times an orthogonal matrix, g = {gains}. "
            "The gradients at the start, held against gᵀ⁻ᵗ; then {steps} steps with "
            "η = {rate}, without clipping and with ‖g_θ‖ ≤ {limit}.",
            units=UNITS,
            length=setting[LENGTH],
            gains=", ".join(map(number, gains(setting))),
            steps=STEPS,
            rate=number(setting[RATE]),
            limit=number(setting[LIMIT]),
        ),
    )


def gains(setting: Setting) -> tuple[float, float, float]:
    """Return the gains g of the recurrences that are compared, in rising order."""
    return setting[SMALL], 1.0, setting[GAIN]


class Recurrence(nn.Module):
    """A linear recurrent network hₜ = Whₜ₋₁ + uxₜ from h₁ = ux₁, with ŷ = vᵀh_T."""

    def __init__(self, gain: float, length: int) -> None:
        super().__init__()
        self.length = length
        self.W = nn.Linear(UNITS, UNITS, bias=False, dtype="float64")
        self.u = nn.Linear(1, UNITS, bias=False, dtype="float64")
        self.v = nn.Linear(UNITS, 1, bias=False, dtype="float64")
        nn.init.orthogonal_(self.W.weight, gain)

    def states(self, x: Any) -> list[Any]:
        """Return a recurrent network's hidden states h₁ … h_T for input sequences."""
        states = [self.u(x[:, :1])]
        for t in range(1, self.length):
            states.append(self.W(states[-1]) + self.u(x[:, t : t + 1]))
        return states

    def forward(self, x: Any) -> Any:
        return self.v(self.states(x)[-1])


def flow(model: Recurrence, x: Any, y: Any) -> list[float]:
    """Return a recurrent network's gradient norms ‖∂ℒ/∂hₜ‖ for t = 1 … T."""
    states = model.states(x)
    loss = nn.MSELoss()(model.v(states[-1]), y)
    return [
        math.sqrt((g * g).sum().item())
        for g in cr.gradients(loss, states)
        if g is not None
    ]


def one(gain: float, setting: Setting) -> dict[str, Any]:
    """Measure a recurrent gain: gradients, and training with and without clipping."""
    row: dict[str, Any] = {"gain": gain}
    for name, limit in (("free", None), ("clipped", setting[LIMIT])):
        cr.manual_seed(setting.seed)
        x = cr.randn(SAMPLES, setting[LENGTH], dtype="float64")
        y = x[:, :1]
        model = Recurrence(gain, setting[LENGTH])
        if limit is None:
            row["flow"] = flow(model, x, y)
            row["trivial"] = (y * y).mean().item()
        optimizer = optim.SGD(model.parameters(), lr=setting[RATE], clip_norm=limit)
        row[name] = descended(stepper(model, nn.MSELoss(), optimizer), x, y, STEPS)
    return row


def measure(setting: Setting) -> dict[str, Any]:
    """Measure exploding gradients for each gain of the recurrent network."""
    return {
        "rows": [one(gain, setting) for gain in gains(setting)],
        "length": setting[LENGTH],
        "limit": setting[LIMIT],
    }


# -- what is told ----------------------------------------------------------------------


def ratio(row: dict[str, Any]) -> float:
    """Return the ratio ‖∂ℒ/∂h₁‖ / ‖∂ℒ/∂h_T‖ of first to last gradient norm."""
    return row["flow"][0] / row["flow"][-1]


def ended(losses: list[float]) -> str:
    """Return a training's last loss as text, or its step where the loss is infinite."""
    if math.isfinite(losses[-1]):
        return number(losses[-1])
    return tr("∞ at step {step}", step=len(losses))


def learnt(row: dict[str, Any], way: str) -> bool:
    """Return whether a training's final loss is below half the loss of predicting 0."""
    return row[way][-1] < row["trivial"] / 2  # not so for NaN


def table(results: dict[str, Any]) -> Table:
    head = (
        "g",
        *("‖∂ℒ/∂h₁‖ / ‖∂ℒ/∂h_T‖", tr("exactly")),
        *(tr("ℒ at the start"), tr("without clipping"), tr("with clipping")),
        tr("ℒ of ŷ = 0"),
    )
    rows = [
        (
            number(row["gain"]),
            number(ratio(row)),
            number(row["gain"] ** (results["length"] - 1)),
            number(row["free"][0]),
            *(ended(row[way]) for way in ("free", "clipped")),
            number(row["trivial"]),
        )
        for row in results["rows"]
    ]
    return [head, *rows]


def answer(results: dict[str, Any]) -> list[Finding]:
    rows = results["rows"]
    return [_product(results), _explosion(rows[-1], results), _vanishing(rows[0])]


def _product(results: dict[str, Any]) -> Finding:
    powers = [row["gain"] ** (results["length"] - 1) for row in results["rows"]]
    off = max(
        abs(ratio(row) / power - 1) for row, power in zip(results["rows"], powers)
    )
    return compared(
        off < 1e-9,
        tr(
            "Over {n} steps back a gradient is multiplied by {ratios}: that is g to "
            "the power {n}, to within {off}. The product of the chain rule does it.",
            n=results["length"] - 1,
            ratios=tr("; ").join(number(ratio(row)) for row in results["rows"]),
            off=number(off, 2),
        ),
        tr("exact powers of g, as W is orthogonal"),
    )


def _explosion(row: dict[str, Any], results: dict[str, Any]) -> Finding:
    lost = not math.isfinite(row["free"][-1])
    return compared(
        lost and learnt(row, "clipped"),
        tr(
            "Exploding, g = {gain}: without clipping {free}; with ‖g_θ‖ ≤ {limit} the "
            "loss goes from {first} to {last}.",
            gain=number(row["gain"]),
            free=tr(
                "the loss is no finite number any more at step {step}",
                step=len(row["free"]),
            )
            if lost
            else tr("it ends at {last}", last=number(row["free"][-1])),
            limit=number(results["limit"]),
            first=number(row["clipped"][0]),
            last=ended(row["clipped"]),
        ),
        tr("Training is lost without clipping, and learns with it."),
    )


def _vanishing(row: dict[str, Any]) -> Finding:
    return compared(
        not learnt(row, "free") and not learnt(row, "clipped"),
        tr(
            "Vanishing, g = {gain}: {free} without and {clipped} with clipping, where "
            "saying 0 costs {trivial}. Clipping {told}.",
            gain=number(row["gain"]),
            free=ended(row["free"]),
            clipped=ended(row["clipped"]),
            trivial=number(row["trivial"]),
            told=tr("cures vanishing, too")
            if learnt(row, "clipped")
            else tr("does not cure vanishing: it only shortens"),
        ),
        tr("no learning, with or without"),
    )


def draw(figure: Any, results: dict[str, Any]) -> None:
    flows, curves = figure.subplots(1, 2)
    for i, row in enumerate(results["rows"]):
        relative = [value / row["flow"][-1] for value in row["flow"]]
        places = range(1, len(relative) + 1)
        panels.points(flows, i, places, relative, f"g = {number(row['gain'])}")
        exact = [row["gain"] ** (results["length"] - t) for t in places]
        flows.plot(places, exact, color=panels.COLOURS[i], linewidth=0.8)
    panels.logarithmic(flows.yaxis)
    flows.set_xticks(panels.quarters(results["length"], 6))
    panels.words(flows, tr("‖∂ℒ/∂hₜ‖ by step, lines: exact"), "t")

    for i, row in enumerate(results["rows"]):
        name = f"g = {number(row['gain'])}"
        free = [loss for loss in row["free"] if math.isfinite(loss) and loss < 1e6]
        look = {"color": panels.COLOURS[i], "linewidth": 1.7}
        label = tr("{name}, clipped", name=name)
        curves.plot(
            range(1, len(row["clipped"]) + 1), row["clipped"], **look, label=label
        )
        curves.plot(
            range(1, len(free) + 1), free, **look, linestyle=(0, (1, 1.5)), label=name
        )
        if free and not math.isfinite(row["free"][-1]):
            curves.plot(len(free), free[-1], "x", color=panels.COLOURS[i], markersize=9)
    panels.logarithmic(curves.xaxis, curves.yaxis)
    panels.level(curves, results["rows"][0]["trivial"], tr("ŷ = 0"))
    panels.words(curves, tr("loss by step; ×: lost"), tr("steps"), "ℒ")
