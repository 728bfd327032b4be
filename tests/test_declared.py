"""Whatever follows from the declaration of a tensor function is that function.

The function and the method are one object; aliases of parameters mean the parameter;
what changes a tensor in place gives the numbers of the function; operators too. Each
test goes through all declarations, so a new one is tested without another line here.
"""

from __future__ import annotations

import inspect
import operator
import pickle
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, CallError
from chainrule.operations import declared
from chainrule.operations.op import SIGNS, Op
from tests.rows import table

DECLARED = declared()
#: Declarations with a name; the others are what an operator means.
OPS = [op for op in DECLARED if op.public or op.method]
ROWS = np.linspace(0.1, 0.9, 12).reshape(3, 4)
WHOLE = np.arange(1, 13).reshape(3, 4)
PLACES = np.array([[0, 2, 1, 0]])
#: Symmetric, positive definite.
SQUARE = np.eye(3) + 0.5
#: What a function needs behind its first argument.
NEEDED: dict[str, tuple[Any, ...]] = {
    "bucketize": (np.array([0.2, 0.5]),),
    "cross": (ROWS[::-1, :3],),
    "cummax": (0,),
    "cumprod": (0,),
    "cumsum": (0,),
    "cummin": (0,),
    "diagonal_scatter": (ROWS[0, :3],),
    "dsplit": (1,),
    "cholesky_solve": (SQUARE,),
    "orgqr": (SQUARE[0],),
    "lu_solve": (SQUARE, np.array([1, 3, 3], "i4")),
    "matrix_power": (2,),
    "triangular_solve": (SQUARE,),
    "addbmm": (np.ones((2, 3, 5)), np.ones((2, 5, 4))),
    "addcdiv": (ROWS, ROWS[::-1]),
    "addcmul": (ROWS, ROWS[::-1]),
    "addmm": (ROWS, np.ones((4, 4))),
    "addmv": (np.ones((4, 2)), np.ones(2)),
    "addr": (ROWS[:, 0], ROWS[0]),
    "baddbmm": (np.ones((2, 3, 5)), np.ones((2, 5, 4))),
    "chunk": (2,),
    "clamp_max": (0.5,),
    "clamp_min": (0.5,),
    "fill": (0.5,),
    "float_power": (2.0,),
    "gather": (0, PLACES),
    "histogram": (4,),
    "hsplit": (2,),
    "index_add": (0, np.array([2]), ROWS[:1]),
    "index_copy": (0, np.array([2]), ROWS[:1]),
    "index_fill": (0, np.array([2]), 1.0),
    "index_put": ((np.array([0]), np.array([1])), 7.0),
    "index_reduce": (0, np.array([2]), ROWS[:1], "amax"),
    "index_select": (0, np.array([2, 0])),
    "inner": (ROWS,),
    "kron": (ROWS,),
    "kthvalue": (2,),
    "lerp": (ROWS[::-1], 0.25),
    "linspace": (0.0, 1.0),
    "logcumsumexp": (0,),
    "logspace": (0.0, 1.0),
    "masked_fill": (ROWS > 0.5, 7.0),
    "masked_scatter": (ROWS > 0.5, ROWS[::-1]),
    "masked_select": (ROWS > 0.5,),
    "movedim": (0, 1),
    "nanquantile": (0.5,),
    "narrow": (0, 1, 2),
    "stft": (4, 1),
    "istft": (4, 1),
    "narrow_copy": (0, 1, 2),
    "mvlgamma": (2,),
    "polygamma": (1,),
    "pow": (2.0,),
    "put": (np.array([1]), np.array([7.0])),
    "quantile": (0.5,),
    "renorm": (2.0, 0, 0.5),
    "repeat_interleave": (2,),
    "roll": (1,),
    "select": (0, 1),
    "select_copy": (0, 1),
    "select_scatter": (ROWS[0], 0, 1),
    "scatter": (0, PLACES, ROWS[:1]),
    "scatter_add": (0, PLACES, ROWS[:1]),
    "scatter_reduce": (0, PLACES, ROWS[:1], "amax"),
    "slice_scatter": (ROWS[:1], 0, 0, 1),
    "split": (2,),
    "split_copy": (2,),
    "split_with_sizes": ([1, 2],),
    "split_with_sizes_copy": ([1, 2],),
    "take": (np.array([1, 0]),),
    "take_along_axis": (PLACES,),
    "take_along_dim": (PLACES,),
    "tensor_split": (2,),
    "tensordot": (ROWS.T,),
    "topk": (2,),
    "unflatten": (1, (2, 2)),
    "unfold": (0, 2, 1),
    "unfold_copy": (0, 2, 1),
    "unsqueeze": (1,),
    "unsqueeze_copy": (1,),
    "vsplit": (3,),
}
#: Values of parameters, by their names.
VALUES = {"dim": 1, "dims": 1, "keepdim": True, "diagonal": 1, "shifts": 1}
VALUES |= {"size": (2, 3), "end": 3, "steps": 3, "split_size_or_sections": 2}
ORDER = {"permute": (1, 0), "permute_copy": (1, 0)}
ORDER |= {"split_with_sizes": 0, "split_with_sizes_copy": 0}
ORDER |= {"rot90": (0, 1), "sum_to_size": (1, 4)}

#: Functions whose arguments this file does not know.
#: Those of one axis, or of two tensors, among them.
NAMED_ALONE = {"addmm", "astype", "bmm", "diagonal", "dot", "matmul", "mm", "mv"}
NAMED_ALONE |= {"nonzero", "outer", "pad", "searchsorted", "tensordot", "trace"}
NAMED_ALONE |= {"cumsum", "cumprod", "cumulative_sum", "cumulative_prod", "transpose"}
NAMED_ALONE |= {"vecdot", "vdot", "vander", "combinations", "unravel_index"}
NAMED_ALONE |= {"transpose_copy", "t", "diagonal_copy"}
NAMED_ALONE |= {"addmv", "addr", "addbmm", "baddbmm"}


def bits(name: str) -> bool:
    return "bitwise" in name or name in ("gcd", "lcm")


def first(op: Op) -> Any:
    if op.name in ("squeeze", "squeeze_copy"):
        return cr.tensor(ROWS[:, :1])
    if op.family in ("linear_systems", "decompositions"):
        return cr.tensor(SQUARE)
    if op.name in ("acosh", "mvlgamma"):
        return cr.tensor(ROWS + 1)
    if op.name == "bincount":
        return cr.tensor(WHOLE[0])
    if op.name == "cross":
        return cr.tensor(ROWS[:, :3])
    if op.name == "istft":
        return cr.tensor(ROWS[..., None] + np.ones(2))[:3]
    if op.name == "dsplit":
        return cr.tensor(ROWS[:, :, None])
    if op.name == "addmv":
        return cr.tensor(ROWS[0])
    if op.name == "baddbmm":
        return cr.tensor(np.stack([ROWS, ROWS + 1]))
    return cr.tensor(WHOLE if bits(op.name) else ROWS)


def rest(op: Op) -> tuple[Any, ...]:
    if op.of_pair or op.name in ("add", "sub", "div"):
        return (cr.tensor((WHOLE if bits(op.name) else ROWS)[::-1].copy() % 5),)
    return NEEDED.get(op.name, ())


def arrays(result: Any) -> list[Any]:
    several = result if isinstance(result, tuple | list) else [result]
    return [x.numpy() if isinstance(x, cr.Tensor) else x for x in several]


def same(a: Any, b: Any) -> bool:
    pairs = zip(arrays(a), arrays(b), strict=True)
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)


def aliased() -> list[tuple[Op, str, str]]:
    """Every alias of every parameter: the function, the parameter, the alias."""
    made: list[tuple[Op, str, str]] = []
    for op in OPS:
        own = {*op.keywords, op.several}
        for alias in [*op.__signature__.parameters]:
            if alias in own or alias in ("device", "requires_grad"):
                continue
            __, kwargs = op.arranged((None,) * len(op.positional[:1]), {alias: 0})
            made.append((op, next(iter(kwargs), op.several), alias))
    return made


@table(("op", "name", "alias"), aliased(), ids=lambda x: getattr(x, "name", x))
def test_an_alias_means_its_parameter(op: Op, name: str, alias: str) -> None:
    function = getattr(cr if op.public else cr.Tensor, op.name)
    value = ORDER.get(op.name, VALUES[name])
    before = rest(op) if op.creates else (first(op), *rest(op))
    if op.name in ("concat", "stack"):
        before = ([first(op)] * 2,)
    place = op.positional.index(name) if name in op.positional else len(before)
    if place < len(before):  # a parameter that is needed
        value, before = before[place], before[:place] + before[place + 1 :]
        if place < len(before):  # those behind it by name, too
            names = op.positional[place + 1 :]
            more = dict(zip(names, before[place:]))
            a = function(*before[:place], **{name: value}, **more)
            assert same(a, function(*before[:place], **{alias: value}, **more))
            return
    by_place = function(*before, value) if name == op.several else None
    by_name = function(*before, **{name: value})
    by_alias = function(*before, **{alias: value})
    assert same(by_name, by_alias)
    assert by_place is None or same(by_place, by_alias)
    with pytest.raises((ArgumentError, CallError)):
        function(*before, **{name: value, alias: value})


@table("op", [op for op in OPS if op.in_place], ids=lambda o: o.name)
def test_a_change_in_place_gives_the_numbers_of_the_function(op: Op) -> None:
    x, args = first(op), rest(op)
    expected = getattr(x, op.name)(*args).astype(x.dtype)
    for name in (op.name, *op.names):
        y = x.clone()
        z = y.view(y.shape)
        assert getattr(y, f"{name}_")(*args) is y
        assert same(y, expected)
        assert same(z, expected), "a view shows the change"


@pytest.mark.parametrize(
    "op", [op for op in DECLARED if op.operator in SIGNS], ids=lambda o: o.operator
)
def test_an_operator_is_its_function_in_all_forms(op: Op) -> None:
    name = op.operator + "_" * (op.operator in ("and", "or"))
    whole = op.operator in ("and", "or", "xor", "lshift", "rshift")
    a = np.array([[3, 1], [2, 2]]) if whole else np.array([[0.5, 2.0], [1.5, 3.0]])
    b = a[::-1].copy()
    x, y = cr.tensor(a), cr.tensor(b)
    expected = getattr(operator, name)(a, b)
    for left, right in ((x, y), (x, b), (a, y)):
        assert np.allclose(getattr(operator, name)(left, right).numpy(), expected)
    changed = x.clone()
    changed_too = getattr(operator, f"i{op.operator}")(changed, y)
    assert changed_too is changed
    assert np.allclose(changed.numpy(), expected)
    assert same(getattr(cr, op.name)(x, y), getattr(operator, name)(x, y))


def test_functions_and_methods_can_be_pickled() -> None:
    functions = [cr.nn.functional, cr.linalg, cr.fft, cr.special, cr.functions]
    for owner in (*functions, cr.Tensor):
        for name in getattr(owner, "__all__", dir(cr.Tensor)):
            item = getattr(owner, name)
            if inspect.isfunction(item) and not name.startswith("_"):
                assert pickle.loads(pickle.dumps(item)) is item, name


def test_a_function_is_the_method() -> None:
    for op in OPS:
        if op.public and op.method:
            for name in (op.name, *op.names):
                assert getattr(cr, name) is inspect.getattr_static(cr.Tensor, name)


@table(
    "op",
    [
        op
        for op in OPS
        if op.public and op.of_tensor and not (op.creates or op.several)
        if op.name not in NAMED_ALONE
    ],
    ids=lambda op: op.name,
)
def test_the_first_argument_may_be_named(op: Op) -> None:
    function, names = getattr(cr, op.name), op.positional
    named = dict(zip(names, (first(op), *rest(op))))
    assert same(function(first(op), *rest(op)), function(**named))


def test_alpha_multiplies_before_the_operand_takes_a_dtype() -> None:
    small, x = cr.tensor(np.array([1, 2], np.int8)), cr.tensor([1.0, 2.0])
    with pytest.raises(cr.ChainruleError, match="does not fit int8"):
        cr.add(small, 100, alpha=3)
    assert cr.add(small, 200, alpha=0.5).tolist() == [101.0, 102.0]
    one = cr.tensor(1.0, requires_grad=True)
    for made in (cr.add(x, x, alpha=one), cr.sub(x, x, alpha=one), x.add(x, alpha=one)):
        assert made.requires_grad
    assert cr.addmm(x, x[None], cr.ones(2, 2), alpha=one).requires_grad
    twice = cr.compile(lambda x, a: cr.add(x, x, alpha=a), engine="numpy")
    assert twice(x, 0.5).tolist() == [1.5, 3.0]


def test_two_names_of_an_axis_are_refused_together() -> None:
    x = cr.tensor(ROWS)
    for call in (
        lambda: cr.concat([x, x], 0, axis=1),
        lambda: cr.stack([x, x], dim=0, axis=1),
        lambda: x.expand_dims(0, axis=1),
        lambda: cr.diff(x, 1, -1, axis=0),
        lambda: x.sum(dim=0, axis=0),
    ):
        with pytest.raises(ArgumentError, match="two names for the same thing"):
            call()
    assert x.sum(None, axis=0).shape == (4,)


def test_a_missing_operand_is_named() -> None:
    for call in (cr.hypot, cr.add, cr.diff, cr.concat, cr.tensor(1.0).add):
        with pytest.raises(CallError, match="is not called like that") as error:
            call(*[1] * (call is cr.hypot))
        assert "missing" in str(error.value.got)


def test_an_array_keeps_its_dtype() -> None:
    whole, wide = np.array([2**40, 3]), np.array([2.0, 1.0])
    assert cr.sort(whole).values.tolist() == [3, 2**40]
    assert cr.reshape(wide, (2,)).dtype is cr.sort(wide).values.dtype is cr.float64
    assert cr.sort([2.0, 1.0]).values.dtype is cr.float32
