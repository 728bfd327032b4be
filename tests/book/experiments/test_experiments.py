"""Each experiment's arithmetic, against arithmetic of the test's own."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.book.experiments import (
    Setting,
    approximation,
    batches,
    convergence,
    depth,
    exploding,
    learning_rate,
    optimizers,
    relu_sigmoid,
    speed,
    symmetry,
    vanishing,
)
from chainrule.book.experiments.surface import START, Surface
from chainrule.viz import drawing


def test_descent_converges_below_two_over_the_curvature(small: Any) -> None:
    """Coordinate by coordinate, x ← (1 − ηλ)x, in Python's own floats."""
    for row in small("convergence")["rates"]:
        along = across = 1.0
        for _ in range(200):
            along *= 1 - row["rate"] * 4 / 25
            across *= 1 - row["rate"] * 4
        left = math.hypot(along, across) / math.sqrt(2)
        assert row["left"] == pytest.approx(left, rel=1e-9)
        assert (row["measured"] < 1 - 1e-9) == (row["rate"] < 0.5)
        assert row["apart"] < 1e-12


def test_the_best_rate_takes_as_many_steps_as_theory_has(small: Any) -> None:
    for row in small("convergence")["best"]:
        rate, distance, steps = (row["kappa"] - 1) / (row["kappa"] + 1), 1.0, 0
        while distance > 1e-6 * (1 + 1e-12):
            distance, steps = distance * rate, steps + 1
        assert row["steps"] == steps
        assert row["measured"] == pytest.approx(rate, abs=1e-12)


def test_a_descent_that_turns_square_on_its_way() -> None:
    path = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert convergence.turns(path) == pytest.approx(90)
    assert optimizers.swings(path) == 0
    assert optimizers.swings(np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.1]])) == 1


def test_the_curvature_is_the_largest_eigenvalue_of_the_hessian(rng: Any) -> None:
    """By second differences of the loss, in NumPy."""
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    at = np.concatenate([p.numpy().reshape(-1) for p in model.parameters()]).astype(
        float
    )

    def loss(w: Any) -> float:
        hidden = np.tanh(x @ w[:4].reshape(2, 2).T + w[4:6])
        return float(((hidden @ w[6:8] + w[8] - y[:, 0]) ** 2).mean())

    steps = 1e-4 * np.eye(9)
    hessian = np.array(
        [
            [
                loss(at + a + b)
                - loss(at + a - b)
                - loss(at - a + b)
                + loss(at - a - b)
                for a in steps
            ]
            for b in steps
        ]
    ) / (4 * 1e-8)
    largest = np.abs(np.linalg.eigvalsh(hessian)).max()
    found = learning_rate.curvature(
        model, cr.tensor(x, dtype="float32"), cr.tensor(y, dtype="float32")
    )
    assert found == pytest.approx(largest, rel=1e-3)


def test_a_rate_too_large_truly_diverges(small: Any) -> None:
    """The loss grows without a limit: it is not stuck at a large one."""
    runs = small("learning-rate")["runs"]
    losses = next(run["losses"] for run in runs if run["rate"] == 30.0)
    assert not math.isfinite(losses[-1])
    assert losses[-2] > 1e20
    grown = np.diff(np.log(losses[2:-1]))
    assert (grown > 0).all()


def test_the_spread_of_batches_by_all_of_them() -> None:
    """√E‖g_B − g‖² over every batch of two out of six, in NumPy."""
    surface = Surface(1)
    surface.x, surface.y = surface.x[:6], surface.y[:6]
    w, b = START
    errors = (w * surface.x + b - surface.y)[:, 0]
    single = np.stack([errors * surface.x[:, 0], errors], 1)
    far = [
        ((single[list(two)].mean(0) - single.mean(0)) ** 2).sum()
        for two in itertools.combinations(range(6), 2)
    ]
    found, theory = batches.spread(surface, 2, seed=0)
    assert theory == pytest.approx(math.sqrt(np.mean(far)), rel=1e-12)
    assert found == pytest.approx(theory, rel=0.1)


def test_the_least_loss_of_the_surface() -> None:
    surface = Surface(0)
    w, b = surface.minimum
    slope, height = np.polyfit(surface.x[:, 0], surface.y[:, 0], 1)
    assert (w, b) == pytest.approx((slope, height))
    errors = surface.x[:, 0] * 2.0 - 1.0 - surface.y[:, 0]
    above = (np.mean(errors**2) / 2 - surface.least) / surface.gap
    assert surface.above([[2.0, -1.0]])[0] == pytest.approx(above)


@pytest.mark.parametrize(
    ("above", "step"),
    [([1, 1e-4, 1, 1e-4], 3), ([1, 1e-4, 1e-4, 1e-4], 1), ([1, 1, 1, 1], None)],
)
def test_when_a_descent_arrives(
    monkeypatch: pytest.MonkeyPatch, above: list[float], step: int | None
) -> None:
    monkeypatch.setattr(optimizers, "STEPS", 3)
    assert optimizers.arrival(np.array(above)) == step
    assert optimizers.arrival(np.array(above[:-1])) is None  # it flew away


@pytest.mark.parametrize("width", [1, 2, 7, 32])
def test_the_constructed_network_joins_points_by_lines(width: int) -> None:
    kinks = np.linspace(-1, 1, width + 1)
    lines = np.interp(approximation.FINE, kinks, approximation.target(kinks))
    shown = approximation.values(approximation.constructed(width), "float64")
    assert np.abs(shown - lines).max() < 1e-12


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_composed_tents_have_twice_as_many_pieces_a_layer(levels: int) -> None:
    model = depth.tents(levels)
    assert depth.pieces(model) == 2**levels
    assert sum(p.numpy().size for p in model.parameters()) == 6 * levels + 1
    places = np.linspace(0, 1, 129)
    shown = model(cr.tensor(places[:, None])).numpy()[:, 0]
    assert np.array_equal(2 * shown - 1, depth.saw(2 * places - 1, levels))


def test_networks_of_as_many_parameters() -> None:
    counts = [depth.parameters(shape) for shape in depth.SHAPES]
    assert max(counts) < 1.05 * min(counts)
    for shape, count in zip(depth.SHAPES, counts):
        model = depth.network(shape)
        assert sum(p.numpy().size for p in model.parameters()) == count


def test_both_sides_of_the_transpose(small: Any) -> None:
    found = small("symmetry")
    for row in found["layers"]:
        assert row["forward"] == pytest.approx(row["backward"], rel=1e-12)
    first, *others = found["pairings"]
    assert others == pytest.approx([first] * 3, rel=1e-12)
    assert (found["forward"], found["backward"]) == (3, 5)


def test_a_backward_pass_without_the_transpose_is_seen() -> None:
    """A direction that is pulled back by W itself, where W is square."""
    W, u, v = np.array([[1.0, 2.0], [0.0, 1.0]]), np.ones(2), np.array([1.0, -1.0])
    assert symmetry.apart(v @ (W @ u), u @ (W.T @ v)) == 0
    assert symmetry.apart(v @ (W @ u), u @ (W @ v)) > 0.1


def test_slopes_and_dead_units_by_hand(rng: Any) -> None:
    x = rng.normal(size=(5, 784)).astype("f4")
    model = relu_sigmoid.network("Sigmoid", 1, Setting())
    z = x @ model[0].weight.numpy().T + model[0].bias.numpy()
    s = 1 / (1 + np.exp(-z))
    assert relu_sigmoid.slopes(model, cr.tensor(x)) == pytest.approx(
        [(s * (1 - s)).mean()], rel=1e-4
    )
    model = relu_sigmoid.network("ReLU", 1, Setting())
    z = x @ model[0].weight.numpy().T + model[0].bias.numpy()
    assert relu_sigmoid.dead(model, cr.tensor(x)) == (z <= 0).all(0).mean() > 0


def test_gradients_of_a_recurrence_are_powers(small: Any) -> None:
    for row in small("exploding")["rows"]:
        flow = np.array(row["flow"])
        assert flow[:-1] / flow[1:] == pytest.approx(row["gain"], rel=1e-9)


def test_clipping_cures_explosion_and_not_vanishing(small: Any) -> None:
    slow, _, fast = small("exploding")["rows"]
    assert not math.isfinite(fast["free"][-1])
    assert fast["clipped"][-1] < fast["clipped"][0] / 2
    assert slow["clipped"][-1] == pytest.approx(slow["free"][-1], rel=1e-2)
    assert slow["clipped"][-1] > slow["trivial"] / 2


def test_a_layer_multiplies_gradients_as_theory_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ReLU from He's weights keeps the size; from Xavier's it loses √½ a layer."""
    monkeypatch.setattr(vanishing, "depths", lambda setting: (4, 12))
    digits = cr.data.mnist()[0].take(32)
    data = cr.tensor(digits.x[:], dtype="float64"), cr.tensor(digits.y)
    he, xavier = (
        vanishing.one("ReLU", start, 3, *data, Setting())["factor"]
        for start in ("He", "Xavier")
    )
    assert he == pytest.approx(1, abs=0.12)
    assert xavier / he == pytest.approx(math.sqrt(0.5), rel=0.02)


def test_all_ways_make_the_same_step() -> None:
    start = speed.Start((5, 4, 3), seed=0)
    z = start.x @ start.W.T + start.b
    delta = (np.maximum(z, 0) - start.y) * (z > 0)
    wanted = start.W - speed.RATE / 5 * delta.T @ start.x
    ways = speed.ways(start)
    assert {"loops", "numpy"} <= set(ways)
    for step, weights in ways.values():
        step()
        assert weights() == pytest.approx(wanted, abs=1e-6)


def test_without_the_native_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "native_problem", lambda: "no llvmlite")
    monkeypatch.setattr(speed, "LONG", 1e-4)
    shape = {"samples": 2, "inputs": 3, "outputs": 2}
    found = speed.measure(Setting(quick=True, values=shape))
    assert set(found["times"]) == {"loops", "numpy"}
    assert "cannot run here: no llvmlite" in speed.answer(found)[2].text


# -- answers -------------------------------------------------------------------------


def expected(module: Any, numbers: dict[str, Any]) -> list[str]:
    return [said.expected for said in module.answer(numbers) if said.expected]


def test_an_answer_says_what_was_found_where_theory_has_something_else(
    small: Any,
) -> None:
    """Other numbers, another answer."""
    import copy

    found = small("convergence")
    assert expected(convergence, found) == []
    planted = copy.deepcopy(found)
    planted["rates"][-1]["measured"] = 0.9  # beyond 2/λ_max, and it converges
    assert "Every rate below 2/λ_max" in expected(convergence, planted)[0]

    planted = copy.deepcopy(small("exploding"))
    assert expected(exploding, planted)[:1] == []
    planted["rows"][-1]["free"][-1] = 0.5
    (said,) = expected(exploding, planted)
    assert "lost without clipping" in said
    assert "it ends at 0.5" in exploding.answer(planted)[1].text

    planted = copy.deepcopy(small("symmetry"))
    assert expected(symmetry, planted) == []
    planted["pairings"][0] *= 1.01
    assert expected(symmetry, planted) == ["the same but for rounding"]

    planted = copy.deepcopy(small("approximation"))
    for row in planted["rows"]:
        row["learnt"] = row["constructed"] / 2
    assert "promises weights" in expected(approximation, planted)[-1]

    planted = copy.deepcopy(small("depth"))
    for row in planted["rows"]:
        row["error"] = 1.0
    said = [answer.text for answer in depth.answer(planted)]
    assert "depth does not help" in said[1]
    assert "compositions" in expected(depth, planted)[0]

    planted = copy.deepcopy(small("speed"))
    planted["times"]["numpy"] = [2 * t for t in planted["times"]["loops"]]
    assert "0.5 × [0.5 … 0.5] as fast" in speed.answer(planted)[1].text
    assert expected(speed, planted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("convergence", 0),
        ("learning-rate", 1),
        ("batches", 0),
        ("optimizers", 1),
        ("approximation", 0),
        ("depth", 0),
        ("symmetry", 0),
        ("relu-sigmoid", 0),
        ("vanishing", 1),
        ("exploding", 0),
    ],
)
def test_in_full_as_documented(name: str, otherwise: int) -> None:
    """docs/learn/explore.md says where the numbers are not what the book expects."""
    from chainrule.book import experiments

    answer = experiments.run(name).answer
    assert sum(bool(said.expected) for said in answer) == otherwise


def test_every_bar_of_speeds_begins_where_the_axis_does() -> None:
    """Also where Python's loops make fewer than ten million products a second."""
    times = {"loops": [4.0, 5.0], "numpy": [0.002, 0.003]}
    found = {"products": 6_000_000, "times": times, "cores": 2}
    with drawing.figure(drawing.PAPER, 7, 3) as figure:
        speed.draw(figure, found)
        (axes,) = figure.axes
        least = min(bar.get_width() for bar in axes.patches)
        assert axes.get_xlim()[0] <= least / 1.5
