"""One traced training step of a model: the graph with all its numbers.

Forward pass, loss, derivatives and update are traced as they are for training; nothing
is computed a second way, and nothing of the model or the optimiser is changed.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.autodiff import cotangents, inline
from chainrule.compilation.tracing import Input, trace_entry
from chainrule.data.column import Column
from chainrule.errors import (
    ArgumentError,
    DTypeError,
    NonFiniteError,
    ShapeError,
    nearest,
)
from chainrule.explanation.meant import meant
from chainrule.graph.apply import constant
from chainrule.graph.context import no_grad, recording
from chainrule.graph.emit import clone, tracing
from chainrule.graph.graph import Graph, ancestors
from chainrule.graph.interpret import evaluate_all
from chainrule.graph.node import Array, Node, Value
from chainrule.graph.primitive import BODIES
from chainrule.graph.types import ArrayType, DType, SymbolicDim, as_dtype, is_narrow
from chainrule.nn.losses import targets_checked
from chainrule.nn.module import Module, Parameter
from chainrule.optim import RuleOptimizer
from chainrule.primitives.rules import show
from chainrule.random import Generator, stream
from chainrule.tensor import Tensor, tensor, wrap
from chainrule.text import _
from chainrule.training.feeding import fed
from chainrule.util.pytree import flatten

Loss = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Run:
    """A traced training step: the graph, and the array of every graph value.

    Attributes:
        graph: forward, loss, backward and update; parameters are inputs.
        x, y: the inputs that hold the samples and the truths.
        predictions: what the model gives, first ŷ.
        loss: what the loss gives.
        cotangents: from each forward value v to ∂ℒ/∂v.
        tensors: the model's tensors in the graph, by value.
        parameters: those of them that are parameters.
        scalars: numbers from outside (½, η), by value, as they were before they were
            rounded to the network's dtype.
        updates: for each value of state that the optimiser changes its new one.
        slots: the names of the optimiser's own state, by value.
        arrays: the numbers of every value.
        n: how many samples.
        optimizer: whose update it is.
    """

    graph: Graph
    x: tuple[Value, ...]
    y: Value
    predictions: tuple[Value, ...]
    loss: Value
    cotangents: Mapping[Value, Value]
    tensors: Mapping[Value, str]
    parameters: frozenset[Value]
    scalars: Mapping[Value, tuple[str, float]]
    updates: Mapping[Value, Value]
    slots: Mapping[Value, str]
    arrays: Mapping[Value, Array]
    n: int
    optimizer: RuleOptimizer | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of a traced step's symbolic dimensions: N for the sample count."""
        return {"N": self.n}


def run_step(
    model: Module,
    x: Any,
    y: Any,
    loss: Loss | None,
    optimizer: RuleOptimizer | None = None,
    composites: Collection[str] = (),
    inputs: bool = False,
) -> Run:
    """Trace and run a training step: forward, loss, derivatives and the update.

    Args:
        model, x, y, loss, optimizer: as for :func:`chainrule.explain`.
        composites: the names of composites that are opened (``"softmax"``), down to
            those within them; ``"all"`` opens all of the forward pass. Those are opened
            before they are differentiated: their errors are those of their bodies.
        inputs: whether there are derivatives by samples of floating type, too.

    Raises:
        ArgumentError: where something is missing; what is no composite of this step.
        ShapeError: where shapes do not fit.
        DTypeError: parameters or x of bfloat16, or products within ``autocast``.
        NonFiniteError: NaN or infinity in x, y, a parameter or the loss.
    """
    xs, y_array = _samples(model, x, y, loss)
    assert loss is not None
    _refuse_no_numbers(model, xs, y_array)
    if optimizer is not None and not optimizer.params:
        optimizer = copy.deepcopy(optimizer)
        optimizer.attach_parameters(model.named_parameters())
    with _unchanged(model):
        _rehearse(model, xs, y_array, loss)
    marks: dict[str, Any] = {}
    met: set[str] = set()
    names = {id(t): name for name, t in model.named_tensors()}
    frozen = {id(p) for p in model.parameters() if not p.requires_grad}

    def step(*given: Tensor) -> list[Tensor]:
        *samples, truth = given
        for t in samples if inputs else ():
            t.value.tracked |= t.dtype.is_float
        parameters = dict(model.named_parameters())
        for t in parameters.values():
            t.value.tracked |= t.dtype.is_float  # frozen ones are explained too
        tensors = {t.value: names[id(t)] for __, t in model.named_tensors()}
        with recording():
            prediction = model(*samples)
            result = loss(prediction, truth)
            leaves = [t for t in flatten(prediction)[0] if isinstance(t, Tensor)]
            closed = [t.value for t in (*leaves, result)]
            opened = _opened(closed, composites, met, forward=True)
            *predictions, result = map(wrap, opened)
        seed = constant(1.0, result.dtype)
        with no_grad():
            known = cotangents({result.value: seed})
        marks.update(
            cotangents=known,
            predictions=tuple([t.value for t in predictions]),
            loss=result.value,
            tensors=tensors,
            parameters=frozenset(t.value for t in parameters.values()),
        )
        if optimizer is not None:
            for t in optimizer.params.values():
                g = None if id(t) in frozen else known.get(t.value)
                t.grad = None if g is None else wrap(g)
            optimizer.step()
        return [*predictions, result]

    entries = [
        Input(name, ArrayType((SymbolicDim("N"), *a.shape[1:]), as_dtype(a.dtype)))
        for name, a in (*_named(xs), ("y", y_array))
    ]
    try:
        with targets_checked():  # the rehearsal has seen them
            traced = trace_entry("explain", step, entries, names)
            _refuse_rounded(traced.entry.graph)
    except ShapeError as error:
        raise ShapeError(
            _(
                "This model or loss works for one number of samples alone. {what}",
                what=error.what,
            ),
            expected=_(
                "code for any number of samples N (the prediction and y of one shape,"
                " no int(x.shape[0]))"
            ),
            got=error.got,
            fix=_("give y the shape of the prediction, for example y.reshape(-1, 1)"),
        ) from error
    run = _as_run(traced, marks, [*xs, y_array], optimizer)
    value = run.arrays[run.loss]
    if not np.isfinite(value):
        raise NonFiniteError(
            _("There is nothing to explain in a loss that is no number."),
            expected=_("a finite loss"),
            got=f"ℒ = {value} ({value.dtype})",
            fix=_("data without NaN, and parameters from before they became NaN"),
        )
    return _with_opened(run, composites, met) if composites else run


def _as_run(
    traced: Any,
    marks: dict[str, Any],
    inputs: Sequence[Array],
    optimizer: RuleOptimizer | None,
) -> Run:
    entry = traced.entry
    states = dict(
        zip(entry.state, entry.graph.inputs[len(entry.inputs) :], strict=True)
    )
    updates = {
        states[name]: entry.graph.outputs[index]
        for name, index in entry.replaces.items()
        if optimizer is not None and not traced.slots[name].gradient
    }
    outputs = [*marks["predictions"], marks["loss"], *marks["cotangents"].values()]
    graph = Graph("explain", entry.graph.inputs, [*outputs, *updates.values()])
    keys = (*entry.inputs, *entry.state)
    feeds: dict[str, Array] = dict(zip(keys, inputs))
    types = dict(zip(keys, graph.inputs))
    numbers = {
        name: float(t.table.rows(t.step + 1, frozenset({t.key}))[t.key][t.step])
        for name, t in traced.tables.items()
    }
    feeds |= {k: np.asarray(x, types[k].dtype.numpy) for k, x in numbers.items()}
    feeds |= {k: slot.tensor.numpy() for k, slot in traced.slots.items()}
    with np.errstate(all="ignore"):
        arrays = evaluate_all(graph, [feeds[k] for k in keys])
    known = {*marks["tensors"].values()}
    slots = {
        v: name
        for name, v in states.items()
        if name not in known and (v in updates or traced.slots[name].tensor.name)
    }
    scalars: dict[Value, tuple[str, float]] = {}
    for name, value in types.items():
        if name in numbers:
            scalars[value] = (traced.tables[name].key, numbers[name])
        elif (
            not value.shape
            and name in states
            and name not in known | set(slots.values())
        ):
            scalars[value] = ("", meant(float(arrays[value]), value.dtype))
    return Run(
        graph=graph,
        x=tuple(graph.inputs[: len(inputs) - 1]),
        y=graph.inputs[len(inputs) - 1],
        scalars=scalars,
        updates=updates,
        slots=slots,
        arrays=arrays,
        n=len(inputs[0]),
        optimizer=optimizer,
        **marks,
    )


def _is_composite(node: Node) -> bool:
    return node.primitive in BODIES


def _opened(
    roots: Sequence[Value],
    composites: Collection[str],
    met: set[str],
    *,
    forward: bool = False,
) -> list[Value]:
    """Return graph values recomputed with composite nodes replaced by their bodies.

    Args:
        roots: the values.
        composites: names of composites; ``"all"`` means every one of the forward pass.
        met: takes the names of all composites that are met, those within others too.
        forward: whether all nodes are of the forward pass.
    """

    def meant(node: Node) -> bool:
        if not _is_composite(node):
            return False
        met.add(node.primitive.name)
        whole = "all" in composites and (forward or node.role == "forward")
        return whole or node.primitive.name in composites

    while chosen := {node for node in ancestors(roots) if meant(node)}:
        new: dict[Value, Value] = {}
        for node in ancestors(roots):
            inputs = [new.get(v, v) for v in node.inputs]
            if node in chosen:
                types = [v.type for v in node.inputs]
                body = BODIES[node.primitive](types, node.attrs)
                results = inline(body, inputs, origin=node)
            else:
                results = clone(node, tuple(inputs))
            for old, value in zip(node.outputs, results):
                if old is not None:
                    new[old] = value
                    value.tracked |= old.tracked
        roots = [new.get(v, v) for v in roots]
    return list(roots)


def _with_opened(run: Run, composites: Collection[str], met: set[str]) -> Run:
    """Return a traced step with composite nodes replaced by their bodies everywhere.

    Raises:
        ArgumentError: for what is no composite of this step.
    """
    needed = [*run.predictions, run.loss]
    pairs = [*run.cotangents.items(), *run.updates.items()]
    needed += [value for pair in pairs for value in pair]
    with tracing():
        new = dict(zip(needed, _opened(needed, composites, met)))
    for name in composites:
        if name != "all" and name not in met:
            near = nearest(name, met)
            raise ArgumentError(
                _(
                    "There is no composite {name} to open in this step.",
                    name=repr(name),
                ),
                expected=", ".join(map(repr, sorted(met))) or _("none"),
                got=repr(name),
                fix=_("did you mean {near}?", near=repr(near)) if near else None,
            )
    graph = Graph(run.graph.name, run.graph.inputs, [new[v] for v in run.graph.outputs])
    with np.errstate(all="ignore"):
        arrays = evaluate_all(graph, [run.arrays[v] for v in graph.inputs])
    return replace(
        run,
        graph=graph,
        arrays=arrays,
        predictions=tuple([new[v] for v in run.predictions]),
        loss=new[run.loss],
        cotangents={
            new[v]: new[g] for v, g in run.cotangents.items() if new[v] in arrays
        },
        updates={v: new[u] for v, u in run.updates.items()},
    )


# -- what is given ---------------------------------------------------------------------


def _named(xs: Sequence[Array]) -> list[tuple[str, Array]]:
    if len(xs) == 1:
        return [("x", xs[0])]
    return [(f"x{i}", a) for i, a in enumerate(xs, 1)]


def _samples(model: Any, x: Any, y: Any, loss: Any) -> tuple[list[Array], Array]:
    """Return x and y as arrays with a row for each sample, in a model's dtype."""
    if not isinstance(model, Module):
        raise ArgumentError(
            _("explain needs a model."),
            expected=_("an nn.Module, such as nn.Sequential(nn.Linear(2, 2), …)"),
            got=type(model).__name__,
        )
    for name, argument, example in (
        ("x", x, "x=[[0.5, 1.0]]"),
        ("y", y, "y=[[1.0]], y=[3]"),
        ("loss", loss, "loss=nn.CrossEntropyLoss()"),
    ):
        if argument is None:
            raise ArgumentError(
                _(
                    "explain needs {name}: errors start at the loss, from the"
                    " prediction for x and the truth y.",
                    name=name,
                ),
                expected="explain(model, x, y, loss)",
                got=f"{name}=None",
                fix=example,
            )
    if not callable(loss):
        raise ArgumentError(
            _("The loss is a function of prediction and truth."),
            expected=_("nn.CrossEntropyLoss(), or a function (p, t) → scalar tensor"),
            got=type(loss).__name__,
        )
    dtype = next((p.dtype for p in model.parameters()), DType.float32)
    x = fed(model, x) if isinstance(x, Column) else x
    xs = [_numbers(part, dtype) for part in (x if isinstance(x, tuple) else (x,))]
    ys = _numbers(y, dtype)
    if any(a.ndim == 0 for a in xs):
        raise ShapeError(
            _("x is a batch of samples, or one sample."),
            expected=_("rows of features, or one row"),
            got=_("a single number"),
            fix=f"x=[[{x}]]",
        )
    if len(xs) == 1 and xs[0].ndim == 1:
        xs = [xs[0][None]]
        label = ys.shape == (1,) and ys.dtype.kind in "iu"
        ys = ys if label or ys.ndim > 1 else ys[None]
    if ys.ndim == 0:
        ys = ys[None]
    if any(len(a) != len(ys) for a in xs) or not len(ys):
        shapes = ", ".join(show(a.shape) for a in xs)
        raise ShapeError(
            _("explain needs a truth y for each sample of x."),
            expected=_("x and y with the same number of rows, at least one"),
            got=_("x of shape {x}, y of shape {y}", x=shapes, y=show(ys.shape)),
            fix=_("one sample is x=[…features…], y=[…targets…] (or a class number)"),
        )
    return xs, ys


def _numbers(data: Any, dtype: DType) -> Array:
    """Return data as an array; floating-point numbers in a model's dtype."""
    if isinstance(data, int | float | list | tuple):
        with contextlib.suppress(ValueError):  # Tensor says what is wrong with it
            data = np.array(data)  # in full, where the model computes in float64
    array = tensor(data).numpy()
    return array.astype(dtype.numpy) if array.dtype.kind == "f" else array


def _refuse_no_numbers(model: Module, xs: Sequence[Array], y: Array) -> None:
    """Raise an error if x, y or a parameter contains NaN or infinity, or bfloat16."""
    named: list[tuple[str, Array]] = [*_named(xs), ("y", y)]
    named += [(name, t.numpy()) for name, t in model.named_parameters()]
    for name, array in named:
        if is_narrow(array):
            raise DTypeError(
                _("Numbers of bfloat16 are too short to follow a formula by."),
                expected="float32 or float64",
                got=_("{dtype} of {name}", dtype=array.dtype.name, name=name),
                fix="copy.deepcopy(model).float()",
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            at = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
            raise NonFiniteError(
                _("There is nothing to explain in numbers that are none."),
                expected=_("finite numbers in x, y and the parameters"),
                got=f"{name}{list(at)} = {array[at]}",
                fix=_("smaller numbers, or a smaller learning rate before this step"),
            )


def _refuse_rounded(graph: Graph) -> None:
    """Raise an error if a step rounds to bfloat16: no formula says that it does."""
    for node in graph.nodes_within():
        if any(v is not None and v.dtype is DType.bfloat16 for v in node.outputs):
            raise DTypeError(
                _("Numbers of bfloat16 are too short to follow a formula by."),
                expected="float32 or float64",
                got=_("{dtype} of {name}", dtype="bfloat16", name=node.scope or node),
                fix="with cr.autocast(enabled=False): …",
            )


@contextlib.contextmanager
def _unchanged(model: Module) -> Iterator[None]:
    """Restore a model's buffers (running statistics) at the end of the block."""
    state = [t for __, t in model.named_tensors() if not isinstance(t, Parameter)]
    before = [(t, t.version, t.numpy()) for t in state]
    try:
        yield
    finally:
        for t, version, array in before:
            if t.version != version:
                t.copy_(array)


def _rehearse(model: Module, xs: Sequence[Array], y: Array, loss: Loss) -> None:
    """Run the model and the loss eagerly once before tracing, to raise clear errors."""
    with no_grad(), stream(Generator(0)):
        prediction = model(*map(tensor, xs))
        leaves = flatten(prediction)[0]
        if not leaves or not all(isinstance(t, Tensor) for t in leaves):
            raise ArgumentError(
                _("explain needs a model that returns tensors."),
                expected=_("a tensor of predictions, or a tuple of them"),
                got=type(prediction).__name__,
            )
        result = loss(prediction, tensor(y))
    if not isinstance(result, Tensor) or result.shape != ():
        shape = show(result.shape) if isinstance(result, Tensor) else str(type(result))
        raise ShapeError(
            _("The loss must be one number."),
            expected=_("a scalar tensor"),
            got=shape,
            fix=_("end it with .mean() or .sum()"),
        )
