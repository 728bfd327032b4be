"""Every primitive and composite as an ONNX file, run by ONNX Runtime.

Each example of the conformance suite gives what the reference gives, or is refused with
the reason; a fast test takes the first one of each.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.composites.composite import Composite
from chainrule.errors import ArgumentError
from chainrule.graph.primitive import registered
from chainrule.graph.types import DType
from chainrule.interop.onnx.writer.lowering import REFUSED, ROWS
from tests.conformance.cases import Example, examples, examples_of, is_long
from tests.parity.onnx_file import (
    RELATIVE,
    RELATIVE_64,
    difference,
    of_example,
    run_example,
)

pytestmark = pytest.mark.parity

#: What is refused in some types alone: ONNX Runtime has no code for them.
PARTLY = {
    "atan2": "float64",
    "asin": "float64",
    "acos": "float64",
    "det": "float64",
    "window_argmax": "of no rows",
}
#: Opsets in which everything is tried: the oldest, one without axes as inputs, others.
OPSETS = (13, 17, 20, 25)


def wrong(example: Example, opset: int = 23) -> str:
    """What is wrong with an example's file; "refused" or "" where nothing is."""
    rng = np.random.default_rng(0)
    try:
        model = of_example(example, opset)
    except ArgumentError:
        return "refused"
    for ties in (False, True):
        arrays = example.draw(rng, ties=ties)
        with np.errstate(all="ignore"):
            wanted = [np.asarray(a) for a in example.reference(arrays)]
        got = run_example(model, arrays)
        for a, b in zip(got, wanted, strict=True):
            most = RELATIVE_64 if b.dtype == np.float64 else RELATIVE
            if not (off := difference(a, b)) <= most:
                return f"{example}: {off}"
    return ""


def found(cases: list[Example], opset: int = 23) -> dict[str, set[str]]:
    """What is wrong, by primitive."""
    results: dict[str, set[str]] = {}
    for example in cases:
        if example.primitive.internal:
            continue
        result = wrong(example, opset)
        if result:
            results.setdefault(example.primitive.name, set()).add(result)
    return results


def test_first_examples() -> None:
    primitives = [p for p in registered().values() if not isinstance(p, Composite)]
    refused = {p.name for p in REFUSED}
    first = [examples_of(p)[0] for p in primitives if p.name not in refused]
    assert len(first) > 60
    assert found(first) == {}


def test_composites_that_stay_whole() -> None:
    whole = [p for p in registered().values() if isinstance(p, Composite) and p in ROWS]
    assert {"softmax", "layer_norm", "gelu"} <= {p.name for p in whole}
    for primitive in whole:
        model = of_example(examples_of(primitive)[0])
        assert len(model.graph.node) == 1, primitive


def test_what_is_refused_says_why() -> None:
    for primitive in REFUSED:
        with pytest.raises(ArgumentError, match=primitive.name) as raised:
            of_example(examples_of(primitive)[0])
        assert REFUSED[primitive] in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_all_examples(part: int) -> None:
    results = found(examples()[part::8])
    refused = {p.name for p in REFUSED} | PARTLY.keys()
    assert {name: r for name, r in results.items() if name not in refused} == {}
    assert all(r == {"refused"} for r in results.values())


@pytest.mark.slow
@pytest.mark.parametrize("opset", OPSETS)
def test_other_opsets(opset: int) -> None:
    """In older opsets more is refused, and nothing is wrong."""
    primitives = [p for p in registered().values() if not is_long(p)]
    results = found([e for p in primitives for e in examples_of(p)[:3]], opset)
    assert all(r == {"refused"} for r in results.values()), results
    if opset >= 18:
        assert results.keys() <= {p.name for p in REFUSED} | PARTLY.keys()


#: Numbers at which formulas break.
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, -1e-7, 80.0, -80.0, 1e30, -1e30]
SPECIAL += [math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("dtype", [DType.float32, DType.float64])
def test_special_numbers(dtype: DType) -> None:
    """NaN, infinities, zeros with a sign: as the reference has them."""
    table = np.array(SPECIAL, dtype.numpy)
    one = table
    two = [a.ravel() for a in np.meshgrid(table, table)]
    problems: list[str] = []
    for primitive in registered().values():
        if not primitive.elementwise or isinstance(primitive, Composite):
            continue
        if primitive in REFUSED:
            continue
        example = examples_of(primitive)[0]
        kinds = example.case.inputs
        if set(kinds) != {"f[]"} or example.attrs:
            continue
        arrays = [one] if len(kinds) == 1 else two
        sized = Example(
            primitive,
            type(example.case)(tuple(f"f[{len(arrays[0])}]" for __ in kinds)),
            dtype,
        )
        try:
            model = of_example(sized)
        except ArgumentError:
            continue
        with np.errstate(all="ignore"):
            (wanted,) = sized.reference(arrays)
        (got,) = run_example(model, arrays)
        wanted = np.asarray(wanted)
        same = np.isclose(got, wanted, rtol=1e-5, atol=1e-30, equal_nan=True)
        if got.dtype.kind == "b":
            same = got == wanted
        for at in np.flatnonzero(~same):
            numbers = ", ".join(str(a[at]) for a in arrays)
            problems.append(
                f"{primitive.name}({numbers}) = {got[at]}, not {wanted[at]}"
            )
    assert not problems, "\n".join(problems)
