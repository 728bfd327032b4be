from __future__ import annotations

import json

import pytest

from chainrule import errors, nn, optim
from chainrule.training.architecture import (
    build_module,
    build_optimizer,
    module_spec,
)

EVERY = [
    nn.Linear(3, 2),
    nn.Linear(2, 4, bias=False),
    nn.Linear(4, 4, dtype="float64"),
    nn.ReLU(),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.Softmax(axis=0),
    nn.Dropout(0.25),
    nn.CrossEntropyLoss(),
    nn.MSELoss(),
    nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU(), nn.Dropout(0.5))),
    nn.Sequential(),
]


@pytest.mark.parametrize("module", EVERY, ids=lambda m: type(m).__name__)
def test_there_and_back(module: nn.Module) -> None:
    spec = module_spec(module)
    built = build_module(json.loads(json.dumps(spec)))
    assert repr(built) == repr(module)
    assert type(built) is type(module)
    types = [(n, p.shape, p.dtype) for n, p in module.named_parameters()]
    assert [(n, p.shape, p.dtype) for n, p in built.named_parameters()] == types


def test_every_module_of_nn_is_tried() -> None:
    named = {getattr(nn, name) for name in nn.__all__}
    modules = {c for c in named if isinstance(c, type) and issubclass(c, nn.Module)}
    assert modules - {nn.Module} == {type(m) for m in EVERY}


def test_modules_of_ones_own_have_none() -> None:
    class Linear(nn.Linear):
        pass

    assert module_spec(Linear(1, 1)) is None
    assert module_spec(nn.Sequential(nn.ReLU(), Linear(1, 1))) is None
    assert module_spec(lambda p, y: p) is None
    assert module_spec(nn.Module()) is None


@pytest.mark.parametrize(
    "spec",
    [
        {"class": "os.system", "arguments": {"command": "true"}},
        {"class": "Module", "arguments": {"x": 1}},
        {"class": "Linear", "arguments": {"in_features": 0, "out_features": 1}},
        {"class": "Linear"},
        {},
    ],
)
def test_strange_descriptions(spec: dict[str, object]) -> None:
    with pytest.raises(errors.CheckpointError, match="cannot build"):
        build_module(spec)


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.SGD(lr=0.5, momentum=0.25),
        optim.Adam(lr=1e-3, betas=(0.5, 0.75), eps=1e-4),
        optim.AdamW(lr=optim.OneCycleLR(0.1, 50, pct_start=0.2), weight_decay=0.3),
    ],
    ids=lambda o: type(o).__name__,
)
def test_optimisers_there_and_back(optimizer: optim.Optimizer) -> None:
    built = build_optimizer(json.loads(json.dumps(optimizer.settings())))
    assert type(built) is type(optimizer)
    assert built.settings() == optimizer.settings()
    lr = optimizer.schedule(2)
    assert built.scalars(3, built.schedule(2)) == optimizer.scalars(3, lr)


def test_strange_optimisers() -> None:
    with pytest.raises(errors.CheckpointError, match="cannot build"):
        build_optimizer({"name": "SGD", "lr": 0.1, "nesterov": True})
