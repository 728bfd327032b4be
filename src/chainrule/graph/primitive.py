"""The class of primitives (operations of the graph), and their registry.

A primitive is a name, a rule for types, and traits. What interpreters know of it stands
in tables: how it is computed (``REFERENCES``), how it is differentiated
(``DERIVATIVES``), how it is computed for many samples at once (``BATCHING``), what it
consists of where it is a composite (``BODIES``), and one table an engine. All of them
but the engines' are filled by one declaration
(:func:`chainrule.graph.declare.declare`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from chainrule.errors import ArgumentError, GraphError, nearest
from chainrule.graph.types import ArrayType, Dim
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr

Array = np.ndarray[Any, Any]
TypeRule = Callable[..., ArrayType | tuple[ArrayType, ...]]
RefusalRule = Callable[
    [Sequence[ArrayType], dict[str, Any]], Sequence[tuple[int, Dim | None]]
]
#: A formula (inputs…, attributes…), spelt out so that a type checker knows what the
#: parameters of a lambda are; for other functions there is :func:`of_any`.
Formula = (
    Callable[[Any], "Expr"]
    | Callable[[Any, Any], "Expr"]
    | Callable[[Any, Any, Any], "Expr"]
    | Callable[[Any, Any, Any, Any], "Expr"]
    | Callable[[Any, Any, Any, Any, Any], "Expr"]
)


def of_any(formula: Callable[..., Expr]) -> Formula:
    """Mark a primitive's formula as one that takes any number of inputs."""
    return formula


class Case:
    """An example call of a primitive, from which conformance tests are generated.

    Attributes:
        inputs: the types of the inputs, in the text form (``"f[3,4]"``, where ``f``
            stands for each floating type in turn).
        attrs: the attributes.
        ranges: per input the interval from which its numbers are drawn; None for
            the primitive's own domain.
    """

    __slots__ = ("attrs", "inputs", "ranges")

    def __init__(
        self,
        inputs: tuple[str, ...],
        attrs: dict[str, Any] | None = None,
        ranges: tuple[tuple[float, float] | None, ...] = (),
    ) -> None:
        self.inputs, self.attrs, self.ranges = inputs, attrs or {}, ranges

    def __repr__(self) -> str:
        return f"Case({self.inputs}, {self.attrs}, {self.ranges})"


class Primitive:
    """A primitive: an operation of the graph, with a name, a type rule and traits.

    Attributes:
        name: how the text form calls it.
        rule: ``rule(*types, **attrs)`` gives the type or types of the result, or
            raises an error that names what does not fit.
        elementwise: trait: each element of the result comes from the elements at the
            same place of its inputs.
        view: trait: the result shows elements of its only input, in another order or
            shape.
        moves: trait: elements are moved, converted or handed to a body, and nothing is
            computed with them, so that bfloat16 goes in and out. A view moves. What
            computes does so in float32: :mod:`chainrule.graph.apply`.
        linear: trait: linear in its floating inputs taken together.
        internal: trait: made by an engine for itself, no part of the vocabulary.
        refuses: where a run may be refused here: ``refuses(types, attrs)`` gives pairs
            of an input and of how many rows its indices are for; None for a truth
            value.
        formula: ``formula(*inputs, **attrs)`` is the result as an expression of the
            inputs, which are expressions; None where there is none. The letters of an
            input's axes are its ``index``, where they are known.
        source: where the definition can be looked up.
        domain: per input the open interval on which it is defined.
        kinks: where it is not differentiable, and the value declared there.
        cases: examples, or a function that makes them.
    """

    def __init__(
        self,
        *,
        name: str,
        rule: TypeRule,
        elementwise: bool = False,
        view: bool = False,
        moves: bool = False,
        linear: bool = False,
        internal: bool = False,
        refuses: RefusalRule | None = None,
        formula: Callable[..., Expr] | None = None,
        source: str = "",
        domain: tuple[tuple[float, float], ...] = (),
        kinks: str = "",
        cases: tuple[Case, ...] | Callable[[], tuple[Case, ...]] = (),
    ) -> None:
        self.name, self.rule = name, rule
        self.elementwise, self.view, self.linear = elementwise, view, linear
        self.moves = moves or view
        self.internal, self.refuses = internal, refuses
        self.formula, self.source = formula, source
        self.domain, self.kinks, self.cases = domain, kinks, cases
        if internal:
            return
        if self.name in _registry:
            raise GraphError(
                _("The primitive {name!r} is declared twice.", name=self.name),
                fix=_("give one of them another name"),
            )
        _registry[self.name] = self

    def examples(self) -> tuple[Case, ...]:
        """Return a primitive's example calls, for conformance tests."""
        return self.cases() if callable(self.cases) else self.cases

    def output_types(
        self, types: Sequence[ArrayType], attrs: dict[str, Any]
    ) -> tuple[ArrayType, ...]:
        """Return the types of a primitive's results for these input types."""
        out = self.rule(*types, **attrs)
        return out if isinstance(out, tuple) else (out,)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


_registry: dict[str, Primitive] = {}

#: ``REFERENCES[p](*arrays, **attrs)`` computes p with NumPy, in any floating type. It
#: never calls what it checks: no engine, no graph.
REFERENCES: dict[Primitive, Callable[..., Any]] = {}
#: ``DERIVATIVES[p](gs, ys, inputs, needed, **attrs)`` gives the cotangents of the
#: inputs from those of the outputs, all of them values: one step of the chain rule.
#: What has no row has no derivative.
DERIVATIVES: dict[Primitive, Callable[..., Sequence[Any]]] = {}
#: ``BATCHING[p](samples)`` computes p for many samples at once, along a new first axis:
#: see :mod:`chainrule.graph.batching`. What is elementwise needs no row.
BATCHING: dict[Primitive, Callable[[Any], Any]] = {}
#: ``BODIES[p](types, attrs)`` is the graph that a composite consists of.
BODIES: dict[Primitive, Callable[[Sequence[ArrayType], dict[str, Any]], Any]] = {}


class EagerCalls(Protocol):
    """Another way than the reference to compute a primitive's eager calls.

    Both methods return None for a call that the reference computes.
    """

    def forward(self, arrays: tuple[Array, ...], attrs: dict[str, Any]) -> Any:
        """Return the results as the reference does."""
        ...

    def backward(
        self,
        gs: Sequence[Any],
        ys: Sequence[Any],
        inputs: Sequence[Any],
        needed: Sequence[bool],
        attrs: dict[str, Any],
    ) -> Sequence[Any] | None:
        """Return the cotangents of the inputs, which nobody differentiates again."""
        ...


#: ``EAGER[p.name]`` computes eager calls of p faster than its reference would; see
#: :mod:`chainrule.engines.eager`.
EAGER: dict[str, EagerCalls] = {}

#: Modules that declare primitives, and are imported where one of these is used.
_declaring: list[str] = []


def declared_in(package: str, *modules: str) -> None:
    """Note the modules of a package that declare primitives, for :func:`lookup`."""
    _declaring.extend(f"{package}.{module}" for module in modules)


def registered() -> dict[str, Primitive]:
    """Return all primitives and composites by name, in the order of declaration."""
    for module in _declaring:
        importlib.import_module(module)
    return dict(_registry)


def lookup(name: str) -> Primitive:
    """Return the primitive or composite by name; raise an error if none exists."""
    if name in _registry or name in registered():
        return _registry[name]
    near = nearest(name, _registry)
    raise ArgumentError(
        _("No primitive is called {name!r}.", name=name),
        expected=_("one of {known}", known=", ".join(sorted(_registry))),
        got=name,
        fix=_("did you mean {near!r}?", near=near)
        if near
        else _("declare it in primitives/"),
    )


def as_tuple(result: Any) -> tuple[Any, ...]:
    """Return a traced function's result as a tuple, even if it is one value."""
    if isinstance(result, tuple | list):
        return tuple(cast("Sequence[Any]", result))
    return (result,)
