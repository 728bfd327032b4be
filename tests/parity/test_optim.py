"""Update rules, clipping and schedules against PyTorch's.

Each optimiser with each of its options makes 25 steps on the same network, weights and
batches, eagerly and on both engines; the losses and the weights must agree. Skipped,
and said so, where PyTorch is not installed (``pip install -e '.[parity]'``).
"""

from __future__ import annotations

import functools
import inspect
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import nn, optim
from tests.recording import Offer
from tests.ways import WAYS

pytestmark = pytest.mark.parity

STEPS, EAGER_STEPS, BATCH = 25, 8, 16
#: Those that take the gradients of dense layers; the other one: test_rows.py.
DENSE = [name for name, kind in optim.OPTIMIZERS.items() if kind.rows_alone != "only"]
#: Inputs, hidden neurons and classes; the second one is the textbook's (3.2.3).
SIZES, BOOK = (6, 32, 5), (784, 128, 64, 10)
#: Relative difference of losses, weights and rates in float64, where rounding alone
#: differs; what some rules divide by is small, so that it grows.
TOLERANCE = 1e-11


@dataclass(frozen=True)
class Case:
    """An optimiser of ours and of PyTorch's with the same options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    clip_value: float | None = None
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    schedule: bool = False

    def arguments(self) -> set[str]:
        """What the optimiser is given, by name."""
        given = {*self.options, *(k for g in self.groups.values() for k in g)}
        limits = {"clip_norm": self.clip_norm, "clip_value": self.clip_value}
        return given | {k for k, v in limits.items() if v is not None}

    def __str__(self) -> str:
        limits = {"clip_norm": self.clip_norm, "clip_value": self.clip_value}
        given = self.options | {k: v for k, v in limits.items() if v is not None}
        parts = [f"{k}={v}" for k, v in given.items()] + [*self.groups]
        return "-".join([self.name, *parts]).replace(" ", "")


SGD = {"lr": 0.5}
MOMENTUM = SGD | {"momentum": 0.9}
RMSPROP = {"lr": 0.01, "alpha": 0.9}
ADAM = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6}
L2 = {"weight_decay": 0.02}
UP = {"maximize": True}
CASES = [
    Case("SGD"),
    Case("SGD", SGD | L2, schedule=True),
    Case("SGD", MOMENTUM),
    Case("SGD", {"lr": 0.01} | UP),
    Case("SGD", {"lr": 0.01, "momentum": 0.5, "dampening": 0.25} | L2 | UP),
    Case("SGD", MOMENTUM | {"dampening": 0.5} | L2, clip_norm=0.25),
    Case("SGD", MOMENTUM | {"nesterov": True}, clip_norm=0.25),
    Case("SGD", MOMENTUM | {"nesterov": True} | L2, clip_value=0.02),
    Case("SGD", {"lr": 0.01} | L2 | UP, clip_norm=0.25, clip_value=0.05),
    Case("RMSprop"),
    Case("RMSprop", RMSPROP | {"momentum": 0.8} | L2, clip_norm=0.25),
    Case("RMSprop", RMSPROP | {"centered": True} | UP, clip_value=0.02),
    Case("RMSprop", RMSPROP | {"centered": True, "momentum": 0.8, "eps": 1e-4}),
    Case("Adagrad"),
    Case("Adagrad", {"lr": 0.05, "lr_decay": 0.1} | L2, clip_norm=0.25, schedule=True),
    Case(
        "Adagrad", {"initial_accumulator_value": 0.5, "eps": 1e-6} | UP, clip_value=0.02
    ),
    Case("Adadelta"),
    Case("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4} | L2, clip_norm=0.25),
    Case("Adadelta", {"lr": 0.5} | UP, clip_value=0.02),
    Case("Adam"),
    Case("Adam", ADAM | L2, clip_norm=0.25, schedule=True),
    Case("Adam", ADAM | {"amsgrad": True} | L2, clip_value=0.02),
    Case("Adam", ADAM | {"decoupled_weight_decay": True} | L2 | UP),
    Case("AdamW"),
    Case("AdamW", ADAM | {"weight_decay": 0.2}, clip_norm=0.25, schedule=True),
    Case("AdamW", ADAM | {"weight_decay": 0.2, "amsgrad": True} | UP, clip_value=0.02),
    Case("AdamW", ADAM | {"weight_decay": 0.0}, clip_norm=0.25),
    Case("Adamax"),
    Case("Adamax", ADAM | L2, clip_norm=0.25),
    Case("Adamax", ADAM | UP, clip_value=0.02, schedule=True),
    Case("NAdam"),
    Case("NAdam", ADAM | {"momentum_decay": 0.1} | L2, clip_norm=0.25),
    Case("NAdam", ADAM | {"decoupled_weight_decay": True} | L2 | UP, clip_value=0.02),
    Case("RAdam"),
    Case("RAdam", ADAM | L2, clip_norm=0.25),
    Case("RAdam", ADAM | {"decoupled_weight_decay": True} | L2 | UP, clip_value=0.02),
    Case(
        "SGD",
        MOMENTUM | L2,
        clip_norm=0.25,
        groups={
            "*.bias": {"weight_decay": 0.0, "momentum": 0.0},
            "0.*": {"lr": 0.05, "momentum": 0.5},
        },
    ),
    Case(
        "RMSprop",
        RMSPROP | {"momentum": 0.8},
        groups={"2.*": {"centered": True, "alpha": 0.8, "maximize": True}},
    ),
    Case(
        "AdamW",
        ADAM | {"weight_decay": 0.2},
        groups={"*.bias": {"weight_decay": 0.0}, "2.*": {"betas": (0.5, 0.9)}},
    ),
]
#: Arguments of PyTorch's that say how to compute, not what.
HOW = {"self", "params", "foreach", "fused", "capturable", "differentiable"}


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(3)
    return [
        (rng.normal(size=(BATCH, SIZES[0])), rng.integers(0, SIZES[-1], BATCH))
        for _ in range(STEPS)
    ]


def network(library: Any, dtype: str, sizes: Any = SIZES) -> Any:
    """Of ours where the library is ``nn``, else of PyTorch's."""
    cr.manual_seed(0)
    kind = dtype if library is nn else getattr(torch, dtype)
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(sizes):
        activation = library.Tanh() if sizes is SIZES else library.ReLU()
        layers += [library.Linear(inputs, outputs, dtype=kind), activation]
    return library.Sequential(*layers[:-1])


def our_groups(case: Case, model):
    if not case.groups:
        return model.parameters()
    groups = [{"params": pattern, **given} for pattern, given in case.groups.items()]
    return [*groups, {"params": model.named_parameters()}]


def their_groups(case: Case, model) -> list[dict[str, Any]]:
    """Who has which options, said a second time: for these two patterns alone."""
    named = dict(model.named_parameters())
    made, left = [], list(named)
    for pattern, options in case.groups.items():
        fit = [n for n in left if n.startswith(pattern[:-1]) or n.endswith(pattern[1:])]
        left = [n for n in left if n not in fit]
        made.append({"params": [named[n] for n in fit], **options})
    return [{"params": [named[n] for n in left]}, *made]


@pytest.fixture(autouse=True)
def scalars_in_float64():
    """PyTorch keeps NAdam's product of momenta in its default type."""
    kept = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(kept)


def their_run(case: Case, state, batches, dtype: str, sizes: Any = SIZES):
    model = network(torch.nn, dtype, sizes)
    model.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    make = getattr(torch.optim, case.name)
    optimizer = make(their_groups(case, model), **case.options)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
    losses, norms = [], []
    for x, y in batches:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            model(torch.tensor(x.astype(dtype))), torch.tensor(y).long()
        )
        loss.backward()
        if case.clip_value is not None:
            torch.nn.utils.clip_grad_value_(model.parameters(), case.clip_value)
        if case.clip_norm is not None:
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), case.clip_norm)
            norms.append(norm.item())
        optimizer.step()
        if case.schedule:
            schedule.step()
        losses.append(loss.item())
    if case.clip_norm is not None:
        assert max(norms) > case.clip_norm, "the limit has bitten"
    return np.array(losses), {k: v.numpy() for k, v in model.state_dict().items()}


def our_run(case: Case, model, batches, engine: str, dtype: str) -> np.ndarray:
    options = dict(case.options)
    if case.schedule:
        options["lr"] = optim.ExponentialLR(options["lr"], 0.95, unit="step")
    optimizer = getattr(optim, case.name)(
        our_groups(case, model),
        clip_norm=case.clip_norm,
        clip_value=case.clip_value,
        **options,
    )
    loss_function = nn.CrossEntropyLoss()

    def step(x, y):
        model.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = step if engine == "eager" else cr.compile(step, engine=engine)
    given = [(cr.tensor(x.astype(dtype)), cr.tensor(y)) for x, y in batches]
    return np.array([float(run(x, y)) for x, y in given])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_25_steps(case: Case, batches) -> None:
    """Eagerly, where a step takes longest, the first few of them."""
    start = network(nn, "float64").state_dict()
    wanted, weights = their_run(case, start, batches, "float64")
    assert wanted[-1] != wanted[0]
    for engine in WAYS:
        model, eager = network(nn, "float64"), engine == "eager"
        some = batches[:EAGER_STEPS] if eager else batches
        got = our_run(case, model, some, engine, "float64")
        close = {"rtol": TOLERANCE, "atol": 0, "err_msg": engine}
        np.testing.assert_allclose(got, wanted[: len(some)], **close)
        if eager:
            continue
        for key, mine in model.state_dict().items():
            scale = np.abs(weights[key]).max()
            np.testing.assert_allclose(
                mine,
                weights[key],
                rtol=0,
                atol=TOLERANCE * scale,
                err_msg=f"{key} on {engine}",
            )


@pytest.mark.parametrize("name", DENSE)
def test_10_steps_in_float32(name: str, batches) -> None:
    """A float32 has 7 digits; 10 steps of sums over 32 numbers leave 5 of them."""
    case, start = Case(name), network(nn, "float32").state_dict()
    wanted, _ = their_run(case, start, batches[:10], "float32")
    for engine in WAYS:
        got = our_run(case, network(nn, "float32"), batches[:10], engine, "float32")
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=0, err_msg=engine)


@pytest.mark.parametrize(
    ("case", "dtype", "tolerance"),
    [
        (Case("SGD", {"lr": 0.05}), "float64", 1e-12),
        (Case("Adam", {"lr": 1e-3}), "float32", 1e-5),
    ],
)
def test_100_steps_of_the_textbooks_network(case, dtype, tolerance) -> None:
    train, _ = cr.data.mnist()
    rows = np.random.default_rng(0).permutation(len(train))[:3200].reshape(100, 32)
    batches = [(np.asarray(train.x[r]), train.y[r]) for r in rows]
    start = network(nn, dtype, BOOK).state_dict()
    wanted, weights = their_run(case, start, batches, dtype, BOOK)
    for engine in WAYS:
        model = network(nn, dtype, BOOK)
        got = our_run(case, model, batches, engine, dtype)
        np.testing.assert_allclose(got, wanted, rtol=tolerance, err_msg=engine)
        for key, mine in model.state_dict().items():
            close = {"rtol": 0, "atol": tolerance * 100, "err_msg": engine}
            np.testing.assert_allclose(mine, weights[key], **close)


@pytest.mark.parametrize("name", [*DENSE, "LBFGS"])
def test_every_argument_of_theirs_is_ours_and_compared(name: str) -> None:
    mine, theirs = (
        inspect.signature(getattr(module, name).__init__).parameters
        for module in (optim, torch.optim)
    )
    wanted = [k for k in theirs if k not in HOW]
    assert set(wanted) <= set(mine)
    by_position = [
        k for k in wanted if theirs[k].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert [k for k in mine if k not in HOW][: len(by_position)] == by_position
    for key in wanted:
        assert mine[key].default == theirs[key].default, key
    cases = LBFGS if name == "LBFGS" else [c.options for c in CASES if c.name == name]
    groups = [g for c in CASES if c.name == name for g in c.groups.values()]
    tried = {k for options in [*cases, *groups] for k in options}
    assert not set(wanted) - tried - {"lr"}


# -- L-BFGS ----------------------------------------------------------------------------

LBFGS: list[dict[str, Any]] = [
    {"lr": 0.05},
    {"lr": 0.05, "max_iter": 7, "history_size": 3, "tolerance_grad": 1e-3},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 7, "history_size": 1},
    {"line_search_fn": "strong_wolfe", "max_eval": 5, "tolerance_change": 1e-4},
]


def rosenbrock(x):
    return ((1 - x[:-1]) ** 2).sum() + (100 * (x[1:] - x[:-1] ** 2) ** 2).sum()


@pytest.mark.parametrize("options", LBFGS, ids=str)
def test_lbfgs_on_rosenbrocks_function(options: dict[str, Any]) -> None:
    """Six calls, the second half by another one that goes on from the state."""
    start = np.linspace(-1.2, 1.0, 6)
    mine = cr.tensor(start, requires_grad=True)
    theirs = torch.tensor(start, requires_grad=True)
    ours, other = optim.LBFGS([mine], **options), torch.optim.LBFGS([theirs], **options)

    def closure(optimizer, x):
        optimizer.zero_grad()
        loss = rosenbrock(x)
        loss.backward()
        return loss

    for i in range(6):
        if i == 3:
            kept, ours = ours.state_dict(), optim.LBFGS([mine], **options)
            ours.load_state_dict(kept)
        got = ours.step(functools.partial(closure, ours, mine))
        wanted = other.step(functools.partial(closure, other, theirs))
        # Each call multiplies what rounding left by the curvature, about 1000.
        assert float(got) == pytest.approx(wanted.item(), rel=1e-9)
        np.testing.assert_allclose(mine.numpy(), theirs.detach().numpy(), atol=1e-10)
        assert ours.memory["counts"][1] == other.state[theirs]["n_iter"]
    assert float(got) < 0.5 * rosenbrock(start)


# -- clipping in a loop of one's own ---------------------------------------------------


def gradients(scale: float = 1.0):
    rng = np.random.default_rng(5)
    return [scale * rng.normal(size=shape) for shape in ((3, 4), (4,), ())]


def both(arrays):
    ours = [cr.tensor(np.zeros_like(a), requires_grad=True) for a in arrays]
    theirs = [torch.zeros(a.shape, dtype=torch.float64) for a in arrays]
    for p, q, a in zip(ours, theirs, arrays, strict=True):
        p.grad, q.grad = cr.tensor(a), torch.tensor(a)
    return ours, theirs


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_clip_grad_norm(scale: float, limit: float) -> None:
    ours, theirs = both(gradients(scale))
    norm = optim.clip_grad_norm_(ours, limit)
    wanted = torch.nn.utils.clip_grad_norm_(theirs, limit)
    assert norm.item() == pytest.approx(wanted.item(), rel=TOLERANCE)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=TOLERANCE)


@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_clip_grad_value(limit: float) -> None:
    ours, theirs = both(gradients())
    optim.clip_grad_value_(ours, limit)
    torch.nn.utils.clip_grad_value_(theirs, limit)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["clip_grad_norm_", "clip_grad_value_"])
def test_clipping_what_is_not_finite(name: str, odd: float) -> None:
    arrays = gradients()
    arrays[0][1, 2] = odd
    ours, theirs = both(arrays)
    with np.errstate(invalid="ignore"):
        getattr(optim, name)(ours, 0.5)
    getattr(torch.nn.utils, name)(theirs, 0.5)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=TOLERANCE)


# -- schedules -------------------------------------------------------------------------

LR = torch.optim.lr_scheduler
#: The package, whose classes are written down as they are called.
HERE: Any = Offer(optim, "optim.")
#: Ours in units of u, and PyTorch's of an optimiser o, stepped after each update.
SCHEDULES = {
    "h.Schedule(0.5)": "h.ConstantLR(o, factor=1.0)",
    "h.StepLR(0.5, 7, 0.3, unit=u)": "h.StepLR(o, 7, 0.3)",
    "h.MultiStepLR(0.5, [5, 6, 40], 0.2, unit=u)": "h.MultiStepLR(o, [5, 6, 40], 0.2)",
    "h.ExponentialLR(0.5, 0.93, unit=u)": "h.ExponentialLR(o, 0.93)",
    "h.CosineAnnealingLR(0.5, 100, unit=u)": "h.CosineAnnealingLR(o, 100)",
    "h.CosineAnnealingLR(0.5, 30, 0.1, unit='step')": "h.CosineAnnealingLR(o, 30, 0.1)",
    "h.OneCycleLR(0.5, 100, pct_start=0.4, div_factor=10, final_div_factor=50)": (
        "h.OneCycleLR(o, 0.5, 100, pct_start=0.4, div_factor=10, final_div_factor=50, "
        "cycle_momentum=False)"
    ),
    "h.LinearWarmup(0.5, 12, 0.1)": "h.LinearLR(o, 0.1, total_iters=12)",
    "h.LinearWarmup(h.CosineAnnealingLR(0.5, 80, 0.02, unit='step'), 20, 0.25)": (
        "h.SequentialLR(o, [h.LinearLR(o, 0.25, total_iters=20), "
        "h.CosineAnnealingLR(o, 80, 0.02)], [20])"
    ),
    "h.LinearWarmup(h.StepLR(0.5, 30, 0.2, unit='step'), 20)": (
        "h.SequentialLR(o, [h.LinearLR(o, total_iters=20), h.StepLR(o, 30, 0.2)], [20])"
    ),
}


def ours_of(text: str, unit: str) -> optim.Schedule:
    return eval(text, {"h": HERE, "u": unit})


def stepped(text: str, steps: int = 100) -> list[float]:
    """The rates of PyTorch's schedule, one an update."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = eval(text, {"h": LR, "o": optimizer})
    rates = []
    for t in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if t < steps - 1:
            schedule.step()
    return rates


@pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")
@pytest.mark.parametrize("name", SCHEDULES)
def test_100_rates(name: str) -> None:
    made = ours_of(name, "step")
    got = made.values(100)
    np.testing.assert_allclose(
        got, stepped(SCHEDULES[name]), rtol=TOLERANCE, atol=1e-16
    )
    built = optim.build_schedule if type(made) is not optim.Schedule else optim.Schedule
    again = built(json.loads(json.dumps(made.settings())))
    np.testing.assert_array_equal(again.values(100), got)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if "unit=u" in name])
def test_epochs_count_as_pytorch_users_count_them(name: str) -> None:
    """scheduler.step() once an epoch, here of 5 updates."""
    ours = ours_of(name, "epoch")
    ours.bind(100 * 5, 5)
    wanted = np.repeat(stepped(SCHEDULES[name]), 5)
    np.testing.assert_allclose(ours.values(500), wanted, rtol=TOLERANCE, atol=1e-16)


PLATEAUS: list[dict[str, Any]] = [
    {},
    {"factor": 0.5, "patience": 3},
    {"factor": 0.5, "patience": 2, "cooldown": 4},
    {"factor": 0.3, "patience": 0, "min_lr": 0.01},
    {"mode": "max", "factor": 0.5, "patience": 1, "threshold": 0.05},
    {"patience": 1, "threshold": 0.1, "threshold_mode": "abs", "factor": 0.7},
    {"mode": "max", "patience": 1, "threshold": 0.1, "threshold_mode": "abs"},
    {"factor": 0.9, "patience": 0, "eps": 0.02},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_reduce_on_plateau(options) -> None:
    rng = np.random.default_rng(11)
    metrics = np.exp(-np.arange(100) / 30) + 0.1 * rng.normal(size=100)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    theirs = LR.ReduceLROnPlateau(optimizer, **options)
    ours = HERE.ReduceLROnPlateau(0.5, **options)
    seen = set()
    for epoch, metric in enumerate(metrics):
        theirs.step(metric)
        ours.observe({"validation_loss": float(metric)})
        wanted = optimizer.param_groups[0]["lr"]
        assert ours(epoch) == pytest.approx(wanted, rel=TOLERANCE, abs=0), epoch
        seen.add(wanted)
        if epoch % 7 == 0:  # interrupted, and gone on with
            ours = optim.build_schedule(json.loads(json.dumps(ours.settings())))
    assert len(seen) > 1, "the rate was reduced"
