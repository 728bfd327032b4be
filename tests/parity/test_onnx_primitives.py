"""Every primitive and composite as an ONNX file, run by ONNX Runtime.

Each example of the conformance suite gives what the reference gives, or is refused with
the reason; a fast test takes the first one of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.compilation.portable.function import Portable
from chainrule.composites.composite import Composite
from chainrule.errors import ArgumentError
from chainrule.graph.emit import trace
from chainrule.graph.node import Value
from chainrule.graph.primitive import registered
from chainrule.graph.types import ArrayType, DType, as_dtype
from chainrule.interop.onnx.writer.file import model_of
from chainrule.interop.onnx.writer.lowering import REFUSED, ROWS
from chainrule.tensor import wrap
from chainrule.util.pytree import flatten
from tests.conformance.cases import Example, examples, examples_of, is_long
from tests.parity.onnx_file import (
    RELATIVE,
    RELATIVE_64,
    difference,
    of_example,
    run_example,
    session,
)

pytestmark = pytest.mark.parity

#: What is refused in some types alone: ONNX Runtime has no code for them.
PARTLY = {
    "atan2": "float64",
    "asin": "float64",
    "acos": "float64",
    "det": "float64",
    "window_argmax": "of no elements, or along no axis",
    "window_max_pullback": "of no elements, or along no axis",
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


def beside(function: Callable[..., Any], arrays: Sequence[np.ndarray]) -> list[str]:
    """What a function's file gives otherwise than the function, element by element."""
    types = [ArrayType(a.shape, as_dtype(a.dtype)) for a in arrays]

    def record(*values: Value) -> list[Value]:
        return [t.value for t in flatten(function(*map(wrap, values)))[0]]

    graph = trace(record, types, name="function")
    inputs = [f"x{i}" for i in range(len(arrays))]
    outputs = [f"y{i}" for i in range(len(graph.outputs))]
    made = model_of(Portable(graph, inputs, {}, outputs), 23)
    got = run_example(made, arrays)
    with np.errstate(all="ignore"):
        results = flatten(function(*map(cr.tensor, arrays)))[0]
    wanted = [t.numpy() for t in results]
    return [
        f"{i}: {a}, not {b}"
        for i, (a, b) in enumerate(zip(got, wanted, strict=True))
        if not difference(a, b) <= (1e-12 if b.dtype == np.float64 else RELATIVE)
    ]


@pytest.mark.parametrize("dtype", [d for d in DType if d.is_integer])
def test_integers_at_the_ends_of_their_type(dtype: DType) -> None:
    """They wrap round where NumPy's do: no step on the way may, or is a float."""
    info = np.iinfo(dtype.numpy)
    ends = [info.min, info.max, info.max // 2 + 1, info.min // 2 + 3, 100, 0, 1, 7]
    ends += [-1, -7, -90] if info.min else []
    one = np.array(ends, dtype.numpy)
    x, y = (a.ravel() for a in np.meshgrid(one, one))

    def pairs(x: cr.Tensor, y: cr.Tensor) -> list[Any]:
        divided = [] if dtype is DType.uint64 else [x // y]
        return [x % y, x + y, x - y, x * y, x < y, x == y, *divided]

    def reduced(x: cr.Tensor, y: cr.Tensor) -> list[Any]:
        table = cr.where(y == 0, 3, x + y).reshape(len(ends), len(ends))
        sums = [x.sum(), table.sum(0), table.sum((0, 1)), cr.cumsum(table, 0)]
        products = [table.prod(0), table.prod(1), table.prod()]
        largest = [] if dtype is DType.uint64 else [x.max(), table.min(1)]
        return [*sums, *products, *largest, (x > y).sum()]

    assert beside(pairs, [x, y]) == []
    assert beside(reduced, [x, y]) == []


def test_counts_are_one_sum() -> None:
    """What comes from few bits needs no halves."""
    types = [ArrayType((3, 4), DType.bool)]
    graph = trace(lambda v: wrap(v).sum().value, types, name="count")
    made = model_of(Portable(graph, ["x"], {}, ["y"]), 23)
    assert [n.op_type for n in made.graph.node] == ["Cast", "ReduceSum"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [3, 8, 40])
def test_nan_and_infinities_in_reductions(dtype: Any, columns: int) -> None:
    x = np.random.default_rng(0).normal(size=(4, columns)).astype(dtype)
    x[1, columns // 2] = np.nan
    x[2, :2] = np.inf, -np.inf
    x[3, 0] = -np.inf

    def reduced(x: cr.Tensor) -> list[Any]:
        results = [cr.softmax(x, 1), cr.log_softmax(x, 1), cr.log_softmax(x, 0)]
        results += [x.max(1), x.max(0), x.max(), x.min(), cr.logsumexp(x, 1)]
        return [*results, x.argmax(1), x.argmin(0), x.sum(), x.mean(1), cr.sort(x, 0)]

    assert beside(reduced, [x]) == []
    assert beside(reduced, [x[:, ::-1].copy()]) == []


def test_a_loop_over_what_has_no_inferred_shape(tmp_path: Path) -> None:
    """ONNX Runtime loses the rank on the way, and asks for that of a step's results."""

    def function(x: cr.Tensor) -> cr.Tensor:
        turned = cr.nn.functional.layer_norm(x.swapaxes(1, 2), (4,))
        return cr.cumprod(turned.swapaxes(1, 2), 1)

    path = tmp_path / "loop.onnx"
    sizes = {"x": ("N", 4, "M")}
    cr.export_onnx(function, path, cr.zeros(2, 4, 3), dynamic=sizes, opset=13)
    for shape in ((3, 4, 5), (1, 4, 1)):
        x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        (got,) = session(path.read_bytes()).run(None, {"x": x})
        wanted = function(cr.tensor(x)).numpy()
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)
