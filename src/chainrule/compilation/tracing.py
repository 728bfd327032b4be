"""Tracing: from a Python function of tensors to the graph of an entry point.

The function is run once on tensors without numbers. What it computes is recorded as a
graph; tensors that it finds outside of its arguments (parameters, moments, gradients,
running statistics) become *state*, and what it writes into them becomes a pair "this
value replaces that state". So a step is a pure function

    (state, inputs) → (new state, outputs)

whatever the Python looked like, and eager code and compiled code are the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.compilation.step_scalars import StepScalars, Tabulated
from chainrule.engines.garbage import gc_paused
from chainrule.errors import ArgumentError, GradientError
from chainrule.graph.body import refuse_escaped
from chainrule.graph.context import context
from chainrule.graph.emit import GraphTrace, tracing
from chainrule.graph.graph import Graph, tracked_ancestors
from chainrule.graph.node import PASSED, Node, Value
from chainrule.graph.program import Entry
from chainrule.graph.types import ArrayType, DType, SymbolicDim, refusing_comparisons
from chainrule.operations.operands import value_of
from chainrule.tensor import Tensor, wrap
from chainrule.text import _
from chainrule.util.pytree import flatten

# -- what is found outside -------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """The declaration of an entry point's array argument: name, type, per step or not.

    Attributes:
        name: its name.
        type: shape (whose sizes may have names) and dtype.
        each: whether a run of many steps gives it anew for each step, as one row of
            a stacked array (batch indices, η), or once for all (a data set).
        tracked: whether the caller's tensor records derivatives.
    """

    name: str
    type: ArrayType
    each: bool = False
    tracked: bool = False


@dataclass(eq=False)
class Slot:
    """A state of a compiled program: an outside tensor, or its gradient.

    Attributes:
        tensor: the tensor.
        gradient: whether the state is its gradient.
    """

    tensor: Tensor
    gradient: bool = False

    def is_that_of(self, other: Slot) -> bool:
        """Return whether two states of a program are the same tensor or gradient."""
        return self.tensor is other.tensor and self.gradient == other.gradient

    def current(self) -> Tensor | None:
        """Return the tensor that has a program state's current values."""
        return self.tensor._gradient_outside() if self.gradient else self.tensor


@dataclass
class _Gradient:
    """A tensor's gradient during a trace: before, now, and whether read or written."""

    tensor: Tensor
    before: Tensor | None
    now: Tensor | None
    read: bool = False
    written: bool = False


class ProgramTrace(GraphTrace):
    """A trace of a function, which turns every outside tensor into program state."""

    def __init__(self, entry: str, names: Mapping[int, str]) -> None:
        super().__init__()
        self.entry, self.names = entry, names
        self.lifted: dict[int, tuple[Tensor, Value]] = {}
        self.current: dict[int, Value] = {}
        self.written: dict[int, Value] = {}
        self.unread: set[int] = set()
        self.gradients: dict[int, _Gradient] = {}
        self.tables: dict[Any, Tabulated] = {}
        self.steps: dict[int, tuple[StepScalars, int]] = {}
        self.reads: dict[Callable[[], Any], Any] = {}
        self.modes: dict[int, tuple[Any, bool]] = {}
        self.roots: dict[int, Any] = {}
        self.arguments: dict[int, tuple[Tensor, str]] = {}
        self.freed: set[Node] = set()
        self.renewed: set[Node] = set()

    def note_mode(self, module: Any) -> None:
        """Note the training mode of a module that the traced function calls."""
        self.modes.setdefault(id(module), (module, module.training))
        if not context.scope:
            self.roots.setdefault(id(module), module)

    def note_change(self, tensor: Tensor) -> None:
        """Raise an error if an argument of the traced function is changed in place."""
        if id(tensor) in self.arguments:
            __, name = self.arguments[id(tensor)]
            raise ArgumentError(
                _(
                    "A compiled function changes its argument {name!r} in place, "
                    "which would not reach the tensor that it is called with.",
                    name=name,
                ),
                expected=_("a function that changes tensors from outside alone"),
                got=_("+=, x[…] = y, copy_ or the like on an argument"),
                fix=_(
                    "{name} = {name}.clone() first, and return it; or use the "
                    "tensor from outside instead of passing it",
                    name=name,
                ),
            )

    def note_reached(self, values: Iterable[Value]) -> None:
        """Raise an error if ``backward()`` would fill an argument's ``.grad``."""
        # A value has no name any more where the function made it a leaf.
        names = {id(t._value): name for t, name in self.arguments.values()}
        for value in values:
            name = names.get(id(value))
            if name is not None:
                raise GradientError(
                    _(
                        "backward() within a compiled function comes to its "
                        "argument {name!r}, which records derivatives: its .grad "
                        "would stay empty.",
                        name=name,
                    ),
                    expected=_("backward() with respect to tensors from outside"),
                    got=_("an argument {name!r} with requires_grad=True", name=name),
                    fix=_(
                        "use {name} from outside instead of passing it, return "
                        "cr.gradients(loss, [{name}]), or pass it detached",
                        name=name,
                    ),
                )

    def note_freed(self, nodes: Iterable[Node]) -> None:
        """Note graph nodes that ``backward()`` without ``retain_graph`` has freed."""
        self.freed.update(nodes)
        self.freed -= self.renewed  # a leaf has no way behind it

    def note_read(self, get: Callable[[], Any]) -> None:
        """Note that the trace is valid only while ``get()`` returns an equal value."""
        if get not in self.reads:
            self.reads[get] = get()

    def note_step(self, table: StepScalars) -> int:
        """Count an optimiser's step in the trace; return its index in one run."""
        __, count = self.steps.get(id(table), (table, 0))
        self.steps[id(table)] = table, count + 1
        return count

    def tabulated(
        self, table: StepScalars, name: str, dtype: DType, step: int | None = None
    ) -> Value:
        """Return the graph's scalar input for an optimiser's number at a step."""
        __, count = self.steps.setdefault(id(table), (table, 0))
        step = count if step is None else step
        key = id(table), step, name, dtype
        if key not in self.tables:
            value = Value(None, (), dtype, name=f"{name}.{len(self.tables)}")
            self.tables[key] = Tabulated(value, table, name, step)
        return self.tables[key].value

    def lift(self, tensor: Tensor, value: Value) -> Value:
        """Return an outside tensor's current graph value in the trace."""
        if id(tensor) not in self.lifted:
            if value.node is not None:
                raise GradientError(
                    _("A compiled function uses a tensor that carries eager history."),
                    expected=_("arguments, parameters and plain tensors"),
                    got=repr(value),
                    fix=_("pass it as an argument, or call .detach() on it before"),
                )
            argument = Value(None, value.shape, value.dtype, tracked=value.tracked)
            argument.owner = value.owner
            self.lifted[id(tensor)] = (tensor, argument)
            self.current[id(tensor)] = argument
        if id(tensor) not in self.current:
            self.current[id(tensor)] = self.leaf(tensor, self.written[id(tensor)])
        return self.current[id(tensor)]

    def leaf(self, tensor: Tensor, value: Value) -> Value:
        """Return a parameter's new value as a leaf of the traced graph."""
        leaf_value = super().leaf(tensor, value)
        if leaf_value.node is not None:
            self.renewed.add(leaf_value.node)
        return leaf_value

    def assign(self, tensor: Tensor, value: Value) -> bool:
        """Record a tensor's new value in the trace of a function."""
        if not tensor._value.known:
            return False
        if id(tensor) not in self.lifted:  # it is not read before it is written
            old = tensor._value
            leaf = old.tracked and old.node is None
            before = Value(None, old.shape, old.dtype, tracked=leaf)
            self.lifted[id(tensor)] = (tensor, before)
            self.unread.add(id(tensor))
        value = value if not value.known else self.constant(value)
        self.written[id(tensor)] = self.current[id(tensor)] = value
        if tensor.requires_grad:
            del self.current[id(tensor)]  # a leaf is made where it is read
        return True

    def gradient(self, tensor: Tensor, current: Tensor | None) -> Tensor | None:
        """Return an outside tensor's current gradient in the trace.

        A gradient from before the trace is state.
        """
        known = self._gradient(tensor, current)
        known.read |= not known.written
        return known.now

    def set_gradient(self, tensor: Tensor, gradient: Tensor | None) -> bool:
        """Record a tensor's new gradient in the trace of a function."""
        known = self._gradient(tensor, tensor._gradient_outside())
        known.now, known.written = gradient, True
        return True

    def _gradient(self, tensor: Tensor, current: Tensor | None) -> _Gradient:
        record = _Gradient(tensor, current, current)
        return self.gradients.setdefault(id(tensor), record)

    # -- names and slots, once the function has been run -------------------------------

    def slots(self) -> dict[str, tuple[Slot, Value, Value | None]]:
        """Return the traced program's states by name, with old and new values."""
        owners = {
            id(known.before): known.tensor
            for known in self.gradients.values()
            if known.before is not None
        }
        states: list[tuple[Slot, Value, Value | None]] = []
        for key, (tensor, value) in self.lifted.items():
            owner = owners.get(key)
            if owner is not None and self.gradients[id(owner)].read:
                slot = Slot(owner, gradient=True)
                states.append((slot, value, self._new_gradient(owner)))
                continue
            states.append((Slot(tensor), value, self.written.get(key)))
        done = {id(slot.tensor) for slot, __, __ in states if slot.gradient}
        for key, known in self.gradients.items():
            new = None if key in done else self._new_gradient(known.tensor)
            if new is not None:
                value = Value(None, new.shape, new.dtype)
                states.append((Slot(known.tensor, gradient=True), value, new))
        return self._named(states)

    def _new_gradient(self, tensor: Tensor) -> Value | None:
        known = self.gradients[id(tensor)]
        if known.now is known.before:  # the same tensor, which may have been changed
            return self.written.get(id(known.now))
        if not known.written or known.now is None:
            return None
        value = known.now.value
        return value if not value.known else self.constant(value)

    def _named(
        self, states: list[tuple[Slot, Value, Value | None]]
    ) -> dict[str, tuple[Slot, Value, Value | None]]:
        found_in: dict[int, str] = {}
        for root in self.roots.values():
            for name, tensor in root.named_tensors():
                found_in.setdefault(id(tensor), name)
        named: dict[str, tuple[Slot, Value, Value | None]] = {}
        for i, (slot, value, new) in enumerate(states):
            # Entry points share state by name: what has none is this entry's own.
            tensor = slot.tensor
            name = self.names.get(id(tensor)) or tensor.name or found_in.get(id(tensor))
            name = name or f"{self.entry}.state{i}"
            if slot.gradient:
                name += ".grad"
            while name in named:
                name += "'"
            value.name = name
            named[name] = (slot, value, new)
        return named


# -- one entry point -------------------------------------------------------------------


@dataclass
class Traced:
    """A traced entry point: its graph, with the tensors that are its state.

    Attributes:
        entry: the entry point.
        slots: where its state comes from, by name.
        structure: the nest of its outputs.
        tables: its scalar inputs that change from step to step, by name.
        steps: what supplies them, each with the steps that it makes in one run.
        reads: what it was traced for besides: how to read it, and what it was.
        cleared: the tensors whose gradient it lets go of.
        added: the tensors whose gradient it changes in place.
        derivable: for each output whether a derivative can be asked for; where one was
            taken already and the graph let go, what is said then.
        recorded: the same for state whose new value carries a derivative.
        modes: the modules that were passed, each with the mode that it was in.
        tracked: the tensors that it met, each with its ``requires_grad`` of then.
        graded: the tensors whose gradient it read, each with whether there was one.
    """

    entry: Entry
    slots: dict[str, Slot]
    structure: Any
    tables: Mapping[str, Tabulated]
    steps: tuple[tuple[StepScalars, int], ...] = ()
    reads: tuple[tuple[Callable[[], Any], Any], ...] = ()
    cleared: tuple[Tensor, ...] = ()
    added: tuple[Tensor, ...] = ()
    derivable: tuple[bool | dict[str, str], ...] = ()
    recorded: dict[str, bool | dict[str, str]] = field(
        default_factory=dict[str, bool | dict[str, str]]
    )
    modes: tuple[tuple[Any, bool], ...] = ()
    tracked: tuple[tuple[Tensor, bool], ...] = ()
    graded: tuple[tuple[Tensor, bool], ...] = ()

    def holds(self) -> bool:
        """Return whether module modes and frozen tensors are as at the trace."""
        modes = all(module.training == mode for module, mode in self.modes)
        return modes and self.trains_the_same()

    def trains_the_same(self) -> bool:
        """Return whether the same tensors require gradients as at the trace."""
        return all(t.requires_grad == wanted for t, wanted in self.tracked)

    def reads_the_same(self) -> bool:
        """Return whether the outside values that the trace has read are unchanged."""
        for get, seen in self.reads:  # noqa: SIM110 - a part of every call
            if get() != seen:
                return False
        return True

    def finds_gradients(self) -> bool:
        """Return whether the same tensors have a ``.grad`` as at the trace."""
        return all((t._grad is not None) == there for t, there in self.graded)


@gc_paused()
def trace_entry(
    name: str,
    function: Callable[..., Any],
    inputs: Sequence[Input],
    names: Mapping[int, str] | None = None,
) -> Traced:
    """Trace a Python function into a graph, as an entry point of a program.

    Args:
        name: the entry's name.
        function: called with one tensor for each input, positionally; it returns a
            tensor, or a nest of tuples, lists and dicts of them.
        inputs: what it is called with.
        names: names for state tensors, by ``id``.
    """
    values = [
        Value(None, i.type.shape, i.type.dtype, name=i.name, tracked=i.tracked)
        for i in inputs
    ]
    trace = ProgramTrace(name, names or {})
    with tracing(trace), refusing_comparisons():
        arguments = [wrap(v) for v in values]
        trace.arguments = {id(t): (t, i.name) for t, i in zip(arguments, inputs)}
        leaves, structure = flatten(function(*arguments))
        _know_keys(structure)
        tensors = [_result(name, leaf) for leaf in leaves]
        results = [t.value for t in tensors]
        outputs = [v if not v.known else trace.constant(v) for v in results]
        slots = trace.slots()
    everything, replaced = list(outputs), dict[str, int]()
    for key, (__, __, new) in slots.items():
        if new is not None:
            replaced[key] = len(everything)
            everything.append(new)
    states = {key: slot for key, (slot, __, __) in slots.items()}
    captured = trace.captured()
    for value, numbers in captured:
        key = f"{name}.constant{len(states)}"
        value.name = key
        states[key] = Slot(wrap(Value(numbers.array)))
    tables = {t.value.name or "": t for t in trace.tables.values()}
    graph = Graph(
        name,
        [
            *values,
            *(t.value for t in tables.values()),
            *(v for __, v, __ in slots.values()),
            *(v for v, __ in captured),
        ],
        everything,
    )
    refuse_escaped(graph)
    entry = Entry(
        name=name,
        graph=graph,
        inputs=(*(i.name for i in inputs), *tables),
        each=(*(i.name for i in inputs if i.each), *tables),
        state=tuple(states),
        replaces=replaced,
        outputs=len(outputs),
    )
    gradients = list(trace.gradients.values())
    return Traced(
        entry,
        states,
        structure,
        tables,
        tuple(trace.steps.values()),
        tuple(trace.reads.items()),
        cleared=tuple(
            known.tensor for known in gradients if known.written and known.now is None
        ),
        added=tuple(known.tensor for known in gradients if known.now is known.before),
        derivable=tuple(_derivable(v, trace) for v in outputs),
        recorded={
            key: _derivable(new, trace)
            for key, (slot, __, new) in slots.items()
            if new is not None and new.tracked and not slot.gradient
        },
        modes=tuple(trace.modes.values()),
        tracked=tuple(
            (t, value.tracked)
            for key, (t, value) in trace.lifted.items()
            if key not in trace.unread or value.tracked
        ),
        graded=tuple(
            (known.tensor, known.before is not None)
            for known in gradients
            if known.read
        ),
    )


def _result(function: str, leaf: Any) -> Tensor:
    """Return a result of a traced function as a tensor; refuse other objects."""
    if isinstance(leaf, Tensor):
        return leaf
    if isinstance(leaf, SymbolicDim | int | float | np.ndarray | np.generic):
        return wrap(value_of(leaf))
    raise ArgumentError(
        _(
            "{function} returns something that a graph does not compute.",
            function=function,
        ),
        expected=_("tensors and numbers, in tuples, lists and dictionaries"),
        got=f"{type(leaf).__name__}: {leaf!r:.60}",
        fix=_("return the tensors alone; a generator's items in a list, [*items]"),
    )


def _know_keys(structure: Any) -> None:
    """Refuse a symbolic size as a dictionary key in a traced function's result."""
    if isinstance(structure, dict):
        for key in structure:
            for part in key if isinstance(key, tuple) else (key,):
                if isinstance(part, SymbolicDim):
                    int(part)
        structure = tuple(structure.values())
    if isinstance(structure, tuple | list):
        for part in structure:
            _know_keys(part)


#: What is said of a derivative with respect to what a parameter has become.
RENEWED = {
    "what": _(
        "A compiled function has changed a parameter and used it afterwards; "
        "from outside a derivative of that is asked for."
    ),
    "expected": _("a derivative that is taken within the compiled function"),
    "fix": _(
        "call backward() in it, return the value detached, or change the "
        "parameter at the end"
    ),
}


def _derivable(value: Value, trace: ProgramTrace) -> bool | dict[str, str]:
    if not (value.tracked and value.dtype.is_float):
        return False
    nodes = tracked_ancestors([value])
    if not trace.freed.isdisjoint(nodes):
        return PASSED
    if not trace.renewed.isdisjoint(nodes):
        return RENEWED
    return True
