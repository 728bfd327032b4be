"""The graph of one step, its numbers, and where the book's layers are in it.

Forward pass, loss and backward pass are traced as they are for training; nothing is
computed a second way. A layer is found by what it does, not by its class: a product of
something with a parameter, W a, then perhaps + b; what comes out is z.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents
from chainrule.errors import ArgumentError, ShapeError
from chainrule.explanation.formulas import behind_views
from chainrule.graph.build import constant, no_grad, recording
from chainrule.graph.graph import Graph, users
from chainrule.graph.interpret import evaluate_all
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.types import ArrayType, DType, SymbolicDim, as_dtype
from chainrule.nn.losses import targets_checked
from chainrule.nn.module import Module
from chainrule.primitives import conv, elementwise, matmul, movement
from chainrule.primitives.rules import show
from chainrule.random import Generator, stream
from chainrule.regions import control
from chainrule.tensor import Tensor
from chainrule.tracing import Input, Traced, trace_entry


@dataclass(frozen=True)
class LayerValues:
    """One layer's values in the graph.

    Attributes:
        weight, bias: the parameters W and b.
        input: what W multiplies, a⁽ˡ⁻¹⁾.
        product: W a.
        z: W a + b; the product itself where there is no b.
    """

    weight: Value
    bias: Value | None
    input: Value
    product: Value
    z: Value


@dataclass(frozen=True)
class Network:
    """A traced step of a network, run once.

    Attributes:
        graph: forward, loss and backward; parameters are inputs.
        x, y: the inputs that hold the samples and the truth.
        prediction, loss: what the model and the loss give.
        cotangents: from each forward value v to ∂ℒ/∂v.
        parameters: the model's tensors in the graph, by value.
        scalars: numbers from outside that the functions use (½, a factor).
        steps: the layers, in running order.
        arrays: the numbers of every value.
        n: how many samples.
    """

    graph: Graph
    x: Value
    y: Value
    prediction: Value
    loss: Value
    cotangents: Mapping[Value, Value]
    parameters: Mapping[Value, str]
    scalars: Mapping[Value, float]
    steps: tuple[LayerValues, ...]
    arrays: Mapping[Value, Array]
    n: int


def run_network(
    model: Module, x: Any, y: Any, loss: Callable[[Tensor, Tensor], Tensor] | None
) -> Network:
    """Trace ``loss(model(x), y)`` and its derivatives, and run the graph.

    Raises:
        ArgumentError: where something is missing, or no layer is found.
        ShapeError: where shapes do not fit.
    """
    xs, ys = _samples(model, x, y, loss)
    assert loss is not None
    with _unchanged(model):
        _rehearse(model, xs, ys, loss)
    found: dict[str, Any] = {}

    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        parameters: dict[Value, str] = {}
        for name, t in model.named_parameters():
            t.value.tracked |= t.dtype.is_float  # frozen ones are explained too
            parameters[t.value] = name
        with recording():
            prediction = model(x)
            result = loss(prediction, y)
        seed = constant(1.0, result.dtype)
        with no_grad():
            known = cotangents({result.value: seed})
        found.update(parameters=parameters, cotangents=known)
        found.update(prediction=prediction.value, loss=result.value)
        return [prediction, result]

    names = {id(t): name for name, t in model.named_tensors()}
    inputs = [
        Input(name, ArrayType((SymbolicDim("N"), *a.shape[1:]), as_dtype(a.dtype)))
        for name, a in (("x", xs), ("y", ys))
    ]
    try:
        with targets_checked():  # the rehearsal has seen them
            traced = trace_entry("explain", step, inputs, names)
    except ShapeError as error:
        raise ShapeError(
            "This model or loss works for one number of samples alone. "
            + str(error.what),
            expected="code for any number of samples N (the prediction and y of one"
            " shape, no int(x.shape[0]))",
            got=error.got,
            fix="give y the shape of the prediction, for example y.reshape(-1, 1)",
        ) from error
    known = found["cotangents"]
    outputs = [found["prediction"], found["loss"], *known.values()]
    graph = Graph("explain", traced.entry.graph.inputs, outputs)
    keys = (*traced.entry.inputs, *traced.entry.state)
    tensors = {k: slot.tensor for k, slot in traced.slots.items()}
    feeds = {"x": xs, "y": ys} | {k: t.numpy() for k, t in tensors.items()}
    with np.errstate(all="ignore"):
        arrays = evaluate_all(graph, [feeds[k] for k in keys])
    known_by_name = {*names.values(), *(k for k in keys if _has_name(traced, k))}
    x_value, y_value = graph.inputs[:2]
    return Network(
        graph=graph,
        x=x_value,
        y=y_value,
        steps=_steps(graph, found["parameters"]),
        scalars={
            v: float(arrays[v])
            for k, v in zip(keys[2:], graph.inputs[2:])
            if v.shape == () and k not in known_by_name
        },
        arrays=arrays,
        n=len(xs),
        **found,
    )


def _has_name(traced: Traced, key: str) -> bool:
    return key in traced.slots and traced.slots[key].tensor.name is not None


def _samples(model: Any, x: Any, y: Any, loss: Any) -> tuple[Array, Array]:
    """x and y as arrays with one row for each sample, in the model's dtype."""
    if not isinstance(model, Module):
        raise ArgumentError(
            "explain needs a model.",
            expected="an nn.Module, such as nn.Sequential(nn.Linear(2, 2), …)",
            got=type(model).__name__,
        )
    for name, given, example in (
        ("x", x, "x=[[0.5, 1.0]]"),
        ("y", y, "y=[[1.0]], or class numbers such as y=[3]"),
        ("loss", loss, "loss=nn.CrossEntropyLoss()"),
    ):
        if given is None:
            raise ArgumentError(
                f"explain needs {name}: errors start at the loss, from the prediction"
                " for x and the truth y.",
                expected="explain(model, x, y, loss)",
                got=f"{name}=None",
                fix=f"pass {example}",
            )
    if not callable(loss):
        raise ArgumentError(
            "The loss is a function of prediction and truth.",
            expected="nn.CrossEntropyLoss(), or a function (p, t) → scalar tensor",
            got=type(loss).__name__,
        )
    dtype = next((p.dtype for p in model.parameters()), DType.float32)
    xs, ys = _numbers(x, dtype), _numbers(y, dtype)
    if xs.ndim == 0:
        raise ShapeError(
            "x is a batch of samples, or one sample.",
            expected="rows of features, or one row",
            got="a single number",
            fix=f"x=[[{x}]]",
        )
    if xs.ndim == 1:
        xs = xs[None]
        label = ys.shape == (1,) and ys.dtype.kind in "iu"
        ys = ys if label or ys.ndim > 1 else ys[None]
    if ys.ndim == 0:
        ys = ys[None]
    if len(xs) != len(ys) or not len(xs):
        raise ShapeError(
            "explain needs a truth y for each sample of x.",
            expected="x and y with the same number of rows, at least one",
            got=f"x of shape {show(xs.shape)}, y of shape {show(ys.shape)}",
            fix="one sample is x=[…features…], y=[…targets…] (or a class number)",
        )
    return xs, ys


def _numbers(data: Any, dtype: DType) -> Array:
    """The array of ``data``; floating-point numbers in the model's dtype."""
    if isinstance(data, int | float | list | tuple):
        with contextlib.suppress(ValueError):  # Tensor says what is wrong with it
            data = np.array(data)  # in full, where the model computes in float64
    array = Tensor(data).numpy()
    return array.astype(dtype.numpy) if array.dtype.kind == "f" else array


@contextlib.contextmanager
def _unchanged(model: Module) -> Iterator[None]:
    """Buffers that move within the block (running statistics) are put back."""
    tensors = model.buffers()
    before = [(t, t.version, t.numpy()) for t in tensors]
    try:
        yield
    finally:
        for t, version, array in before:
            if t.version != version:
                t.copy_(array)


def _rehearse(model: Module, xs: Array, ys: Array, loss: Callable[..., Any]) -> None:
    """Run eagerly once: what does not fit is named with the shapes that came."""
    with no_grad(), stream(Generator(0)):
        prediction = model(Tensor(xs))
        if not isinstance(prediction, Tensor):
            raise ArgumentError(
                "explain needs a model that returns one tensor.",
                expected="a tensor of predictions",
                got=type(prediction).__name__,
            )
        result = loss(prediction, Tensor(ys))
    if not isinstance(result, Tensor) or result.shape != ():
        shape = show(result.shape) if isinstance(result, Tensor) else type(result)
        raise ShapeError(
            "The loss must be one number.",
            expected="a scalar tensor",
            got=f"{shape}",
            fix="end it with .mean() or .sum()",
        )


def _parameter(value: Value, parameters: Mapping[Value, str]) -> Value | None:
    """The parameter that ``value`` is, seen through transposes and views."""
    value = behind_views(value)
    while value.node is not None and value.node.primitive is movement.transpose:
        value = behind_views(value.node.inputs[0])
    return value if value in parameters else None


def kernels(network: Network) -> dict[str, bool]:
    """The parameters that convolutions slide over their input, each by its name.

    Of each, whether it slides turned round, as those of transposed convolutions do.
    """
    found: dict[str, bool] = {}
    for node in network.graph.nodes:
        if node.primitive is not conv.conv or node.role != "forward":
            continue
        for value in map(behind_views, node.inputs):
            turned = value.node is not None and value.node.primitive is movement.flip
            inner = value.node.inputs[0] if value.node and turned else value
            parameter = _parameter(inner, network.parameters)
            if parameter is not None:
                found[network.parameters[parameter]] = turned
    return dict(sorted(found.items()))


def _steps(graph: Graph, parameters: Mapping[Value, str]) -> tuple[LayerValues, ...]:
    """Every W a + b of the forward pass, in running order.

    Raises:
        ArgumentError: where there is none; a loop or a branch.
    """
    readers = users(graph)
    steps: list[LayerValues] = []
    for node in graph.nodes:
        if node.primitive in (control.scan, control.cond):
            raise ArgumentError(
                "explain writes down networks that run from input to output; this one "
                f"has a {'loop' if node.primitive is control.scan else 'branch'}.",
                expected="layers without cr.scan and cr.cond, so no RNN, LSTM or GRU",
                got=f"{node.primitive.name} in {node.scope or 'the model'}",
                fix="explain the layers behind it, with what it gives as x",
            )
        if node.primitive is not matmul.dot_general or node.role != "forward":
            continue
        a, b = node.inputs
        for given, other in ((a, b), (b, a)):
            weight = _parameter(other, parameters)
            if weight is None or len(weight.shape) != 2:
                continue
            if _parameter(given, parameters) is None:
                (product,) = node.outputs
                assert product is not None
                z, bias = _biased(product, readers, parameters)
                steps.append(LayerValues(weight, bias, given, product, z))
                break
    if not steps:
        raise ArgumentError(
            "explain found no layer of neurons, z = W a + b.",
            expected="at least one nn.Linear (a product with a parameter matrix)",
            got=f"parameters: {', '.join(parameters.values()) or 'none'}",
            fix="explain a model such as nn.Sequential(nn.Linear(2, 2), nn.Sigmoid())",
        )
    return tuple(steps)


def _biased(
    product: Value,
    readers: Mapping[Value, list[Node]],
    parameters: Mapping[Value, str],
) -> tuple[Value, Value | None]:
    """z and b: the sum of the product with a parameter vector, if that is next."""
    for node in readers[product]:
        if node.primitive is elementwise.add and node.role == "forward":
            other = node.inputs[1] if node.inputs[0] is product else node.inputs[0]
            bias = _parameter(other, parameters)
            if bias is not None and len(bias.shape) == 1:
                (z,) = node.outputs
                assert z is not None
                return z, bias
    return product, None
