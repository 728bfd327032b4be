"""The network, the optimiser and the schedule of an estimator's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from chainrule import nn
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.context import no_grad
from chainrule.graph.node import Array
from chainrule.optim import SGD, Adam, OneCycleLR, ReduceLROnPlateau, RuleOptimizer
from chainrule.random import Generator, stream
from chainrule.tensor import tensor
from chainrule.text import _

#: Activations by scikit-learn's names, and others of ours.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
#: The learning rate of each optimiser, by itself and at the peak of a cycle.
RATES = {"adam": (1e-3, 1e-2), "sgd": (1e-2, 1e-1)}


def standardize(features: Array, weights: Array | None, dtype: str) -> list[nn.Module]:
    """Return the first layer of a network of a dtype, measured on weighted rows.

    Columns of 0 and 1 alone stay as they are: a rare category would be a large number.
    Where there are no others there is no layer.
    """
    flags = ((features == 0) | (features == 1)).all(0)
    if flags.all():
        return []
    scaler: Any = StandardScaler().fit(features, sample_weight=weights)
    layer = nn.Standardize(features.shape[1], dtype=dtype)
    layer.mean.copy_(np.where(flags, 0.0, scaler.mean_))
    layer.std.copy_(np.where(flags, 1.0, scaler.scale_).astype(dtype))
    return [layer]


def layers(sizes: Sequence[int], activation: str, dtype: Any) -> list[nn.Module]:
    """Return linear layers of these sizes, with activations between them."""
    made: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        made += [nn.Linear(inputs, outputs, dtype=dtype), ACTIVATIONS[activation]()]
    return made[:-1]


def network(
    estimator: Any, features: Array, weights: Array | None, outputs: int, seed: int
) -> nn.Sequential:
    """Return a network with the estimator's hidden layers, or its module.

    Args:
        estimator: whose parameters they are.
        features: what it is trained on.
        weights: of these rows, or None.
        outputs: how many numbers it is to give for a row.
        seed: of the initial weights.

    Raises:
        ShapeError: a module with another number of outputs.
    """
    inputs, module = features.shape[1], estimator.module
    with stream(Generator(seed)):  # of this thread: others draw from their own
        if module is None:
            sizes = (inputs, *hidden(estimator.hidden_layer_sizes), outputs)
            inner = layers(sizes, estimator.activation, features.dtype.name)
        elif isinstance(module, nn.Module):
            inner = [deepcopy(module)]
        else:
            inner = [_made(module, inputs, outputs)]
    if estimator.standardize:
        parameters = (p for layer in inner for p in layer.parameters())
        dtype = next((p.dtype.name for p in parameters), features.dtype.name)
        inner = [*standardize(features, weights, dtype), *inner]
    model = nn.Sequential(*inner)
    if module is not None:
        check_outputs(model, features, outputs)
    return model


def check_outputs(model: nn.Module, features: Array, outputs: int) -> None:
    """Refuse a network that gives another number of outputs for a row.

    A loss of classes would train it: classes that are none would be predicted.

    Raises:
        ShapeError: telling how many there are.
    """
    dtype = next((p.dtype.numpy for p in model.parameters()), features.dtype)
    was_training = model.training
    with no_grad():
        made: Any = model.eval()(tensor(features[:1].astype(dtype)))
    model.train(was_training)
    shape = getattr(made, "shape", None)
    if shape != (1, outputs):
        raise ShapeError(
            _("module does not give the outputs that the targets need."),
            expected=_("shape (n, {outputs}) for n rows", outputs=outputs),
            got=_("{shape} for one row", shape=shape or type(made).__name__),
            fix="lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, outputs))",
        )


def hidden(sizes: Any) -> tuple[int, ...]:
    """Return the sizes of hidden layers, of one or of several."""
    return (*sizes,) if np.iterable(sizes) else (sizes,)


def _made(function: Any, inputs: int, outputs: int) -> nn.Module:
    module = function(inputs, outputs)
    if isinstance(module, nn.Module):
        return module
    raise ArgumentError(
        _("module did not make a network."),
        expected=_("a function (inputs, outputs) → Module"),
        got=repr(module)[:80],
        fix="lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, outputs))",
    )


def optimizer(
    estimator: Any, model: nn.Module, mass: float, *, endless: bool
) -> RuleOptimizer:
    """Return an optimiser with the learning rate's schedule, for a Trainer.

    Args:
        estimator: whose parameters they are.
        model: what it trains: ``alpha`` is for its matrices, not for its vectors.
        mass: the weights of a batch's rows together, by which ``alpha`` is divided.
        endless: whether nobody knows how long the run is: the rate is constant then.
    """
    solver = estimator.solver
    if isinstance(solver, RuleOptimizer):
        return deepcopy(solver)
    rate, decay = _rate(estimator, solver, endless), estimator.alpha / mass
    vectors = [n for n, p in model.named_parameters() if p.ndim < 2]
    params: Any = None
    if decay and vectors:
        params = [{"params": vectors, "weight_decay": 0.0}, {"params": "*"}]
    if solver == "adam":
        return Adam(params, lr=rate, weight_decay=decay)
    return SGD(params, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay)


def _rate(estimator: Any, solver: str, endless: bool) -> Any:
    """Return the learning rate of an optimiser, a number or a schedule."""
    schedule = "constant" if endless else estimator.learning_rate
    alone, peak = RATES[solver]
    rate: Any = estimator.learning_rate_init
    if rate == "auto":
        rate = peak if schedule == "one_cycle" else alone
    if schedule == "one_cycle":
        return OneCycleLR(rate)
    if schedule == "constant":
        return rate
    # As MLPClassifier: a fifth after two epochs that have not improved by tol.
    return ReduceLROnPlateau(
        rate,
        "train_loss",
        factor=0.2,
        patience=1,
        threshold=estimator.tol,
        threshold_mode="abs",
    )
