"""Typical mistakes in a formula: changes of one part, to recognise wrong answers.

Some of them hold for a part wherever it stands: a term, a factor, a sign, a transpose.
The others put one quantity, function or product in the place of another, or multiply by
a factor too many. Each change comes with the part, and with what stands in its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from chainrule.book.derivation.activations import (
    ACTIVATIONS,
    SOFTMAX,
    Derivative,
)
from chainrule.book.derivation.formulas import (
    RATE,
    error_name,
    name_of,
    slope_of,
)
from chainrule.book.derivation.keys import HATS, MEANS
from chainrule.book.derivation.objectives import OBJECTIVES, losses
from chainrule.book.marking.place import DECAY, Place, odot
from chainrule.book.marking.steps import ALPHA, BETAS, EPSILON, MOMENTUM, T
from chainrule.explanation.naming import symbol
from chainrule.explanation.signs import COUNT, PRIME
from chainrule.notation import functions as f
from chainrule.notation.expressions import (
    Call,
    Expr,
    Fence,
    Number,
    Power,
    Product,
    Quotient,
    Reduced,
    Script,
    Sum,
    Transposed,
)
from chainrule.text import tr

#: A wrong formula; the part that is changed; what stands in its place, if anything.
Change = tuple[Expr, Expr | str, Expr | str]
#: The changes of an expression's outermost operation.
Rule = Callable[[Expr], Iterator[Change]]

GRADIENTS, UPDATED = ("dW", "db"), ("W", "b")
BACK = ("delta", *GRADIENTS)
ZERO = Number(0)


def is_slope(e: Expr | str) -> bool:
    """Return whether an expression is an activation's derivative symbol f₁′(z⁽¹⁾)."""
    head = e.head if isinstance(e, Call) else None
    return isinstance(head, Script) and head.above == PRIME


# -- one part changed, wherever it stands ----------------------------------------------


def _forms(p: Place) -> Iterator[Expr]:
    """Yield the correct formula of a quantity, and before it the chain rule's form."""
    if p.kind == "loss":
        yield from p.formulas.loss()
    elif p.kind != "a":  # whose parts are those of the activation
        if p.kind in BACK and p.has_slope(p.k):
            yield p.right.replaced({p.delta: p.chain}) if p.kind != "delta" else p.chain
        yield p.right


def _everywhere(p: Place, rule: Rule) -> Iterator[Change]:
    """Yield a formula's wrong variants: a rule applied to one part at a time."""
    for e in _forms(p):
        yield from _changed(e, rule)


def _changed(e: Expr, rule: Rule) -> Iterator[Change]:
    if isinstance(e, Derivative) or is_slope(e):
        return  # these are names
    yield from rule(e)
    for i, part in enumerate(e.parts()):
        for inner, part_of_it, other in _changed(part, rule):
            yield _with_part(e, i, inner), part_of_it, other


def _with_part(e: Expr, i: int, other: Expr) -> Expr:
    numbers = itertools.count()
    return e.mapped(lambda part: other if next(numbers) == i else part)


def _replaced(p: Place, *pairs: list[tuple[Expr, Expr]]) -> Iterator[Change]:
    """Yield a formula's wrong variants, with some expressions replaced by others."""
    for e in _forms(p):
        for changes in pairs:
            # ∂ℒ/∂a is a name: an a within it is none that can be replaced.
            whole = e if is_slope(next(iter(changes), ("",))[0]) else p.expanded(e)
            pair_used = next((pair for pair in changes if whole.holds(pair[0])), None)
            if pair_used is not None:
                yield whole.replaced(dict(changes)), pair_used[0], pair_used[1]


def _is_count(e: Expr) -> bool:
    """Return whether an expression is a number or sample count n, or both combined."""
    return all(isinstance(leaf, Number) or leaf == COUNT for leaf in e.leaves())


def _without_a_part(e: Expr) -> Iterator[Change]:
    if isinstance(e, Sum) and len(e.terms) > 1:
        for i, (_, term) in enumerate(e.terms):
            if not isinstance(term, Number):
                yield Sum(e.terms[:i] + e.terms[i + 1 :]), term, ""
    if isinstance(e, Product) and e.kind in ("dot", "odot", "scale"):
        for i, factor in enumerate(e.factors):
            if not _is_count(factor):
                rest = e.factors[:i] + e.factors[i + 1 :]
                remainder = rest[0] if len(rest) == 1 else Product(e.kind, rest)
                yield remainder, factor, ""
    if isinstance(e, Quotient) and not _is_count(e.bottom):
        yield e.top, tr("the division by {divisor}", divisor=e.bottom), ""
    if isinstance(e, Power) and e.base != f.E:
        exponent = tr("the exponent {exponent}", exponent=e.above)
        for base in (e.base, f.absolute(e.base)):
            yield base, exponent, ""
    if isinstance(e, Fence) and e.left.text() == "√(":
        yield e.inner, "√", ""
    if isinstance(e, Reduced):
        yield e.argument, e.head, ""


def missing(p: Place) -> Iterator[Change]:
    """Yield wrong formulas that lack a term, factor, power, root or function."""
    yield from _everywhere(p, _without_a_part)
    if p.kind == "a" and not p.flat:
        yield p.z, "f", ""
        if p.mixes:
            yield f.exp(p.z), tr("the division by {divisor}", divisor="∑"), ""
            shares = f.fraction(p.z, f.total(p.z, over=(1,), rank=2))
            yield shares, f.named("exp"), ""
    if p.mixes and p.kind in BACK:
        g = p.arriving
        yield g if p.kind == "delta" else p.right.replaced({p.delta: g}), "f′", ""
    if p.kind == "dW":  # the same for every input
        yield p.delta @ (1 + f.scale(ZERO, p.input)).T, p.input, ""
    if p.kind in UPDATED:
        old, step = p.step
        yield step, old, ""
        for hats in (p.hats, *([pair] for pair in p.hats)):
            for e, *_ in _replaced(p, hats):
                yield e, tr("the bias correction"), ""
        for new, _ in p.moments:  # Nesterov's step is g + μ v′
            ahead = f.scale(MOMENTUM, new)
            if p.right.holds(ahead):
                gone = {p.slope_of: ZERO, DECAY: ZERO}
                yield p.right.replaced({ahead: new, **gone}), p.slope_of, ""


def _with_a_part_twice(e: Expr) -> Iterator[Change]:
    if isinstance(e, Sum) and len(e.terms) > 1:
        for sign, term in e.terms:
            if not isinstance(term, Number):
                yield Sum((*e.terms, (sign, term))), term, ""
    if isinstance(e, Product) and e.kind == "odot":
        for factor in e.factors:
            yield Product("odot", (*e.factors, factor)), factor, ""


def twice(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with a term, a factor or a function used twice."""
    yield from _everywhere(p, _with_a_part_twice)
    if p.kind in GRADIENTS and p.has_slope(p.k):
        yield p.right.replaced({p.delta: odot(p.delta, p.slope)}), "f′", ""
    if p.kind == "delta" and p.mixes:
        yield odot(p.right, p.slope), "f′", ""
    if p.kind == "a" and not p.flat and p.function.name != "relu":
        yield p.function.of(p.function.of(p.z)), "f", ""


def _with_a_sign_changed(e: Expr) -> Iterator[Change]:
    if isinstance(e, Sum) and len(e.terms) > 1:
        for i, (sign, term) in enumerate(e.terms):
            if not isinstance(term, Number):
                terms = (*e.terms[:i], (-sign, term), *e.terms[i + 1 :])
                yield Sum(terms), term, ""


def sign(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with the sign of a term or an argument changed."""
    if p.kind not in UPDATED:
        yield -p.right, p.name, ""
    if p.kind == "a" and not p.flat:
        yield p.function.of(-p.z), p.z, ""
    if p.kind in MEANS:
        yield from _for_gradient(p, -p.gradient, p.gradient)
    yield from _everywhere(p, _with_a_sign_changed)


def _turned(e: Expr) -> Iterator[Change]:
    if isinstance(e, Transposed):
        yield e.base, e, ""
    if isinstance(e, Product) and e.kind == "dot":
        yield Product("dot", (e.factors[0].T, *e.factors[1:])), e.factors[0], ""


def transposed(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with a matrix transposed."""
    if p.kind == "dW":
        yield p.right.T, p.name, ""
    elif p.kind == "W" and p.square:
        old, step = p.step
        yield old - step.T, step, ""
        yield p.right.T, p.name, ""
    elif p.kind in ("z", "delta"):
        yield from _everywhere(p, _turned)


# -- one part for another --------------------------------------------------------------


def other_function(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with another activation: f for f′, or f′(a) for f′(z)."""
    rows = list(p.other_functions())
    if p.kind == "a":
        if p.has_slope(p.k):
            yield p.function.slope(p.z), "f", "f′"
        if not p.mixes and p.size(p.k) > 1:
            rows.append(ACTIVATIONS[SOFTMAX])
        for row in rows:
            yield row.of(p.z), p.function.head, row.head
    if p.kind == "delta" and not p.flat:
        yield odot(p.arriving, p.a), "f′", "f"
    if p.kind == "delta" and p.has_slope(p.k):
        yield odot(p.arriving, p.function.slope(p.a)), "f′(z)", "f′(a)"
        for row in rows:
            for slope in (row.slope(p.z), row.shortest(p.z, p.a)):
                yield odot(p.arriving, slope), f"{p.function.head}′", f"{row.head}′"


def other_quantity(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with another quantity: z for a, another layer's."""
    for j in range(1, p.last + 1):
        if p.is_flat(j):
            continue
        a, z = p.formulas.a(j), symbol("z", j)
        yield from _replaced(p, [(a, z)])
        if p.kind == "delta" and j == p.k:
            yield p.through(p.arriving.replaced({a: z})), a, z
            if p.has_slope(j):
                yield odot(p.arriving, p.function.shortest(z, z)), a, z
    if p.kind != "loss":
        yield from _replaced(p, *[[pair] for pair in p.same_shape()])
    if p.kind in UPDATED + MEANS:
        yield from _for_gradient(p, p.parameter, p.slope_of, p.parameter)


def other_product(p: Place) -> Iterator[Change]:
    """Yield wrong formulas that exchange matrix product and elementwise product."""
    pairs: list[tuple[Expr, Expr]] = []
    if p.kind == "z" and not p.formulas.batch and p.size(p.k - 1) > 1:
        product = Product("odot", (p.W, p.input.T))
        pairs = [(p.right.replaced({p.W @ p.input: product}), product)]
        pairs.append((product, product))
    if p.kind == "delta" and p.has_slope(p.k) and p.size(p.k) > 1:
        pairs = [(e, e) for e in (p.arriving.T @ p.slope, p.arriving @ p.slope.T)]
    if p.kind == "delta" and p.mixes:  # the diagonal of the Jacobian alone
        pairs = [(odot(p.arriving, p.slope), p.slope)]
    if p.kind == "dW" and p.square:
        product = Product("odot", (p.delta, p.input))
        pairs = [(product, product)]
    for formula, product in pairs:
        yield formula, p.right, product


def old_for_new(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with an old value for the updated one, or the reverse."""
    if p.old is not None:
        yield p.old, p.name, p.old
    if p.kind in UPDATED:
        yield from _replaced(p, p.moments)
    updates, k = p.formulas.updates, p.k + 1
    if p.kind == "delta" and f"W{k}" in updates:
        W, delta = symbol("W", k), error_name(k)
        new = updates[f"W{k}"].sides[-1]
        for key in reversed(updates):  # what its step consists of, back to δ
            if key.endswith(f"W{k}") and key != f"W{k}":
                new = new.replaced({updates[key].name: updates[key].sides[-1]})
        new = new.replaced({slope_of(W): delta @ p.a.T})
        yield p.through(new.T @ delta), W, name_of(p.formulas, f"W{k}")


def exchanged(p: Place) -> Iterator[Change]:
    """Yield wrong optimiser formulas with β and 1 − β, or β₁ and β₂, exchanged."""
    if p.kind in MEANS + HATS:
        shares = [[(b, 1 - b), (1 - b, b)] for b in (*BETAS, ALPHA)]
        one, two = BETAS
        yield from _replaced(p, *shares, [(one, two), (two, one)])


def epsilon_inside(p: Place) -> Iterator[Change]:
    """Yield wrong optimiser formulas with ε inside of the root."""
    if p.kind in UPDATED:
        for v in (name for name, _ in (*p.hats, *p.moments)):
            outside, inside = f.root(v) + EPSILON, f.root(v + EPSILON)
            yield from _replaced(p, [(outside, inside)])


def other_time(p: Place) -> Iterator[Change]:
    """Yield wrong optimiser formulas with the step count t off by one."""
    if p.kind in HATS:
        yield from _replaced(p, [(T, T - 1)], [(T, T + 1)])


def multiplied(p: Place) -> Iterator[Change]:
    """Yield wrong optimiser formulas with a product instead of a division."""

    def rule(e: Expr) -> Iterator[Change]:
        if isinstance(e, Quotient) and not _is_count(e.bottom):
            yield Product("scale", (e.bottom, e.top)), e.bottom, ""

    if p.kind in HATS:
        yield from _everywhere(p, rule)


def plain_step(p: Place) -> Iterator[Change]:
    """Yield the formula of plain gradient descent, as a wrong optimiser step."""
    if p.kind in UPDATED:
        for gradient in (p.slope_of, p.gradient):
            yield p.parameter - f.scale(RATE, gradient), "", ""


def _for_gradient(
    p: Place, e: Expr, part: Expr, other: Expr | str = ""
) -> Iterator[Change]:
    """Yield a correct formula with another gradient, with or without λ W."""
    if p.gradient != p.slope_of:
        yield p.right.replaced({p.slope_of: e, DECAY: ZERO}), part, other
    plain = e.replaced({p.gradient: p.slope_of})
    yield p.right.replaced({p.slope_of: plain}), part, other


# -- factors ---------------------------------------------------------------------------


def factor_more(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with δ or a gradient multiplied by an extra factor."""
    if p.kind == "db" and p.size(p.k) == p.size(p.k - 1):
        yield p.right.replaced({p.delta: odot(p.delta, p.input)}), p.input, ""
    if p.kind in MEANS and not p.of_squares:
        g, rest = p.gradient, 1 - MOMENTUM
        yield from _for_gradient(p, g**2, g)
        yield from _for_gradient(p, f.scale(RATE, g), RATE)
        if p.right.holds(MOMENTUM):
            yield from _for_gradient(p, f.scale(rest, g), rest)


def factor_two(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with an extra factor ½ or 2."""
    if p.kind in ("loss", *BACK):
        for number in (Number(0.5), Number(2)):
            yield f.scale(number, p.right), number, ""


def other_mean(p: Place) -> Iterator[Change]:
    """Yield wrong formulas with a sum for a mean, or divided by another count."""
    for number in _counts(p) if p.kind in ("loss", *BACK, *UPDATED, *MEANS) else ():
        if p.kind in UPDATED + MEANS:
            many = {p.slope_of: f.scale(number, p.slope_of)}
            yield p.right.replaced(many), number, ""
        else:
            yield f.scale(number, p.right), number, ""


def _counts(p: Place) -> Iterator[Expr]:
    """Yield the counts by which a mean may be wrongly scaled: n, outputs k, nk, k/n."""
    k = p.size(p.last)
    if p.formulas.batch:
        yield from (COUNT, 1 / COUNT)
    if k > 1:
        yield from (Number(k), Number(1) / Number(k))
    if p.formulas.batch and k > 1:
        both = f.scale(Number(k), COUNT)
        yield from (both, 1 / both, COUNT / Number(k), Number(k) / COUNT)


def other_logarithm(p: Place) -> Iterator[Change]:
    """Yield wrong loss formulas with a logarithm to another base."""
    if p.kind == "loss" and "cross_entropy" in p.formulas.objective.name:
        for base in (Number(10), Number(2)):
            yield p.right / f.ln(base), base, ""


def other_loss(p: Place) -> Iterator[Change]:
    """Yield the formulas of other loss functions, as wrong answers for the loss."""
    own, z = p.formulas.objective.name, symbol("z", p.last)
    for row in OBJECTIVES.values() if p.kind == "loss" else ():
        if row.name != own:
            e = losses(row, p.size(p.last), p.formulas.batch, z)[0]
            yield e, own, row.name
