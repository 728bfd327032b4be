"""state_dict and load_state_dict of optimisers: whole, copied, or refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.nn.architecture import build_optimizer
from tests.rows import table

X = np.random.default_rng(0).normal(size=(40, 8, 3)).astype("float32")


def network(hidden: int = 4) -> nn.Sequential:
    cr.manual_seed(0)
    return nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 1))


def adam(model: nn.Module, **given: Any) -> optim.RuleOptimizer:
    given = {
        "lr": optim.StepLR(0.05, step_size=4, unit="step"),
        "clip_norm": 0.5,
    } | given
    groups = [
        {"params": "*.weight"},
        {"params": model.named_parameters(), "lr": 0.02, "weight_decay": 0.0},
    ]
    return optim.AdamW(groups, **given)


def train(
    model: nn.Module, optimizer: optim.RuleOptimizer, first: int, last: int
) -> Any:
    losses = []
    for x in X[first:last]:
        optimizer.zero_grad()
        loss = ((model(cr.tensor(x)) - x.sum(1, keepdims=True)) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


MAKERS = {
    "adamw, groups, a schedule, clipping": adam,
    **{
        name: lambda m, kind=kind: kind(m.parameters(), lr=0.05, clip_value=0.1)
        for name, kind in optim.OPTIMIZERS.items()
        if kind.rows_alone != "only"
    },
    "momentum": lambda m: optim.SGD(m.parameters(), lr=0.05, momentum=0.9),
    "centered": lambda m: optim.RMSprop(
        m.parameters(), lr=0.01, momentum=0.5, centered=True
    ),
    "amsgrad": lambda m: optim.Adam(m.parameters(), lr=0.01, amsgrad=True),
    "two groups": lambda m: optim.SGD(
        [
            {"params": m[0].parameters()},
            {"params": m[2].parameters(), "lr": 1e-3, "momentum": 0.5},
        ],
        lr=0.1,
    ),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_another_one_goes_on_bit_for_bit(make: Any) -> None:
    model = network()
    optimizer = make(model)
    losses = train(model, optimizer, 0, 5)
    kept, weights = optimizer.state_dict(), model.state_dict()
    losses += train(model, optimizer, 5, 20)

    model = network()
    optimizer = make(model)
    model.load_state_dict(weights)
    optimizer.load_state_dict(kept)
    assert losses[5:] == train(model, optimizer, 5, 20), "and the copies did not move"
    assert optimizer.steps == 20


def test_the_only_group_has_the_rate_of_the_optimiser() -> None:
    optimizer = optim.SGD(network().parameters(), lr=0.1)
    state = optimizer.state_dict()
    changed("param_groups/0/lr", 0.1)(state)
    with pytest.raises(ArgumentError, match=r"param_groups\[0\](.|\n)*got: .*'lr'"):
        optimizer.load_state_dict(state)
    optimizer.param_groups[0]["lr"] = 0.25
    assert optimizer.lr == 0.25


def test_rates_and_options_come_along() -> None:
    model = network()
    old = adam(model, weight_decay=0.3, betas=(0.7, 0.8))
    train(model, old, 0, 6)
    new = adam(network(), lr=1.0, clip_norm=7.0)
    new.load_state_dict(old.state_dict())
    assert (new.steps, new.lr, new.clip_norm) == (6, old.lr, 0.5)
    for mine, theirs in zip(new.param_groups, old.param_groups, strict=True):
        assert {k: v for k, v in mine.items() if k != "params"} == {
            k: v for k, v in theirs.items() if k != "params"
        }
    assert new.param_groups[0]["betas"] == (0.7, 0.8)
    assert new.param_groups[1]["lr"] == 0.02
    assert new.param_groups[1].schedule is not old.param_groups[1].schedule


def test_a_compiled_step_goes_on_from_it() -> None:
    def compiled() -> tuple[nn.Module, optim.RuleOptimizer, Any]:
        model = network()
        optimizer = adam(model)

        @cr.compile(engine="numpy")
        def step(x: cr.Tensor) -> cr.Tensor:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return model, optimizer, step

    model, optimizer, step = compiled()
    for x in X[:5]:
        step(x)
    weights, kept = model.state_dict(), optimizer.state_dict()
    wanted = [step(x).item() for x in X[5:10]]
    model, optimizer, step = compiled()
    step(X[0])  # it has its machine already
    model.load_state_dict(weights)
    optimizer.load_state_dict(kept)
    assert [step(x).item() for x in X[5:10]] == wanted
    optimizer.load_state_dict(kept | {"clip_norm": None})  # another rule
    model.load_state_dict(weights)
    unlimited = [step(x).item() for x in X[5:10]]
    assert unlimited == pytest.approx(wanted), "no gradient reached the limit"
    assert len(step.programs) == 2


def changed(path: Any, value: Any) -> Any:
    """An edit of a state_dict: "state/0.bias/m"."""

    def edit(state: dict[str, Any]) -> None:
        *way, last = path.split("/") if isinstance(path, str) else [path]
        item: Any = state
        for key in way:
            item = item[int(key) if isinstance(item, list) else key]
        item[int(last) if isinstance(item, list) else last] = value

    return edit


def moment(value: Any) -> Any:
    """The edit of the last moment, when all others have passed."""
    return changed("state/2.weight/v", value)


@table(
    ("edit", "error", "says"),
    [
        (lambda s: s.pop("steps"), ArgumentError, r"got: .*'state', 'weight_decay'\]"),
        (changed("more", 1), ArgumentError, r"got: .*'more'"),
        (
            changed(1, 1),
            ArgumentError,
            r"The state_dict \(its set of keys\)(.|\n)*got: .*\[1, ",
        ),
        (changed("optimizer", "SGD"), ArgumentError, r"AdamW\n.*SGD"),
        (changed("optimizer", None), ArgumentError, r"AdamW\n.*None"),
        (changed("steps", -1), ArgumentError, "steps must be a whole number"),
        (changed("lr", math.nan), ArgumentError, "A learning rate is a finite number"),
        (changed("lr", None), ArgumentError, "A learning rate is a finite number"),
        (changed("lr", {"name": "StepLr"}), ArgumentError, "did you mean 'StepLR'"),
        (changed("clip_norm", -1.0), ArgumentError, "clip_norm must be a positive"),
        (changed("clip_value", -1.0), ArgumentError, "clip_value must be a positive"),
        (changed("clip_value", "1"), ArgumentError, "clip_value must be a positive"),
        (changed("param_groups", None), ArgumentError, "number of param_groups"),
        (lambda s: s["param_groups"].pop(), ArgumentError, "number of param_groups"),
        (
            changed("param_groups/0", None),
            ArgumentError,
            r"param_groups\[0\] is a dict",
        ),
        (changed("param_groups/0/eps", -1.0), ArgumentError, "eps must be"),
        (changed("param_groups/1/lr", "x"), ArgumentError, "learning rate"),
        (changed("param_groups/0/esp", 1.0), ArgumentError, r"got: .*'esp'"),
        (changed("param_groups/1/params", ["0.bias"]), ArgumentError, "list of params"),
        (changed("state", 3), ArgumentError, "state of all parameters is a dict"),
        (lambda s: s["state"].pop("0.bias"), ArgumentError, r"got:  *\['0.weight'"),
        (changed("state/0.bias", None), ArgumentError, "state of 0.bias is a dict"),
        (changed("state/0.bias/more", 0.0), ArgumentError, r"got: .*'more'"),
        (moment(np.zeros((4, 1))), ShapeError, r"\(1, 4\)(.|\n)*\(4, 1\)"),
        (moment(np.zeros((1, 4), "complex128")), DTypeError, "v of 2.weight"),
        (moment(np.full((1, 4), "?")), DTypeError, "v of 2.weight"),
        (moment([[1.0], [1.0, 2.0]]), DTypeError, "v of 2.weight"),
        (moment(np.full((1, 4), 1e300)), DTypeError, r"too large(.|\n)*1e\+300"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    edit: Any, error: type[Exception], says: str
) -> None:
    model = network()
    optimizer = adam(model)
    train(model, optimizer, 0, 3)
    before = optimizer.state_dict()
    state = adam(network(), lr=0.9, clip_norm=9.0).state_dict()
    edit(state)
    with pytest.raises(error, match=says):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


@pytest.mark.parametrize("given", [None, 5, [], "state"])
def test_what_is_no_state_dict(given: Any) -> None:
    with pytest.raises(ArgumentError, match="The state_dict is a dictionary"):
        adam(network()).load_state_dict(given)


def test_an_optimizer_without_parameters_says_so() -> None:
    state = adam(network()).state_dict()
    with pytest.raises(ArgumentError, match=r"optim.AdamW\(model.parameters"):
        optim.AdamW().load_state_dict(state)


def test_moments_come_in_any_precision() -> None:
    optimizer = adam(network())
    state = optimizer.state_dict()
    moment(np.full((1, 4), 0.5, "float16"))(state)
    optimizer.load_state_dict(state)
    held = optimizer.state["2.weight"]["v"].numpy()
    assert held.dtype == np.float32
    assert held.tolist() == [[0.5] * 4]


class Halving(optim.Schedule):
    """A schedule of the user's own."""

    def __call__(self, step: int) -> float:
        return self.lr * 0.5**step


def test_schedules_that_are_held_elsewhere_move_along() -> None:
    def made(schedule: optim.Schedule) -> optim.RuleOptimizer:
        model = network()
        groups = [
            {"params": model.named_parameters()},
            {"params": "*.bias", "lr": schedule},
            {"params": "0.weight", "lr": Halving(0.5)},
        ]
        return optim.SGD(groups[::-1], lr=schedule)

    old, new = (optim.ReduceLROnPlateau(0.8, patience=0) for _ in range(2))
    first, second = made(old), made(new)
    for _ in range(3):
        first.observe({"validation_loss": 1.0})
    second.load_state_dict(first.state_dict())
    assert second.schedule is new
    assert len(second.schedules()) == 2, "still shared"
    assert new(0) == old(0) < 0.8
    new.observe({"validation_loss": 2.0})
    assert second.lr == second.param_groups[1]["lr"] == new(0) < old(0)
    assert second.param_groups[0]["lr"] == 0.5


def test_groups_that_share_no_more_get_schedules_of_their_own() -> None:
    shared = optim.Schedule(0.1)
    model = network()
    optimizer = optim.SGD(
        [
            {"params": model[0].parameters()},
            {"params": model[2].parameters(), "lr": shared},
        ],
        lr=shared,
    )
    state = optimizer.state_dict()
    changed("param_groups/1/lr", 0.7)(state)
    optimizer.load_state_dict(state)
    assert (optimizer.lr, optimizer.param_groups[1]["lr"]) == (0.1, 0.7)


def test_it_is_a_copy_to_the_last_list() -> None:
    schedule = optim.MultiStepLR(0.1, [2, 4], unit="step")
    optimizer = adam(network(), lr=schedule)
    state = optimizer.state_dict()
    state["lr"]["milestones"].append(99)
    assert optimizer.state_dict()["lr"]["milestones"] == [2, 4]
    optimizer.load_state_dict(state)
    state["lr"]["milestones"].append(100)
    assert optimizer.state_dict()["lr"]["milestones"] == [2, 4, 99]


def test_what_groups_share_stays_shared() -> None:
    """An option that a group has of its own stays its own, even at the common value."""
    model = network()
    old = adam(model, weight_decay=0.3)
    first, _ = old.param_groups
    first["eps"], old.betas = old.eps, (0.5, 0.5)
    new = adam(network())
    new.load_state_dict(old.state_dict())
    again = build_optimizer(old.settings())
    again.attach_parameters(network().named_parameters())
    for o in (old, new, again):
        o.eps, o.betas = 0.125, (0.25, 0.25)
        assert [g["eps"] for g in o.param_groups] == [1e-8, 0.125]
        assert [g["betas"] for g in o.param_groups] == [(0.25, 0.25)] * 2
        assert [g["weight_decay"] for g in o.param_groups] == [0.3, 0.0]


def test_a_number_that_is_edited_in_it_counts() -> None:
    optimizer = adam(network())
    state = optimizer.state_dict()
    changed("param_groups/0/eps", 0.5)(state)
    optimizer.load_state_dict(state)
    assert [g["eps"] for g in optimizer.param_groups] == [0.5, 1e-8]
