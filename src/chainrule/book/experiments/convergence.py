"""An experiment on the convergence of gradient descent and its geometry.

On ℒ = ½ θᵀHθ the rule θ ← θ − ηHθ multiplies what lies along the i-th axis of the
valley by 1 − ηλᵢ. So it converges if and only if 0 < η < 2/λ_max; the best rate is
2/(λ_min + λ_max), and each step then shrinks the distance by (κ − 1)/(κ + 1), κ =
λ_max/λ_min.

Source: Boyd & Vandenberghe, Convex Optimization, 9.3.1; Nesterov 2004, theorem 2.1.15.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import optim
from chainrule.book.experiments import panels
from chainrule.book.experiments.experiment import About, Finding, Setting, compared
from chainrule.book.experiments.parameters import Parameter, among
from chainrule.graph.node import Array
from chainrule.text import _, tr
from chainrule.text.numbers import number
from chainrule.text.tables import Table

SECTIONS = ("2.10", "2.6.2")
FORMULA = "ℒ = ½ θᵀHθ,  θ ← θ − η ∂ℒ/∂θ;  ‖θₜ‖ ~ ρᵗ,  ρ = max |1 − ηλᵢ|"
LEFT = 0
SIZE = (9.0, 4.0)

#: λ_max.
STEEPEST = 4.0
#: η of one of the ways that are drawn, and λ_max/λ_min of that valley.
RATE = Parameter("rate", _("rate η"), 0.5 / STEEPEST, 0.005, 0.55)
KAPPA = Parameter("kappa", _("condition number κ"), 25.0, 1.5, 400.0, logarithmic=True)
PARAMETERS = (RATE, KAPPA)
#: The condition numbers that are compared.
KAPPAS = (2.0, 10.0, 25.0, 100.0)
#: Which way the valley runs, in radians.
TURN = math.radians(30)
STEPS = 200
#: Rates as multiples of 1/λ_max; the best and the chosen one are compared with them.
MULTIPLES = (0.1, 0.5, 1.0, 1.5, 1.99, 2.0, 2.05)
#: A distance shrinks to this share of what it was.
SMALL = 1e-6


def about(setting: Setting) -> About:
    return About(
        tr("why gradient descent converges, and what it looks like"),
        tr(
            "Why does gradient descent converge, and what does that mean geometrically?"
        ),
        tr(
            "{n} rates η on a quadratic valley with λ_max = {steepest} and κ = "
            "{kappa}, {steps} steps each, held against the exact iteration θₜ = Q(I − "
            "ηΛ)ᵗQᵀθ₀; then the best η for several κ.",
            n=len(rates(setting)),
            steepest=number(STEEPEST),
            kappa=number(setting[KAPPA]),
            steps=STEPS,
        ),
    )


def best_rate(kappa: float) -> float:
    """Return the learning rate 2/(λ_min + λ_max) at a condition number."""
    return 2 / (STEEPEST + STEEPEST / kappa)


def rates(setting: Setting) -> list[float]:
    """Return the learning rates that are compared, in rising order."""
    usual = [multiple / STEEPEST for multiple in MULTIPLES]
    return among(among(usual, best_rate(setting[KAPPA])), setting[RATE])


def axes_of(kappa: float) -> tuple[Array, Array]:
    """Return eigenvalues λ and eigenvectors Q of a quadratic loss's Hessian QΛQᵀ."""
    c, s = math.cos(TURN), math.sin(TURN)
    return np.array([STEEPEST / kappa, STEEPEST]), np.array([[c, -s], [s, c]])


def descent(kappa: float, rate: float, steps: int) -> Array:
    """Return the path θ₀ … θ of the framework's own gradient descent.

    The start is as far along the valley as across.
    """
    slopes, axes = axes_of(kappa)
    h = cr.tensor(axes @ np.diag(slopes) @ axes.T)
    theta = cr.tensor(axes @ np.ones(2), requires_grad=True)
    optimizer = optim.SGD([theta], lr=rate)

    @cr.compile
    def step() -> Any:
        optimizer.zero_grad()
        ((h @ theta) * theta).sum().mul(0.5).backward()
        optimizer.step()
        return theta + 0.0

    return np.array([theta.numpy(), *(step().numpy() for _ in range(steps))])


def exact(kappa: float, rate: float, steps: int) -> Array:
    """Return the path of gradient descent on a quadratic loss by its closed form."""
    slopes, axes = axes_of(kappa)
    powers = (1 - rate * slopes) ** np.arange(steps + 1)[:, None]
    return powers @ axes.T


def turns(path: Array) -> float:
    """Return the mean angle between consecutive gradient-descent steps, in degrees."""
    moves = np.diff(path, axis=0)
    cosines = (moves[1:] * moves[:-1]).sum(1)
    cosines /= np.linalg.norm(moves[1:], axis=1) * np.linalg.norm(moves[:-1], axis=1)
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean())


def along_contours(kappa: float, path: Array) -> float:
    """Return the largest |cosine| between a descent step and the loss contour."""
    slopes, axes = axes_of(kappa)
    round_ = path[:-1] @ axes * np.sqrt(slopes)  # where the contours are circles
    tangents = np.stack([-round_[:, 1], round_[:, 0]], 1) / np.sqrt(slopes) @ axes.T
    moves = np.diff(path, axis=0)
    cosines = (tangents * moves).sum(1) / np.linalg.norm(tangents, axis=1)
    return float(np.abs(cosines / np.linalg.norm(moves, axis=1)).max())


def steps_to(share: float, path: Array) -> int | None:
    """Return the number of descent steps until a share of the distance is left."""
    distances = np.linalg.norm(path, axis=1)
    there = np.flatnonzero(distances <= share * distances[0])
    return int(there[0]) if len(there) else None


def one(rate: float, kappa: float) -> dict[str, Any]:
    """Measure gradient descent with one learning rate in one valley."""
    path, truth = descent(kappa, rate, STEPS), exact(kappa, rate, STEPS)
    distances = np.linalg.norm(path, axis=1)
    apart = np.linalg.norm(path - truth, axis=1) / np.linalg.norm(truth, axis=1)
    return {
        "rate": rate,
        "theory": float(np.abs(1 - rate * axes_of(kappa)[0]).max()),
        "measured": float(distances[-1] / distances[-2]),
        "left": float(distances[-1] / distances[0]),
        "turn": turns(path[:21]),
        "across": along_contours(kappa, path[:21]),
        "apart": float(apart.max()),
        "path": path[:61].tolist(),
    }


def best(kappa: float) -> dict[str, Any]:
    """Measure gradient descent at a condition number's best learning rate."""
    rate = best_rate(kappa)
    theory = (kappa - 1) / (kappa + 1)
    needed = math.ceil(math.log(SMALL) / math.log(theory) - 1e-9)
    path = descent(kappa, rate, needed + 20)
    distances = np.linalg.norm(path, axis=1)
    return {
        "kappa": kappa,
        "rate": rate,
        "theory": theory,
        "measured": float(distances[-1] / distances[-2]),
        "steps": steps_to(SMALL, path),
        "steps_theory": needed,
    }


def measure(setting: Setting) -> dict[str, Any]:
    """Measure gradient descent at all rates, and at several valleys' best rates."""
    kappa = setting[KAPPA]
    return {
        "limit": 2 / STEEPEST,
        "kappa": kappa,
        "rate": setting[RATE],
        "steps": STEPS,
        "rates": [one(rate, kappa) for rate in rates(setting)],
        "best": [best(each) for each in among(KAPPAS, kappa)],
    }


def verdict(row: dict[str, Any]) -> str:
    """Return whether a gradient descent converges, diverges or neither, in words."""
    if abs(row["measured"] - 1) < 1e-9:
        return tr("neither")
    return tr("converges") if row["measured"] < 1 else tr("diverges")


def table(results: dict[str, Any]) -> Table:
    head = (
        *(tr("rate η"), tr("ρ in theory"), tr("ρ measured")),
        tr("‖θ‖ left after {steps} steps", steps=results["steps"]),
        *(tr("turn a step"), tr("what it does")),
    )
    return [
        head,
        *(
            (
                *(number(row[key]) for key in ("rate", "theory", "measured", "left")),
                f"{row['turn']:.0f}°",
                verdict(row),
            )
            for row in results["rates"]
        ),
    ]


def answer(results: dict[str, Any]) -> list[Finding]:
    return [_limit(results), _truth(results), *_best(results), *_geometry(results)]


def _limit(results: dict[str, Any]) -> Finding:
    limit, rows = results["limit"], results["rates"]
    as_said = all(
        (row["measured"] < 1 - 1e-9) == (row["rate"] < limit)
        and (row["measured"] > 1 + 1e-9) == (row["rate"] > limit)
        for row in rows
    )
    converged = [row["rate"] for row in rows if row["measured"] < 1 - 1e-9]
    diverged = [row["rate"] for row in rows if row["measured"] > 1 + 1e-9]
    return compared(
        as_said,
        tr(
            "Of the {n} rates those that converge are {m}, the largest of them {most}; "
            "those that diverge are {k}, the least of them {least}. 2/λ_max is "
            "{limit}.",
            n=len(rows),
            m=len(converged),
            most=number(max(converged, default=None)),
            k=len(diverged),
            least=number(min(diverged, default=None)),
            limit=number(limit),
        ),
        tr("Every rate below 2/λ_max converges, and every one above it diverges."),
    )


def _truth(results: dict[str, Any]) -> Finding:
    apart = max(row["apart"] for row in results["rates"])
    off = max(abs(row["measured"] - row["theory"]) for row in results["rates"])
    return compared(
        apart < 1e-9 and off < 1e-3,
        tr(
            "Each step shrinks the distance by the factor max |1 − ηλᵢ|, to within "
            "{off}; the whole way is that of the exact iteration, to within {apart} of "
            "its length.",
            off=number(off, 2),
            apart=number(apart, 2),
        ),
        tr("the same but for rounding"),
    )


def _best(results: dict[str, Any]) -> list[Finding]:
    rows = results["rates"]
    fastest = min(rows, key=lambda row: row["measured"])
    wanted = next(b for b in results["best"] if b["kappa"] == results["kappa"])
    said = [
        compared(
            math.isclose(fastest["rate"], wanted["rate"]),
            tr(
                "The fastest of them is η = {rate}; 2/(λ_min + λ_max) is {best}.",
                rate=number(fastest["rate"]),
                best=number(wanted["rate"]),
            ),
            tr("the rate 2/(λ_min + λ_max)"),
        )
    ]
    parts = [
        tr(
            "κ = {kappa}: {steps} steps",
            kappa=number(b["kappa"]),
            steps=number(b["steps"]),
        )
        for b in results["best"]
    ]
    said.append(
        compared(
            all(
                b["steps"] == b["steps_theory"]
                and abs(b["measured"] - b["theory"]) < 1e-9
                for b in results["best"]
            ),
            tr(
                "At the best rate the distance falls to {small} of itself in: {parts}. "
                "A longer valley takes longer, and (κ − 1)/(κ + 1) says how long.",
                small=number(SMALL),
                parts=tr("; ").join(parts),
            ),
            tr("; ").join(
                tr(
                    "κ = {kappa}: {steps} steps",
                    kappa=number(b["kappa"]),
                    steps=number(b["steps_theory"]),
                )
                for b in results["best"]
            ),
        )
    )
    return said


def _geometry(results: dict[str, Any]) -> list[Finding]:
    rows = [row for row in results["rates"] if row["rate"] < results["limit"]]
    slow, fast = rows[0], rows[-1]
    across = max(row["across"] for row in results["rates"])
    return [
        compared(
            across < 1e-9,
            tr(
                "Each step leaves its contour at a right angle (|cos| ≤ {across}): "
                "−∂ℒ/∂θ is the steepest way down, not the way to the bottom.",
                across=number(across, 2),
            ),
            tr("a right angle"),
        ),
        compared(
            fast["turn"] > 90 > slow["turn"],
            tr(
                "With η = {slow} a step turns by {little}° against the last one, with "
                "η = {fast} by {much}°: the first creeps along the valley, the second "
                "goes to and fro across it.",
                slow=number(slow["rate"]),
                little=f"{slow['turn']:.0f}",
                fast=number(fast["rate"]),
                much=f"{fast['turn']:.0f}",
            ),
            tr("less than 90° and more than 90°"),
        ),
    ]


def draw(figure: Any, results: dict[str, Any]) -> None:
    plane, curve = figure.subplots(1, 2)
    slopes, q = axes_of(results["kappa"])

    def height(x: Any, y: Any) -> Any:
        along, across = q[0, 0] * x + q[1, 0] * y, q[0, 1] * x + q[1, 1] * y
        return (slopes[0] * along**2 + slopes[1] * across**2) / 2

    levels = [0.002, 0.01, 0.03, 0.08, 0.2, 0.45, 0.9]
    panels.valley(plane, height, (-0.6, 1.4), (-0.75, 1.6), levels)
    drawn = (0.5 / STEEPEST, best_rate(results["kappa"]), 2.05 / STEEPEST)
    chosen = [
        row
        for row in results["rates"]
        if any(math.isclose(row["rate"], rate) for rate in (*drawn, results["rate"]))
    ]
    for i, row in enumerate(chosen):
        steps = 8 if row["measured"] > 1 else 40
        panels.path(plane, i, row["path"][: steps + 1], f"η = {number(row['rate'], 3)}")
    title = tr("the ways of three rates")
    if len(chosen) > 3:
        title = tr("the ways of {n} rates", n=len(chosen))
    panels.words(plane, title, "θ₁", "θ₂")
    plane.set_aspect("equal")

    most = max(2.15, 1.02 * STEEPEST * results["rate"])
    grid = np.linspace(0, most, 216) / STEEPEST
    theory = np.abs(1 - grid[:, None] * slopes).max(1)
    panels.line(curve, 0, grid, theory, "max |1 − ηλᵢ|")
    across, up = (
        [row[key] for row in results["rates"]] for key in ("rate", "measured")
    )
    panels.points(curve, 1, across, up, tr("measured"))
    panels.level(curve, 1.0)
    panels.upright(curve, results["limit"], "2/λ_max")
    panels.words(curve, tr("a step multiplies the distance by"), tr("rate η"), "ρ")
