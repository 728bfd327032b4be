"""Every network of every recipe as a file, with one row and with seven.

ONNX Runtime gives the same numbers but for rounding; a program file the same bits.

A recipe is run with two steps in each of its loops; the networks that it calls are
noted, with what it calls them with. What they have learned does not matter here.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, recipes, rl
from chainrule.errors import ShapeError
from chainrule.recipes import Experiment
from chainrule.recipes.experiment.stages import Stages
from chainrule.util.pytree import flatten, unflatten

pytest.importorskip("onnxruntime")
from tests.parity.onnx_file import (
    RELATIVE,
    difference,
    resized,
    worst,
    worst_of_any,
)
from tests.ways import ENGINES

pytestmark = [pytest.mark.slow, pytest.mark.parity]

#: Recipes without a network: a table of values.
WITHOUT = {"q-learning"}
#: Networks whose samples stand along another axis than the first.
SAMPLES = {"ParallelNetworks": 1}
#: What stands for a named size in an example.
ROWS = 3

Seen = list[tuple[nn.Module, dict[str, Any]]]


def example(tensor: cr.Tensor) -> np.ndarray:
    """An array for a tensor, which while a function is traced has a type alone."""
    value = tensor._value
    if value.array is not None:
        return np.array(value.array)
    rng = np.random.default_rng(0)
    shape = tuple(d if type(d) is int else ROWS for d in value.shape)  # not a named one
    if value.dtype.is_float:
        return rng.standard_normal(shape).astype(value.dtype.numpy)
    return rng.integers(0, 2, shape).astype(value.dtype.numpy)


@contextlib.contextmanager
def noting() -> Iterator[Seen]:
    """Note each call of a network that no network makes, one for each kind of input."""
    seen: Seen = []
    kinds: set[Any] = set()
    call, inside = nn.Module.__call__, [0]

    def noted(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        leaves, structure = flatten((args, kwargs))
        key = id(self), tuple(getattr(x, "ndim", None) for x in leaves)
        if not inside[0] and not isinstance(self, nn.Loss) and key not in kinds:
            kinds.add(key)
            arrays = [example(x) if isinstance(x, cr.Tensor) else x for x in leaves]
            args_, kwargs_ = unflatten(structure, arrays)
            bound = inspect.signature(self.forward).bind(*args_, **kwargs_)
            seen.append((self, dict(bound.arguments)))
        inside[0] += 1
        try:
            return call(self, *args, **kwargs)
        finally:
            inside[0] -= 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "__call__", noted)
        yield seen


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops of recipes make two steps, and Trainers an epoch."""
    steps = Stages.steps

    def few(self: Stages, name: str, count: int, state: Any) -> Iterator[int]:
        yield from steps(self, name, min(count, 2), state)

    def fit(self: Stages, name: str, trainer: Any, train: Any, *__: Any, **how: Any):
        trainer.fit(train, **how | {"epochs": 1, "progress": False})
        return trainer

    monkeypatch.setattr(Stages, "steps", few)
    monkeypatch.setattr(Stages, "fit", fit)


def networks(name: str) -> Seen:
    """The networks of a recipe, each with an example of its inputs."""
    if name == "dqn":  # which would play for long before it calls it
        agent = rl.DQN("CartPole-v1", policy=(120, 84), seed=0)
        return [(agent.policy.online, {"x": np.ones((ROWS, 4), np.float32)})]
    if name == "ppo":  # whose networks give a distribution: a file holds its numbers
        policy, x = rl.PPO("CartPole-v1", seed=0).policy, np.ones((ROWS, 4), "float32")
        return [(part, {"x": x}) for part in (policy.actor, policy.critic)]
    module: Any = recipes.find(name)
    if recipes.kind(name) == "training":
        x = np.asarray(module.data(64)[0].x[:ROWS])
        return [(module.network(0), {"x": x})]
    quiet = contextlib.redirect_stdout(io.StringIO())
    with noting() as seen, quiet, contextlib.suppress(cr.ChainruleError, IndexError):
        recipes.perform(Experiment(name, quick=True, out=None, threads=1), again=True)
    return seen


def kind_of(model: nn.Module, inputs: dict[str, Any]) -> Any:
    """What networks of one architecture share."""
    shapes = [np.shape(x)[1:] for x in flatten(inputs)[0]]
    return str(model), str(shapes), {n: p.shape for n, p in model.named_parameters()}


def same_program(
    model: nn.Module, inputs: dict[str, Any], axis: int, engine: Any
) -> None:
    """A program file gives on an engine what the compiled model gives there."""
    shapes = {
        k: [*x.shape[:axis], "N", *x.shape[axis + 1 :]]
        for k, x in inputs.items()
        if isinstance(x, np.ndarray) and x.ndim > axis
    }
    for named in (shapes, None):  # where one graph is not for all numbers of rows
        file = io.BytesIO()
        try:
            cr.compile(model, shapes=named).save(file, inputs)
        except ShapeError:
            continue
        break
    file.seek(0)
    program = cr.load_program(file, engine=engine, threads=None)
    for rows in (None,) if named is None else (7, 1):
        nest = inputs
        if rows is not None:
            given = {k: inputs[k] for k in shapes}
            nest = inputs | {k: resized(x, rows, axis) for k, x in given.items()}
        # A single row is compiled for itself, which may add up in another order.
        compiled = cr.compile(model, engine=engine, shapes=None if rows == 1 else named)
        with cr.no_grad():
            wanted = flatten(compiled(**nest))[0]
        got = flatten(program({k: nest[k] for k in program.inputs}))[0]
        for a, b in zip(got, wanted, strict=True):
            if rows == 1:
                assert difference(a, b.numpy()) <= RELATIVE
            else:
                np.testing.assert_array_equal(a, b.numpy())


@pytest.mark.usefixtures("two_steps")
@pytest.mark.parametrize("name", [n for n in recipes.names() if n not in WITHOUT])
def test_networks(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = networks(name)
    assert seen
    done: list[Any] = []
    for model, inputs in seen:
        if (like := kind_of(model, inputs)) in done:
            continue
        done.append(like)
        kind = type(model).__name__
        axis = SAMPLES.get(kind)
        model.eval()
        if axis is None:
            off = worst_of_any(model, inputs)
        else:
            off = worst(model, inputs, axis=axis)
        print(f"{name:14} {kind:20} {off:.1e}")
        assert off <= RELATIVE, kind
        for engine in ENGINES:
            same_program(model, inputs, axis or 0, engine)


def test_what_is_noted() -> None:
    """A planted difference is found: a network that is not what was written."""
    make: Callable[[], nn.Module] = lambda: nn.Sequential(nn.Linear(2, 2))  # noqa: E731
    with noting() as seen:
        model = make()
        model(cr.ones(4, 2))
        model(cr.ones(5, 2))
    ((same, inputs),) = seen
    assert same is model
    assert inputs["x"].shape == (4, 2)
