"""Parameter groups: who gets what, by tensors, by names, by patterns."""

from __future__ import annotations

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError
from chainrule.nn.architecture import build_optimizer
from tests.mistakes import explained

NAMES = ["0.weight", "0.bias", "2.weight", "2.bias"]


def network() -> nn.Sequential:
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def shares(optimizer: optim.RuleOptimizer) -> list[list[str]]:
    """The names of the parameters of each group."""
    name_of = {id(p): name for name, p in optimizer.params.items()}
    return [[name_of[id(p)] for p in g["params"]] for g in optimizer.param_groups]


def test_without_groups_there_is_one() -> None:
    optimizer = optim.SGD(network().named_parameters(), lr=0.5, momentum=0.9)
    (group,) = optimizer.param_groups
    assert shares(optimizer) == [NAMES]
    assert dict(group) | {"params": 0} == {
        "params": 0,
        "lr": 0.5,
        "momentum": 0.9,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
        "l1_penalty": None,
        "maximize": False,
    }
    assert len(group) == 8
    assert repr(group).startswith("ParamGroup(4 parameters, lr=0.5, momentum=0.9")


def test_patterns() -> None:
    groups = [
        {"params": "*.bias", "weight_decay": 0.0},
        {"params": "2.*", "lr": 0.25, "betas": [0.5, 0.6]},
        {"params": "*"},
    ]
    optimizer = optim.AdamW(groups, lr=0.5, weight_decay=0.1)
    assert optimizer.params == {}
    optimizer.attach_parameters(network().named_parameters())
    assert shares(optimizer) == [["0.bias", "2.bias"], ["2.weight"], ["0.weight"]]
    bias, last, rest = optimizer.param_groups
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.0, 0.1, 0.1]
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.25, 0.5]
    assert (rest["betas"], bias["betas"], last["betas"][1]) == (
        (0.9, 0.999),
        (0.9, 0.999),
        0.6,
    )
    assert list(optimizer.params) == NAMES, "in the model's order"


def test_patterns_for_the_parameters_of_a_loop_of_ones_own() -> None:
    """Pairs of names and tensors are what earlier patterns leave of them."""
    groups = [{"params": "0.weight", "lr": 1}, {"params": network().named_parameters()}]
    optimizer = optim.SGD(groups, 0.1)
    assert shares(optimizer) == [["0.weight"], ["0.bias", "2.weight", "2.bias"]]
    all_taken = [{"params": "*"}, {"params": network().named_parameters(), "lr": 1.0}]
    assert shares(optim.SGD(all_taken)) == [NAMES, []]


def test_the_names_are_those_that_were_said() -> None:
    assert list(optim.SGD(network().named_parameters()).params) == NAMES
    plain = [cr.tensor([1.0], requires_grad=True) for _ in range(3)]
    assert list(optim.SGD(plain).params) == ["param0", "param1", "param2"]
    plain[1].name = "mine"
    assert list(optim.SGD(plain).params) == ["param0", "mine", "param2"]


def test_the_rest_may_be_nothing() -> None:
    optimizer = optim.SGD([{"params": "?.*", "lr": 1.0}, {"params": "*"}])
    optimizer.attach_parameters(network().named_parameters())
    assert shares(optimizer) == [NAMES, []]
    for p in optimizer.params.values():
        p.grad = p * 0.0
    optimizer.step()


def test_dictionaries_of_names_wait_for_a_model() -> None:
    optimizer = optim.SGD([{"params": "2.*", "lr": 1.0}, {"params": ["0.bias"]}], 0.1)
    optimizer.attach_parameters(dict(network().named_parameters()))
    assert shares(optimizer) == [["2.weight", "2.bias"], ["0.bias"]]


def test_a_group_may_have_a_schedule_and_moments_of_its_own() -> None:
    model = network()
    optimizer = optim.SGD(
        [
            {"params": "*.bias", "lr": optim.StepLR(0.5, 1, 0.5), "momentum": 0.5},
            {"params": "0.weight", "lr": optim.ReduceLROnPlateau(0.25, patience=0)},
            {"params": model.named_parameters()},
        ],
        lr=1.0,
    )
    assert [list(m) for m in optimizer.state.values()] == [
        [],
        ["velocity"],
        [],
        ["velocity"],
    ]
    assert len(optimizer.schedules()) == 3
    optimizer.bind_schedules(10, 2)
    optimizer.steps = 2
    optimizer.observe({"validation_loss": 1.0})
    optimizer.observe({"validation_loss": 1.0})
    rates = [g["lr"] for g in optimizer.param_groups]
    assert rates == [0.25, pytest.approx(0.025), 1.0]


def test_a_schedule_of_several_groups_hears_of_an_epoch_once() -> None:
    shared = optim.ReduceLROnPlateau(1.0, patience=1)
    optimizer = optim.SGD([{"params": "b", "lr": shared}, {"params": "*"}], shared)
    assert optimizer.schedules() == [shared]
    for loss in (1.0, 1.0):
        optimizer.observe({"validation_loss": loss})
    assert optimizer.lr == 1.0


def test_two_models_with_the_same_names() -> None:
    """The networks of a GAN in one optimiser: no parameter takes another's place."""
    a, b = network(), network()
    optimizer = optim.Adam([*a.named_parameters(), *b.named_parameters()])
    assert list(optimizer.params)[3:5] == ["2.bias", "0.weight'"]
    assert len(optimizer.params) == 8
    assert {id(p) for p in optimizer.params.values()} == {
        id(p) for model in (a, b) for p in model.parameters()
    }


# -- adopting a model's parameters -----------------------------------------------------


def test_adopting_renames_what_there_is() -> None:
    weight = cr.tensor(np.ones(3), requires_grad=True)
    bias = cr.tensor(np.ones(1), requires_grad=True)
    optimizer = optim.Adam([{"params": [weight]}, {"params": [bias], "lr": 0.1}])
    assert list(optimizer.params) == ["param0", "param1"]
    moments = dict(optimizer.state["param0"])
    optimizer.attach_parameters({"a.weight": weight, "a.bias": bias})
    assert optimizer.state["a.weight"] == moments
    assert moments["m"].name == "a.weight.m"
    assert shares(optimizer) == [["a.weight"], ["a.bias"]]
    assert optimizer.settings()["params"][1]["params"] == ["a.bias"]


def test_another_model_is_refused() -> None:
    optimizer = optim.Adam(network().parameters())
    with pytest.raises(ArgumentError, match="another model"):
        optimizer.attach_parameters(dict(network().named_parameters()))
    some = [{"params": [network()[0].weight]}, {"params": "2.*"}]
    with pytest.raises(ArgumentError, match="another model"):
        optim.Adam(some).attach_parameters(dict(network().named_parameters()))


# -- as data ---------------------------------------------------------------------------


def rebuilt(optimizer: optim.RuleOptimizer, model: nn.Module) -> optim.RuleOptimizer:
    text = json.dumps(optimizer.settings(), sort_keys=True)
    made = build_optimizer(json.loads(text))
    assert json.dumps(made.settings(), sort_keys=True) == text, "before it has a model"
    made.attach_parameters(dict(model.named_parameters()))
    assert json.dumps(made.settings(), sort_keys=True) == text
    return made


@pytest.mark.parametrize(
    "make",
    [
        lambda model: optim.SGD(lr=0.5),
        lambda model: optim.SGD(model.parameters(), lr=0.5),
        lambda model: optim.Adam(model[2].parameters()),
        lambda model: optim.Adam(["2.*", "0.bias"]),
        lambda model: optim.Adam(
            [
                {"params": "bias", "eps": 1e-4},
                {"params": model[2].named_parameters()},
            ]
        ),
        lambda model: optim.AdamW(
            [
                {"params": "2.*", "lr": optim.StepLR(0.5, 2, steps_per_epoch=3)},
                {"params": "*.weight", "betas": (0.5, 0.75)},
                {"params": "*"},
            ],
            clip_norm=1.0,
            clip_value=0.5,
        ),
        lambda model: optim.RMSprop(
            [
                {"params": model[2].parameters(), "momentum": 0.5, "lr": 0.25},
                {"params": [model[0].bias], "centered": True},
            ]
        ),
    ],
)
def test_there_and_back(make) -> None:
    model = network()
    optimizer = make(model)
    optimizer.attach_parameters(dict(model.named_parameters()))
    made = rebuilt(optimizer, model)
    assert shares(made) == shares(optimizer)
    assert repr(made) == repr(optimizer)
    for a, b in zip(made.param_groups, optimizer.param_groups, strict=True):
        assert dict(a) | {"params": 0} == dict(b) | {"params": 0}
    assert (made.clip_norm, made.clip_value) == (
        optimizer.clip_norm,
        optimizer.clip_value,
    )


def test_what_was_changed_later_is_saved() -> None:
    model = network()
    groups = [{"params": model.named_parameters()}, {"params": "*.bias", "lr": 0.2}]
    optimizer = optim.SGD(groups[::-1], 0.1, momentum=0.9)
    bias, main = optimizer.param_groups
    main["momentum"], bias["weight_decay"], bias["lr"] = 0.5, 0.25, 0.75
    made = rebuilt(optimizer, model)
    assert [g["momentum"] for g in made.param_groups] == [0.9, 0.5]
    assert [g["weight_decay"] for g in made.param_groups] == [0.25, 0.0]
    assert [g["lr"] for g in made.param_groups] == [0.75, 0.1]


# -- messages --------------------------------------------------------------------------


def adopted(groups) -> None:
    """Options by patterns, and the rest."""
    given = [{"params": pattern, **options} for pattern, options in groups.items()]
    optimizer = optim.SGD([*given, {"params": "*"}], lr=0.1)
    optimizer.attach_parameters(network().named_parameters())


def bias() -> nn.Parameter:
    return network()[0].bias


#: What is written, by its error, and words of the message.
MISTAKES = {
    ArgumentError: {
        "adopted({'*.biass': {'lr': 1.0}})": r"fits no parameter.*0\.bias",
        "adopted({'0.weigth': {}})": "did you mean '0.weight'",
        "adopted({'*': {}, '0.*': {'lr': 1.0}})": "narrower pattern first",
        "adopted({'*.bias': {'momentm': 0.5}})": "did you mean 'momentum'",
        "adopted({'*.bias': {'alpha': 0.5}})": "one of lr, momentum",
        "adopted({'*.bias': {'momentum': 2}})": "0 ≤ momentum < 1",
        "adopted({'*.bias': {'clip_norm': 1.0}})": "all gradients together",
        "adopted({3: {'lr': 1.0}})": "needs parameters",
        "optim.SGD([{'params': '*'}, '0.*'])": "a dictionary with its param",
        "optim.SGD([('bias', 3.0)])": "needs parameters",
        "optim.SGD([('b', bias()), 'w'])": "needs parameters",
        "optim.SGD([('b', bias()), bias()])": "needs parameters",
        "optim.SGD([{'params': 'w'}, {'params': [('b', bias())]}])": "fits no param",
        "optim.SGD([], lr=0.1)": "needs parameters",
        "optim.SGD([1.0], lr=0.1)": "needs parameters",
        "optim.SGD(0.1)": r"fix: +optim\.SGD\(lr=0\.1\)",
        "optim.SGD(optim.StepLR(0.1, 3))": r"optim\.SGD\(lr=StepLR\(lr=0\.1",
        "optim.SGD(network(), lr=0.1)": r"model\.parameters\(\)",
        "optim.SGD(network()[0].bias)": r"optim\.SGD\(\[tensor\], …\)",
        "optim.SGD('0.bias')": "needs parameters",
        "optim.SGD({'params': '*'})": "needs parameters",
        "optim.SGD([{'params': []}])": "needs parameters",
        "optim.SGD([{'params': 3}])": "needs parameters",
        "optim.SGD([{'lr': 3}])": "a dictionary with its parameters",
        "optim.SGD([network()[0].bias, '2.bias'])": "needs parameters",
        "optim.SGD([network()[0].bias * 2])": "not computed",
    },
}
test_mistakes_are_explained = explained(MISTAKES, globals())


def test_a_parameter_in_two_groups_is_refused() -> None:
    bias = network()[0].bias
    twice = {"params": [bias]}, {"params": [("b", bias)]}
    for params in ([bias, bias], [("a", bias), ("b", bias)], twice):
        with pytest.raises(ArgumentError, match="a parameter twice"):
            optim.SGD(params)


def test_a_pattern_that_fits_nothing_changes_nothing() -> None:
    model = network()
    optimizer = optim.Adam([{"params": "3.*", "lr": 1.0}, {"params": "*"}])
    with pytest.raises(ArgumentError, match="fits no parameter"):
        optimizer.attach_parameters(dict(model.named_parameters()))
    assert optimizer.params == {}
    assert optimizer.state == {}
