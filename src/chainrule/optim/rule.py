"""An optimiser's update rule as a composite: numbers and formula from one function.

A rule is written once, with operators and the functions of this module::

    @staticmethod
    def update(p, g, s):
        s.v = s.alpha * s.v + s.rest * g**2
        return p - s.lr * g / (sqrt(s.v) + s.eps)

It is called with tensors for the graph that engines run, and with expressions for the
formula that explanations show, in which each assignment to ``s`` is a step: v ← αv +
(1−α) g². What all rules have in common stands in front: a clipping factor on the
gradient (``scale``), the slopes λθ of an L2 penalty (``penalty``) and λ₁ sign θ of an
L1 penalty (``l1``), θ that shrinks (``keep``). What is off is left out, not set to 1 or
0: 0·∞ is not 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.composites.composite import Composite, composite
from chainrule.errors import ArgumentError
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case, Primitive, of_any
from chainrule.notation import functions as write
from chainrule.notation.expressions import Expr, Product
from chainrule.optim.groups import LIMITS
from chainrule.primitives import elementwise
from chainrule.primitives.movement import broadcast_to, full_like
from chainrule.primitives.rules import need_dtype, same, wrong_count
from chainrule.tensor import Tensor, wrap
from chainrule.text import _

#: Intervals from which tests draw moments: v − m² stays positive.
_RANGES = {"m": (-0.1, 0.1), "velocity": (-1.0, 1.0)}
_POSITIVE, _SCALAR = (0.5, 1.0), (0.01, 1.0)
#: The letters of moments in formulas, where they are not their names, by composite.
_LETTERS: dict[Primitive, Mapping[str, str]] = {}


class UpdateState:
    """The moments and scalars of an optimiser's update of one parameter, as attributes.

    A rule assigns the new moments; ``"max_v" in s`` says whether there is one.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        vars(self).update(values)

    def __contains__(self, name: str) -> bool:
        return name in vars(self)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class _WrittenState(UpdateState):
    """The state of an optimiser's update as expressions, which record a formula."""

    def __init__(self, values: Mapping[str, Expr], letters: Mapping[str, str]) -> None:
        super().__init__(values)
        vars(self).update(_letters=letters, _steps=[])

    def __setattr__(self, name: str, value: Expr) -> None:
        new = write.symbol(self._letters.get(name, name), tag="new")
        self._steps.append(write.become(new, value))
        vars(self)[name] = new


#: Names of scalars that have a meaning of their own: what stands in front of rules, the
#: limits of gradients, and the number of a step.
RESERVED = frozenset({"scale", "penalty", "l1", "keep", "number", *LIMITS})


def check_names(kind: str, moments: Sequence[str], scalars: Iterable[str]) -> None:
    """Refuse an optimiser's names of moments and scalars that are reserved names."""
    names = [*moments, *scalars]
    for name in names:
        if name in RESERVED or name.endswith("rate") or names.count(name) > 1:
            raise ArgumentError(
                _("{kind} gives a moment or a scalar a name that is taken.", kind=kind),
                expected=_(
                    "names that differ, without 'rate' at the end, and none of {taken}",
                    taken=", ".join(sorted(RESERVED)),
                ),
                got=repr(name),
            )


def check_results(
    kind: str,
    p: Value,
    results: Mapping[str, Any],
    before: Mapping[str, Any],
) -> None:
    """Refuse unsuitable results of an optimiser's update rule.

    Args:
        kind: the name of the optimiser's class.
        p: the parameter.
        results: the new parameter and the new moments, by name.
        before: the attributes of the state before the update.
    """
    for name, result in results.items():
        fits = isinstance(result, Tensor) and result.value.type == p.type
        if not fits:
            raise ArgumentError(
                _("{kind}.update gives no new {name}.", kind=kind, name=name),
                expected=_("a tensor {type}, as the parameter is", type=p.type),
                got=f"{result.value.type}"
                if isinstance(result, Tensor)
                else f"{result!r:.60}",
            )
        if name in before and result is before[name]:
            raise ArgumentError(
                _("{kind}.update leaves s.{name} as it was.", kind=kind, name=name),
                expected=_("an assignment to each moment that moments() names"),
                got=f"s.{name}",
            )


# -- functions for rules ---------------------------------------------------------------


def sqrt(x: Any) -> Any:
    """Return √x in an optimiser's update rule, of a tensor or an expression."""
    return write.root(x) if isinstance(x, Expr) else x.sqrt()


def absolute(x: Any) -> Any:
    """Return |x| in an optimiser's update rule, of a tensor or an expression."""
    return write.absolute(x) if isinstance(x, Expr) else abs(x)


def sign(x: Any) -> Any:
    """Return −1, 0 or 1, the sign of x, in an optimiser's rule: the slope of |x|."""
    return write.prefixed("sign", x) if isinstance(x, Expr) else x.sign()


def maximum(x: Any, y: Any) -> Any:
    """Return the larger of x and y in an optimiser's update rule."""
    if isinstance(y, Expr):
        return write.apply("max", x, y)
    return wrap(elementwise.maximum(_alike(x, y.value), y.value))


def select(flag: Any, x: Any, y: Any) -> Any:
    """Return x where a scalar ``flag`` is above 0, else y, in an optimiser's rule."""
    if isinstance(x, Expr):
        return write.choice(x, write.greater(flag, 0), y)
    chosen = elementwise.less(full_like(flag.value, 0.0), flag.value)
    chosen = broadcast_to(chosen, shape=x.value.shape)
    return wrap(elementwise.where(chosen, x.value, _alike(y, x.value)))


def _alike(x: Any, y: Value) -> Value:
    return x.value if isinstance(x, Tensor) else full_like(y, float(x))


# -- the composite ---------------------------------------------------------------------


def update_composite(optimizer: Any) -> Composite:
    """Declare an optimiser class's ``update`` method as a composite.

    Its inputs are θ, g, the moments and the scalars, which the attributes ``moments``
    and ``scalars`` name; its results are the new θ and the new moments.
    """

    name = f"{optimizer.__name__.lower()}_update"

    def update(p: Any, g: Any, s: UpdateState) -> Any:
        if "scale" in s:
            g = s.scale * g
        if "penalty" in s:
            g = g + s.penalty * p
        if "l1" in s:
            g = g + s.l1 * sign(p)
        if "keep" in s:
            p = s.keep * p
        return optimizer.update(p, g, s)

    def compute(p: Value, g: Value, *rest: Value, moments: str = "", scalars: str):
        names, arrays = f"{moments} {scalars}".split(), (p, g, *rest)
        if len(rest) != len(names):
            raise wrong_count(name, 2 + len(names), len(arrays))
        arrays = arrays[: 2 + len(moments.split())]
        # Operators would broadcast and promote what does not fit.
        same(name, len(arrays), only="floats")(*[v.type for v in arrays])
        for scalar in rest[len(arrays) - 2 :]:
            need_dtype(name, p.dtype, scalar.dtype)
        s = UpdateState(dict(zip(names, map(wrap, rest), strict=True)))
        before = dict(vars(s))
        results = {"parameter": update(wrap(p), wrap(g), s)}
        results |= {m: vars(s)[m] for m in moments.split()}
        check_results(optimizer.__name__, p, results, before)
        values = [result.value for result in results.values()]
        return tuple(values) if moments else values[0]

    def formula(p: Expr, g: Expr, *rest: Expr, moments: str = "", scalars: str) -> Expr:
        names, first = f"{moments} {scalars}".split(), len(moments.split())
        s = _WrittenState(dict(zip(names, rest, strict=True)), optimizer.letters)
        new = update(p, g, s)
        expression = write.listing(*s._steps, new) if s._steps else new
        return _scaled(expression, frozenset(rest[first:]))

    compute.__name__ = name
    compute.__doc__ = f"Update a parameter by {optimizer.__name__}."
    expression = composite(
        formula=of_any(formula),
        source=optimizer.source,
        cases=lambda: tuple(_cases(optimizer)),
        internal=not optimizer.__module__.startswith("chainrule."),
    )(compute)
    _LETTERS[expression] = optimizer.letters
    return expression


def letters_of(rule: Primitive, attrs: Mapping[str, str]) -> list[str]:
    """Return the letters of an optimiser update's inputs in formulas."""
    letters = _LETTERS[rule]
    moments, scalars = attrs.get("moments", "").split(), attrs["scalars"].split()
    return ["p", "g", *[letters.get(m, m) for m in moments], *scalars]


def _scaled(e: Expr, scalars: frozenset[Expr]) -> Expr:
    """Return an update's formula with scalars in front of arrays, without ⊙: η g."""
    e = e.mapped(lambda part: _scaled(part, scalars))
    if isinstance(e, Product) and e.kind == "odot" and e.factors[0] in scalars:
        return Product("scale", e.factors)
    return e


def _cases(kind: Any) -> Iterator[Case]:
    """Yield test cases of an optimiser's update rule, for each of its forms."""
    variants = [(options, "3,4", "") for options in kind.variants]
    variants += [(kind.variants[0], "", ""), (kind.variants[0], "0", "")]
    variants += [
        (kind.variants[-1], "7", front) for front in ("scale penalty", "l1 keep")
    ]
    for options, shape, front in variants:
        optimizer = kind(**options)
        moments = optimizer.moments(optimizer.options)
        scalars = [*optimizer.scalars(1, 0.1, optimizer.options), *front.split()]
        ranges = [_RANGES.get(name, _POSITIVE) for name in moments]
        attrs = {"moments": " ".join(moments)} if moments else {}
        yield Case(
            (f"f[{shape}]",) * (2 + len(moments)) + ("f[]",) * len(scalars),
            attrs | {"scalars": " ".join(scalars)},
            (None, None, *ranges, *[_SCALAR] * len(scalars)),
        )
