"""Steps and hyper-parameters of optimisers, and those of one's own."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, GradientError
from chainrule.optim.arguments import nonnegative
from chainrule.optim.rule import absolute
from tests.mistakes import explained
from tests.ways import ENGINES, WAYS


@pytest.mark.parametrize("engine", WAYS)
def test_what_is_off_is_not_multiplied_by_nothing(engine) -> None:
    """An infinite weight without decay stays infinite: 0·∞ would be NaN."""
    w = cr.tensor(np.array([-np.inf, 1.0]), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.5)

    def step(g):
        w.grad = g
        optimizer.step()
        return g

    run = step if engine == "eager" else cr.compile(step, engine=engine)
    run(cr.tensor(np.array([0.0, 1.0])))
    assert w.tolist() == [-np.inf, 0.5]


# -- steps -----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", WAYS)
def test_a_step_with_a_closure(engine) -> None:
    w = cr.tensor(np.array([1.0]), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    def step():
        with cr.no_grad():
            return optimizer.step(closure)

    run = step if engine == "eager" else cr.compile(step, engine=engine)
    assert [run().item(), run().item(), w.item()] == [1.0, 0.25, 0.25]


# -- hyper-parameters that change ------------------------------------------------------


@pytest.mark.parametrize("engine", WAYS)
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
        lambda o: setattr(o, "momentum", 0.9),
        lambda o: setattr(o, "clip_norm", 1.0),
        lambda o: setattr(o, "clip_value", 1.0),
        lambda o: o.param_groups[0].__setitem__("maximize", True),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_part_of_a_compiled_rule_is_switched_on_and_off(switch, engine):
    """The function is traced anew: it goes on as eager code does."""

    def run(way):
        w = cr.tensor(np.array([1.0, -3.0]), requires_grad=True)
        optimizer = optim.SGD([w], lr=0.5)

        def step(g):
            w.grad = g * w
            optimizer.step()
            return w * 1.0

        run_step = step if way == "eager" else cr.compile(step, engine=way)
        seen, before = [], optimizer.state_dict()
        for change in (None, switch, None, lambda o: o.load_state_dict(before), switch):
            if change is not None:
                change(optimizer)
            seen += [run_step(cr.tensor(np.array([1.0, 2.0]))).numpy()]
        return np.array(seen), optimizer.steps

    eager, compiled = run("eager"), run(engine)
    np.testing.assert_allclose(eager[0], compiled[0], rtol=1e-14)
    assert eager[1] == compiled[1] == 2


def test_hyper_parameters_are_attributes() -> None:
    """The optimiser's own, which hold for each group that has none of its own."""
    groups = [{"params": "bias", "momentum": 0.5}, {"params": "*"}]
    optimizer = optim.SGD(groups, momentum=0.9, weight_decay=0.1)
    optimizer.attach_parameters(nn.Linear(2, 2).named_parameters())
    optimizer.momentum = 0.75
    assert [g["momentum"] for g in optimizer.param_groups] == [0.5, 0.75]
    assert (optimizer.momentum, optimizer.options["momentum"]) == (0.75, 0.75)
    with pytest.raises(TypeError, match="item assignment"):
        optimizer.options["momentum"] = 0.5
    optimizer.schedule = optim.StepLR(0.5, 1, 0.5, unit="step")
    assert [g["lr"] for g in optimizer.param_groups] == [optimizer.lr] * 2 == [0.5] * 2
    optimizer.momentum = 0.0
    assert [list(m) for m in optimizer.state.values()] == [[], ["velocity"]]
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.weight_decay = 0.3
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.3, 0.3]
    (only,) = (plain := optim.SGD(momentum=0.9)).param_groups
    only["momentum"] = 0.5
    assert plain.momentum == 0.5


def test_hyper_parameters_that_do_not_fit_leave_all_as_it_was() -> None:
    optimizer = optim.SGD(momentum=0.9, nesterov=True)
    before = optimizer.settings()
    for name, value in (("momentum", 0.0), ("momentum", 2.0), ("dampening", 0.5)):
        with pytest.raises(ArgumentError, match=r"momentum (> 0|< 1)"):
            setattr(optimizer, name, value)
        with pytest.raises(ArgumentError, match=r"momentum (> 0|< 1)"):
            optimizer.param_groups[0][name] = value
        assert optimizer.settings() == before


class Signs(optim.RuleOptimizer, lr=0.25):
    """An optimiser of the user's own: steps of one size, with a memory."""

    weight_decay: float = nonnegative(default=0.0)
    slope: float = 1.0

    def moments(self, o):
        return ("seen",)

    def scalars(self, step, lr, o):
        return {"lr": lr * o["slope"]}

    @staticmethod
    def update(p, g, s):
        s.seen = s.seen + g
        return p - s.lr * g / absolute(g)


def test_an_optimiser_of_ones_own_declares_its_arguments() -> None:
    told = inspect.signature(Signs).parameters
    assert list(told)[:4] == ["params", "lr", "weight_decay", "slope"]
    assert (told["lr"].default, told["lr"].annotation) == (0.25, "Rate")
    assert told["clip_norm"].kind is inspect.Parameter.KEYWORD_ONLY
    w = cr.tensor([1.0], requires_grad=True)
    w.grad = cr.tensor([3.0])
    optimizer = Signs([w], slope=2.0)
    optimizer.step()
    assert (w.item(), optimizer.state["param0"]["seen"].item()) == (0.5, 3.0)
    assert repr(optimizer).startswith("Signs(lr=0.25, weight_decay=0.0, slope=2.0, ")
    with pytest.raises(ArgumentError, match="weight_decay ≥ 0"):
        Signs(weight_decay=-1.0)
    assert not hasattr(optimizer, "momentum")


def test_lbfgs_has_no_options_that_it_would_not_follow() -> None:
    for name in ("maximize", "clip_norm", "clip_value", "weight_decay"):
        with pytest.raises(TypeError, match=name):
            optim.LBFGS(**{name: 1.0})


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


# -- messages --------------------------------------------------------------------------


def test_repr():
    assert repr(optim.Adam(lr=0.5)) == (
        "Adam(lr=0.5, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, amsgrad=False, "
        "maximize=False, decoupled_weight_decay=False)"
    )
    groups = [{"params": "*.bias", "eps": 0}, {"params": "*"}]
    made = optim.AdamW(groups, lr=optim.ExponentialLR(0.5, 0.9), clip_norm=1.0)
    assert repr(made) == (
        "AdamW(lr=ExponentialLR(lr=0.5, gamma=0.9, unit='epoch'), "
        "betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, amsgrad=False, "
        "maximize=False, clip_norm=1.0, 2 groups)"
    )


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "optim.SGD(lr=float('nan'))": "finite",
        "optim.SGD(lr=None)": "finite",
        "optim.SGD(lr=0.1, momentum=1.0)": "0 ≤ momentum < 1",
        "optim.SGD(momentum=-0.1)": "0 ≤ momentum < 1",
        "optim.SGD(dampening=1.0)": "0 ≤ dampening < 1",
        "optim.SGD(weight_decay=-1)": "weight_decay ≥ 0",
        "optim.SGD(weight_decay=math.inf)": "finite",
        "optim.SGD(nesterov=True)": "momentum > 0",
        "optim.SGD(nesterov=True, momentum=0.9, dampening=0.1)": "dampening = 0",
        "optim.SGD(nesterov=1, momentum=0.9)": "on or off",
        "optim.Adam(betas=(0.9, 1.0))": "0 ≤ β < 1",
        "optim.Adam(betas=(-0.1, 0.9))": "mean gradient",
        "optim.Adam(betas=0.9)": "two betas",
        "optim.Adam(betas=(0.9,))": "two betas",
        "optim.Adam(eps=-1e-08)": "eps ≥ 0",
        "optim.AdamW(weight_decay=-0.1)": "weight_decay ≥ 0",
        "optim.RMSprop(alpha=1.0)": "0 ≤ alpha < 1",
        "optim.RMSprop(momentum=1)": "0 ≤ momentum < 1",
        "optim.RMSprop(centered='yes')": "on or off",
        "optim.Adam(amsgrad=1)": "amsgrad is either on or off",
        "optim.SGD(maximize=None)": "on or off",
        "optim.RAdam(decoupled_weight_decay=0)": "on or off",
        "optim.Adadelta(rho=1.0)": "0 ≤ rho < 1",
        "optim.NAdam(momentum_decay=-1)": "momentum_decay ≥ 0",
        "optim.Adamax(betas=(0.9, 2))": "mean square",
        "optim.Adagrad(lr_decay=-1)": "lr_decay ≥ 0",
        "optim.Adagrad(initial_accumulator_value=-1)": "initial_accumulator_value ≥ 0",
        "optim.SGD().param_groups[0].__setitem__('momentm', 0.9)": "mean 'momentum'",
        "optim.SGD().param_groups[0].__setitem__('params', [])": "stay as they are",
        "optim.SGD().param_groups[0].__setitem__('momentum', 1.5)": "0 ≤ momentum < 1",
    },
    GradientError: {
        "optim.SGD().step()": "no parameters",
        "optim.SGD(nn.Linear(2, 2).parameters()).step()": r"loss\.backward\(\)",
    },
}
test_mistakes_are_explained = explained(MISTAKES, globals())
