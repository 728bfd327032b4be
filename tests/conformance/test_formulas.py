"""Declared formulas: what is written is what is computed, for every case."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from chainrule.graph.primitive import Primitive, registered
from chainrule.graph.types import DType
from chainrule.notation.arithmetic import Quantity, results, steps
from chainrule.notation.expressions import Computed, Expr, Listing, axis_letters
from chainrule.notation.functions import symbol, tanh
from chainrule.notation.tidy import tidy
from tests.conformance.cases import (
    Array,
    Example,
    all_cases,
    every,
    every_primitive,
    examples_of,
    replaced,
)

#: Relative to the number itself, or to the largest of the result.
TOLERANCE = 1e-12
#: Inputs look different from everything that formulas name themselves.
NAMES = "ABDEFGHJKLMNOPQR"
#: Written for the eye: what moves, bits, what is not said by how it is written.
SHOWN = {
    *(
        "broadcast_to",
        "reshape",
        "transpose",
        "slice",
        "pad",
        "flip",
        "concatenate",
        "copy",
    ),
    *("convert", "conv", "iota", "take", "scatter_add", "gather", "random_bits"),
    "encrypted",
    *("put_rows", "lookup", "row_gradient"),
    *("scatter_add_along", "dynamic_slice", "dynamic_update_slice", "argsort"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "scan", "cond"),
    "checkpoint",
    *("shift_left", "shift_right", "cumsum", "cumprod", "linear_recurrence", "call"),
    *("solve", "solve_triangular", "lu", "permutation", "cholesky", "det"),
    *("cofactors", "qr", "eigh", "svd", "pinv", "matrix_exp", "fft"),
    *("rfft", "irfft"),
    *("window_sum", "window_max", "window_argmax", "window_max_pullback"),
    *("gcd", "lgamma", "digamma", "zeta"),
    *("erfcx", "erfinv", "normal_score", "normal_quantile", "log_normal_distribution"),
    *("bessel_i", "scaled_bessel_i", "bessel_j", "bessel_y", "bessel_k"),
    "scaled_bessel_k",
}
#: Of constants those that are no single number; of the classes their number C.
PARTLY = {"constant", "multi_margin"}


def inputs_of(example: Example) -> list[Expr]:
    """A symbol for each input, with a letter for each of its axes."""
    return [
        symbol(NAMES[i], index=axis_letters(len(t.shape)))
        for i, t in enumerate(example.types)
    ]


def formula_of(example: Example) -> Expr:
    formula = example.primitive.formula
    assert formula is not None
    return formula(*inputs_of(example), **example.attrs)


def worked_out(e: Expr, example: Example, arrays: list[Array]) -> list[Array]:
    """What a formula comes to: its results in the order of the outputs."""
    numbers = dict(zip(inputs_of(example), map(Quantity, arrays)))
    if not isinstance(e, Listing):
        return list(results(e, numbers))
    *named, last = steps(e, numbers)
    return [last, *named]


def check_formula(example: Example, arrays: list[Array]) -> None:
    wanted, e = example.reference(arrays), formula_of(example)
    for written in (e, tidy(e)):
        found = iter(worked_out(written, example, arrays))
        for want in wanted:
            # A listing may have steps of its own between the results.
            assert any(is_close(got, want) for got in found), written.text()


def is_close(got: Array, want: Array) -> bool:
    """One number may stand for an array of it, and a row times a column is a number."""
    if got.size == want.size == 1:
        got = got.reshape(want.shape)
    try:
        got, wide = np.broadcast_to(got, want.shape), want.astype(np.float64)
    except ValueError:
        return False
    largest = float(np.max(np.abs(wide[np.isfinite(wide)]), initial=0))
    return np.allclose(got, wide, TOLERANCE, TOLERANCE * largest, equal_nan=True)


def is_double(example: Example) -> bool:
    """Some cases name their type themselves: those in float32 say nothing here."""
    return DType.float32 not in {t.dtype for t in example.types}


@every(all_cases((DType.float64,), is_double))
def test_the_formula_is_what_is_computed(
    example: Example, rng: np.random.Generator
) -> None:
    check_formula(example, example.draw(rng))


def mine(primitive: Primitive) -> Sequence[Example]:
    return examples_of(primitive, (DType.float64,))


@every_primitive
def test_what_can_be_worked_out_is_not_left_to_the_reference(
    primitive: Primitive,
) -> None:
    for example in mine(primitive):
        inner = [formula_of(example)]
        for e in inner:
            inner += e.parts()
        by_reference = any(isinstance(e, Computed) for e in inner)
        if primitive.name not in PARTLY:
            assert by_reference == (primitive.name in SHOWN), example


@every_primitive
def test_the_formula_can_be_written(primitive: Primitive) -> None:
    for example in mine(primitive):
        e = formula_of(example)
        text, latex = e.text(), e.latex()
        assert text.strip()
        assert not re.search(r"[\\{}]|\(\)", text), text
        assert latex.count("{") == latex.count("}")
        assert latex.isascii(), latex
        # Every input is written, but the condition that a value passes on.
        if primitive.name != "require":
            assert set(NAMES[: len(example.types)]) <= set(text), text


@every_primitive
def test_a_symbol_may_stand_for_anything(primitive: Primitive) -> None:
    """Putting an expression in at declaration and later is the same."""
    for example in mine(primitive):
        formula, inputs = primitive.formula, inputs_of(example)
        assert formula is not None
        others = [tanh(x).with_index(x.index) for x in inputs]
        later = formula(*inputs, **example.attrs).replaced(dict(zip(inputs, others)))
        at_once = formula(*others, **example.attrs)
        assert later == at_once
        assert later.text() == at_once.text()


def test_a_wrong_formula_is_found(rng: np.random.Generator) -> None:
    softmax = registered()["softmax"]
    example = next(e for e in mine(softmax) if len(e.types[0].shape) == 3)
    arrays = example.draw(rng)
    check_formula(example, arrays)
    right = softmax.formula
    assert right is not None
    wrong = (
        lambda x, axis: x,
        lambda x, axis: right(x, axis=2),
        lambda x, axis: (1 + 1e-11) * right(x, axis=axis),
    )
    for formula in wrong:
        with replaced(softmax, formula=formula), pytest.raises(AssertionError):
            check_formula(example, arrays)
