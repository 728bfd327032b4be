"""Methods and functions of tensors: the rows of two files beside this one.

Values, dtypes of results, first and second derivatives.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import chainrule as cr
import chainrule.nn.functional
from chainrule.errors import ArgumentError, ChainruleError, DTypeError
from tests.parity import (  # noqa: F401
    element_rows,
    linalg_rows,
    order_rows,
    special_rows,
    tensor_rows,
)
from tests.parity.rows import ROWS, M
from tests.parity.table import Row, compare_all, compare_compiled
from tests.ways import ENGINES

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_parity(row: Row) -> None:
    compare_all([row])


@pytest.mark.parametrize(
    ("engine", "every"), [("numpy", 1), ("native", 5)], indirect=["engine"]
)
def test_parity_while_compiled(engine: str, every: int) -> None:
    """All of the rows in one program; with derivatives where that is cheap.

    In machine code a fifth of them; all, with derivatives, with the slow tests.
    """
    compare_compiled(ROWS[::every], engine, firsts=engine == "numpy")


@pytest.mark.slow
def test_derivatives_in_machine_code() -> None:
    compare_compiled(ROWS, ENGINES[-1])


# -- words of the standard, and what is refused ----------------------------------------

#: What has two names for an axis: with ``keepdim`` beside it, and without.
KEEPING = """sum prod mean all any amax amin argmax argmin count_nonzero logsumexp norm
    max min"""
OTHERS = """cumsum cumprod softmax log_softmax median sort argsort unbind unstack
    squeeze unsqueeze flip diff"""
NAMED = [*KEEPING.split(), *OTHERS.split()]
#: The same with arguments in front, or others behind.
AFTER = {
    "topk": (2,),
    "split": (2,),
    "chunk": (2,),
    "repeat_interleave": (2,),
    "take": ([0, 1],),
    "take_along_dim": ([[0], [1], [0]],),
}


def of(made: object) -> list[np.ndarray]:
    parts = made if isinstance(made, tuple | list) else [made]
    return [p.numpy() for p in parts]


@pytest.mark.parametrize("name", [*NAMED, *AFTER, "std", "var", "roll", "expand_dims"])
def test_axis_is_another_name_of_dim(name: str) -> None:
    x, before = cr.tensor(M), AFTER.get(name, ())
    if name == "squeeze":
        x = x[:, :1]
    more = {"correction": 1} if name in ("std", "var") else {}
    keeps = [({}, {})]
    if name in KEEPING.split() or more:
        keeps.append(({"keepdim": True}, {"keepdims": True}))
    both = [getattr(x, name)]
    if hasattr(cr, name) and name not in ("roll", "expand_dims"):
        both.append(lambda *a, **k: getattr(cr, name)(x, *a, **k))
    if name == "roll":
        before = (1,)
    for call in both:
        for dims, axes in keeps:
            by = "dims" if name == "roll" else "dim"
            if name == "flip":
                wanted = call(*before, 1)
            else:
                wanted = call(*before, **{by: 1}, **dims, **more)
            for a, b in zip(of(call(*before, axis=1, **axes, **more)), of(wanted)):
                np.testing.assert_array_equal(a, b)
    if name != "flip":
        with pytest.raises(ArgumentError, match="two names"):
            getattr(x, name)(*before, **{by: -2}, axis=1, **more)


def test_other_names_of_arguments() -> None:
    x = cr.tensor(M)
    np.testing.assert_array_equal(x.tril(k=-1).numpy(), x.tril(-1).numpy())
    np.testing.assert_array_equal(cr.triu(x, k=1).numpy(), x.triu(1).numpy())
    np.testing.assert_array_equal(cr.tril(x, k=1).numpy(), x.tril(1).numpy())
    np.testing.assert_array_equal(x.triu(k=1).numpy(), x.triu(1).numpy())
    moved = cr.roll(x, shifts=1, dims=0).numpy()
    np.testing.assert_array_equal(moved, cr.roll(x, shift=1, axis=0).numpy())


def test_what_pytorch_refuses_is_no_wrong_number_here() -> None:
    k, i = cr.tensor([15, 25]), cr.tensor([0])
    for put in (k.scatter, k.scatter_, k.scatter_add, k.scatter_add_, k.index_add):
        with pytest.raises(DTypeError, match="between integers"):
            put(0, i, cr.tensor([1.5]))
    with pytest.raises(ArgumentError, match="not rounded to tens"):
        k.round(decimals=-1)
    assert k.round(decimals=2) is not None
    with pytest.raises(ChainruleError):
        k.to("cuda")
    with pytest.raises(ChainruleError):
        k.cuda()
    for options in ({"correction": 1, "unbiased": True}, {"unbiased": 2}):
        with pytest.raises(ArgumentError, match="older name"):
            cr.tensor(M).std(0, **options)
    with pytest.raises(ChainruleError, match="grad"):
        k.requires_grad_()


def test_numbers_with_a_dtype_keep_it_in_a_list() -> None:
    for library in (cr, torch):
        for data, wanted in (
            ([np.float64(1.5), np.float64(2)], "float64"),
            ([[1.5, 2.0]], "float32"),
            ([[1.5, np.float64(2.0)]], "float64"),
            ([np.float32(1.5)], "float32"),
            ([library.tensor(1.5, dtype=library.float64)], "float64"),
            ([library.tensor(1.5), library.tensor(2.5)], "float32"),
            ([], "float32"),
        ):
            made = library.tensor(data)
            assert made.dtype is getattr(library, wanted), data


def test_derivatives_where_they_are_infinite_or_a_convention() -> None:
    def slope(f: object, *points: float) -> list[float]:
        x = cr.tensor(points, dtype="float64", requires_grad=True)
        with np.errstate(all="ignore"):
            f(x).sum().backward()
        return x.grad.tolist()

    inf = np.inf
    assert slope(lambda x: x.asin(), 1.0, -1.0) == [inf, inf]
    assert slope(lambda x: x.acos(), 1.0, -1.0) == [-inf, -inf]
    assert slope(lambda x: x.acosh(), 1.0) == [inf]
    with np.errstate(all="ignore"):
        assert np.isnan(cr.acosh(cr.tensor([-1e30, -5.0, 0.5])).numpy()).all()
    assert slope(lambda x: x.std(), 2.0, 2.0, 2.0) == [0.0, 0.0, 0.0]
    assert slope(lambda x: cr.std(x), 2.0, 2.0) == [0.0, 0.0]
    for p in (0.5, 1.5, 2, 3):
        assert slope(lambda x: x.norm(p, 0), 0.0, 0.0) == [0.0, 0.0]  # noqa: B023
        made = slope(lambda x: x.norm(p, 0), 0.0, 2.0)  # noqa: B023
        assert made == pytest.approx([0.0, 1.0], abs=1e-15)


def test_what_docs_arrays_says_is_otherwise_in_pytorch() -> None:
    nan = float("nan")
    u8 = np.array([0, 1, 1], np.uint8)
    rows = {
        "sign": lambda t: t.tensor([nan]).sign(),
        "softmax": lambda t: nn_of(t).softmax(t.tensor(M[None])),
        "a uint8 index": lambda t: t.tensor(M[:, 0])[t.tensor(u8)],
    }

    def nn_of(t: object) -> object:
        return chainrule.nn.functional if t is cr else torch.nn.functional

    for name, call in rows.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours, theirs = call(cr).numpy(), call(torch).numpy()
        alike = ours.dtype == theirs.dtype and ours.shape == theirs.shape
        assert not (alike and np.array_equal(ours, theirs, equal_nan=True)), name

    for name, wanted in (("maximum", 0.0), ("minimum", 0.0)):
        x, y = (cr.tensor([1.0], requires_grad=True) for _ in "xy")
        getattr(cr, name)(x, y).sum().backward()
        assert (x.grad or cr.zeros(1)).tolist() == [wanted]
        assert y.grad.tolist() == [1.0]
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert (cr.tensor([5]) // 0).tolist() == [0]
    loss = chainrule.nn.CrossEntropyLoss
    with pytest.raises(ChainruleError, match="-100"):
        loss()(cr.tensor(M), cr.tensor([0, 1, -100]))
    assert loss(ignore_index=-100)(cr.tensor(M), cr.tensor([0, 1, -100])).item() > 0
