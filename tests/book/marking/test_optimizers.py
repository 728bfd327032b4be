"""Steps of optimisers are marked: the numbers of ``chainrule.optim``, and slips."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import NonFiniteError
from tests.book.marking.student import named

X, Y = [[0.5, -1.0], [1.0, 0.25], [-0.75, 2.0]], [[1.0], [0.0], [1.0]]
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"kind": optim.SGD},
    "decay": {"kind": optim.SGD, "weight_decay": 0.1},
    "momentum": {"kind": optim.SGD, "momentum": 0.9},
    "dampened": {"kind": optim.SGD, "momentum": 0.9, "dampening": 0.5},
    "nesterov": {"kind": optim.SGD, "momentum": 0.9, "nesterov": True},
    "momentum_decay": {"kind": optim.SGD, "momentum": 0.9, "weight_decay": 0.1},
    "nesterov_decay": {
        "kind": optim.SGD,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.1,
    },
    "adagrad": {"kind": optim.Adagrad, "lr_decay": 0.5},
    "rmsprop": {"kind": optim.RMSprop, "alpha": 0.9, "eps": 1e-3},
    "rmsprop_momentum": {"kind": optim.RMSprop, "momentum": 0.5, "weight_decay": 0.2},
    "adam": {"kind": optim.Adam, "betas": (0.8, 0.9), "eps": 1e-3},
    "adam_decay": {"kind": optim.Adam, "weight_decay": 0.1},
    "adamw": {"kind": optim.AdamW, "weight_decay": 0.3},
}


class Student:
    """One who has made some steps, and works out the next one."""

    def __init__(self, name: str, steps: int = 2) -> None:
        settings = dict(SETTINGS[name])
        rng = np.random.default_rng(len(name))
        self.model = nn.Sequential(
            nn.Linear(2, 2, dtype="float64"),
            nn.Tanh(),
            nn.Linear(2, 1, dtype="float64"),
        )
        self.model.load_state_dict(
            {k: rng.normal(size=t.shape) for k, t in self.model.named_parameters()}
        )
        kind = settings.pop("kind")
        self.optimizer = kind(self.model.named_parameters(), lr=0.1, **settings)
        for _ in range(steps):
            self._backward()
            self.optimizer.step()
        self._backward()
        names = {"W1": "0.weight", "b1": "0.bias", "W2": "2.weight", "b2": "2.bias"}
        self.names = names
        held = dict(self.model.named_parameters())
        self.g = {k: held[p].grad.numpy().copy() for k, p in names.items()}
        self.old = {k: held[p].numpy().copy() for k, p in names.items()}
        self.moments = {
            k: {m: t.numpy().copy() for m, t in self.optimizer.state[p].items()}
            for k, p in names.items()
        }

    def _backward(self) -> None:
        self.optimizer.zero_grad()
        prediction = self.model(cr.tensor(X, dtype="float64"))
        nn.MSELoss()(prediction, cr.tensor(Y, dtype="float64")).backward()

    @cached_property
    def answers(self) -> dict[str, Any]:
        """Gradients, moments and new parameters, as the optimiser makes them."""
        t = self.optimizer.steps + 1
        answers: dict[str, Any] = {f"d{k}": g for k, g in self.g.items()}
        held = dict(self.model.named_parameters())
        before = self.optimizer.state_dict()
        self.optimizer.step()
        for key, path in self.names.items():
            answers[key] = held[path].numpy().copy()
            for name, moment in self.optimizer.state[path].items():
                rms = isinstance(self.optimizer, optim.RMSprop)
                words = {"velocity": "u" if rms else "v", "sum": "s"}
                letter = words.get(name, name)
                answers[letter + key] = moment.numpy().copy()
                if isinstance(self.optimizer, optim.Adam):
                    beta = self.optimizer.betas["mv".index(letter)]
                    answers[f"{letter}hat{key}"] = moment.numpy() / (1 - beta**t)
        self.model.load_state_dict({p: self.old[k] for k, p in self.names.items()})
        self.optimizer.load_state_dict(before)
        return answers

    def marked(self, answers: dict[str, Any]) -> Any:
        return cr.check_work(
            self.model, X, Y, nn.MSELoss(), answers, self.optimizer, samples="rows"
        )

    def right(self) -> dict[str, Any]:
        """Return the answers, in a dictionary of the test's own."""
        return dict(self.answers)


@cache
def student_of(name: str, steps: int = 3) -> Student:
    """Return a student; marking changes nothing of it."""
    return Student(name, steps)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_optimiser_does_is_right(name: str, steps: int) -> None:
    student = student_of(name, steps)
    answers = student.right()
    report = student.marked(answers)
    assert report.ok, report.text()
    for key, numbers in answers.items():
        right = report[key].right
        np.testing.assert_allclose(right, numbers, rtol=1e-11, atol=1e-14)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", ["plain", "nesterov_decay", "rmsprop", "adam"])
def test_steps_that_are_off_are_not_right(name: str) -> None:
    student = student_of(name, 2)
    off = {k: v * 1.01 for k, v in student.right().items() if k in ("W1", "b2")}
    assert [m.status for m in student.marked(off).marks] == ["wrong", "wrong"]


@pytest.mark.parametrize("name", SETTINGS)
def test_digits_of_the_step_alone(name: str) -> None:
    """Where only new parameters are given, everything between is worked out."""
    student = student_of(name, 2)
    answers = student.right()
    new = {k: [f"{v:.5g}" for v in np.ravel(answers[k])] for k in ("b1", "b2")}
    assert student.marked(new).ok


def test_nothing_of_the_optimiser_is_changed() -> None:
    student = student_of("adam", 2)
    before = student.optimizer.state_dict()
    student.marked({"W1": student.old["W1"]})
    after = student.optimizer.state_dict()
    assert repr(before) == repr(after)
    fresh = optim.Adam(lr=0.1)
    cr.check_work(student.model, X, Y, "mse", {"b2": [1.0]}, fresh)
    assert not fresh.params


def slips() -> dict[str, Any]:
    """What a student does: an optimiser, a key, and its numbers, by slip."""
    ETA = 0.1

    def adam(s: Student, k: str) -> tuple[Any, ...]:
        m, v, g = s.moments[k]["m"], s.moments[k]["v"], s.g[k]
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        t = s.optimizer.steps + 1
        return m, v, m / (1 - 0.8**t), v / (1 - 0.9**t)

    def of_adam(made: Any) -> Any:
        return lambda s, k: s.old[k] - ETA * made(*adam(s, k))

    root = np.sqrt
    return {
        "adam W1 correction_forgotten": of_adam(
            lambda m, v, a, b: m / (root(v) + 1e-3)
        ),
        "adam b1 correction_forgotten": of_adam(
            lambda m, v, a, b: a / (root(v) + 1e-3)
        ),
        "adam W2 root_forgotten": of_adam(lambda m, v, a, b: a / (b + 1e-3)),
        "adam W1 division_forgotten": of_adam(lambda m, v, a, b: a),
        "adam W1 epsilon_inside": of_adam(lambda m, v, a, b: a / root(b + 1e-3)),
        "adam W1 epsilon_forgotten": of_adam(lambda m, v, a, b: a / root(b)),
        "adam W1 uphill": of_adam(lambda m, v, a, b: -a / (root(b) + 1e-3)),
        "adam W1 rate_forgotten": of_adam(lambda m, v, a, b: 10 * a / (root(b) + 1e-3)),
        "adam W1 plain_step": lambda s, k: s.old[k] - ETA * s.g[k],
        "adam W1 not_updated": lambda s, k: s.old[k],
        "adam mW1 shares_exchanged": lambda s, k: (
            0.2 * s.moments[k]["m"] + 0.8 * s.g[k]
        ),
        "adam vW1 shares_exchanged": lambda s, k: (
            0.1 * s.moments[k]["v"] + 0.9 * s.g[k] ** 2
        ),
        "adam vW1 not_squared": lambda s, k: 0.9 * s.moments[k]["v"] + 0.1 * s.g[k],
        "adam mW2 squared": lambda s, k: 0.8 * s.moments[k]["m"] + 0.2 * s.g[k] ** 2,
        "adam mW1 other_beta": lambda s, k: 0.9 * s.moments[k]["m"] + 0.1 * s.g[k],
        "adam mW1 share_forgotten": lambda s, k: 0.8 * s.moments[k]["m"] + s.g[k],
        "adam mb1 moment_forgotten": lambda s, k: 0.2 * s.g[k],
        "adam mb1 decay_of_moment_forgotten": lambda s, k: (
            s.moments[k]["m"] + 0.2 * s.g[k]
        ),
        "adam mhatW1 hat_forgotten": lambda s, k: adam(s, k)[0],
        "adam mhatW1 power_forgotten": lambda s, k: adam(s, k)[0] / 0.2,
        "adam vhatW1 correction_multiplied": lambda s, k: (
            adam(s, k)[1] * (1 - 0.9 ** (s.optimizer.steps + 1))
        ),
        "adam vhatW1 other_beta": lambda s, k: (
            adam(s, k)[1] / (1 - 0.8 ** (s.optimizer.steps + 1))
        ),
        "adamw W1 decay_forgotten": None,
        "momentum vW1 momentum_sign": lambda s, k: (
            -0.9 * s.moments[k]["velocity"] + s.g[k]
        ),
        "momentum vW1 gradient_sign": lambda s, k: (
            0.9 * s.moments[k]["velocity"] - s.g[k]
        ),
        "momentum vW1 rate_in_moment": lambda s, k: (
            0.9 * s.moments[k]["velocity"] + ETA * s.g[k]
        ),
        "momentum W1 old_moment": lambda s, k: (
            s.old[k] - ETA * s.moments[k]["velocity"]
        ),
        "momentum W2 plain_step": lambda s, k: s.old[k] - ETA * s.g[k],
        "momentum W2 step_alone": lambda s, k: (
            ETA * (0.9 * s.moments[k]["velocity"] + s.g[k])
        ),
        "nesterov W1 look_ahead_forgotten": lambda s, k: (
            s.old[k] - ETA * (0.9 * s.moments[k]["velocity"] + s.g[k])
        ),
        "rmsprop vW1 shares_exchanged": lambda s, k: (
            0.1 * s.moments[k]["v"] + 0.9 * s.g[k] ** 2
        ),
        "rmsprop W1 old_moment": lambda s, k: (
            s.old[k] - ETA * s.g[k] / (root(s.moments[k]["v"]) + 1e-3)
        ),
        "rmsprop W1 rate_of_parameter": lambda s, k: (
            s.old[k]
            - ETA
            * s.old[k]
            / (root(0.9 * s.moments[k]["v"] + 0.1 * s.g[k] ** 2) + 1e-3)
        ),
        "adagrad sW1 moment_forgotten": lambda s, k: s.g[k] ** 2,
        "decay W1 decay_forgotten": lambda s, k: s.old[k] - ETA * s.g[k],
        "decay W1 decay_sign": lambda s, k: s.old[k] - ETA * (s.g[k] - 0.1 * s.old[k]),
        "adam_decay mW1 decay_forgotten": lambda s, k: (
            0.9 * s.moments[k]["m"] + 0.1 * s.g[k]
        ),
    }


def adamw(s: Student, k: str, keep: float) -> Any:
    return s.right()[k] + (keep - (1 - 0.1 * 0.3)) * s.old[k]


def decayed(s: Student, k: str, by: float = 0.1) -> Any:
    return s.g[k] + by * s.old[k]


def velocity(s: Student, k: str) -> Any:
    return s.moments[k]["velocity"]


#: Of g + λW as a whole, and of t.
WHOLE: dict[str, Any] = {
    "momentum_decay vW1 rate_in_moment": lambda s, k: (
        0.9 * velocity(s, k) + 0.1 * decayed(s, k)
    ),
    "momentum_decay vW1 gradient_sign": lambda s, k: (
        0.9 * velocity(s, k) - decayed(s, k)
    ),
    "momentum_decay vW2 share_of_momentum": lambda s, k: (
        0.9 * velocity(s, k) + (1 - 0.9) * decayed(s, k)
    ),
    "momentum vW1 share_of_momentum": lambda s, k: (
        0.9 * velocity(s, k) + (1 - 0.9) * s.g[k]
    ),
    "momentum_decay W1 plain_step": lambda s, k: s.old[k] - 0.1 * decayed(s, k),
    "nesterov_decay W1 look_ahead_forgotten": lambda s, k: (
        s.old[k] - 0.1 * (0.9 * velocity(s, k) + decayed(s, k))
    ),
    "adam_decay vW1 not_squared": lambda s, k: (
        0.999 * s.moments[k]["v"] + 0.001 * decayed(s, k)
    ),
    "adam_decay mW1 squared": lambda s, k: (
        0.9 * s.moments[k]["m"] + 0.1 * decayed(s, k) ** 2
    ),
    "adam mhatW1 other_time": lambda s, k: (
        (0.8 * s.moments[k]["m"] + 0.2 * s.g[k]) / (1 - 0.8**3)
    ),
    "adam vhatW1 other_time": lambda s, k: (
        (0.9 * s.moments[k]["v"] + 0.1 * s.g[k] ** 2) / (1 - 0.9**5)
    ),
}

SLIPS = (
    slips()
    | WHOLE
    | {
        "adamw W1 decay_forgotten": lambda s, k: adamw(s, k, 1.0),
        "adamw W1 decay_sign": lambda s, k: adamw(s, k, 1 + 0.1 * 0.3),
        "adamw W1 decay_without_rate": lambda s, k: adamw(s, k, 1 - 0.3),
    }
)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("case", SLIPS)
def test_slips_of_updates(case: str) -> None:
    name, key, slip = case.split()
    student = student_of(name)
    parameter = key[-2:]
    wrong = SLIPS[case](student, parameter)
    answers = student.right() | {key: wrong}
    report = student.marked(answers)
    assert report.first == key
    assert named(slip) in [found.name for found in report[key].slips]


def test_a_slip_in_a_moment_that_is_not_given() -> None:
    student = student_of("adam")
    g, m = student.g["b2"], student.moments["b2"]["m"]
    v = student.right()["vhatb2"]
    wrong = (0.2 * m + 0.8 * g) / (1 - 0.8**4)
    new = student.old["b2"] - 0.1 * wrong / (np.sqrt(v) + 1e-3)
    report = student.marked({"db2": g, "b2": new})
    found = [(f.name, f.key) for f in report["b2"].slips]
    assert ("exchanged", "mb2") in found


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("m_W1", "mW1"),
        ("m̂_W⁽¹⁾", "mhatW1"),
        (r"\hat{v}_{W^{(1)}}", "vhatW1"),
        ("v_b⁽²⁾′", "vb2"),
        ("mhat_b1", "mhatb1"),
        (r"\hat m_{W^{(1)}}", "mhatW1"),
        (r"\hat v_{b^{(2)}}", "vhatb2"),
    ],
)
def test_names_of_moments(name: str, key: str) -> None:
    student = student_of("adam", 2)
    assert student.marked({name: student.right()[key]}).marks[0].key == key


def test_another_rate_of_adam() -> None:
    student = student_of("adam")
    right, old = student.right()["W1"], student.old["W1"]
    report = student.marked({"W1": old + 5 * (right - old)})
    (found,) = report["W1"].slips
    assert found.message() == "another η: 0.5 in place of 0.1"


def test_a_division_by_zero_is_refused() -> None:
    """x = 0 has no gradient, and without ε RMSProp divides 0 by 0."""
    model = nn.Sequential(nn.Linear(2, 1, dtype="float64"))
    without = optim.RMSprop(lr=0.1, eps=0.0)
    with pytest.raises(NonFiniteError, match="W1 = "):
        cr.check_work(model, [0.0, 0.0], [1.0], "mse", {"W1": [1.0, 2.0]}, without)


def test_latex_knows_every_sign_of_a_report() -> None:
    """pdfLaTeX has no letters but those that it is told."""
    student = student_of("adam")
    right = student.right()
    wrong = {k: -v for k, v in right.items() if k.endswith("W1")} | {"b2": [9.0]}
    made = student.marked(right | wrong).to_latex()
    known = {c for c in made if ord(c) > 127}
    assert not known


def test_what_a_group_says_counts() -> None:
    student = student_of("plain", 0)
    groups = [{"params": "*", "lr": 0.5, "momentum": 0.9}]
    other = optim.SGD(groups, lr=0.1)
    new = student.old["b2"] - 0.5 * student.g["b2"]
    report = cr.check_work(student.model, X, Y, "mse", {"b2": new}, other)
    assert report.ok
    assert "vb2" in report.formulas.updates


@pytest.mark.one_in(2)
@pytest.mark.parametrize(("unit", "remark"), [(-0.1, "down"), (0.1, "up")])
@pytest.mark.parametrize("name", ["momentum", "momentum_decay", "dampened"])
def test_a_velocity_with_the_rate_in_it(name: str, unit: float, remark: str) -> None:
    """Many books write v ← μ v − η g, W ← W + v: the same step."""
    student = student_of(name)
    answers = student.right()
    moved = {k: v * unit for k, v in answers.items() if k.startswith("v")}
    for given in (answers | moved, moved | {"W1": answers["W1"]}):
        report = student.marked(given)
        assert report.ok, report.text()
        assert report["vW1"].remarks == (remark,)
    shown = report.to_json()["marks"][0]["given"]
    np.testing.assert_allclose(shown, moved["vW1"])
    alone = student.marked({"vW1": [[round(v, 4) for v in r] for r in moved["vW1"]]})
    assert alone.ok
    off = student.marked({"vW1": moved["vW1"] * 1.1})
    assert off.first == "vW1"


@pytest.mark.parametrize("name", ["plain", "momentum", "adam", "adamw", "adagrad"])
def test_the_way_back_takes_the_old_weights(name: str) -> None:
    student = student_of(name, 2)
    old, x, y = student.old, np.array(X), np.array(Y)
    a = np.tanh(x @ old["W1"].T + old["b1"])
    error = 2 * (a @ old["W2"].T + old["b2"] - y) / 3
    wrong = error @ student.right()["W2"] * (1 - a**2)
    report = student.marked({"delta1": wrong})
    assert [found.name for found in report["delta1"].slips] == ["old_for_new"]
