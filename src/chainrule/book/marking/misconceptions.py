"""Misconceptions: the usual mistakes in a formula, each as a change of one part of it.

A row of the table says how a part of a right formula is changed. The changed formulas
are worked out from the student's own numbers and compared with what the student wrote;
nothing is guessed from names.

>>> from chainrule.book.derivation import derive
>>> place = Place(derive("2-2sigmoid-1sigmoid").formulas, "delta", 1)
>>> for slip in slips_of(place):
...     if slip.name == "missing":
...         print(f"{slip.message()}: {slip.formula}")
∂ℒ/∂a⁽¹⁾ is missing: a⁽¹⁾ ⊙ (1 − a⁽¹⁾)
f′ is missing: (W⁽²⁾)ᵀ δ⁽²⁾
a⁽¹⁾ is missing: ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ (1 − a⁽¹⁾)
1 − a⁽¹⁾ is missing: ((W⁽²⁾)ᵀ δ⁽²⁾) ⊙ a⁽¹⁾
(W⁽²⁾)ᵀ is missing: δ⁽²⁾ ⊙ a⁽¹⁾ ⊙ (1 − a⁽¹⁾)
δ⁽²⁾ is missing: (W⁽²⁾)ᵀ ⊙ a⁽¹⁾ ⊙ (1 − a⁽¹⁾)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

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
    Array,
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


@dataclass(frozen=True)
class Misconception:
    """A usual mistake.

    Attributes:
        name: what programs call it.
        changes: the wrong formulas of a quantity that it leads to.
        message: the sentence about a changed part, and about what stands there.
    """

    name: str
    changes: Callable[[Place], Iterator[Change]]
    message: Callable[[str, str], str]


@dataclass(frozen=True, eq=False)
class Slip:
    """A misconception in one formula.

    Attributes:
        name: of the misconception.
        key: the quantity: of the answer, or one before it that was not given.
        formula: what is worked out in place of the right formula.
        part, other: what is changed, and what stands in its place.
    """

    name: str
    key: str
    formula: Expr
    part: Expr | str = ""
    other: Expr | str = ""

    def message(self) -> str:
        """Return the mistake as a sentence, in the current language."""
        if self.name == "missing" and (self.part == "f′" or _is_slope(self.part)):
            return tr("f′ is missing")
        return MISCONCEPTIONS[self.name].message(str(self.part), str(self.other))


def slips_of(place: Place) -> Iterator[Slip]:
    """Yield every usual mistake in a quantity, each wrong formula once for each."""
    for name, row in MISCONCEPTIONS.items():
        seen = {place.right}
        for changed, *parts in row.changes(place):
            formula = place.expanded(changed)
            if formula not in seen:
                seen.add(formula)
                yield Slip(name, place.key, formula, *parts)


def _is_slope(e: Expr | str) -> bool:
    """Return whether an expression is the name of a slope, f₁′(z⁽¹⁾)."""
    head = e.head if isinstance(e, Call) else None
    return isinstance(head, Script) and head.above == PRIME


# -- one part changed, wherever it stands ----------------------------------------------


def _forms(p: Place) -> Iterator[Expr]:
    """Yield the right formula, and before it the one by the chain rule, if any."""
    if p.kind == "loss":
        yield from p.formulas.loss()
    elif p.kind != "a":  # whose parts are those of the activation
        if p.kind in BACK and p.has_slope(p.k):
            yield p.right.replaced({p.delta: p.chain}) if p.kind != "delta" else p.chain
        yield p.right


def _everywhere(p: Place, rule: Rule) -> Iterator[Change]:
    """Yield the forms of a quantity, with a rule applied to one part of each."""
    for e in _forms(p):
        yield from _changed(e, rule)


def _changed(e: Expr, rule: Rule) -> Iterator[Change]:
    if isinstance(e, Derivative) or _is_slope(e):
        return  # these are names
    yield from rule(e)
    for i, part in enumerate(e.parts()):
        for inner, part_of_it, other in _changed(part, rule):
            yield _with_part(e, i, inner), part_of_it, other


def _with_part(e: Expr, i: int, other: Expr) -> Expr:
    numbers = itertools.count()
    return e.mapped(lambda part: other if next(numbers) == i else part)


def _replaced(p: Place, *pairs: list[tuple[Expr, Expr]]) -> Iterator[Change]:
    """Yield the forms of a quantity with left expressions replaced by the right."""
    for e in _forms(p):
        for changes in pairs:
            # ∂ℒ/∂a is a name: an a within it is none that can be replaced.
            whole = e if _is_slope(next(iter(changes), ("",))[0]) else p.expanded(e)
            found = next((pair for pair in changes if whole.holds(pair[0])), None)
            if found is not None:
                yield whole.replaced(dict(changes)), found[0], found[1]


def _is_count(e: Expr) -> bool:
    """Return whether an expression consists of numbers and n alone."""
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
                made = rest[0] if len(rest) == 1 else Product(e.kind, rest)
                yield made, factor, ""
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


def _missing(p: Place) -> Iterator[Change]:
    """Leave out a term, a factor, a division, a power, a root or a function."""
    yield from _everywhere(p, _without_a_part)
    if p.kind == "a" and not p.flat:
        yield p.z, "f", ""
        if p.mixes:
            yield f.exp(p.z), tr("the division by {divisor}", divisor="∑"), ""
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


def _twice(p: Place) -> Iterator[Change]:
    """Take a term, a factor or a function twice."""
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


def _sign(p: Place) -> Iterator[Change]:
    """Change the sign of the whole, of a term or of an argument."""
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


def _transposed(p: Place) -> Iterator[Change]:
    """Exchange the rows and the columns of a matrix."""
    if p.kind == "dW":
        yield p.right.T, p.name, ""
    elif p.kind == "W" and p.square:
        old, step = p.step
        yield old - step.T, step, ""
        yield p.right.T, p.name, ""
    elif p.kind in ("z", "delta"):
        yield from _everywhere(p, _turned)


# -- one part for another --------------------------------------------------------------


def _other_function(p: Place) -> Iterator[Change]:
    """Take another activation, f for f′, f′ for f, or f′(a) for f′(z)."""
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


def _other_quantity(p: Place) -> Iterator[Change]:
    """Take z for a, a quantity of another layer, or a parameter for its gradient."""
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


def _other_product(p: Place) -> Iterator[Change]:
    """Multiply matrices element by element, or take a product of matrices for ⊙."""
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


def _old_for_new(p: Place) -> Iterator[Change]:
    """Take an old value for the new one, or a new one for the old."""
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


def _exchanged(p: Place) -> Iterator[Change]:
    """Exchange β and 1 − β, or β₁ and β₂."""
    if p.kind in MEANS + HATS:
        shares = [[(b, 1 - b), (1 - b, b)] for b in (*BETAS, ALPHA)]
        one, two = BETAS
        yield from _replaced(p, *shares, [(one, two), (two, one)])


def _epsilon_inside(p: Place) -> Iterator[Change]:
    if p.kind in UPDATED:
        for v in (name for name, _ in (*p.hats, *p.moments)):
            outside, inside = f.root(v) + EPSILON, f.root(v + EPSILON)
            yield from _replaced(p, [(outside, inside)])


def _other_time(p: Place) -> Iterator[Change]:
    if p.kind in HATS:
        yield from _replaced(p, [(T, T - 1)], [(T, T + 1)])


def _multiplied(p: Place) -> Iterator[Change]:
    """Multiply where the formula divides."""

    def rule(e: Expr) -> Iterator[Change]:
        if isinstance(e, Quotient) and not _is_count(e.bottom):
            yield Product("scale", (e.bottom, e.top)), e.bottom, ""

    if p.kind in HATS:
        yield from _everywhere(p, rule)


def _plain_step(p: Place) -> Iterator[Change]:
    if p.kind in UPDATED:
        for gradient in (p.slope_of, p.gradient):
            yield p.parameter - f.scale(RATE, gradient), "", ""


def _for_gradient(
    p: Place, e: Expr, part: Expr, other: Expr | str = ""
) -> Iterator[Change]:
    """Yield the right formula with e in place of the gradient, with or without λ W."""
    if p.gradient != p.slope_of:
        yield p.right.replaced({p.slope_of: e, DECAY: ZERO}), part, other
    plain = e.replaced({p.gradient: p.slope_of})
    yield p.right.replaced({p.slope_of: plain}), part, other


# -- factors ---------------------------------------------------------------------------


def _factor_more(p: Place) -> Iterator[Change]:
    """Multiply δ or a gradient by what does not belong there."""
    if p.kind == "db" and p.size(p.k) == p.size(p.k - 1):
        yield p.right.replaced({p.delta: odot(p.delta, p.input)}), p.input, ""
    if p.kind in MEANS and not p.of_squares:
        g, rest = p.gradient, 1 - MOMENTUM
        yield from _for_gradient(p, g**2, g)
        yield from _for_gradient(p, f.scale(RATE, g), RATE)
        if p.right.holds(MOMENTUM):
            yield from _for_gradient(p, f.scale(rest, g), rest)


def _factor_two(p: Place) -> Iterator[Change]:
    if p.kind in ("loss", *BACK):
        for number in (Number(0.5), Number(2)):
            yield f.scale(number, p.right), number, ""


def _other_mean(p: Place) -> Iterator[Change]:
    """Take a sum for a mean, or divide by another number."""
    for number in _counts(p) if p.kind in ("loss", *BACK, *UPDATED, *MEANS) else ():
        if p.kind in UPDATED + MEANS:
            many = {p.slope_of: f.scale(number, p.slope_of)}
            yield p.right.replaced(many), number, ""
        else:
            yield f.scale(number, p.right), number, ""


def _counts(p: Place) -> Iterator[Expr]:
    """Yield n, the number k of outputs, their product, and what they divide to."""
    k = p.size(p.last)
    if p.formulas.batch:
        yield from (COUNT, 1 / COUNT)
    if k > 1:
        yield from (Number(k), Number(1) / Number(k))
    if p.formulas.batch and k > 1:
        both = f.scale(Number(k), COUNT)
        yield from (both, 1 / both, COUNT / Number(k), Number(k) / COUNT)


def _other_logarithm(p: Place) -> Iterator[Change]:
    if p.kind == "loss" and "cross_entropy" in p.formulas.objective.name:
        for base in (Number(10), Number(2)):
            yield p.right / f.ln(base), base, ""


def _other_loss(p: Place) -> Iterator[Change]:
    own, z = p.formulas.objective.name, symbol("z", p.last)
    for row in OBJECTIVES.values() if p.kind == "loss" else ():
        if row.name != own:
            e = losses(row, p.size(p.last), p.formulas.batch, z)[0]
            yield e, own, row.name


# -- numbers that nobody knows beforehand ----------------------------------------------


def fitted_slips(
    p: Place, given: Array, value: Callable[[Expr], Array]
) -> Iterator[Slip]:
    """Yield the mistakes of another η, and of a constant factor, that fit an answer.

    Args:
        p: the quantity.
        given: the student's numbers.
        value: works out an expression from the student's own numbers.
    """
    if p.kind in UPDATED:
        old, step = p.step
        slope = step.replaced({RATE: Number(1)})
        rate = f"{float(value(RATE)):.15g}"
        for c in _ratios(value(old) - given, value(slope)):
            made = old - step.replaced({RATE: Number(c)})
            yield Slip("other_rate", p.key, made, rate, f"{c:g}")
        return
    right = value(p.right)
    if given.size > 1 and given.size == right.size:
        for c in _ratios(given, right.reshape(given.shape)):
            yield Slip("factor", p.key, f.scale(Number(c), p.right), f"{c:g}")


def _ratios(top: Array, bottom: Array) -> Iterator[float]:
    """Yield rounded ratios of ``top`` to ``bottom``, by fewest digits first.

    Of one number alone any ratio can be had: then at most two digits count.
    """
    length = float(np.sum(bottom * bottom))
    if not length > 0 or not np.isfinite(length):
        return
    ratio = float(np.sum(top * bottom)) / length
    most = 4 if np.count_nonzero(bottom) > 1 else 2
    rounded = (float(f"{ratio:.{digits}g}") for digits in range(1, most + 1))
    yield from (c for c in dict.fromkeys(rounded) if c not in (0, 1))


# -- the table -------------------------------------------------------------------------


def _nothing(p: Place) -> Iterator[Change]:
    yield from ()


def _in_place_of(part: str, other: str) -> str:
    return tr("{other} in place of {part}", other=other, part=part)


_TABLE = (
    Misconception("old_for_new", _old_for_new, _in_place_of),
    Misconception(
        "missing", _missing, lambda part, _: tr("{part} is missing", part=part)
    ),
    Misconception(
        "twice", _twice, lambda part, _: tr("{part} is there twice", part=part)
    ),
    Misconception("other_function", _other_function, _in_place_of),
    Misconception("other_quantity", _other_quantity, _in_place_of),
    Misconception(
        "transposed",
        _transposed,
        lambda *_: tr("transposed: rows and columns are exchanged"),
    ),
    Misconception("other_product", _other_product, _in_place_of),
    Misconception(
        "plain_step",
        _plain_step,
        lambda *_: tr("a step of plain gradient descent: W − η ∂ℒ/∂W"),
    ),
    Misconception("exchanged", _exchanged, _in_place_of),
    Misconception(
        "epsilon_inside",
        _epsilon_inside,
        lambda *_: tr("ε stands inside the root: √(v + ε) for √v + ε"),
    ),
    Misconception(
        "other_time",
        _other_time,
        lambda *_: tr("t is off by one: it counts the steps from 1"),
    ),
    Misconception(
        "multiplied",
        _multiplied,
        lambda part, _: tr("multiplied by {part}, and not divided", part=part),
    ),
    Misconception(
        "factor_more",
        _factor_more,
        lambda part, _: tr("{part} is a factor too many", part=part),
    ),
    Misconception(
        "sign", _sign, lambda part, _: tr("the sign of {part} is wrong", part=part)
    ),
    Misconception(
        "factor_two",
        _factor_two,
        lambda part, _: tr("a factor {part} too many", part=part),
    ),
    Misconception(
        "other_mean",
        _other_mean,
        lambda part, _: tr(
            "a factor {part} too many: a sum for a mean, or another division",
            part=part,
        ),
    ),
    Misconception(
        "other_logarithm",
        _other_logarithm,
        lambda part, _: tr("a logarithm to the base {part}: it is ln", part=part),
    ),
    Misconception("other_loss", _other_loss, _in_place_of),
    Misconception(
        "other_rate",
        _nothing,
        lambda part, other: tr(
            "another η: {found} in place of {rate}", found=other, rate=part
        ),
    ),
    Misconception(
        "factor",
        _nothing,
        lambda part, _: tr(
            "all numbers are {factor} times what they should be", factor=part
        ),
    ),
)
#: By name, in the order in which they are tried.
MISCONCEPTIONS: dict[str, Misconception] = {row.name: row for row in _TABLE}
