"""What a primitive and a region are, and the registry of both.

A primitive is declared in one place (see ``chainrule.primitives``): its type rule, its
NumPy reference, its derivative rule, its formula and where it comes from. A region is a
named graph of primitives: the same interface, with the reference and the derivative
taken from its body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chainrule.errors import ArgumentError, GraphError
from chainrule.graph.node import Array, Value
from chainrule.graph.types import ArrayType

if TYPE_CHECKING:
    from chainrule.graph.graph import Graph

#: ``build.bind``, which puts itself here: it needs this module, and an import within
#: each call would cost as much as the call.
_bind: list[Callable[..., Any]] = []

Cotangent = Value | None
TypeRule = Callable[..., ArrayType | tuple[ArrayType, ...]]
#: A derivative rule (g, y, inputs…, attributes…). The first four lines are the last one
#: spelt out: from them a type checker knows what the parameters of a lambda are.
DerivativeRule = (
    Callable[[Value, Value, Any], Value]
    | Callable[[Value, Value, Any, Any], Value]
    | Callable[[Value, Value, Any, Any, Any], Value]
    | Callable[[Value, Value, Any, Any, Any, Any], Value]
    | Callable[..., Value]
)


@dataclass(frozen=True)
class Case:
    """One example of a primitive at work, from which the conformance tests are made.

    Attributes:
        inputs: the types of the inputs, in the text form (``"f[3,4]"``, where ``f``
            stands for each floating type in turn).
        attrs: the attributes.
        ranges: per input the interval from which its numbers are drawn; None for
            the primitive's own domain.
    """

    inputs: tuple[str, ...]
    attrs: dict[str, Any] = field(default_factory=dict[str, Any])
    ranges: tuple[tuple[float, float] | None, ...] = ()


@dataclass(frozen=True, eq=False)
class Primitive:
    """An operation of the graph.

    Attributes:
        name: how the text form calls it.
        rule: ``rule(*types, **attrs)`` gives the type or types of the result, or
            raises an error that names what does not fit.
        reference: ``reference(*arrays, **attrs)`` computes it with NumPy, in any
            floating type. It never calls what it checks: no engine, no graph.
        vjp: the derivative rule, one function for each input:
            ``vjp[i](g, y, *inputs, **attrs)`` is the cotangent of input i when the
            result y has cotangent g. It is written in primitives, so derivatives are
            graphs. None for an input without a derivative (an index).
        joint_vjp: instead of ``vjp`` where the inputs' derivatives share their work:
            ``joint_vjp(gs, ys, inputs, needed, **attrs)``, all in tuples.
        formula: LaTeX, with ``{0}``, ``{1}`` … for the inputs.
        source: where the definition can be looked up.
        domain: per input the open interval on which it is defined.
        kinks: where it is not differentiable, and the value declared there.
        linear: whether it is linear in its floating inputs taken together.
        elementwise: whether output i depends on the inputs' elements i alone.
        differentiable: whether a derivative to at least one input exists.
        cases: examples for the conformance tests, or a function that makes them.
    """

    name: str
    rule: TypeRule
    reference: Callable[..., Array | tuple[Array, ...]]
    vjp: tuple[DerivativeRule | None, ...] = ()
    joint_vjp: Callable[..., Sequence[Cotangent]] | None = None
    formula: str = ""
    source: str = ""
    domain: tuple[tuple[float, float], ...] = ()
    kinks: str = ""
    linear: bool = False
    elementwise: bool = False
    cases: tuple[Case, ...] | Callable[[], tuple[Case, ...]] = ()

    differentiable: bool = field(init=False)

    def __post_init__(self) -> None:
        has_rule = self.joint_vjp is not None or any(self.vjp)
        object.__setattr__(self, "differentiable", has_rule)
        register(self)

    def __call__(self, *inputs: Value, **attrs: Any) -> Any:
        """Apply it: compute at once on numbers, record a node while tracing."""
        return _bind[0](self, inputs, attrs)

    def examples(self) -> tuple[Case, ...]:
        """The cases."""
        return self.cases() if callable(self.cases) else self.cases

    def output_types(
        self, types: Sequence[ArrayType], attrs: dict[str, Any]
    ) -> tuple[ArrayType, ...]:
        """The types of the results, as a tuple even where there is one."""
        out = self.rule(*types, **attrs)
        return out if isinstance(out, tuple) else (out,)

    def cotangents(
        self,
        gs: tuple[Cotangent, ...],
        ys: tuple[Value | None, ...],
        inputs: tuple[Value, ...],
        needed: tuple[bool, ...],
        attrs: dict[str, Any],
    ) -> Sequence[Cotangent]:
        """Cotangents of the inputs from those of the outputs: one chain rule step."""
        if self.joint_vjp is not None:
            return self.joint_vjp(gs, ys, inputs, needed, **attrs)
        (g,), (y,) = gs, ys
        assert g is not None
        assert y is not None
        rules = self.vjp or (None,) * len(inputs)
        if len(rules) == 1 and len(inputs) > 1:
            rules *= len(inputs)
        return [
            rule(g, y, *inputs, **attrs) if rule is not None and need else None
            for rule, need in zip(rules, needed, strict=True)
        ]

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


@dataclass(frozen=True, eq=False, repr=False)
class Region(Primitive):
    """A named graph of primitives with a formula and a source.

    Made by :func:`region`. ``body(types, attrs)`` is the graph; type rule, reference
    and derivative follow from it. Where stability or teaching wants another derivative
    the region carries its own (``joint_vjp``), and the conformance suite holds that
    against the body's.
    """

    function: Callable[..., Any] | None = None
    own_vjp: bool = False

    def body(
        self, types: Sequence[ArrayType], attrs: dict[str, Any] | None = None
    ) -> Graph:
        """The body as a graph, for inputs of these types."""
        from chainrule.graph.build import trace

        key = (tuple(types), tuple(sorted((attrs or {}).items())))
        if key not in _bodies.setdefault(self.name, {}):
            assert self.function is not None
            _bodies[self.name][key] = trace(
                self.function, types, name=self.name, attrs=attrs
            )
        return _bodies[self.name][key]

    def cotangents(
        self,
        gs: tuple[Cotangent, ...],
        ys: tuple[Value | None, ...],
        inputs: tuple[Value, ...],
        needed: tuple[bool, ...],
        attrs: dict[str, Any],
    ) -> Sequence[Cotangent]:
        """One chain rule step; on numbers alone the rule's graph is made only once."""
        from chainrule.graph.build import context
        from chainrule.graph.interpret import evaluate

        if context.trace is not None or context.grad:
            return Primitive.cotangents(self, gs, ys, inputs, needed, attrs)
        given = (*gs, *ys, *inputs)
        types = tuple([None if v is None else (v.shape, v.dtype) for v in given])
        key = (types, needed, *attrs.values())
        rules = _rules.setdefault(self.name, {})
        if key not in rules:
            if len(rules) >= _RULES_AT_MOST:
                rules.clear()
            rules[key] = self._rule_graph(gs, ys, inputs, needed, attrs)
        graph, positions = rules[key]
        made = evaluate(graph, [v.array for v in given if v is not None])
        result: list[Cotangent] = [None] * len(inputs)
        for i, array in zip(positions, made, strict=True):
            result[i] = Value(array)
        return result

    def _rule_graph(
        self,
        gs: tuple[Cotangent, ...],
        ys: tuple[Value | None, ...],
        inputs: tuple[Value, ...],
        needed: tuple[bool, ...],
        attrs: dict[str, Any],
    ) -> tuple[Graph, list[int]]:
        """The derivative rule as a graph, and which inputs its outputs belong to."""
        from chainrule.graph.build import trace

        given = (*gs, *ys, *inputs)
        positions: list[int] = []

        def rule(*values: Value) -> list[Value]:
            rest = iter(values)
            full = [None if v is None else next(rest) for v in given]
            a, b = len(gs), len(gs) + len(ys)
            arguments = tuple(v for v in full[b:] if v is not None)
            back = Primitive.cotangents(
                self, tuple(full[:a]), tuple(full[a:b]), arguments, needed, attrs
            )
            found = [(i, g) for i, g in enumerate(back) if g is not None]
            positions[:] = [i for i, _ in found]
            return [g for _, g in found]

        types = [v.type for v in given if v is not None]
        graph = trace(rule, types, name=f"{self.name}_vjp", tracked=True)
        return graph, positions

    def __repr__(self) -> str:
        return f"<region {self.name}>"


#: Derivative rules of regions as graphs, for the types met so far.
_rules: dict[str, dict[Any, tuple[Graph, list[int]]]] = {}
_RULES_AT_MOST = 256


_bodies: dict[str, dict[Any, Graph]] = {}


def region(
    name: str,
    *,
    vjp: Callable[..., Sequence[Cotangent]] | None = None,
    **declaration: Any,
) -> Callable[[Callable[..., Any]], Region]:
    """Declare the decorated function of values as a region.

    Args:
        name: how the text form calls it.
        vjp: its own derivative, ``vjp(gs, ys, inputs, needed, **attrs)``; by default
            the body's.
        declaration: formula, source, domain, kinks, cases, as for a primitive.
    """

    def declare(function: Callable[..., Any]) -> Region:
        def rule(*types: ArrayType, **attrs: Any) -> tuple[ArrayType, ...]:
            return tuple(v.type for v in made.body(types, attrs).outputs)

        def reference(*arrays: Array, **attrs: Any) -> Any:
            from chainrule.graph.interpret import evaluate
            from chainrule.graph.types import type_of

            results = evaluate(made.body([type_of(a) for a in arrays], attrs), arrays)
            return results[0] if len(results) == 1 else results

        def body_vjp(
            gs: tuple[Cotangent, ...],
            ys: tuple[Value | None, ...],
            inputs: tuple[Value, ...],
            needed: tuple[bool, ...],
            **attrs: Any,
        ) -> Sequence[Cotangent]:
            from chainrule.autodiff import pull_back

            return pull_back(function, inputs, gs, needed, attrs)

        made = Region(
            name=name,
            rule=rule,
            reference=reference,
            joint_vjp=vjp or body_vjp,
            function=function,
            own_vjp=vjp is not None,
            **declaration,
        )
        return made

    return declare


def as_tuple(made: Any) -> tuple[Any, ...]:
    """What a function of values gave, as a tuple even where it is one value."""
    if isinstance(made, tuple | list):
        values: list[Any] = [*made]
        return tuple(values)
    return (made,)


def install(bind: Callable[..., Any]) -> None:
    """Say how primitives are applied."""
    _bind[:] = [bind]


_registry: dict[str, Primitive] = {}


def register(primitive: Primitive) -> None:
    """Add a primitive; two of one name are refused."""
    if primitive.name in _registry:
        raise GraphError(
            f"The primitive {primitive.name!r} is declared twice.",
            fix="give one of them another name",
        )
    _registry[primitive.name] = primitive


def registered() -> dict[str, Primitive]:
    """All primitives and regions by name, in the order of declaration."""
    return dict(_registry)


def lookup(name: str) -> Primitive:
    """The primitive or region called ``name``; the nearest name where there is none."""
    if name in _registry:
        return _registry[name]
    import difflib

    near = difflib.get_close_matches(name, _registry, n=1)
    raise ArgumentError(
        f"No primitive is called {name!r}.",
        expected="one of " + ", ".join(sorted(_registry)),
        got=name,
        fix=f"did you mean {near[0]!r}?" if near else "declare it in primitives/",
    )
