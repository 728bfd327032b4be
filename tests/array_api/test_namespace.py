"""What the standard asks of the namespace and of its arrays, beside functions.

Creation, dtypes and promotion, operators (reflected and in place), attributes.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import array_api_strict as xp
import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, DTypeError
from tests.array_api.cases import EVERY, FLOATS, INTEGERS, NUMBERS, SIGNED, draw


@pytest.fixture(autouse=True)
def _standard() -> Iterator[None]:
    xp.set_array_api_strict_flags(api_version="2024.12")
    with np.errstate(all="ignore"):
        yield
    xp.reset_array_api_strict_flags()


def same(got: Any, wanted: Any) -> None:
    a, b = got.numpy(), np.asarray(wanted)
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    np.testing.assert_array_equal(a, b)


# -- creation -------------------------------------------------------------------------

CREATIONS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("arange", (5,), {}),
    ("arange", (1, 10, 3), {}),
    ("arange", (10, 1, -4), {}),
    ("arange", (3, 3), {}),
    ("arange", (0.5, 3.0, 0.5), {}),
    ("linspace", (0, 1, 5), {}),
    ("linspace", (2.0, -1.0, 4), {"endpoint": False}),
    ("linspace", (1.0, 1.0, 1), {}),
    ("eye", (3,), {}),
    ("eye", (2, 4), {"k": 1}),
    ("eye", (3, 2), {"k": -2}),
    ("zeros", ((2, 3),), {}),
    ("zeros", (4,), {}),
    ("ones", ((),), {}),
    ("ones", ((0, 2),), {}),
    ("full", ((2, 2), 3), {}),
    ("full", (3, -1), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), CREATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int64"])
def test_creation(name: str, args: Any, kwargs: Any, dtype: str) -> None:
    if name == "linspace" and dtype not in FLOATS:
        return
    if name == "arange" and isinstance(args[0], float) and dtype not in FLOATS:
        return
    wanted = getattr(xp, name)(*args, **kwargs, dtype=getattr(xp, dtype))
    same(getattr(cr.array_api, name)(*args, **kwargs, dtype=dtype), wanted)

    def traced() -> Any:
        return getattr(cr.array_api, name)(*args, **kwargs, dtype=dtype)

    same(cr.compile(traced, engine="numpy")(), wanted)


@pytest.mark.parametrize("dtype", EVERY)
@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "full_like", "empty_like"])
def test_creation_like(name: str, dtype: str) -> None:
    x = draw(dtype, (2, 3))
    args = (1,) if name == "full_like" else ()
    got = getattr(cr.array_api, name)(cr.asarray(x), *args)
    if name == "empty_like":
        assert (got.shape, got.dtype.name) == (x.shape, dtype)
    else:
        same(got, getattr(xp, name)(xp.asarray(x), *args))


def test_default_dtypes() -> None:
    """float32, where array-api-strict has float64: the standard leaves it open."""
    assert cr.zeros(2).dtype is cr.ones(2).dtype is cr.eye(2).dtype is cr.float32
    assert cr.linspace(0, 1, 2).dtype is cr.arange(0.5, 2).dtype is cr.float32
    assert cr.arange(3).dtype is cr.full(2, 7).dtype is cr.int64
    assert cr.full(2, True).dtype is cr.bool
    info = cr.array_api.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] is cr.float32
    assert set(info.dtypes()) == set(EVERY)
    assert set(info.dtypes(kind="signed integer")) == set(SIGNED)
    assert info.devices() == [info.default_device()] == ["cpu"]
    assert info.capabilities()["boolean indexing"]


@pytest.mark.parametrize("dtype", EVERY)
def test_asarray_and_exchange(dtype: str) -> None:
    x = draw(dtype, (2, 3))
    t = cr.asarray(x)
    assert cr.asarray(t) is t
    assert cr.asarray(t, copy=True) is not t
    same(cr.asarray(x.tolist(), dtype=dtype), x)
    same(cr.from_dlpack(x), x)
    same(cr.from_dlpack(t), x)
    same(cr.asarray([t[0], t[1]]), x)
    assert t.__dlpack_device__() == (1, 0)
    np.testing.assert_array_equal(np.from_dlpack(t), x)
    assert t.to_device(t.device) is t
    with pytest.raises(ArgumentError, match="copy"):
        cr.asarray(x, copy=False)


# -- dtypes ---------------------------------------------------------------------------


def test_promotion_is_the_standards() -> None:
    for a, b in itertools.product(EVERY, EVERY):
        kinds = {np.dtype(x).kind for x in (a, b)}
        try:
            wanted = str(xp.result_type(getattr(xp, a), getattr(xp, b)))
            wanted = wanted.rpartition(".")[2].rstrip(")")
        except TypeError:
            # Undefined in the standard: integers follow floats, as in PyTorch.
            if kinds <= {"i", "u"}:
                with pytest.raises(DTypeError, match="No integer dtype"):
                    cr.result_type(a, b)
            elif "f" in kinds:
                assert cr.result_type(a, b).name == (a if a in FLOATS else b)
            continue
        assert cr.result_type(a, b).name == wanted
        assert cr.promote_types(a, b) is cr.result_type(a, b)
        x, y = cr.zeros(2, dtype=a), cr.zeros(2, dtype=b)
        assert (x + y).dtype.name == cr.concat([x, y]).dtype.name == wanted


def test_casts_and_kinds_are_the_standards() -> None:
    for a, b in itertools.product(EVERY, EVERY):
        kinds = {np.dtype(x).kind for x in (a, b)}
        if kinds <= {"i", "u"} or kinds == {"f"}:
            wanted = xp.can_cast(getattr(xp, a), getattr(xp, b))
            assert cr.can_cast(a, b) == wanted, (a, b)
    kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating"]
    for d in EVERY:
        for kind in (*kinds, "numeric", "complex floating", ("bool", "real floating")):
            assert cr.isdtype(d, kind) == xp.isdtype(getattr(xp, d), kind)
        assert cr.isdtype(d, getattr(cr, d))
    with pytest.raises(ArgumentError, match="kind"):
        cr.isdtype("bool", "imaginary")


def test_limits() -> None:
    for d in FLOATS:
        got, wanted = cr.finfo(d), xp.finfo(getattr(xp, d))
        for name in ("bits", "eps", "max", "min", "smallest_normal"):
            assert getattr(got, name) == getattr(wanted, name)
        assert got.dtype.name == d
    for d in INTEGERS:
        got, wanted = cr.iinfo(cr.zeros(1, dtype=d)), xp.iinfo(getattr(xp, d))
        assert (got.bits, got.max, got.min) == (wanted.bits, wanted.max, wanted.min)
    for refused in (lambda: cr.finfo("int8"), lambda: cr.iinfo("float32")):
        with pytest.raises(DTypeError):
            refused()


def test_python_numbers_follow_the_tensor() -> None:
    for d in NUMBERS:
        x = cr.ones(2, dtype=d)
        assert (x + 1).dtype.name == (2 * x).dtype.name == d
        assert cr.result_type(x, 1).name == d
    for d in FLOATS:
        assert (1.5 * cr.ones(2, dtype=d)).dtype.name == d
    assert (cr.ones(2, dtype="int8") * 0.5).dtype is cr.float32
    assert (cr.tensor([True]) & True).dtype is cr.bool
    with pytest.raises(ArgumentError, match="does not fit int8"):
        cr.ones(2, dtype="int8") + 300


# -- operators ------------------------------------------------------------------------

ARITHMETIC = ["add", "sub", "mul", "floordiv", "mod"]
COMPARISONS = ["lt", "le", "gt", "ge", "eq", "ne"]
BITS = ["and_", "or_", "xor"]
IN_PLACE = {"and_": "iand", "or_": "ior", "xor": "ixor"}


def operands(dtype: str) -> tuple[Any, Any]:
    x, y = draw(dtype, (2, 3), 1, False), draw(dtype, (3,), 2, False)
    return x, np.where(y == 0, y.dtype.type(1), y)


@pytest.mark.parametrize("dtype", EVERY)
def test_operators(dtype: str) -> None:
    x, y = operands(dtype)
    names = ["eq", "ne"]
    if dtype in NUMBERS:
        names += ARITHMETIC + COMPARISONS
    if dtype not in FLOATS:
        names += BITS
    if dtype in INTEGERS:
        names += ["lshift", "rshift"]
        y = np.abs(y).astype(dtype) % 4
        y[y == 0] = 1
    if dtype in FLOATS:
        names += ["truediv"]
    number: Any = {"b": True, "f": 1.5}.get(np.dtype(dtype).kind, 2)
    for name in names:
        f = getattr(operator, name)
        pairs = [(x, y), (x, number), (number, y)]
        for a, b in pairs:
            mine = [cr.asarray(v) if isinstance(v, np.ndarray) else v for v in (a, b)]
            theirs = [xp.asarray(v) if isinstance(v, np.ndarray) else v for v in (a, b)]
            got, wanted = f(*mine), f(*theirs)
            same(got, wanted)
        if name in COMPARISONS:
            continue
        for b in (y, number):
            mine, theirs = cr.asarray(x, copy=True), xp.asarray(x, copy=True)
            before = mine
            g = getattr(operator, IN_PLACE.get(name, "i" + name))
            mine = g(mine, cr.asarray(b) if isinstance(b, np.ndarray) else b)
            theirs = g(theirs, xp.asarray(b) if isinstance(b, np.ndarray) else b)
            assert mine is before
            same(mine, theirs)
    if dtype in NUMBERS:
        for f in (operator.neg, operator.pos, abs):
            same(f(cr.asarray(x)), f(xp.asarray(x)))
        quotient, rest = divmod(cr.asarray(x), cr.asarray(y))
        same(quotient, xp.asarray(x) // xp.asarray(y))
        same(rest, xp.asarray(x) % xp.asarray(y))
    if dtype not in FLOATS:
        same(~cr.asarray(x), ~xp.asarray(x))


@pytest.mark.parametrize("dtype", ["int32", *FLOATS])
def test_matrix_operators(dtype: str) -> None:
    x = draw(dtype, (3, 3), 1, False)
    m = cr.asarray(x)
    same(m @ m, x @ x)
    same(m.__rmatmul__(m), x @ x)
    m @= cr.asarray(x)
    same(m, x @ x)
    same(cr.asarray(x) ** cr.asarray(np.abs(x) * 0 + 2), x**2)


# -- the array, the namespace ---------------------------------------------------------


def test_an_array_leads_to_its_namespace() -> None:
    x = cr.zeros((2, 3, 4))
    xp = x.__array_namespace__()
    assert xp is x.__array_namespace__(api_version="2024.12") is cr.array_api
    assert xp.__array_api_version__ == "2024.12"
    with pytest.raises(ArgumentError, match="version"):
        x.__array_namespace__(api_version="1999.01")
    assert (x.ndim, x.shape, x.size, x.device) == (3, (2, 3, 4), 24, "cpu")
    assert x.mT.shape == (2, 4, 3)
    assert cr.zeros((2, 3)).T.shape == (3, 2)
    for names in (cr, xp):
        assert (names.e, names.pi, names.inf) == (np.e, np.pi, np.inf)
        assert np.isnan(names.nan)
        assert names.newaxis is None


def test_numbers_of_one_element() -> None:
    assert float(cr.tensor(2.5)) == 2.5
    assert int(cr.tensor(7)) == 7
    assert complex(cr.tensor(2.5)) == 2.5
    assert bool(cr.tensor(True)) is True
    assert [10, 20][cr.tensor(1)] == 20


def test_completion_shows_what_a_user_would_use() -> None:
    names = {n for n in dir(cr) if not n.startswith("__")}
    assert names == {n for n in cr.__all__ if not n.startswith("__")}
    assert len(cr.__all__) == len(set(cr.__all__))
    for name in cr.__all__:
        assert getattr(cr, name) is not None or name == "newaxis"
    for noise in ("importlib", "Any", "TYPE_CHECKING", "annotations", "nearest"):
        assert noise not in names
    undocumented = [
        n for n in cr.__all__ if callable(getattr(cr, n)) and not getattr(cr, n).__doc__
    ]
    assert undocumented == []
