"""Loss functions (cross-entropy, hinge, Huber, …) as composite graph operations.

Those with a class axis take rows, one sample each, and give one loss a row; the others
work element by element. Means and sums over samples are taken by ``chainrule.nn``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule import notation as write
from chainrule.composites.activations import log_softmax, relu, sigmoid, softmax
from chainrule.composites.composite import composite
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph.batching import by_rows
from chainrule.graph.node import Value
from chainrule.graph.primitive import Case
from chainrule.primitives.elementwise import (
    abs_,
    add,
    convert,
    div,
    exp,
    less,
    log,
    log1p,
    maximum,
    mul,
    neg,
    sign,
    sub,
    where,
)
from chainrule.primitives.indexing import one_hot_mask
from chainrule.primitives.movement import expand, full_like, reduce_sum
from chainrule.primitives.rules import need_integer, same, show
from chainrule.text import _

if TYPE_CHECKING:
    from chainrule.notation.expressions import Expr

_PAIRS = tuple(Case((f"f[{s}]", f"f[{s}]")) for s in ("", "0", "7", "3,4"))
_PROBABILITIES = tuple(Case(c.inputs, ranges=((0.05, 1.0), (0.0, 1.0))) for c in _PAIRS)
_LABELLED = (
    Case(("f[4,3]", "i32[4]"), ranges=(None, (0, 3))),
    Case(("f[1,10]", "i64[1]"), ranges=(None, (0, 10))),
    Case(("f[7,1]", "i32[7]"), ranges=(None, (0, 1))),
    Case(("f[0,3]", "i32[0]"), ranges=(None, (0, 3))),
)


def _classes(name: str, scores: Value) -> int:
    classes = scores.shape[-1] if scores.shape else None
    if not isinstance(classes, int) or len(scores.shape) != 2:
        raise ShapeError(
            _("{name} takes one row of scores a sample.", name=name),
            expected=_("scores of shape (samples, classes)"),
            got=show(scores.shape),
            fix=_("one sample is a row too: x.reshape(1, -1)"),
        )
    return classes


def _labelled(name: str, scores: Value, labels: Value) -> int:
    """Return the number of classes of scores, after checking that labels fit."""
    classes = _classes(name, scores)
    need_integer(name, "labels", labels.dtype)
    if labels.shape != scores.shape[:1]:
        raise ShapeError(
            _("{name} takes one label a row of scores.", name=name),
            expected=_("labels of shape {shape}", shape=show(scores.shape[:1])),
            got=show(labels.shape),
            fix=_(
                "give class indices: y.reshape(-1), or y.argmax(axis=1) of one-hot rows"
            ),
        )
    return classes


def _pair(name: str, prediction: Value, target: Value) -> None:
    """Raise an error unless prediction and target are floats of one shape and dtype."""
    same(name, 2, "floats")(prediction.type, target.type)


# -- cross-entropy: which class is it? -------------------------------------------------


def _rows(g: Value, logits: Value) -> Value:
    """Return a loss' gradient, one number per row, broadcast to the logits' shape."""
    return expand(g, logits, (1,))


def _cross_entropy_vjp(g: Value, y: Value, logits: Value, labels: Value) -> Value:
    """Return the cross-entropy's derivative to the logits: δ = ŷ − y, times g."""
    truth = one_hot_mask(labels, _classes("cross_entropy", logits))
    delta = sub(softmax(logits, axis=1), convert(truth, dtype=logits.dtype))
    return mul(delta, _rows(g, logits))


@composite(
    vjp=(_cross_entropy_vjp,),
    batch=by_rows,
    formula=lambda z, y: -write.ln(write.picked(write.softmax(z, 1), y)),
    source="textbook 2.5.1 and 3.3 (2), from logits; δ = ŷ − y",
    cases=_LABELLED,
)
def cross_entropy(logits: Value, labels: Value) -> Value:
    """Return the cross-entropy −ln softmax(logits)[label], one loss a row."""
    classes = _labelled("cross_entropy", logits, labels)
    logp = log_softmax(logits, axis=1)
    picked = where(one_hot_mask(labels, classes), logp, full_like(logp, 0.0))
    return neg(reduce_sum(picked, axes=(1,)))


def _soft_cross_entropy_vjp(g: Value, y: Value, logits: Value, target: Value) -> Value:
    """Return the derivative of ``soft_cross_entropy`` to the logits: ŷ Σy − y.

    That is ŷ − y where the row y sums to 1.
    """
    total = _rows(reduce_sum(target, axes=(1,)), target)
    return mul(sub(mul(softmax(logits, axis=1), total), target), _rows(g, logits))


@composite(
    vjp=(
        _soft_cross_entropy_vjp,
        lambda g, y, z, t: mul(neg(log_softmax(z, axis=1)), _rows(g, z)),
    ),
    batch=by_rows,
    formula=lambda z, y: (
        -write.total(y * write.ln(write.softmax(z, 1)), over=(1,), rank=2, keep=False)
    ),
    source="textbook 2.5.1 and 3.3 (2), from logits, for a row of probabilities y",
    cases=tuple(Case((f"f[{s}]", f"f[{s}]")) for s in ("4,3", "1,10", "7,1", "0,3")),
)
def soft_cross_entropy(logits: Value, target: Value) -> Value:
    """Return the cross-entropy −Σᵢ yᵢ ln softmax(logits)ᵢ, one loss a row."""
    _classes("soft_cross_entropy", logits)
    _pair("soft_cross_entropy", logits, target)
    return neg(reduce_sum(mul(target, log_softmax(logits, axis=1)), axes=(1,)))


#: The cost of ŷ = 0, and the least divisor in its derivative: PyTorch's numbers.
_WORST, _LEAST = 100.0, 1e-12


def _capped_log(probability: Value) -> Value:
    """Return max(ln ŷ, −100), the capped log of a probability for cross-entropy."""
    tiny = full_like(probability, float(probability.dtype.limits.tiny))
    nothing, worst = less(abs_(probability), tiny), full_like(probability, -_WORST)
    safe = where(nothing, full_like(probability, 1.0), probability)
    return where(nothing, worst, maximum(log(safe), worst))


@composite(
    vjp=(
        lambda g, y, p, target: neg(
            div(mul(g, target), maximum(p, full_like(p, _LEAST)))
        ),
        lambda g, y, p, target: neg(mul(g, _capped_log(p))),
    ),
    formula=lambda p, y: -(y * write.ln(p)),
    source="textbook 2.5.1 and 3.3 (2), element by element; Good 1952",
    kinks=_("a ŷ below 10⁻¹², which counts as that number in −y/ŷ, the derivative"),
    cases=_PROBABILITIES,
)
def log_score(probability: Value, target: Value) -> Value:
    """Return −y ln ŷ, the log loss of probabilities, at most 100 y per element.

    Its derivative is −y/max(ŷ, 10⁻¹²).

    So y = 0 contributes 0 whatever ŷ is, and a ŷ that is 0 where y = 1 still learns. A
    negative ŷ, which is no probability, gives NaN.
    """
    _pair("log_score", probability, target)
    return neg(mul(target, _capped_log(probability)))


# -- binary cross-entropy: is it so? ---------------------------------------------------


@composite(
    vjp=(
        lambda g, y, z, target: mul(g, sub(sigmoid(z), target)),
        lambda g, y, z, target: neg(mul(g, z)),
    ),
    formula=lambda z, y: write.ln(1 + write.exp(z)) - y * z,
    source="cross-entropy of two classes from logits (textbook 3.3 (2), C = 2); "
    "δ = σ(z) − y. The parts of the stable form max(z, 0) − z y + ln(1 + e^(−|z|)) "
    "would give −y at z = 0 instead of ½ − y",
    cases=_PAIRS,
)
def binary_cross_entropy(logits: Value, target: Value) -> Value:
    """Return the binary cross-entropy −y ln σ(z) − (1 − y) ln(1 − σ(z)) per element."""
    _pair("binary_cross_entropy", logits, target)
    rest = log1p(exp(neg(abs_(logits))))
    return add(sub(relu(logits), mul(logits, target)), rest)


# -- margins: is it on the right side, by far enough? ----------------------------------


@composite(
    formula=lambda z, y: (write.bracket(write.at_least(z, 0)) - y) * z,
    source="Rosenblatt 1958; Bishop 2006, eq. 4.54, for labels 0, 1; δ = step(z) − y",
    kinks=_("z = 0, which counts as step(z) = 1"),
    cases=_PAIRS,
)
def perceptron_criterion(score: Value, target: Value) -> Value:
    """Return the perceptron's loss (step(z) − y) z: |z| where the sign is wrong."""
    _pair("perceptron_criterion", score, target)
    zero, one = full_like(score, 0.0), full_like(score, 1.0)
    return mul(sub(where(less(score, zero), zero, one), target), score)


@composite(
    formula=lambda z, y: write.apply("max", 0, 1 - y * z),
    source="textbook 2.5.1; Cortes & Vapnik 1995",
    kinks=_("y z = 1, where the derivative is taken as 0"),
    cases=_PAIRS,
)
def hinge(score: Value, target: Value) -> Value:
    """Return the hinge loss max(0, 1 − y z) for y = ±1, element by element."""
    _pair("hinge", score, target)
    return relu(sub(full_like(score, 1.0), mul(target, score)))


def _multi_margin_written(z: Expr, y: Expr, margin: float, p: int) -> Expr:
    """Return the formula that shows the multi-class margin loss ``multi_margin``."""
    own = write.spread(write.picked(z, y), (0,), z, rank=2, letters=False)
    short = write.apply("max", 0, margin + z - own)
    cost = write.total(short**p if p != 1 else short, (1,), rank=2, keep=False)
    classes = write.computed(write.symbol("C"), z, how=lambda z: z.shape[1])
    return (cost - margin**p) / classes


@composite(
    batch=by_rows,
    formula=_multi_margin_written,
    source="Weston & Watkins 1999, without the class itself, whose term is mᵖ",
    kinks=_("zᵧ − zᵢ = m, where the derivative is taken as 0"),
    cases=tuple(
        Case(c.inputs, {"margin": margin, "p": p}, c.ranges)
        for c, margin, p in zip(_LABELLED, (1.0, 0.5, 1.0, 2.0), (1, 2, 1, 2))
    ),
)
def multi_margin(scores: Value, labels: Value, *, margin: float, p: int) -> Value:
    """Return the multi-class hinge loss 1/C Σᵢ max(0, m − z[label] + z[i])ᵖ a row."""
    classes = _labelled("multi_margin", scores, labels)
    if p not in (1, 2):
        raise ArgumentError(
            _("multi_margin takes the violations or their squares."),
            expected=_("p = 1 or p = 2"),
            got=f"p = {p}",
        )
    own, zero = one_hot_mask(labels, classes), full_like(scores, 0.0)
    score = expand(reduce_sum(where(own, scores, zero), axes=(1,)), scores, (1,))
    short = relu(add(sub(full_like(scores, margin), score), scores))
    cost = where(own, zero, mul(short, short) if p == 2 else short)
    total = reduce_sum(cost, axes=(1,))
    return div(total, full_like(total, float(classes)))


# -- other distances -------------------------------------------------------------------


def _huber_written(error: Expr, delta: float) -> Expr:
    size = write.absolute(error)
    linear = delta * (size - 0.5 * delta)
    return write.choice(0.5 * error**2, write.less(size, delta), linear)


def _huber_vjp(
    g: Value, y: Value, prediction: Value, target: Value, delta: float
) -> Value:
    """Return the derivative of the Huber loss: the error ŷ − y clipped to [−δ, δ]."""
    error = sub(prediction, target)
    bound = full_like(error, delta)
    ends = mul(bound, sign(error))
    return mul(g, where(less(abs_(error), bound), error, ends))


@composite(
    vjp=(_huber_vjp, lambda g, y, p, t, delta: neg(_huber_vjp(g, y, p, t, delta))),
    formula=lambda p, t, delta: _huber_written(p - t, delta),
    source="Huber 1964, eq. 3.4 (ρ(t) = t²/2 up to δ, linear beyond)",
    cases=tuple(
        Case(c.inputs, {"delta": delta})
        for c, delta in zip(_PAIRS, (1.0, 0.5, 0.5, 1.5))
    ),
)
def huber(prediction: Value, target: Value, *, delta: float) -> Value:
    """Return the Huber loss: ½ e² where |e| < δ, else δ (|e| − ½ δ), e = ŷ − y."""
    _pair("huber", prediction, target)
    error = sub(prediction, target)
    size = abs_(error)
    bound, half = full_like(size, delta), full_like(size, 0.5 * delta)
    square = mul(full_like(size, 0.5), mul(error, error))
    return where(less(size, bound), square, mul(bound, sub(size, half)))


@composite(
    formula=lambda q, p: p * write.ln(p / q),
    source="textbook 2.5.1; Kullback & Leibler 1951: p ln(p/q) with q first, p second",
    kinks=_("p = 0 and q = 0, where the derivatives are taken as 0"),
    cases=tuple(Case(c.inputs, ranges=((0.05, 1.0), (0.05, 1.0))) for c in _PAIRS),
)
def kl_divergence(q: Value, p: Value) -> Value:
    """Return the Kullback–Leibler divergence p ln(p/q), element by element."""
    _pair("kl_divergence", q, p)
    zero, one = full_like(p, 0.0), full_like(p, 1.0)
    some, possible = less(zero, p), less(zero, q)
    ratio = sub(log(where(some, p, one)), log(where(possible, q, one)))
    finite = mul(p, ratio)
    return where(some, where(possible, finite, full_like(p, float("inf"))), zero)
