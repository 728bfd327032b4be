"""Slips: what people do in place of the right formula, one row each.

A row says for which quantities it is, and which formulas it makes. What they come to
from a student's own numbers is compared with what the student wrote; nothing is guessed
from names.

>>> from chainrule.explanation.derivation import derive
>>> place = Place(derive("2-2sigmoid-1sigmoid").formulas, "delta", 1)
>>> for e in SLIPS["slope_forgotten"].of(place):
...     print(e)
(W⁽²⁾)ᵀ δ⁽²⁾
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from chainrule.explanation.marking import backward, forward
from chainrule.explanation.marking.place import Place
from chainrule.explanation.signs import COUNT
from chainrule.notation import functions as f
from chainrule.notation.expressions import Expr, Number, Product
from chainrule.translation import tr

Made = Iterable[Expr]
Z, A, LOSS, DELTA = ("z",), ("a",), ("loss",), ("delta",)
OF_WEIGHT, OF_BIAS, UPDATED = ("dW",), ("db",), ("W", "b")
GRADIENTS = OF_WEIGHT + OF_BIAS
BACK = DELTA + GRADIENTS


@dataclass(frozen=True)
class Slip:
    """One thing that people do wrong.

    Attributes:
        name: what programs call it.
        kinds: for which kinds of quantities it is.
        of: the formulas that it makes; none where it cannot happen.
        told: what is said of it.
    """

    name: str
    kinds: tuple[str, ...]
    of: Callable[[Place], Made]
    told: Callable[[], str]


# -- numbers too many or too few, whatever the formula ---------------------------------


def _scaled(numbers: Callable[[Place], Made]) -> Callable[[Place], Made]:
    def of(p: Place) -> Iterator[Expr]:
        for number in numbers(p):
            yield f.scale(number, p.right)

    return of


def _sign(p: Place) -> Iterator[Expr]:
    yield -p.right


def _sums(p: Place) -> Iterator[Expr]:
    """What makes a sum of a mean."""
    over = p.outputs if p.formulas.objective.over_outputs else 1
    if p.formulas.batch:
        yield COUNT
        if over > 1:
            yield Product("scale", (Number(over), COUNT))
    if over > 1:
        yield Number(over)


def _other_means(p: Place) -> Iterator[Expr]:
    """What divides once too often, or by another number."""
    outputs = p.outputs
    if p.formulas.batch:
        yield 1 / COUNT
        if outputs > 1:
            yield 1 / Product("scale", (Number(outputs), COUNT))
            yield COUNT / Number(outputs)
            yield Number(outputs) / COUNT
    if outputs > 1:
        yield Number(1) / Number(outputs)


def _scaled_step(numbers: Callable[[Place], Made]) -> Callable[[Place], Made]:
    def of(p: Place) -> Iterator[Expr]:
        for number in numbers(p):
            yield from backward.step_times(p, number)

    return of


def _rows() -> Iterator[Slip]:
    """The table, in the order in which slips are named."""
    yield from _forward()
    yield from _errors()
    yield from _gradients()
    yield from _updates()
    yield from _of_all_kinds()


def _forward() -> Iterator[Slip]:
    yield Slip(
        "bias_forgotten", Z, forward.bias_forgotten, lambda: tr("the bias b is missing")
    )
    yield Slip(
        "bias_twice", Z, forward.bias_twice, lambda: tr("the bias b is added twice")
    )
    yield Slip(
        "bias_subtracted",
        Z,
        forward.bias_subtracted,
        lambda: tr("the bias b is subtracted and not added"),
    )
    yield Slip(
        "weights_turned",
        Z,
        forward.weights_turned,
        lambda: tr("W is transposed: Wᵀ in place of W"),
    )
    yield Slip(
        "z_for_a",
        Z,
        forward.z_for_a,
        lambda: tr("z of the layer before in place of its a"),
    )
    yield Slip(
        "other_input", Z, forward.other_input, lambda: tr("the a of another layer")
    )
    yield Slip(
        "other_weights", Z, forward.other_weights, lambda: tr("the W of another layer")
    )
    yield Slip(
        "elementwise_weights",
        Z,
        forward.elementwise_weights,
        lambda: tr(
            "multiplied element by element, and not added up: W a is a matrix product"
        ),
    )
    yield Slip(
        "function_forgotten",
        A,
        forward.function_forgotten,
        lambda: tr("the activation f is missing: a = z"),
    )
    yield Slip(
        "other_function", A, forward.other_function, lambda: tr("another activation")
    )
    yield Slip(
        "function_of_minus",
        A,
        forward.function_of_minus,
        lambda: tr("the sign of z is wrong inside f: f(−z)"),
    )
    yield Slip(
        "function_twice", A, forward.function_twice, lambda: tr("f is applied twice")
    )
    yield Slip(
        "slope_for_function",
        A,
        forward.slope_for_function,
        lambda: tr("the derivative f′ in place of f"),
    )
    yield Slip(
        "not_normalised",
        A,
        forward.not_normalised,
        lambda: tr("softmax is not divided by the sum"),
    )
    yield Slip(
        "other_logarithm",
        LOSS,
        forward.other_logarithm,
        lambda: tr("a logarithm to another base: it is ln, to the base e"),
    )
    yield Slip(
        "loss_of_z",
        LOSS,
        forward.z_for_prediction,
        lambda: tr("z of the last layer in place of ŷ"),
    )
    yield Slip(
        "square_forgotten",
        LOSS,
        forward.square_forgotten,
        lambda: tr("the error is not squared"),
    )
    yield Slip(
        "half_of_entropy",
        LOSS,
        forward.half_of_entropy,
        lambda: tr("one of the two terms is missing, of y and of 1 − y"),
    )


def _errors() -> Iterator[Slip]:
    yield Slip(
        "slope_forgotten",
        DELTA,
        backward.slope_forgotten,
        lambda: tr("f′ is missing"),
    )
    yield Slip(
        "slope_at_a",
        DELTA,
        backward.slope_at_a,
        lambda: tr("f′ is taken at a; it is f′(z)"),
    )
    yield Slip(
        "slope_at_z",
        DELTA,
        backward.slope_at_z,
        lambda: tr("z stands where f′ has a, such as z (1 − z) for a (1 − a)"),
    )
    yield Slip(
        "function_for_slope",
        DELTA,
        backward.function_for_slope,
        lambda: tr("f itself in place of its derivative f′"),
    )
    yield Slip(
        "half_of_slope",
        DELTA,
        backward.half_of_slope,
        lambda: tr("f′ is not whole: 1 − a alone"),
    )
    yield Slip(
        "other_slope",
        DELTA,
        backward.other_slope,
        lambda: tr("the derivative of another activation"),
    )
    yield Slip(
        "diagonal_alone",
        DELTA,
        backward.diagonal_alone,
        lambda: tr("softmax taken element by element: a (1 − a) is J's diagonal alone"),
    )
    yield Slip(
        "slope_twice", DELTA, backward.slope_twice, lambda: tr("f′ is there twice")
    )
    yield Slip(
        "slope_elsewhere",
        DELTA,
        backward.slope_elsewhere,
        lambda: tr("f′ of another layer"),
    )
    yield Slip(
        "matrix_product",
        DELTA,
        backward.matrix_product,
        lambda: tr("a matrix product in place of the elementwise one (⊙)"),
    )
    yield Slip(
        "weights_turned_back",
        DELTA,
        backward.weights_turned,
        lambda: tr("W is not transposed: W in place of Wᵀ"),
    )
    yield Slip(
        "new_weights",
        DELTA,
        backward.new_weights,
        lambda: tr("the updated W is used; the way back takes the old one"),
    )
    yield Slip(
        "other_weights_back",
        DELTA,
        backward.other_weights,
        lambda: tr("the W of another layer"),
    )
    yield Slip(
        "weights_forgotten",
        DELTA,
        backward.weights_forgotten,
        lambda: tr("Wᵀ is missing: δ of the layer behind is taken as it is"),
    )
    yield Slip(
        "other_error", DELTA, backward.other_error, lambda: tr("the δ of another layer")
    )
    yield Slip(
        "z_for_prediction",
        DELTA,
        backward.z_for_prediction,
        lambda: tr("z of the last layer in place of ŷ"),
    )
    yield Slip(
        "label_forgotten",
        DELTA,
        backward.label_forgotten,
        lambda: tr("y is not subtracted from ŷ"),
    )
    yield Slip(
        "loss_forgotten",
        DELTA,
        backward.loss_forgotten,
        lambda: tr("the derivative of the loss is missing"),
    )


def _gradients() -> Iterator[Slip]:
    yield Slip(
        "turned",
        OF_WEIGHT,
        backward.turned,
        lambda: tr("transposed: rows and columns are exchanged"),
    )
    yield Slip(
        "z_for_input",
        OF_WEIGHT,
        backward.z_for_input,
        lambda: tr("z of the layer before in place of its a"),
    )
    yield Slip(
        "input_elsewhere",
        OF_WEIGHT,
        backward.other_input,
        lambda: tr("the a of another layer"),
    )
    yield Slip(
        "wrong_error",
        GRADIENTS,
        backward.wrong_error,
        lambda: tr("the δ of another layer"),
    )
    yield Slip(
        "gradient_without_slope",
        GRADIENTS,
        backward.gradient_without_slope,
        lambda: tr("f′ is missing"),
    )
    yield Slip(
        "gradient_with_two_slopes",
        GRADIENTS,
        backward.gradient_with_two_slopes,
        lambda: tr("f′ is there twice: δ contains it"),
    )
    yield Slip(
        "elementwise",
        OF_WEIGHT,
        backward.elementwise,
        lambda: tr("multiplied element by element: δ aᵀ is a matrix product"),
    )
    yield Slip(
        "input_forgotten",
        OF_WEIGHT,
        backward.input_forgotten,
        lambda: tr("the input a is missing: δ alone"),
    )
    yield Slip(
        "bias_times_input",
        OF_BIAS,
        backward.bias_times_input,
        lambda: tr("multiplied by the input, which b is not"),
    )
    yield Slip(
        "not_added_up",
        OF_BIAS,
        backward.not_added_up,
        lambda: tr("not added up over the samples"),
    )


def _updates() -> Iterator[Slip]:
    yield Slip(
        "uphill",
        UPDATED,
        backward.uphill,
        lambda: tr("the sign of the step is wrong: it goes uphill, along the gradient"),
    )
    yield Slip(
        "rate_forgotten", UPDATED, backward.rate_forgotten, lambda: tr("η is missing")
    )
    yield Slip(
        "step_alone",
        UPDATED,
        backward.step_alone,
        lambda: tr("this is the step alone, without the old value"),
    )
    yield Slip(
        "turned_step",
        UPDATED,
        backward.turned_step,
        lambda: tr("transposed: rows and columns are exchanged"),
    )
    yield Slip(
        "not_updated",
        UPDATED,
        backward.not_updated,
        lambda: tr("this is the old value"),
    )
    yield Slip(
        "rate_of_parameter",
        UPDATED,
        backward.rate_of_parameter,
        lambda: tr("the parameter itself in place of its gradient"),
    )
    yield Slip("step_of_sums", UPDATED, _scaled_step(_sums), _sum)
    yield Slip("step_of_other_means", UPDATED, _scaled_step(_other_means), _mean)


def _sum() -> str:
    return tr("a sum where the mean is meant: the division is missing")


def _mean() -> str:
    return tr("divided by another number, or once too often")


def _of_all_kinds() -> Iterator[Slip]:
    yield Slip("sign", Z + LOSS + BACK, _sign, lambda: tr("the sign is wrong"))
    yield Slip(
        "half",
        LOSS + BACK,
        _scaled(lambda p: (Number(0.5),)),
        lambda: tr("a factor ½ too many, or a 2 is missing"),
    )
    yield Slip(
        "double",
        LOSS + BACK,
        _scaled(lambda p: (Number(2),)),
        lambda: tr("a factor 2 too many, or the ½ is missing"),
    )
    yield Slip("sum", LOSS + BACK, _scaled(_sums), _sum)
    yield Slip("other_mean", LOSS + BACK, _scaled(_other_means), _mean)
    yield Slip("other_loss", LOSS, forward.other_loss, lambda: tr("another loss"))


#: By name, in the order in which they are named.
SLIPS: dict[str, Slip] = {row.name: row for row in _rows()}


def slips_of(place: Place) -> Iterator[tuple[Slip, Expr]]:
    """Every slip that can happen here, with each formula that it makes."""
    for slip in SLIPS.values():
        if place.kind in slip.kinds:
            for e in slip.of(place):
                yield slip, e
