"""Update rules against numbers worked out in plain float64; steps and settings."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, GradientError
from chainrule.training.architecture import build_optimizer

GRADIENTS = [0.5, -1.0, 0.25, 2.0, 1e-9, 0.0]


def run(optimizer_of, theta=1.0):
    """One parameter under the given gradients."""
    p = cr.tensor(np.array([theta]), requires_grad=True)
    optimizer = optimizer_of([p])
    path = []
    for g in GRADIENTS:
        p.grad = cr.tensor(np.array([g]))
        optimizer.step()
        path.append(p.item())
    return path


def test_sgd():
    theta, wanted = 1.0, []
    for g in GRADIENTS:
        theta -= 0.1 * g
        wanted.append(theta)
    assert run(lambda p: optim.SGD(p, lr=0.1)) == pytest.approx(wanted, rel=1e-14)


def test_momentum():
    theta, v, wanted = 1.0, 0.0, []
    for g in GRADIENTS:
        v = 0.9 * v + g
        theta -= 0.1 * v
        wanted.append(theta)
    made = run(lambda p: optim.SGD(p, lr=0.1, momentum=0.9))
    assert made == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_as_it_is_printed(decay):
    """θ ← (1 − ηλ)θ − η m̂ / (√v̂ + ε): the textbook form, not the rearranged one."""
    theta, m, v, wanted = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        theta = (1 - 0.01 * decay) * theta - 0.01 * m_hat / (math.sqrt(v_hat) + 1e-8)
        wanted.append(theta)
    if decay:
        made = run(lambda p: optim.AdamW(p, lr=0.01, weight_decay=decay))
    else:
        made = run(lambda p: optim.Adam(p, lr=0.01))
    assert made == pytest.approx(wanted, rel=1e-12)


def test_nesterov():
    theta, v, wanted = 1.0, 0.0, []
    for g in GRADIENTS:
        v = 0.9 * v + g
        theta -= 0.1 * (g + 0.9 * v)
        wanted.append(theta)
    made = run(lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True))
    assert made == pytest.approx(wanted, rel=1e-14)


def test_dampening_and_weight_decay():
    """The first velocity is the whole gradient, as in PyTorch."""
    theta, v, wanted = 1.0, None, []
    for g in GRADIENTS:
        g += 0.3 * theta
        v = g if v is None else 0.9 * v + (1 - 0.25) * g
        theta -= 0.1 * v
        wanted.append(theta)
    made = run(
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.25, weight_decay=0.3)
    )
    assert made == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adagrad(decay):
    theta, total, wanted = 1.0, 0.5, []
    for t, g in enumerate(GRADIENTS):
        g += decay * theta
        total += g * g
        theta -= 0.1 / (1 + 0.2 * t) * g / (math.sqrt(total) + 1e-6)
        wanted.append(theta)
    made = run(
        lambda p: optim.Adagrad(
            p,
            lr=0.1,
            lr_decay=0.2,
            initial_accumulator_value=0.5,
            eps=1e-6,
            weight_decay=decay,
        )
    )
    assert made == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop(centered, momentum):
    theta, v, m, u, wanted = 1.0, 0.0, 0.0, 0.0, []
    for g in GRADIENTS:
        v = 0.9 * v + 0.1 * g * g
        m = 0.9 * m + 0.1 * g
        size = math.sqrt(v - m * m if centered else v) + 1e-6
        u = momentum * u + g / size
        theta -= 0.01 * u
        wanted.append(theta)
    made = run(
        lambda p: optim.RMSprop(
            p, lr=0.01, alpha=0.9, eps=1e-6, centered=centered, momentum=momentum
        )
    )
    assert made == pytest.approx(wanted, rel=1e-12)


def test_adam_with_an_l2_penalty():
    theta, m, v, wanted = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        g += 0.3 * theta
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        theta -= 0.01 * m_hat / (math.sqrt(v_hat) + 1e-8)
        wanted.append(theta)
    made = run(lambda p: optim.Adam(p, lr=0.01, weight_decay=0.3))
    assert made == pytest.approx(wanted, rel=1e-12)


def test_a_compiled_step_walks_through_the_schedule():
    def train(compiled):
        w = cr.tensor(np.array([1.0]), requires_grad=True)
        optimizer = optim.Adam([w], lr=optim.OneCycleLR(0.1, total_steps=20))

        def step():
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            optimizer.step()
            return loss

        run_step = cr.compile(step, engine="numpy") if compiled else step
        return [float(run_step()) for _ in range(20)]

    assert train(True) == pytest.approx(train(False), rel=1e-13)


# -- hyper-parameters that change ------------------------------------------------------


@pytest.mark.parametrize("engine", ["eager", "numpy"])
def test_hyper_parameters_change_without_compiling_anew(engine):
    w = cr.tensor(np.array([1.0]), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5, momentum=0.5, weight_decay=0.25)

    def step(g):
        w.grad = g
        optimizer.step()
        return g

    run_step = step if engine == "eager" else cr.compile(step, engine=engine)
    g = cr.tensor(np.array([1.0]))
    theta, v = 1.0, 0.0
    for lr, momentum, decay in [(0.5, 0.5, 0.25), (0.25, 0.75, 0.5), (0.125, 0.25, 1)]:
        optimizer.lr = lr
        (group,) = optimizer.param_groups
        group["momentum"], group["weight_decay"] = momentum, decay
        run_step(g)
        v = momentum * v + 1.0 + decay * theta
        theta -= lr * v
        assert w.item() == pytest.approx(theta, rel=1e-14)
    if engine != "eager":
        assert len(run_step.programs) == 1


@pytest.mark.parametrize("engine", ["eager", "numpy"])
def test_a_number_may_become_zero_where_the_rule_stays_the_same(engine):
    """Of Adagrad only λ decides on the form of the step; ε and γ are numbers."""
    w = cr.tensor(np.array([1.0]), requires_grad=True)
    optimizer = optim.Adagrad([w], lr=0.5, eps=0.25)

    def step(g):
        w.grad = g
        optimizer.step()
        return g

    run_step = step if engine == "eager" else cr.compile(step, engine=engine)
    g = cr.tensor(np.array([1.0]))
    theta, (group,) = 1.0, optimizer.param_groups
    for t, (eps, decay) in enumerate([(0.25, 0.0), (0.0, 0.0), (0.0, 0.5)]):
        group["eps"], group["lr_decay"] = eps, decay
        run_step(g)
        theta -= 0.5 / (1 + t * decay) / (math.sqrt(t + 1) + eps)
        assert w.item() == pytest.approx(theta, rel=1e-14)


def test_a_part_of_the_rule_can_be_switched_on_before_anything_is_compiled():
    w = cr.tensor(np.array([1.0]), requires_grad=True)
    optimizer = optim.RMSprop([w], lr=0.5)
    w.grad = cr.tensor(np.array([1.0]))
    optimizer.step()
    v = optimizer.state["param0"]["v"]
    optimizer.param_groups[0]["momentum"] = 0.5
    optimizer.param_groups[0]["centered"] = True
    assert list(optimizer.state["param0"]) == ["v", "m", "velocity"]
    assert optimizer.state["param0"]["v"] is v, "what was gathered stays"
    optimizer.step()
    optimizer.param_groups[0]["momentum"] = 0.0
    assert list(optimizer.state["param0"]) == ["v", "m"]


@pytest.mark.parametrize(
    "switch",
    [
        lambda o: o.param_groups[0].__setitem__("momentum", 0.9),
        lambda o: o.param_groups[0].__setitem__("weight_decay", 0.1),
        lambda o: setattr(o, "clip_norm", 1.0),
        lambda o: setattr(o, "clip_value", 1.0),
    ],
)
def test_a_part_of_a_compiled_rule_is_not_switched_on_in_silence(switch):
    w = cr.tensor(np.array([1.0]), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    @cr.compile(engine="numpy")
    def step(g):
        w.grad = g
        optimizer.step()
        return g

    before = optimizer.settings()
    step(cr.tensor(np.array([1.0])))
    with pytest.raises(ArgumentError, match="compiled step"):
        switch(optimizer)
    assert optimizer.settings() == before
    optimizer.param_groups[0]["momentum"] = 0  # a value that it has already


def test_moments_follow_their_parameter():
    weight = cr.tensor(np.ones((2, 3)), requires_grad=True)
    optimizer = optim.Adagrad([weight], initial_accumulator_value=0.25)
    (moment,) = optimizer.state["param0"].values()
    assert moment.name == "param0.sum"
    np.testing.assert_array_equal(moment.numpy(), np.full((2, 3), 0.25))


def test_a_schedule_that_fails_does_not_move_the_count_on():
    w = cr.tensor(np.array([1.0]), requires_grad=True)
    w.grad = w * 1.0
    optimizer = optim.SGD([w], lr=optim.StepLR(0.5, 3))
    for _ in range(2):
        with pytest.raises(ArgumentError, match="counts epochs"):
            optimizer.step()
        assert (optimizer.steps, w.item()) == (0, 1.0)


# -- going on from settings ------------------------------------------------------------

MAKERS = {
    "sgd": lambda: optim.SGD(
        lr=optim.LinearWarmup(optim.StepLR(0.2, 2, 0.5), 5),
        momentum=0.9,
        dampening=0.25,
        weight_decay=0.01,
        clip_norm=0.5,
    ),
    "nesterov": lambda: optim.SGD(
        lr=optim.CosineAnnealingLR(0.2), momentum=0.9, nesterov=True
    ),
    "rmsprop": lambda: optim.RMSprop(
        lr=optim.ReduceLROnPlateau(0.02, patience=0, threshold=0.2, factor=0.5),
        centered=True,
        momentum=0.5,
        groups={"*.bias": {"lr": optim.ExponentialLR(0.1, 0.5), "momentum": 0.0}},
    ),
    "adagrad": lambda: optim.Adagrad(
        lr=optim.MultiStepLR(0.2, [1, 3]), lr_decay=0.01, clip_value=0.05
    ),
    "adam": lambda: optim.Adam(
        lr=optim.OneCycleLR(0.1), betas=(0.8, 0.9), eps=1e-5, weight_decay=0.01
    ),
    "adamw": lambda: optim.AdamW(
        lr=optim.LinearWarmup(optim.CosineAnnealingLR(0.1, unit="step"), 7),
        weight_decay=0.1,
        groups=[{"params": ["*.bias"], "weight_decay": 0.0}],
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_an_interrupted_run_goes_on_bit_for_bit(name):
    """Interrupted after every epoch and within one, saved as JSON and arrays."""
    epochs, per_epoch = 5, 4
    rng = np.random.default_rng(0)
    data = rng.normal(size=(epochs * per_epoch, 6, 3))

    def network():
        cr.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def train(model, optimizer, first, last):
        losses = []
        for t in range(first, last):
            model.zero_grad()
            x = cr.tensor(data[t].astype("float32"))
            loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if (t + 1) % per_epoch == 0:
                optimizer.observe({"validation_loss": losses[-1]})
        return losses

    def begin():
        model, optimizer = network(), MAKERS[name]()
        optimizer.adopt(dict(model.named_parameters()))
        optimizer.bind_schedules(epochs * per_epoch, per_epoch)
        return model, optimizer

    wanted = train(*begin(), 0, epochs * per_epoch)
    model, optimizer = begin()
    got = []
    cuts = [0, 3, 4, 8, 10, 16, 20]
    for first, last in pairwise(cuts):
        got += train(model, optimizer, first, last)
        text = json.dumps(optimizer.settings(), sort_keys=True)
        state = {
            (n, k): t.numpy() for n, m in optimizer.state.items() for k, t in m.items()
        }
        weights, steps = model.state_dict(), optimizer.steps
        model, optimizer = network(), build_optimizer(json.loads(text))
        optimizer.adopt(dict(model.named_parameters()))
        model.load_state_dict(weights)
        optimizer.steps = steps
        for (n, k), array in state.items():
            optimizer.state[n][k].copy_(cr.tensor(array))
    assert got == wanted
    assert len(set(got)) == len(got)


def test_every_optimizer_is_interrupted():
    kinds = {type(make()) for make in MAKERS.values()}
    assert kinds == set(optim.OPTIMIZERS.values())


# -- messages --------------------------------------------------------------------------


def test_repr():
    assert repr(optim.Adam(lr=0.5)) == (
        "Adam(lr=0.5, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)"
    )
    made = optim.AdamW(
        lr=optim.ExponentialLR(0.5, 0.9), clip_norm=1.0, groups={"*.bias": {"eps": 0}}
    )
    assert repr(made) == (
        "AdamW(lr=ExponentialLR(lr=0.5, gamma=0.9, unit='epoch'), "
        "betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, clip_norm=1.0, 1 group)"
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: optim.SGD(lr=float("nan")), ArgumentError, "finite"),
        (lambda: optim.SGD(lr=None), ArgumentError, "finite"),
        (lambda: optim.SGD(lr=0.1, momentum=1.0), ArgumentError, "0 ≤ momentum < 1"),
        (lambda: optim.SGD(momentum=-0.1), ArgumentError, "0 ≤ momentum < 1"),
        (lambda: optim.SGD(dampening=1.0), ArgumentError, "0 ≤ dampening < 1"),
        (lambda: optim.SGD(weight_decay=-1), ArgumentError, "weight_decay ≥ 0"),
        (lambda: optim.SGD(weight_decay=math.inf), ArgumentError, "finite"),
        (lambda: optim.SGD(nesterov=True), ArgumentError, "momentum > 0"),
        (
            lambda: optim.SGD(nesterov=True, momentum=0.9, dampening=0.1),
            ArgumentError,
            "dampening = 0",
        ),
        (lambda: optim.SGD(nesterov=1, momentum=0.9), ArgumentError, "on or off"),
        (lambda: optim.Adam(betas=(0.9, 1.0)), ArgumentError, "0 ≤ β < 1"),
        (lambda: optim.Adam(betas=(-0.1, 0.9)), ArgumentError, "mean gradient"),
        (lambda: optim.Adam(betas=0.9), ArgumentError, "two betas"),
        (lambda: optim.Adam(betas=(0.9,)), ArgumentError, "two betas"),
        (lambda: optim.Adam(eps=-1e-8), ArgumentError, "eps ≥ 0"),
        (lambda: optim.AdamW(weight_decay=-0.1), ArgumentError, "weight_decay ≥ 0"),
        (lambda: optim.RMSprop(alpha=1.0), ArgumentError, "0 ≤ alpha < 1"),
        (lambda: optim.RMSprop(momentum=1), ArgumentError, "0 ≤ momentum < 1"),
        (lambda: optim.RMSprop(centered="yes"), ArgumentError, "on or off"),
        (lambda: optim.Adagrad(lr_decay=-1), ArgumentError, "lr_decay ≥ 0"),
        (
            lambda: optim.Adagrad(initial_accumulator_value=-1),
            ArgumentError,
            "initial_accumulator_value ≥ 0",
        ),
        (
            lambda: optim.SGD().param_groups[0].__setitem__("momentm", 0.9),
            ArgumentError,
            "did you mean 'momentum'",
        ),
        (
            lambda: optim.SGD().param_groups[0].__setitem__("params", []),
            ArgumentError,
            "stay as they are",
        ),
        (
            lambda: optim.SGD().param_groups[0].__setitem__("momentum", 1.5),
            ArgumentError,
            "0 ≤ momentum < 1",
        ),
        (lambda: optim.SGD().step(), GradientError, "no parameters"),
        (
            lambda: optim.SGD(nn.Linear(2, 2).parameters()).step(),
            GradientError,
            r"loss\.backward\(\)",
        ),
    ],
)
def test_mistakes_are_explained(call, error, words):
    with pytest.raises(error, match=words):
        call()
